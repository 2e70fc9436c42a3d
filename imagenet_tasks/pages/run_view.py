"""What the pages know of a run: its tasks' records by task, and what follows from them. `records.py` reads it."""

import time
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.training import Epoch
from imagenet_tasks.workflow.estimate import Estimate
from imagenet_tasks.workflow.graph import parse_task_id, task_label
from imagenet_tasks.workflow.progress import Snapshot

State = Literal["running", "success", "failed", "stopped"]
Moment = Annotated[float, Field(ge=0, le=4e9)]
Duration = Annotated[float, Field(ge=0, le=1e9)]


class TaskError(JsonArtifact, extra="ignore"):
    """How a task failed."""

    type: str
    message: str


class TaskRecord(JsonArtifact, extra="ignore"):
    """What a task wrote of itself; `stopped` is a task that the run's end left running."""

    task: str
    item: str
    state: State
    started_s: Moment
    seconds: Duration | None = None
    reused: bool = False
    result: Any = None
    error: TaskError | None = None
    label: str = ""
    progress: Snapshot | None = None

    @property
    def shows_progress(self) -> bool:
        """Whether its progress is worth reading: while it runs, and a training's curve also later."""
        return bool(self.item) and (self.state == "running" or self.trains)

    @property
    def said(self) -> str:
        """What people call the task, with its class or trial."""
        return f"{task_label(self.task)}, {self.label or self.item}" if self.item else task_label(self.task)

    @property
    def trains(self) -> bool:
        """Whether the task is a training."""
        task, _ = parse_task_id(self.task)
        return bool(task and task.trains)

    @property
    def got(self) -> tuple[int, int, int] | None:
        """Pictures that a finished download accepted, was to get, and candidates that it rejected; else None."""
        held = self.result if isinstance(self.result, dict) else {}
        accepted, wanted, rejected = (held.get(name) for name in ("accepted", "wanted", "rejected"))
        if not isinstance(accepted, int) or not isinstance(wanted, int) or not isinstance(rejected, dict):
            return None
        return accepted, wanted, sum(n for n in rejected.values() if isinstance(n, int))

    @property
    def share(self) -> float:
        """How much of its work is done, in [0, 1]."""
        return 1.0 if self.state == "success" else self.progress.share if self.progress else 0.0

    @property
    def history(self) -> tuple[Epoch, ...]:
        """A training's epochs so far."""
        return self.progress.history if self.progress else ()

    @property
    def took_s(self) -> float:
        """How long it took, or has taken so far."""
        return self.seconds if self.seconds is not None else max(0.0, time.time() - self.started_s)


ORDER: tuple[State, ...] = ("failed", "stopped", "running", "success")  # what matters most comes first


@dataclass(frozen=True, kw_only=True)
class TaskGroup:
    """The records of one task of the graph: one, or one per class or trial.

    `unexplained` are the names of those that failed in Airflow's eyes, where none recorded a failure: killed, or marked
    by hand. That of a task that is not mapped is ''.
    """

    task: str
    records: tuple[TaskRecord, ...]
    unexplained: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The state that matters most."""
        if self.unexplained:
            return "failed"
        states = {record.state for record in self.records}
        return next(state for state in ORDER if state in states)

    def count(self, state: State) -> int:
        """Returns how many records are in a state."""
        return sum(record.state == state for record in self.records)

    @property
    def reused(self) -> int:
        """How many found their work done already."""
        return sum(record.reused for record in self.records)

    @property
    def started_s(self) -> float:
        """When the first one started."""
        return min(record.started_s for record in self.records)

    @property
    def seconds(self) -> float:
        """From the first start to the last end; to now where one still runs."""
        return max(record.started_s + record.took_s for record in self.records) - self.started_s

    @property
    def shown(self) -> tuple[TaskRecord, ...]:
        """The classes and trials worth a line of their own: those that have not succeeded, and all while some run."""
        ordered = sorted(self.records, key=lambda record: ORDER.index(record.state))
        return tuple(r for r in ordered if r.item and (r.state != "success" or self.count("running")))

    @property
    def curves(self) -> tuple[TaskRecord, ...]:
        """The trainings that have an epoch to show."""
        return tuple(r for r in self.records if r.history)

    @property
    def who(self) -> tuple[TaskRecord, ...]:
        """The classes and trials that run now."""
        return tuple(r for r in self.records if r.item and r.state == "running")

    @property
    def said(self) -> str:
        """What people call the task."""
        return task_label(self.task)


@dataclass(frozen=True, kw_only=True)
class RunView:
    """What is known of a run.

    `airflow_state` is None where Airflow has no such run. `has_report` tells of a report that can be shown, and
    `is_current` whether it is of the run's last attempt. `damaged` names files, below the run's folder, that cannot
    be read. `settings` are JSON, '' where they cannot be read, and `goal` is one of them. `took_s` is as Airflow
    says. `unchanged_since` is the run to which this one has nothing new, '' where it has; `expected` is what it was
    expected to cost. `unexplained` names the tasks that failed in Airflow's eyes alone, also those without a record.
    """

    airflow_state: str | None
    groups: tuple[TaskGroup, ...]
    has_report: bool
    is_current: bool
    damaged: tuple[str, ...]
    decision: str = ""
    settings: str = ""
    goal: float | None = None
    took_s: float | None = None
    unchanged_since: str = ""
    expected: Estimate | None = None
    unexplained: tuple[str, ...] = ()

    @property
    def started_s(self) -> float | None:
        """When its first task started; None before that."""
        return min((group.started_s for group in self.groups), default=None)

    @property
    def running(self) -> tuple[TaskGroup, ...]:
        """The tasks that run now."""
        return tuple(group for group in self.groups if group.count("running"))

    @property
    def remaining_s(self) -> float | None:
        """How long the slowest of what runs now may still take; None where nobody knows."""
        known = [r.progress.left_s for g in self.running for r in g.records if r.progress and r.state == "running"]
        return max((s for s in known if s is not None), default=None)

    @property
    def notice(self) -> Literal["", "again", "earlier", "failed", "unchanged"]:
        """What is to be said above its report: it runs again, it ended without a new one, failed after it, ..."""
        if not self.is_current:
            return "again" if self.live else "earlier"
        if self.airflow_state == "failed":
            return "failed"
        return "unchanged" if self.unchanged_since else ""

    @property
    def live(self) -> bool:
        """Whether more is to come."""
        return self.airflow_state in ("queued", "running")

    @property
    def known(self) -> bool:
        """Whether there is such a run at all."""
        return bool(self.airflow_state or self.groups or self.has_report or self.damaged)

    @property
    def failed(self) -> tuple[TaskRecord, ...]:
        """The records of failed tasks."""
        return tuple(record for group in self.groups for record in group.records if record.state == "failed")
