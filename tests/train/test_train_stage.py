"""A tiny network on tiny pictures: what a training publishes, and what it refuses to."""

import dataclasses
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from fakes.pictures import COBRA, load_split, small_dataset
from fakes.records import suspects_of
from trainings import SETTINGS, TINY, run_trial, shares_of, training_of

from imagenet_tasks.artifacts.arrays import SplitTable, fold_of, read_array, read_split, write_array
from imagenet_tasks.artifacts.references import ClassArray, Regime, TrainedModel, Trial
from imagenet_tasks.artifacts.training import read_history
from imagenet_tasks.artifacts.tuning import Tuning
from imagenet_tasks.errors import AcceleratorMissing, ChecksumMismatch, NonFiniteLoss
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import models, tuning
from imagenet_tasks.train import Work, loop
from imagenet_tasks.train.hardest import choose_hardest, hardest
from imagenet_tasks.train.models import RECIPES
from imagenet_tasks.workflow.progress import Progress
from imagenet_tasks.workflow.run import Run

pytestmark = pytest.mark.usefixtures("tiny")
NO_GPU = pytest.mark.skipif(bool(keras.distribution.list_devices("gpu")), reason="this machine has a GPU")


@pytest.fixture(autouse=True)
def float32():
    """A training changes the policy for what is built later."""
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="module")
def trained(prepared):
    """One training that many tests look at."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "mixed", TINY["mixed"])
        return run_trial(prepared, epochs=2, model="mixed")


def test_the_history_has_a_line_for_each_epoch(prepared, trained):
    lines = read_history(prepared[0], trained)
    assert [e.epoch for e in lines] == [1, 2]
    assert all(None not in e.as_dict().values() for e in lines)


def test_the_record_says_what_was_trained_on_what(prepared, trained):
    store, dataset = prepared
    record = training_of(store, trained)
    assert record.trial == trained.trial
    assert record.training_pictures == sum(c.train for c in dataset.classes)
    assert (record.epochs, record.batch_size, record.added_pictures) == (2, 16, 0)
    assert (record.stopped_early, record.resumed_from, record.devices) == (False, 0, 1)
    assert record.best_epoch in (1, 2)
    assert (record.device in ("cpu", "gpu"), record.precision, record.backend) == (
        True,
        "float32",
        "tensorflow",
    )
    assert record.keras == keras.__version__ and record.device_name


def test_the_epochs_seconds_leave_the_validation_out_and_the_rate_is_the_median_epochs(prepared, monkeypatch):
    """By a clock that only training and validation move; the first epoch takes as if it compiled."""
    now_s = 0.0
    fit, validate = keras.Model.fit, loop.Training._validate

    def slow_fit(self, *args, initial_epoch, **others):
        nonlocal now_s
        now_s += (8.0, 1.0, 2.0)[initial_epoch]
        return fit(self, *args, initial_epoch=initial_epoch, **others)

    def slow_validate(self):
        nonlocal now_s
        now_s += 0.5
        return validate(self)

    monkeypatch.setattr(keras.Model, "fit", slow_fit)
    monkeypatch.setattr(loop.Training, "_validate", slow_validate)
    for module in ("loop", "stage"):
        clock = SimpleNamespace(monotonic=lambda: now_s)
        monkeypatch.setattr(f"imagenet_tasks.train.{module}.time", clock)
    store, dataset = prepared
    model = run_trial(prepared, epochs=3, salt="slow")
    lines, record, pictures = (
        read_history(store, model),
        training_of(store, model),
        sum(c.train for c in dataset.classes),
    )
    assert [e.seconds for e in lines] == [8.0, 1.0, 2.0]
    assert [e.pictures_per_s for e in lines] == [pictures / 8, pictures, pictures / 2]
    assert record.pictures_per_s == pictures / 2
    assert (record.train_seconds, record.seconds) == (11.0, 12.5)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_saved_model_gives_the_published_probabilities(prepared, trained, split):
    store, dataset = prepared
    network = keras.saving.load_model(store.open_file(trained.folder, "model.keras"))
    pictures, _ = load_split(store, dataset, split)
    published = shares_of(store, trained, split)
    assert published.shape == (len(pictures), 3)
    assert np.asarray(network.predict(pictures, verbose=0)) == pytest.approx(published, abs=1e-5)


def test_the_published_model_holds_layers_of_keras_alone(prepared, trained):
    network = keras.saving.load_model(prepared[0].open_file(trained.folder, "model.keras"))
    assert {type(layer).__module__.partition(".")[0] for layer in network.layers} == {"keras"}


def test_the_published_probabilities_are_the_best_epochs(prepared):
    store, dataset = prepared
    model = run_trial(prepared, epochs=6, salt="best")
    best = read_history(store, model)[training_of(store, model).best_epoch - 1]
    _, labels = load_split(store, dataset, "validation")
    shares = shares_of(store, model, "validation")
    assert best.val_accuracy == pytest.approx((shares.argmax(axis=1) == labels).mean(), abs=1e-6)
    assert best.val_loss == pytest.approx(-np.log(shares[np.arange(len(labels)), labels]).mean(), rel=1e-4)
    assert best.val_accuracy == max(e.val_accuracy for e in read_history(store, model))


def test_without_validation_pictures_the_last_epoch_is_published(prepared, monkeypatch):
    store, dataset = prepared

    on = SplitTable.on
    monkeypatch.setattr(SplitTable, "on", lambda self, side: on(self, side)[: 0 if side == "validation" else None])
    settings = dataclasses.replace(SETTINGS, early_stopping_patience=1)
    model = run_trial(prepared, epochs=3, model="plateau", salt="no validation", settings=settings)
    record = training_of(store, model)
    assert (record.epochs, record.best_epoch, record.stopped_early) == (3, 3, False)
    assert {(e.val_loss, e.val_accuracy) for e in read_history(store, model)} == {(None, None)}
    assert [len(shares_of(store, model, s)) for s in ("validation", "test")] == [
        0,
        sum(c.test for c in dataset.classes),
    ]
    assert shares_of(store, model, "validation").shape == (0, 3)


def test_early_stopping_ends_after_the_epochs_without_a_better_loss_and_publishes_the_best(prepared, monkeypatch):
    losses = iter([0.9, 0.8, 0.81, 0.82, 0.1])
    validate = loop.Training._validate
    monkeypatch.setattr(loop.Training, "_validate", lambda self: validate(self) | {"val_loss": next(losses)})
    store, _ = prepared
    heard = []
    progress = Progress(task="t", item="", label="l", total=0, unit="u", listeners=(heard.append,))
    settings = dataclasses.replace(SETTINGS, early_stopping_patience=2)
    model = run_trial(prepared, epochs=5, salt="early", settings=settings, progress=progress)
    record = training_of(store, model)
    assert (record.epochs, len(read_history(store, model)), record.stopped_early) == (4, 4, True)
    assert heard[-1].done == heard[-1].total


def test_the_learning_rate_falls_where_the_validation_loss_stays(prepared, monkeypatch):
    losses = iter([0.9, 0.8, 0.8, 0.7, 0.7, 0.7])
    validate = loop.Training._validate
    monkeypatch.setattr(loop.Training, "_validate", lambda self: validate(self) | {"val_loss": next(losses)})
    model = run_trial(prepared, epochs=6, salt="rate", model="plateau")
    rates = [e.learning_rate for e in read_history(prepared[0], model)]
    assert rates == pytest.approx([0.05, 0.05, 0.05, 0.025, 0.025, 0.0125])


@pytest.mark.parametrize("other", ["cut", "another model's"])
def test_f46_a_model_file_that_changed_is_not_handed_out(prepared, trained, other):
    store, _ = prepared
    model = run_trial(prepared, epochs=1, salt=f"to be {other}")
    key = f"{model.folder}/model.keras"
    store.write_bytes(
        key, store.read_bytes(key)[:-1] if other == "cut" else store.read_bytes(f"{trained.folder}/model.keras")
    )
    with pytest.raises(ChecksumMismatch, match=r"model\.keras"):
        store.open_file(model.folder, "model.keras")


def test_a_network_learns_what_can_be_learned(tmp_path):
    store = Store(tmp_path / "home")
    dataset = small_dataset(store, tmp_path / "data", count=12)
    model = run_trial((store, dataset), epochs=12)
    history = read_history(store, model)
    assert history[-1].loss < 0.8 * history[0].loss


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
    with store.publish(array.folder) as folder:
        write_array(folder, array, pictures, ["x"] * 30, shape=(16, 16, 3))
    before = {split: load_split(store, dataset, split)[1].tolist() for split in ("validation", "test")}
    settings = dataclasses.replace(SETTINGS, correct_prior=False)
    model = run_trial(prepared, epochs=8, added=[array], arm="targeted", settings=settings)
    record = training_of(store, model)
    assert record.training_pictures == sum(c.train for c in dataset.classes) + 30
    assert record.added_pictures == 30
    assert {split: len(shares_of(store, model, split)) for split in before} == {s: len(v) for s, v in before.items()}
    network = keras.saving.load_model(store.open_file(model.folder, "model.keras"))
    assert network.predict(pictures[:1], verbose=0).argmax() == 0  # they were learned with their class's label


def test_a_published_model_is_corrected_for_what_was_added_to_its_class(prepared):
    store, dataset = prepared
    array = ClassArray(class_id=COBRA, fingerprint="more", count=40)
    pictures = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8)
    with store.publish(array.folder) as folder:
        write_array(folder, array, pictures, ["x"] * 40, shape=(16, 16, 3))
    answers = {}
    for corrected in (True, False):
        settings = dataclasses.replace(SETTINGS, correct_prior=corrected)
        model = run_trial(prepared, epochs=1, added=[array], arm="targeted", settings=settings, salt="prior")
        network = keras.saving.load_model(store.open_file(model.folder, "model.keras"))
        answers[corrected] = network.predict(load_split(store, dataset, "test")[0], verbose=0)
        assert shares_of(store, model, "test") == pytest.approx(answers[corrected], abs=1e-5)
    own = np.array([c.train for c in dataset.classes])
    expected = answers[False] * own / (own + np.array([40, 0, 0]))
    assert answers[True] == pytest.approx(expected / expected.sum(axis=1, keepdims=True), abs=1e-5)


def test_pictures_whose_label_is_strongly_in_doubt_are_left_out_where_the_regime_says_so(prepared):
    store, dataset = prepared
    cobras = [row.image_id for row in read_split(store, dataset, "train") if row.class_id == COBRA]
    with store.publish("evaluations/doubting") as folder:
        suspects_of([(COBRA, cobras[0], 0.9), (COBRA, cobras[1], 0.4)]).write_to(folder)  # the second one not strongly
    model = run_trial(prepared, epochs=1, arm="clean", regime=Regime(doubted="d", doubted_by="doubting"))
    record, pictures = training_of(store, model), sum(c.train for c in dataset.classes)
    assert (record.training_pictures, record.added_pictures, record.prior_corrected) == (pictures - 1, 0, True)


def test_softened_classes_are_told_to_the_network_while_it_trains_and_not_to_the_published_one(prepared, monkeypatch):
    store, dataset = prepared
    monkeypatch.setitem(RECIPES, "mixed", TINY["mixed"])
    fed, fit = [], keras.Model.fit
    monkeypatch.setattr(keras.Model, "fit", lambda self, x, y, **o: fed.append((x, y)) or fit(self, x, y, **o))
    model = run_trial(prepared, epochs=1, model="mixed", arm="soften", regime=Regime(softened=(1,)))
    (_, strength), targets = fed[0]
    assert (strength[:, 0] == np.where(targets[:, 0] == 1, 0.5, 1)).all()
    network = keras.saving.load_model(store.open_file(model.folder, "model.keras"))
    said = network.predict(load_split(store, dataset, "test")[0], verbose=0)
    assert shares_of(store, model, "test") == pytest.approx(said, abs=1e-5)


def test_of_a_draw_those_are_chosen_that_the_published_models_get_most_wrong(prepared, trained):
    store, _ = prepared
    pictures = np.random.default_rng(0).integers(0, 256, (12, 16, 16, 3), np.uint8)
    draw = ClassArray(class_id=COBRA, fingerprint="draw", count=12)
    with store.publish(draw.folder) as folder:
        write_array(folder, draw, pictures, [str(i) for i in range(12)], shape=(16, 16, 3))
    chosen = choose_hardest(store, [trained], draw, label=0, wanted=3)
    network = keras.saving.load_model(store.open_file(trained.folder, "model.keras"))
    expected = hardest(network.predict(pictures, verbose=0), 0)[:3]
    assert read_array(store, chosen)[1] == [str(i) for i in expected] and chosen.count == len(expected)


def test_the_hardest_picture_is_the_one_whose_class_is_least_probable_and_what_is_in_doubt_comes_last():
    said = [[0.5, 0.3, 0.2], [0.1, 0.5, 0.4], [0.1, 0.8, 0.1], [0.3, 0.4, 0.3], [0.1, 0.7, 0.2]]
    assert hardest(np.array(said, np.float32), 0) == [1, 3, 0, 4, 2]


def test_a_trial_that_judges_labels_publishes_what_it_says_of_the_pictures_it_did_not_see(prepared, monkeypatch):
    store, dataset = prepared
    asked, seen = [], []
    on, fit = SplitTable.on, keras.Model.fit
    monkeypatch.setattr(SplitTable, "on", lambda self, side: asked.append(side) or on(self, side))
    monkeypatch.setattr(keras.Model, "fit", lambda self, x, y, **o: seen.append(x) or fit(self, x, y, **o))
    model = run_trial(prepared, epochs=1, arm="labels", fold=1, folds=3)
    rows = read_split(store, dataset, "train")
    assert set(asked) == {"train", "validation"}
    pictures, _ = load_split(store, dataset, "train")
    held_out = np.array([fold_of(row.image_id, 3) == 1 for row in rows])
    assert 0 < held_out.sum() < len(rows)
    assert sorted(p.tobytes() for p in seen[0]) == sorted(p.tobytes() for p in pictures[~held_out])
    assert shares_of(store, model, "labels").shape == (held_out.sum(), 3)
    assert set(store.names(model.folder)) == {
        "complete.json", "history.jsonl", "training.json", "probabilities_labels.npy"
    }  # fmt: skip
    assert training_of(store, model).training_pictures == (~held_out).sum()


def test_a_tuning_reads_no_test_picture_and_keeps_its_trainings_figures_alone(prepared, monkeypatch):
    """A whole one, with a tiny network in the place of `compact`'s, which takes long to compile."""
    store, dataset = prepared
    asked, on, widths, build = [], SplitTable.on, [], TINY["tiny"].build
    monkeypatch.setattr("imagenet_tasks.train.models.compact", lambda *of, width: widths.append(width) or build(*of))
    monkeypatch.setattr(SplitTable, "on", lambda self, side: asked.append(side) or on(self, side))
    run = Run(store, "dag", "tuned")
    run.write_config(make_config("best", {"tune_candidates": 2, "epochs": 1, "precision": "float32"}))
    (order,) = tuning.plan_tuning(run, [{"dataset": dataset.fingerprint}])
    assert tuning.tune(run, order, listeners=()) == {"trainings": 2}
    assert set(asked) == {"train", "validation"}
    trained = [TrainedModel.from_dict(r["result"]) for r in run.task_records() if r["task"] == "tune"]
    for model in trained:
        assert set(store.names(model.folder)) == {"complete.json", "history.jsonl", "training.json"}
    found = Tuning.from_dict(tuning.choose_settings(run))
    assert [t.candidate for t in found.trainings] == [1, 2] and found.winner
    assert [t.width for t in found.trainings] == widths


