"""The measured networks as programs, a line of the .jsonl.gz files each, and which of them are kept from fitting.

    cortex_m_nets    600 networks of the most frequent operators
    cortex_m_ops     260 of all others, of recurrent ones and of streaming chains
    cortex_m_int16   45 int16x8 networks
    cortex_m0        what the first two sets took on a Cortex-M0+

The 600 were counted on Cortex-M4 and M55 with TFLite-Micro's profiler on, all else without. What that takes is the same
for each operator; it is taken off.
"""

import gzip
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from keras_pit.costs.operators import Operator, Tensor
from keras_pit.costs.program import Program

CORES = {"cortex-m4": "m4", "cortex-m55": "m55", "cortex-m0+": "m0"}
SETS = ("cortex_m_nets", "cortex_m_ops", "cortex_m_int16")
TYPES = {9: "int8", 2: "int32", 7: "int16", 4: "int64", 0: "float32"}
ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh"}

PROFILED = "cortex_m_nets"
PROFILER = {"cortex-m4": (10, 80), "cortex-m55": (10, 82)}
"""Instructions of the profiler for each operator: within what was counted for it, and outside."""


@dataclass(frozen=True)
class Measured:
    """A network and what it took, by core: arena in bytes, instructions of one inference, and operator by operator."""

    name: str
    archive: str
    """The .zip that its file is in."""
    program: Program
    arena: dict[str, int]
    invoke: dict[str, int]
    operators: dict[str, list[int]]

    @property
    def kept_aside(self) -> bool:
        """Whether it is of the fifth that nothing is fitted on: a fixed choice, by name."""
        return zlib.crc32(self.name.encode()) % 5 == 0


def read(folder: Path) -> list[Measured]:
    """All measured networks, or an end of the program that says what is missing."""
    facts = {line["id"]: line for line in _lines(folder, "cortex_m0")}
    return [
        _measured(line | {"m0": facts.get(line["id"], line)["m0"]}, name)
        for name in SETS
        for line in _lines(folder, name)
    ]


def _lines(folder: Path, name: str) -> Iterator[dict]:
    path = folder / f"{name}.jsonl.gz"
    if not path.exists():
        sys.exit(f"{path} is missing: it holds what networks took on Cortex-M cores. Pass its folder as --data.")
    with gzip.open(path, "rt") as lines:
        yield from map(json.loads, lines)


def _measured(line: dict, archive: str) -> Measured:
    centred = _centred(line["ops"])
    tensors = tuple(
        Tensor(
            tuple(t["shape"]), TYPES[t["type"]], t["const"], t["channels"], t.get("variable", False), number in centred
        )
        for number, t in enumerate(line["tensors"])
    )
    program = Program(tuple(map(_operator, line["ops"])), tensors, tuple(line["inputs"]), tuple(line["outputs"]))
    arena, invoke, operators = (
        {core: line[key][what] for core, key in CORES.items()} for what in ("arena", "invoke", "ops")
    )
    if archive == PROFILED:
        for core, (inside, outside) in PROFILER.items():
            operators[core] = [taken - inside for taken in operators[core]]
            invoke[core] -= (inside + outside) * len(program.operators)
    return Measured(line["id"], archive, program, arena, invoke, operators)


def _centred(ops: list[dict]) -> set[int]:
    """The tensors whose zero point is 0: what a TANH makes, in whatever shape."""
    found: set[int] = set()
    for op in ops:
        if op["op"] == "TANH" or (op["op"] == "RESHAPE" and op["input_tensors"][0] in found):
            found.update(op["output_tensors"])
    return found


def _operator(op: dict) -> Operator:
    values = op.get("values", {})
    return Operator(
        op["op"],
        tuple(op["input_tensors"]),
        tuple(op["output_tensors"]),
        stride=(op.get("strideH", 1), op.get("strideW", 1)),
        dilation=(op.get("dilationHFactor", 1), op.get("dilationWFactor", 1)),
        window=(op.get("filterHeight", 1), op.get("filterWidth", 1)),
        multiplier=op.get("depthMultiplier", 1),
        padding="same" if op.get("padding") == 0 else "valid",
        activation=ACTIVATIONS[op.get("fusedActivationFunction", 0)],
        axis=values["0"][0] if op["op"] == "SPLIT" else op.get("axis"),
        permutation=tuple(values["1"]) if op["op"] == "TRANSPOSE" else (),
        strides=tuple(values["3"]) if op["op"] == "STRIDED_SLICE" else (),
        transposed=(op.get("adjX", False), op.get("adjY", False)),
        half_pixel=op.get("halfPixelCenters", False),
        rank=op.get("rank", 1),
    )
