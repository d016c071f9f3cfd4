"""What slows a network down or stops it on a microcontroller, and what to do about it.

A check looks at one operator with its tensors and tells what is wrong with it, or nothing. `CHECKS` lists those for
each operator, by its name in the TFLite schema; `advise` runs them over a file. `obstacles` are what no board runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..costs.arena import arena
from ..costs.call import Call
from ..costs.faults import Found, faults
from ..costs.latency import unknown
from ..costs.listing import is_ordered
from ..costs.operators import BIAS, BYTES
from ..costs.program import Program
from ..costs.schedule import arranged
from ..errors import DeploymentError
from .batch import is_open, more_than_batch
from .cpp.operators import OPERATORS
from .file_graph import BRIDGES, Graph, OpInfo

ACCELERATED = "ethos-u"
"""The custom operator that stands for what Vela compiled."""
_WEIGHTED = (*BIAS, "BATCH_MATMUL", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM")
_OTHERS = ("resource", "int4")
"""Types that TFLite-Micro knows although they have no whole number of bytes: handles of variables, packed weights."""
_CONVERT = "convert with calibration data: keras_pit.to_tflite, or a representative_dataset and int8 inputs"

_CALLING = ("IF", "WHILE", "CALL", "CALL_ONCE")
"""Operators that run others, which may change what is read."""
_ORDERED = 100
"""Operators of which the best order is looked for."""

# Where one element costs hundreds of instructions, a few of them still do not matter.
_MANY = 256


@dataclass(frozen=True)
class Advice:
    """Something that can be better: where, what, and the cure."""

    place: str
    problem: str
    cure: str


def obstacles(graph: Graph) -> list[Advice]:
    """What keeps TFLite-Micro from running a file at all, or without an accelerator.

    Args:
        graph: what the file declares.

    Returns:
        An `Advice` for each operator that it has no kernel for.
    """
    found = [(f"{op.name} {number}", _obstacle(op)) for number, op in enumerate(graph.ops)]
    return [Advice(place, *obstacle) for place, obstacle in found if obstacle]


def require_runnable(graph: Graph) -> None:
    """Refuse a file that TFLite-Micro cannot run at all, or not without an accelerator.

    Args:
        graph: what the file declares.

    Raises:
        DeploymentError: names the first operator without a kernel.
    """
    for advice in obstacles(graph):
        raise DeploymentError(f"{advice.place}: {advice.problem}. Cure: {advice.cure}.")


def _obstacle(op: OpInfo) -> tuple[str, str] | None:
    """The problem and its cure."""
    tensors = (*op.inputs, *op.outputs)
    if op.name == ACCELERATED:
        return (
            "the network was compiled for an Ethos-U accelerator: without one the file will not run, and what it "
            "takes there is unknown",
            "take the file from before Vela, if the board has no Ethos-U",
        )
    if op.name not in OPERATORS:
        return "TFLite-Micro has no kernel for it, the file will not run", "replace the layer that makes it"
    sizeless = sorted({tensor.dtype for tensor in tensors if tensor.dtype not in (*BYTES, *_OTHERS)})
    if sizeless:
        return f"TFLite-Micro has no numbers of type {', '.join(sizeless)}, the file will not run", _CONVERT
    read = {tensor.dtype for tensor in op.inputs if tensor.dtype not in ("int32", "int64")}
    if op.name in _WEIGHTED and len(read) > 1 and any(tensor.floating for tensor in op.inputs):
        types = " with ".join(sorted(read))
        return f"{types} (dynamic range): TFLite-Micro has no kernel for both at once, the file will not run", _CONVERT
    if op.name == "DEQUANTIZE" and any(tensor.floating for tensor in op.inputs):
        return "TFLite-Micro has no kernel for weights in float16, the file will not run", _CONVERT
    return None


def advise(program: Program, graph: Graph) -> list[Advice]:
    """All that the checks find.

    Args:
        program: the network.
        graph: what its file declares.

    Returns:
        An `Advice` for each problem, in execution order; those of the whole file come first, then what stops it.
    """
    found = [*_of_file(graph), *_of_order(program), *obstacles(graph)]
    stopped = {advice.place for advice in found}
    found += [of_fault(one) for one in faults(program, "CMSIS-NN")]
    lasting = {*program.inputs, *program.outputs}
    for number, call in enumerate(program.calls()):
        place = f"{call.op.name} {number}"
        if place in stopped:
            continue
        if unknown(call):
            problem = "its time was never measured: the totals are at least what is told, without it"
            found.append(Advice(place, problem, "measure it on the board"))
        # What enters and leaves the network is given, its channels are not a choice.
        free = not lasting.intersection((*call.op.inputs, *call.op.outputs))
        for check in CHECKS.get(call.op.name, ()):
            problem = check(call)
            if problem and (free or check is not _odd_channels):
                found.append(Advice(place, problem, _CURES[check]))
    return found


def of_fault(found: Found) -> Advice:
    """A known fault of a library of kernels."""
    return Advice(found.place, found.problem, found.fault.cure)


def _of_file(graph: Graph) -> list[Advice]:
    found = []
    if more_than_batch(graph):
        problem = "dimensions are left open: TFLite-Micro takes them for 1 and may compute garbage without an error"
        found.append(Advice("the file", problem, "convert with keras_pit.to_tflite, which fixes batch and lengths"))
    elif is_open(graph):
        problem = "the batch is left open: TFLite-Micro takes it for 1"
        found.append(Advice("the file", problem, "none is needed: keras_pit.deploy fixes it, and verifies the file"))
    if any(op.name in BRIDGES for op in graph.ops):
        problem = "numbers change their type on the way (QUANTIZE, DEQUANTIZE)"
        found.append(Advice("the file", problem, "convert with keras_pit.to_tflite, which leaves no floats"))
    if any(tensor.dtype != "int8" for tensor in graph.inputs):
        problem = "inputs are not int8: arena and latency are estimated for int8 kernels"
        found.append(Advice("the file", problem, 'convert with quantization="int8"'))
    return found


def _of_order(program: Program) -> list[Advice]:
    """What another order of the operators saves, where it can be chosen and is found at once."""
    is_free = all(not tensor.variable and tensor.dtype in BYTES for tensor in program.tensors)
    calls_others = any(op.name in _CALLING for op in program.operators)
    if not is_free or calls_others or len(program.operators) > _ORDERED or not is_ordered(program):
        return []
    now = arena(program)
    saved = now.head - arena(arranged(program, fast=True)).head
    if saved <= 0:
        return []
    problem = f"in another order, its operators use at least {saved:,} B less of the {now.total:,} B of RAM (Cortex-M4)"
    return [Advice("the file", problem, "convert with keras_pit.to_tflite, which writes the best order")]


def _mean(call: Call) -> str:
    return f"no accelerated kernel for {_text(call.source.shape)}, some 100 instructions an element"


def _activation(call: Call) -> str:
    elements = call.result.elements
    return f"an activation on its own over {elements} elements" if elements >= _MANY else ""


def _odd_channels(call: Call) -> str:
    channels = call.source.shape[-1], call.result.shape[-1]
    odd = [str(number) for number in channels if number % 4]
    return (
        f"{' and '.join(dict.fromkeys(odd))} channels are no multiple of 4: the rest is computed one by one"
        if odd
        else ""
    )


def _slow_depthwise(call: Call) -> str:
    if call.op.dilation != (1, 1):
        return "a dilated depthwise convolution runs as plain C, some 4 times slower"
    if call.op.multiplier != 1:
        return f"{call.op.multiplier} outputs a channel make a depthwise convolution plain C, some 4 times slower"
    return ""


def _dilation_by_shuffling(call: Call) -> str:
    return "a dilated convolution was taken apart: its input is copied there and back"


Check = Callable[[Call], str]

CHECKS: dict[str, tuple[Check, ...]] = {
    "MEAN": (_mean,),
    **dict.fromkeys(("LOGISTIC", "TANH", "HARD_SWISH", "RELU", "RELU6", "LEAKY_RELU", "ELU"), (_activation,)),
    "CONV_2D": (_odd_channels,),
    "DEPTHWISE_CONV_2D": (_slow_depthwise, _odd_channels),
    **dict.fromkeys(("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), (_dilation_by_shuffling,)),
}
_CURES: dict[Check, str] = {
    _mean: "average pooling over the whole map: keras_pit.to_tflite makes it of GlobalAveragePooling",
    _activation: "ReLU directly behind a convolution or Dense layer costs nothing",
    _odd_channels: "choose multiples of 4",
    _slow_depthwise: "depthwise convolutions without dilation and with one output a channel",
    _dilation_by_shuffling: "convert with keras_pit.to_tflite, which keeps the dilation inside CONV_2D",
}


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
