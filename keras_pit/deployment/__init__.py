"""From a plain Keras model to a file that a microcontroller runs, and the proof that it does.

    keras.Model --quantize.to_tflite--> bytes --verify.verify--> the same bytes, or DeploymentError
                                          |
                                          +--runtimes.run_tflite_micro / run_litert--> outputs
                                          +--profile.profile--> what it takes of a board
                                          +--bundle.deploy--> C++ sources

In comes a Keras model without search layers, or one from `quantize_aware`, and typical inputs; out come the content of
a .tflite file, what it computes and costs, and the sources of a firmware. TFLite-Micro reads the static shapes of a
file and nothing else, so a file is made with batch size 1 and frozen weights, and is not handed out before TFLite-Micro
itself has computed with it what LiteRT's reference kernels compute.

A file of one time step is made of the file of a window (`stream_file.py`), and verified against that one on whole
sequences (`stream_verify.py`).

Open `quantize.py` first: it is the way of a model through this folder. `flatbuffer.py` has the one value that all pass
on, a `File`. What runs a file does so in a process of its own (`worker.py`). Users call with bytes; functions named
`..._file` and `..._run` do the same with a `File`, read once.
"""

from typing import TYPE_CHECKING

from .. import _lazy
from ..errors import DeploymentError
from .deployment_report import DeploymentReport
from .profile import profile
from .runtimes import MicroRun, Run, StepRun, run_litert, run_stream, run_tflite_micro
from .trim import trim
from .verify import Verification, verify

# What makes files of models needs TensorFlow, what reads files does not.
if TYPE_CHECKING:
    from .bundle import deploy
    from .qat import quantize_aware
    from .quantize import to_tflite
else:
    __getattr__, __dir__ = _lazy.names(
        __name__, {"bundle": ("deploy",), "qat": ("quantize_aware",), "quantize": ("to_tflite",)}
    )

__all__ = [
    "DeploymentError",
    "DeploymentReport",
    "MicroRun",
    "Run",
    "StepRun",
    "Verification",
    "deploy",
    "profile",
    "quantize_aware",
    "run_litert",
    "run_stream",
    "run_tflite_micro",
    "to_tflite",
    "trim",
    "verify",
]
