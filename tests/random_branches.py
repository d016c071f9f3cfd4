"""Steps of random networks that branch, call layers twice, move axes, or are not followed (see `generator`)."""

from __future__ import annotations

import keras
import numpy as np
import random_steps  # noqa: F401 - its steps are the first ones: numbers of networks depend on it
from keras import layers, ops
from random_net import MIXING, Mix, channels, rank, space, step

# -- branches ---------------------------------------------------------------------------------------------------------


@step(8)
def merge(net, x):
    return net.merge([net.alike_or(x), net.alike(x), *[net.alike(x) for _ in range(net.chance(0.2))]])


@step(5)
def residual(net, x):
    """A shortcut and what goes round it: one branch or two, a block in a block, blocks in a row, a shared branch."""

    def added(*tensors):
        if net.chance(0.5):
            return net.new("Add")(list(tensors))
        return sum(tensors[1:], tensors[0])

    def branch(x, depth=0):
        inside = net.conv(x, net.integer(2, 5))(x)
        if depth == 0 and net.chance(0.3):
            inside = added(inside, branch(inside, depth=1))
        if net.chance(0.5):
            inside = net.new("BatchNormalization")(inside)
        return net.conv(inside, channels(x))(inside)

    def projected():
        filters = net.integer(2, 6)
        inside = net.conv(x, net.integer(2, 5))(x)
        return added(net.conv(inside, filters)(inside), net.conv(x, filters)(x))

    def in_a_row():
        first = added(x, branch(x))
        return added(branch(first), first)

    shared = net.conv(x)
    return net.pick(
        lambda: added(x, branch(x)),
        lambda: net.new("Add")([branch(x), x, branch(x)]),
        lambda: net.new("ReLU")(added(net.conv(x)(x), branch(x))),
        projected,
        in_a_row,
        lambda: added(x, net.block(x.shape[1:])(x)),
        lambda: shared(added(x, shared(branch(x)))),
        lambda: added(x, shared(shared(x))),
    )()


@step(5)
def concatenate(net, x):
    wide = net.conv(x, net.integer(1, 5))
    return net.pick(
        lambda: net.new("Concatenate")([net.alike_or(x), wide(x)]),
        lambda: net.new("Concatenate", axis=1)([net.alike_or(x), net.alike(x)]),
        lambda: ops.concatenate([wide(x), net.alike_or(x)], axis=-1),
        lambda: ops.concatenate([x, net.alike(x)], axis=1),
        lambda: net.new("Concatenate")([x, x]),
    )()


@step(3)
def stack(net, x):
    pair = [net.alike_or(x), net.alike(x)]
    return net.pick(
        lambda: ops.mean(ops.stack(pair, axis=1), axis=1),
        lambda: ops.max(ops.stack(pair, axis=-1), axis=-1),
        lambda: ops.stack(pair, axis=2)[:, :, 0],
        lambda: ops.reshape(ops.stack(pair, axis=2), (-1, 2 * x.shape[1], *x.shape[2:])),
    )()


@step(4)
def squeeze_excite(net, x):
    shape = (*[1] * rank(x), channels(x))
    wide, gate = net.integer(2, 4), net.pick("sigmoid", "hard_sigmoid", "tanh")
    first, second = net.new("Dense", wide, activation="relu"), net.new("Dense", channels(x), activation=gate)
    pooling = net.nd(net.pick("GlobalAveragePooling", "GlobalMaxPooling"), x, keepdims=True)
    flat = net.nd("GlobalAveragePooling", x)
    axes = tuple(range(1, rank(x) + 1))
    return net.pick(
        lambda: net.new("Multiply")([x, net.new("Reshape", shape)(second(first(flat(x))))]),
        lambda: net.new("Multiply")([x, second(first(pooling(x)))]),
        lambda: x * second(first(ops.mean(x, axis=axes, keepdims=True))),
        lambda: x * ops.reshape(second(first(ops.mean(x, axis=axes))), (-1, *shape)),
        lambda: x + ops.expand_dims(second(first(ops.max(x, axis=axes))), axes),
        lambda: x - ops.mean(x, axis=axes, keepdims=True),
        lambda: x * net.nd("Conv", x, channels(x), 1, activation=gate)(pooling(x)),
    )()


