"""The example networks are the published ones: their sizes, shapes and kernels."""

import functools
import math

import keras
import numpy as np
import pytest

from examples import networks

# Input and output shape of one sample.
SHAPES = {
    "temponet": ((256, 4), (1,)),
    "ecgtcn": ((140, 1), (5,)),
    "tc_resnet14": ((98, 40), (12,)),
    "tccnet": ((150, 10), (53,)),
    "tcn": ((128, 6), (7,)),
    "ds_cnn": ((49, 10, 1), (12,)),
    "resnet8": ((32, 32, 3), (10,)),
    "mobilenet_v1_025": ((96, 96, 3), (2,)),
    "autoencoder": ((640,), (640,)),
}

# Kernel sizes of the seeds' time convolutions, in order, as PIT's code builds them.
SEED_KERNELS = {
    "temponet": [11, 11, 11, 19, 19, 5, 35, 35, 5],
    "ecgtcn": [11, 11, 11, 21, 21, 41, 41],
    "tc_resnet14": [3, 9, 9, 17, 17, 9, 33, 65, 65, 9, 129, 257, 257],
    "tccnet": [3, 5, 9, 17, 33, 65, 129],
    "tcn": [7, 13, 25, 49],
}


@functools.cache
def built(name: str) -> keras.Model:
    return networks.NETWORKS[name].build()


def time_convolutions(model: keras.Model) -> list[keras.layers.Conv1D]:
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
    return [layer for layer in convolutions if layer.kernel_size != (1,)]


def span(layer: keras.layers.Conv1D) -> int:
    return (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_parameters_are_the_published_number(name):
    network = networks.NETWORKS[name]
    assert network.count(built(name)) == network.parameters


def test_count_follows_the_published_convention():
    model = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    trainable = networks.Network(keras.Sequential, 6, "")
    total = networks.Network(keras.Sequential, 12, "", trainable_only=False)
    assert (trainable.count(model), total.count(model)) == (6, 12)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_maps_its_input_to_finite_values_of_the_published_shape(name):
    input_shape, output_shape = SHAPES[name.removesuffix("_seed")]
    model = built(name)
    x = np.random.default_rng(0).standard_normal((2, *input_shape), dtype=np.float32)
    y = keras.ops.convert_to_numpy(model(x, training=False))
    assert model.input_shape == (None, *input_shape)
    assert y.shape == (2, *output_shape)
    assert np.isfinite(y).all()


@pytest.mark.parametrize("name", SEED_KERNELS)
def test_seed_has_the_published_dense_kernels(name):
    convolutions = time_convolutions(built(f"{name}_seed"))
    assert [layer.kernel_size[0] for layer in convolutions] == SEED_KERNELS[name]
    assert {layer.dilation_rate for layer in convolutions} == {(1,)}


@pytest.mark.parametrize("name", SEED_KERNELS)
def test_seed_contains_the_hand_tuned_network(name):
    seed, tuned = time_convolutions(built(f"{name}_seed")), time_convolutions(built(name))
    assert [(layer.name, layer.filters, layer.strides, layer.padding) for layer in seed] == [
        (layer.name, layer.filters, layer.strides, layer.padding) for layer in tuned
    ]
    assert all(span(wide) >= span(dilated) for wide, dilated in zip(seed, tuned, strict=True))
    assert any(layer.dilation_rate[0] > 1 for layer in tuned)


@pytest.mark.parametrize("seed", [True, False])
def test_tcn_sees_as_far_as_its_formula_says(seed):
    model = networks.tcn(length=64, kernel_size=5, depth=3, seed=seed)
    assert 1 + sum(span(layer) - 1 for layer in time_convolutions(model)) == 1 + 4 * (2**3 - 1)


@pytest.mark.parametrize("name", ["ds_cnn", "resnet8", "mobilenet_v1_025"])
def test_image_networks_pool_the_whole_map(name):
    pool = built(name).get_layer("pool")
    assert pool.pool_size == pool.input.shape[1:3]
    assert math.prod(pool.output.shape[1:3]) == 1
