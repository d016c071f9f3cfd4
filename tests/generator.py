"""Random small networks of every kind of graph: what the laws are tested on.

    model = random_network(7)      the same seed makes the same network, weights included
    data(model, rng)               a batch that it takes
    arguments(model, rng)          arguments of `convert` for it
    random_masks(search, rng)      any state that a search can reach

A network is a chain of random *steps* from an input to a head. A step takes a tensor of shape (batch, time, channels)
or (batch, rows, columns, channels) and returns another one. It may branch, call a layer twice, put in a model, and so
on; one more kind of graph is one more step. Tensors are tiny, so that thousands of networks can be tested.

    python tests/generator.py 7    prints the network

Steps in a row are in `random_steps`, those that branch in `random_branches`, what they share in `random_net`.
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import random_branches  # noqa: F401 - registers steps
import random_steps  # noqa: F401 - registers steps
from random_net import SEARCHES, Net

import keras_pit
from keras_pit.layers.ownership import presence


def random_network(seed: int) -> keras.Model:
    """A network with random weights."""
    keras.utils.set_random_seed(seed % 2**31)
    net = Net(seed)
    model = net.finish(net.walk(net.start(), net.integer(2, 7)))
    for layer in model.layers:
        if net.chance(0.03):
            layer.trainable = False
    randomize(model, net.rng)
    return model


def randomize(model: keras.Model, rng: np.random.Generator) -> None:
    """Give every weight a random value, of a size that keeps the outputs moderate."""
    for weight in model.weights:
        values = rng.normal(size=weight.shape)
        if weight.name == "moving_variance":
            values = rng.uniform(0.5, 2.0, weight.shape)
        elif weight.name == "gamma":
            values = rng.choice([-1.0, 1.0], weight.shape) * rng.uniform(0.5, 1.5, weight.shape)
        elif "kernel" in weight.name:
            across = weight.shape[-2] if weight.name == "depthwise_kernel" else 1
            values = values * (1.2 / np.sqrt(values[..., 0].size / across))
        elif weight.name in ("mean", "variance", "count"):
            continue  # what a Normalization layer has adapted to
        else:
            values = 0.5 * values
        weight.assign(values.astype("float32"))


def random_masks(search: Any, rng: np.random.Generator, density: float | None = None) -> None:
    """Give every mask variable random values in [0, 1], about `density` of them above 0.5; None: varied."""
    for variable in keras_pit.mask_variables(search):
        share = rng.choice([0.0, 0.1, 0.3, 0.6, 0.9, 1.0]) if density is None else density
        on = rng.random(variable.shape) < share
        values = np.where(on, rng.uniform(0.51, 1.0, variable.shape), rng.uniform(0.0, 0.5, variable.shape))
        # Ties among the strongest, and the threshold itself, which is off.
        variable.assign(np.round(values, 1) if rng.random() < 0.3 else values)


def arguments(model: keras.Model, rng: np.random.Generator) -> dict[str, Any]:
    """Random arguments for `convert`, the default ones more often than not."""
    result: dict[str, Any] = {"regularizer": str(rng.choice(["size", "macs"]))}
    if rng.random() < 0.35:
        result["search"] = SEARCHES[rng.integers(len(SEARCHES))]
    if rng.random() < 0.2:
        layer = model.layers[rng.integers(len(model.layers))]
        result["exclude"] = layer.name if rng.random() < 0.5 else type(layer)
    if rng.random() < 0.3:
        result["round_to"] = int(rng.choice([2, 4]))
    if rng.random() < 0.3:
        result["search"] = (*result.get("search", SEARCHES[0]), "inputs")
    if rng.random() < 0.5:
        result["search"] = (*result.get("search", SEARCHES[0]), "branches")
    return result


def data(model: keras.Model, rng: np.random.Generator, batch: int = 2) -> Any:
    """A batch for a model, in the structure of its inputs."""

    def values(tensor: Any) -> np.ndarray:
        shape = (batch, *(size or 24 for size in tensor.shape[1:]))
        if tensor.dtype == "int32":
            return rng.integers(0, 7, shape).astype("int32")
        return rng.normal(size=shape).astype("float32")

    return keras.tree.map_structure(values, model.input)


def read(search: Any, x: Any) -> Any:
    """What the exported model takes of a batch: the channels of its inputs that are still read."""
    known = {each.name: list(each.read) for each in keras_pit.summary(search).inputs}
    values = [
        value[..., known[name]] if (name := tensor._keras_history.operation.name) in known else value
        for tensor, value in zip(search.inputs, keras.tree.flatten(x), strict=True)
    ]
    return keras.tree.pack_sequence_as(x, values)


def gone(search: Any) -> set[str]:
    """The names of what the exported model has not, as the branches that need it are off."""
    branches = search.channels.branches
    sums = [one for one in branches.places if len(one.kept_operands(len(one.input))) == 1]
    return {one.name for one in [*sums, *(one for one, need in branches.needs.items() if not presence(need))]}


def describe(model: keras.Model, indent: str = "") -> str:
    """The network, a line for each operation."""
    lines = []
    for operation in getattr(model, "operations", model.layers):
        shapes = [tuple(node.outputs[0].shape[1:]) for node in operation._inbound_nodes]
        lines.append(f"{indent}{operation.name} ({type(operation).__name__}) {shapes}")
        if isinstance(operation, keras.Model):
            lines.append(describe(operation, indent + "    "))
    return "\n".join(lines)


if __name__ == "__main__":
    print(describe(random_network(int(sys.argv[1]))))