@step(2)
def attend(net, x):
    """A gate of one channel, which is broadcast."""
    gate = net.nd("Conv", x, 1, 3, padding="same", activation="sigmoid")(x)
    return net.pick(lambda: net.new("Multiply")([x, gate]), lambda: x * gate, lambda: gate + net.alike(x))()


@step(4)
def share(net, x):
    """One layer, called twice."""
    layer = net.conv(x)
    norm = net.new("BatchNormalization")
    window = net.window(x)
    strided = net.nd("Conv", x, net.integer(2, 5), **window, **net.common())

    def on_two_lengths():
        return net.merge([layer(x), net.nd("UpSampling", x, 2)(layer(net.nd("AveragePooling", x, 2)(x)))])

    def twice_strided():
        return net.new("Concatenate", axis=1)([strided(x), strided(net.nd("ZeroPadding", x, 1)(x))])

    return net.pick(
        lambda: layer(layer(x)),
        lambda: net.merge([layer(x), layer(net.alike(x))]),
        lambda: net.new("Concatenate")([layer(net.alike(x)), layer(x)]),
        lambda: norm(net.alike(norm(x))),
        lambda: on_two_lengths() if all(size % 2 == 0 for size in space(x)) else None,
        lambda: twice_strided() if rank(x) == 1 else None,
        lambda: net.merge([norm(layer(x)), norm(net.conv(x)(x))]),
    )()


@step(4)
def nest(net, x):
    """A model in the model, called once or twice."""
    model = net.block(x.shape[1:])
    return net.pick(
        lambda: model(x),
        lambda: model(model(x)),
        lambda: net.merge([model(x), model(net.alike(x))]),
        lambda: net.new("Concatenate")([model(x), model(net.alike(x))]),
    )()


@step(2)
def nest_merging(net, x):
    """A model with two inputs and two outputs."""
    first, second = keras.Input(x.shape[1:]), keras.Input(x.shape[1:])
    merged = net.merge([net.conv(first)(first), second])
    model = keras.Model([first, second], [merged, net.alike(merged)], name=net.model_name())
    left, right = model([x, net.alike(x)])
    return net.merge([left, right]) if net.chance(0.7) else net.new("Concatenate")([right, left])


@step(2)
def second_input(net, x):
    if len(net.inputs) > 2:
        return None
    size = channels(x)
    shape = (*[1] * rank(x), size)

    def conditioned():
        return x * net.new("Reshape", shape)(net.new("Dense", size)(net.input((net.integer(2, 4),))))

    return net.pick(
        lambda: net.merge([net.alike(x), net.alike(net.input(x.shape[1:]))]),
        lambda: net.new("Concatenate")([x, net.conv(x, 3)(net.input((*space(x), 2)))]),
        conditioned,
    )()


@step(1.5)
def second_output(net, x):
    if len(net.outputs) > 1:
        return None
    output = net.pick(lambda: x, lambda: net.new("Dense", 3)(net.new("Flatten")(x)), lambda: net.head(x))()
    net.outputs.append(output)
    return net.alike(x)


# -- moving axes ------------------------------------------------------------------------------------------------------


@step(3)
def permute(net, x):
    """Make time the channels for a while, or for good."""
    last = rank(x) + 1
    swapped = (*range(2, last), last, 1)
    axes = (0, *swapped)

    def back(y):
        return ops.transpose(y, (0, last, *range(1, last)))

    wide = net.integer(2, 6)
    return net.pick(
        lambda: net.new("Permute", swapped)(x),
        lambda: ops.transpose(x, axes),
        lambda: back(ops.relu(ops.transpose(x, axes))),
        lambda: back(net.new("Dense", wide)(net.new("Permute", swapped)(x))),
        lambda: ops.moveaxis(net.alike(ops.moveaxis(x, 1, -1)), -1, 1),
        lambda: ops.swapaxes(ops.swapaxes(x, 1, 2), 2, 1),
    )()


