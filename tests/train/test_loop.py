"""What the network is fed, what follows from a history, memory that runs out, and the same steps on each backend."""

import json
import math
import sys
from collections import namedtuple
from pathlib import Path

import keras
import numpy as np
import pytest
from fakes.pictures import quiet
from fakes.records import epoch_of
from trainings import HUNGRY_BATCH, TINY, program, run_trial, training_of

from imagenet_tasks.artifacts.references import TrainedModel
from imagenet_tasks.artifacts.training import read_history
from imagenet_tasks.errors import OutOfMemory
from imagenet_tasks.tasks.child import child_environment
from imagenet_tasks.train import loop
from imagenet_tasks.train.batches import FlipAndShift, flip_and_shift, order_of_epoch
from imagenet_tasks.train.checkpoints import Checkpoint, State
from imagenet_tasks.train.devices import Device
from imagenet_tasks.train.loop import prior_correction
from imagenet_tasks.train.models import Plateau
from imagenet_tasks.train.schedule import best_epoch, rate_after, stops_early

HERE = Path(__file__).parent
pytestmark = pytest.mark.usefixtures("tiny")


# Order


@pytest.mark.parametrize("count", [1, 15, 50])
def test_an_epoch_shows_each_picture_once(count):
    assert sorted(order_of_epoch(count, count, seed=0, epoch=0)) == list(range(count))


def test_seed_and_epoch_alone_give_the_order():
    orders = {(s, e): tuple(order_of_epoch(50, 50, seed=s, epoch=e)) for s in (0, 1) for e in (0, 1)}
    assert len(set(orders.values())) == 4
    assert all(tuple(order_of_epoch(50, 50, seed=s, epoch=e)) == order for (s, e), order in orders.items())


# Mirrors and shifts


def pictures(count: int = 64, rows: int = 12, columns: int = 9) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, rows, columns, 3), dtype=np.uint8)


def changed(before: np.ndarray, down: int, across: int, mirrored: bool) -> np.ndarray:
    chosen = (np.full(len(before), value) for value in (np.int32(down), np.int32(across), mirrored))
    return np.asarray(flip_and_shift(before, *chosen))


def layer_of(before: np.ndarray, shift_px: int, *, seed: int = 0, times: int = 1) -> np.ndarray:
    layer = FlipAndShift(shift_px, seed=seed)
    return np.concatenate([np.asarray(layer(before, training=True)) for _ in range(times)])


def test_no_shift_and_no_mirror_change_nothing():
    assert (changed(pictures(), 0, 0, False) == pictures()).all()


def test_a_mirror_turns_left_and_right():
    assert (changed(pictures(), 0, 0, True) == pictures()[:, :, ::-1]).all()


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(("down", "across"), [(2, 0), (0, 2), (-2, 0), (0, -2), (3, -1)])
def test_a_shift_repeats_the_edge(down, across, mirrored):
    before = pictures(5)
    turned = before[:, :, ::-1] if mirrored else before
    padded = np.pad(turned, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="edge")
    expected = padded[:, 3 + down : 15 + down, 3 + across : 12 + across]
    after = changed(before, down, across, mirrored)
    assert after.shape == before.shape and after.dtype == np.uint8
    assert (after == expected).all()


def test_the_same_seed_gives_the_same_pictures_and_another_others():
    first, again, other = (layer_of(pictures(), 3, seed=s) for s in (0, 0, 1))
    assert (first == again).all() and not (first == other).all()


