"""What a network costs: pure functions from shapes to numbers, soft while shapes are.

    Geometry, a stage of a layer      --size, macs, yours-->               parameters, multiply-accumulates
    Program, operators and tensors    --flash, arena, latency: device-->   bytes, bytes, milliseconds on a board

One small file a metric, one `registry` of names. Knows neither Keras models nor masks. The arena is `arena` and its
`planner`, the time `latency` and its fitted `cores`; `check` tries costs of users. Open `geometry` first, or `program`
for the costs of a board.
"""

from .device import flash, latency, ram
from .geometry import Geometry, where
from .macs import macs
from .registry import BOARD, Metric, get, names, register
from .size import size

__all__ = [
    "BOARD",
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
