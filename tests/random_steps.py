"""Steps of random networks: a layer, or some, in a row (see `generator`)."""

from __future__ import annotations

from keras import ops
from random_net import ELEMENTWISE, channels, rank, space, step

# -- layers with weights ----------------------------------------------------------------------------------------------


@step(10)
def conv(net, x):
    filters, groups = net.integer(1, 8), 1
    if net.chance(0.15):
        groups = net.pick(*(g for g in range(1, channels(x) + 1) if channels(x) % g == 0))
        filters = groups * net.integer(1, 2)
    return net.nd("Conv", x, filters, groups=groups, **net.window(x, causal=rank(x) == 1), **net.common())(x)


@step(2)
def depthwise(net, x):
    window = net.window(x, square=True)
    return net.nd("DepthwiseConv", x, depth_multiplier=net.integer(1, 3), **window, **net.common())(x)


@step(2)
def separable(net, x):
    window, multiplier = net.window(x, square=True), net.integer(1, 2)
    layer = net.nd("SeparableConv", x, net.integer(2, 8), depth_multiplier=multiplier, **window, **net.common())
    return layer(x)


@step(2)
def transposed(net, x):
    taps, strides, padding = net.integer(1, 4), net.integer(1, 2), net.pick("same", "valid")
    kind = f"Conv{rank(x)}DTranspose"
    return net.new(kind, net.integer(2, 6), taps, strides=strides, padding=padding, **net.common())(x)


@step(1)
def channels_first(net, x):
    """Layers that have the channels in front; no bias, which Keras adds along time if that has the same length."""
    last = rank(x) + 1
    first, again = net.new("Permute", (last, *range(1, last))), net.new("Permute", (*range(2, last + 1), 1))
    form = {"data_format": "channels_first"}
    window = net.window(x)
    layer = net.pick(
        net.nd("Conv", x, net.integer(2, 6), use_bias=False, **window, **form),
        net.nd("ZeroPadding", x, 1, **form),
        net.nd("AveragePooling", x, 2, **form),
        net.nd("GlobalMaxPooling", x, keepdims=True, **form),
        net.new("BatchNormalization", axis=1),
    )
    return again(layer(first(x)))


@step(3)
def dense(net, x):
    return net.new("Dense", net.integer(2, 8), **net.common())(x)


@step(6)
def normalize(net, x):
    arguments = {"center": net.chance(0.8), "scale": net.chance(0.8)}
    if net.chance(0.1):
        arguments["axis"] = 1
    layer = net.new("BatchNormalization", **arguments)
    return layer(x, training=False) if net.chance(0.1) else layer(x)


# -- element by element -----------------------------------------------------------------------------------------------


@step(6)
def activate(net, x):
    shared = net.pick(None, list(range(1, rank(x) + 1)), [1])
    return net.pick(
        lambda: net.new("Activation", net.pick(*ELEMENTWISE))(x),
        lambda: net.new("Activation", net.pick(*ELEMENTWISE))(x),
        lambda: net.new("ReLU", max_value=net.pick(None, 2.0), negative_slope=0.1, threshold=net.pick(0.0, 0.3))(x),
        lambda: net.new("LeakyReLU", 0.3)(x),
        lambda: net.new("Identity")(x),
        lambda: net.new("ELU", 0.7)(x),
        lambda: net.new("PReLU", shared_axes=shared)(x),
        lambda: net.new("Softmax", axis=net.pick(1, -rank(x) - 1))(x),
        lambda: ops.relu(x),
        lambda: ops.softmax(x, axis=1),
        lambda: ops.sigmoid(x) + ops.tanh(x),
        lambda: ops.exp(ops.tanh(x)),
        lambda: ops.clip(x, -0.5, 1.0),
        lambda: ops.sqrt(ops.abs(x) + 1.0),
        lambda: net.new("Rescaling", 0.5, 0.1)(x),
        lambda: net.new("Rescaling", net.normal(channels(x)).tolist(), 0.3)(x),
    )()


