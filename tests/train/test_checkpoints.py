"""A training that is stopped, and what its checkpoints are worth when they are damaged."""

import dataclasses
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from fakes.records import epoch_of
from trainings import KILLED_IN, TINY, kill_a_training, learned, run_trial, shares_of, training_of

from imagenet_tasks.artifacts.training import read_history
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train import loop
from imagenet_tasks.train.checkpoints import Checkpoint, Checkpoints, State
from imagenet_tasks.train.models import RECIPES

HERE = Path(__file__).parent
pytestmark = pytest.mark.usefixtures("tiny")
EPOCHS, STOPPED_AFTER = 5, 3
LIKE = {"abs": 1e-5, "rel": 1e-4}  # the order of additions may differ between two trainings


class Stopped(BaseException):
    """The task was told to stop."""


def train_until(prepared, epoch: int, monkeypatch, **others) -> None:
    """A training that ends at the start of the epoch after `epoch`."""
    run = loop.Training.run_epoch

    def stopping(self, progress):
        if len(self.history) == epoch:
            raise Stopped
        run(self, progress)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(loop.Training, "run_epoch", stopping)
        run_trial(prepared, epochs=EPOCHS, **others)


@pytest.fixture(scope="module")
def whole(prepared):
    """Figures and probabilities of a training that nobody stopped."""
    with pytest.MonkeyPatch.context() as patch:
        for name, recipe in TINY.items():
            patch.setitem(RECIPES, name, recipe)
        store, _ = prepared
        results = {}
        for name in ("tiny", "mixed", "schedule"):
            model = run_trial(prepared, epochs=EPOCHS, salt="whole", model=name)
            results[name] = (learned(read_history(store, model)), shares_of(store, model, "test"))
        return results


def same_as(whole, store, model, name="tiny") -> bool:
    """Tells whether a training ended as the one that nobody stopped."""
    lines, shares = whole[name]
    assert shares_of(store, model, "test") == pytest.approx(shares, **LIKE)
    for line, expected in zip(learned(read_history(store, model)), lines, strict=True):
        assert line == pytest.approx(expected, **LIKE)
    return True


@pytest.fixture
def copied(prepared, tmp_path):
    """The same pictures in a home of its own."""
    shutil.copytree(str(prepared[0].root), tmp_path / "home", ignore=shutil.ignore_patterns("models", "checkpoints"))
    return Store(tmp_path / "home"), prepared[1]


def checkpoints_of(store) -> list[Path]:
    """The folders of the one training that is under way, newest first."""
    (parent,) = Path(str(store.path("checkpoints"))).iterdir()
    return sorted(parent.iterdir(), reverse=True)


# F40


def test_f40_a_training_that_was_killed_in_an_epoch_goes_on_from_the_one_before(copied, whole, caplog):
    store, dataset = copied
    kill_a_training(store, dataset)
    with caplog.at_level("INFO"):
        model = run_trial(copied, epochs=EPOCHS)
    assert f"Going on after epoch {KILLED_IN - 1} of {EPOCHS}" in caplog.text
    assert training_of(store, model).resumed_from == KILLED_IN - 1
    assert same_as(whole, store, model)


@pytest.mark.parametrize("name", ["mixed", "schedule"])
def test_f40_mixed_pictures_and_a_schedule_go_on_as_if_nothing_was(copied, whole, monkeypatch, name):
    train_until(copied, STOPPED_AFTER, monkeypatch, model=name)
    assert same_as(whole, copied[0], run_trial(copied, epochs=EPOCHS, model=name), name)


def test_f40_a_training_that_was_stopped_before_it_published_trains_nothing_again(copied, whole, monkeypatch):
    store, _ = copied

    def stopped(self, *args):
        raise Stopped

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(keras.Model, "save", stopped)
        run_trial(copied, epochs=EPOCHS)
    monkeypatch.setattr(loop.Training, "run_epoch", stopped)
    assert same_as(whole, store, run_trial(copied, epochs=EPOCHS))


