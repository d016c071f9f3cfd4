"""What a search has found: a row for each convolution and Dense layer, before and after.

`summary(search)` reads the masks as they are now, without building the exported model.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import keras
from rich.console import Console
from rich.table import Table

from .. import checks, costs, printing
from ..costs import geometry
from ..errors import OpenLength
from ..graph import seeds, table
from ..graph.branches import Branch, Branches
from ..graph.channels import Channels
from ..graph.kinds import kind_of
from ..graph.tracer import trace
from ..layers.inputs import PITInput
from ..layers.layer import PITLayer
from ..layers.ownership import channel_masks, presence
from ..pictures.architecture import architecture, spanned
from .cost import cost
from .model import SearchModel
from .totals import layer_cost

METRICS = ("size", "macs")


@dataclass(frozen=True)
class Shape:
    """What can be searched of a layer, and what it costs (None where an open length leaves it unknown)."""

    channels: int
    kernel: tuple[int, ...]
    dilation: tuple[int, ...]
    size: int
    macs: int | None


@dataclass(frozen=True)
class LayerReport:
    """One layer, before and after."""

    name: str
    kind: str
    before: Shape
    after: Shape
    searched: tuple[str, ...]
    """What is searched: "channels", "kernel", "dilation"."""
    frozen: str | None
    """Why its channels are not searched."""


@dataclass(frozen=True)
class InputReport:
    """An input whose channels are searched."""

    name: str
    channels: int
    """Of the seed, along the last axis."""
    read: tuple[int, ...]
    """Which of them the model still reads, in the order in which the exported model takes them."""
    frozen: str | None
    """Why all of them stay."""


@dataclass(frozen=True)
class BranchReport:
    """A branch that a shortcut goes round."""

    sum: str
    """The addition."""
    layers: tuple[str, ...]
    """What the branch consists of: what the exported model has not, if it is off."""
    on: bool
    kept: str | None
    """Why nothing of the addition is searched; then it has no layers."""


@dataclass(frozen=True)
class Kept:
    """An operation that is not followed: the channels that enter or leave it all stay."""

    name: str
    kind: str
    reason: str
    size: int
    macs: int | None
    gone: bool = False
    """Whether it vanishes with a branch."""


@dataclass(frozen=True)
class Report:
    """The layers of a model, before and after a search; prints as a table (three digits; `as_dict` has all)."""

    model: str
    layers: tuple[LayerReport, ...]
    kept: tuple[Kept, ...]
    unknown: tuple[str, ...]
    """Operations whose multiplications are not all known: the MACs in all are at least what the report says."""
    inputs: tuple[InputReport, ...] = ()
    """The inputs, where "inputs" are searched."""
    branches: tuple[BranchReport, ...] = ()
    """Those of all additions, where "branches" are searched."""
    streaming: dict[str, float] | None = None
    """By their names, the costs of the streaming form as it is now, if they were asked for."""

    def total(self, when: str, metric: str) -> int | None:
        """The cost of all layers; of MACs what is known of, if `unknown` names operations.

        Args:
            when: "before" or "after".
            metric: "size" or "macs".
        """
        checks.one_of(when, "`when`", ("before", "after"))
        checks.one_of(metric, "`metric`", METRICS)
        values = [getattr(getattr(layer, when), metric) for layer in self.layers]
        values += [getattr(kept, metric) for kept in self.kept if when == "before" or not kept.gone]
        return None if None in values else sum(values)

    def architecture(self) -> dict[str, dict[str, int]]:
        """What is left of each layer that is searched: "channels", "span" of the kernel (samples) and "dilation"."""
        return {
            layer.name: {
                "channels": layer.after.channels,
                "span": span(layer.after),
                "dilation": max(layer.after.dilation, default=1),
            }
            for layer in self.layers
            if layer.searched
        }

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries and lists, for JSON."""
        totals = {when: {metric: self.total(when, metric) for metric in METRICS} for when in ("before", "after")}
        rows = {name: [asdict(row) for row in getattr(self, name)] for name in ("inputs", "branches", "layers", "kept")}
        step = {} if self.streaming is None else {"streaming": dict(self.streaming)}
        return {"model": self.model, **rows, "total": totals, "unknown": list(self.unknown), **step}

    def __rich__(self) -> Table:
        notes = [f"MACs are at least these: those of {', '.join(self.unknown)} are not known"] * bool(self.unknown)
        if self.streaming is not None:
            ram, latency = self.streaming["streaming_ram"], self.streaming["streaming_latency"]
            notes.append(f"step by step: {ram:,.0f} B of RAM, {latency:.3g} ms for a step that decides ({costs.BOARD})")
        caption = "; ".join(notes) or None
        grid = printing.table(title=f"{self.model}: before→after", caption=caption, show_footer=True)
        grid.add_column("layer", footer="total", min_width=10, overflow="fold")
        for name in ("channels", "kernel", "dilation"):
            grid.add_column(name, justify="right", no_wrap=True)
        for metric in METRICS:
            total = _change(self.total("before", metric), self.total("after", metric))
            total = f"≥{total}" if metric == "macs" and self.unknown and total != "?" else total
            grid.add_column(metric, justify="right", footer=total, no_wrap=True)
        grid.add_column("not searched", style="dim", overflow="fold", min_width=12)
        for each in self.inputs:
            reason = f"channels: {each.frozen}" if each.frozen else ""
            grid.add_row(f"{each.name} (Input)", _change(each.channels, len(each.read)), *[""] * 4, reason)
        for branch in self.branches:
            what = f"branch: {', '.join(branch.layers)}" if branch.layers else "Add"
            state = "" if branch.kept else "on" if branch.on else "on→off"
            reason = f"branches: {branch.kept}" if branch.kept else ""
            grid.add_row(f"{branch.sum} ({what})", state, *[""] * 4, reason)
        for layer in self.layers:
            one, two = layer.before, layer.after
            pairs = [(one.channels, two.channels), (one.kernel, two.kernel), (one.dilation, two.dilation)]
            pairs += [(one.size, two.size), (one.macs, two.macs)]
            reason = f"channels: {layer.frozen}" if layer.frozen else ""
            cells = [f"{layer.name} ({layer.kind})", *(_change(*pair) for pair in pairs), reason]
            grid.add_row(*cells)
        for kept in self.kept:
            grid.add_row(f"{kept.name} ({kept.kind})", *[""] * 3, _text(kept.size), _text(kept.macs), kept.reason)
        return grid

    def __str__(self) -> str:
        console = Console(width=160, color_system=None, force_jupyter=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get()

    def plot(self, path: str | pathlib.Path) -> pathlib.Path:
        """Draw channels, kernels and MACs of each layer, before and after.

        `keras_pit.pictures.architecture` returns the figure.

        Args:
            path: file to write; the ending chooses the format (.png, .svg, .pdf).

        Raises:
            ImportError: if matplotlib is not installed.
        """
        path = checks.path(path, "`path`")
        architecture(self, path)
        return path


def summary(model: keras.Model, *, streaming: bool = False) -> Report:
    """Tell what a search has found so far, layer by layer.

    Args:
        model: a search model; a plain Keras model is reported with no change.
        streaming: whether to tell what its streaming form costs now, too (docs/streaming.md).

    Returns:
        A `Report`: `print(report)`, `report.as_dict()`, `report.plot("architecture.png")`.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if a mask variable is not finite, or the model cannot be followed; with `streaming`, if it cannot
            run step by step.
    """
    step = None
    if checks.flag(streaming, "`streaming`"):
        step = {name: cost(model, name) for name in ("streaming_ram", "streaming_latency")}
    if isinstance(model, SearchModel):
        return replace(_report(model.name, model.channels), streaming=step)
    with seeds.functional(model) as graph:
        return replace(_report(model.name, trace(graph)), streaming=step)


def _report(name: str, channels: Channels) -> Report:
    costly = [layer for layer in channels.layers if table.cost_row(layer) is not None]
    kept = [_kept(op, why, channels) for op, why in channels.frozen.items() if op not in costly]
    inputs = tuple(_input(layer, channels) for layer in channels.layers if isinstance(layer, PITInput))
    layers = tuple(_layer(layer, channels) for layer in costly)
    return Report(name, layers, tuple(kept), channels.unknown, inputs, tuple(_branches(channels.branches)))


def _input(layer: PITInput, channels: Channels) -> InputReport:
    kept = channel_masks(channels, channels.layers[layer].roles)["out"].kept()
    found = tuple(place for place, stays in enumerate(kept) if stays)
    return InputReport(layer.name, len(kept), found, channels.layers[layer].frozen)


def _branches(found: Branches) -> Iterator[BranchReport]:
    for one, places in found.places.items():
        for place, on in zip(places, one.kept_branches().tolist(), strict=True):
            names = tuple(inner.name for inner in found.within(Branch(one, place)))
            yield BranchReport(one.name, names, on, None)
    yield from (BranchReport(one.name, (), True, reason) for one, reason in found.kept.items())


def _kept(operation: Any, reason: str, channels: Channels) -> Kept:
    stages = channels.layers[operation].inside if operation in channels.layers else ()
    whole = _costs(lambda metric: sum(map(costs.get(metric).function, stages)))
    gone = not presence(channels.branches.need(operation))
    return Kept(operation.name, type(operation).__name__, reason, *whole, gone)


def _layer(layer: Any, channels: Channels) -> LayerReport:
    known = channels.layers[layer]
    kind = kind_of(layer).__name__
    counts = geometry.of_layer(table.unwrapped(layer))
    kernel = tuple(getattr(layer, "kernel_size", ()))
    dilation = tuple(getattr(layer, "dilation_rate", ()))
    stages = (*table.plain_stages(layer, known.sites), *known.inside)
    whole = _costs(lambda metric: sum(map(costs.get(metric).function, stages)))
    before = Shape(counts.outputs, kernel, dilation, *whole)
    after = before
    searched: tuple[str, ...] = ()
    if isinstance(layer, PITLayer) and layer.wiring is not None:
        if layer.beta is not None or layer.gamma is not None:
            _, step = layer.kernel_state()
            taps = len(layer.kept_taps())
            kernel = _along(kernel, layer.kernel_axis, taps)
            dilation = _along(dilation, layer.kernel_axis, step * dilation[layer.kernel_axis] if taps > 1 else 1)
        outputs = int(layer.wiring.roles["out"].kept().sum())
        after = Shape(outputs, kernel, dilation, *_costs(lambda metric: layer_cost(layer, channels, metric)))
        present = {"channels": known.made.any(), "kernel": layer.beta is not None, "dilation": layer.gamma is not None}
        searched = tuple(name for name, is_searched in present.items() if is_searched)
    if not presence(channels.branches.need(layer)):
        after = Shape(0, (0,) * len(kernel), (1,) * len(dilation), 0, 0)
    return LayerReport(layer.name, kind, before, after, searched, known.frozen)


def _costs(value: Callable[[str], int]) -> tuple[int, int | None]:
    try:
        macs = value("macs")
    except OpenLength:  # an open length: there is no number of positions
        macs = None
    return value("size"), macs


def _along(values: tuple[int, ...], axis: int, value: int) -> tuple[int, ...]:
    return tuple(value if index == axis else old for index, old in enumerate(values))


def span(shape: Shape) -> int:
    """The samples from the first to the last tap of a kernel, along its longest axis."""
    return spanned(shape.kernel, shape.dilation)


def _change(before: Any, after: Any) -> str:
    return _text(before) if before == after else f"{_text(before)}→{_text(after)}"


def _text(value: Any) -> str:
    if value is None:
        return "?"
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "-"
    for unit, name in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if value >= unit:
            return f"{value / (1000 if name == 'k' else unit):.3g}{name}"
    return str(value)
