"""How channel ids pass through the operations of a graph.

A rule takes a `Visit` (one call of one operation, with `Ids` in place of tensors) and returns the `Ids` of the
outputs. There are few kinds:

    makes     convolutions and Dense read one set of ids and make fresh ones
    follows   activations, batch norm, pooling: the output has the ids of the input
    merges    Add, Multiply, ...: channels that meet are tied
    moves     Flatten, Concatenate, slicing, ...: run the operation itself on arrays of ids
    reduces   mean over time or space drops axes
    freezes   everything not understood: nothing that enters or leaves can be removed

What the rules learn about an operation that has weights is kept in `visit.memory` under the *roles* its weights'
axes can have: "read" (channels of its input), "in" and "out" (what the kernel's axes carry), "mid" (between the two
stages of a separable convolution). An operation that is called twice reads tied channels and makes the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from .classes import FILLER, Classes, Ids
from .kinds import difference, kind_of


@dataclass(frozen=True, eq=False)
class Visit:
    """One call of an operation on ids."""

    classes: Classes
    operation: Any
    args: tuple
    kwargs: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    """Shapes of the outputs, with a batch of 1."""
    memory: dict[str, np.ndarray]
    """What is known of the operation from this and earlier calls, by role."""
    closed: str | None
    """Why the channels it makes cannot be searched, None if they can."""
    frozen: dict[Any, str]
    """Collects the operations that are not followed, with the reason."""

    @property
    def inputs(self) -> list[Ids]:
        """The tensors among the arguments."""
        leaves = keras.tree.flatten((self.args, self.kwargs))
        return [leaf for leaf in leaves if isinstance(leaf, Ids)]

    def remember(self, role: str, ids: np.ndarray) -> np.ndarray:
        """The ids of a role; those of an earlier call are tied to these."""
        if role in self.memory:
            self.classes.tie(self.memory[role], ids)
        return self.memory.setdefault(role, ids)


Rule = Callable[[Visit], "Ids | list[Ids]"]


def channel_axis(operation: Any, rank: int) -> int:
    """Where a layer or operation with a data format has its channels, counted from the end."""
    data_format = getattr(operation, "data_format", "channels_last") or keras.config.image_data_format()
    return 1 - rank if data_format == "channels_first" else -1


def _channels_of(visit: Visit) -> Ids:
    """The input, with ids along the operation's channel axis only."""
    x = visit.inputs[0]
    return visit.classes.along(x, channel_axis(visit.operation, len(x.shape)))


# -- makes ----------------------------------------------------------------------------------------------------------


def _read(visit: Visit, axis: int | None = None) -> Ids:
    x = _channels_of(visit) if axis is None else visit.classes.along(visit.inputs[0], axis)
    visit.remember("read", x.ids)
    return x


def _made(visit: Visit, count: int) -> np.ndarray:
    """Fresh channels, the same for every call."""
    if "out" not in visit.memory:
        classes = visit.classes
        made = classes.fresh(count)
        if visit.closed is not None:
            classes.keep(made, visit.closed)
        visit.memory["out"] = made
    return visit.memory["out"]


def dense(visit: Visit) -> Ids:
    """The last axis is read and made."""
    visit.remember("in", _read(visit, -1).ids)
    return Ids(visit.shapes[0], -1, _made(visit, visit.operation.units))


def conv(visit: Visit) -> Ids:
    """All kinds with a `filters` argument; grouped convolutions tie the groups, or follow if each has one channel."""
    layer = visit.operation
    x = _read(visit)
    groups = getattr(layer, "groups", 1)
    per_group = len(x.ids) // groups
    made_per_group = layer.filters // groups
    if groups > 1 and per_group == 1:
        visit.memory["out"] = np.repeat(x.ids, made_per_group)
    elif groups > 1:
        first = x.ids[:per_group]
        visit.classes.tie(x.ids, np.tile(first, groups))
        visit.remember("in", first)
        if "out" not in visit.memory:
            visit.memory["out"] = np.tile(_made(visit, made_per_group), groups)
    else:
        visit.remember("in", x.ids)
    return Ids(visit.shapes[0], x.axis, _made(visit, layer.filters))


def depthwise(visit: Visit) -> Ids:
    """Each input channel goes to `depth_multiplier` output channels, which live and die with it."""
    layer = visit.operation
    x = _read(visit)
    visit.remember("in", x.ids)
    return Ids(visit.shapes[0], x.axis, visit.remember("out", np.repeat(x.ids, layer.depth_multiplier)))


