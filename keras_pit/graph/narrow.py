"""Open lengths of a model made fixed: a model that was built for (None, 3) as one for (60, 3).

Costs depend on lengths, and so does what a microcontroller runs. The weights do not, so the same layers are called on
inputs of fixed shape. Models inside of the model are narrowed, too, where all their calls have one length.
"""

from __future__ import annotations

from typing import Any

import keras

from . import _keras
from .rebuild import renewed
from .specs import output_spec

Shape = tuple[int | None, ...]


def narrowed(model: keras.Model, input_shape: Any) -> keras.Model:
    """The model for inputs of these shapes; itself if that is what it is for.

    Args:
        model: Functional or built Sequential model. Left untouched.
        input_shape: shape of one sample, without batch (a list of shapes for several inputs); None: as it is.

    Raises:
        ValueError: if it is built for other shapes, or does not accept these.
    """
    shapes = narrower(model, input_shape)
    inputs = _keras.graph(model).inputs
    if all(shapes[id(tensor)] == tuple(tensor.shape) for tensor in inputs):
        return model
    try:
        _propagate(model, [keras.KerasTensor(shapes[id(x)], dtype=x.dtype) for x in inputs], shapes)
        return renewed(model, lambda tensor: shapes[id(tensor)])
    except ValueError as error:
        raise ValueError(f"Model '{model.name}' does not accept `input_shape` {input_shape}: {error}") from error


def narrower(model: keras.Model, input_shape: Any) -> dict[int, Shape]:
    """The shapes of a model's inputs with their batch, by identity, open lengths filled from `input_shape`.

    Raises:
        ValueError: if one has another rank or length.
    """
    inputs = _keras.graph(model).inputs
    built = [tuple(tensor.shape) for tensor in inputs]
    if input_shape is None:
        return dict(zip(map(id, inputs), built, strict=True))
    wanted: list[Shape] = []
    keras.tree.map_shape_structure(lambda shape: wanted.append(tuple(shape)), input_shape)
    if len(wanted) != len(built) or not all(_fits(one, other[1:]) for one, other in zip(wanted, built, strict=True)):
        raise ValueError(
            f"Model '{model.name}' is built for inputs of shape {[shape[1:] for shape in built]}, but `input_shape` "
            f"says {wanted}: leave the argument away, or give lengths to what is open (None) and nothing else."
        )
    filled = [(batch, *_filled(shape, one)) for one, (batch, *shape) in zip(wanted, built, strict=True)]
    return dict(zip(map(id, inputs), filled, strict=True))


def _fits(wanted: Shape, built: Shape) -> bool:
    """Whether a shape says the same as another one, but for lengths that one of them leaves open."""
    return len(wanted) == len(built) and all(
        size is None or length in (None, size) for size, length in zip(wanted, built, strict=True)
    )


def _filled(shape: Any, other: Any) -> Shape:
    return tuple(size if size is not None else length for size, length in zip(shape, other, strict=True))


def _propagate(model: keras.Model, inputs: list[Any], shapes: dict[int, Shape]) -> Any:
    """Find the shapes of the inputs of all models inside of a model, where the calls of each agree."""
    called: dict[int, list[Shape]] = {}

    def visit(call: _keras.OperationCall, args: tuple, kwargs: dict) -> Any:
        operation = call.operation
        if not _keras.is_graph(operation):
            return output_spec(operation, args, kwargs)
        given = [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, keras.KerasTensor)]
        for tensor, x in zip(_keras.graph(operation).inputs, given, strict=True):
            called.setdefault(id(tensor), []).append(tuple(x.shape))
            built = shapes.setdefault(id(tensor), tuple(tensor.shape))
            lengths = zip(*called[id(tensor)], strict=True)
            agreed = tuple(sizes[0] if len(set(sizes)) == 1 else None for sizes in lengths)
            shapes[id(tensor)] = _filled(tensor.shape, agreed) if len(agreed) == len(built) else built
        return _keras.run(operation, given, visit)

    return _keras.run(model, inputs, visit)
