"""What libraries of kernels compute wrongly: so that it is not used, or at least not without knowing.

    faults(program, "CMSIS-NN")     [Found(place=3, fault=Fault("CMSIS-NN", "TRANSPOSE_CONV", ...))]

`FAULTS` is one row a fault: where it is, when it happens, the cure, and who found it. TFLite-Micro's reference kernels,
which a file is checked with where it is made, have none of them, so the check cannot tell. What `to_tflite` can avoid,
it avoids: see `lowering`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .call import Call
from .program import Program


@dataclass(frozen=True)
class Fault:
    """A fault of a library."""

    library: str
    """"CMSIS-NN" or "ESP-NN"; see `costs.cores`."""
    operator: str
    """By its name in the TFLite schema."""
    applies: Callable[[Call], bool]
    """Whether it happens to an operator; its sizes are numbers."""
    problem: str
    cure: str
    source: str
    corrupts: bool = False
    """Whether it writes over memory of others: `deploy` refuses such a network."""


@dataclass(frozen=True)
class Found:
    """A fault, and the number of the operator that it happens to."""

    number: int
    fault: Fault

    @property
    def place(self) -> str:
        """The operator, as reports name it."""
        return f"{self.fault.operator} {self.number}"

    @property
    def problem(self) -> str:
        """What goes wrong."""
        return f"{self.fault.library} {self.fault.problem} ({self.fault.source})"


def faults(program: Program, library: str | None = None) -> list[Found]:
    """The known faults that happen to a network.

    Args:
        program: the network; sizes are numbers.
        library: of kernels; None for all.

    Returns:
        A `Found` for each, in execution order.
    """
    return [
        Found(number, fault)
        for number, call in enumerate(program.calls())
        for fault in FAULTS
        if fault.operator == call.op.name and library in (None, fault.library) and fault.applies(call)
    ]


def overruns_scratch(filter_width: int, stride: tuple[int, int]) -> bool:
    """Whether CMSIS-NN's scattering TRANSPOSE_CONV needs more scratch memory than it asks for.

    It keeps a row of max(filter width, column stride) sums behind the last position, but asks for one of
    max(filter width, row stride).
    """
    down, across = stride
    return across > max(filter_width, down)


def _narrow(call: Call) -> bool:
    down, across = call.op.stride
    is_reversed = call.source.shape[-1] > 16 and down <= 2 and across <= 2
    return call.source.dtype == "int8" and not is_reversed and overruns_scratch(call.kernel[1], (down, across))


def _short_state(call: Call) -> bool:
    return any(tensor is not None and tensor.variable and tensor.dtype == "int8" for tensor in call.inputs)


def _odd_outputs(call: Call) -> bool:
    return call.source.dtype == "int8" and call.weights.shape[0] % MULTIPLE != 0


def _unequal_pads(call: Call) -> bool:
    if call.op.padding != "same" or call.source.dtype != "int8":
        return False
    missing = [
        max((made - 1) * step + size - read, 0)
        for made, step, size, read in zip(
            call.result.shape[1:3], call.op.stride, call.kernel, call.source.shape[1:3], strict=True
        )
    ]
    return any(amount % 2 for amount in missing)


def _unequal_3x3(call: Call) -> bool:
    return call.kernel == (3, 3) and call.source.shape[-1] % 16 == 0 and _unequal_pads(call)


MULTIPLE = 8
"""Outputs that ESP-NN's fully connected kernels take at a time."""

_NEWER = "take a newer ESP-NN, and compare with the self-test of the bundle"
FAULTS = (
    Fault(
        "CMSIS-NN",
        "TRANSPOSE_CONV",
        _narrow,
        "writes beyond its scratch memory where the filter is narrower than the stride",
        "convert with keras_pit.to_tflite, which widens the filter with zeros, or make it as wide as the stride",
        "found by measuring 4ab83cc",
        corrupts=True,
    ),
    Fault(
        "CMSIS-NN",
        "SVDF",
        _short_state,
        "computes other numbers than the reference where the state has 8 bits",
        "convert with a state of 16 bits",
        "found by measuring 4ab83cc",
    ),
    Fault(
        "ESP-NN",
        "FULLY_CONNECTED",
        _odd_outputs,
        f"may compute garbage where the number of outputs is no multiple of {MULTIPLE}, or the input not aligned",
        f'convert with keras_pit.to_tflite(..., core="esp32-s3"), which adds outputs up to a multiple of {MULTIPLE}, '
        "and take esp-nn 1.2.6 or newer",
        "esp-nn 34, esp-tflite-micro 108",
    ),
    Fault(
        "ESP-NN",
        "CONV_2D",
        lambda call: call.kernel == (3, 3) and _unequal_pads(call),
        "may leave out the padding at the bottom and right where there is more of it than at the top and left",
        f"pad with a layer of its own in front of the convolution, or {_NEWER}",
        "esp-nn 31",
    ),
    Fault(
        "ESP-NN",
        "DEPTHWISE_CONV_2D",
        _unequal_3x3,
        "may write beyond its scratch memory where the padding at the bottom and right is not that at the top and left",
        f"pad with a layer of its own in front of the convolution, or {_NEWER}",
        "esp-nn 30",
    ),
)
