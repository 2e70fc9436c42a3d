"""The table of the graph's facts; that Airflow's graph agrees with it is held in tests/dags."""

import pytest

from imagenet_tasks.settings.config import FORCE_FROM
from imagenet_tasks.workflow import graph


@pytest.mark.parametrize(
    ("task_id", "name", "number"),
    [
        ("write_report", "write_report", 1),
        ("round_3.augment_class", "augment_class", 3),
        ("check_accuracy", graph.GATE, 1),
    ],
)
def test_an_id_leads_to_its_task_and_the_number_of_its_repair(task_id, name, number):
    assert graph.parse_task_id(task_id) == (graph.find_task(name), number)
    assert graph.task_id(name, number) == task_id


@pytest.mark.parametrize("task_id", ["", "round_2", "another.task", "round_x.nothing", "None"])
def test_the_id_of_another_workflows_task_is_none_of_ours(task_id):
    assert graph.parse_task_id(task_id)[0] is None
    assert not graph.makes_artifact(task_id)


def test_a_task_of_a_later_repair_has_its_round_behind_its_label():
    assert graph.task_label("plan_augmentation") == "Choose classes to repair"
    assert graph.task_label("round_2.plan_augmentation") == "Choose classes to repair, round 2"
    assert graph.task_label("something_new") == "something_new"


def test_each_step_that_can_be_forced_is_that_of_a_task():
    assert set(FORCE_FROM) - {""} <= set(graph.STEPS)


def test_force_makes_a_step_and_all_after_it_again():
    forced = [task.name for task in graph.TASKS if graph.is_forced(task.name, "augment")]
    assert forced == [
        "plan_augmentation", "augment_class", "collect_class", "train_augmented", "evaluate_augmented",
        "build_final_model", "write_report",
    ]  # fmt: skip
    assert not any(graph.is_forced(task.name, "") for task in graph.TASKS)


def test_the_tuning_and_the_champion_on_new_pictures_are_no_steps_of_the_path():
    in_path = {name for names in graph.parts(graph.BEFORE_REPAIR).values() for name in names}
    beside = {"score_champion", "plan_tuning", "tune", "choose_settings"}
    assert in_path == {t.name for t in graph.BEFORE_REPAIR} - beside


def test_what_a_task_takes_comes_from_a_task_before_it():
    names = [task.name for task in graph.TASKS]
    for place, task in enumerate(graph.TASKS):
        before = [taken.task for taken in task.takes.values() if taken.task] + list(task.after)
        assert set(before) <= set(names[:place]), task.name
