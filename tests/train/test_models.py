"""The networks, layer by layer, and what they are fed."""

import keras
import numpy as np
import pytest
from keras import layers

from imagenet_tasks.config import LEAST_SIDE_PX, MODELS
from imagenet_tasks.errors import TrainingError
from imagenet_tasks.train import devices
from imagenet_tasks.train.batches import Batches, flip_and_shift
from imagenet_tasks.train.models import RECIPES

# The study's table: rows, columns, channels, parameters; a dropout where there are none, a pooling where 0.
CONVNET1 = """
Conv 66x43x128 3584 | Conv 64x41x64 73792 | Conv 62x39x128 73856 | Dropout | Conv 58x35x128 409728 | Dropout
Conv 58x35x256 295168 | MaxPool 19x11x256 0 | Dropout | Conv 17x9x128 295040 | Dropout | Conv 13x5x128 409728 | Dropout
Conv 13x5x256 295168 | MaxPool 4x1x256 0 | Flatten 1024 0 | Dense 256 262400 | Dense 128 32896 | Dropout | Dense 20 2580
"""
KINDS = {"Conv": layers.Conv2D, "Dropout": layers.Dropout, "MaxPool": layers.MaxPooling2D}
KINDS |= {"Flatten": layers.Flatten, "Dense": layers.Dense}


@pytest.fixture(autouse=True)
def float32():
    """Tests of the device change the policy for what is built later."""
    yield
    keras.config.set_dtype_policy("float32")


def test_convnet1_is_the_studys_layer_by_layer():
    network = RECIPES["convnet1"].build((68, 45, 3), 20)
    rows = [entry.split() for line in CONVNET1.strip().splitlines() for entry in line.split("|")]
    built = [layer for layer in network.layers if not isinstance(layer, layers.Rescaling)]
    assert len(built) == len(rows) == 20
    for layer, (kind, *facts) in zip(built, rows, strict=True):
        assert isinstance(layer, KINDS[kind]), layer.name
        if facts:
            assert "x".join(map(str, layer.output.shape[1:])) == facts[0], layer.name
            assert layer.count_params() == int(facts[1]), layer.name


def test_convnet1_has_2153940_parameters():
    assert RECIPES["convnet1"].build((68, 45, 3), 20).count_params() == 2_153_940


def test_convnet1_has_the_kernels_of_the_study():
    convolutions = [x for x in RECIPES["convnet1"].build((68, 45, 3), 20).layers if isinstance(x, layers.Conv2D)]
    assert [x.kernel_size[0] for x in convolutions] == [3, 3, 3, 5, 3, 3, 5, 3]
    assert [x.padding for x in convolutions] == ["valid"] * 4 + ["same", "valid", "valid", "same"]


def test_compact_has_about_300000_parameters():
    assert 250_000 < RECIPES["compact"].build((68, 45, 3), 20).count_params() < 350_000


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


def test_convnet1_takes_no_smaller_pictures_than_the_settings_allow():
    least = LEAST_SIDE_PX["convnet1"]
    assert RECIPES["convnet1"].build((least, least, 3), 2).output_shape == (None, 2)
    with pytest.raises(ValueError):
        RECIPES["convnet1"].build((least - 1, 200, 3), 2)


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("steps", [1, 5, 1000])
def test_an_optimiser_can_be_made_for_any_number_of_steps(name, steps):
    rate = RECIPES[name].optimizer(steps).learning_rate
    assert 0 <= float(np.asarray(rate)) <= 2e-3


# Mirrors and shifts


def pictures(count: int = 64, rows: int = 12, columns: int = 9) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, rows, columns, 3), dtype=np.uint8)


def test_shape_and_type_stay():
    shifted = flip_and_shift(pictures(), 3, np.random.default_rng(0))
    assert (shifted.shape, shifted.dtype) == ((64, 12, 9, 3), np.uint8)


def test_the_same_seed_gives_the_same_pictures_and_another_others():
    first, again, other = (flip_and_shift(pictures(), 3, np.random.default_rng(s)) for s in (0, 0, 1))
    assert (first == again).all() and not (first == other).all()


