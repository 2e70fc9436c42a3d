"""How long a run may still take: by what it measured of itself so far, else by what earlier runs took."""

import statistics
import time
from dataclasses import dataclass

from imagenet_tasks.pages.run_view import RunView, TaskRecord
from imagenet_tasks.workflow.estimate import REPAIR_TASK, Between, Estimate, PlannedTrainings, spread
from imagenet_tasks.workflow.graph import ASK, BASELINE_EVALUATION, GATE, REPAIR_EVALUATION, parse_task_id

ENOUGH = 0.1  # of a task's work, to tell from it how long the rest of it takes


@dataclass(frozen=True, kw_only=True)
class Left:
    """The least and the most time that is left (s), and whether that depends on a repair that may follow."""

    seconds: Between
    is_open: bool


def time_left(view: RunView) -> Left | None:
    """Returns how long a run may still take; None where nobody knows."""
    expected = view.expected
    if not view.live or expected is None:
        return None
    records = [record for group in view.groups for record in group.records]
    gates = _gates(records)
    decided = gates.count("augment")
    is_open = "report" not in gates and decided < expected.rounds
    later = expected.rounds - decided if is_open else 0
    paces = _own_paces(expected, records)
    parts = [_download(expected, records)]
    for planned in expected.trainings:
        mine = [r for r in records if _is_one_of(r, planned)]
        rounds = decided if planned.task == REPAIR_TASK else 1
        measured = BASELINE_EVALUATION if planned.task != REPAIR_TASK else REPAIR_EVALUATION
        over = sum(r.task.endswith(measured) and r.state == "success" for r in records)
        least = max(0.0, rounds * planned.count - max(over * planned.count, sum(r.share for r in mine)))
        most = least + (later * planned.count if planned.task == REPAIR_TASK else 0)
        parts.append(_times(planned, (least, most), paces, sum(r.state == "running" for r in mine)))
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    now_s, rest_s = view.remaining_s or 0.0, expected.rest_s[1] if expected.rest_s else 0.0
    least, most = (max(now_s, sum(part[end] for part in known)) for end in (0, 1))
    return Left(seconds=(least, most + rest_s), is_open=is_open)


def _gates(records: list[TaskRecord]) -> list[str]:
    """Returns which way each gate led; where a person was asked, what they answered."""
    led: dict[int, str] = {}
    for name in (GATE, ASK):
        for record in records:
            task, number = parse_task_id(record.task)
            if task and task.name == name and isinstance(record.result, dict) and "branch" in record.result:
                led[number] = record.result["branch"]
    return list(led.values())


def _download(expected: Estimate, records: list[TaskRecord]) -> Between | None:
    """Returns how long the classes' pictures may still take."""
    mine = [r for r in records if r.task == "download_class"]
    done = sum(r.share for r in mine) / max(1, expected.classes)
    if done >= 1 or any(r.task == "build_dataset" for r in records):
        return 0.0, 0.0
    if done >= ENOUGH:  # of a rerun most is here already, which this pace counts in
        return spread([(time.time() - min(r.started_s for r in mine)) * (1 - done) / done])
    return expected.download_s


def _is_one_of(record: TaskRecord, planned: PlannedTrainings) -> bool:
    task, _ = parse_task_id(record.task)
    arm, _, rest = record.item.partition(f"-{planned.model}-seed")
    return bool(task and task.name == planned.task and rest and planned.arm in ("", arm))


def _own_paces(expected: Estimate, records: list[TaskRecord]) -> dict[str, float]:
    """Returns how long each picture of a training took in this run (s), start and all, by model."""
    found: dict[str, list[float]] = {}
    for planned in expected.trainings:
        for record in records:
            if _is_one_of(record, planned) and not record.reused and record.share >= ENOUGH and planned.pictures:
                found.setdefault(planned.model, []).append(record.took_s / (record.share * planned.pictures))
    return {model: statistics.mean(paces) for model, paces in found.items()}


def _times(planned: PlannedTrainings, counts: Between, paces: dict[str, float], at_once: int) -> Between | None:
    if not counts[1]:
        return 0.0, 0.0
    own = paces.get(planned.model)
    each = spread([own * planned.pictures]) if own else planned.seconds
    return None if each is None else (counts[0] * each[0] / max(1, at_once), counts[1] * each[1] / max(1, at_once))
