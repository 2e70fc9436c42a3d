"""A tuning: which candidates go on, what is kept of a stopped one, and what is chosen. Nothing is trained here."""

import json
import sys
from types import SimpleNamespace

import pytest
from fakes.pictures import small_dataset
from fakes.records import epoch_of, training_of

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.make import make
from imagenet_tasks.artifacts.training import HISTORY, history_lines
from imagenet_tasks.artifacts.tuning import Tuning
from imagenet_tasks.errors import NonFiniteLoss, TrainingError
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import tuning
from imagenet_tasks.train.halving import draw_candidates, halve
from imagenet_tasks.workflow.run import Run

SETTINGS = {"tune_candidates": 6, "epochs": 20, "retrain_epochs": 10, "precision": "float32"}


def train_config(**settings):
    return make_config("best", SETTINGS | settings).train


def numbers(trainings, rung):
    return [t.candidate for t in trainings if t.rung == rung]


def test_the_better_half_goes_on_with_twice_the_epochs_and_the_runs_own_settings_always():
    def last_wins(training):
        return training.model_copy(update={"validation_accuracy": training.candidate / 10})

    done = list(halve(train_config(), 20, last_wins))
    assert [numbers(done, rung) for rung in (1, 2, 3)] == [[1, 2, 3, 4, 5, 6], [1, 4, 5, 6], [1, 5, 6]]
    assert [t.epochs for t in done if t.candidate == 1] == [5, 10, 20]


def test_the_candidates_follow_from_the_seed_and_more_of_them_begin_with_the_same():
    few, many, other = (draw_candidates(train_config(**s)) for s in ({}, {"tune_candidates": 20}, {"seed": 1}))
    assert few == many[:6] and few[0] == other[0] and few[1:] != other[1:]
    assert (few[0].learning_rate, few[0].weight_decay, few[0].width, few[0].budget) == (0.004, 0.3, 1.0, 1.0)
    assert draw_candidates(train_config(learning_rate=0.002))[0].learning_rate == 0.002
    assert {c.width for c in many} == {0.5, 0.75, 1.0, 1.5}
    assert all(0.001 <= c.learning_rate <= 0.016 and 0.06 <= c.weight_decay <= 1.5 for c in many)


def test_what_cannot_be_measured_does_not_go_on_and_of_equals_the_own_settings_come_first():
    def only_the_first(training):
        return training.model_copy(update={"validation_accuracy": 0.5 if training.candidate < 3 else None})

    assert numbers(halve(train_config(), 20, only_the_first), 3) == [1, 2]


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A run that asks for a tuning; `trained` counts its trainings, which `accuracy` says how good they are of."""
    asked = SimpleNamespace(trained=[], accuracy=lambda settings: settings.width / 4)

    def train(store, work, dataset, *, progress):
        model = work.model("float32")

        def build(publish):
            asked.trained.append((work.settings, work.epochs))
            history = [epoch_of(1, val_accuracy=asked.accuracy(work.settings))]
            with publish() as folder:
                (folder / HISTORY).write_bytes(history_lines(history))
                training_of(work.trial).write_to(folder)

        return model, make(store, kinds.MODEL, model.fingerprint, build)

    stage = SimpleNamespace(settle=lambda store, work, dataset: work, train=train)
    monkeypatch.setitem(sys.modules, "imagenet_tasks.train.stage", stage)
    monkeypatch.setattr("imagenet_tasks.tasks.models.load_keras", lambda: None)
    (tmp_path / "data").mkdir()
    dataset = small_dataset(Store(tmp_path / "home"), tmp_path / "data")

    def begin(name="run", **settings):
        run = Run(Store(tmp_path / "home"), "dag", name)
        run.write_config(make_config("best", SETTINGS | settings))
        asked.orders = tuning.plan_tuning(run, [{"dataset": dataset.fingerprint}])
        return run

    return begin, asked


def tuned(run, orders) -> Tuning:
    for order in orders:
        tuning.tune(run, order, listeners=())
    return Tuning.from_dict(tuning.choose_settings(run))


def test_without_a_wish_nothing_is_tuned(start):
    begin, asked = start
    run = begin(tune_candidates=0)
    assert (asked.orders, tuning.choose_settings(run), run.task_records()) == ([], {}, [])


def test_the_winner_is_chosen_on_validation_and_its_settings_can_be_pasted(start):
    begin, asked = start
    found = tuned(begin(), asked.orders)
    best = next(t for t in found.trainings if (t.rung, t.candidate) == (3, found.winner))
    assert best.width == 1.5 and found.difference == pytest.approx(0.125)
    assert found.interval[0] < 0.125 < found.interval[1]
    assert (found.settings["width"], found.settings["epochs"]) == (1.5, best.epochs)
    assert found.settings["retrain_epochs"] == best.epochs / 2
    pasted = train_config(**found.settings, tune_candidates=0)
    assert (pasted.learning_rate, pasted.weight_decay) == (best.learning_rate, best.weight_decay)


def test_where_nothing_is_better_there_is_nothing_to_paste(start):
    begin, asked = start
    asked.accuracy = lambda settings: 0.5
    found = tuned(begin(), asked.orders)
    assert (found.winner, found.difference, found.settings) == (1, 0.0, {})


def test_a_stopped_tuning_says_what_it_has_and_goes_on_with_that(start):
    begin, asked = start
    run, accuracy = begin(), asked.accuracy

    def stop(settings):
        if len(asked.trained) == 4:
            raise TrainingError("it was stopped.")
        return accuracy(settings)

    asked.accuracy = stop
    with pytest.raises(TrainingError):
        tuning.tune(run, asked.orders[0], listeners=())
    found = Tuning.from_dict(tuning.choose_settings(run))
    assert (len(found.trainings), found.winner, found.settings) == (3, None, {})
    assert found.problem == "Rung 1, candidate 4: it was stopped."
    asked.accuracy, asked.trained = accuracy, []
    whole = tuned(run, asked.orders)
    assert whole.winner and len(asked.trained) == len(whole.trainings) - 3


def test_another_run_trains_nothing_of_it_again(start):
    begin, asked = start
    first = tuned(begin(), asked.orders)
    asked.trained.clear()
    assert tuned(begin("another"), asked.orders) == first and not asked.trained


def test_a_candidate_that_diverges_is_left_out_and_the_table_says_why(start):
    begin, asked = start
    wide = asked.accuracy

    def diverge(settings):
        if settings.learning_rate > 0.005:
            raise NonFiniteLoss("the loss is nan.")
        return wide(settings)

    asked.accuracy = diverge
    found = tuned(begin(), asked.orders)
    lost = [t for t in found.trainings if t.problem]
    assert lost and {t.rung for t in lost} == {1} and {t.problem for t in lost} == {"the loss is nan."}
    assert found.winner and not found.problem


def test_a_training_of_a_tuning_keeps_its_settings_apart_from_those_of_the_run(start):
    begin, asked = start
    run = begin()
    tuned(run, asked.orders)
    assert len({(s.learning_rate, s.weight_decay, s.width) for s, _ in asked.trained}) == 6
    kept = json.loads(run.store.read_bytes(run.key("config.json")))["train"]
    assert (kept["learning_rate"], kept["width"]) == (None, None)
