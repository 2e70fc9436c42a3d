"""How long a run may still take, by what it measured of itself or what earlier runs took."""

import time

import pytest
from fakes.records import expected_of

from imagenet_tasks.pages.run_view import RunView, TaskGroup, TaskRecord
from imagenet_tasks.pages.time_left import time_left
from imagenet_tasks.workflow.progress import Snapshot


def record(task, item="", **changes):
    fields = {"state": "success", "started_s": time.time() - 100, "seconds": 100.0} | changes
    return TaskRecord(task=task, item=item, **fields)


def running(task, item, share, took_s):
    done = Snapshot(
        task=task, item=item, label="", unit="pictures", done=round(1000 * share), total=1000, elapsed_s=took_s,
        rate_per_s=None, remaining_s=None, updated_s=time.time(),
    )  # fmt: skip
    return record(task, item, state="running", started_s=time.time() - took_s, seconds=None, progress=done)


def left(*records, expected=None, state="running"):
    groups = [TaskGroup(task=task, records=tuple(r for r in records if r.task == task))
              for task in dict.fromkeys(r.task for r in records)]  # fmt: skip
    return time_left(
        RunView(
            airflow_state=state, groups=tuple(groups), has_report=False, is_current=False, damaged=(),
            expected=expected or expected_of(),
        )
    )  # fmt: skip


DOWNLOADED = [record("download_class", "n1"), record("download_class", "n2"), record("build_dataset")]
BASELINE = record("train_baseline", "baseline-compact-seed0", seconds=60.0)
BELOW = record("check_accuracy", result={"branch": "augment"})
MET = record("check_accuracy", result={"branch": "report"})
EVALUATED = record("evaluate_baseline")


def test_before_anything_is_done_it_is_what_earlier_runs_took_the_most_with_a_repair():
    found = left(record("plan_run"))
    assert found.seconds == (60 + 90, 120 + 110 + 2 * 160 + 20) and found.is_open


def test_a_download_is_judged_by_its_own_pace_once_enough_of_it_is_done():
    found = left(running("download_class", "n1", 1.0, 30.0))
    assert found.seconds[0] == pytest.approx(30 / 1.25 + 90, abs=1)


def test_trainings_are_judged_by_the_own_pace_of_those_that_are_done():
    found = left(*DOWNLOADED, BASELINE, EVALUATED, BELOW)  # 60 s for 1,200 pictures: 90 s for 1,800
    assert found.seconds == (pytest.approx(2 * 90 / 1.25), pytest.approx(2 * 90 * 1.25 + 20)) and not found.is_open


def test_what_a_training_has_done_so_far_is_taken_off():
    repair = running("train_augmented", "longer-compact-seed0", 0.5, 45.0)
    found = left(*DOWNLOADED, BASELINE, EVALUATED, BELOW, repair)
    assert found.seconds[0] == pytest.approx(1.5 * 90 / 1.25, abs=1)


def test_trainings_that_were_there_already_say_nothing_about_the_pace():
    found = left(*DOWNLOADED, BASELINE.model_copy(update={"reused": True, "seconds": 0.1}), EVALUATED, BELOW)
    assert found.seconds == (2 * 140, 2 * 160 + 20)


def test_at_the_goal_no_repair_is_left():
    found = left(*DOWNLOADED, BASELINE, EVALUATED, MET)
    assert found.seconds == (0, 20) and not found.is_open


def test_without_any_measure_of_what_is_left_nothing_is_told():
    trainings = tuple(t.model_copy(update={"seconds": None}) for t in expected_of().trainings)
    unknown = expected_of(trainings=trainings, runs=0)
    assert left(*DOWNLOADED, expected=unknown) is None
    assert left(*DOWNLOADED, BASELINE, EVALUATED, BELOW, expected=unknown) is not None
    assert left(record("plan_run"), state="success") is None
