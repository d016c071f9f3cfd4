"""Files as TensorFlow's converter writes them: with names, metadata and nothing lowered, but of fixed shapes."""

import warnings

import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

OPERATORS = {
    "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    "int16x8": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}


def untrimmed(model, samples, quantization="int8"):
    """The file of a model with batch 1; `samples` is a list with an array for each input."""
    inputs = [tf.TensorSpec((1, *tensor.shape[1:]), name=f"input_{n}") for n, tensor in enumerate(model.inputs)]

    def network(*values):
        return keras.tree.flatten(model(list(values) if len(values) > 1 else values[0], training=False))

    function = tf.function(network, autograph=False).get_concrete_function(*inputs)
    frozen = convert_variables_to_constants_v2(function)
    return _convert(tf.lite.TFLiteConverter.from_concrete_functions([frozen]), samples, quantization)


def naive(model, samples, quantization="int8"):
    """The file of the usual route, which leaves the batch open."""
    return _convert(tf.lite.TFLiteConverter.from_keras_model(model), samples, quantization)


def _convert(converter, samples, quantization):
    if quantization is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([a[n : n + 1] for a in samples] for n in range(len(samples[0])))
        converter.target_spec.supported_ops = [OPERATORS[quantization]]
        kind = tf.int8 if quantization == "int8" else tf.int16
        converter.inference_input_type = converter.inference_output_type = kind
        converter._experimental_disable_per_channel_quantization_for_dense_layers = quantization == "int16x8"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about missing statistics, although they are given
        return converter.convert()
