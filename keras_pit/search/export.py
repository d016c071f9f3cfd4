"""Search model to slim model."""

from __future__ import annotations

import warnings

import keras

from .model import SearchModel, require_search
from .slim import slim


def export(search: SearchModel) -> keras.Model:
    """Build the slim model that the masks of a search model describe.

    Args:
        search: what `convert` returned, trained or not. Left untouched.

    Returns:
        A plain Keras model of stock layers with the same layer names and, in inference mode, the same output as the
        search model. Where a kernel that has become shorter would otherwise shift its output, there are padding,
        cropping or subsampling layers before it. Not compiled. Warns if a target is not met, because the search was
        stopped too early.

    Raises:
        TypeError: if it is no search model.
        ValueError: if a mask variable is not finite.

    Example:

        slim = keras_pit.export(search)
        slim.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        slim.fit(x, y, epochs=5)
    """
    for complaint in require_search(search).unmet():
        warnings.warn(complaint, stacklevel=2)
    return slim(search, search.channels)