def test_where_the_test_pictures_steer_no_trial_that_judges_labels_looks_at_them(prepared):
    store, dataset = prepared[0], prepared[1].model_copy(update={"test_steers": True})
    judging = run_trial((store, dataset), epochs=1, arm="labels", fold=0, folds=2, salt="steered")
    steered = run_trial((store, dataset), epochs=1, salt="steered")
    assert read_history(store, judging)[0].val_loss is None is not read_history(store, steered)[0].val_loss
    assert (shares_of(store, steered, "validation") == shares_of(store, steered, "test")).all()


def test_f43_a_loss_that_is_no_number_publishes_nothing_and_leaves_no_checkpoint(prepared):
    store, _ = prepared
    models, checkpoints = store.names("models"), store.names("checkpoints")
    with pytest.raises(NonFiniteLoss, match=r"epoch 1: the loss is .*precision=float32"):
        run_trial(prepared, epochs=3, model="explodes")
    assert (store.names("models"), store.names("checkpoints")) == (models, checkpoints)
    assert not [p for p in store.path("models").iterdir() if p.name.startswith(".attempt")]


def test_f43_probabilities_that_are_no_numbers_are_not_published(prepared):
    """The only step's loss is a number, the weights after it are none, and there are no validation pictures."""
    store, dataset = prepared[0], prepared[1].model_copy(update={"test_steers": True})
    models, checkpoints = store.names("models"), store.names("checkpoints")
    settings = dataclasses.replace(SETTINGS, batch_size=1000)
    with pytest.raises(NonFiniteLoss, match=r"after epoch 1 the model gives probabilities .*precision=float32"):
        run_trial((store, dataset), epochs=1, model="explodes", arm="labels", fold=0, folds=2, settings=settings)
    assert (store.names("models"), store.names("checkpoints")) == (models, checkpoints)


