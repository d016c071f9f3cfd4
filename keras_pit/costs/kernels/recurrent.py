"""Recurrent kernels: products with what is read and with a state, step by step."""

from __future__ import annotations

from ..call import Call
from ..sizes import floor_div, leftover
from .path import Path


def lstm(call: Call, core: str) -> list[Path]:
    """At each step four gates, each two products and an activation, then the state."""
    *_, steps, read = call.source.shape
    states = call.result.shape[-1]
    made = steps * states
    loops = {"call": 1, "step": steps, "state": made}
    if core == "cortex-m55":
        vectors = floor_div(read + 15, 16) + floor_div(states + 15, 16)
        loops |= {
            "state_vector": steps * floor_div(states + 3, 4),
            "block_vector": steps * floor_div(states, 4) * vectors,
            "rest_state": steps * leftover(states, 4),
            "rest_vector": steps * leftover(states, 4) * vectors,
        }
    elif core == "cortex-m4":
        loops |= {"mac": made * (read + states), "mac_rest": made * (leftover(read, 4) + leftover(states, 4))}
    else:
        odd = steps * leftover(states, 2)
        loops |= {"mac": made * (read + states), "odd_mac": odd * (read + states)}
    return [Path("lstm", loops)]


def svdf(call: Call, core: str) -> list[Path]:
    """Each filter over the channels, then one over its memory; units add up `rank` of them."""
    filters, read = call.weights.shape
    units, memory = call.result.shape[-1], call.inputs[2]
    slots = memory.shape[-1] if memory is not None else 1
    loops = {"call": 1, "filter": filters, "unit": units, "memory_16": 0, "memory_8": 0, "memory_8_rest": 0}
    if memory is None or memory.dtype == "int16":
        loops["memory_16"] = filters * slots
    else:
        loops |= {"memory_8": filters * floor_div(slots, 4), "memory_8_rest": filters * leftover(slots, 4)}
    if core == "cortex-m55":
        return [Path("svdf", loops | {"vector": filters * floor_div(read + 15, 16)})]
    return [Path("svdf", loops | {"mac": filters * read})]
