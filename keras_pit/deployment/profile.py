"""What a .tflite file costs on a microcontroller: flash, tensor arena, time, and what could be better.

    profile(tflite) --> DeploymentReport (deployment_report.py)

Nothing is run for it, but for the host's arena: that is read from the file and estimated with `keras_pit.costs`.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ..costs import arena as arenas
from ..costs import cores
from ..costs.call import Call
from ..costs.latency import instructions, instructions_per_step, operator_instructions, unknown
from ..costs.operators import BIAS
from ..costs.program import Program
from ..errors import DeploymentError
from .advice import Advice, advise, obstacles
from .deployment_report import DeploymentReport, Flash, OperatorReport, TensorReport
from .feeds import require_feedable
from .flatbuffer import File
from .limits import LIMITS
from .operands import work
from .runtimes import micro_run
from .stream_file import timing_of
from .stream_report import StreamReport

CORES = tuple(dict.fromkeys(cores.get(name).measured for name in cores.names()))
"""The cores whose instructions are counted."""
LARGEST = 5


def profile(tflite: bytes | str | os.PathLike[str]) -> DeploymentReport:
    """Tell what a .tflite file costs on a microcontroller.

    Args:
        tflite: the file's content or path, of an int8 network with fixed shapes; others are reported with a warning.

    Returns:
        A `DeploymentReport`: `print(report)`, `report.as_dict()`, `report.plot("arena.png")`.

    Raises:
        TypeError: if it is neither content nor path.
        DeploymentError: if it is not a whole TFLite flatbuffer, or beyond the limits of `limits.LIMITS`.
        ImportError: if ai_edge_litert is not installed.

    Example:

        report = profile(tflite)
        report.flash.total, report.arena["cortex-m4"].total, report.milliseconds("cortex-m4", clock_mhz=64)
        # (5056, 10888, 89.4)
    """
    return profile_file(File.of(tflite))


def profile_file(file: File) -> DeploymentReport:
    """What `profile` does."""
    program = file.program
    host_arena, refusal = _host_arena(file)
    return DeploymentReport(
        flash=_flash(file),
        arena={core: arenas.arena(program, core) for core in cores.names()},
        host_arena=host_arena,
        operators=tuple(map(_operator, program.calls())),
        instructions={core: round(instructions(program, core)) for core in CORES},
        tensors=_largest(program),
        advice=(*refusal, *advise(program, file.graph)),
        program=program,
        stream=_stream(file),
    )


def _stream(file: File) -> StreamReport | None:
    """What there is to say of a file that runs step by step."""
    program = file.program
    if all(op.name != "CIRCULAR_BUFFER" for op in program.operators):
        return None
    per_step = {core: round(instructions_per_step(program, core)) for core in CORES}
    return StreamReport(timing_of(file), sum(one.bytes for one in program.tensors if one.variable), per_step)


def _operator(call: Call) -> OperatorReport:
    took = {core: None if unknown(call) else round(operator_instructions(call, core)) for core in CORES}
    shape = call.result.shape if call.outputs else ()
    return OperatorReport(call.op.name, shape, call.macs, took)


def _flash(file: File) -> Flash:
    model, program = file.tree, file.program
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
        return sum(len(model.buffers[number].data) for number in buffers if model.buffers[number].data is not None)

    quantization = _quantization(file.root)
    graph = len(file.content) - size(weights) - size(biases) - quantization
    return Flash(size(weights), size(biases), quantization, graph)


def _quantization(model: Any) -> int:
    """Bytes of the vectors of scales, zero points, minima and maxima, each counted once wherever it is referred to."""
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


def _host_arena(file: File) -> tuple[int | None, list[Advice]]:
    """What TFLite-Micro takes here, or why it does not run the file."""
    endless = any(op.name == "WHILE" for op in file.graph.ops)
    if endless or obstacles(file.graph) or work(file.program) > LIMITS.run // 2:
        return None, []
    try:
        require_feedable(file.graph)
        zeros = [np.zeros((1, *tensor.shape[1:]), tensor.dtype) for tensor in file.graph.inputs]
        return micro_run(file, zeros, timeout=LIMITS.seconds).arena_bytes, []
    except ImportError:
        return None, []
    except DeploymentError as error:
        problem = f"the file will not run: {str(error).splitlines()[0].rstrip('.')}"
        return None, [Advice("the file", problem, "make it with keras_pit.to_tflite")]


def _largest(program: Program) -> tuple[TensorReport, ...]:
    makers = dict.fromkeys(program.inputs, "input")
    makers |= {number: op.name for op in program.operators for number in op.outputs}
    rows = [TensorReport(n, program.tensors[n].shape, program.tensors[n].bytes, maker) for n, maker in makers.items()]
    return tuple(sorted(rows, key=lambda row: (-row.bytes, row.index))[:LARGEST])
