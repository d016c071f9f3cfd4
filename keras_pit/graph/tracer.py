"""Finds the channel classes of a model (`channels.Channels`), by running its graph on integer ids instead of floats.

Each call of an operation is a visit to a rule (see `rules`, `table`): it makes ids, passes them on, ties them together
(see `classes`), moves them, or freezes them, and remembers for each axis of the weights which ids it stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from ..costs.geometry import Site, space
from . import _keras, table
from .branches import Branches
from .channels import Channels, Group, LayerChannels
from .classes import Classes, Ids
from .inside import Inside
from .rules import Visit, elementwise_activation
from .specs import output_spec

TRIAL_LENGTHS = (64, 256, 1024, 4096)
"""Lengths tried for axes of the input whose length is left open."""


def trace(
    model: keras.Model,
    closed: Callable[[keras.layers.Layer], str | None] = lambda layer: None,
    opens: Callable[[keras.layers.Layer], bool] = lambda layer: False,
    branches: Branches | None = None,
) -> Channels:
    """Find the channel classes of a model.

    Args:
        model: Functional or built Sequential model.
        closed: tells for a layer why its output channels shall not be searched (None: they may).
        opens: tells for an input layer whether the channels of the input may go, too.
        branches: those of the model that may vanish; None: none.

    Raises:
        ValueError: if the graph reads a variable that belongs to no layer.
    """
    is_open = any(None in tensor.shape[1:] for tensor in _keras.graph(model).inputs)
    for length in TRIAL_LENGTHS if is_open else (1,):
        tracer = _Tracer(closed, opens, branches or Branches(), length, is_open)
        try:
            tracer.run(model)
        except _TooShort:
            continue
        return tracer.result()
    raise ValueError(
        f"Model '{model.name}' has inputs of open length and did not accept any of the lengths {TRIAL_LENGTHS}: "
        "give it a fixed input shape."
    )


class _TooShort(Exception):
    """The trial length of an open axis does not get through the model."""


class _Tracer:
    def __init__(
        self,
        closed: Callable[[keras.layers.Layer], str | None],
        opens: Callable[[keras.layers.Layer], bool],
        branches: Branches,
        length: int,
        is_open: bool,
    ) -> None:
        self.classes = Classes()
        self.closed = closed
        self.opens = opens
        self.branches = branches
        self.length = length
        self.open = is_open
        self.memory: dict[Any, dict[str, np.ndarray]] = {}
        self.sites: dict[Any, list[Site]] = {}
        self.tensors: dict[int, Ids] = {}
        self.frozen: dict[Any, str] = {}
        self.inside = Inside()

    def run(self, model: keras.Model) -> None:
        inputs = [self.input(tensor) for tensor in _keras.graph(model).inputs]
        outputs = keras.tree.flatten(self.interpret(model, inputs))
        for name, x in zip(model.output_names, outputs, strict=True):
            self.classes.keep(x.ids, f"reaches the output '{name}'")

    def input(self, tensor: Any) -> Ids:
        """The ids of an input: those of a layer that makes its channels, if they may go."""
        layer, shape = _keras.input_layer(tensor), self.concrete(tensor.shape)
        if len(shape) == 1 or not self.opens(layer):
            return self.classes.kept_like(shape, f"reaches the input '{layer.name}'")
        ids = self.classes.fresh(shape[-1])
        self.memory[layer] = {"out": ids}
        if tensor.shape[-1] is None:
            self.classes.keep(ids, "is an input of open length")
        elif not keras.backend.is_float_dtype(tensor.dtype):
            self.classes.keep(ids, f"is an input of {tensor.dtype}")
        return Ids(shape, -1, ids)

    def concrete(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        return (1, *(self.length if size is None else size for size in shape[1:]))

    def interpret(self, model: keras.Model, inputs: list[Ids]) -> Any:
        self.tensors.update(zip(map(id, _keras.graph(model).inputs), inputs, strict=True))
        outputs = _keras.run(model, inputs, self.visit)
        return outputs

    def visit(self, call: _keras.OperationCall, args: tuple, kwargs: dict) -> Any:
        operation = call.operation
        if any(isinstance(leaf, keras.Variable) for leaf in keras.tree.flatten((args, kwargs))):
            raise ValueError(
                f"'{operation.name}' reads a variable that belongs to no layer, which would be lost in a new model: "
                "put the computation into a layer (keras.layers.Layer with add_weight)."
            )
        if _keras.is_graph(operation):
            outputs = keras.tree.flatten(self.nested(operation, args, kwargs))
        else:
            outputs = keras.tree.flatten(self.apply(call, args, kwargs))
        self.tensors.update(zip(map(id, call.node.outputs), outputs, strict=True))
        return outputs

    def nested(self, model: keras.Model, args: tuple, kwargs: dict) -> Any:
        """A model in a model: its calls read tied channels, so that one slim copy serves them all."""
        inputs = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, Ids)]
        earlier = [self.tensors.get(id(tensor)) for tensor in _keras.graph(model).inputs]
        for index, (x, before) in enumerate(zip(inputs, earlier, strict=True)):
            if before is not None:
                inputs[index] = x = self.classes.along(x, before.axis)
                self.classes.tie(x.ids, before.ids)
        self.memory.setdefault(model, {})
        return self.interpret(model, inputs)

    def apply(self, call: _keras.OperationCall, args: tuple, kwargs: dict) -> Any:
        operation = call.operation
        known = table.row(operation)
        shapes = self.output_shapes(call, args, kwargs)
        visit = Visit(
            self.classes,
            operation,
            args,
            kwargs,
            shapes,
            self.memory.setdefault(operation, {}),
            self.why_closed(operation),
            self.frozen,
        )
        if table.cost_row(operation) is not None:
            self.sites.setdefault(operation, []).append(self.site(call, visit))
        elif known is None:
            self.inside.look(operation, *self.symbolic(call, visit))
        rule = table.rules.freezes if known is None or _altered(operation) else known.passes
        return rule(visit)

    def why_closed(self, operation: Any) -> str | None:
        if not isinstance(operation, keras.layers.Layer):
            return None
        if not elementwise_activation(getattr(operation, "activation", None)):
            return "has an activation that mixes channels or is unknown"
        if not operation.trainable:
            return "belongs to a layer with trainable=False"
        return self.closed(operation)

    def output_shapes(self, call: _keras.OperationCall, args: tuple, kwargs: dict) -> tuple[Any, ...]:
        known = call.output_shapes
        if all(None not in shape[1:] for shape in known):
            return tuple((1, *shape[1:]) for shape in known)

        def symbolic(leaf: Any) -> Any:
            return keras.KerasTensor(leaf.shape) if isinstance(leaf, Ids) else leaf

        args, kwargs = keras.tree.map_structure(symbolic, (args, kwargs))
        try:
            specs = keras.tree.flatten(output_spec(call.operation, args, kwargs))
        except ValueError as error:
            raise _TooShort from error
        shapes = tuple(tuple(spec.shape) for spec in specs)
        if any(None in shape or 0 in shape for shape in shapes):
            raise _TooShort
        return shapes

    def symbolic(self, call: _keras.OperationCall, visit: Visit) -> tuple[tuple, dict]:
        """The arguments of a call with symbolic tensors, of fixed shapes unless the model's inputs are open."""
        given = iter(visit.inputs)

        def tensor(leaf: Any) -> Any:
            if not isinstance(leaf, keras.KerasTensor):
                return leaf
            fixed = next(given).shape
            return keras.KerasTensor(leaf.shape if self.open else fixed, leaf.dtype)

        arguments = call.node.arguments
        return keras.tree.map_structure(tensor, (arguments.args, arguments.kwargs))

    def site(self, call: _keras.OperationCall, visit: Visit) -> Site:
        read: Any = visit.inputs[0].shape
        made: Any = visit.shapes[0]
        if self.open:
            read, made = call.node.input_tensors[0].shape, call.output_shapes[0]
        return Site(space(call.operation, read), space(call.operation, made))

    def result(self) -> Channels:
        labels = self.labels()
        layers = {
            operation: self.layer_channels(operation, memory, labels)
            for operation, memory in self.memory.items()
            if isinstance(operation, keras.layers.Layer) or operation in self.branches.places
        }
        tensors = {key: replace(x, ids=labels[x.ids]) for key, x in self.tensors.items()}
        count = int(labels.max(initial=0)) + 1
        groups = _groups(layers, tensors, count)
        unknown = tuple(self.inside.unknown)
        return Channels(layers, groups, tensors, count, self.frozen, unknown, self.branches)

    def labels(self) -> np.ndarray:
        """For each id the label of its class."""
        roots = self.classes.roots(np.arange(len(self.classes._parent)))
        kept = np.isin(roots, [0, *self.classes.reasons()])
        labels = np.zeros(len(roots), np.int64)
        # Number the classes in the order in which they are made.
        labels[~kept] = np.unique(roots[~kept], return_inverse=True)[1] + 1
        return labels

    def layer_channels(self, layer: Any, memory: dict[str, np.ndarray], labels: np.ndarray) -> LayerChannels:
        known = table.row(layer)
        is_input = isinstance(layer, keras.layers.InputLayer)
        makes = "out" in memory and (is_input or (known is not None and known.width is not None))
        made = memory["out"] if makes else np.zeros(0, np.int64)
        frozen = None
        if makes and not labels[made].any():
            frozen = self.classes.reasons()[int(self.classes.roots(made[:1])[0])]
        elif layer in self.frozen:
            frozen = self.frozen[layer]
        return LayerChannels(
            {role: labels[ids] for role, ids in memory.items()},
            tuple(self.sites.get(layer, ())),
            labels[made],
            frozen,
            self.inside.altered(layer) if layer in self.sites else self.inside.stages(layer),
        )


def _altered(operation: Any) -> bool:
    """Whether a layer's weights are not what its type promises."""
    return bool(getattr(operation, "lora_enabled", False) or getattr(operation, "quantization_mode", None))


def _groups(layers: dict[Any, LayerChannels], tensors: dict[int, Ids], count: int) -> tuple[Group, ...]:
    """Split the labels by who makes them and which tensors they stand in.

    A tensor then consists of whole groups, so that keeping one channel of each group keeps every tensor alive.
    """
    part = np.zeros(count, np.int64)
    parts = 1
    owner: dict[int, Any] = {}
    for layer, channels in layers.items():
        for label in channels.made:
            owner.setdefault(int(label), layer)
    members = [channels.made for channels in layers.values()] + [x.ids for x in tensors.values()]
    for labels in members:
        touched = np.unique(labels)
        _, refined = np.unique(part[touched], return_inverse=True)
        part[touched] = refined + parts
        parts += int(refined.max(initial=0)) + 1
    groups: dict[int, list[int]] = {}
    for label in range(1, count):
        groups.setdefault(int(part[label]), []).append(label)
    return tuple(Group(owner[labels[0]], np.array(labels)) for labels in groups.values())
