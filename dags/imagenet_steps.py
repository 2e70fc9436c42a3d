"""What the tasks of the graph share: how they are tried again, where they train, what Airflow calls them."""

from datetime import timedelta
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, TaskGroup, get_current_context, task
from imagenet_shown import current_run

from imagenet_tasks.errors import (
    AcceleratorMissing,
    ArtifactError,
    ConfigError,
    DataError,
    NonFiniteLoss,
    OutOfMemory,
    TrainingTimeout,
)
from imagenet_tasks.settings.training import TRIAL_NAMES
from imagenet_tasks.workflow.graph import find_task

TRAIN_TIMEOUT = timedelta(hours=48)
NAME_OF_TRIAL = (  # as the report and the live page call it
    "{% set trial = task.op_kwargs['trial'] %}"
    "{{ " + repr(TRIAL_NAMES) + "[trial.arm] }} "
    "({{ trial.model }}, seed {{ trial.seed }})"
    "{% if trial.arm == 'labels' %}, part {{ trial.fold + 1 }} of {{ trial.folds }}"
    "{% elif trial.arm == 'part' %}, 1/{{ trial.folds }} of the pictures{% endif %}"
)
CHILD_TIMEOUT_S = TRAIN_TIMEOUT.total_seconds() - 600  # the child ends with its own error, not with Airflow's
RETRIES = 3
CANNOT_HELP = ConfigError, DataError, ArtifactError, NonFiniteLoss, AcceleratorMissing, OutOfMemory, TrainingTimeout
EACH_TASK: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception=list(CANNOT_HELP),
                action=RetryAction.FAIL,
                reason="trying again cannot help",
            )
        ]
    ),
    "execution_timeout": timedelta(minutes=30),
    "show_return_value_in_logs": False,  # so that a task's log ends with what it says itself
}


def trained(task_name: str, **arguments: Any) -> dict[str, Any]:
    """Returns what a training hands on: at once where its model is there, else from a process of its own."""
    from imagenet_tasks.tasks.child import run_in_child
    from imagenet_tasks.tasks.runner import function_of

    with current_run() as run:
        there: dict[str, Any] = function_of(task_name)(run, **arguments, only_reuse=True)
        return there or run_in_child(run, task_name, arguments, timeout_s=CHILD_TIMEOUT_S)


def is_last_attempt() -> bool:
    """Tells whether the task that is running is not tried again."""
    instance = get_current_context()["ti"]
    return bool(instance.try_number > instance.max_tries)


def max_tasks() -> int:
    """Returns over how many values Airflow maps a task at most."""
    from airflow.sdk.configuration import conf

    return conf.getint("core", "max_map_length")


def step(make: Any = task, **options: Any) -> Any:
    """Makes a function a task of the graph, which Airflow shows by the name that the table has."""
    return lambda function: make(task_display_name=find_task(function.__name__).label, **options)(function)


def task_group(name: str, label: str, **options: Any) -> TaskGroup:
    """Returns a group that Airflow shows as one node until it is opened; the ids of its tasks do not have its name."""
    return TaskGroup(name, group_display_name=label, prefix_group_id=False, **options)
