"""The errors of keras_pit that Python has no type for."""


class OpenLength(ValueError):
    """A cost was asked for that depends on a length which the model leaves open."""


class DeploymentError(RuntimeError):
    """A model or file that cannot be put, or must not be put, on a microcontroller."""


class UnreadableFileError(DeploymentError):
    """A file that is no whole .tflite file."""


class FarOff(DeploymentError):
    """A file of integers that has little to do with the network in floats."""
