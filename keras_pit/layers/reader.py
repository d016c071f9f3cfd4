"""Reading masks: those of all layers at once, and only once in a step.

    reader = Reader(layers)
    with reader.shared():           # layers that are called in here take their masks from this reader,
        outputs = model(inputs)
    size = reader.count(layer)      # and the cost counts the same ones

A layer that is called by itself makes a reader of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from keras import ops

from .masks import MaskRow

_shared: ContextVar[Reader | None] = ContextVar("shared", default=None)


class Masked(Protocol):
    """A layer that owns masks (see `layer.PITLayer`); what it does not own is None."""

    alpha: Any
    beta: Any
    gamma: Any
    delta: Any
    blocks: Any
    """`masks.Blocks`."""
    kernel_mask: Any
    """`masks.KernelMask`."""

    @property
    def mask_variables(self) -> list[Any]:
        """Those that there are."""
        ...

    @property
    def searches_taps(self) -> bool:
        """Whether it owns a beta or a gamma."""
        ...

    def kept_blocks(self) -> np.ndarray:
        """Which entries of its alpha stay."""
        ...


class Reader:
    """Reads the masks of search layers.

    Args:
        layers: those whose masks will be asked for.
        values: what to read in place of their mask variables, one after the other, float32.
    """

    def __init__(self, layers: Iterable[Masked] = (), values: Any = None) -> None:
        layers = list(layers)
        makers = [layer for layer in layers if layer.alpha is not None]
        kernels = [layer for layer in layers if layer.searches_taps]
        sums = [layer for layer in layers if layer.delta is not None]
        self._layers = set(map(id, layers))
        self._known: dict[Hashable, Any] = {}
        self.row: Any = None
        """All masks, one after the other, float32; None if there are none."""
        self._channels = {id(layer): place for place, layer in enumerate(makers, 1)}
        self._taps = {id(layer): place for place, layer in enumerate(kernels, 1 + len(makers))}
        self._sums = {id(layer): place for place, layer in enumerate(sums, 1 + len(makers) + len(kernels))}
        if not makers and not kernels and not sums:
            return
        row = MaskRow(
            [layer.blocks for layer in makers],
            [(layer.kernel_mask, layer.beta is not None, layer.gamma is not None) for layer in kernels],
            [layer.delta.shape[0] for layer in sums],
        )
        variables = [layer.alpha for layer in makers]
        variables += [variable for layer in kernels for variable in (layer.beta, layer.gamma) if variable is not None]
        variables += [layer.delta for layer in sums]
        self._sizes = row.sizes
        if values is not None:
            own = [variable for layer in layers for variable in layer.mask_variables]
            ends = np.cumsum([variable.shape[0] for variable in own])
            places = {id(v): np.arange(end - v.shape[0], end) for v, end in zip(own, ends, strict=True)}
            variables = [ops.take(values, np.concatenate([places[id(variable)] for variable in variables]))]
        self._take(row.soft(variables))

    def _take(self, row: Any) -> None:
        self.row = row
        self._masks = ops.split(row, np.cumsum(self._sizes[:-1]).tolist())

    @classmethod
    def off(cls, layers: Iterable[Masked]) -> Reader:
        """For everything switched off, by numbers: it asks for no variable."""
        layers = list(layers)
        return cls(layers, np.zeros(sum(mask.shape[0] for layer in layers for mask in layer.mask_variables), "float32"))

    def at(self, row: Any) -> Reader:
        """This reader, with other values of all masks."""
        other = copy.copy(self)
        vars(other).pop("_counts", None)
        other._known = {}
        other._take(row)
        return other

    @classmethod
    def of(cls, layer: Masked, owners: Iterable[Masked]) -> Reader:
        """For the call of a layer that reads the channels of others: the shared one, or else one for this call."""
        shared = _shared.get()
        if shared is not None and id(layer) in shared._layers:
            return shared
        return cls(dict.fromkeys([layer, *owners]))

    @contextmanager
    def shared(self) -> Iterator[None]:
        """A context in which the layers of this reader use it when they are called."""
        token = _shared.set(self)
        try:
            yield
        finally:
            _shared.reset(token)

    @property
    def on(self) -> Any:
        """The mask of what is never switched off, shape (1,)."""
        return self._masks[0]

    def channels(self, owner: Masked) -> Any:
        """The mask of each entry of the alpha of a layer."""
        return self._masks[self._channels[id(owner)]]

    def taps(self, layer: Masked) -> Any:
        """The mask of the taps of a layer's kernel, along the searched axis."""
        return self._masks[self._taps[id(layer)]]

    def branches(self, layer: Masked) -> list[Any]:
        """The masks of the branches of an addition, one by one."""
        return ops.unstack(self._masks[self._sums[id(layer)]], layer.delta.shape[0])

    def count_channels(self, owner: Masked) -> Any:
        """How many entries of the alpha of a layer stay."""
        return self._counts[self._channels[id(owner)]]

    def count_taps(self, layer: Masked) -> Any:
        """How many taps of a layer's kernel stay."""
        return self._counts[self._taps[id(layer)]]

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What is made of these masks, the first time that it is asked for."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    @cached_property
    def _counts(self) -> list[Any]:
        places = np.repeat(np.arange(len(self._sizes)), self._sizes)
        return ops.unstack(ops.segment_sum(self.row, places, len(self._sizes)), len(self._sizes))
