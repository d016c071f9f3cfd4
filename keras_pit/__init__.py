"""keras_pit: search small CNNs inside big ones (Pruning In Time), for Keras 3 and TFLite-Micro."""

from . import boards, callbacks, costs, layers
from .convert import convert
from .cost import cost, get_regularization_loss
from .deployment import deploy, fits, profile, quantize_aware, to_tflite
from .export import export
from .model import SearchModel, mask_variables, net_variables
from .report import Report, summary

__version__ = "0.1.0"

__all__ = [
    "Report",
    "SearchModel",
    "boards",
    "callbacks",
    "convert",
    "cost",
    "costs",
    "deploy",
    "export",
    "fits",
    "get_regularization_loss",
    "layers",
    "mask_variables",
    "net_variables",
    "profile",
    "quantize_aware",
    "summary",
    "to_tflite",
]
