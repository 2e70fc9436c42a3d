"""The fused normalisation does what Keras' own does: the same values, gradients and moving figures."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from imagenet_tasks.train.normalisation import FusedNormalisation, fused

SHAPE = (6, 5, 4, 3)


@pytest.fixture(params=["float32", "mixed_bfloat16"])
def precision(request: pytest.FixtureRequest) -> Iterator[str]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def normalisation() -> keras.layers.BatchNormalization:
    layer = keras.layers.BatchNormalization(momentum=0.9)
    layer.build((None, *SHAPE[1:]))
    random = np.random.default_rng(3)
    layer.set_weights([random.uniform(0.5, 2, SHAPE[-1]).astype(np.float32) for _ in range(4)])
    return layer


def answers(layer: keras.Layer, of: keras.layers.BatchNormalization, *, training: bool) -> list[np.ndarray]:
    """Returns what comes out, the gradients of a loss of it, and the moving figures afterwards."""
    random = np.random.default_rng(4)
    inputs = tf.cast(random.normal(2, 3, SHAPE), of.compute_dtype)
    weights = tf.cast(random.normal(0, 1, SHAPE), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=training)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    gradients = tape.gradient(loss, [inputs, of.gamma.value, of.beta.value])
    found: list[Any] = [outputs, *gradients, of.moving_mean, of.moving_variance]
    assert outputs.dtype == of.compute_dtype
    return [np.asarray(tf.cast(keras.ops.convert_to_tensor(x), tf.float32)) for x in found]


@pytest.mark.parametrize("training", [True, False])
def test_values_gradients_and_moving_figures_are_those_of_keras(precision: str, training: bool) -> None:
    keras_own, ours = normalisation(), normalisation()
    expected = answers(keras_own, keras_own, training=training)
    received = answers(FusedNormalisation(ours), ours, training=training)
    tolerance = 1e-5 if precision == "float32" else 2e-2  # bfloat16 has three digits
    for e, r in zip(expected, received, strict=True):
        np.testing.assert_allclose(r, e, rtol=tolerance, atol=tolerance)


def test_a_fused_network_shares_its_variables_and_leaves_the_network_as_it_was() -> None:
    pictures = keras.Input((8, 8, 3))
    network = keras.Model(pictures, keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(pictures)))
    twin = fused(network)
    assert {id(v) for v in twin.variables} == {id(v) for v in network.variables}
    assert [type(layer) for layer in twin.layers if not isinstance(layer, keras.layers.InputLayer)] == [
        keras.layers.Conv2D,
        FusedNormalisation,
    ]
    assert type(network.layers[-1]) is keras.layers.BatchNormalization
