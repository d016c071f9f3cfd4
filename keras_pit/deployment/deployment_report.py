"""What `profile` returns: the costs of a file on a microcontroller.

    DeploymentReport
        flash      Flash: weights + biases + quantization + graph = the file's size
        arena      by core: head (activations, scratch memory) and tail (what the interpreter keeps)
        stream     StreamReport, of a file of one time step: when it decides, its state, instructions of a step
        operators  OperatorReport: output, MACs and instructions by core
        tensors    TensorReport: the largest activations
        advice     Advice: what is slow or missing, and the cure

It prints as tables, gives itself as a dictionary, and draws the arena.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from .. import checks, pictures, printing
from ..costs import arena as arenas
from ..costs import cores
from ..costs.arena import Arena
from ..costs.latency import interval, milliseconds
from ..costs.program import Program
from .advice import Advice
from .stream_report import StreamReport

CLOCK = 100
"""MHz, for the milliseconds that a report prints."""
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
    """An operator: its result, multiply-accumulates, and estimated instructions by core; None where not known."""

    name: str
    output: tuple[int, ...]
    macs: int | None
    instructions: dict[str, int | None]


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
    """By core, for all of `keras_pit.costs.cores`; estimates of what TFLite-Micro takes there."""
    host_arena: int | None
    """What TFLite-Micro's 64-bit build on this machine took, without CMSIS-NN; None where it is not installed."""
    operators: tuple[OperatorReport, ...]
    instructions: dict[str, int]
    """Of one inference by measured core, with what the interpreter takes; at least that where operators are unknown."""
    tensors: tuple[TensorReport, ...]
    """The largest activations."""
    advice: tuple[Advice, ...]
    program: Program
    stream: StreamReport | None = None
    """What there is to say of a file of one time step; None for others."""

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference; at least so many where operators are unknown."""
        return sum(op.macs or 0 for op in self.operators)

    @property
    def unknown(self) -> tuple[str, ...]:
        """The operators whose work or time is not known, once each: the totals are without it."""
        return tuple(dict.fromkeys(op.name for op in self.operators if None in (op.macs, *op.instructions.values())))

    def milliseconds(self, core: str, clock_mhz: float) -> float:
        """Estimated time of one inference.

        Args:
            core: a name of `keras_pit.costs.cores`; some are rougher than others (`cores.get(core).rough`).
            clock_mhz: its clock in MHz.

        Raises:
            TypeError: if one is of a wrong type.
            ValueError: if the core is unknown, or the clock not above 0.
        """
        return float(milliseconds(self.program, core, clock_mhz))

    def interval(self, core: str, clock_mhz: float, *, external_flash: bool = False) -> tuple[float, float]:
        """Least and most milliseconds of one inference, for the values that take longest and all that is published.

        Args:
            core: a name of `keras_pit.costs.cores`.
            clock_mhz: its clock in MHz.
            external_flash: whether it runs from a flash chip of its own.

        Raises:
            TypeError: if one is of a wrong type.
            ValueError: if the core is unknown, or the clock not above 0.
        """
        least, most = interval(self.program, core, clock_mhz, external_flash=external_flash)
        return float(least), float(most)

    def memory(self, core: str = "cortex-m4") -> list[dict[str, Any]]:
        """What lies where in the head of the arena, and how long.

        Args:
            core: a name of `keras_pit.costs.cores`, whose scratch memory counts.

        Returns:
            For each buffer its "offset" and "bytes", the "first" and "last" step at which it is needed (inputs are
            there at step 0, operator n runs at step n + 1), the number of the "tensor" in it (None: scratch memory),
            and the number of the "operator" that makes it (-1: an input).

        Raises:
            TypeError: if `core` is no string.
            ValueError: if it is unknown.
        """
        placed = arenas.plan(arenas.buffers(self.program, cores.get(core).name))
        return [
            {
                "offset": int(one.offset),
                "bytes": int(one.buffer.size),
                "first": one.buffer.first,
                "last": int(one.buffer.last),
                "tensor": one.buffer.tensor,
                "operator": one.buffer.first - 1,
            }
            for one in placed
        ]

    def as_dict(self) -> dict[str, Any]:
        """The same as plain dictionaries and lists, for JSON."""
        return {
            "flash": {**asdict(self.flash), "total": self.flash.total},
            "arena": {core: {**asdict(arena), "total": arena.total} for core, arena in self.arena.items()},
            "host_arena": self.host_arena,
            "macs": self.macs,
            "instructions": dict(self.instructions),
            "milliseconds": {core: round(self.milliseconds(core, CLOCK), 3) for core in self.instructions},
            "interval": {core: [round(b, 3) for b in self.interval(core, CLOCK)] for core in self.instructions},
            "clock_mhz": CLOCK,
            "unknown": list(self.unknown),
            "operators": [asdict(op) for op in self.operators],
            "tensors": [asdict(tensor) for tensor in self.tensors],
            "advice": [asdict(advice) for advice in self.advice],
            "code": dict(CODE),
            **({} if self.stream is None else {"stream": self.stream.as_dict()}),
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
        equal: dict[Arena, list[str]] = {}
        for core, arena in self.arena.items():
            equal.setdefault(arena, []).append(core)
        for arena, names in equal.items():
            parts = f"used {arena.total:,} (head {arena.head:,}, tail {arena.tail:,}), more while tensors are allocated"
            memory.add_row(f"arena on {', '.join(names)}", f"{arena.needed:,}", parts)
        if self.host_arena is not None:
            memory.add_row("arena on this machine", f"{self.host_arena:,}", "64-bit, without CMSIS-NN: not for a board")
        yield memory

        if self.stream is not None:
            stream = Table(title="step by step", pad_edge=False, title_justify="left", show_header=False)
            for row in self.stream.rows():
                stream.add_row(*row)
            yield stream

        title = f"operators: instructions by core, milliseconds at {CLOCK} MHz"
        operators = printing.table(title=title, show_footer=True, title_justify="left")
        operators.add_column("operator", footer="total", overflow="fold")
        operators.add_column("output", justify="right")
        least = "at least " * bool(self.unknown)
        operators.add_column("MACs", f"{least}{self.macs:,}", justify="right")
        for core, number in self.instructions.items():
            low, high = self.interval(core, CLOCK)
            took = f"{least}{number:,}\n{self.milliseconds(core, CLOCK):.3g} ms\n{low:.3g}-{high:.3g}"
            operators.add_column(core, took, justify="right")
        for op in self.operators:
            taken = (_known(op.instructions[core]) for core in self.instructions)
            operators.add_row(op.name, "x".join(map(str, op.output)), _known(op.macs), *taken)
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
        console = Console(width=120, color_system=None, force_jupyter=False)
        with console.capture() as capture:
            console.print(self)
        return capture.get()

    def plot(self, path: str | pathlib.Path, core: str = "cortex-m4") -> pathlib.Path:
        """Draw the head of the arena over time: which buffer lies where, and while which operators run.

        `keras_pit.pictures.arena` returns the figure, and takes names of layers.

        Args:
            path: file to write; the ending chooses the format (.png, .svg, .pdf).
            core: the core whose scratch memory is drawn.

        Returns:
            The path.

        Raises:
            ImportError: if matplotlib is not installed.
        """
        path = checks.path(path, "`path`")
        pictures.arena(self, path, core=core)
        return path


def _known(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _listed(parts: dict[str, int]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in parts.items())
