"""What a .tflite file costs on a microcontroller: flash, tensor arena, time, and what could be better.

    profile(tflite) --> DeploymentReport
                          flash      weights + biases + quantization + graph = the file's size
                          arena      by core: head (activations, scratch memory) and tail (what the interpreter keeps)
                          operators  output, MACs and instructions by core
                          tensors    the largest activations
                          advice     what is slow or missing, and the cure

Nothing is run for it, but for the host's arena: that is read from the file and estimated with `keras_pit.costs`.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from ..costs import arena as arenas
from ..costs.arena import Arena
from ..costs.latency import instructions, milliseconds, operator_instructions
from ..costs.program import BIAS, Program
from .advice import Advice, advise
from .flatbuffer import DeploymentError, Graph, optional, read_graph, read_program, unpack
from .runtimes import run_tflite_micro

CORES = ("cortex-m4", "cortex-m55")
CLOCK = 100
"""MHz, for the milliseconds that a report prints."""
LARGEST = 5
CODE = {"runtime": 66_000, "kernels of a convolutional network, int8 registrations": 52_200}
"""Bytes of TFLite-Micro's code on a Cortex-M, which come to those of the file: an estimate from one network."""


@dataclass(frozen=True)
class Flash:
    """Bytes of the file by what they are for; `graph` is all that is none of the others."""

    weights: int
    biases: int
    quantization: int
    graph: int

    @property
    def total(self) -> int:
        """The file's size."""
        return self.weights + self.biases + self.quantization + self.graph


@dataclass(frozen=True)
class OperatorReport:
    """An operator: its result, multiply-accumulates, and estimated instructions by core."""

    name: str
    output: tuple[int, ...]
    macs: int
    instructions: dict[str, int]


@dataclass(frozen=True)
class TensorReport:
    """An activation, its size in bytes, and the operator that makes it ("input" for an input)."""

    index: int
    shape: tuple[int, ...]
    bytes: int
    maker: str


