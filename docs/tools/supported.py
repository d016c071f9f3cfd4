"""The tables of docs/supported.md, made of the tables in the code.

    python docs/tools/supported.py            writes them into the page
    python docs/tools/supported.py --check    fails if they are out of date

What a search does with a layer is read from the rows of `graph.table`, what it becomes on a microcontroller from the
blueprint of a small network that has it behind a convolution. `tests/docs/test_supported.py` checks the page.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import keras
from keras import layers

from keras_pit.blueprint import Blueprint
from keras_pit.costs.kernels import PATHS, WIDE
from keras_pit.deployment.cpp.operators import OPERATORS as RESOLVED
from keras_pit.graph import rules, table, training
from keras_pit.layers.stock import SEARCH_LAYERS
from keras_pit.lowering import layers as lowered_layers
from keras_pit.lowering import operations as lowered_operations

PAGE = Path(__file__).parents[1] / "supported.md"
_MARK = re.compile(r"(<!-- begin: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

_RULES: dict[Callable[..., Any], str] = {
    rules.follows: "channels pass through",
    rules.follows_space: "channels pass through",
    rules.pools_globally: "channels pass through",
    rules.batch_norm: "channels pass through",
    rules.prelu: "channels pass through",
    rules.activation: "channels pass through, if the function works on each element",
    rules.softmax: "channels pass through; over channels: all stay",
    rules.rescaling: "channels pass through; with a number for each channel: all stay",
    rules.merges: "channels that meet live and die together",
    rules.concatenates: "channels are strung together",
    rules.moves: "channels are moved",
    rules.moves_fixed: "channels are moved",
    rules.repeats: "channels are moved",
    rules.pads: "channels are moved",
    rules.reduces: "channels pass through; over channels: all stay",
    rules.freezes: "kept as it is, and all channels that enter",
}

_SEQUENCE, _IMAGE, _VECTOR = (12, 4), (8, 8, 4), (8,)
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "Conv": {"filters": 4, "kernel_size": 3},
    "SeparableConv": {"filters": 4, "kernel_size": 3},
    "ConvTranspose": {"filters": 4, "kernel_size": 3, "strides": 2},
    "DepthwiseConv": {"kernel_size": 3},
    "AveragePooling": {"pool_size": 2},
    "Cropping": {"cropping": 1},
    "Dense": {"units": 4},
    "Embedding": {"input_dim": 10, "output_dim": 4},
    "GroupNormalization": {"groups": 2},
    "Normalization": {"mean": [0.0] * 4, "variance": [1.0] * 4},
    "Rescaling": {"scale": 0.5, "offset": 0.1},
    "PReLU": {"shared_axes": [1]},
    "Activation": {"activation": "relu"},
    "Resizing": {"height": 16, "width": 16},
    "CenterCrop": {"height": 4, "width": 4},
    "RepeatVector": {"n": 3},
    "Reshape": {"target_shape": (6, 8)},
    "Lambda": {"function": lambda x: keras.ops.sin(x)},
    "Permute": {"dims": (2, 1)},
    "Dot": {"axes": 2},
}
"""Arguments of the layers in the small networks, by name without dimensions."""
_MERGING = (
    layers.Add, layers.Average, layers.Concatenate, layers.Dot, layers.Maximum, layers.Minimum, layers.Multiply,
    layers.Subtract,
)  # fmt: skip
_OF_IMAGES = (layers.Resizing, layers.CenterCrop)
_OF_VECTORS = (layers.Dense, layers.RepeatVector)


def _input(kind: type) -> keras.KerasTensor:
    if kind is layers.Embedding:
        return keras.Input((12,), dtype="int32")
    if kind in _OF_VECTORS:
        return keras.Input(_VECTOR)
    return keras.Input(_IMAGE if kind in _OF_IMAGES or "2D" in kind.__name__ else _SEQUENCE)


def _before(x: keras.KerasTensor) -> keras.KerasTensor:
    """A layer for another one to stand behind, as in most networks."""
    if x.dtype == "int32":
        return x
    makers = {2: layers.Dense, 3: layers.Conv1D, 4: layers.Conv2D}
    maker = makers[len(x.shape)]
    return maker(x.shape[-1])(x) if maker is layers.Dense else maker(x.shape[-1], 1)(x)


def operators(kind: type) -> list[str]:
    """The TFLite operators that a layer adds to a network in which it stands behind a convolution or Dense layer."""
    inputs = _input(kind)
    before = [_before(inputs) for _ in range(2 if kind in _MERGING else 1)]
    layer = kind(**_ARGUMENTS.get(re.sub(r"[12]D", "", kind.__name__), {}))
    outputs = layer(before if kind in _MERGING else before[0])

    def names(made: Any) -> list[str]:
        return [op.name for op in Blueprint.of(keras.Model(inputs, made)).program().operators]

    found = names(outputs)
    for name in names(before) if inputs.dtype != "int32" else []:
        found.remove(name)
    return found


def _in_search(kind: type) -> str:
    if kind in SEARCH_LAYERS:
        searched = SEARCH_LAYERS[kind]
        told = ", ".join(f"**{what}**" for what in searched.searches)
        if kind in (layers.Conv2D, layers.DepthwiseConv2D):
            told += (", " if told else "channels pass through; ") + 'with `"kernel_2d"` kernel and dilation'
        return told
    row = table.LAYERS.get(kind)
    return "kept as it is, and all channels that enter" if row is None else _RULES[row.passes]


def _on_device(kind: type) -> str:
    if training.acts_in_training_only(_blank(kind)):
        return "nothing is left of it"
    if kind not in lowered_layers.LAYERS:
        return "what TFLite makes of it"
    found = operators(kind)
    return ", ".join(dict.fromkeys(found)) or "nothing: merged into its neighbours"


def _blank(kind: type) -> Any:
    """An instance that only tells its type."""
    return kind.__new__(kind)


@cache
def layer_rows() -> list[tuple[str, ...]]:
    """Layer, what a search does with it, what it becomes."""
    known = {*table.LAYERS, *lowered_layers.LAYERS}
    return [
        (f"`{kind.__name__}`", _in_search(kind), _on_device(kind)) for kind in sorted(known, key=lambda k: k.__name__)
    ]


def other_layers() -> list[str]:
    """The layers of Keras without a row."""
    known = {*table.LAYERS, *lowered_layers.LAYERS}
    abstract = (layers.Layer, layers.Wrapper, layers.InputLayer)
    found = {value for value in vars(layers).values() if isinstance(value, type) and issubclass(value, layers.Layer)}
    return sorted(kind.__name__ for kind in found - known if kind not in abstract)


def _function(name: str) -> str:
    """A class of operations as users write it."""
    if name == "GetItem":
        return "`x[...]`"
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for module, prefix in ((keras.ops, "ops"), (keras.ops.image, "ops.image"), (keras.ops.nn, "ops.nn")):
        if hasattr(module, snake):
            return f"`{prefix}.{snake}`"
    return f"`{name}`"


def operation_rows() -> list[tuple[str, ...]]:
    """What a search does, and with which functions of `keras.ops`; those that the lowering does not know are marked."""
    by_rule: dict[str, set[str]] = {}
    names = {*table.OPERATIONS, *lowered_operations.OPERATIONS}
    for name in names:
        rule = table.OPERATIONS.get(name)
        label = _RULES[rule] if rule is not None else _RULES[rules.freezes]
        known = "" if name in lowered_operations.OPERATIONS else "\\*"
        by_rule.setdefault(label, set()).add(_function(name) + known)
    return [(label, ", ".join(sorted(found))) for label, found in sorted(by_rule.items())]


def operator_rows() -> list[tuple[str, ...]]:
    """What is known of an operator, and those that it is known of."""
    unmeasured = sorted({*RESOLVED} - {*PATHS})
    return [
        ("time, in int8", ", ".join(sorted(PATHS))),
        ("time, with activations of 16 bits", ", ".join(sorted(WIDE))),
        ("TFLite-Micro runs it; its time was not measured", ", ".join(unmeasured)),
    ]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _made_with() -> str:
    return f"With the layers of Keras {'.'.join(keras.__version__.split('.')[:2])}:\n\n"


def is_of_this_keras(page: str) -> bool:
    """Whether a page was made with the installed Keras; others have some layers more or less."""
    return _made_with() in page


def rendered(page: str) -> str:
    """The page with its tables as they should be."""
    parts = {
        "layers": lambda: _made_with() + _table(("layer", "in a search", "as int8 operators"), layer_rows()),
        "others": lambda: ", ".join(f"`{name}`" for name in other_layers()) + ".\n",
        "operations": lambda: _table(("in a search", "operations"), operation_rows()),
        "operators": lambda: _table(("known", "operators"), operator_rows()),
    }
    return _MARK.sub(lambda found: found[1] + "\n" + parts[found[2]]() + "\n" + found[3], page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, fail if the page is out of date")
    old = PAGE.read_text()
    new = rendered(old)
    if parser.parse_args().check:
        sys.exit(f"{PAGE} is out of date: run python docs/tools/supported.py" if new != old else 0)
    PAGE.write_text(new)


if __name__ == "__main__":
    main()
