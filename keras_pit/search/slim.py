"""A graph with search layers to the slim model: read the masks, rebuild it with stock layers, cut the weights.

Since masks act where channels are read, what is cut never reached anything, and the slim model computes what the
search model did.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np

from ..graph import _keras, rules, table
from ..graph.channels import Channels
from ..graph.kinds import kind_of
from ..graph.rebuild import copy_state, rebuild
from ..graph.remake import remake
from ..graph.weights import as_if_trained
from ..layers.kernels import KernelAxis, ShortKernel
from ..layers.layer import PITLayer
from ..layers.ownership import kept_labels
from ..layers.sums import PITAdd


def slim(model: keras.Model, channels: Channels) -> keras.Model:
    """The slim model that the masks describe.

    Args:
        model: a graph with search layers. Only read.
        channels: its channel classes.

    Raises:
        ValueError: if a mask variable is not finite.
    """
    return _Slimmer(model, channels).model()[0]


def whole(model: keras.Model, channels: Channels) -> tuple[keras.Model, dict[str, Any]]:
    """What `slim` returns with all masks open, whatever they are, after some training.

    Returns:
        The model, in which no two layers have the same name, however deep; and for each name the layer of `model`.
    """
    slim_model, new_layers = _Slimmer(model, channels, whole=True).model()
    as_if_trained(slim_model)
    names = {}
    for number, (old, new) in enumerate(new_layers.items()):
        if not isinstance(old, keras.layers.InputLayer):  # inputs are known by their names
            new.name = f"{old.name}#{number}"
        names[new.name] = old
    return slim_model, names


class _Slimmer:
    def __init__(self, search: keras.Model, channels: Channels, *, whole: bool = False) -> None:
        self.search = search
        self.channels = channels
        self.keep = np.ones(self.channels.count, bool) if whole else kept_labels(self.channels)
        self.windows = {
            layer: _window(layer, self.channels)
            for layer in channels.layers
            if not whole and isinstance(layer, PITLayer) and layer.searches_taps
        }
        self.sums = () if whole else tuple(channels.branches.places)
        self.names = _keras.names(search)

    def model(self) -> tuple[keras.Model, dict[Any, Any]]:
        """The slim model, and the new layer for each old one."""
        rebuilt = rebuild(self.search, self.new_layer, self.call, self.shape)
        for old, new in rebuilt.layers.items():
            copy_state(old, new, partial(self.cut, old))
        return keras.Model(rebuilt.inputs, rebuilt.outputs, name=self.search.name), rebuilt.layers

    def kept(self, tensor: Any) -> np.ndarray:
        """Which positions of a tensor's channel axis stay."""
        return self.keep[self.channels.of(tensor).ids]

    def shape(self, tensor: Any) -> tuple[int | None, ...]:
        """The shape a tensor of the search model has in the slim one."""
        shape = list(tensor.shape)
        ids = self.channels.of(tensor)
        if shape[ids.axis] is not None and len(shape) > 1:
            shape[ids.axis] = int(self.keep[ids.ids].sum())
        return tuple(shape)

    # -- layers -----------------------------------------------------------------------------------------------------

    def new_layer(self, layer: Any, call: _keras.OperationCall) -> Any:
        changes: dict[str, Any] = {}
        known = table.row(layer)
        roles = self.roles(layer)
        if known is not None and known.width is not None and roles:
            changes[known.width] = int(self.keep[roles["out"]].sum())
            if getattr(layer, "groups", 1) > 1 and "in" not in roles:
                changes["groups"] = int(self.keep[roles["read"]].sum())
        if layer in self.windows:
            changes.update(_kernel_arguments(layer, self.windows[layer]))
        name = kind_of(layer).__name__
        if name in _CHANGES and not self.whole(call):
            changes.update(_CHANGES[name](self, layer, call))
        return remake(layer, getattr(layer, "stock", None), **changes)

    def roles(self, layer: Any) -> dict[str, np.ndarray]:
        return self.channels.layers[layer].roles if layer in self.channels.layers else {}

    def cut(self, layer: Any, name: str, value: Any) -> np.ndarray:
        """What is left of a weight."""
        value = keras.ops.convert_to_numpy(value)
        known, roles = table.row(layer), self.roles(layer)
        if known is None or not roles:
            return value
        if name.endswith("kernel") and layer in self.windows:
            value = np.take(value, self.windows[layer].taps, axis=layer.kernel_axis)
        for axis, role in known.weights.get(name, {}).items():
            if role in roles and value.shape[axis] == len(roles[role]):
                value = np.compress(self.keep[roles[role]], value, axis=axis)
        return value

    # -- calls ------------------------------------------------------------------------------------------------------

    def call(self, new: Any, call: _keras.OperationCall, args: tuple, kwargs: dict) -> Any:
        old = call.operation
        if isinstance(old, PITAdd):
            return self.added(old, new, keras.tree.flatten((args, kwargs)))
        if old in self.windows:
            return new(self.aligned(old, args[0]))
        if not self.whole(call):
            if _keras.op_name(old) == "GetItem":
                return self.sliced(new, call, *args, **kwargs)
            known = table.row(old)
            if known is not None and known.passes is rules.merges:
                args, kwargs = keras.tree.map_structure(lambda leaf: self.constant(leaf, call), (args, kwargs))
        return new(*args, **kwargs)

    def added(self, old: PITAdd, new: Any, operands: list[Any]) -> Any:
        """The sum of those operands that are not off."""
        if old in self.sums:
            operands = [operands[place] for place in old.kept_operands(len(operands))]
        return new(operands) if len(operands) > 1 else operands[0]

    def whole(self, call: _keras.OperationCall) -> bool:
        """Whether everything that a call reads and returns stays whole."""
        return all(self.kept(tensor).all() for tensor in [*call.node.input_tensors, *call.node.outputs])

    def aligned(self, layer: PITLayer, x: Any) -> Any:
        """The input of a shortened kernel, padded, cropped and subsampled as needed."""
        found, axis, rank = self.windows[layer], layer.kernel_axis, len(layer.kernel_size)

        def per_axis(value: Any, other: Any) -> Any:
            values = [value if index == axis else other for index in range(rank)]
            return tuple(values) if rank > 1 else values[0]

        before, after = found.margins(x.shape[1 + axis])
        for kind, name, one, two in (
            ("ZeroPadding", "pad", max(before, 0), max(after, 0)),
            ("Cropping", "crop", max(-before, 0), max(-after, 0)),
        ):
            if one or two:
                resize = getattr(keras.layers, f"{kind}{rank}D")
                x = resize(per_axis((one, two), (0, 0)), name=self.name(layer, name))(x)
        if found.subsample > 1:
            pool = getattr(keras.layers, f"MaxPooling{rank}D")
            x = pool(1, per_axis(found.subsample, 1), name=self.name(layer, "subsample"))(x)
        return x

    def name(self, layer: Any, suffix: str) -> str:
        """A free name for a layer that helps another one."""
        stem = name = f"{layer.name}_{suffix}"
        number = 1
        while name in self.names:
            name, number = f"{stem}_{number}", number + 1
        self.names.add(name)
        return name

    def sliced(self, new: Any, call: _keras.OperationCall, x: Any, key: Any) -> Any:
        """A slice: positions along the channel axis are counted anew."""
        (source,) = call.node.input_tensors
        kept = self.kept(source)
        rank = len(source.shape)
        entries = list(key) if isinstance(key, (tuple, list)) else [key]
        used = sum(entry is not None and entry is not Ellipsis for entry in entries)
        where = next((i for i, entry in enumerate(entries) if entry is Ellipsis), len(entries))
        entries[where : where + 1] = [slice(None)] * (rank - used)
        axis = self.channels.of(source).axis + rank
        index = [i for i, entry in enumerate(entries) if entry is not None][axis]
        wanted = np.atleast_1d(np.arange(len(kept))[entries[index]])
        positions = (np.cumsum(kept) - 1)[wanted[kept[wanted]]]
        if isinstance(entries[index], int):
            entries[index] = int(positions[0])
        elif (np.diff(positions) == 1).all():
            entries[index] = slice(int(positions[0]), int(positions[-1]) + 1)
        else:
            x = _keras.take(x, positions.tolist(), axis, self.name(call.operation, "take"))
            entries[index] = slice(None)
        return new(x, tuple(entries))

    def constant(self, leaf: Any, call: _keras.OperationCall) -> Any:
        """An array in element-wise arithmetic: without the channels that are gone."""
        if isinstance(leaf, keras.KerasTensor) or not np.ndim(leaf):
            return leaf
        (output,) = call.node.outputs
        axis, kept = self.channels.of(output).axis, self.kept(output)
        leaf = keras.ops.convert_to_numpy(leaf)
        return np.compress(kept, leaf, axis=axis) if leaf.ndim >= -axis and leaf.shape[axis] > 1 else leaf