@step(3)
def reshape(net, x):
    n, c, rest = x.shape[1], channels(x), x.shape[2:-1]
    flat = int(np.prod(x.shape[1:]))

    def shuffled():
        split_up = net.new("Reshape", (*space(x), 2, c // 2))(x)
        axes = range(1, rank(x) + 1)
        return net.new("Reshape", x.shape[1:])(net.new("Permute", (*axes, rank(x) + 2, rank(x) + 1))(split_up))

    return net.pick(
        lambda: net.new("Reshape", x.shape[1:])(net.new("Flatten")(x)),
        lambda: net.new("Reshape", (-1, c))(x) if rank(x) == 1 or net.chance(0.5) else None,
        lambda: ops.reshape(x, (-1, *rest, n * c)) if rank(x) == 2 else None,
        lambda: net.new("Reshape", (n // 2, *rest, 2 * c))(x) if n % 2 == 0 else None,
        lambda: ops.reshape(x, (-1, 2 * n, *rest, c // 2)) if c % 2 == 0 else None,
        lambda: shuffled() if c % 2 == 0 else None,
        lambda: net.new("Reshape", (flat // 2, 2))(x) if flat % 2 == 0 else None,
        lambda: ops.squeeze(ops.expand_dims(x, 2), 2),
    )()


@step(2)
def vector(net, x):
    """To a vector and back."""
    wide = net.integer(4, 6)
    pooled = net.nd("GlobalAveragePooling", x)(x)
    again = net.new("RepeatVector", wide)
    return net.pick(
        lambda: again(pooled),
        lambda: again(net.new("Dense", wide, **net.common())(net.new("Flatten")(x))),
        lambda: net.new("Reshape", (wide, 2))(net.new("Dense", 2 * wide)(pooled)),
        lambda: ops.repeat(ops.expand_dims(net.new("Dense", 3)(pooled), 1), 5, axis=1),
    )()


# -- what is not followed ---------------------------------------------------------------------------------------------


@step(5)
def unknown(net, x):
    two = rank(x) == 2
    heads = net.new("MultiHeadAttention", 2, 3)
    query = net.alike(x)
    return net.pick(
        lambda: net.new("LayerNormalization")(x),
        lambda: net.new("UnitNormalization")(x),
        lambda: heads(query, x),
        lambda: net.new("TimeDistributed", layers.LayerNormalization())(x),
        lambda: Mix(name=f"mix_n{net.count}")(x),
        lambda: net.new("Activation", net.pick(*MIXING))(x),
        lambda: net.conv(x, 3)(net.nd("Conv", x, 3, 1, activation=net.pick(*MIXING))(x)),
        lambda: net.new("Softmax")(x),
        lambda: ops.softmax(x),
        lambda: ops.take(x, [1, 0, 2], axis=1),
        lambda: ops.roll(x, 1, axis=-1),
        lambda: ops.cumsum(x, axis=1) * 0.1,
        lambda: ops.matmul(x, ops.softmax(ops.matmul(ops.swapaxes(x, -1, -2), query))),
        lambda: ops.where(x > 0, x, query),
        lambda: x - ops.mean(x, axis=-1, keepdims=True),
        lambda: ops.tile(x, [1, *[1] * rank(x), 2]),
        lambda: None if two else net.new("LSTM", 3, return_sequences=True)(x),
        lambda: None if two else net.new("Bidirectional", layers.GRU(2, return_sequences=True))(x),
        lambda: None if two else net.new("Attention")([query, x]),
        lambda: None if two else net.new("EinsumDense", "abc,cd->abd", (None, 4))(x),
        lambda: ops.layer_normalization(x) if hasattr(ops, "layer_normalization") else None,
    )()
