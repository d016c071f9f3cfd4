"""A new layer like an old one, without what Keras loses on the way through a file.

Keras makes a layer anew from its config, which must fit into a file. Within one process there is no need for that:

    Lambda(lambda x: tf.sin(x))      the config has the bytes of the code, without `tf`; here the function is handed on
    Dense(4, activation=act)         ... the name "act", for Keras to look up; here it is `act` itself
    TimeDistributed(Sequential(..))  is remade with what is inside, where that has such layers
    Scale(3.0), without get_config   arguments are those that Keras recorded, or attributes of the same names

What comes from outside of Keras is handed on, layers are remade, all else is as the config has it. A layer whose class
only has its own constructor becomes the Keras layer that it is (see `kinds`).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import keras

from . import _keras
from .kinds import is_keras, made_as

PLAIN = (str, int, float, bool, type(None))


def remake(operation: Any, kind: Any = None, **changes: Any) -> Any:
    """A new operation with the arguments and the name of another one, not built.

    Args:
        operation: a layer, a model inside of a layer, or an operation of `keras.ops`.
        kind: type of the new one, which takes the same arguments; None: that of the old one (see `kinds`).
        changes: arguments in place of its own.

    Raises:
        ValueError: if its class does not tell how it is made.
    """
    if _keras.is_graph(operation):
        return keras.models.clone_model(operation, clone_function=remake)
    try:
        new = _made(operation, kind or made_as(operation), changes)
    except (TypeError, NotImplementedError) as error:
        raise ValueError(
            f"Layer '{operation.name}' ({type(operation).__name__}) cannot be made anew: {error}\nGive the class a "
            "get_config that returns all arguments of its constructor, or keep each of them in an attribute of the "
            "same name."
        ) from error
    new.name = operation.name  # which not every version has in the config of every operation
    return new


def arguments(operation: Any) -> dict[str, Any]:
    """What is known of an operation's constructor arguments, as its config has them; but see `foreign`."""
    kind = made_as(operation)
    try:
        return dict(kind.get_config(_without_foreign(operation, kind)))
    except NotImplementedError:  # Keras's own finds only plain arguments
        return {"name": operation.name, "trainable": operation.trainable, "dtype": operation.dtype_policy}


def foreign(operation: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Those arguments that come from outside of Keras, by name, as they are."""
    ours = _writes_itself(made_as(operation))
    return {
        name: kept[attribute]
        for name, attribute in _attributes(operation, config)
        # A layer of other origin may take the name of a function, and keep the function under the same name.
        if is_foreign((kept := vars(operation))[attribute]) and (ours or not isinstance(config[name], PLAIN))
    }


def is_foreign(value: Any) -> bool:
    """Whether a value is a function or object of other origin than Keras, or has one inside."""
    if isinstance(value, dict):
        return any(map(is_foreign, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(is_foreign, value))
    if isinstance(value, keras.layers.Layer):
        inner = [layer for layer in _keras.all_layers(value) if not _keras.is_graph(layer)]
        return any(not is_keras(type(layer)) or foreign(layer, arguments(layer)) for layer in inner)
    return callable(value) and not is_keras(value if hasattr(value, "__module__") else type(value))


def _without_foreign(operation: Any, kind: Any) -> Any:
    """A stand-in for an operation whose config Keras writes: it warns of functions, and cannot write all of them."""
    if not _writes_itself(kind):
        return operation
    stand_in = object.__new__(kind)
    vars(stand_in).update(vars(operation))
    for _, attribute in _attributes(operation, _parameters(kind)):
        if is_foreign(vars(operation)[attribute]):
            vars(stand_in)[attribute] = keras.activations.linear
    return stand_in


def _writes_itself(kind: Any) -> bool:
    """Whether Keras writes the config of a class."""
    return is_keras(inspect.unwrap(kind.get_config))


def _made(operation: Any, new: Any, changes: dict[str, Any]) -> Any:
    config = arguments(operation)
    if new is not type(operation):
        known = _parameters(new)
        config = {name: value for name, value in config.items() if name in known}
    elif not is_keras(new):
        if _makes_itself(new):
            return _keras.from_config(new, {**config, **changes})
        left_out = _left_out(operation, new, config)
        config.update((name, _own(value)) for name, value in left_out.items())
    objects = foreign(operation, config)
    if not objects:
        return _keras.from_config(new, {**config, **changes})
    kept = {name: vars(operation)[attribute] for name, attribute in _attributes(operation, config)}
    objects.update((name, value) for name, value in kept.items() if _is_structure(value))
    return new(**{**config, **{name: _own(value) for name, value in objects.items()}, **changes})


def _attributes(operation: Any, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The arguments of these names that an operation keeps, each with the attribute that it is in."""
    kept = vars(operation)
    for name in names:
        attribute = next((each for each in (name, f"_{name}", f"forward_{name}") if each in kept), None)
        if attribute is not None:
            yield name, attribute


def forgotten(operation: Any, config: dict[str, Any]) -> list[str]:
    """The arguments of a class of other origin that its config has not, and whose default would be something else."""
    kind = made_as(operation)
    if is_keras(kind) or _makes_itself(kind):
        return []
    parameters = {name: each for base in reversed(_own_bases(kind)) for name, each in _signature(base).items()}
    return [
        name
        for name, value in _left_out(operation, kind, config).items()
        if not (isinstance(value, PLAIN) and value == parameters[name].default)
    ]


def _left_out(operation: Any, kind: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a class of other origin that its config has not."""
    names = [name for base in _own_bases(kind) for name in _signature(base) if name not in config]
    kept = {name: vars(operation)[attribute] for name, attribute in _attributes(operation, names)}
    return {**kept, **_keras.recorded(operation, names)}


def _own_bases(kind: Any) -> list[type]:
    return [base for base in kind.__mro__ if not is_keras(base)]


def _makes_itself(kind: Any) -> bool:
    """Whether a class has its own way from a config."""
    return not is_keras(inspect.unwrap(kind.from_config.__func__))


@lru_cache(maxsize=512)
def _signature(kind: type) -> dict[str, inspect.Parameter]:
    """The arguments that the constructor of a class, without its bases, takes by name."""
    if kind is object or "__init__" not in vars(kind):
        return {}
    _, *parameters = inspect.signature(vars(kind)["__init__"]).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {each.name: each for each in parameters if each.kind in named}


def _parameters(kind: Any) -> set[str]:
    """The names of all arguments that a class takes."""
    return {name for base in kind.__mro__ for name in _signature(base)}


def _is_structure(value: Any) -> bool:
    return isinstance(value, (keras.layers.Layer, dict, list, tuple))


def _own(value: Any) -> Any:
    """A value for the new operation: layers are remade, all else is handed on."""
    if isinstance(value, keras.layers.Layer):
        return remake(value)
    if isinstance(value, dict):
        return {key: _own(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_own, value)) if type(value) is tuple else [_own(part) for part in value]
    return value
