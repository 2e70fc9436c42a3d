"""Reads what is known of a run: its tasks' records, their progress, its report. Damage is told, never raised."""

import contextlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from imagenet_tasks.artifacts.kinds import FINGERPRINT
from imagenet_tasks.artifacts.references import ChosenClass, TrainedModel
from imagenet_tasks.artifacts.training import HISTORY, parse_history
from imagenet_tasks.pages.run_view import RunView, TaskGroup, TaskRecord
from imagenet_tasks.settings.config import RunConfig, from_json
from imagenet_tasks.settings.profiles import shared_settings
from imagenet_tasks.settings.training import TRIAL_NAMES
from imagenet_tasks.store.plain_files import UNREADABLE, has_content, list_names, read_plain
from imagenet_tasks.workflow.estimate import Estimate, estimate_of
from imagenet_tasks.workflow.graph import ASK, GATE, task_label
from imagenet_tasks.workflow.graph import REPORT as REPORT_TASK
from imagenet_tasks.workflow.progress import Snapshot
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import read_index

REPORT = "report/report.html"
MESSAGE_CHARACTERS = 2000
TRIAL = (
    r"([a-z-]{1,20})-(\w{1,20})-seed(\d{1,10})(?:-round(\d{1,9})|-fold(\d{1,9})of(\d{1,9})|-1of(\d{1,9}))?"  # Trial.key
)
PLAN = "plan_run"
MOST_NAMES = 5  # of a task's that are said


def view_run(
    run: Run, airflow_state: str | None, failed_tasks: Mapping[str, tuple[str, ...]] = MappingProxyType({})
) -> RunView:
    """Returns what is known of a run.

    Args:
        run: which.
        airflow_state: its state in Airflow's own eyes.
        failed_tasks: by their ids, those that failed in Airflow's eyes, with the names of what they were mapped to.
    """
    live = airflow_state in ("queued", "running")
    records, damaged = read_records(run)
    config = read_config(run)
    labels = {c.class_id: c.name for c in config.classes} if config else {}
    records = [
        r.model_copy(
            update={
                "label": label_of(labels, r.item) or _said(r.item),
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
    explained = {record.task for record in records if record.state == "failed"}
    unexplained = {task: names for task, names in failed_tasks.items() if task not in explained}
    return RunView(
        airflow_state=airflow_state,
        groups=tuple(_group(records, unexplained)),
        unexplained=tuple(_called(task, names) for task, names in unexplained.items()),
        has_report=has_report,
        is_current=has_report and is_of_last_attempt and not live,
        damaged=tuple(damaged),
        decision=_decision(records),
        settings=shared_settings(config) if config else "",
        goal=config.evaluate.accuracy_goal if config else None,
        expected=_expected(records),
        unchanged_since=_unchanged_since(run),
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
    """Returns the class's name of a task's item: a class id, or that with the number of pictures to add; else ''."""
    return names.get(ChosenClass.class_of(item), "")


def _said(item: str) -> str:
    """Returns the parts of a trial's key as people read them; '' for another item."""
    if not (trial := re.fullmatch(TRIAL, item)):
        return ""
    arm, model, seed, round_, fold, folds, parts = trial.groups()
    later = f", round {round_}" if round_ else ""
    of = f", part {fold} of {folds}" if fold else f", 1/{parts} of the pictures" if parts else ""
    return f"{TRIAL_NAMES.get(arm, arm)} ({model}, seed {seed}{later}){of}"


def _unchanged_since(run: Run) -> str:
    with contextlib.suppress(*UNREADABLE):
        if index := read_index(run):
            return index.unchanged_since
    return ""


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


def _called(task: str, names: tuple[str, ...]) -> str:
    """Returns what people call a task with the first names of what it was mapped to."""
    more = f"and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(filter(None, (task_label(task), *names[:MOST_NAMES], more)))


def _group(records: Iterable[TaskRecord], unexplained: Mapping[str, tuple[str, ...]]) -> list[TaskGroup]:
    by_task: dict[str, list[TaskRecord]] = {}
    for record in records:
        by_task.setdefault(record.task, []).append(record)
    return [
        TaskGroup(task=task, records=tuple(group), unexplained=unexplained.get(task, ()))
        for task, group in by_task.items()
    ]
