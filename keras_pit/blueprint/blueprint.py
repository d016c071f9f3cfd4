"""What a microcontroller would run of a model, operator by operator, before any file is made.

The lowered network of a model (see `lowering`) becomes a `Program`, which the costs of a device read. For a search
model the sizes are soft: the network is that of the seed, each channel axis in it has the labels of its channels (see
`channels`), and the masks say how many of them stay:

    conv "a" makes the labels 1 2 3 4              CONV_2D (1, 1, T, 3) -> (1, 1, T, sum of the mask of 1 2 3 4)
    conv "b" reads them, its kernel is searched    PAD and CONV_2D, zeros and taps by the state of its masks

Operators run in the order that needs the least arena (see `costs.schedule`). Which one that is depends on the masks, so
a search has all orders of each stretch that branches (see `costs.undecided`).

A kernel that gets shorter needs other padding, too: a causal one less of it, a "same" one that lost taps on one side a
PAD of its own. The states of a kernel are few and known beforehand, so this is looked up by the number of the state.

What the lowering only calls as it is, as recurrent layers, may become any number of operators: it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import keras

from .. import lowering
from ..costs.program import Program, Stretch
from ..costs.schedule import arranged, choices, written
from ..graph import _keras
from ..graph.channels import Channels
from ..graph.precision import in_float32
from ..layers.layer import PITLayer
from ..layers.ownership import masks_of
from ..layers.reader import Reader
from ..lowering import Network, Node
from ..lowering import operators as kinds
from .axes import ChannelAxis, axis_of, read_by
from .folds import folds_of
from .orders import Nodes
from .parts import Parts
from .plain import PlainWriter
from .scales import rescaled
from .states import States, searches_kernel
from .sums import needs_of, sums_of
from .writer import Writer


@dataclass(frozen=True, eq=False)
class Blueprint(Parts):
    """A lowered network, and what is searched in it."""

    variants: tuple[Blueprint, ...] = ()
    """The same network as the file may have it, where scales turn out to be equal (see `scales`)."""

    @classmethod
    def of(cls, model: keras.Model) -> Blueprint:
        """The blueprint of a plain model: all sizes are numbers.

        Raises:
            ValueError: if an input has an open length, or a layer has operators that are not known beforehand.
        """
        network, *others = _lowered(model, {})
        return cls(network, {}, {}, {}, variants=tuple(cls(other, {}, {}, {}) for other in others))

    @classmethod
    def searched(cls, whole: keras.Model, layers: Mapping[str, Any], channels: Channels) -> Blueprint:
        """The blueprint of a search model.

        Args:
            whole: what it exports with all masks open, its layers renamed so that no two have the same name.
            layers: the layers of the search model by these names.
            channels: of the search model.

        Raises:
            ValueError: as `of`.
        """
        network, *others = (cls._searched(network, layers, channels) for network in _lowered(whole, layers))
        return replace(network, variants=tuple(others))

    @classmethod
    def _searched(cls, network: Network, layers: Mapping[str, Any], channels: Channels) -> Blueprint:
        axes: dict[Node, ChannelAxis] = {}
        kernels: dict[Node, tuple[PITLayer, States]] = {}
        for node in network.nodes():
            layer = layers.get(node.name)
            roles = channels.layers[layer].roles if layer in channels.layers else {}
            axes |= read_by(node, axes, roles.get("in"))
            axes[node] = axis_of(node, [axes[source] for source in node.inputs], roles.get("out"))
            if isinstance(layer, PITLayer) and searches_kernel(layer, node):
                kernels[node] = (layer, States(node, layer))
        masks = {node: (axis.axis, masks_of(channels, axis.labels)) for node, axis in axes.items() if axis.labels.any()}
        sums = sums_of(network, layers)
        needs = needs_of(network.nodes(), network.outputs, sums) if sums else {}
        return cls(network, masks, kernels, folds_of(network, kernels, layers), sums, needs)

    def program(self, reader: Reader | None = None) -> Program:
        """The operators and tensors; of a search model with the sizes that the reader's masks leave."""
        if self.is_searched:
            reader = reader or Reader()
            program = replace(
                Writer(self, reader).build(self.nodes), stretches=self.stretches, plain=partial(self._plain, reader)
            )
        else:
            program = arranged(Writer(self, Reader()).build(self.network.nodes()))
        return replace(program, variants=tuple(variant.program(reader) for variant in self.variants))

    def _plain(self, reader: Reader, windows: frozenset[str]) -> Program:
        """The program with a single operator for each kernel that is searched, but in layers that see whole windows."""
        return PlainWriter(self, reader, windows).build(self.nodes)

    @cached_property
    def nodes(self) -> list[Node]:
        """All nodes, in the order in which their operators are written (see `costs.listing`)."""
        writer = self._whole()
        program = writer.build(self.network.nodes())
        runs = {n: turn for turn, place in enumerate(written(program)) for n in program.operators[place].outputs}
        # Inputs come first, in the model's order; what an operator does in passing, behind it.
        turns = {node: place - len(self.network.inputs) for place, node in enumerate(self.network.inputs)}
        turns = {node: runs.get(number, -1) for node, number in writer.numbers.items()} | turns
        return sorted(self.network.nodes(), key=turns.__getitem__)

    @cached_property
    def branches(self) -> list[Nodes]:
        """The stretches of nodes that can run in several orders."""
        writer, turns = self._whole(), {node: turn for turn, node in enumerate(self.nodes)}
        found = [Nodes.of(stretch, writer.nodes, turns) for stretch in choices(writer.build(self.nodes))]
        return [nodes for nodes in found if len(nodes.orders) > 1]

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """The operators in each of them, the same in every state of the masks."""
        if not self.branches:
            return ()
        owners = {id(one): one for _, masks in self.masks.values() for one in masks.owners}
        layers = owners | {id(layer): layer for layer, _ in self.kernels.values()}
        layers |= {id(branch.sum): branch.sum for need in self.needs.values() for branch in need.branches}
        with _keras.outside_of_calls():
            writer = Writer(self, Reader.off(layers.values()))
            program = writer.build(self.nodes)
        return tuple(nodes.operators(program, writer.nodes) for nodes in self.branches)

    def _whole(self) -> Writer:
        """Writes down the network with nothing switched off."""
        return Writer(Parts(self.network, {}, {}, {}), Reader())


