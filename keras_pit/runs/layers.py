"""The names of layers for the operators of a file, which has none."""

from __future__ import annotations

import keras

from ..blueprint import Blueprint
from ..deployment.deployment_report import DeploymentReport
from ..graph import seeds


def layers_of(model: keras.Model, report: DeploymentReport) -> list[str]:
    """The layer of a model that each operator of its file comes from.

    Args:
        model: the Keras model that the file was made of.
        report: what `keras_pit.profile` says of the file.

    Returns:
        A name for each operator; empty ones where a file was made in another way, or holds what is not known before.

    Raises:
        TypeError: if `model` is no Keras model.

    Example:

        layers = runs.layers_of(slim, report)
        pictures.arena(report, "arena.png", layers=layers)
    """
    with seeds.functional(model) as graph:
        try:
            known = Blueprint.of(graph).program().operators
        except ValueError:  # an operator that only the converter knows
            known = ()
    same = [op.name for op in known] == [op.name for op in report.operators]
    return [op.layer for op in known] if same else [""] * len(report.operators)
