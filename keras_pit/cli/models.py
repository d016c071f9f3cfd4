"""Keras models from files, without TensorFlow's start-up lines."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

KINDS = "a Keras model: .keras, .h5, or the folder of a SavedModel"
_MAGIC = b"TFL3"


def is_tflite(path: str) -> bool:
    """Whether a file is one of TFLite, by its ending or its content."""
    file = Path(path)
    if file.suffix in (".tflite", ".lite"):
        return True
    return file.is_file() and file.suffix not in (".keras", ".h5", ".hdf5") and file.open("rb").read(8)[4:] == _MAGIC


def require_file(path: str, expected: str) -> Path:
    """The path of a file that is there.

    Raises:
        FileNotFoundError: if it is not.
    """
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"There is no file {path!r}: expected {expected}.")
    return file


def load(path: str) -> Any:
    """The Keras model of a file or folder.

    Raises:
        FileNotFoundError: if there is nothing.
        ValueError: if it is no model that Keras 3 reads.
    """
    file = require_file(path, KINDS)
    if is_tflite(path):
        raise ValueError(f"{path!r} is a .tflite file: expected {KINDS}. See keras-pit profile --help for files.")
    with quietly():
        import keras

        from ..search import model as _  # noqa: F401  search models are found by their registered names
    if file.is_dir():
        return _saved_model(file)
    try:
        return keras.saving.load_model(file)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"Keras cannot load {path!r} ({' '.join(str(error).split())[:300]}): expected {KINDS}. Layers of your own: "
            "--import the module that registers them."
        ) from error


def _saved_model(folder: Path) -> Any:
    """A SavedModel as a Keras model: what it computes, as one layer."""
    import keras

    if not (folder / "saved_model.pb").is_file():
        raise ValueError(f"{str(folder)!r} is no SavedModel (no saved_model.pb): expected {KINDS}.")
    import tensorflow as tf

    signatures = tf.saved_model.load(str(folder)).signatures
    name = "serving_default" if "serving_default" in signatures else next(iter(signatures), None)
    if name is None:
        raise ValueError(f"The SavedModel {str(folder)!r} has no signature to call: save the model as .keras.")
    _, specs = signatures[name].structured_input_signature
    inputs = {key: keras.Input(spec.shape[1:], dtype=spec.dtype.name, name=key) for key, spec in specs.items()}
    layer = keras.layers.TFSMLayer(str(folder), call_endpoint=name, name="saved_model")
    outputs = layer(next(iter(inputs.values())) if len(inputs) == 1 else inputs)
    return keras.Model(list(inputs.values()), outputs, name=folder.name.replace(".", "_"))


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Import what is imported without the lines that TensorFlow writes to stderr; errors are raised all the same."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    if "tensorflow" in sys.modules:
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as caught:
        stderr = os.dup(2)
        try:
            os.dup2(caught.fileno(), 2)
            import tensorflow as tf
            from absl import logging

            logging.set_verbosity(logging.ERROR)
            tf.get_logger().setLevel("ERROR")
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