def _lowered(model: keras.Model, originals: Mapping[str, Any]) -> list[Network]:
    """The operators of a model, if all of them are known, in all variants.

    Args:
        model: the model.
        originals: layers whose names messages give instead.
    """
    for tensor in _keras.graph(model).inputs:
        if None in tensor.shape[1:]:
            raise ValueError(
                f"Input '{_keras.input_name(tensor)}' of model '{model.name}' has the shape {tuple(tensor.shape[1:])}: "
                "flash, RAM and latency depend on its open length (None). Build the model with a fixed one, as in "
                f"keras.Input({tuple(size or 128 for size in tensor.shape[1:])}), or use the cost 'size'."
            )
    network = lowering.lower_with_padding(in_float32(model))
    refuse_unknown(network, model, originals)
    return rescaled(network, sums_of(network, originals))


def refuse_unknown(network: Network, model: keras.Model, originals: Mapping[str, Any]) -> None:
    """Refuse layers that become operators which only the converter knows.

    Raises:
        ValueError: names them.
    """
    nodes = network.nodes()
    unknown = [node.name for node in nodes if isinstance(node.operator, kinds.Foreign)]
    if not unknown:
        return
    known = {node.name for node in nodes if node.name in unknown and hasattr(node.operator, "kernel")}
    layers = {layer.name: layer for layer in _keras.all_layers(model)}
    names = {name: getattr(originals.get(name), "name", name) for name in unknown}
    found = [_described(layers.get(name), shown, name in known) for name, shown in names.items()]
    more = f" and {len(found) - _MOST} more" * (len(found) > _MOST)
    raise ValueError(
        f"Flash, RAM and latency of model '{model.name}' are not known before it is converted, because of "
        f"{', '.join(found[:_MOST])}{more}: expected layers of which each becomes known TFLite operators. Convert it "
        "with keras_pit.to_tflite, and pass the file to keras_pit.fits or profile; or use the costs 'size' or 'macs'."
    )


_MOST = 5
"""Layers that a message names."""


def _described(layer: Any, name: str, is_known: bool) -> str:
    """A layer, or the activation of one that is known itself."""
    if layer is None:
        return f"operation '{name}'"
    function = getattr(layer, "activation", None) if is_known else None
    of = f"the activation {getattr(function, '__name__', function)} of " * (function is not None)
    return f"{of}layer '{name}' ({type(layer).__name__})"
