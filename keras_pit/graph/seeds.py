"""Any Keras model as a graph: what `convert`, `cost` and `summary` do to a model before they look at it.

Functional and Sequential models are graphs already, unless they have a `call` of their own. Such a model, and a
subclassed one, is traced: its `call` is run once on symbolic inputs. Whatever it takes, the user's model is afterwards
as it was.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import keras

from .. import checks
from . import _keras
from .narrow import narrowed, narrower
from .remake import remake

FUNCTIONAL_CURE = (
    "Write it with the functional API (inputs = keras.Input(...); model = keras.Model(inputs, outputs)), with Keras "
    "layers and keras.ops only."
)

STEPS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics", "fit")
"""Methods of a model that a conversion could not carry over."""


@contextlib.contextmanager
def functional(model: Any, input_shape: Any = None) -> Iterator[keras.Model]:
    """The graph of a model, for as long as the context lasts.

    Args:
        model: Functional, Sequential or subclassed model.
        input_shape: shape of one sample (list of shapes for several inputs), for models that are not built, or to
            narrow open lengths (None) of one that is.

    Raises:
        TypeError: if it is no model, or has its own training step.
        ValueError: if it is not built and `input_shape` is missing, is built for other shapes, or cannot be traced.
    """
    _refuse_own_steps(require_model(model))
    with _graph(model, input_shape) as view:
        for inner in own_calls(view):
            raise ValueError(
                f"Model '{inner.name}' ({type(inner).__name__}) inside of '{model.name}' has a call of its own beside "
                f"its graph, which would be lost. Use what that call makes: x = {inner.name}.call(x) in place of "
                f"x = {inner.name}(x)."
            )
        yield view


def require_model(model: Any) -> keras.Model:
    """Return what is a Keras model.

    Raises:
        TypeError: if it is not.
    """
    if isinstance(model, keras.Model):
        return model
    kinds = type(model).__mro__
    if any(kind.__module__.partition(".")[0] == "tf_keras" for kind in kinds):
        raise TypeError(
            f"Expected a keras.Model, received a {type(model).__name__} of tf_keras, which is Keras 2: build it with "
            "the layers of Keras 3 (import keras), and copy the weights: new.set_weights(old.get_weights())."
        )
    if isinstance(model, (str, os.PathLike)):
        cure = " Load it first: keras.models.load_model(path)."
    elif isinstance(model, type) and issubclass(model, keras.Model):
        cure = f" Make a model of it: {model.__name__}()."
    elif isinstance(model, keras.Layer):
        cure = " Put it into one: keras.Sequential([keras.Input(shape), layer])."
    else:
        cure = ""
    raise TypeError(f"Expected a keras.Model, received {checks.described(model)}.{cure}")


def own_calls(model: Any) -> Iterator[Any]:
    """The Functional and Sequential models, of a graph and those inside of it, that compute something else than theirs.

    Their class has a `call` of its own.
    """
    if not _keras.is_graph(model):
        return
    if _has_own_call(model):
        yield model
    for call in _keras.calls(model):
        yield from own_calls(call.operation)


def _has_own_call(model: keras.Model) -> bool:
    return type(model).call not in (_keras.Functional.call, keras.Sequential.call)


@contextlib.contextmanager
def _graph(model: keras.Model, input_shape: Any) -> Iterator[keras.Model]:
    if isinstance(model, keras.Sequential) and not (model.built and _has_own_call(model)):
        with _built_sequential(model, input_shape) as view:
            yield view
    elif _keras.is_graph(model) and not _has_own_call(model):
        yield narrowed(model, input_shape)
    elif _keras.is_graph(model):
        shapes = narrower(model, input_shape)
        with _keras.untouched(model):
            yield _traced(
                model, keras.tree.map_structure(lambda tensor: _like(tensor, shapes), _keras.input_structure(model))
            )
    else:
        with _keras.untouched(model):
            yield _traced(model, _inputs(model, input_shape))


def _refuse_own_steps(model: keras.Model) -> None:
    stock = (keras.Model, keras.Sequential, _keras.Functional)
    for name in STEPS:
        if not any(getattr(type(model), name) is getattr(kind, name) for kind in stock):
            raise TypeError(
                f"Model '{model.name}' ({type(model).__name__}) has its own {name}, which a search model would lose. "
                "Convert a plain model, keras.Model(inputs, outputs), and train it in your own loop with "
                "`loss + keras_pit.get_regularization_loss(search)`."
            )


@contextlib.contextmanager
def _built_sequential(model: keras.Sequential, input_shape: Any) -> Iterator[keras.Model]:
    if model.built:
        with _keras.untouched(model):
            yield narrowed(keras.Model(model.inputs[0], model.outputs[0], name=model.name), input_shape)
        return
    if _has_own_call(model):
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) has a call of its own and is not built: start it with "
            "keras.Input."
        )
    if input_shape is None:
        raise ValueError(
            f"Model '{model.name}' is not built: pass `input_shape=`, the shape of one sample without batch, or start "
            "it with keras.Input."
        )
    copy = keras.Sequential([keras.Input(tuple(input_shape)), *map(remake, model.layers)], name=model.name)
    yield keras.Model(copy.inputs[0], copy.outputs[0], name=model.name)


def _inputs(model: keras.Model, input_shape: Any) -> Any:
    """Symbolic inputs for a subclassed model, which is built for them."""
    shapes = _shapes(model, input_shape)
    if not model.built and type(model).build is not keras.Model.build:
        model.build(keras.tree.map_shape_structure(lambda shape: (None, *shape), shapes))
    return keras.tree.map_shape_structure(lambda shape: keras.Input(shape), shapes)


def _like(tensor: Any, shapes: dict[int, Any]) -> Any:
    return keras.Input(batch_shape=shapes[id(tensor)], dtype=tensor.dtype, name=_keras.input_name(tensor))


def _traced(model: keras.Model, inputs: Any) -> keras.Model:
    try:
        outputs = model.call(inputs)
        view = keras.Model(inputs, outputs, name=model.name)
    except Exception as error:
        raise ValueError(
            f"The call of model '{model.name}' ({type(model).__name__}) cannot be traced on symbolic inputs: {error}\n"
            + FUNCTIONAL_CURE
        ) from error
    unused = _leaves(model).keys() - _leaves(view).keys()
    if unused:
        names = ", ".join(f"'{layer.name}'" for key, layer in _leaves(model).items() if key in unused)
        raise ValueError(
            f"The call of model '{model.name}' ({type(model).__name__}) does not use its layers {names} on symbolic "
            "inputs, so they would be lost. If it branches on `training`, call them always and pass them `training=`; "
            "remove what is not used at all."
        )
    owned = {id(weight) for layer in view.layers for weight in layer.weights}
    lost = [weight.path for weight in model.weights if id(weight) not in owned]
    if lost:
        raise ValueError(
            f"The call of model '{model.name}' ({type(model).__name__}) has weights outside of the layers it calls, "
            f"which would be lost: {', '.join(lost)}. {FUNCTIONAL_CURE}"
        )
    return view


def _leaves(model: keras.Model) -> dict[int, Any]:
    """The layers in a model that hold no others, by their identity."""
    inner: list[Any] = [layer for layer in _keras.all_layers(model) if layer is not model]
    leaves = [layer for layer in inner if len(_keras.all_layers(layer)) == 1]
    return {id(layer): layer for layer in leaves if not isinstance(layer, keras.layers.InputLayer)}


def _shapes(model: keras.Model, input_shape: Any) -> Any:
    if input_shape is not None:
        return input_shape
    built = (model.get_build_config() or {}).get("input_shape")
    if built is None:
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) has not been called yet: pass `input_shape=`, the shape of "
            "one sample without batch (a list of shapes for several inputs)."
        )
    return keras.tree.map_shape_structure(lambda shape: tuple(shape[1:]), built)
