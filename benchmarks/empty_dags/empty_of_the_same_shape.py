"""A workflow of the same graph whose tasks do nothing: what Airflow itself costs. See benchmarks/overhead.py."""

import contextlib
from datetime import timedelta
from typing import Any

from airflow.sdk import TaskGroup, dag, get_current_context, task

ROUNDS = 3
GPU = {"queue": "gpu", "pool": "gpu"}


@dag(
    schedule=None,
    params={"classes": 20, "augmented": 3, "retrained": 3},
    default_args={"retries": 3, "execution_timeout": timedelta(minutes=30), "show_return_value_in_logs": False},
)
def empty_of_the_same_shape() -> None:
    @task
    def plan_run() -> list[int]:
        return list(range(get_current_context()["params"]["classes"]))

    @task
    def download_class(group: int) -> int:
        return group

    @task
    def preprocess_class(group: int) -> int:
        return group

    @task
    def build_dataset(prepared: list[int]) -> list[int]:
        return [len(list(prepared))]

    @task(**GPU)
    def train_baseline(trial: int) -> int:
        return trial

    @task
    def evaluate_baseline(models: list[int]) -> int:
        return len(list(models))

    @task
    def plan_tuning(trials: list[int]) -> list[int]:
        return []

    @task(**GPU)
    def tune(tuning: int) -> int:
        return tuning

    @task(trigger_rule="one_done")
    def choose_settings() -> None:
        return None

    @task(trigger_rule="none_failed_min_one_success")
    def plan_final_model() -> list[int]:
        return []

    @task(**GPU)
    def build_final_model(models: int) -> int:
        return models

    @task(trigger_rule="none_failed_min_one_success")
    def write_report() -> None:
        return None

    trials = build_dataset(preprocess_class.expand(group=download_class.expand(group=plan_run())))
    evaluation: Any = evaluate_baseline(train_baseline.expand(trial=trials))
    report, together = write_report(), plan_final_model()
    together >> report
    build_final_model.expand(models=together) >> report
    tune.expand(tuning=plan_tuning(trials)) >> choose_settings() >> report
    for number in range(1, ROUNDS + 1):
        with contextlib.nullcontext() if number == 1 else TaskGroup(f"round_{number}"):
            evaluation = _repair(number, evaluation, together)
    evaluation >> together


def _repair(number: int, previous: Any, end: Any) -> Any:
    @task.branch
    def check_accuracy(evaluation: int) -> str:
        return "plan_augmentation" if number == 1 else "plan_final_model"

    @task
    def plan_augmentation() -> list[int]:
        return list(range(get_current_context()["params"]["augmented"]))

    @task
    def augment_class(group: int) -> int:
        return group

    @task
    def plan_collection(planned: list[int]) -> list[int]:
        return list(planned)

    @task
    def collect_class(group: int) -> int:
        return group

    @task
    def plan_retraining(copied: list[int], collected: list[int]) -> list[int]:
        return list(range(get_current_context()["params"]["retrained"]))

    @task(**GPU)
    def train_augmented(trial: int) -> int:
        return trial

    @task
    def evaluate_augmented(models: list[int]) -> int:
        return len(list(models))

    gate, groups = check_accuracy(previous), plan_augmentation()
    gate >> groups
    gate >> end
    collected = collect_class.expand(group=plan_collection(groups))
    retraining = plan_retraining(augment_class.expand(group=groups), collected)
    evaluation = evaluate_augmented(train_augmented.expand(trial=retraining))
    return evaluation


empty_of_the_same_shape()