def separable(visit: Visit) -> Ids:
    """Depthwise, then pointwise."""
    layer = visit.operation
    x = _read(visit)
    visit.remember("in", x.ids)
    visit.remember("mid", np.repeat(x.ids, layer.depth_multiplier))
    return Ids(visit.shapes[0], x.axis, _made(visit, layer.filters))


# -- follows --------------------------------------------------------------------------------------------------------


def follows(visit: Visit) -> Ids:
    """Element by element."""
    return visit.inputs[0].reshaped(visit.shapes[0])


def follows_space(visit: Visit) -> Ids:
    """Mixes neighbours in time or space, each channel by itself: pooling, padding, resizing."""
    return _channels_of(visit).reshaped(visit.shapes[0])


def pools_globally(visit: Visit) -> Ids:
    """Drops the axes of time or space, or leaves them with length 1."""
    x = _channels_of(visit)
    return x.reshaped(visit.shapes[0], x.axis if visit.operation.keepdims else -1)


def batch_norm(visit: Visit) -> Ids:
    """One set of statistics for each position of its axis."""
    return _read(visit, visit.operation.axis)


def prelu(visit: Visit) -> Ids:
    """One slope for each position, shared along some axes."""
    return _read(visit, -1)


def activation(visit: Visit) -> Ids | list[Ids]:
    """An `Activation` layer, if its function is known to work element by element."""
    if elementwise_activation(visit.operation.activation):
        return follows(visit)
    return freezes(visit, f"goes through an activation that may mix channels ({visit.operation.name})")


def softmax(visit: Visit) -> Ids | list[Ids]:
    """Mixes along its axes."""
    x = visit.inputs[0]
    axes = visit.operation.axis
    axes = axes if isinstance(axes, (tuple, list)) else [axes]
    if x.axis in [axis if axis < 0 else axis - len(x.shape) for axis in axes]:
        return freezes(visit, f"goes through a softmax over channels ({visit.operation.name})")
    return follows(visit)


def rescaling(visit: Visit) -> Ids | list[Ids]:
    """A scale and an offset; frozen when they differ from channel to channel."""
    if np.ndim(visit.operation.scale) or np.ndim(visit.operation.offset):
        return freezes(visit)
    return follows(visit)


MIXING = {"softmax", "log_softmax", "sparsemax", "glu"}
"""Keras activations that are not element by element."""


def elementwise_activation(function: Any) -> bool:
    """Whether an activation is known to work on each element alone."""
    if function is None:
        return True
    if isinstance(function, keras.layers.Layer):
        return not function.weights and kind_of(function) in ACTIVATION_LAYERS
    name = getattr(function, "__name__", "")
    return getattr(keras.activations, name, None) is function and name not in MIXING


ACTIVATION_LAYERS = {keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU}


# -- merges ---------------------------------------------------------------------------------------------------------


def merges(visit: Visit) -> Ids | list[Ids]:
    """Element by element over several tensors, with broadcasting."""
    classes, inputs = visit.classes, visit.inputs
    (shape,) = visit.shapes
    listed = [arg for arg in (*visit.args, *visit.kwargs.values()) if isinstance(arg, (list, tuple))]
    if any(not isinstance(leaf, Ids) for arg in listed for leaf in keras.tree.flatten(arg)):
        return freezes(visit, f"meets a list of constants ({visit.operation.name})")
    # A single channel that is spread over several must stay as it is.
    spread = [x for x in inputs if x.axis < -len(shape) or (len(x.ids) == 1 and shape[x.axis] != 1)]
    rest = [x for x in inputs if not any(x is other for other in spread)]
    for x in spread:
        classes.keep(x.ids, f"has its only channel broadcast ({visit.operation.name})")
    if not rest:
        return classes.kept_like(shape, f"comes out of a broadcast ({visit.operation.name})")
    if any(x.axis != rest[0].axis for x in rest):
        rest = _with_one_axis(classes, rest, shape)
    for x in rest[1:]:
        classes.tie(rest[0].ids, x.ids)
    return rest[0].reshaped(shape)


def _with_one_axis(classes: Classes, tensors: list[Ids], shape: tuple[int, ...]) -> list[Ids]:
    """Tensors whose ids differ along different axes: tie whole tensors, except along the widest axis."""
    axis = max((x.axis for x in tensors), key=lambda a: (shape[a], a))
    result = []
    for x in tensors:
        if len(x.shape) < -axis or x.shape[axis] != shape[axis]:
            classes.tie(x.ids, np.repeat(x.ids[:1], len(x.ids)))
            result.append(Ids(shape, axis, np.repeat(x.ids[:1], shape[axis])))
        else:
            result.append(classes.along(x, axis))
    return result


