"""Reads what is known of a run: its tasks' records, their progress, its report. Damage is told, never raised."""

import contextlib
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.kinds import FINGERPRINT
from imagenet_tasks.artifacts.references import ChosenClass, TrainedModel
from imagenet_tasks.artifacts.training import HISTORY, Epoch, parse_history
from imagenet_tasks.pages.files import UNREADABLE, has_content, list_names, read_plain
from imagenet_tasks.settings.config import RunConfig, from_json
from imagenet_tasks.settings.profiles import shared_settings
from imagenet_tasks.workflow.estimate import Estimate, estimate_of
from imagenet_tasks.workflow.graph import ASK, GATE, parse_task_id
from imagenet_tasks.workflow.graph import REPORT as REPORT_TASK
from imagenet_tasks.workflow.progress import Snapshot
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex

REPORT = "report/report.html"
MESSAGE_CHARACTERS = 2000
TRIAL = r"([a-z-]{1,20})-(\w{1,20})-seed(\d{1,10})(?:-(\w{1,20}))?"  # Trial.key
PLAN = "plan_run"

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
    """The records of one task of the graph: one, or one per class or trial."""

    task: str
    records: tuple[TaskRecord, ...]

    @property
    def state(self) -> State:
        """The state that matters most."""
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
        task, number = parse_task_id(self.task)
        return f"{task.label if task else self.task}{f' (repair {number})' if number > 1 else ''}"


@dataclass(frozen=True, kw_only=True)
class RunView:
    """What is known of a run.

    `airflow_state` is None where Airflow has no such run. `has_report` tells of a report that can be shown, and
    `is_current` whether it is of the run's last attempt. `damaged` names files, below the run's folder, that cannot
    be read. `settings` are JSON, and '' where they cannot be read. `unchanged_since` is the run to which this one has
    nothing new, '' where it has; `expected` is what it was expected to cost.
    """

    airflow_state: str | None
    groups: tuple[TaskGroup, ...]
    has_report: bool
    is_current: bool
    damaged: tuple[str, ...]
    decision: str = ""
    settings: str = ""
    unchanged_since: str = ""
    expected: Estimate | None = None

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


def view_run(run: Run, airflow_state: str | None) -> RunView:
    """Returns what is known of a run whose state is `airflow_state` in Airflow's own eyes."""
    live = airflow_state in ("queued", "running")
    records, damaged = read_records(run)
    config = read_config(run)
    labels = {c.class_id: c.name for c in config.classes} if config else {}
    records = [
        r.model_copy(
            update={
                "label": label_of(labels, r.item),
                "progress": _progress(run, r) if live and r.shows_progress else None,
                # A killed process writes no end.
                "state": "stopped" if r.state == "running" and not live else r.state,
            }
        )
        for r in records
    ]
    try:
        has_report = has_content(run.store, run.key(REPORT))
    except UNREADABLE:
        has_report, damaged = False, [*damaged, REPORT]
    last = records[-1] if records else None  # in order of their start
    is_of_last_attempt = last is not None and (last.task, last.state) == (REPORT_TASK, "success")
    return RunView(
        airflow_state=airflow_state,
        groups=tuple(_group(records)),
        has_report=has_report,
        is_current=has_report and is_of_last_attempt and not live,
        damaged=tuple(damaged),
        decision=_decision(records),
        settings=shared_settings(config) if config else "",
        expected=_expected(records),
        unchanged_since=index.unchanged_since if (index := read_index(run)) else "",
    )


def read_file(run: Run, name: str) -> bytes | None:
    """Returns the bytes of a file of the run, or None where there is none; raises as `read_plain` does."""
    return read_plain(run.store, run.key(name))


