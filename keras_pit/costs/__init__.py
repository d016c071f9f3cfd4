"""Costs of a network: one small file a metric, one registry."""

from .device import flash, latency, ram
from .geometry import Geometry, where
from .macs import macs
from .registry import Metric, get, names, register
from .size import size

__all__ = [
    "Geometry",
    "Metric",
    "flash",
    "get",
    "latency",
    "macs",
    "names",
    "ram",
    "register",
    "size",
    "where",
]
