"""The least that a search can reach, and what makes it: the largest shares of a cost, by layer.

    least(search, "size")      118
    largest(search, "size")    "Most of it is in 'out' (99), 'conv1' (12) and 'conv0' (7). "
    largest(search, "ram")     "It peaks at 'conv0' (CONV_2D), which needs 1x1x64x6 and 1x1x64x1 at once ..."

A sum has the shares of its layers, or of its operators on a board. The head of an arena has none: its height is that of
one step of the network, and what is alive then makes it. Read at the masks as they are.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from .. import blueprint, boards, costs
from ..costs import cores
from ..costs.arena import buffers
from ..costs.latency import operator_instructions
from ..costs.program import Program
from ..layers.masks import MARGIN, THRESHOLD
from .slim import slim
from .totals import layer_cost

MOST = 3
"""How many shares are named."""


def least(search: Any, metric: str) -> float:
    """What a search model costs with everything switched off that is searched, once it is trained.

    Args:
        search: a search model; its masks are afterwards what they were.
        metric: name of a cost.
    """
    masks = [mask for layer in search.search_layers for mask in layer.mask_variables]
    before = [keras.ops.convert_to_numpy(mask) for mask in masks]
    try:
        for mask in masks:
            mask.assign(np.full(mask.shape, THRESHOLD - MARGIN))
        return float(search.cost(metric, trained=True))
    finally:
        for mask, value in zip(masks, before, strict=True):
            mask.assign(value)


def largest(search: Any, metric: str) -> str:
    """A sentence for an error, or nothing where a cost of the user's own has no shares.

    Args:
        search: a search model.
        metric: name of a cost.
    """
    name, _, board = metric.partition(":")
    if not costs.get(metric).whole:
        return _most(
            {layer.name: float(layer_cost(layer, search.channels, metric)) for layer in search.channels.layers}
        )
    if name not in ("flash", "ram", "latency"):
        return ""
    program = blueprint.Blueprint.of(slim(search, search.channels)).program()
    core = cores.of_board(boards.get(board or costs.registry.BOARD)).name
    if name == "ram":
        return _peak(program, core)
    shares: dict[str, float] = {}
    for call in program.calls():
        if name == "latency":
            share = float(round(operator_instructions(call, core)))
        else:
            share = sum(tensor.bytes for tensor in call.inputs if tensor is not None and tensor.constant)
        shares[call.op.layer] = shares.get(call.op.layer, 0.0) + share
    return _most(shares, {"latency": " instructions", "flash": " B of weights"}[name])


def _most(shares: dict[str, float], unit: str = "") -> str:
    ranked = sorted((share, layer) for layer, share in shares.items() if share > 0)[: -MOST - 1 : -1]
    if not ranked:
        return ""
    *others, last = [f"'{layer}' ({share:,g}{unit})" for share, layer in ranked]
    return f"Most of it is in {', '.join(others)}{' and ' * bool(others)}{last}. "


def _peak(program: Program, core: str) -> str:
    """The step at which the buffers that are alive are largest together."""
    wanted = buffers(program, core)
    steps = range(1, 1 + len(program.operators))
    alive = {step: [one for one in wanted if one.first <= step <= one.last] for step in steps}
    step = max(steps, key=lambda step: sum(one.size for one in alive[step]), default=0)
    if not step:
        return ""
    op = program.operators[step - 1]
    parts = []
    for one in sorted(alive[step], key=lambda one: -one.size)[:MOST]:
        shape = "scratch memory" if one.tensor is None else "x".join(map(str, program.tensors[one.tensor].shape))
        parts.append(f"{shape} ({one.size:,} B)")
    return f"It peaks at {op.name} of layer '{op.layer}', while these are in memory: {', '.join(parts)}. "
