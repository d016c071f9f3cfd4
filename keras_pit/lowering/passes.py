"""Exact rewrites of a network, each a small function of one node.

    tidy             nothing that only moves axes of size 1; reshapes and transposes in a row become one
    fold_windows     padding and subsampling join the convolution behind them
    padding_apart    ... and what TFLite cannot say there ("same" or "valid") becomes one PAD again

In between, `affine.fold_affines` folds what batch normalization left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .graph import Network, Node, Uses, rewrite
from .operators import (
    ALONG_LAST_AXIS,
    Activation,
    Binary,
    Conv,
    Dense,
    Depthwise,
    Foreign,
    Input,
    Pad,
    Pool,
    Reshape,
    Slice,
    Transpose,
)
from .shapes import Pair, Shape, pair
from .windows import NO_PADDING, Window


def without_softmax(network: Network) -> Network:
    """Outputs that are probabilities become logits."""

    def logits(node: Node) -> Node:
        is_softmax = isinstance(node.operator, Activation) and node.operator.kind == "softmax"
        return node.inputs[0] if is_softmax else node

    return Network(network.inputs, tuple(map(logits, network.outputs)))


def with_multiples(network: Network, multiple: int) -> Network:
    """Dense layers get outputs of 0 up to a multiple, which are cut off again behind them and their activation."""

    def rule(node: Node, uses: Uses) -> Node:
        operator = node.operator
        if isinstance(operator, Dense) and operator.channels % multiple:
            more = -operator.channels % multiple
            kernel, bias = np.pad(operator.kernel, ((0, 0), (0, more))), np.pad(operator.bias, (0, more))
            wide = Node.of(Dense(kernel, bias), *node.inputs, name=node.name)
            return Node.of(Slice((range(1), range(operator.channels))), wide, name=node.name)
        if isinstance(operator, Activation) and operator.kind in _CUT_BEHIND:
            (cut,) = node.inputs
            if isinstance(cut.operator, Slice) and isinstance(cut.inputs[0].operator, Dense) and uses[cut] == 1:
                return Node.of(cut.operator, node.on(*cut.inputs), name=node.name)
        return node

    return rewrite(network, rule)


_CUT_BEHIND = ("relu", "relu6")
"""Activations that a Dense layer computes in passing."""


# -- tidy -------------------------------------------------------------------------------------------------------------


def tidy(network: Network) -> Network:
    """Drop and join what only moves numbers."""
    while True:
        tidied = rewrite(_without_twins(network), lambda node, uses: tidy_node(node))
        if len(tidied.nodes()) == len(network.nodes()):
            return _input_in_form(tidied)
        network = tidied


def tidy_node(node: Node) -> Node:
    """What to put in a node's place if it only moves numbers, or reads what does."""
    return _TIDY[type(node.operator)](node) if type(node.operator) in _TIDY else node


def _reshape(node: Node) -> Node:
    (source,) = node.inputs
    while isinstance(source.operator, Reshape):
        (source,) = source.inputs
    return source if source.shape == node.shape else node.on(source)


def _transpose(node: Node) -> Node:
    (source,) = node.inputs
    axes = node.operator.axes
    if isinstance(source.operator, Transpose):
        axes = tuple(source.operator.axes[axis] for axis in axes)
        (source,) = source.inputs
    if moves_ones_only(axes, source.shape):
        return _reshape(Node.of(Reshape(node.shape), source, name=node.name))
    return Node.of(Transpose(axes), source, name=node.name)


def moves_ones_only(axes: Sequence[int], shape: Shape) -> bool:
    """Whether a transpose of this shape only changes the places of axes of size 1."""
    moved = [axis for axis in axes if shape[axis] > 1]
    return moved == sorted(moved)


def _dense(node: Node) -> Node:
    """FULLY_CONNECTED flattens its input by itself, and its weights can be in any order."""
    (source,) = node.inputs
    if isinstance(source.operator, Reshape):
        return _dense(node.on(source.inputs[0]))
    if not isinstance(source.operator, Transpose) or math.prod(source.shape) != len(node.operator.kernel):
        return node
    kernel = node.operator.kernel.reshape(*source.shape, -1)
    kernel = np.transpose(kernel, [*np.argsort(source.operator.axes), len(source.shape)])
    dense = replace(node.operator, kernel=np.ascontiguousarray(kernel.reshape(node.operator.kernel.shape)))
    return Node.of(dense, source.inputs[0], name=node.name)


def _pad(node: Node) -> Node:
    operator, (source,) = node.operator, node.inputs
    if not any(sum(pair) for pair in operator.amounts):
        return source
    if isinstance(source.operator, Pad) and source.operator.value == operator.value:
        amounts = (_sum(*pairs) for pairs in zip(operator.amounts, source.operator.amounts, strict=True))
        return Node.of(Pad(tuple(amounts), operator.value), *source.inputs, name=node.name)
    return node