def test_the_newest_two_checkpoints_are_kept_and_none_once_the_model_is_published(copied, monkeypatch):
    store, _ = copied
    train_until(copied, STOPPED_AFTER, monkeypatch)
    assert [f.name[:11] for f in checkpoints_of(store)] == ["epoch-00003", "epoch-00002"]
    run_trial(copied, epochs=EPOCHS)
    assert store.names("checkpoints") == []


# F41


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "the weights are cut": lambda newest, older: cut(newest / "variables.npz"),
    "the best weights are cut": lambda newest, older: cut(newest / "best.npz"),
    "the state is cut": lambda newest, older: cut(newest / "state.json"),
    "the marker is cut": lambda newest, older: cut(newest / "complete.json"),
    "the marker is empty": lambda newest, older: (newest / "complete.json").write_text(""),
    "the marker says something else": lambda newest, older: (newest / "complete.json").write_text('["x"]'),
    "weights and state are cut": lambda newest, older: (cut(newest / "variables.npz"), cut(newest / "state.json")),
    "the weights are missing": lambda newest, older: (newest / "variables.npz").unlink(),
    "the weights are another checkpoint's": lambda newest, older: shutil.copy(older / "variables.npz", newest),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_f41_a_damaged_checkpoint_is_put_aside_and_the_one_before_is_used(tmp_path, caplog, damage):
    checkpoints = Checkpoints(Store(tmp_path), "m")
    for epoch in (2, 3):
        checkpoints.save(checkpoint(epoch, 0.1 * epoch))
    newest, older = checkpoints_of(Store(tmp_path))
    DAMAGES[damage](newest, older)
    assert len(checkpoints.newest(lambda c: c).state.history) == 2
    (warning,) = caplog.messages
    assert newest.name in warning and "put aside" in warning
    assert newest.is_dir() and not (newest / "complete.json").exists()  # its files are kept for whoever asks why


@pytest.mark.parametrize("name", ["variables.npz", "state.json", "complete.json"])
def test_f41_where_every_checkpoint_is_damaged_there_is_none(tmp_path, caplog, name):
    checkpoints = Checkpoints(Store(tmp_path), "m")
    for epoch in (2, 3):
        checkpoints.save(checkpoint(epoch, 0.1))
    for folder in checkpoints_of(Store(tmp_path)):
        cut(folder / name)
    assert checkpoints.newest(lambda c: c) is None
    assert len(caplog.messages) == 3 and "starts anew" in caplog.messages[-1]


@pytest.mark.parametrize("damaged", [1, 2])
def test_f41_a_training_goes_on_from_the_checkpoint_that_is_left_or_starts_anew(
    copied, whole, monkeypatch, caplog, damaged
):
    store, _ = copied
    train_until(copied, STOPPED_AFTER, monkeypatch)
    for folder in checkpoints_of(store)[:damaged]:
        cut(folder / "variables.npz")
    with caplog.at_level("INFO"):
        model = run_trial(copied, epochs=EPOCHS)
    assert ("Going on after epoch 2" in caplog.text, "starts anew" in caplog.text) == (damaged == 1, damaged == 2)
    assert same_as(whole, store, model)


def test_f41_a_checkpoint_that_does_not_fit_the_network_is_put_aside(copied, monkeypatch, caplog):
    train_until(copied, STOPPED_AFTER, monkeypatch)
    folders = checkpoints_of(copied[0])
    other = dataclasses.replace(TINY["tiny"], optimizer=lambda steps: keras.optimizers.SGD(0.1))
    monkeypatch.setitem(RECIPES, "tiny", other)
    run_trial(copied, epochs=EPOCHS)
    assert "expected arrays of the shapes" in caplog.text and "starts anew" in caplog.text
    assert all(folder.is_dir() for folder in folders)


# F42


