"""Reads what is known of a run: its tasks' records, their progress, its report. Damage is told, never raised."""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass as checked

from imagenet_tasks.artifacts import Run
from imagenet_tasks.config import from_json
from imagenet_tasks.errors import ArtifactError, ImagenetTasksError

REPORT = "report/report.html"
REPORT_JSON = "report/report.json"
MESSAGE_CHARACTERS = 2000
UNREADABLE = (ImagenetTasksError, OSError, ValueError)
_LENIENT = ConfigDict(extra="ignore", allow_inf_nan=False)

State = Literal["running", "success", "failed", "stopped"]
Moment = Annotated[float, Field(ge=0, le=4e9)]
Duration = Annotated[float, Field(ge=0, le=1e9)]


@checked(frozen=True, kw_only=True, config=_LENIENT)
class TaskError:
    """How a task failed."""

    type: str
    message: str


@checked(frozen=True, kw_only=True, config=_LENIENT)
class TaskRecord:
    """What a task wrote of itself; `stopped` is a task that the run's end left running."""

    task: str
    item: str
    state: State
    started_s: Moment
    seconds: Duration | None = None
    reused: bool = False
    error: TaskError | None = None
    label: str = ""
    progress: str = ""

    @property
    def took_s(self) -> float:
        """How long it took, or has taken so far."""
        return self.seconds if self.seconds is not None else max(0.0, time.time() - self.started_s)


@checked(frozen=True, kw_only=True, config=_LENIENT)
class _Progress:
    done: Annotated[int, Field(ge=0)]
    total: Annotated[int, Field(ge=0)]
    unit: str
    updated_s: Moment


_RECORD_TYPE = TypeAdapter(TaskRecord)
_PROGRESS_TYPE = TypeAdapter(_Progress)


@dataclass(frozen=True, kw_only=True)
class TaskGroup:
    """The records of one task of the graph: one, or one per class or trial."""

    task: str
    records: tuple[TaskRecord, ...]

    @property
    def state(self) -> State:
        """The state that matters most."""
        states = {record.state for record in self.records}
        order: tuple[State, ...] = ("failed", "stopped", "running", "success")
        return next(state for state in order if state in states)

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
        """The classes and trials worth a line of their own: those that have not succeeded."""
        return tuple(record for record in self.records if record.item and record.state != "success")


@dataclass(frozen=True, kw_only=True)
class RunView:
    """What is known of a run.

    `airflow_state` is None where Airflow has no such run. `has_report` tells of a report that can be shown, and
    `is_current` whether it is of the run's last attempt. `damaged` names files, below the run's folder, that cannot
    be read.
    """

    airflow_state: str | None
    groups: tuple[TaskGroup, ...]
    has_report: bool
    is_current: bool
    damaged: tuple[str, ...]

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
    records, damaged = _read_records(run)
    if not live:  # a killed process writes no end
        records = [replace(r, state="stopped") if r.state == "running" else r for r in records]
    try:
        has_report = bool(read_file(run, REPORT))
    except UNREADABLE:
        has_report, damaged = False, [*damaged, REPORT]
    last = records[-1] if records else None  # in order of their start
    is_of_last_attempt = last is not None and (last.task, last.state) == ("write_report", "success")
    return RunView(
        airflow_state=airflow_state,
        groups=tuple(_group(records)),
        has_report=has_report,
        is_current=has_report and is_of_last_attempt and not live,
        damaged=tuple(damaged),
    )


def read_file(run: Run, name: str) -> bytes | None:
    """Returns the bytes of a file of the run, or None where there is none.

    Raises:
        ArtifactError: where there is something else than a file with content below the root.
        OSError: where it cannot be read.
    """
    path = run.store.path(run.key(name))
    if run.store.is_local:
        local = Path(str(path))
        if not local.is_symlink() and not local.exists():
            return None
        # A link could lead out of the artifacts, and reading a pipe would never end.
        if not local.resolve().is_relative_to(Path(str(run.store.root)).resolve()) or not local.is_file():
            raise ArtifactError(f"{name}: expected a plain file")
    elif not path.exists():
        return None
    content: bytes = path.read_bytes()
    if not content:
        raise ArtifactError(f"{name}: expected content, found an empty file")
    return content


def _read_records(run: Run) -> tuple[list[TaskRecord], list[str]]:
    records, damaged = [], []
    try:
        names = run.store.names(run.key("tasks"))
    except UNREADABLE:
        return [], ["tasks"]
    labels = _labels(run)
    for name in names:
        try:
            record = _RECORD_TYPE.validate_json(read_file(run, f"tasks/{name}") or b"")
        except UNREADABLE:
            damaged.append(f"tasks/{name}")
            continue
        error = record.error and replace(record.error, message=_without_root(run, record.error.message))
        progress = _progress(run, record) if record.state == "running" else ""
        records.append(replace(record, label=labels.get(record.item, ""), error=error, progress=progress))
    return sorted(records, key=lambda r: (r.started_s, r.task, r.item)), damaged


def _labels(run: Run) -> dict[str, str]:
    with contextlib.suppress(*UNREADABLE):
        if content := read_file(run, "config.json"):
            return {image_class.class_id: image_class.name for image_class in from_json(content.decode()).classes}
    return {}


def _progress(run: Run, record: TaskRecord) -> str:
    with contextlib.suppress(*UNREADABLE):
        if content := read_file(run, f"progress/{record.task}.{record.item}.json"):
            progress = _PROGRESS_TYPE.validate_json(content)
            if progress.updated_s >= record.started_s:  # else it is of an earlier attempt
                return f"{progress.done:,} of {progress.total:,} {progress.unit}"
    return ""


def _without_root(run: Run, text: str) -> str:
    text = text.replace(str(run.store.root), "IMAGENET_HOME")
    return text if len(text) <= MESSAGE_CHARACTERS else f"{text[:MESSAGE_CHARACTERS]} ..."


def _group(records: Iterable[TaskRecord]) -> list[TaskGroup]:
    by_task: dict[str, list[TaskRecord]] = {}
    for record in records:
        by_task.setdefault(record.task, []).append(record)
    return [TaskGroup(task=task, records=tuple(group)) for task, group in by_task.items()]
