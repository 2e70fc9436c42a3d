"""The graph's facts, once: each task, what it takes and makes, what it maps over, and what people call it.

The DAG file spells the same graph in Airflow's words, and a test holds that the two agree; the command line runs what
stands here; pages, progress, the runs' index and the report read it. To add a task, add it here, to the DAG file, and
its function to a module of `tasks/`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.kinds import Kind
from imagenet_tasks.settings.config import StepName
from imagenet_tasks.settings.training import MAX_ROUNDS


@dataclass(frozen=True)
class Taken:
    """Where the value of a task's parameter comes from.

    `how` is 'each' for one task per value of `task`'s list, 'all' for the list of what all of `task` returned, 'one'
    for what `task` returned; 'previous' is the evaluation of the round before, and for the first repair that of the
    baseline. What comes from further back a task reads in the run's records: in the graph it would be an edge past all
    that is between.
    """

    how: Literal["each", "all", "one", "previous"]
    task: str = ""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of the graph.

    Attributes:
        name: its id in the graph, and the name of its function.
        module: of `tasks/`, in which that is.
        label: what people read of it, in the report and on the node of Airflow's graph: some 24 letters.
        part: the step of the report's path that it belongs to; '' for what is beside the path.
        step: what `force` calls it; '' for a task that is done anew in each run.
        takes: its parameters, but the run.
        after: the tasks that it waits for without taking anything from them.
        item: what its records are named by: '' for a single one.
        makes: the kind of artifact that it hands on.
        trains: whether it goes to the GPU's queue, and runs in a process of its own.
        is_extra: whether the run goes on where it fails, and the report says so.
        is_repair: whether each repair has one.
    """

    name: str
    module: Literal["pictures", "drift", "models", "tuning", "ask", "repair", "report"]
    label: str
    part: str
    step: StepName | Literal["retrain", "reevaluate"] = ""
    takes: Mapping[str, Taken] = field(default_factory=dict)
    after: tuple[str, ...] = ()
    item: Literal["", "class", "trial"] = ""
    makes: Kind | None = None
    trains: bool = False
    is_extra: bool = False
    is_repair: bool = False

    @property
    def mapped_over(self) -> str | None:
        """The parameter whose values it is mapped over; None for a single task."""
        return next((name for name, taken in self.takes.items() if taken.how == "each"), None)


