"""How long a run may still take, by what it measured of itself or what earlier runs took."""

import time

import pytest
from fakes.records import expected_of

from imagenet_tasks.pages.run_view import RunView, TaskGroup, TaskRecord
from imagenet_tasks.pages.time_left import Left, time_left, trainings
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


def view(*records, expected=None, state="running"):
    groups = [TaskGroup(task=task, records=tuple(r for r in records if r.task == task))
              for task in dict.fromkeys(r.task for r in records)]  # fmt: skip
    return RunView(
        airflow_state=state, groups=tuple(groups), has_report=False, is_current=False, damaged=(),
        expected=expected or expected_of(),
    )  # fmt: skip


def left(*records, **others):
    return time_left(view(*records, **others))


def ago(task, item, started_s, seconds=60.0):
    return record(task, item, started_s=time.time() - started_s, seconds=seconds)


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


def test_what_trainings_wait_between_one_another_counts():
    first, second = (ago("train_baseline", f"baseline-compact-seed{n}", 90 - 45 * n, 20.0) for n in (0, 1))
    evaluated = ago("evaluate_baseline", "", 0, 0.0)  # a training of 1,200 pictures begins every 45 s
    found = left(*DOWNLOADED, first, second, evaluated, BELOW)
    assert found.seconds[0] == pytest.approx(2 * 67.5 / 1.25, rel=0.02)


def test_trainings_that_ran_at_once_are_expected_to_do_so_again():
    first, second = (ago("train_baseline", f"baseline-compact-seed{n}", 60) for n in (0, 1))
    found = left(*DOWNLOADED, first, second, ago("evaluate_baseline", "", 0, 0.0), BELOW)
    assert found.seconds[0] == pytest.approx(2 * 45 / 1.25, rel=0.02)


def test_a_night_before_a_failed_training_was_cleared_is_not_expected_again():
    first = ago("train_baseline", "baseline-compact-seed0", 40_000)
    second = ago("train_baseline", "baseline-compact-seed1", 60)
    found = left(*DOWNLOADED, first, second, ago("evaluate_baseline", "", 0, 0.0), BELOW)
    assert found.seconds[1] < 1_500


@pytest.mark.parametrize(
    ("seconds", "said"),
    [((0.0, 3.0), "less than a minute"), ((54.0, 84.0), "1 to 2\xa0min"), ((120.0, 300.0), "2 to 5\xa0min")],
)
def test_the_time_left_is_said_in_minutes(seconds, said):
    assert Left(seconds=seconds, is_open=False, has_rest=True).said == said


def test_trainings_are_counted_with_those_of_a_repair_once_it_is_decided():
    assert trainings(view(*DOWNLOADED)) == (0, 1)
    assert trainings(view(*DOWNLOADED, BASELINE, EVALUATED, BELOW)) == (1, 3)
    assert trainings(view(*DOWNLOADED, BASELINE, EVALUATED, MET)) == (1, 1)


def test_of_a_repair_that_was_measured_only_what_was_trained_is_counted():
    repaired = [record("train_augmented", "longer-compact-seed0"), record("evaluate_augmented")]
    assert trainings(view(*DOWNLOADED, BASELINE, EVALUATED, BELOW, *repaired)) == (2, 2)
