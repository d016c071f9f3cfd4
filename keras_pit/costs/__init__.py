"""Costs of a network: one small file a metric, one registry."""

from .geometry import Geometry, where
from .macs import macs
from .registry import Metric, get, names, register
from .size import size

__all__ = ["Geometry", "Metric", "get", "macs", "names", "register", "size", "where"]
