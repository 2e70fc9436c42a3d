"""A tiny network on tiny pictures: what a training publishes, and what it refuses to."""

import dataclasses
import json
import statistics
import time

import keras
import numpy as np
import pytest
from fakes.pictures import COBRA, quiet, small_dataset

from imagenet_tasks import tasks
from imagenet_tasks.arrays import load_split, write_array
from imagenet_tasks.artifacts import ClassArray, Run, Trial
from imagenet_tasks.config import TrainConfig, make_config
from imagenet_tasks.errors import AcceleratorMissing, ChecksumMismatch, NonFiniteLoss
from imagenet_tasks.progress import Progress
from imagenet_tasks.storage import Store
from imagenet_tasks.train import name_model
from imagenet_tasks.train.models import RECIPES, Recipe
from imagenet_tasks.train.stage import train

SETTINGS = TrainConfig(batch_size=16, precision="float32")
# TensorFlow's variables do not know NumPy 2's keyword `copy` of __array__ yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
NO_GPU = pytest.mark.skipif(bool(keras.distribution.list_devices("gpu")), reason="this machine has a GPU")


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A model of its own, small enough to be trained in a moment, and one whose loss is no number."""

    def build(shape, classes):
        return keras.Sequential(
            [
                keras.Input(shape, dtype="uint8"),
                keras.layers.Rescaling(1 / 255),
                keras.layers.AveragePooling2D(4),
                keras.layers.Flatten(),
                keras.layers.Dense(classes, activation="softmax", dtype="float32"),
            ]
        )

    monkeypatch.setitem(
        RECIPES, "tiny", Recipe(build=build, optimizer=lambda steps: keras.optimizers.Adam(0.05), flip_and_shift_px=1)
    )
    monkeypatch.setitem(
        RECIPES,
        "explodes",
        Recipe(build=build, optimizer=lambda steps: keras.optimizers.SGD(float("inf")), flip_and_shift_px=None),
    )
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    where = tmp_path_factory.mktemp("train")
    store = Store(where / "home")
    return store, small_dataset(store, where / "data")


def run_trial(prepared, *, epochs=2, added=(), salt="", settings=SETTINGS, progress=None, **trial):
    store, dataset = prepared
    wanted = Trial(**{"model": "tiny", "seed": 0, "arm": "baseline", "dataset": dataset.fingerprint} | trial)
    model = name_model(settings, wanted, added, epochs=epochs, salt=salt)
    train(store, settings, dataset, wanted, added, model, epochs=epochs, progress=progress or quiet())
    return model


def training_of(store, model) -> dict:
    return json.loads(store.open_file(model.folder, "training.json").read_bytes())


def shares_of(store, model, split) -> np.ndarray:
    return np.load(store.open_file(model.folder, f"probabilities_{split}.npy"))


@pytest.fixture(scope="module")
def trained(prepared):
    """One training that many tests look at."""
    return run_trial(prepared, epochs=2, model="compact")


def test_the_history_has_a_line_for_each_epoch(prepared, trained):
    text = prepared[0].open_file(trained.folder, "history.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert all(
        {"loss", "accuracy", "val_loss", "val_accuracy", "seconds", "pictures_per_s"} <= line.keys() for line in lines
    )


def test_the_record_says_what_was_trained_on_what(prepared, trained):
    store, dataset = prepared
    record = training_of(store, trained)
    assert record["trial"] == trained.trial.as_dict()
    assert record["training_pictures"] == sum(c.train for c in dataset.classes)
    assert (record["epochs"], record["batch_size"], record["added_pictures"]) == (2, 16, 0)
    assert (record["device"] in ("cpu", "gpu"), record["precision"], record["backend"]) == (
        True,
        "float32",
        "tensorflow",
    )
    assert record["keras"] == keras.__version__ and record["device_name"]


class _Slow(keras.callbacks.Callback):
    """Makes parts of a training take their time: each validation, and the first epoch as if it compiled."""

    def on_test_end(self, logs=None):
        time.sleep(0.6)

    def on_epoch_begin(self, epoch, logs=None):
        time.sleep(1.0 if epoch == 0 else 0.0)


def test_the_epochs_seconds_leave_the_validation_out_and_the_rate_is_the_median_epochs(prepared, monkeypatch):
    fit = keras.Model.fit

    def slowed(self, *args, callbacks, **others):
        return fit(self, *args, callbacks=[*callbacks, _Slow()], **others)

    monkeypatch.setattr(keras.Model, "fit", slowed)
    store, dataset = prepared
    model = run_trial(prepared, epochs=3, salt="slow")
    lines = [json.loads(line) for line in store.open_file(model.folder, "history.jsonl").read_text().splitlines()]
    record, pictures = training_of(store, model), sum(c.train for c in dataset.classes)
    assert lines[0]["seconds"] >= 1.0 > 0.6 > max(line["seconds"] for line in lines[1:])
    assert [line["pictures_per_s"] for line in lines] == pytest.approx([pictures / line["seconds"] for line in lines])
    assert record["pictures_per_s"] == statistics.median(line["pictures_per_s"] for line in lines)
    assert record["train_seconds"] == pytest.approx(sum(line["seconds"] for line in lines))
    assert record["seconds"] >= record["train_seconds"] + 3 * 0.6


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_saved_model_gives_the_published_probabilities(prepared, trained, split):
    store, dataset = prepared
    network = keras.saving.load_model(store.open_file(trained.folder, "model.keras"))
    pictures, _ = load_split(store, dataset, split)
    published = shares_of(store, trained, split)
    assert published.shape == (len(pictures), 3)
    assert np.asarray(network.predict(pictures, verbose=0)) == pytest.approx(published, abs=1e-5)


def test_the_last_epochs_validation_accuracy_is_that_of_the_published_probabilities(prepared, trained):
    store, dataset = prepared
    history = store.open_file(trained.folder, "history.jsonl").read_text().splitlines()
    _, labels = load_split(store, dataset, "validation")
    accuracy = (shares_of(store, trained, "validation").argmax(axis=1) == labels).mean()
    assert json.loads(history[-1])["val_accuracy"] == pytest.approx(accuracy, abs=1e-6)


def test_f46_a_model_file_that_changed_is_not_handed_out(prepared):
    store, _ = prepared
    model = run_trial(prepared, epochs=1, salt="to be damaged")
    store.write_bytes(f"{model.folder}/model.keras", store.read_bytes(f"{model.folder}/model.keras")[:-1])
    with pytest.raises(ChecksumMismatch, match=r"model\.keras"):
        store.open_file(model.folder, "model.keras")


def test_a_network_learns_what_can_be_learned(tmp_path):
    store = Store(tmp_path / "home")
    dataset = small_dataset(store, tmp_path / "data", count=12)
    model = run_trial((store, dataset), epochs=12)
    history = store.open_file(model.folder, "history.jsonl").read_text().splitlines()
    assert json.loads(history[-1])["loss"] < 0.8 * json.loads(history[0])["loss"]


def test_the_same_seed_trains_the_same_model_and_another_seed_another(prepared):
    store, _ = prepared
    first, again, other = (
        shares_of(store, run_trial(prepared, epochs=1, salt=salt, seed=seed), "test")
        for salt, seed in (("s0", 0), ("s1", 0), ("s2", 1))
    )
    assert first == pytest.approx(again, abs=1e-5)
    assert np.abs(first - other).max() > 1e-3


def test_added_pictures_join_the_training_side_alone(prepared):
    store, dataset = prepared
    array = ClassArray(class_id=COBRA, fingerprint="added", count=30)
    pictures = np.zeros((30, 16, 16, 3), np.uint8)
    write_array(store, array, pictures, ["x"] * 30, shape=(16, 16, 3))
    before = {split: load_split(store, dataset, split)[1].tolist() for split in ("validation", "test")}
    model = run_trial(prepared, epochs=8, added=[array], arm="targeted")
    record = training_of(store, model)
    assert record["training_pictures"] == sum(c.train for c in dataset.classes) + 30
    assert record["added_pictures"] == 30
    assert {split: len(shares_of(store, model, split)) for split in before} == {s: len(v) for s, v in before.items()}
    network = keras.saving.load_model(store.open_file(model.folder, "model.keras"))
    assert network.predict(pictures[:1], verbose=0).argmax() == 0  # they were learned with their class's label


def test_f43_a_loss_that_is_no_number_publishes_nothing(prepared):
    store, _ = prepared
    models = store.names("models")
    with pytest.raises(NonFiniteLoss, match="epoch 1: the loss is"):
        run_trial(prepared, epochs=3, model="explodes")
    assert store.names("models") == models
    assert not [p for p in store.path("models").iterdir() if p.name.startswith(".attempt")]


@NO_GPU
def test_f44_without_the_gpu_that_is_required_nothing_is_trained(prepared):
    store, _ = prepared
    models = store.names("models")
    with pytest.raises(AcceleratorMissing, match="require_gpu: expected a GPU"):
        run_trial(prepared, settings=dataclasses.replace(SETTINGS, require_gpu=True), salt="gpu")
    assert store.names("models") == models


def test_the_progress_counts_every_picture_of_every_epoch_and_shows_the_figures(prepared):
    heard = []
    progress = Progress(task="t", item="", label="l", total=0, unit="u", listeners=(heard.append,), interval_s=3600)
    run_trial(prepared, epochs=3, salt="progress", progress=progress)
    trained_on = 3 * sum(c.train for c in prepared[1].classes)
    assert (heard[-1].done, heard[-1].total) == (trained_on, trained_on)
    assert [s.figures["epoch"] for s in heard] == ["1/3", "2/3", "3/3"]
    assert {"loss", "accuracy", "val_accuracy", "pictures_per_s"} <= heard[-1].figures.keys()


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 9},
        {"salt": "x"},
        {"seed": 9},
        {"arm": "targeted"},
        {"dataset": "other"},
        {"model": "compact"},
        {"settings": dataclasses.replace(SETTINGS, batch_size=8)},
        {"settings": dataclasses.replace(SETTINGS, precision="bfloat16")},
        {"added": [ClassArray(class_id=COBRA, fingerprint="a", count=1)]},
    ],
)
def test_f34_whatever_changes_the_model_changes_its_name(change):
    def named(**others):
        trial = {"model": "tiny", "seed": 0, "arm": "baseline", "dataset": "d"}
        own = {"settings": SETTINGS, "added": [], "epochs": 1, "salt": ""}
        trial |= {k: v for k, v in others.items() if k in trial}
        own |= {k: v for k, v in others.items() if k in own}
        return name_model(
            own["settings"], Trial(**trial), own["added"], epochs=own["epochs"], salt=own["salt"]
        ).fingerprint

    assert named() == named()
    assert named(**change) != named()


def test_f34_a_setting_that_changes_no_model_keeps_its_name():
    trial = Trial(model="tiny", seed=0, arm="baseline", dataset="d")
    other = dataclasses.replace(SETTINGS, require_gpu=True, epochs=99, retrain_epochs=98)
    assert name_model(SETTINGS, trial, [], epochs=1) == name_model(other, trial, [], epochs=1)


def test_f34_a_task_trains_once_and_says_when_it_had_nothing_to_do(prepared, caplog):
    store, dataset = prepared
    run = Run(store, "dag", "run")
    run.write_config(make_config("sample", {"epochs": 1, "batch_size": 16, "precision": "float32"}))
    trial = Trial(model="tiny", seed=5, arm="baseline", dataset=dataset.fingerprint).as_dict()
    with caplog.at_level("INFO"):
        first = tasks.train_baseline(run, trial)
        file = store.path(f"models/{first['fingerprint']}/model.keras")
        before = file.stat().st_mtime_ns
        again = tasks.train_baseline(run, trial)
    assert (first, file.stat().st_mtime_ns) == (again, before)
    assert "Nothing to do, reused" in caplog.messages[-1]
    (record,) = run.task_records()
    assert (record["task"], record["reused"], record["result"]) == ("train_baseline", True, first)
