"""The measured networks as programs, a line of cortex_m_nets.jsonl.gz each, and which of them are kept from fitting."""

import gzip
import json
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

from keras_pit.costs.program import Operator, Program, Tensor

CORES = {"cortex-m4": "m4", "cortex-m55": "m55"}


@dataclass(frozen=True)
class Measured:
    """A network and what it took, by core: arena in bytes, instructions of one inference, and operator by operator."""

    name: str
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
    path = folder / "cortex_m_nets.jsonl.gz"
    if not path.exists():
        sys.exit(f"{path} is missing: it holds what 600 networks took on Cortex-M4 and M55. Pass its folder as --data.")
    with gzip.open(path, "rt") as lines:
        return [_measured(json.loads(line)) for line in lines]


def _measured(line: dict) -> Measured:
    types = {9: "int8", 2: "int32"}
    tensors = tuple(Tensor(tuple(t["shape"]), types[t["type"]], t["const"], t["channels"]) for t in line["tensors"])
    program = Program(tuple(map(_operator, line["ops"])), tensors, tuple(line["inputs"]), tuple(line["outputs"]))
    facts = {core: line[key] for core, key in CORES.items()}
    return Measured(line["id"], program, *({c: f[key] for c, f in facts.items()} for key in ("arena", "invoke", "ops")))


def _operator(op: dict) -> Operator:
    return Operator(
        op["op"],
        tuple(op["input_tensors"]),
        tuple(op["output_tensors"]),
        stride=(op.get("strideH", 1), op.get("strideW", 1)),
        dilation=(op.get("dilationHFactor", 1), op.get("dilationWFactor", 1)),
        window=(op.get("filterHeight", 1), op.get("filterWidth", 1)),
        multiplier=op.get("depthMultiplier", 1),
        padding="same" if op.get("padding") == 0 else "valid",
        activation={0: "none", 1: "relu"}[op.get("fusedActivationFunction", 0)],
    )
