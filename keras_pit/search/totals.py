"""What a traced model costs in all: by a reader of soft masks a differentiable tensor, without one a number."""

from __future__ import annotations

import warnings
from typing import Any

from .. import costs
from ..costs.check import cost_of
from ..costs.geometry import Geometry
from ..costs.sizes import is_number
from ..graph import table
from ..graph.channels import Channels
from ..layers.layer import PITLayer
from ..layers.ownership import presence
from ..layers.reader import Reader


def total(channels: Channels, metric: str, reader: Reader | None = None) -> Any:
    """The cost of a traced model, where it adds up layer by layer.

    Args:
        channels: of a plain or a search model.
        metric: name of a cost that is a sum over layers.
        reader: to read soft masks; None for the number of what `export` would return now.
    """
    values = [layer_cost(layer, channels, metric, reader) for layer in channels.layers]
    numbers = sum(value for value in values if is_number(value))
    tensors = [value for value in values if not is_number(value)]
    return sum(tensors, float(numbers)) if tensors else numbers


def warn_of_unknown(metric: str, model: str, channels: Channels, stacklevel: int = 3) -> None:
    """Warn if a cost is a bound from below."""
    if metric == "macs" and channels.unknown:
        warnings.warn(
            f"The macs of model '{model}' are at least what is said: those of {', '.join(channels.unknown)} are not "
            "known. They are the same in every state of a search.",
            stacklevel=stacklevel,
        )


def layer_cost(layer: Any, channels: Channels, metric: str, reader: Reader | None = None) -> Any:
    """The share of one layer in a cost that is a sum over layers."""
    known, there = costs.get(metric), presence(channels.branches.need(layer), reader)
    if reader is None:
        return sum(cost_of(known, stage) for stage in stages(layer, channels)) if there else 0
    found = sum(known.function(stage) for stage in stages(layer, channels, reader))
    return found if is_number(there) else there * found


def stages(layer: Any, channels: Channels, reader: Reader | None = None) -> tuple[Geometry, ...]:
    """A layer as the costs see it, without what is switched off."""
    if isinstance(layer, PITLayer) and layer.wiring is not None:
        return layer.stages(reader)
    known = channels.layers[layer]
    return (*table.plain_stages(layer, known.sites), *known.inside)
