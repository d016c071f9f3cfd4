"""A wider seed of the same function: long kernels without holes, for a search to find the dilation and the reach.

A search only takes away. A network that was made by hand has its dilations already; unrolled, each of its kernels has a
tap wherever the old one looked past a sample, and the search is free to choose others. This is how the seeds of the
papers are made (Risso et al., PIT, arXiv 2203.14768):

    Conv1D(16, 3, dilation_rate=4)     taps at lags 0, 4, 8
    Conv1D(16, 9)                      taps at lags 0 to 8; those that are new start at zero
    Conv1D(16, 18), kernels=2          ... and at lags 9 to 17
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from .. import checks
from ..graph import seeds
from ..graph.rebuild import copy_state, rebuild
from ..graph.remake import remake
from ..graph.tracer import trace
from ..layers.kernels import same_padding
from ..layers.stock import search_layer
from .model import SearchModel


@dataclass(frozen=True)
class _Longer:
    """A kernel that is to be longer."""

    axis: int
    """The axis of the kernel that its taps lie along."""
    size: int
    """How many taps it is to have."""
    places: np.ndarray
    """Where among them the old ones are."""


def widen(model: keras.Model, *, kernels: int = 1, input_shape: Any = None) -> keras.Model:
    """Unroll the dilations of a model, and make its kernels longer: a wider seed that computes the same.

    What is widened are the kernels that a search can shorten: those of Conv1D and DepthwiseConv1D, and of Conv2D and
    DepthwiseConv2D where they have the shape (K, 1) or (1, K). A kernel of K taps with dilation d gets the
    d (K - 1) + 1 taps that it spans.

    Args:
        model: Functional, Sequential or subclassed model, trained or not. Left untouched.
        kernels: make each kernel of more than one tap so many times as long as it then is, with taps that reach
            further into the past (padding "causal") or to both sides ("same"), but not further than the input does.
            Kernels with padding "valid" keep their length, which decides that of their output.
        input_shape: as for `convert`.

    Returns:
        A new model, not compiled, whose new taps are zero. Warns if there is nothing to widen.

    Raises:
        TypeError: if `model` is no Keras model, or is a search model.
        ValueError: if `kernels` is less than 1, or the model cannot be followed.

    Example:

        search = keras_pit.convert(keras_pit.widen(model, kernels=2), target={"size": 4_000})
    """
    if isinstance(model, SearchModel):
        raise TypeError("The model is a search model already: widen the seed, then convert what comes out.")
    seeds.require_model(model)
    factor = checks.whole(kernels, "`kernels`", least=1)
    with seeds.functional(model, input_shape) as seed:
        found = {layer: _longer(layer, known.sites, factor) for layer, known in trace(seed).layers.items()}
        plan = {layer: longer for layer, longer in found.items() if longer is not None}
        if not plan:
            warnings.warn(
                f"Nothing can be widened in model '{model.name}': no layer has a one-dimensional kernel that is "
                "dilated, or that kernels=2 would make longer.",
                stacklevel=2,
            )
        rebuilt = rebuild(seed, lambda layer, call: _remade(layer, plan.get(layer)))
        for old, new in rebuilt.layers.items():
            copy_state(old, new, partial(_stretched, plan.get(old)))
        return keras.Model(rebuilt.inputs, rebuilt.outputs, name=seed.name)


def _longer(layer: Any, sites: tuple[Any, ...], factor: int) -> _Longer | None:
    """How a layer's kernel is made longer; None if it stays."""
    kind = search_layer(layer)
    if kind is None or not kind.masks_taps or layer.data_format == "channels_first":
        return None
    long = [axis for axis, taps in enumerate(layer.kernel_size) if taps > 1]
    if len(long) != 1:
        return None
    (axis,) = long
    taps, dilation, stride = (values[axis] for values in (layer.kernel_size, layer.dilation_rate, layer.strides))
    span = (taps - 1) * dilation + 1
    lengths = [site.input_shape[axis] for site in sites]
    offsets = {_offset(layer.padding, span, factor, stride, length) for length in lengths}
    # Calls of different lengths may pad differently, and then no single kernel does for all of them.
    before, size = offsets.pop() if len(offsets) == 1 else (0, span)
    longer = _Longer(axis, size, before + dilation * np.arange(taps))
    return None if size == taps else longer


def _offset(padding: str, span: int, factor: int, stride: int, length: int | None) -> tuple[int, int]:
    """How many taps come before the old ones, and how many there are in all."""
    if padding == "valid" or (padding == "same" and stride > 1 and length is None):
        return 0, span
    reach = math.inf if length is None else length if padding == "causal" else 2 * length - 1
    size = int(max(span, min(factor * span, reach)))
    if padding == "causal":
        return size - span, size
    return same_padding(length, size, stride)[0] - same_padding(length, span, stride)[0], size


def _remade(layer: Any, longer: _Longer | None) -> Any:
    if longer is None:
        return remake(layer)

    def along(name: str, value: int) -> tuple[int, ...]:
        return tuple(value if axis == longer.axis else old for axis, old in enumerate(getattr(layer, name)))

    return remake(layer, kernel_size=along("kernel_size", longer.size), dilation_rate=along("dilation_rate", 1))


def _stretched(longer: _Longer | None, name: str, value: Any) -> Any:
    """A weight of the wider layer."""
    if longer is None or name != "kernel":
        return value
    value = np.moveaxis(keras.ops.convert_to_numpy(value), longer.axis, 0)
    stretched = np.zeros((longer.size, *value.shape[1:]), value.dtype)
    stretched[longer.places] = value
    return np.moveaxis(stretched, 0, longer.axis)