_picture_task = partial(Task, module="pictures", part="Get the pictures")
_tuning_task = partial(Task, module="tuning", part="")
_repair_task = partial(Task, is_repair=True)
TASKS = (
    _picture_task(name="plan_run", label="Check the settings"),
    _picture_task(
        name="download_class", label="Get the pictures", step="download",
        takes={"group": Taken("each", "plan_run")}, item="class", makes=kinds.SELECTION,
    ),
    _picture_task(
        name="preprocess_class", label="Resize the pictures", step="preprocess",
        takes={"group": Taken("each", "download_class")}, item="class", makes=kinds.ARRAY,
    ),
    _picture_task(
        name="build_dataset", label="Split and check the data", step="preprocess",
        takes={"prepared": Taken("all", "preprocess_class")}, makes=kinds.DATASET,
    ),
    Task(
        name="score_champion", module="drift", label="Ask the champion", part="", step="preprocess",
        takes={"trials": Taken("one", "build_dataset")}, makes=kinds.DRIFT, is_extra=True,
    ),
    Task(
        name="train_baseline", module="models", label="Train the baseline", part="Train", step="train",
        takes={"trial": Taken("each", "score_champion")}, item="trial", makes=kinds.MODEL, trains=True,
    ),
    Task(
        name="evaluate_baseline", module="models", label="Measure the baseline", part="Measure", step="evaluate",
        takes={"models": Taken("all", "train_baseline")}, makes=kinds.EVALUATION,
    ),
    _tuning_task(
        name="plan_tuning", label="Plan the tuning", takes={"trials": Taken("one", "score_champion")},
    ),
    _tuning_task(
        name="tune", label="Train the candidates", step="train",
        takes={"tuning": Taken("each", "plan_tuning")}, item="trial", makes=kinds.MODEL, trains=True, is_extra=True,
    ),
    _tuning_task(name="choose_settings", label="Choose the best settings", after=("tune",)),
    _repair_task(
        name="check_accuracy", module="models", label="Compare with the goal", part="Compare with the goal",
        takes={"evaluation": Taken("previous")},
    ),
    _repair_task(
        name="ask_before_repair", module="ask", label="Ask before the repair", part="", after=("check_accuracy",),
    ),
    _repair_task(
        name="plan_augmentation", module="repair", label="Choose classes to repair",
        part="Choose and add pictures", step="augment", after=("ask_before_repair",), makes=kinds.PLAN,
    ),
    _repair_task(
        name="augment_class", module="repair", label="Make changed copies", part="Choose and add pictures",
        step="augment", takes={"group": Taken("each", "plan_augmentation")}, item="class", makes=kinds.COPIES,
    ),
    _repair_task(
        name="plan_collection", module="repair", label="Plan new pictures", part="Choose and add pictures",
        takes={"planned": Taken("one", "plan_augmentation")},
    ),
    _repair_task(
        name="collect_class", module="repair", label="Collect new pictures", part="Choose and add pictures",
        step="augment", takes={"group": Taken("each", "plan_collection")}, item="class", makes=kinds.COLLECTED,
    ),
    _repair_task(
        name="plan_retraining", module="repair", label="Plan the trainings", part="Train again",
        takes={"copied": Taken("all", "augment_class"), "collected": Taken("all", "collect_class")},
    ),
    _repair_task(
        name="train_augmented", module="models", label="Train again", part="Train again", step="retrain",
        takes={"trial": Taken("each", "plan_retraining")}, item="trial", makes=kinds.MODEL, trains=True,
    ),
    _repair_task(
        name="evaluate_augmented", module="models", label="Measure and compare", part="Compare", step="reevaluate",
        takes={"models": Taken("all", "train_augmented")}, makes=kinds.EVALUATION,
    ),
    Task(
        name="plan_final_model", module="models", label="Plan the final model",
        part="Put the models together",
    ),
    Task(
        name="build_final_model", module="models", label="Put the models together", part="Put the models together",
        step="report", takes={"models": Taken("each", "plan_final_model")}, makes=kinds.FINAL_MODEL, trains=True,
        is_extra=True,
    ),
    Task(
        name="write_report", module="report", label="Write the report", part="Report", step="report",
        after=("plan_final_model", "build_final_model", "choose_settings"),
    ),
)  # fmt: skip
SCORE = "score_champion"
GATE = "check_accuracy"  # below the goal its round goes on; else the end follows
ASK = "ask_before_repair"  # where a person is asked, the answer takes the place of what the gate decided
BASELINE_EVALUATION, PLAN, REPAIR_EVALUATION = "evaluate_baseline", "plan_augmentation", "evaluate_augmented"
END, FINAL, REPORT = "plan_final_model", "build_final_model", "write_report"  # both branches meet in the first
REPAIR = tuple(t for t in TASKS if t.is_repair)
BEFORE_REPAIR, AFTER_REPAIR = TASKS[: TASKS.index(REPAIR[0])], TASKS[TASKS.index(REPAIR[-1]) + 1 :]
STEPS = tuple(dict.fromkeys(task.step for task in TASKS if task.step))
_BY_NAME = {task.name: task for task in TASKS}


def find_task(name: str) -> Task:
    """Returns the task of this name."""
    return _BY_NAME[name]


def task_id(name: str, round_number: int = 1) -> str:
    """Returns a task's id in the graph: those of the second and third repair lie in groups of their own."""
    return name if round_number <= 1 else f"round_{round_number}.{name}"


def parse_task_id(task_id: str) -> tuple[Task | None, int]:
    """Returns the task of an id and the number of its repair (1 also outside of a repair); None for no task of ours."""
    prefix, _, name = task_id.rpartition(".")
    number = prefix.removeprefix("round_")
    return _BY_NAME.get(name), int(number) if number.isdecimal() else 1


def task_label(task_id: str) -> str:
    """Returns what people read of a task, by its id; those of later repairs have the round behind it."""
    known, number = parse_task_id(task_id)
    label = known.label if known else task_id
    return f"{label}, round {number}" if number > 1 else label


def parts(tasks: Iterable[Task]) -> dict[str, list[str]]:
    """Returns the names of tasks by the step of the report's path that they belong to, without those beside it."""
    found: dict[str, list[str]] = {}
    for task in tasks:
        if task.part:
            found.setdefault(task.part, []).append(task.name)
    return found


def makes_artifact(task_id: str) -> bool:
    """Tells whether a task hands on an artifact; what does not is done anew in each run."""
    task, _ = parse_task_id(task_id)
    return task is not None and task.makes is not None


def all_task_ids() -> Iterator[tuple[str, Task, int]]:
    """Yields the id of each task in the graph, in order, with the task and the number of its repair."""
    yield from ((task.name, task, 1) for task in BEFORE_REPAIR)
    for number in range(1, MAX_ROUNDS + 1):
        yield from ((task_id(task.name, number), task, number) for task in REPAIR)
    yield from ((task.name, task, 1) for task in AFTER_REPAIR)


def is_forced(name: str, force: StepName) -> bool:
    """Tells whether `force` makes a task, by its name, do its work again."""
    step = find_task(name).step
    return bool(force and step) and STEPS.index(step) >= STEPS.index(force)