def test_f42_going_on_after_the_best_epoch_keeps_the_best(copied, monkeypatch):
    """The second epoch is the best; the training is stopped after the third, and no later one is as good."""
    store, _ = copied
    weights = []
    validate = loop.Training._validate

    def judged(self):
        weights.append(self.network.get_weights())
        return validate(self) | {"val_accuracy": 0.9 if len(self.history) == 1 else 0.2}

    monkeypatch.setattr(loop.Training, "_validate", judged)
    train_until(copied, STOPPED_AFTER, monkeypatch)
    model = run_trial(copied, epochs=EPOCHS)
    assert len(weights) == EPOCHS
    record = training_of(store, model)
    assert (record.best_epoch, record.resumed_from) == (2, STOPPED_AFTER)
    network = keras.saving.load_model(store.open_file(model.folder, "model.keras"))
    for published, best, last in zip(network.get_weights(), weights[1], weights[-1], strict=True):
        assert (published == best).all() and (published != last).any()


# Two attempts, and other stores


def checkpoint(epoch: int, value: float) -> Checkpoint:
    state = State(history=tuple(epoch_of(e, loss=value) for e in range(1, epoch + 1)), batch_size=8)
    return Checkpoint(state=state, variables=[np.full((2, 3), value, np.float32), np.int64(7)], best=[np.zeros(1)])


@pytest.fixture(params=["local", "memory"])
def store(request, tmp_path):
    return Store(tmp_path if request.param == "local" else f"memory://checkpoints-{tmp_path.name}")


def folders(store):
    """The folders with something in them: the file system in memory keeps empty ones, an object store has none."""
    return sorted({Path(found.key).parts[2] for found in store.walk("checkpoints/m")})


def test_a_checkpoint_comes_back_as_it_was_saved(store):
    Checkpoints(store, "m").save(checkpoint(3, 0.1))
    back = Checkpoints(store, "m").newest(lambda c: c)
    assert back.state == checkpoint(3, 0.1).state and isinstance(back.state.history[0].epoch, int)
    assert (back.variables[0] == checkpoint(3, 0.1).variables[0]).all() and back.variables[1] == 7
    assert back.best == [np.zeros(1)]
    assert Checkpoints(store, "other").newest(lambda c: c) is None


def test_f32_of_two_attempts_the_one_that_is_further_is_gone_on_from(store):
    slow, fast = Checkpoints(store, "m"), Checkpoints(store, "m")
    for epoch in (1, 2, 3):
        fast.save(checkpoint(epoch, 0.3))
    slow.save(checkpoint(1, 0.1))
    slow.save(checkpoint(3, 0.1))  # the same epoch by both is two folders
    assert len(folders(store)) == 2
    assert len(slow.newest(lambda c: c).state.history) == 3
    fast.clear()
    slow.save(checkpoint(4, 0.1))
    assert len(slow.newest(lambda c: c).state.history) == 4
    slow.clear()
    fast.clear()
    assert folders(store) == []


def test_one_that_does_not_fit_is_put_aside_and_stays_when_the_others_are_removed(store, caplog):
    checkpoints = Checkpoints(store, "m")
    for epoch in (1, 2):
        checkpoints.save(checkpoint(epoch, 0.1))

    def fits(saved):
        if len(saved.state.history) == 2:
            raise ArtifactError("of another network")
        return saved.state.batch_size

    assert checkpoints.newest(fits) == 8
    assert "of another network" in caplog.text
    checkpoints.clear()
    (kept,) = folders(store)
    assert kept.startswith("epoch-00002") and not store.is_complete(f"checkpoints/m/{kept}")


def test_one_that_another_attempt_removed_meanwhile_is_no_damage(store, caplog):
    checkpoints = Checkpoints(store, "m")
    for epoch in (1, 2):
        checkpoints.save(checkpoint(epoch, 0.1))

    def removed(saved):
        if len(saved.state.history) == 2:
            store.remove(f"checkpoints/m/{store.names('checkpoints/m')[-1]}")
            raise ArtifactError("gone")
        return len(saved.state.history)

    assert checkpoints.newest(removed) == 1
    assert caplog.text == ""
