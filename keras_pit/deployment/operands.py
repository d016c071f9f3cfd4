"""Whether operators have what their costs are computed from: tensors of so many dimensions, strides of at least 1.

    CONV_2D    input (1, 8, 8, 4), weights (8, 3, 3, 4) -> (1, 8, 8, 8)

A file that is whole may still give a convolution a vector, or a stride of 0. No runtime takes it, and no formula.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..costs.call import Call
from ..costs.operators import Tensor
from ..costs.program import Program
from ..costs.sizes import product
from .limits import LIMITS, beyond, damaged


@dataclass(frozen=True)
class Operands:
    """The numbers of dimensions that an operator's first inputs and its result may have; None: it may be absent."""

    inputs: tuple[range | None, ...]
    result: range


def _exactly(rank: int) -> range:
    return range(rank, rank + 1)


def _from(rank: int) -> range:
    return range(rank, LIMITS.rank + 1)


_CONVOLUTION = Operands((_exactly(4), _exactly(4)), _exactly(4))
_POOL = Operands((_exactly(4),), _exactly(4))
_ANY = Operands((_from(0),), _from(0))
_ROWS = Operands((_from(1),), _from(1))
_REDUCTION = Operands((_from(1), None), _from(0))
OPERANDS = {
    "CONV_2D": _CONVOLUTION,
    "DEPTHWISE_CONV_2D": _CONVOLUTION,
    "TRANSPOSE_CONV": Operands((None, _exactly(4), _exactly(4)), _exactly(4)),
    "FULLY_CONNECTED": Operands((_from(1), _exactly(2)), _from(1)),
    "BATCH_MATMUL": Operands((_from(2), _from(2)), _from(2)),
    "SVDF": Operands((_exactly(2), _exactly(2), _exactly(2)), _exactly(2)),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Operands((_exactly(3), None), _exactly(3)),
    **dict.fromkeys(("AVERAGE_POOL_2D", "MAX_POOL_2D"), _POOL),
    **dict.fromkeys(("SOFTMAX", "CONCATENATION"), _ROWS),
    **dict.fromkeys(("ADD", "PAD", "PADV2", "RESHAPE", "SQUEEZE", "EXPAND_DIMS", "READ_VARIABLE"), _ANY),
    **dict.fromkeys(("ELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH", "QUANTIZE"), _ANY),
    **dict.fromkeys(("SUB", "MUL", "MAXIMUM", "MINIMUM"), Operands((_from(0), _from(0)), _from(0))),
    "PRELU": Operands((_from(1), _from(1)), _from(1)),
    "SPLIT": Operands((_from(0), _from(1)), _from(1)),
    "TRANSPOSE": Operands((_from(1), None), _from(1)),
    "SLICE": Operands((_from(1), None, None), _from(1)),
    "STRIDED_SLICE": Operands((_from(1), None, None, None), _from(0)),
    **dict.fromkeys(("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"), Operands((_exactly(4), None), _exactly(4))),
    "CIRCULAR_BUFFER": Operands((_exactly(4),), _exactly(4)),
    **dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"), _REDUCTION),
}
"""Those whose costs depend on more than the sizes of their first tensors."""


def check(program: Program) -> None:
    """Refuse a network with an operator that nothing can compute, or with too much work.

    Raises:
        DeploymentError: names the operator, and what it has.
    """
    for number, call in enumerate(program.calls()):
        row = OPERANDS.get(call.op.name)
        if row is not None:
            _check_call(call, row, f"{call.op.name} {number}")
    if work(program) > LIMITS.work:
        raise beyond(f"it takes {work(program):,} operations", LIMITS.work)


def work(program: Program) -> int:
    """What plain kernels do at least: multiply-accumulates, taps of pooling, elements read and made."""
    return sum(
        (call.macs or 0)
        + product(call.op.window) * sum(tensor.elements for tensor in call.outputs)
        + sum(tensor.elements for tensor in call.inputs if tensor is not None)
        for call in program.calls()
    )


def _check_call(call: Call, row: Operands, where: str) -> None:
    if len(call.inputs) < len(row.inputs) or not call.outputs:
        raise damaged(f"{where} has {len(call.inputs)} inputs and {len(call.outputs)} outputs")
    for place, (ranks, tensor) in enumerate(zip(row.inputs, call.inputs, strict=False)):
        _check_tensor(tensor, ranks, f"{where}: its input {place}")
    _check_tensor(call.result, row.result, f"{where}: its result")
    for name, pair in (("stride", call.op.stride), ("dilation", call.op.dilation), ("window", call.op.window)):
        if min(pair) < 1:
            raise damaged(f"{where} has the {name} {pair}")
    if call.op.multiplier < 1:
        raise damaged(f"{where} makes {call.op.multiplier} outputs of a channel")


def _check_tensor(tensor: Tensor | None, ranks: range | None, where: str) -> None:
    if ranks is None:
        return
    if tensor is None:
        raise damaged(f"{where} is left out")
    if len(tensor.shape) not in ranks or (ranks.start and 0 in tensor.shape):
        raise damaged(f"{where} has the shape {tensor.shape}")