def test_without_a_shift_a_picture_stays_or_is_mirrored_about_half_of_them():
    before = pictures(400)
    after = flip_and_shift(before, 0, np.random.default_rng(0))
    same = (after == before).all(axis=(1, 2, 3))
    mirrored = (after == before[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 150 < same.sum() < 250


class _Chosen:
    """Random numbers that a test chose."""

    def __init__(self, down: int, across: int, mirror: bool):
        self._shifts, self._mirror = iter((down, across)), mirror

    def integers(self, low, high, shape):
        return np.full(shape, next(self._shifts))

    def random(self, shape):
        return np.full(shape, 0.0 if self._mirror else 1.0)


def test_no_shift_and_no_mirror_change_nothing():
    assert (flip_and_shift(pictures(), 3, _Chosen(0, 0, False)) == pictures()).all()


@pytest.mark.parametrize(("down", "across"), [(2, 0), (0, 2), (-2, 0), (0, -2), (3, -1)])
def test_a_shift_repeats_the_edge(down, across):
    before = pictures(5)
    padded = np.pad(before, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="edge")
    expected = padded[:, 3 + down : 15 + down, 3 + across : 12 + across]
    assert (flip_and_shift(before, 3, _Chosen(down, across, False)) == expected).all()


def test_a_shift_is_no_larger_than_allowed():
    before = np.tile(np.arange(100, dtype=np.uint8)[None, :, None, None], (300, 1, 20, 3))
    moved = flip_and_shift(before, 4, np.random.default_rng(0))[:, 50, 10, 0].astype(int) - 50
    assert (moved.min(), moved.max()) == (-4, 4)


# Batches


def batches(count: int = 50, **others) -> Batches:
    numbered = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    settings = {"batch_size": 16, "seed": 0, "flip_and_shift_px": None}
    return Batches(numbered, np.arange(count, dtype=np.int32), **settings | others)


def epoch(data: Batches) -> list[int]:
    seen = []
    for index in range(len(data)):
        shown, labels = data[index]
        assert (shown[:, 0, 0, 0] == labels).all()
        seen += labels.tolist()
    data.on_epoch_end()
    return seen


@pytest.mark.parametrize("count", [1, 15, 16, 17, 50])
@pytest.mark.parametrize("shift_px", [None, 1])
def test_an_epoch_shows_each_picture_with_its_label_once(count, shift_px):
    assert sorted(epoch(batches(count, flip_and_shift_px=shift_px))) == list(range(count))


def test_each_epoch_has_an_order_of_its_own():
    data = batches()
    assert len({tuple(epoch(data)) for _ in range(4)}) == 4


def test_the_seed_gives_the_order():
    first, again, other = batches(), batches(), batches(seed=1)
    assert [epoch(first), epoch(first)] == [epoch(again), epoch(again)] != [epoch(other), epoch(other)]


def test_the_pictures_in_memory_are_not_changed():
    original = pictures(20)
    data = Batches(original, np.zeros(20, np.int32), batch_size=8, seed=0, flip_and_shift_px=4)
    epoch_of = [data[i] for i in range(len(data))]
    assert len(epoch_of) == 3
    assert (original == pictures(20)).all()


# The device


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("fpu sse4_2 avx2 avx512f", "float32"),
        ("fpu avx512f avx512_bf16 x", "bfloat16"),
        ("amx_bf16", "bfloat16"),
        ("not_avx512_bf16_at_all", "float32"),
        ("", "float32"),
    ],
)
@pytest.mark.skipif(bool(keras.distribution.list_devices("gpu")), reason="this machine has a GPU")
def test_the_cpu_computes_in_bfloat16_only_where_it_has_the_instructions(monkeypatch, flags, precision):
    monkeypatch.setattr(devices, "_cpu_flags", lambda field: flags)
    device = devices.choose_device("auto", require_gpu=False)
    assert (device.kind, device.precision) == ("cpu", precision)
    policy = "mixed_bfloat16" if precision == "bfloat16" else "float32"
    assert keras.config.dtype_policy().name == policy


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_precision_that_was_asked_for_is_used(precision):
    assert devices.choose_device(precision, require_gpu=False).precision == precision


def test_probabilities_are_float32_in_any_precision():
    devices.choose_device("bfloat16", require_gpu=False)
    network = RECIPES["compact"].build((24, 24, 3), 3)
    assert network.layers[1].compute_dtype == "bfloat16"
    assert np.asarray(network(pictures(2, 24, 24))).dtype == np.float32


@pytest.mark.skipif(bool(keras.distribution.list_devices("gpu")), reason="this machine has a GPU")
def test_f44_a_gpu_that_is_required_and_missing_is_an_error():
    with pytest.raises(TrainingError, match="require_gpu: expected a GPU"):
        devices.choose_device("auto", require_gpu=True)
