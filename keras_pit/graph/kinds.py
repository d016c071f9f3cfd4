"""Which Keras layer a layer is: what the tables of this package are looked up by.

Most layers are of a Keras type. Others only say that they are one:

    class Compat(layers.DepthwiseConv2D):            kind_of -> DepthwiseConv2D: what it computes is written in Keras
        def __init__(self, *args, groups=1, **kwargs): super().__init__(*args, **kwargs)

    class Standardized(layers.Conv2D):               kind_of -> Standardized, for which there is no row;
        def call(self, x): ...                       difference -> "whose call is not Conv2D's"

    layers.PITConv1D                                 kind_of -> Conv1D, which it names as its `stock`
"""

from __future__ import annotations

import inspect
from typing import Any

import keras

# fmt: off
HARMLESS = {
    "__init__", "get_config", "from_config", "get_build_config", "build_from_config", "save_own_variables",
    "load_own_variables", "save_assets", "load_assets", "count_params", "__repr__", "__str__", "__doc__", "__module__",
    "__qualname__", "__dict__", "__weakref__", "__annotations__", "__annotate_func__", "__annotations_cache__",
    "__firstlineno__", "__static_attributes__", "__orig_bases__", "__parameters__", "__slots__", "__abstractmethods__",
    "_abc_impl", "_api_export_path", "_api_export_symbol_id",
}
"""What a subclass may have of its own without computing something else: how it is made, written down and shown."""

PARTS = {
    "kernel", "bias", "depthwise_kernel", "pointwise_kernel", "embeddings", "gamma", "beta", "moving_mean",
    "moving_variance", "alpha", "adapt_mean", "adapt_variance", "count", "activation", "layer", "cell",
    "forward_layer", "backward_layer",
}
"""Where Keras layers have their weights, and the layers inside of them."""
# fmt: on


def kind_of(operation: Any) -> type:
    """The Keras type whose computation an operation has; its own type if there is none."""
    return getattr(type(operation), "stock", None) or made_as(operation)


def made_as(operation: Any) -> Any:
    """The type to make another one of: as `kind_of`, but search layers stay search layers."""
    kind = type(operation)
    stock = stock_base(kind)
    return kind if stock is None or difference(operation) else stock


def stock_base(kind: type) -> Any:
    """The nearest Keras type that computes something among a type and its bases; None for layers of other origin."""
    found = next((base for base in kind.__mro__ if is_keras(base)), None)
    call = getattr(found, "call", None)
    return None if call is None or call is keras.layers.Layer.call else found


def is_keras(kind: Any) -> bool:
    """Whether a class or function is Keras's own, or one of this package."""
    return (kind.__module__ or "").partition(".")[0] in ("keras", "keras_pit")


def difference(operation: Any) -> str | None:
    """In what a subclass of a Keras layer differs from it, as "whose call is not Conv1D's"; None if in nothing."""
    kind = type(operation)
    stock = stock_base(kind)
    if stock is None or stock is kind:
        return None
    own = {name for base in kind.__mro__ if base not in stock.__mro__ for name in vars(base)} - HARMLESS
    own = {name for name in own if hasattr(stock, name) and _static(kind, name) is not _static(stock, name)}
    own |= {"call"} & vars(operation).keys()
    if own:
        return f"whose {', '.join(sorted(own))} {'is' if len(own) == 1 else 'are'} not {stock.__name__}'s"
    extra = [] if isinstance(operation, keras.Model) else _extra_weights(operation)
    return f"whose weights are not {stock.__name__}'s: {', '.join(extra)}" if extra else None


def _static(kind: type, name: str) -> Any:
    return inspect.getattr_static(kind, name)


def _extra_weights(layer: Any) -> list[str]:
    """The names of weights that stand elsewhere than those of Keras layers do."""
    known = set()
    for name, part in vars(layer).items():
        if name.lstrip("_") in PARTS:
            known |= {id(weight) for weight in getattr(part, "weights", [part])}
    return [weight.name for weight in getattr(layer, "weights", ()) if id(weight) not in known]
