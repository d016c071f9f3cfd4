"""What of a model a file cannot keep.

Keras writes a function by its name, to be found again when the file is loaded, and a lambda as the bytes of its code.
What that code reads of its surroundings is lost without a word:

    Lambda(lambda x: x * 2)                              is written whole
    Lambda(lambda x: tf.sin(x))                          loads, and fails when it is called: no `tf`
    Dense(4, activation=swish), with a `swish` of yours  loads as Keras's
    Scale(3.0), whose get_config knows of no factor      loads with the default
"""

from __future__ import annotations

import builtins
import dis
import types
from collections.abc import Iterator
from typing import Any

import keras

from . import _keras
from .remake import PLAIN, arguments, foreign, forgotten


def lost(model: Any) -> str | None:
    """What a file with the model would lose, in words; None if nothing is known of."""
    return next(_losses(model), None)


def _losses(operation: Any) -> Iterator[str]:
    if _keras.is_graph(operation):
        inner = [call.operation for call in _keras.calls(operation)] if operation.built else operation.layers
        for each in inner:
            yield from _losses(each)
        return
    where = f"layer '{operation.name}' ({type(operation).__name__})"
    config = arguments(operation)
    if missing := forgotten(operation, config):
        yield f"{where}: the config of its class has no {', '.join(missing)}"
    for name, value in foreign(operation, config).items():
        for part in keras.tree.flatten(value):
            if isinstance(part, keras.layers.Layer):
                yield from _losses(part)
            elif isinstance(part, types.FunctionType):
                read = sorted(_surroundings(part)) if part.__name__ == "<lambda>" else []
                if read:
                    yield f"{where}: its {name} is a lambda that reads {', '.join(read)}"
                elif name == "activation" and hasattr(keras.activations, part.__name__):
                    yield f"{where}: its activation '{part.__name__}' has the name of one of Keras's own"


def _surroundings(function: types.FunctionType) -> set[str]:
    """The names, beside its arguments, whose values a function needs and a file has not."""
    code, cells = function.__code__, function.__closure__ or ()
    enclosed = {name for name, cell in zip(code.co_freevars, cells, strict=True) if not _is_plain(cell.cell_contents)}
    return enclosed | (set(_globals(code)) - vars(builtins).keys())


def _globals(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _globals(constant)


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, (list, tuple)) else isinstance(value, PLAIN)
