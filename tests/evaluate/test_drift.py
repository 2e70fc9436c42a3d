"""The champion on pictures that are new to it: which these are, and what its answers say."""

import numpy as np
import pytest
from fakes.models import fake_model, trial_of
from fakes.pictures import small_dataset

from imagenet_tasks.artifacts.arrays import read_table
from imagenet_tasks.artifacts.champions import KEY, choose_champion, read_entries
from imagenet_tasks.artifacts.drift import Drift
from imagenet_tasks.errors import ArtifactError, ConfigError, ImagenetTasksError
from imagenet_tasks.evaluate.champion import promote
from imagenet_tasks.evaluate.drift import MARGIN, _lines, count_moved, judge, new_pictures, score
from imagenet_tasks.evaluate.stage import evaluate_baseline
from imagenet_tasks.settings.config import to_json
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import drift as task
from imagenet_tasks.tasks.report import write_report
from imagenet_tasks.workflow.run import Run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A champion of 40 pictures a class, and a dataset of 60, these among them."""
    where = tmp_path_factory.mktemp("drift")
    store = Store(where / "home")
    old, new = (small_dataset(store, where / name, count=count) for name, count in (("old", 40), ("new", 60)))
    trial = trial_of(old, added=(new.classes[2].array,))  # it has trained on all of the third class's
    model = fake_model(store, old, "champion", validation=0.9, test=0.9, trial=trial)
    evaluation, _ = evaluate_baseline(store, old, [model])
    promote(store, old, [evaluation], Run(store, "dag", "r"), profile="best", drawn=False, ask=list)
    return store, old, new


def right(dataset, store):
    """Answers that are all right."""
    return lambda places: read_table(store, dataset).labels[places].tolist()


def test_new_are_the_pictures_of_any_side_that_it_was_neither_trained_nor_measured_on(made):
    store, old, new = made
    champion = choose_champion(store)
    places, labels = new_pictures(store, new, champion)
    assert np.bincount(labels).tolist() == [20, 20]  # and none of the third class
    table = read_table(store, new)
    assert (table.labels[places] == labels).all() and len(set(table.sides[places])) == 3
    assert [len(found) for found in new_pictures(store, old, champion)] == [0, 0]


def test_it_is_asked_about_these_alone_and_once_only(made):
    store, old, new = made
    champion, asked = choose_champion(store), []

    def ask(places):
        asked.append(list(places))
        return right(new, store)(places)

    drift, reused = score(store, new, champion, ask=ask)
    assert (drift.new, drift.pictures, drift.accuracy, drift.run_id, reused) == (40, 40, 1.0, "r", False)
    assert score(store, new, champion, ask=ask) == (drift, True) and len(asked) == 1
    assert asked == [new_pictures(store, new, champion)[0].tolist()]
    none, _ = score(store, old, champion, ask=ask)
    assert (none.verdict, none.accuracy, none.sentence, len(asked)) == (
        "too few to tell", None, "too few to tell: no picture is new", 1,
    )  # fmt: skip


def judged(new: float, pictures: int, test: float, tested: int, **mix):
    """Shares of right answers, of two classes that are equally frequent."""
    labels, known = np.arange(pictures) % 2, np.arange(tested) % 2
    return judge(
        labels, np.arange(pictures) < round(new * pictures), known, np.arange(tested) < round(test * tested),
        classes=2, new=pictures, **mix,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("new", "pictures", "verdict"),
    [
        (0.80, 2_000, "holds"),
        (0.80, 60, "too few to tell"),
        (0.60, 2_000, "declines"),
        (0.65, 20, "too few to tell"),
        (0.90, 60, "holds"),  # better is no decline
    ],
)
def test_a_verdict_follows_from_where_the_interval_of_the_difference_lies(new, pictures, verdict):
    found = judged(new, pictures, 0.8, 1_000)
    low, high = found["difference_interval"]
    assert found["verdict"] == verdict and found["sentence"].startswith(f"{verdict}: {100 * new:.1f} % of ")
    assert low < found["difference"] < high and found["difference"] == pytest.approx(new - 0.8)
    assert (high < 0) is (verdict == "declines") and (low > -MARGIN) is (verdict == "holds")


def test_new_pictures_of_the_harder_class_alone_are_no_decline():
    """The first class is easy, the second hard; the new pictures are of the second, and as hard."""
    known = np.arange(2_000) % 2
    known_right = np.where(known == 0, True, np.arange(2_000) % 4 == 1)
    found = judge(np.ones(1_000, int), np.arange(1_000) % 2 == 0, known, known_right, classes=2, new=1_000)
    assert (found["test_accuracy"], found["accuracy"]) == (pytest.approx(0.5), 0.5)
    assert found["test_pictures"] == pytest.approx(1_000) and found["verdict"] == "holds"


def test_new_pictures_of_a_class_that_was_never_tested_are_left_out():
    found = judge(
        np.array([0, 0, 1]), np.array([True, True, False]), np.zeros(9, int), np.ones(9, bool), classes=2, new=3
    )
    assert (found["pictures"], found["accuracy"]) == (2, 1.0)
    nothing = judge(np.ones(3, int), np.ones(3, bool), np.zeros(9, int), np.ones(9, bool), classes=2, new=3)
    assert nothing["sentence"] == "too few to tell: no test picture is of the new pictures' classes"


def test_where_nothing_has_changed_one_run_in_forty_says_that_it_declines():
    random, said = np.random.default_rng(0), []
    for _ in range(1_000):
        new, tested = random.random(300) < 0.7, random.random(500) < 0.7
        classes = np.zeros(300, int), np.zeros(500, int)
        said.append(judge(classes[0], new, classes[1], tested, classes=1, new=300)["verdict"])
    assert 10 <= said.count("declines") <= 40


def begun(store, name, **settings):
    run = Run(store, "dag", name)
    config = make_config("best", {"source": "folder", "location": "/pictures"} | settings)
    store.write_bytes(run.key("config.json"), to_json(config).encode())
    return run


def test_the_task_asks_in_a_child_only_where_it_is_wanted_and_keeps_a_record(made, monkeypatch):
    store, _, new = made
    trials = [{"dataset": new.fingerprint}]

    def child(run, name, question, **_):
        assert name == "score_champion.champion_answers" and question["dataset"] == new.fingerprint
        return right(new, store)(question["places"])

    monkeypatch.setattr(task, "run_in_child", child)
    off, drawn = begun(store, "off"), begun(store, "drawn", drift_check=True, source="sample")
    run = begun(store, "on", drift_check=True, force="preprocess")
    assert all(task.score_champion(one, trials) == trials for one in (off, run, drawn))
    assert [one.result_of("score_champion") is None for one in (off, drawn)] == [True, True]
    assert Drift.from_dict(run.result_of("score_champion")).accuracy == 1


HOLDING = {"drift_check": True, "skip_if_holds": True}


@pytest.mark.parametrize(
    ("settings", "verdict", "trained"),
    [
        (HOLDING, "holds", False),
        (HOLDING | {"ask_before_repair_minutes": 5, "download_threads": 3}, "holds", False),
        (HOLDING, "too few to tell", True),
        (HOLDING, "declines", True),
        ({"drift_check": True}, "holds", True),
        (HOLDING | {"epochs": 7}, "holds", True),
        (HOLDING | {"accuracy_goal": 0.7}, "holds", True),
        (HOLDING | {"force": "train"}, "holds", True),
    ],
)
def test_nothing_is_trained_where_the_champion_holds_and_no_setting_is_new(
    made, monkeypatch, settings, verdict, trained
):
    store, _, new = made
    begun(store, "r")  # the champion's run
    drift = Drift(
        verdict=verdict, sentence=verdict, model="0" * 16, trial="it", dag_id="dag", run_id="r", new=9, pictures=9,
        fingerprint="1" * 16,
    )  # fmt: skip
    monkeypatch.setattr("imagenet_tasks.evaluate.drift.score", lambda *_, **__: (drift, False))
    trials = [{"dataset": new.fingerprint}]
    assert task.score_champion(begun(store, "next", **settings), trials) == (trials if trained else [])


@pytest.fixture
def holding(made, monkeypatch):
    """A champion that holds on whatever is new to it."""
    begun(made[0], "r")
    monkeypatch.setattr(task, "run_in_child", lambda run, name, q, **_: right(made[2], made[0])(q["places"]))
    monkeypatch.setattr("imagenet_tasks.evaluate.drift.MARGIN", 1.0)
    return made


def test_settings_that_competed_with_the_champion_already_are_not_new(holding):
    store, _, new = holding
    trials = [{"dataset": new.fingerprint}]
    entries, champion = read_entries(store), choose_champion(store)
    (key,) = entries
    challenger = begun(store, "challenger", epochs=7)
    looked = {"looked_at_by": [*champion.looked_at_by, challenger.folder]}
    store.write_json(KEY, {key: champion.as_file() | looked})
    assert task.score_champion(begun(store, "as the challenger", epochs=7, **HOLDING), trials) == []
    assert task.score_champion(begun(store, "as nobody", epochs=8, **HOLDING), trials) == trials
    store.write_json(KEY, entries)


def test_a_known_picture_that_lies_in_another_class_is_a_reason_to_train(holding, monkeypatch):
    store, old, new = holding
    rows = {f.fingerprint: list(_lines(store, f)) for f in (old, new)}
    moved = [row | {"class_id": new.classes[0].class_id} for row in rows[new.fingerprint]]
    monkeypatch.setattr("imagenet_tasks.evaluate.drift._lines", lambda _, f: moved if f == new else rows[f.fingerprint])
    assert count_moved(store, new, choose_champion(store)) == sum(
        row["class_id"] != new.classes[0].class_id for row in rows[old.fingerprint]
    )
    trials = [{"dataset": new.fingerprint}]
    assert task.score_champion(begun(store, "corrected", **HOLDING), trials) == trials


def test_the_report_is_short_where_the_champion_task_decided_so_and_not_where_records_are_missing(holding):
    store, _, new = holding
    run = begun(store, "short", **HOLDING)
    with run.task("build_dataset") as record:
        record["result"] = {"fingerprint": new.fingerprint, "left_out": [], "split_change": ""}
    store.write_bytes(run.key("report/report.json"), b"{}")  # of an earlier attempt
    assert task.score_champion(run, [{"dataset": new.fingerprint}]) == []
    with run.task("evaluate_baseline") as record:  # of an earlier attempt, too
        record["result"] = {}
    assert write_report(run)["branch"] == "holds" and not store.exists(run.key("report/report.json"))
    assert "holds: nothing was trained" in store.read_bytes(run.key("report/report.html")).decode()
    by_hand = begun(store, "by hand", drift_check=True)
    with by_hand.task("build_dataset") as record:
        record["result"] = {"fingerprint": new.fingerprint, "left_out": [], "split_change": ""}
    task.score_champion(by_hand, [{"dataset": new.fingerprint}])
    with pytest.raises(ArtifactError, match="expected records of the baseline's tasks"):
        write_report(by_hand)


def test_all_is_trained_where_the_settings_of_the_champions_run_are_gone(made, monkeypatch, caplog):
    store, _, new = made
    begun(store, "r").store.path(Run(store, "dag", "r").key("config.json")).unlink()
    monkeypatch.setattr(task, "run_in_child", lambda run, name, question, **_: right(new, store)(question["places"]))
    monkeypatch.setattr("imagenet_tasks.evaluate.drift.MARGIN", 1.0)
    trials = [{"dataset": new.fingerprint}]
    with caplog.at_level("INFO"):
        assert task.score_champion(begun(store, "next", force="", **HOLDING), trials) == trials
    assert "the settings of its runs cannot be read" in caplog.text


def test_only_a_champion_that_is_asked_can_hold():
    with pytest.raises(ConfigError, match="skip_if_holds: only a champion that is asked can hold"):
        make_config("best", {"source": "folder", "location": "/pictures", "skip_if_holds": True})


@pytest.mark.parametrize(
    "error", [OSError("no more processes"), ImagenetTasksError("it crashed"), KeyError("a driver's own")]
)
def test_a_champion_that_does_not_answer_stops_no_run_and_is_said(made, monkeypatch, caplog, error):
    store, _, new = made

    def child(*_, **__):
        raise error

    monkeypatch.setattr(task, "run_in_child", child)
    run = begun(store, f"failing {error}", drift_check=True, force="preprocess")
    trials = [{"dataset": new.fingerprint}]
    assert task.score_champion(run, trials) == trials
    (record,) = run.task_records()
    assert (record["state"], record["error"]["message"]) == ("failed", str(error)) and str(error) in caplog.text