def _slice(node: Node) -> Node:
    operator, (source,) = node.operator, node.inputs
    if operator.ranges == tuple(map(range, source.shape)):
        return source
    if isinstance(source.operator, Slice):
        ranges = (
            positions[inner.start : inner.stop if inner.stop >= 0 else None : inner.step]
            for positions, inner in zip(source.operator.ranges, operator.ranges, strict=True)
        )
        return Node.of(Slice(tuple(ranges)), *source.inputs, name=node.name)
    if isinstance(source.operator, Pad):
        return _cropped(node, source)
    return node


def _cropped(node: Node, padded: Node) -> Node:
    """A slice comes before padding, which is not added where it would be cut off again."""
    amounts, ranges = [], []
    (source,) = padded.inputs
    for (before, after), wanted, size in zip(padded.operator.amounts, node.operator.ranges, source.shape, strict=True):
        if wanted.step == 1:
            first, last = wanted.start - before, wanted.stop - before
            amounts.append((max(-first, 0), max(last - size, 0)))
            ranges.append(range(max(first, 0), min(last, size)))
        elif before == after == 0:
            amounts.append((0, 0))
            ranges.append(wanted)
        else:
            return node
    if not all(ranges):  # nothing is left but padding
        return node
    cut = _slice(Node.of(Slice(tuple(ranges)), source, name=node.name))
    return tidy_node(Node.of(Pad(tuple(amounts), padded.operator.value), cut, name=padded.name))


def _activation(node: Node) -> Node:
    """In front of a reshape; not of what is above 0 already."""
    (source,) = node.inputs
    if isinstance(source.operator, Reshape) and node.operator.kind not in ALONG_LAST_AXIS:
        return _reshape(source.on(tidy_node(node.on(*source.inputs))))
    if node.operator.kind == "relu" and isinstance(source.operator, Activation):
        return source if source.operator.kind in ("relu", "relu6") else node
    return node


def _binary(node: Node) -> Node:
    """In front of equal reshapes."""
    one, two = node.inputs
    if isinstance(one.operator, Reshape) and isinstance(two.operator, Reshape) and one.shape == two.shape:
        sources = [one.inputs[0], two.inputs[0]]
        if sources[0].shape == sources[1].shape:
            return _reshape(one.on(node.on(*sources)))
    return node


_TIDY: dict[type, Callable[[Node], Node]] = {
    Activation: _activation, Binary: _binary, Reshape: _reshape, Transpose: _transpose, Dense: _dense, Pad: _pad,
    Slice: _slice,
}  # fmt: skip


def _input_in_form(network: Network) -> Network:
    """Inputs take the shape that their only reader makes of them, where it only adds or drops axes of size 1."""
    uses = network.uses()
    shapes: dict[Node, Shape] = {}
    for node in network.nodes():
        if isinstance(node.operator, Reshape) and isinstance(node.inputs[0].operator, Input):
            (source,) = node.inputs
            if uses[source] == 1 and _without_ones(source.shape) == _without_ones(node.shape) and node.shape[0] == 1:
                shapes[source] = node.shape
    if not shapes:
        return network
    return rewrite(
        network,
        lambda node, uses: replace(node, shape=shapes[node]) if node in shapes
        else _reshape(node) if isinstance(node.operator, Reshape) else node,
    )  # fmt: skip


def _without_ones(shape: Shape) -> list[int]:
    return [size for size in shape if size != 1]


def _without_twins(network: Network) -> Network:
    """What is computed twice is computed once."""
    known: dict[tuple[Any, ...], Node] = {}

    def rule(node: Node, uses: Uses) -> Node:
        key = _told(node)
        return node if key is None else known.setdefault(key, node)

    return rewrite(network, rule)


def _told(node: Node) -> tuple[Any, ...] | None:
    """What says all about a node; None for what is never the same.

    Weights may come to differ in a search, unless they are those of one layer.
    """
    operator = node.operator
    if isinstance(operator, (Input, Foreign)):
        return None
    values = vars(operator).values()
    arrays = [value for value in values if isinstance(value, np.ndarray)]
    rest = [value for value in values if not isinstance(value, np.ndarray)]
    weights = [node.name, *((value.shape, value.tobytes()) for value in arrays)] if arrays else []
    return (type(operator), *rest, *weights, *node.inputs, node.shape)


# -- windows ----------------------------------------------------------------------------------------------------------


def fold_windows(network: Network) -> Network:
    """Join zero padding and subsampling with the convolution that reads them."""
    return rewrite(network, lambda node, uses: _convolution(node))


