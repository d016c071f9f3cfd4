"""What a sweep works with, in one file: data, the user's functions, and what the user has registered.

    Job(Data(x, y, options), Samples(x, y), calibration, train) --write--> job.pickle --read--> the same, in any process

Functions and classes of a script or notebook travel by value (cloudpickle), those of modules by name; so the paths
that modules are imported from come first in the file. A `tf.data.Dataset` travels as its graph: what it shuffles and
draws at random, it shuffles and draws anew in each epoch. Layers, losses and costs that the user has registered under
a name are registered again, and so are boards.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from .. import boards, costs
from .samples import Samples
from .store import write

IGNORE = 1
"""What TensorFlow shall do about state outside of a dataset's graph, as that of generators of random numbers."""
PYTHON = "PyFunc", "PyFuncStateless", "EagerPyFunc"
"""Operations that call Python code."""


@dataclass(frozen=True)
class Data:
    """What `fit` is given."""

    x: Any = None
    y: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of `fit`."""


@dataclass(frozen=True)
class Job:
    """What the steps of a sweep need, beside the plan."""

    data: Data | None
    validation: Samples
    calibration: Any
    """Inputs from which the ranges of integers are taken."""
    train: Callable[..., Any] | None
    """The user's own training."""


def save(job: Job, path: Path) -> None:
    """Write a job to a file.

    Raises:
        ValueError: if something in it cannot leave this process.
    """
    import cloudpickle

    registered = (_custom_objects(), _own_costs(), [boards.get(name) for name in boards.names()])
    data = None if job.data is None else Data(_packed(job.data.x), job.data.y, job.data.options)
    content = (registered, Job(data, job.validation, job.calibration, job.train))
    try:
        write(path, cloudpickle.dumps(list(sys.path)) + cloudpickle.dumps(content))
    except Exception as error:
        raise ValueError(
            f"The data or functions of a sweep cannot be passed to other processes: {error}. Expected arrays, a "
            "tf.data.Dataset without Python code in it, a keras.utils.PyDataset or functions that cloudpickle can "
            "write. Open files and connections inside of your function or class, not before."
        ) from error


def load(path: Path) -> Job:
    """Read a job, and register what the user has registered."""
    with path.open("rb") as file:
        sys.path.extend(entry for entry in pickle.load(file) if entry not in sys.path)
        (objects, metrics, known), job = pickle.load(file)
    for name, one in objects.items():
        _register(name, one)
    for metric in metrics:
        costs.register(metric.name, whole=metric.whole, replace=True)(metric.function)
    for board in known:
        if board.name not in boards.names():
            boards.register(board)
    if job.data is None:
        return job
    return Job(Data(_unpacked(job.data.x), job.data.y, job.data.options), job.validation, job.calibration, job.train)


@dataclass(frozen=True)
class _Graph:
    """A `tf.data.Dataset` as a file can hold it."""

    content: bytes
    spec: Any


def _packed(x: Any) -> Any:
    if not isinstance(x, tf.data.Dataset):
        return x
    variant = tf.data.experimental.to_variant(x)
    content = tf.raw_ops.DatasetToGraphV2(input_dataset=variant, external_state_policy=IGNORE).numpy()
    graph = tf.compat.v1.GraphDef.FromString(content)
    nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
    if any(node.op in PYTHON for node in nodes):
        raise ValueError(
            "This tf.data.Dataset calls Python code (from_generator, py_function, ...), which cannot be passed to "
            "other processes. Pass the data as arrays or as a keras.utils.PyDataset, or a function train(model, stage) "
            "that makes the dataset and calls `fit`."
        )
    return _Graph(content, x.element_spec)


def _unpacked(x: Any) -> Any:
    if not isinstance(x, _Graph):
        return x
    return tf.data.experimental.from_variant(tf.raw_ops.DatasetFromGraph(graph_def=x.content), x.spec)


def _custom_objects() -> dict[str, Any]:
    found = keras.saving.get_custom_objects()
    return {name: one for name, one in found.items() if not _module(one).startswith(("keras_pit.", "keras."))}


def _own_costs() -> list[Any]:
    return costs.registry.own()


def _module(one: Any) -> str:
    return getattr(one, "__module__", None) or ""


def _register(name: str, one: Any) -> None:
    if keras.saving.get_registered_object(name) is not None:
        return
    package, mark, short = name.partition(">")
    if mark:
        keras.saving.register_keras_serializable(package, short)(one)
    else:
        keras.saving.get_custom_objects()[name] = one
