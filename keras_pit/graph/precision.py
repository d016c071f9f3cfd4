"""A model of any precision as one of float32: what is deployed, and what boards are asked about, is made of that.

    in_float32(model)    the model itself, or the same graph with layers of the policy "float32" and the same weights

Layers under "mixed_float16" keep their weights in float32 already, so nothing is lost. Layers that Keras has quantized
stay as they are.
"""

from __future__ import annotations

from typing import Any

import keras

from . import _keras
from .rebuild import copy_state, rebuild
from .remake import remake


def in_float32(model: keras.Model) -> keras.Model:
    """The model, computing in float32.

    Args:
        model: Functional or built Sequential model. Left untouched.
    """
    if not _keras.is_graph(model) or not any(map(_is_other, _keras.all_layers(model))):
        return model

    def new_layer(layer: Any, call: _keras.OperationCall) -> Any:
        return remake(layer, dtype="float32") if _is_other(layer) else remake(layer)

    rebuilt = rebuild(model, new_layer)
    result = keras.Model(rebuilt.inputs, rebuilt.outputs, name=model.name)
    for old, new in rebuilt.layers.items():
        copy_state(old, new)
    return result


def _is_other(layer: Any) -> bool:
    """Whether a layer computes with floats of another precision."""
    policy = getattr(layer, "dtype_policy", None)
    if policy is None or _keras.is_graph(layer) or policy.quantization_mode is not None:
        return False
    return policy.compute_dtype in ("float16", "bfloat16", "float64")