@step(2)
def noise(net, x):
    return net.pick(
        lambda: net.new("Dropout", 0.3)(x),
        lambda: net.new("Dropout", 0.3, noise_shape=(None, *[1] * rank(x), channels(x)))(x),
        lambda: net.nd("SpatialDropout", x, 0.3)(x),
        lambda: net.new("GaussianNoise", 0.3)(x),
        lambda: net.new("GaussianDropout", 0.3)(x),
        lambda: net.new("AlphaDropout", 0.3)(x),
    )()


@step(4)
def arithmetic(net, x):
    size = channels(x)
    return net.pick(
        lambda: x * 0.5,
        lambda: x + 1.0,
        lambda: 1.0 - x,
        lambda: x / 2.0,
        lambda: x**2 * 0.3,
        lambda: -x,
        lambda: x * net.normal(size),
        lambda: ops.add(net.normal(1, size), x),
        lambda: x - net.normal(space(x)[-1], 1),
        lambda: ops.maximum(x, net.normal(*x.shape[1:])),
        lambda: ops.multiply(ops.convert_to_tensor(net.normal(size)), x),
        lambda: ops.add(x, net.normal(1, *[1] * rank(x), size)),
    )()


# -- time and space ---------------------------------------------------------------------------------------------------


@step(4)
def pool(net, x):
    kind = net.pick("MaxPooling", "AveragePooling")
    return net.nd(kind, x, net.integer(2, 3), strides=net.pick(None, 1, 2), padding=net.pick("same", "valid"))(x)


@step(3)
def resize(net, x):
    two = rank(x) == 2
    uneven = (net.integer(0, 2), net.integer(0, 2))
    wide = (x.shape[1] + net.integer(1, 3), *x.shape[2:-1])
    return net.pick(
        lambda: net.nd("UpSampling", x, 2)(x),
        lambda: net.nd("ZeroPadding", x, net.integer(1, 2))(x),
        lambda: net.nd("ZeroPadding", x, (uneven, (1, 0)) if two else uneven)(x),
        lambda: net.nd("Cropping", x, ((1, 0), (0, 1)) if two else (1, 0))(x),
        lambda: net.new("Resizing", *wide)(x) if two else None,
        lambda: ops.repeat(x, 2, axis=1),
        lambda: ops.flip(x, axis=net.pick(1, -1)),
        lambda: ops.pad(x, [(0, 0), (1, 2), *[(0, 0)] * rank(x)], constant_values=net.pick(None, 0.7)),
        lambda: ops.pad(x, [(0, 0), *[(0, 0)] * rank(x), (1, 1)]),
    )()


@step(3)
def slice_(net, x):
    n, c = x.shape[1], channels(x)
    start = net.integer(0, c - 1)
    stop = net.integer(start + 1, c)
    return net.pick(
        lambda: x[:, 1:],
        lambda: x[:, ::2],
        lambda: x[:, n // 2 :],
        lambda: x[..., start:stop],
        lambda: x[:, ..., ::2],
        lambda: x[..., ::-1],
        lambda: x[..., ::-2],
        lambda: x[..., start : start + 1],
        lambda: x[:, :-1, ..., start:stop],
        lambda: x[:, None][:, 0],
        lambda: x[..., start, None],
        lambda: ops.expand_dims(x[..., start], -1),
        lambda: ops.expand_dims(x[:, 0], 1) + x,
        lambda: ops.concatenate([x[..., start:], x[..., :start]], axis=-1) if start else None,
    )()


@step(3)
def split(net, x):
    c = channels(x)
    if c < 2:
        return None
    middle = net.integer(1, c - 1)

    def gated():
        value, gate = ops.split(x, 2, axis=-1)
        return value * ops.sigmoid(gate)

    return net.pick(
        lambda: gated() if c % 2 == 0 else None,
        lambda: net.alike(ops.split(x, [middle], axis=-1)[net.integer(0, 1)]),
        lambda: net.new("Concatenate")([net.alike(part) for part in ops.split(x, [middle], axis=-1)]),
        lambda: net.merge(ops.split(x, 2, axis=1)) if x.shape[1] % 2 == 0 else None,
        lambda: ops.concatenate(ops.split(net.alike(x), [2], axis=1)[::-1], axis=1),
    )()
