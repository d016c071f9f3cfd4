"""What a microcontroller would run of a model, before any file is made.

    lowered network + masks --Blueprint.program--> Program: operators and tensors, of sizes that may be soft

The costs of a board read such a program; `deployment` makes the same one of a .tflite file. So flash, RAM and time are
known, and have gradients, while the network is still being searched. Open `blueprint` first, then `writer`.

It is loaded when it is first used, as a search for parameters needs none of it.
"""

from typing import TYPE_CHECKING

from .. import _lazy

if TYPE_CHECKING:
    from .blueprint import Blueprint
else:
    __getattr__, __dir__ = _lazy.names(__name__, {"blueprint": ("Blueprint",)})

__all__ = ["Blueprint"]
