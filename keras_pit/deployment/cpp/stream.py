"""What the sources of a network that runs step by step have besides: constants of time, `Push`, and the sketch."""

from __future__ import annotations

from typing import Any

from ...streaming import Timing
from ..file_graph import TensorInfo
from .conversions import conversions, converts


def settings(timing: Timing) -> str:
    """The constants of time in model_settings.h."""
    return (
        "// Time, in steps: a decision is about the kWindow steps that ended kDelay steps before it. There is one at\n"
        "// every kPeriod-th step, the first one at step kFirstDecision or behind it, counted from 0.\n"
        f"constexpr int kWindow = {timing.window};\n"
        f"constexpr int kPeriod = {timing.period};\n"
        f"constexpr int kFirstDecision = {timing.first};\n"
        f"constexpr int kDelay = {timing.delay};\n\n"
    )


def step(name: str, inputs: dict[str, TensorInfo], outputs: dict[str, TensorInfo]) -> dict[str, Any]:
    """The blanks of stream.h."""
    parameters, before, after = conversions(name, inputs, outputs, "sample")
    return {"parameters": ", ".join(parameters), "before": "\n".join(before), "after": "\n".join(after)}


def sketch(name: str, inputs: dict[str, TensorInfo], outputs: dict[str, TensorInfo]) -> dict[str, Any]:
    """The blanks of the sketch of what runs step by step."""
    types = {
        kind: "float" if converts(tensor) else f"{name}::{kind}Type"
        for kind, tensor in (*inputs.items(), *outputs.items())
    }
    lines = []
    for kind, tensor in inputs.items():
        convert = f"{name}::Dequantize{kind}" if converts(tensor) else ""
        number = f"{name}::kTest{kind}[step][i]"
        lines.append(
            f"  for (std::size_t i = 0; i < {name}::k{kind}Size; ++i) {kind.lower()}[i] = {convert}({number});"
        )
    first = next(iter(outputs))
    return {
        "sensor_parameters": ", ".join(f"{types[kind]}* {kind.lower()}" for kind in inputs),
        "sensor": "\n".join(lines),
        "buffers": "\n".join(f"  static {type_} {kind.lower()}[{name}::k{kind}Size];" for kind, type_ in types.items()),
        "sensor_arguments": ", ".join(kind.lower() for kind in inputs),
        "push_arguments": ", ".join(kind.lower() for kind in types),
        "first_output": first,
        "first_place": first.removeprefix("Output"),
    }


def declared(outputs: dict[str, TensorInfo], name: str) -> str:
    """Arrays for the outputs, as an application declares them."""
    return "\n".join(
        f"{'float' if converts(tensor) else f'{name}::{kind}Type'} {kind.lower()}[{name}::k{kind}Size];"
        for kind, tensor in outputs.items()
    )


def ends(timing: Timing) -> str:
    """When the window of a decision ends, in words."""
    if timing.delay == 0:
        return "ends with the newest step"
    if timing.delay < 0:
        return f"ends {-timing.delay} steps later, of which no layer reads the last ones"
    return f"ended {timing.delay} steps before, as layers look ahead"