@NO_GPU
def test_f44_without_the_gpu_that_is_required_nothing_is_trained(prepared):
    store, _ = prepared
    models = store.names("models")
    with pytest.raises(AcceleratorMissing, match="require_gpu: expected a GPU"):
        run_trial(prepared, settings=dataclasses.replace(SETTINGS, require_gpu=True), salt="gpu")
    assert store.names("models") == models


@pytest.mark.parametrize("memory_gb", ["1", "0.000026"])
def test_the_progress_counts_every_picture_of_every_epoch_and_shows_the_figures(prepared, monkeypatch, memory_gb):
    """In memory and streamed."""
    monkeypatch.setenv("IMAGENET_MEMORY_GB", memory_gb)
    heard = []
    progress = Progress(task="t", item="", label="l", total=0, unit="u", listeners=(heard.append,), interval_s=3600)
    run_trial(prepared, epochs=3, salt=f"progress {memory_gb}", progress=progress)
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
        {"settings": dataclasses.replace(SETTINGS, early_stopping_patience=3)},
        {"settings": dataclasses.replace(SETTINGS, weight_decay=0.0)},
        {"arm": "labels", "fold": 1, "folds": 5},
        {"arm": "part", "folds": 4},
        {"added": (ClassArray(class_id=COBRA, fingerprint="a", count=1),)},
        {"epoch_pictures": 7},
        {"regime": Regime(mixed=((0, 1),))},
    ],
)
def test_f34_whatever_changes_the_model_changes_its_name(change):
    def named(**others):
        trial = {"model": "tiny", "seed": 0, "arm": "baseline", "dataset": "d", "fold": 0, "folds": 0}
        trial |= {"added": (), "epoch_pictures": None, "regime": Regime()}
        own = {"settings": SETTINGS, "epochs": 1, "salt": ""}
        trial |= {k: v for k, v in others.items() if k in trial}
        own |= {k: v for k, v in others.items() if k in own}
        return Work(trial=Trial(**trial), **own).model("float32").fingerprint

    assert named() == named()
    assert named(**change) != named()