@dataclass(frozen=True)
class DeploymentReport:
    """What a file costs; prints as tables, `as_dict` has everything, `plot` draws the arena."""

    flash: Flash
    arena: dict[str, Arena]
    """By core; estimates of what TFLite-Micro with CMSIS-NN takes there."""
    host_arena: int | None
    """What TFLite-Micro's 64-bit build on this machine took, without CMSIS-NN; None where it is not installed."""
    operators: tuple[OperatorReport, ...]
    instructions: dict[str, int]
    """Of one inference by core, with what the interpreter itself takes."""
    tensors: tuple[TensorReport, ...]
    """The largest activations."""
    advice: tuple[Advice, ...]
    program: Program

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(op.macs for op in self.operators)

    def milliseconds(self, core: str, clock_mhz: float) -> float:
        """Estimated time of one inference.

        Args:
            core: a name of `keras_pit.costs.cores`; some are rougher than others (`cores.get(core).rough`).
            clock_mhz: its clock in MHz.
        """
        return float(milliseconds(self.program, core, clock_mhz))

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries and lists, for JSON."""
        return {
            "flash": {**asdict(self.flash), "total": self.flash.total},
            "arena": {core: {**asdict(arena), "total": arena.total} for core, arena in self.arena.items()},
            "host_arena": self.host_arena,
            "macs": self.macs,
            "instructions": dict(self.instructions),
            "milliseconds": {core: round(self.milliseconds(core, CLOCK), 3) for core in self.instructions},
            "clock_mhz": CLOCK,
            "operators": [asdict(op) for op in self.operators],
            "tensors": [asdict(tensor) for tensor in self.tensors],
            "advice": [asdict(advice) for advice in self.advice],
            "code": dict(CODE),
        }

    def __rich__(self) -> Group:
        return Group(*self._parts())

    def _parts(self) -> Iterator[Table | Text]:
        memory = Table(title="memory in bytes", pad_edge=False, title_justify="left")
        memory.add_column("what")
        memory.add_column("total", justify="right")
        memory.add_column("of which")
        parts = ", ".join(f"{name} {value:,}" for name, value in asdict(self.flash).items())
        memory.add_row("flash: the file", f"{self.flash.total:,}", parts)
        memory.add_row("flash: code (rough)", f"{sum(CODE.values()):,}", _listed(CODE))
        for core, arena in self.arena.items():
            memory.add_row(f"arena on {core}", f"{arena.total:,}", f"head {arena.head:,}, tail {arena.tail:,}")
        if self.host_arena is not None:
            memory.add_row("arena on this machine", f"{self.host_arena:,}", "64-bit, without CMSIS-NN: not for a board")
        yield memory

        operators = Table(title="operators", show_footer=True, pad_edge=False, title_justify="left")
        operators.add_column("operator", footer="total")
        operators.add_column("output", justify="right")
        operators.add_column("MACs", f"{self.macs:,}", justify="right")
        for core, number in self.instructions.items():
            took = f"{number:,}\n{self.milliseconds(core, CLOCK):.3g} ms at {CLOCK} MHz"
            operators.add_column(f"instructions\n{core}", took, justify="right")
        for op in self.operators:
            numbers = [f"{op.instructions[core]:,}" for core in self.instructions]
            operators.add_row(op.name, "x".join(map(str, op.output)), f"{op.macs:,}", *numbers)
        yield operators

        tensors = Table(title="largest activations", pad_edge=False, title_justify="left")
        for name in ("tensor", "shape", "bytes", "made by"):
            tensors.add_column(name, justify="left" if name == "made by" else "right")
        for tensor in self.tensors:
            shape = "x".join(map(str, tensor.shape))
            tensors.add_row(str(tensor.index), shape, f"{tensor.bytes:,}", tensor.maker)
        yield tensors

        for advice in self.advice:
            yield Text(f"{advice.place}: {advice.problem}. Cure: {advice.cure}.", style="yellow")

    def __str__(self) -> str:
        console = Console(width=120, color_system=None)
        with console.capture() as capture:
            console.print(self)
        return capture.get()

    def plot(self, path: str | pathlib.Path, core: str = "cortex-m4") -> pathlib.Path:
        """Draw the head of the arena over time: which buffer lies where, and while which operators run.

        Args:
            path: file to write; the ending chooses the format (.png, .svg, .pdf).
            core: the core whose scratch memory is drawn.

        Returns:
            The path.

        Raises:
            ImportError: if matplotlib is not installed.
        """
        try:
            from matplotlib.figure import Figure
            from matplotlib.patches import Rectangle
        except ImportError as error:
            raise ImportError('Plots need matplotlib: pip install "keras_pit[plot]".') from error
        steps = ["input", *(op.name for op in self.program.operators)]
        placed = arenas.plan(arenas.buffers(self.program, core))
        height = max((one.end for one in placed), default=1)
        figure = Figure(figsize=(2.5 + 0.55 * len(steps), 4.8), layout="constrained")
        axes = figure.subplots()
        for one in placed:
            buffer = one.buffer
            corner, width = (buffer.first - 0.5, one.offset), buffer.last - buffer.first + 1
            color = "#c8a45a" if buffer.tensor is None else "#1f6fb4"
            axes.add_patch(Rectangle(corner, width, buffer.size, facecolor=color, edgecolor="white", alpha=0.85))
            if buffer.size < 0.04 * height:
                continue  # no room for text
            label = "scratch" if buffer.tensor is None else str(buffer.tensor)
            middle = (buffer.first + buffer.last) / 2, one.offset + buffer.size / 2
            axes.annotate(label, middle, ha="center", va="center", fontsize=7, color="white")
        axes.set_xlim(-0.5, len(steps) - 0.5)
        axes.set_ylim(0, 1.05 * height)
        axes.set_xticks(range(len(steps)), steps, rotation=60, ha="right", fontsize=7)
        axes.set_ylabel("bytes from the start of the arena")
        axes.set_title(f"arena on {core}: tensors by number", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=150)
        return pathlib.Path(path)


def profile(tflite: bytes | str | os.PathLike[str]) -> DeploymentReport:
    """Tell what a .tflite file costs on a microcontroller.

    Args:
        tflite: the file's content or path, of an int8 network with fixed shapes; others are reported with a warning.

    Returns:
        A `DeploymentReport`: `print(report)`, `report.as_dict()`, `report.plot("arena.png")`.

    Raises:
        ValueError: if it is not a TFLite flatbuffer, or only a part of one.
        ImportError: if ai_edge_litert is not installed.

    Example:

        report = profile(tflite)
        report.flash.total, report.arena["cortex-m4"].total, report.milliseconds("cortex-m4", clock_mhz=64)
        # (5056, 10888, 89.4)
    """
    if isinstance(tflite, (str, os.PathLike)):
        tflite = pathlib.Path(tflite).read_bytes()
    program, graph = read_program(tflite), read_graph(tflite)
    calls = list(program.calls())
    operators = [
        OperatorReport(
            call.op.name,
            call.result.shape if call.outputs else (),
            call.macs,
            {core: round(operator_instructions(call, core)) for core in CORES} if call.outputs else {},
        )
        for call in calls
    ]
    return DeploymentReport(
        flash=_flash(tflite, program),
        arena={core: arenas.arena(program, core) for core in CORES},
        host_arena=_host_arena(tflite, graph),
        operators=tuple(operators),
        instructions={core: round(instructions(program, core)) for core in CORES},
        tensors=_largest(program),
        advice=tuple(advise(program, graph)),
        program=program,
    )


def _flash(tflite: bytes, program: Program) -> Flash:
    model = unpack(tflite)
    tensors = model.subgraphs[0].tensors
    biases = {
        tensors[op.inputs[BIAS[op.name]]].buffer
        for op in program.operators
        if op.name in BIAS and len(op.inputs) > BIAS[op.name] and op.inputs[BIAS[op.name]] >= 0
    }
    numbers = ("int8", "int16", "float32", "float16")
    weights = {
        tensor.buffer
        for tensor, known in zip(tensors, program.tensors, strict=True)
        if known.constant and known.dtype in numbers
    } - biases

    def size(buffers: set[int]) -> int:
        return sum(len(model.buffers[number].data) for number in buffers)

    quantization = _quantization(tflite)
    graph = len(tflite) - size(weights) - size(biases) - quantization
    return Flash(size(weights), size(biases), quantization, graph)


def _quantization(tflite: bytes) -> int:
    """Bytes of the vectors of scales, zero points, minima and maxima, each counted once wherever it is referred to."""
    model = optional("ai_edge_litert.schema_py_generated").Model.GetRootAs(tflite, 0)
    vectors: dict[int, int] = {}
    for number in range(model.SubgraphsLength()):
        subgraph = model.Subgraphs(number)
        for index in range(subgraph.TensorsLength()):
            record = subgraph.Tensors(index).Quantization()
            if record is None:
                continue
            # The fields in the order of the schema: min, max, scale, zero_point.
            for slot, width in enumerate((4, 4, 4, 8)):
                field = record._tab.Offset(4 + 2 * slot)
                if field:
                    vectors[record._tab.Vector(field)] = 4 + width * record._tab.VectorLen(field)
    return sum(vectors.values())


def _host_arena(tflite: bytes, graph: Graph) -> int | None:
    zeros = [np.zeros((1, *tensor.shape[1:]), tensor.dtype) for tensor in graph.inputs]
    try:
        return run_tflite_micro(tflite, zeros, timeout=60.0).arena_bytes
    except (ImportError, DeploymentError, ValueError):
        # Not installed, or a file that it refuses: the report says why in its advice.
        return None


def _largest(program: Program) -> tuple[TensorReport, ...]:
    makers = dict.fromkeys(program.inputs, "input")
    makers |= {number: op.name for op in program.operators for number in op.outputs}
    rows = [TensorReport(n, program.tensors[n].shape, program.tensors[n].bytes, maker) for n, maker in makers.items()]
    return tuple(sorted(rows, key=lambda row: (-row.bytes, row.index))[:LARGEST])


def _listed(parts: dict[str, int]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in parts.items())
