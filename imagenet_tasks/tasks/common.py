"""What the tasks of the graph share."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from imagenet_tasks.artifacts.references import AugmentationPlan, Evaluation
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.settings.training import MAX_ROUNDS
from imagenet_tasks.workflow.graph import ASK, BASELINE_EVALUATION, GATE, PLAN, REPAIR_EVALUATION, is_forced, task_id
from imagenet_tasks.workflow.progress import Listener, Progress, Snapshot, log_line
from imagenet_tasks.workflow.run import Run

log = logging.getLogger("imagenet_tasks.tasks")
Json = dict[str, Any]
T = TypeVar("T")
LOG: tuple[Listener, ...] = (log_line,)
MOST_TASKS = 256  # mapped over; beyond that a task's own cost outweighs what more tasks gain


def in_groups(items: Sequence[T], most: int) -> list[Sequence[T]]:
    """Returns the items in order, in at most so many groups of equal size: one item each where that suffices."""
    size = max(1, -(-len(items) // most))
    return [items[start : start + size] for start in range(0, len(items), size)]


def evaluation_of(run: Run, round_number: int) -> Evaluation:
    """Returns what a round of this run measured: 0 is the baseline's, others are those of the repairs."""
    task = task_id(REPAIR_EVALUATION, round_number) if round_number else BASELINE_EVALUATION
    return Evaluation.from_dict(_recorded(run, task))


def plan_of(run: Run, round_number: int) -> AugmentationPlan:
    """Returns the plan of a repair of this run."""
    return AugmentationPlan.find(run.store, _recorded(run, task_id(PLAN, round_number))["fingerprint"])


def _recorded(run: Run, task: str) -> Json:
    result = run.result_of(task)
    if result is None:
        raise ArtifactError(f"{run.folder}: expected a record that {task} is done, found none; run {task} again")
    return result


def decision_of(result_of: Callable[[str], Json | None], number: int) -> Json | None:
    """Returns the Decision on a repair: a person's where one was asked, else the gate's; None before it.

    An answer counts where the gate asked for it: that of an earlier attempt may have come before a gate that does not.

    Args:
        result_of: returns what a task handed on, by its id; None where it did not run.
        number: of the repair.
    """
    gate = result_of(task_id(GATE, number))
    return (result_of(task_id(ASK, number)) or gate) if gate and gate["branch"] == "augment" else gate


def repairs_decided(result_of: Callable[[str], Json | None]) -> Iterator[int]:
    """Yields the numbers of a run's repairs, up to the first gate that went to the report.

    Args:
        result_of: returns what a task handed on, by its id; None where it did not run.
    """
    for number in range(1, MAX_ROUNDS + 1):
        decision = decision_of(result_of, number)
        if decision is None or decision["branch"] != "augment":
            return
        yield number


def salt_of(run: Run, task: str) -> str:
    """Returns what makes the fingerprints of a forced task this run's own; '' where it is not forced."""
    return run.run_key if is_forced(task, run.config.force) else ""


def progress_of(
    run: Run, task: str, item: str, label: str, total: int, unit: str, listeners: Sequence[Listener]
) -> Progress:
    """Returns a progress that also keeps a small file for the live page."""
    key = run.key(f"progress/{task}.{item}.json")

    def to_file(snapshot: Snapshot) -> None:
        with contextlib.suppress(Exception):  # the page may miss an update; the work goes on
            run.store.write_bytes(key, snapshot.content(), sync=False)

    return Progress(
        task=task, item=item, label=label, total=total, unit=unit, listeners=tuple(listeners), live=to_file
    )  # fmt: skip


def say(record: Json, text: str, *figures: Any) -> None:
    """Logs the line that matters, and whether its work was there already."""
    log.info(("Nothing to do, reused: " if record["reused"] else "") + text, *figures)