def _window(layer: PITLayer, channels: Channels) -> ShortKernel:
    index = layer.kernel_axis
    axis = KernelAxis(layer.kernel_size[index], layer.strides[index], layer.dilation_rate[index], layer.padding)
    return ShortKernel.of(layer.kept_taps(), axis, [site.input_shape[index] for site in channels.layers[layer].sites])


def _kernel_arguments(layer: PITLayer, found: ShortKernel) -> dict[str, Any]:
    """The constructor arguments of a layer with a shortened kernel."""

    def along(name: str, value: int) -> tuple[int, ...]:
        return tuple(value if i == layer.kernel_axis else old for i, old in enumerate(getattr(layer, name)))

    return {
        "kernel_size": along("kernel_size", len(found.taps)),
        "strides": along("strides", found.stride),
        "dilation_rate": along("dilation_rate", found.dilation),
        "padding": found.padding,
    }


def _reshape(slimmer: _Slimmer, operation: Any, call: _keras.OperationCall) -> dict[str, Any]:
    argument = "target_shape" if isinstance(operation, keras.layers.Layer) else "newshape"
    target = list(getattr(operation, argument))
    (output,) = call.node.outputs
    axis = slimmer.channels.of(output).axis
    if target[axis] != -1:
        target[axis] = int(slimmer.kept(output).sum())
    return {argument: tuple(target)}


def _noise_shape(slimmer: _Slimmer, operation: Any, call: _keras.OperationCall) -> dict[str, Any]:
    if operation.noise_shape is None:
        return {}
    noise_shape = list(operation.noise_shape)
    (output,) = call.node.outputs
    axis = slimmer.channels.of(output).axis
    if noise_shape[axis] not in (None, 1):
        noise_shape[axis] = int(slimmer.kept(output).sum())
    return {"noise_shape": tuple(noise_shape)}


def _split(slimmer: _Slimmer, operation: Any, call: _keras.OperationCall) -> dict[str, Any]:
    (source,) = call.node.input_tensors
    rank = len(source.shape)
    axis = operation.axis if operation.axis < 0 else operation.axis - rank
    if axis != slimmer.channels.of(source).axis:
        return {}
    kept = slimmer.kept(source)
    sections = operation.indices_or_sections
    if isinstance(sections, int):
        sections = [len(kept) // sections * i for i in range(1, sections)]
    return {"indices_or_sections": [int(kept[:index].sum()) for index in sections]}


_CHANGES = {"Reshape": _reshape, "Split": _split, "Dropout": _noise_shape, "AlphaDropout": _noise_shape}
"""Arguments that count channels, by the name of the layer or operation."""
