"""What people are told of a run that got worse."""

from typing import Any

import pytest

from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.messages import events_of_report, message_of
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex
from imagenet_tasks.workflow.worse import find_worse, with_fall

CLASSES = ["n02109961", "n02110063", "n02113799"]
OTHERS = [*CLASSES[:2], "n02112137"]
SPLIT = (0.15, 0.15, 6)
HIGH = {"test_before": 0.336, "test_before_interval": (0.31, 0.362)}
LOW = {"test_before": 0.216, "test_before_interval": (0.193, 0.241)}


@pytest.fixture
def store(tmp_path: Any) -> Store:
    return Store(tmp_path / "home")


def done(store: Store, run_id: str, *, classes: Any = CLASSES, left_out: Any = (), **figures: Any) -> Run:
    """A run with its index, that started after those before it."""
    run = Run(store, "dag", run_id)
    run.write_config(make_config("sample", {"classes": tuple(classes)}))
    with run.task("build_dataset") as record:
        record["result"] = {"left_out": [{"class_id": class_id} for class_id in left_out]}
    fields: dict[str, Any] = dict.fromkeys(RunIndex.model_fields)
    fields |= dict.fromkeys(("run_key", "profile", "headline", "arm", "model", "device", "precision", "champion"), "")
    fields |= dict.fromkeys(("report", "report_json", "unchanged_since", "fell_since"), "") | {
        "source": "sample",
        "verdict": "x",
    }
    fields |= dict.fromkeys(("seconds", "written_s", "rounds", "seeds"), 1) | dict.fromkeys(("chosen", "lost"), ())
    fields |= {"dag_id": "dag", "run_id": run_id, "branch": "report", "arms": (), "artifacts": (), "split_by": SPLIT}
    fields |= {"classes": len(classes) - len(left_out), "started_s": len(store.names("runs/dag"))}
    store.write_bytes(run.key(RunIndex.KEY), with_fall(run, RunIndex(**fields | figures)).content())
    return run


def test_it_says_how_far_test_accuracy_fell_since_which_run(store: Store) -> None:
    done(store, "first", **HIGH)
    message = message_of(done(store, "second", **LOW), "worse", "http://here")
    assert message.subject == "ImageNet: test accuracy fell from 33.6 % to 21.6 %"
    assert message.text.splitlines()[1] == (
        "Test accuracy fell from 33.6 % to 21.6 % since run first (95 % intervals: 31.0 to 36.2 %, and 19.3 to 24.1 %)."
    )


def test_a_fall_that_may_be_chance_is_not_worse(store: Store) -> None:
    done(store, "first", **HIGH)
    assert find_worse(done(store, "second", test_before=0.3, test_before_interval=(0.275, 0.325))) == ()


def test_a_rise_is_not_worse(store: Store) -> None:
    done(store, "first", **LOW)
    assert find_worse(done(store, "second", **HIGH)) == ()


def test_a_repaired_run_is_judged_by_what_it_ended_with(store: Store) -> None:
    done(store, "first", **HIGH)
    after = {"branch": "augment", "test_after": 0.34, "test_after_interval": (0.32, 0.36)}
    assert find_worse(done(store, "second", **LOW, **after)) == ()


@pytest.mark.parametrize(
    "other",
    [
        {"classes": OTHERS},
        {"left_out": CLASSES[:1]},
        {"split_by": (0.1, 0.1, 6)},
        {"source": "folder"},
        {"split_by": None},
    ],
)
def test_a_run_of_another_source_classes_or_split_is_passed_over(store: Store, other: dict[str, Any]) -> None:
    done(store, "first", **HIGH, **other)
    assert find_worse(done(store, "second", **LOW)) == ()


def test_as_many_classes_are_not_the_same_where_others_fell_short(store: Store) -> None:
    done(store, "first", **HIGH, left_out=CLASSES[:1])
    assert find_worse(done(store, "second", **LOW, left_out=CLASSES[1:2])) == ()


def test_only_the_last_run_that_is_alike_counts(store: Store) -> None:
    done(store, "high", **HIGH)
    done(store, "low", **LOW)
    done(store, "of others", **HIGH, classes=OTHERS)
    assert find_worse(done(store, "still low", **LOW)) == ()


def test_a_run_that_trained_nothing_is_passed_over(store: Store) -> None:
    done(store, "first", **HIGH)
    done(store, "holds", branch="holds")
    assert "since run first" in find_worse(done(store, "third", **LOW))[0].said


def test_a_run_that_started_later_is_not_before_it(store: Store) -> None:
    done(store, "later", **HIGH, started_s=9)
    assert find_worse(done(store, "earlier", **LOW)) == ()


def test_a_run_before_it_that_is_damaged_is_passed_over(store: Store) -> None:
    store.write_bytes(done(store, "damaged", **HIGH).key("config.json"), b"{")
    store.write_bytes(done(store, "lost", **HIGH).key(RunIndex.KEY), b"{")
    assert find_worse(done(store, "third", **LOW)) == ()


def test_of_several_things_that_got_worse_all_are_told(store: Store) -> None:
    done(store, "first", **HIGH)
    run = done(store, "second", **LOW)
    with run.task("score_champion") as record:
        record["result"] = {"verdict": "declines", "trial": "baseline", "sentence": "declines: 40.0 % of 90"}
    message = message_of(run, "worse", "http://here")
    assert message.subject.endswith("fell from 33.6 % to 21.6 % and the champion declines on new pictures")
    assert message.text.splitlines()[1].endswith("baseline: declines: 40.0 % of 90.")


def test_a_fall_is_told_of_before_all_else(store: Store) -> None:
    done(store, "first", **HIGH)
    assert events_of_report(done(store, "second", **LOW)) == ("worse", "success")


@pytest.mark.parametrize("record", [{}, {"result": [1]}, {"result": {"left_out": [{}]}}, {"result": {"left_out": [7]}}])
def test_the_damage_of_an_earlier_run_is_passed_over(store: Store, record: dict[str, Any]) -> None:
    first = done(store, "first", **HIGH)
    store.write_json(first.key("tasks/build_dataset.json"), {"state": "success"} | record)
    assert find_worse(done(store, "second", **LOW)) == ()
