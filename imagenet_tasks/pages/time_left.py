"""How long a run may still take: by what it measured of itself so far, else by what earlier runs took."""

import statistics
import time
from dataclasses import dataclass

from imagenet_tasks.pages.run_view import RunView, TaskRecord
from imagenet_tasks.wording import between
from imagenet_tasks.workflow.estimate import REPAIR_TASK, Between, Estimate, PlannedTrainings, spread
from imagenet_tasks.workflow.graph import ASK, BASELINE_EVALUATION, GATE, REPAIR_EVALUATION, parse_task_id

ENOUGH = 0.1  # of a task's work, to tell from it how long the rest of it takes
MOST_WAIT_S = 300.0  # between two trainings: a longer wait was for a person, and says nothing about the next one


@dataclass(frozen=True, kw_only=True)
class Left:
    """The least and the most time that is left (s).

    `is_open` says whether that depends on a repair that may follow, `has_rest` whether what follows the trainings
    is counted in.
    """

    seconds: Between
    is_open: bool
    has_rest: bool

    @property
    def said(self) -> str:
        """In minutes: nobody knows it better."""
        low, high = self.seconds
        return "less than a minute" if high < 60 else between((low, max(90.0, high)))


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
    paces, stretch = _own_paces(expected, records), _stretch(records)
    parts = [_download(expected, records)]
    for planned in expected.trainings:
        mine, rounds, over = _so_far(planned, records, decided)
        least = max(0.0, rounds * planned.count - max(over * planned.count, sum(r.share for r in mine)))
        most = least + (later * planned.count if planned.task == REPAIR_TASK else 0)
        at_once = sum(r.state == "running" for r in mine)
        parts.append(_times(planned, (least, most), paces, stretch, at_once))
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    now_s, rest_s = view.remaining_s or 0.0, expected.rest_s[1] if expected.rest_s else 0.0
    least, most = (max(now_s, sum(part[end] for part in known)) for end in (0, 1))
    return Left(seconds=(least, most + rest_s), is_open=is_open, has_rest=expected.rest_s is not None)


def trainings(view: RunView) -> tuple[int, int] | None:
    """Returns how many trainings are done, of how many that are made in any case; None where nobody knows."""
    if not view.live or view.expected is None:
        return None
    records = [record for group in view.groups for record in group.records]
    decided = _gates(records).count("augment")
    done = total = 0
    for planned in view.expected.trainings:
        mine, rounds, over = _so_far(planned, records, decided)
        ended = sum(r.state == "success" for r in mine)
        done += ended
        total += ended if over == rounds else rounds * planned.count  # of a repair, some may change nothing
    return done, total


def _so_far(planned: PlannedTrainings, records: list[TaskRecord], decided: int) -> tuple[list[TaskRecord], int, int]:
    """Returns what there is of some trainings, in how many rounds they are made, and how many of these are over."""
    repairs = planned.task == REPAIR_TASK
    evaluation = REPAIR_EVALUATION if repairs else BASELINE_EVALUATION
    over = sum(r.task.endswith(evaluation) and r.state == "success" for r in records)
    return [r for r in records if _is_one_of(r, planned)], decided if repairs else 1, over


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


def _stretch(records: list[TaskRecord]) -> float:
    """Returns how long the newest trainings took by the clock, as a multiple of their own times added up.

    It is above 1 where they wait between one another, and below where several run at once.
    """
    made = sorted((r for r in records if r.trains and not r.reused), key=lambda r: r.started_s)
    if not made:
        return 1.0
    newest = ([r for r in made if r.state == "success"] or made)[-1].task
    mine = [r for r in made if r.task == newest]
    later = (r.started_s for r in records if r.task != newest and r.started_s > mine[-1].started_s)
    by_clock_s, ended_s = 0.0, mine[0].started_s
    for start_s, took_s in [*((r.started_s, r.took_s) for r in mine), (min(later, default=time.time()), 0.0)]:
        by_clock_s += min(MOST_WAIT_S, max(0.0, start_s - ended_s))
        by_clock_s += max(0.0, start_s + took_s - max(start_s, ended_s))
        ended_s = max(ended_s, start_s + took_s)
    own_s = sum(r.took_s for r in mine)
    return by_clock_s / own_s if own_s else 1.0


def _times(
    planned: PlannedTrainings, counts: Between, paces: dict[str, float], stretch: float, at_once: int
) -> Between | None:
    if not counts[1]:
        return 0.0, 0.0
    own = paces.get(planned.model)
    if own:
        each = spread([own * planned.pictures * stretch])
    else:
        each = planned.seconds and (planned.seconds[0] / max(1, at_once), planned.seconds[1] / max(1, at_once))
    return None if each is None else (counts[0] * each[0], counts[1] * each[1])
