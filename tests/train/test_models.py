"""The networks, layer by layer, and how they are trained."""

import keras
import numpy as np
import pytest
from keras import layers

from imagenet_tasks.settings.training import LEAST_SIDE_PX, MODELS, TrainConfig, own_epochs
from imagenet_tasks.train.convnets import CHOICES
from imagenet_tasks.train.models import RECIPES, Plateau, recipe_of

# The study's table: rows, columns, channels, parameters; a dropout where there are none, a pooling where 0.
CONVNET1 = """
Conv 66x43x128 3584 | Conv 64x41x64 73792 | Conv 62x39x128 73856 | Dropout | Conv 58x35x128 409728 | Dropout
Conv 58x35x256 295168 | MaxPool 19x11x256 0 | Dropout | Conv 17x9x128 295040 | Dropout | Conv 13x5x128 409728 | Dropout
Conv 13x5x256 295168 | MaxPool 4x1x256 0 | Flatten 1024 0 | Dense 256 262400 | Dense 128 32896 | Dropout | Dense 20 2580
"""
CONVNETS = [f"convnet{number}" for number in range(1, 6)]
KINDS = {"Conv": layers.Conv2D, "Dropout": layers.Dropout, "MaxPool": layers.MaxPooling2D}
KINDS |= {"Flatten": layers.Flatten, "Dense": layers.Dense}


def convnet(name: str) -> keras.Model:
    return RECIPES[name].build((68, 45, 3), 20)


@pytest.mark.parametrize("name", CONVNETS)
def test_a_convnet_is_the_studys_layer_by_layer(name):
    rows = [entry.split() for line in CONVNET1.strip().splitlines() for entry in line.split("|")]
    built = [layer for layer in convnet(name).layers if not isinstance(layer, layers.Rescaling)]
    assert len(built) == len(rows) == 20
    for layer, (kind, *facts) in zip(built, rows, strict=True):
        assert isinstance(layer, KINDS[kind]), layer.name
        if facts:
            assert "x".join(map(str, layer.output.shape[1:])) == facts[0], layer.name
            assert layer.count_params() == int(facts[1]), layer.name


@pytest.mark.parametrize("name", CONVNETS)
def test_a_convnet_has_2153940_parameters(name):
    assert convnet(name).count_params() == 2_153_940


def test_convnet1_has_the_kernels_of_the_study():
    convolutions = [x for x in convnet("convnet1").layers if isinstance(x, layers.Conv2D)]
    assert [x.kernel_size[0] for x in convolutions] == [3, 3, 3, 5, 3, 3, 5, 3]
    assert [x.padding for x in convolutions] == ["valid"] * 4 + ["same", "valid", "valid", "same"]


@pytest.mark.parametrize(
    ("name", "regularised"),
    [
        ("convnet1", ""),
        ("convnet2", "conv_4 conv_7 dense_1 dense_2"),
        ("convnet3", "conv_1 conv_2 conv_3 conv_4 conv_5 conv_6 conv_7 conv_8 dense_1 dense_2"),
        ("convnet4", "conv_4 conv_7 dense_1 dense_2"),
        ("convnet5", ""),
    ],
)
def test_a_convnets_regularised_layers_are_those_that_its_docstring_names(name, regularised):
    network = convnet(name)
    carrying = [x for x in network.layers if getattr(x, "kernel_regularizer", None)]
    assert [x.name for x in carrying] == regularised.split()
    assert {type(x.kernel_regularizer) for x in carrying} <= {keras.regularizers.L2}
    assert all(float(x.kernel_regularizer.l2) == pytest.approx(CHOICES.l2) for x in carrying)
    assert len(network.losses) == len(carrying)
    assert not any(getattr(x, "bias_regularizer", None) for x in network.layers)


def test_the_dropouts_have_the_rates_chosen():
    dropouts = [x.rate for x in convnet("convnet1").layers if isinstance(x, layers.Dropout)]
    assert dropouts == [CHOICES.dropout] * 5 + [CHOICES.last_dropout]


def test_the_plateau_schedules_are_the_studys_and_convnet_3s_factor_is_the_smaller():
    plateaus = {name: RECIPES[name].plateau for name in CONVNETS}
    assert plateaus["convnet2"] == plateaus["convnet4"] == Plateau(patience=2, factor=0.75)
    assert plateaus["convnet3"].patience == 2 and 0 < plateaus["convnet3"].factor < 0.75
    assert plateaus["convnet1"] is plateaus["convnet5"] is None


def test_the_epochs_are_the_studys():
    assert [own_epochs(name, 100) for name in CONVNETS] == [32, 48, 64, 84, 48]


def test_compact_has_694628_parameters():
    assert RECIPES["compact"].build((68, 45, 3), 20).count_params() == 694_628


def test_compact_takes_its_rates_and_its_width_from_the_settings():
    recipe = recipe_of("compact", TrainConfig(learning_rate=0.002, weight_decay=0.0, width=0.5))
    optimizer = recipe.optimizer(100)
    optimizer.iterations.assign(10)  # the end of the warm-up
    assert float(np.asarray(optimizer.learning_rate)) == pytest.approx(0.002)
    assert optimizer.weight_decay == 0.0
    assert [layer.filters for layer in recipe.build((16, 16, 3), 2).layers if "conv" in layer.name][:1] == [24]
    assert recipe_of("compact", TrainConfig()) is RECIPES["compact"]


def test_the_models_are_those_of_the_settings():
    assert sorted(RECIPES) == sorted(MODELS)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize(("shape", "classes"), [((68, 45, 3), 20), ((64, 64, 3), 2), ((40, 90, 3), 7)])
def test_a_model_takes_uint8_pictures_and_gives_float32_probabilities(name, shape, classes):
    network = RECIPES[name].build(shape, classes)
    assert (network.input_shape, network.output_shape) == ((None, *shape), (None, classes))
    pictures = np.random.default_rng(0).integers(0, 256, (2, *shape), dtype=np.uint8)
    shares = np.asarray(network(pictures))
    assert shares.dtype == np.float32
    assert shares.sum(axis=1) == pytest.approx([1, 1], abs=1e-5)


@pytest.mark.parametrize("name", CONVNETS)
def test_a_convnet_takes_no_smaller_pictures_than_the_settings_allow(name):
    least = LEAST_SIDE_PX[name]
    assert RECIPES[name].build((least, least, 3), 2).output_shape == (None, 2)
    with pytest.raises(ValueError):
        RECIPES[name].build((least - 1, 200, 3), 2)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("steps", [1, 5, 1000])
def test_an_optimiser_can_be_made_for_any_number_of_steps(name, steps):
    rate = RECIPES[name].optimizer(steps).learning_rate
    assert 0 <= float(np.asarray(rate)) <= 2e-3
