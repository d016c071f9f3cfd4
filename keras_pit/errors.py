"""The errors of keras_pit that Python has no type for."""


class DeploymentError(RuntimeError):
    """A model or file that cannot be put, or must not be put, on a microcontroller."""