@pytest.mark.parametrize("other", ["bfloat16", "jax", "half the batch"])
def test_f34_a_model_of_another_precision_backend_or_batch_has_another_name(other, monkeypatch):
    trial = Trial(model="tiny", seed=0, arm="baseline", dataset="d")
    work = Work(settings=SETTINGS, trial=trial, epochs=1)
    name = work.model("float32")
    if other == "jax":
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    precision = other if other == "bfloat16" else "float32"
    assert work.model(precision, halved=other == "half the batch") != name


def test_f34_a_setting_that_changes_no_model_keeps_its_name():
    trial = Trial(model="tiny", seed=0, arm="baseline", dataset="d")
    other = dataclasses.replace(SETTINGS, require_gpu=True, epochs=99, retrain_epochs=98)
    work = Work(settings=SETTINGS, trial=trial, epochs=1)
    assert work.model("float32") == dataclasses.replace(work, settings=other).model("float32")


def test_f34_a_task_trains_once_and_says_when_it_had_nothing_to_do(prepared, caplog):
    store, dataset = prepared
    run = Run(store, "dag", "run")
    run.write_config(make_config("sample", {"epochs": 1, "batch_size": 16, "precision": "float32"}))
    trial = Trial(model="tiny", seed=5, arm="baseline", dataset=dataset.fingerprint).as_dict()
    with caplog.at_level("INFO"):
        first = models.train_baseline(run, trial)
        file = store.path(f"models/{first['fingerprint']}/model.keras")
        before = file.stat().st_mtime_ns
        again = models.train_baseline(run, trial)
    assert (first, file.stat().st_mtime_ns) == (again, before)
    assert "Nothing to do, reused" in caplog.messages[-1]
    (record,) = run.task_records()
    assert (record["task"], record["reused"], record["result"]) == ("train_baseline", True, first)
