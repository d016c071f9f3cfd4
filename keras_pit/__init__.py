"""keras_pit: search small CNNs inside big ones (Pruning In Time), for Keras 3 and TFLite-Micro.

Names are loaded when they are first used (`_lazy`), so that what needs no TensorFlow, as `boards`, `profile` and `fits`
of a file, is there at once.
"""

from typing import TYPE_CHECKING

from . import _lazy

if TYPE_CHECKING:
    from . import boards, callbacks, costs, layers, pictures, runs
    from .deployment.bundle import deploy
    from .deployment.fits import Fits, fits
    from .deployment.profile import profile
    from .deployment.qat import quantize_aware
    from .deployment.quantize import to_tflite
    from .errors import DeploymentError
    from .search.convert import convert
    from .search.cost import cost, get_regularization_loss, soft_cost
    from .search.export import export
    from .search.model import SearchModel, mask_variables, net_variables
    from .search.report import Report, summary
    from .search.widen import widen
    from .sweeps.front import Front
    from .sweeps.sweep import sweep
    from .sweeps.training import Stage
else:
    __getattr__, __dir__ = _lazy.names(
        __name__,
        {
            "": (
                "blueprint",
                "boards",
                "callbacks",
                "costs",
                "deployment",
                "errors",
                "graph",
                "layers",
                "pictures",
                "runs",
                "search",
                "sweeps",
            ),
            "deployment.bundle": ("deploy",),
            "deployment.fits": ("Fits", "fits"),
            "deployment.profile": ("profile",),
            "deployment.qat": ("quantize_aware",),
            "deployment.quantize": ("to_tflite",),
            "errors": ("DeploymentError",),
            "search.convert": ("convert",),
            "search.cost": ("cost", "get_regularization_loss", "soft_cost"),
            "search.export": ("export",),
            "search.model": ("SearchModel", "mask_variables", "net_variables"),
            "search.report": ("Report", "summary"),
            "search.widen": ("widen",),
            "sweeps.front": ("Front",),
            "sweeps.sweep": ("sweep",),
            "sweeps.training": ("Stage",),
        },
    )

# Saved search models name their classes, and Keras finds those that were registered.
_lazy.with_keras(
    f"{__name__}.search.model",
    importers=[f"{__name__}.{room}" for room in ("blueprint", "graph", "layers", "lowering", "search")],
)

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
    "pictures",
    "profile",
    "quantize_aware",
    "runs",
    "soft_cost",
    "summary",
    "sweep",
    "to_tflite",
    "widen",
]
