"""C++ between real values and the integers of a network."""

from __future__ import annotations

from ..file_graph import TensorInfo

# Types whose real values a firmware wants to convert: `Quantize` of model_settings.h is exact for these.
_CONVERTED = ("int8", "uint8", "int16", "uint16")


def converts(tensor: TensorInfo) -> bool:
    """Whether a firmware gets real values of a tensor."""
    return tensor.quantized and tensor.dtype in _CONVERTED


def conversions(
    name: str, inputs: dict[str, TensorInfo], outputs: dict[str, TensorInfo], single: str = "input"
) -> tuple[list[str], list[str], list[str]]:
    """C++ from real values to an interpreter's inputs, and back from its outputs: parameters, and lines of each.

    A parameter is called like its tensor, or `single` if that is the only input.
    """
    parameters, before, after = [], [], []
    for i, (kind, tensor) in enumerate(inputs.items()):
        variable, convert = single if kind == "Input" else kind.lower(), f"Quantize{kind}" if converts(tensor) else ""
        parameters.append(f"const {'float' if convert else f'{name}::{kind}Type'}* {variable}")
        before += [
            f"  auto* const {variable}_numbers = Numbers<{kind}Type>(interpreter->input({i}));",
            f"  for (std::size_t i = 0; i < k{kind}Size; ++i) {variable}_numbers[i] = {convert}({variable}[i]);",
        ]
    for i, (kind, tensor) in enumerate(outputs.items()):
        variable, convert = kind.lower(), f"Dequantize{kind}" if converts(tensor) else ""
        parameters.append(f"{'float' if convert else f'{name}::{kind}Type'}* {variable}")
        after += [
            f"  const auto* const {variable}_numbers = Numbers<{kind}Type>(interpreter->output({i}));",
            f"  for (std::size_t i = 0; i < k{kind}Size; ++i) {variable}[i] = {convert}({variable}_numbers[i]);",
        ]
    return parameters, before, after