# -- moves ----------------------------------------------------------------------------------------------------------


def moves(visit: Visit) -> Ids | list[Ids]:
    """Only rearranges elements, so the operation itself says where each one goes."""
    moved = run_on_arrays(visit, lambda x: x.full())
    if moved is None or any(array.shape != shape for array, shape in zip(moved, visit.shapes, strict=True)):
        return freezes(visit)
    return [visit.classes.rectangular(array) for array in moved]


def moves_fixed(visit: Visit) -> Ids | list[Ids]:
    """A move whose arguments count positions (reshape, slice): all its calls must agree."""
    read = np.concatenate([x.ids for x in visit.inputs])
    earlier = visit.memory.get("read", read)
    if len(earlier) != len(read):
        visit.classes.keep(earlier, f"is read by '{visit.operation.name}' in several shapes")
        return freezes(visit)
    visit.remember("read", read)
    return moves(visit)


def pads(visit: Visit) -> Ids | list[Ids]:
    """`ops.pad`: whatever it pads with, the ids of the padding are those of its neighbours."""
    return moves(replace(visit, args=visit.args[:1], kwargs={k: v for k, v in visit.kwargs.items() if k == "x"}))


def repeats(visit: Visit) -> Ids | list[Ids]:
    """`ops.repeat`: the same number of times everywhere."""
    return moves(visit) if isinstance(visit.operation.repeats, int) else freezes(visit)


def concatenates(visit: Visit) -> Ids | list[Ids]:
    """As `moves`, without building the arrays where the channels themselves are strung together."""
    axis = visit.operation.axis
    inputs = visit.inputs
    if len(inputs) < len(keras.tree.flatten(visit.args)):
        return moves(visit)  # there are constants among them
    axes = {x.axis for x in inputs} | {axis if axis < 0 else axis - len(inputs[0].shape)}
    if len(axes) > 1:
        return moves(visit)
    return Ids(visit.shapes[0], axes.pop(), np.concatenate([x.ids for x in inputs]))


def run_on_arrays(visit: Visit, array: Callable[[Ids], np.ndarray]) -> list[np.ndarray] | None:
    """Run the operation on integer arrays in place of its tensors; None if it cannot."""

    def tensor(leaf: Any) -> Any:
        if isinstance(leaf, Ids):
            return keras.ops.convert_to_tensor(array(leaf), "int32")
        is_array = hasattr(leaf, "dtype") and np.ndim(leaf) > 0
        return keras.ops.full(np.shape(leaf), FILLER, "int32") if is_array else leaf

    args, kwargs = keras.tree.map_structure(tensor, (visit.args, visit.kwargs))
    try:
        outputs = visit.operation.call(*args, **kwargs)
    except Exception:  # noqa: BLE001 - whatever it does not understand is frozen, with the reason in the report
        return None
    return [keras.ops.convert_to_numpy(output).astype(np.int64) for output in keras.tree.flatten(outputs)]


# -- reduces and freezes --------------------------------------------------------------------------------------------


def reduces(visit: Visit) -> Ids | list[Ids]:
    """Mean, max, sum, ... over some axes."""
    x = visit.inputs[0]
    axes = visit.operation.axis
    if axes is None:
        return freezes(visit)
    rank = len(x.shape)
    axes = {axis if axis < 0 else axis - rank for axis in (axes if isinstance(axes, (tuple, list)) else [axes])}
    if x.axis in axes or -rank in axes:
        return freezes(visit, f"is reduced over channels ({visit.operation.name})")
    if visit.operation.keepdims:
        return x.reshaped(visit.shapes[0])
    return x.reshaped(visit.shapes[0], x.axis + sum(axis > x.axis for axis in axes))


def freezes(visit: Visit, reason: str | None = None) -> Ids | list[Ids]:
    """Nothing that enters or leaves can be removed."""
    operation = visit.operation
    why = difference(operation) or "which is not followed"
    reason = reason or f"meets {type(operation).__name__} '{operation.name}', {why}"
    visit.frozen.setdefault(operation, reason)
    for x in visit.inputs:
        visit.classes.keep(x.ids, reason)
    return [visit.classes.kept_like(shape, reason) for shape in visit.shapes]
