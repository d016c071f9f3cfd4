"""keras_pit: search small CNNs inside big ones (Pruning In Time), for Keras 3 and TFLite-Micro."""

from . import boards, callbacks, costs, layers
from .deployment import deploy, profile, quantize_aware, to_tflite
from .deployment.fits import Fits, fits
from .errors import DeploymentError
from .search.convert import convert
from .search.cost import cost, get_regularization_loss, soft_cost
from .search.export import export
from .search.model import SearchModel, mask_variables, net_variables
from .search.report import Report, summary
from .sweeps import Front, Stage, sweep

__version__ = "0.2.0"

__all__ = [
    "DeploymentError",
    "Fits",
    "Front",
    "Report",
    "SearchModel",
    "Stage",
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
    "soft_cost",
    "summary",
    "sweep",
    "to_tflite",
]
