"""A cap in minutes: how many epochs a training gets, the same for all that are compared."""

import dataclasses

import pytest
from trainings import SETTINGS, learned, run_trial

from imagenet_tasks.artifacts.references import Trial
from imagenet_tasks.artifacts.training import Pace, read_history
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.tasks import models
from imagenet_tasks.train import Work, stage
from imagenet_tasks.workflow.run import Run

pytestmark = pytest.mark.usefixtures("tiny")
CAPPED = dataclasses.replace(SETTINGS, train_minutes=1.0)
PACE = Pace(fingerprint="p", start_s=10, picture_s=0.1, validation_s=5, device_name="d")


def work_of(prepared, *, settings=CAPPED, epochs=50, pace_salt="", **trial) -> Work:
    wanted = {"model": "tiny", "seed": 0, "arm": "baseline", "dataset": prepared[1].fingerprint} | trial
    return Work(settings=settings, trial=Trial(**wanted), epochs=epochs, pace_salt=pace_salt)


@pytest.fixture
def paces(monkeypatch):
    """Measurements to come, as (start, a picture, a validation) in seconds."""
    coming = []
    monkeypatch.setattr(stage, "measure", lambda job: coming.pop(0))
    return coming


@pytest.mark.parametrize(("seconds", "pictures", "epochs"), [(60, 100, 3), (54, 100, 2), (60, 200, 2), (3, 100, 1)])
def test_as_many_epochs_are_trained_as_the_time_allows_and_always_one(seconds, pictures, epochs):
    assert PACE.epochs_within(seconds, pictures) == epochs


def test_all_trainings_of_a_model_get_their_epochs_from_the_first_measurement(prepared, paces):
    store, dataset = prepared
    pictures = sum(c.train for c in dataset.classes)
    paces.append((0.0, 10 / pictures, 0.0))
    trials = [
        {"seed": 0}, {"seed": 1}, {"arm": "labels", "fold": 1, "folds": 2},
        *({"arm": arm, "seed": 1, "round": 1, "epoch_pictures": 2 * pictures} for arm in ("longer", "more")),
    ]  # fmt: skip
    settled = [stage.settle(store, work_of(prepared, pace_salt="all", **trial), dataset) for trial in trials]
    assert [work.epochs for work in settled] == [6, 6, 6, 3, 3]
    assert work_of(prepared, pace_salt="all").settled(store, dataset) == settled[0]


def test_a_model_that_is_fast_enough_keeps_its_own_number_and_no_cap_measures_nothing(prepared, paces):
    store, dataset = prepared
    paces.append((0.0, 1e-9, 0.0))
    assert stage.settle(store, work_of(prepared, pace_salt="fast"), dataset).epochs == 50
    free = work_of(prepared, settings=SETTINGS)
    assert stage.settle(store, free, dataset) is free is free.settled(store, dataset)


def test_one_epoch_is_trained_where_even_that_takes_longer_and_that_is_said(prepared, paces, caplog):
    store, dataset = prepared
    paces.append((90.0, 1.0, 0.0))
    assert stage.settle(store, work_of(prepared, pace_salt="slow"), dataset).epochs == 1
    assert "train_minutes is 1, but one epoch takes" in caplog.text


def test_timing_changes_nothing_of_the_training_that_follows(prepared):
    store, dataset = prepared
    work = work_of(prepared, epochs=2, model="schedule", pace_salt="real")
    settled = stage.settle(store, work, dataset)  # a minute is enough
    pace = Pace.find(store, settled.pace)
    assert settled.epochs == 2 and min(pace.start_s, pace.picture_s) > 0 <= pace.validation_s
    timed, alone = (run_trial(prepared, salt=salt, settings=CAPPED, model="schedule") for salt in ("timed", "alone"))
    assert learned(read_history(store, timed)) == learned(read_history(store, alone))


def test_a_run_with_the_same_cap_finds_the_model_again_and_its_record_keeps_the_pace(prepared, paces):
    store, dataset = prepared
    paces.append((0.0, 30 / sum(c.train for c in dataset.classes), 0.0))
    made, trial = [], Trial(model="tiny", seed=7, arm="baseline", dataset=dataset.fingerprint)
    for name in ("first", "second"):
        run = Run(store, "dag", name)
        run.write_config(
            make_config("sample", {"epochs": 9, "train_minutes": 1, "batch_size": 8, "precision": "float32"})
        )
        made.append(models.train_baseline(run, trial.as_dict()))
        (record,) = run.task_records()
        pace = record["makes"].split()[1]
        assert record["reused"] is (name == "second") and Pace.find(store, pace).start_s == 0
    assert made[0] == made[1]
    assert len(read_history(store, models.TrainedModel.from_dict(made[0]))) == 2