def read_records(run: Run) -> tuple[list[TaskRecord], list[str]]:
    """Returns what the tasks wrote of themselves, the first started first, and the names of what cannot be read."""
    records, damaged = [], []
    try:
        names = list_names(run.store, run.key("tasks"))
    except UNREADABLE:
        return [], ["tasks"]
    for name in names:
        try:
            content = read_file(run, f"tasks/{name}")
            if content is None:  # the run begins again just now
                continue
            record = TaskRecord.from_json(content, where=name)
        except UNREADABLE:
            damaged.append(f"tasks/{name}")
            continue
        if record.error:
            error = record.error.model_copy(update={"message": _without_root(run, record.error.message)})
            record = record.model_copy(update={"error": error})
        records.append(record)
    return sorted(records, key=lambda r: (r.started_s, r.task, r.item)), damaged


def read_index(run: Run) -> RunIndex | None:
    """Returns what the run came to; None where it has no index or that cannot be read."""
    with contextlib.suppress(*UNREADABLE):
        if content := read_file(run, RunIndex.KEY):
            return RunIndex.from_json(content, where=RunIndex.KEY)
    return None


def read_config(run: Run) -> RunConfig | None:
    """Returns the run's settings; None where there are none or they cannot be read."""
    with contextlib.suppress(*UNREADABLE):
        if content := read_file(run, "config.json"):
            return from_json(content.decode())
    return None


def class_names(run: Run) -> dict[str, str]:
    """Returns the names of the run's classes by their ids; {} where they cannot be read."""
    config = read_config(run)
    return {c.class_id: c.name for c in config.classes} if config else {}


def label_of(names: dict[str, str], item: str) -> str:
    """Returns what people call a task's item: the name of a class id, also with the number of pictures to add; the
    parts of a trial's key; else ''.
    """
    if trial := re.fullmatch(TRIAL, item):
        arm, model, seed, part = trial.groups()
        return f"{arm}: {model}, seed {seed}{f', {part}' if part else ''}"
    return names.get(ChosenClass.class_of(item), "")


def _expected(records: list[TaskRecord]) -> Estimate | None:
    with contextlib.suppress(*UNREADABLE):
        return next((estimate_of(r.result) for r in records if r.task == PLAN), None)
    return None


def _decision(records: list[TaskRecord]) -> str:
    """Returns why the last gate decided as it did, '' before the first; the records are in order of their start."""
    gates = [r.result for r in records if r.task.endswith((GATE, ASK)) and isinstance(r.result, dict)]
    return next((str(gate["why"]) for gate in reversed(gates) if "why" in gate), "")


def _progress(run: Run, record: TaskRecord) -> Snapshot | None:
    name = f"progress/{record.task}.{record.item}.json"
    with contextlib.suppress(*UNREADABLE):
        if content := read_file(run, name):
            progress = Snapshot.from_json(content, where=name)
            if progress.updated_s >= record.started_s:  # else it is of an earlier attempt
                return progress
    return _progress_of_model(run, record)


def _progress_of_model(run: Run, record: TaskRecord) -> Snapshot | None:
    """Returns the epochs of a training that was there already."""
    mark = record.result.get("fingerprint") if isinstance(record.result, dict) else None
    if record.state != "success" or not re.fullmatch(FINGERPRINT, str(mark)):
        return None
    with contextlib.suppress(*UNREADABLE):
        key = f"{TrainedModel.KIND.folder_of(str(mark))}/{HISTORY}"
        history = parse_history(read_plain(run.store, key) or b"", where=key)
        return Snapshot(
            task=record.task, item=record.item, label=record.item, unit="", done=1, total=1, elapsed_s=0.0,
            rate_per_s=None, remaining_s=None, updated_s=record.started_s, history=history,
        )  # fmt: skip
    return None


def _without_root(run: Run, text: str) -> str:
    text = run.store.without_root(text)
    return text if len(text) <= MESSAGE_CHARACTERS else f"{text[:MESSAGE_CHARACTERS]} ..."


def _group(records: Iterable[TaskRecord]) -> list[TaskGroup]:
    by_task: dict[str, list[TaskRecord]] = {}
    for record in records:
        by_task.setdefault(record.task, []).append(record)
    return [TaskGroup(task=task, records=tuple(group)) for task, group in by_task.items()]
