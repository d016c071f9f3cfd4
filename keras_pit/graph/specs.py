"""What an operation makes of symbolic tensors, without a trace of it in any graph."""

from __future__ import annotations

from typing import Any

import keras


def output_spec(operation: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The symbolic tensors that a call of an operation returns.

    Some layers leave axes open that their inputs fix, as EinsumDense what it was told to: then their call is run.
    """
    made = operation.compute_output_spec(*args, **kwargs)
    if _is_open(made) and not _is_open((args, kwargs)):
        return keras.Operation.compute_output_spec(operation, *args, **kwargs)
    return made


def _is_open(tensors: Any) -> bool:
    leaves = keras.tree.flatten(tensors)
    return any(None in leaf.shape[1:] for leaf in leaves if isinstance(leaf, keras.KerasTensor))
