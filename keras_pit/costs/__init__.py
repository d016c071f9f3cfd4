"""Costs of a network: one small file a metric, one registry."""

from .geometry import Geometry
from .macs import macs
from .registry import Cost, get, names, register
from .size import size

__all__ = ["Cost", "Geometry", "get", "macs", "names", "register", "size"]