def test_without_a_shift_a_picture_stays_or_is_mirrored_about_half_of_them():
    before = pictures(400)
    after = layer_of(before, 0)
    same = (after == before).all(axis=(1, 2, 3))
    mirrored = (after == before[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 150 < same.sum() < 250


def test_each_shift_up_to_the_largest_comes_and_none_beyond():
    before = np.tile(np.arange(100, dtype=np.uint8)[None, :, None, None], (300, 1, 20, 3))
    moved = layer_of(before, 4)[:, 50, 10, 0].astype(int) - 50
    assert sorted(set(moved)) == list(range(-4, 5))


def test_a_layer_changes_its_pictures_anew_each_time_and_only_in_training():
    before = pictures(50)
    after = layer_of(before, 4, times=2)
    assert not (after[:50] == after[50:]).all()
    assert (np.asarray(FlipAndShift(4, seed=0)(before)) == before).all()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize(
    ("strength", "most_px", "least_mirrored", "most_mirrored"), [(1, 4, 0.4, 0.6), (0.5, 2, 0.15, 0.35)]
)
def test_a_picture_that_may_be_changed_half_as_much_is_shifted_half_as_far_and_mirrored_half_as_often(
    strength, most_px, least_mirrored, most_mirrored, policy
):
    columns = np.arange(100, dtype=np.uint8)
    before = np.tile(columns[None, None, :, None], (400, 20, 1, 3))
    keras.config.set_dtype_policy(policy)
    layer, told = FlipAndShift(4, seed=0), np.full((400, 1), strength, np.float32)
    keras.config.set_dtype_policy("float32")
    after = np.asarray(layer(before, told, training=True))[:, 10].astype(int)[..., 0]
    mirrored = after[:, 50] > after[:, 51]
    moved = np.where(mirrored, 49 - after[:, 50], after[:, 50] - 50)
    assert sorted(set(np.abs(moved))) == list(range(most_px + 1))
    assert least_mirrored < mirrored.mean() < most_mirrored


# What follows from a history


def history(losses, accuracies=None):
    accuracies = accuracies or [0.5] * len(losses)
    return [
        epoch_of(e, val_loss=loss, val_accuracy=accuracy)
        for e, (loss, accuracy) in enumerate(zip(losses, accuracies, strict=True), start=1)
    ]


@pytest.mark.parametrize(
    ("losses", "accuracies", "best"),
    [
        ([1.0, 2.0, 3.0], [0.1, 0.3, 0.2], 2),
        ([1.0, 0.9, 0.8], [0.3, 0.3, 0.2], 2),
        ([0.9, 0.9, 0.9], [0.3, 0.3, 0.3], 1),
    ],
)
def test_the_best_epoch_has_the_highest_accuracy_then_the_lowest_loss_then_is_the_earliest(losses, accuracies, best):
    assert best_epoch(history(losses, accuracies)) == best


@pytest.mark.parametrize(
    ("losses", "patience", "stops"),
    [
        ([1.0, 0.9, 0.9, 0.9], 2, True),
        ([1.0, 0.9, 0.95], 2, False),
        ([1.0, 0.9, 0.95, 0.89], 1, False),
        ([1.0, 2.0, 3.0, 4.0], 0, False),
        ([], 3, False),
    ],
)
def test_a_training_stops_early_when_the_lowest_loss_is_so_many_epochs_ago(losses, patience, stops):
    assert stops_early(history(losses), patience) is stops


@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_the_learning_rate_is_that_of_keras_own_callback(patience, seed):
    """On losses that fall, stay, rise, and fall by less than Keras takes for a gain."""
    random = np.random.default_rng(seed)
    losses = 2 + np.cumsum(random.choice([-0.1, -0.00009, 0.0, 0.05], 40))
    callback = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.75, patience=patience)
    optimizer = keras.optimizers.Adam(1e-3)
    Model = namedtuple("Model", "optimizer metrics")
    callback.set_model(Model(optimizer, []))
    callback.on_train_begin()
    for epoch, loss in enumerate(losses):
        callback.on_epoch_end(epoch, {"val_loss": loss})
        ours = rate_after(history(losses[: epoch + 1]), 1e-3, Plateau(patience=patience, factor=0.75))
        assert np.float32(ours) == np.float32(np.asarray(optimizer.learning_rate))
    assert ours < 1e-3


# Several devices


@pytest.mark.parametrize(("devices", "batch_size"), [(1, 16), (2, 30), (8, 8)])
def test_a_schedule_counts_the_steps_that_an_epoch_takes(devices, batch_size):
    """61 pictures; what does not divide by the devices is left out of an epoch."""
    device = Device(kind="cpu", name="cpu", count=devices, precision="float32", compile_with_xla=False)
    pictures, labels = np.zeros((61, 8, 8, 3), np.uint8), np.zeros(61, np.int32)
    job = loop.Job(
        recipe=TINY["schedule"], pictures=pictures, labels=labels, validation=(pictures[:0], labels[:0]), classes=2,
        epochs=1, epoch_pictures=61, batch_size=batch_size, seed=0, patience=0, device=device,
    )  # fmt: skip
    training = loop.Training(job)
    training.run_epoch(quiet())
    assert int(training._optimizer.iterations) == training._steps
    assert training.history[0].learning_rate == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(("epochs", "pictures"), [(1, 64), (3, 64), (16, 61), (20, 40)])
def test_the_last_tenth_of_the_steps_sees_whole_pictures_however_they_fall_into_epochs(epochs, pictures, monkeypatch):
    """Else of two trainings with as many steps one would see more of them than the other."""
    shown = np.zeros((pictures, 8, 8, 3), np.uint8), np.zeros(pictures, np.int32)
    job = loop.Job(
        recipe=TINY["mixed"], pictures=shown[0], labels=shown[1], validation=(shown[0][:0], shown[1][:0]), classes=2,
        epochs=epochs, epoch_pictures=pictures, batch_size=8, seed=0, patience=0,
        device=Device(kind="cpu", name="cpu", count=1, precision="float32", compile_with_xla=False),
    )  # fmt: skip
    training, fitted, first_whole = loop.Training(job), keras.callbacks.History(), []
    fitted.history = {"loss": [1.0], "accuracy": [0.5]}
    monkeypatch.setattr(loop, "feed", lambda *_, mixing, **__: first_whole.append(mixing.first_whole) or shown)
    monkeypatch.setattr(training.trainer, "fit", lambda *_, **__: fitted)
    for _ in range(epochs):
        training.run_epoch(quiet())
    steps = -(-pictures // 8)
    mixed = [min(max(0, math.ceil(first / 8)), steps) for first in first_whole]
    assert sum(mixed) == int(0.9 * steps * epochs)


def test_going_on_with_more_devices_is_no_lack_of_memory():
    """Three devices make 66 pictures of a batch of 64."""
    state = State(history=(), batch_size=64)
    pictures = np.zeros((66, 8, 8, 3), np.uint8), np.zeros(66, np.int32)
    job = loop.Job(
        recipe=TINY["tiny"], pictures=pictures[0], labels=pictures[1], validation=(pictures[0][:0], pictures[1][:0]),
        classes=2, epochs=1, epoch_pictures=66, batch_size=64, seed=0, patience=0,
        device=Device(kind="cpu", name="cpu", count=3, precision="float32", compile_with_xla=False),
    )  # fmt: skip
    new = loop.Training(job)
    there = Checkpoint(state=state, variables=[np.array(v) for v in new._variables], best=new.network.get_weights())
    assert loop.Training.from_checkpoint(job, there).batch_size == 66


# What was added


def test_a_model_is_corrected_for_what_was_added_to_some_classes_alone():
    labels = np.array([0] * 10 + [1] * 10 + [2] * 20)
    assert prior_correction(labels, np.array([0, 0, 0])) is None
    assert prior_correction(np.append(labels, [0, 1, 2, 2]), np.array([1, 1, 2])) is None  # to all by their shares
    more = np.random.default_rng(0).permutation(np.append(labels, [0] * 40))
    assert prior_correction(more, np.array([40, 0, 0])).tolist() == pytest.approx([0.4, 2, 2])


# Memory


def test_an_error_that_is_not_about_memory_is_not_taken_for_one():
    with pytest.raises(MemoryError) as numpys:
        np.zeros(2**50, np.uint8)
    assert "MemoryError" in loop.memory_error(numpys.value)
    assert loop.memory_error(ValueError("no room for a batch")) is None


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is the kernel's")
def test_f45_where_the_memory_does_not_hold_a_batch_half_of_it_is_tried_once(prepared):
    """The system really refuses TensorFlow the memory for a batch, in a process of its own."""
    store, dataset = prepared
    lines = program(
        "trainings.py", "memory", str(store.root), dataset.fingerprint,
        TF_ENABLE_ONEDNN_OPTS="0", MALLOC_ARENA_MAX="1",  # so that what is asked for is what is used
    )  # fmt: skip
    said = [line for line in lines if line.startswith(f"Batch {HUNGRY_BATCH} does not fit")]
    assert len(said) == 1 and "OOM when allocating" in said[0] and f"with {HUNGRY_BATCH // 2}" in said[0]
    model = TrainedModel.from_dict(json.loads(lines[-1]))
    assert training_of(store, model).batch_size == HUNGRY_BATCH // 2
    assert len(read_history(store, model)) == 1


def refuse(monkeypatch, *, above: int, after: int = 0):
    """Lets a batch of more than `above` pictures end with TensorFlow's error, raised by hand, from epoch `after` on."""
    fit = keras.Model.fit
    import tensorflow as tf

    def limited(self, *args, batch_size, initial_epoch, **others):
        if batch_size > above and initial_epoch >= after:
            raise tf.errors.ResourceExhaustedError(None, None, "Graph execution error:\n\nOOM when allocating tensor")
        return fit(self, *args, batch_size=batch_size, initial_epoch=initial_epoch, **others)

    monkeypatch.setattr(keras.Model, "fit", limited)


@pytest.mark.parametrize("memory_gb", ["1", "0.000026"])
def test_f45_half_the_batch_goes_on_from_the_last_checkpoint_and_so_does_the_schedule(
    prepared, monkeypatch, caplog, memory_gb
):
    """In memory and streamed."""
    store, _ = prepared
    monkeypatch.setenv("IMAGENET_MEMORY_GB", memory_gb)
    refuse(monkeypatch, above=8, after=2)
    with caplog.at_level("INFO"):
        model = run_trial(prepared, epochs=4, model="schedule", salt=f"half {memory_gb}")
    record, rates = training_of(store, model), [e.learning_rate for e in read_history(store, model)]
    assert (record.batch_size, record.resumed_from, record.epochs) == (8, 2, 4)
    assert record.streamed == (memory_gb != "1")
    assert [m for m in caplog.messages if "Batch 16 does not fit" in m and "with 8" in m]
    assert rates == pytest.approx([0.05 * (1 + np.cos(np.pi * e / 4)) / 2 for e in (1, 2, 3, 4)], abs=1e-6)
    monkeypatch.setattr(keras.Model, "fit", None)  # found under its own name, the next time it is not trained again
    assert run_trial(prepared, epochs=4, model="schedule", salt=f"half {memory_gb}") == model


def test_f45_a_second_time_is_an_error_that_says_what_to_do(prepared, monkeypatch):
    store, _ = prepared
    models = store.names("models")
    refuse(monkeypatch, above=4)
    with pytest.raises(OutOfMemory, match=r"batch 8: the memory .*OOM when allocating.*batch_size"):
        run_trial(prepared, salt="too much")
    assert store.names("models") == models


# The device is not waited for


def test_a_step_is_waited_for_only_where_progress_is_due(prepared, monkeypatch):
    """Each figure that is fetched within an epoch waits for the device; the first step's is, since it compiles."""
    fetched = []

    class Figure(float):
        def __float__(self):
            fetched.append(1)
            return 0.0

    seen = loop._Steps.on_train_batch_end
    monkeypatch.setattr(
        loop._Steps, "on_train_batch_end", lambda self, batch, logs: seen(self, batch, {"loss": Figure()})
    )
    monkeypatch.setattr(loop, "LOOK_S", 3600)
    progress = quiet()
    run_trial(prepared, epochs=3, salt="syncs", progress=progress)
    assert len(fetched) == 1
    assert progress.done == progress.total


# Backends


def test_the_same_three_steps_have_the_same_losses_on_each_backend_in_memory_and_streamed_on_one_device_and_on_two():
    answers = []
    for backend, counts in (("tensorflow", ["1", "1streamed"]), ("jax", ["2", "1", "1streamed", "2streamed"])):
        lines = program(
            "backend_steps.py", *counts, KERAS_BACKEND=backend, JAX_PLATFORMS="cpu",
            XLA_FLAGS="--xla_force_host_platform_device_count=2",
            TF_ENABLE_ONEDNN_OPTS="0",  # whose allocator waits for ten seconds before it refuses memory
        )  # fmt: skip
        answers += [json.loads(line) for line in lines if line.startswith("{")]
    held, streamed = ([a for a in answers if a["streamed"] is way] for way in (False, True))
    assert [(a["backend"], a["devices"]) for a in held] == [("tensorflow", 1), ("jax", 2), ("jax", 1)]
    assert [(a["backend"], a["devices"]) for a in streamed] == [("tensorflow", 1), ("jax", 1), ("jax", 2)]
    assert [a.get("variables_on") for a in answers] == [None, None, 2, 1, 1, 2]
    assert all(a["memory_error"] for a in answers)  # what each backend says where it has none left
    for first, *others in (held, streamed):  # whose pictures are mixed in another order
        assert len(first["loss"]) == 3 and first["loss"][2] < first["loss"][0]
        for other in others:
            assert other["loss"] == pytest.approx(first["loss"], rel=1e-4)
            assert other["val_loss"] == pytest.approx(first["val_loss"], rel=1e-3)


def test_a_child_lets_jax_take_the_memory_of_a_gpu_as_it_needs_it_unless_told_otherwise(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    assert child_environment()["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "true")
    assert child_environment()["XLA_PYTHON_CLIENT_PREALLOCATE"] == "true"


def test_no_module_of_the_stage_imports_a_backend_when_it_is_imported():
    folder = Path(loop.__file__).parent
    for module in folder.glob("*.py"):
        lines = module.read_text().splitlines()
        assert not [x for x in lines if x.startswith(("import ", "from ")) and x.split()[1] in ("tensorflow", "jax")]