def _convolution(node: Node) -> Node:
    if not isinstance(node.operator, (Conv, Depthwise)):
        return node
    (source,) = node.inputs
    window = node.operator.window
    if isinstance(source.operator, Pad) and source.operator.value == 0:
        batch, *space, channels = source.operator.amounts
        if batch == channels == (0, 0):
            rows, columns = (_sum(*pairs) for pairs in zip(window.pads, space, strict=True))
            return _on(node, replace(window, pads=(rows, columns)), source)
    if isinstance(source.operator, Slice) and _subsamples(source.inputs[0]) and isinstance(node.operator, Conv):
        before = _cropped_before(source)
        return node if before is None else _convolution(Node.of(node.operator, before, name=node.name))
    if _subsamples(source) and isinstance(node.operator, Conv):
        steps = source.operator.window.strides
        along = list(zip(window.size, window.strides, window.dilation, window.pads, steps, strict=True))
        rows, columns = ((before * step, after * step) for *_, (before, after), step in along)
        strides = pair(stride * step for _, stride, _, _, step in along)
        dilation = pair(rate * step if size > 1 else 1 for size, _, rate, _, step in along)
        return _on(node, Window(window.size, strides, dilation, (rows, columns)), source)
    return node


def _subsamples(node: Node) -> bool:
    """Whether it takes every so many samples, and nothing else."""
    return isinstance(node.operator, Pool) and node.operator.window.size == (1, 1)


def _cropped_before(cropped: Node) -> Node | None:
    """Some of every so many samples, as every so many of some; of samples with zeros around, with fewer of them."""
    (pool,) = cropped.inputs
    (x,) = pool.inputs
    parts = cropped.operator.ranges
    if any(part.step != 1 for part in parts) or (len(parts[0]), len(parts[3])) != (pool.shape[0], pool.shape[3]):
        return None
    front = (0, 0)
    if isinstance(x.operator, Pad) and x.operator.value == 0 and x.operator.amounts[::3] == ((0, 0), (0, 0)):
        front = pair(before for before, _ in x.operator.amounts[1:3])
        (x,) = x.inputs
    ranges, amounts = [range(x.shape[0])], [(0, 0)]
    for part, step, zeros, size in zip(parts[1:3], pool.operator.window.strides, front, x.shape[1:3], strict=True):
        start, stop = part.start * step - zeros, part[-1] * step - zeros + 1
        stop = size if stop <= size < stop + step else stop  # what a stride leaves over does no harm
        ranges.append(range(max(start, 0), min(stop, size)))
        amounts.append((max(-start, 0), max(stop - size, 0)))
    ranges.append(range(x.shape[3]))
    amounts.append((0, 0))
    if not all(map(len, ranges)):
        return None
    if any(len(part) < size for part, size in zip(ranges, x.shape, strict=True)):
        x = Node.of(Slice(tuple(ranges)), x, name=cropped.name)
    if any(map(any, amounts)):
        x = Node.of(Pad(tuple(amounts)), x, name=cropped.name)
    return pool.on(x)


def _on(node: Node, window: Window, source: Node) -> Node:
    """The convolution with another window on the input of `source`, and what it can join there, too."""
    (x,) = source.inputs
    fitted = _fitted(window, x.shape, pair(node.shape[1:3]))
    if fitted is None:
        return node
    return _convolution(Node.of(replace(node.operator, window=fitted), x, name=node.name))


def _fitted(window: Window, shape: Shape, positions: Pair) -> Window | None:
    """The window with no more zeros behind than it needs for this number of positions."""
    along = zip(shape[1:3], window.spans, window.strides, window.pads, positions, strict=True)
    rows, columns = (
        (before, max((count - 1) * stride + span - size - before, 0))
        for size, span, stride, (before, _), count in along
    )
    fitted = replace(window, pads=(rows, columns))
    return fitted if fitted.positions(shape) == positions else None


def padding_apart(network: Network) -> Network:
    """Windows that are neither "same" nor "valid" read a padded map; convolutions that pad alike share it."""
    padded: dict[tuple[Node, tuple[Pair, Pair]], Node] = {}

    def rule(node: Node, uses: Uses) -> Node:
        operator = node.operator
        if not isinstance(operator, (Conv, Depthwise)) or operator.window.padding(node.inputs[0].shape):
            return node
        (source,) = node.inputs
        pads = operator.window.pads
        if (source, pads) not in padded:
            padded[source, pads] = Node.of(Pad(((0, 0), *pads, (0, 0))), source, name=node.name)
        valid = replace(operator, window=replace(operator.window, pads=NO_PADDING))
        return Node.of(valid, padded[source, pads], name=node.name)

    return rewrite(network, rule)


def _sum(first: Pair, second: Pair) -> Pair:
    return first[0] + second[0], first[1] + second[1]
