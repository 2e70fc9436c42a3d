"""What got worse in a run that has written its report: beside earlier runs, on new pictures, or by the repair."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from imagenet_tasks.store.plain_files import UNREADABLE
from imagenet_tasks.wording import interval, percent
from imagenet_tasks.workflow.graph import SCORE
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex, all_runs, read_index, read_indexes

PASSED_OVER = (*UNREADABLE, LookupError, TypeError, AttributeError)  # the damage of another run's files


@dataclass(frozen=True, kw_only=True)
class Worse:
    """One thing that got worse.

    Attributes:
        what: in a few words, with a small first letter.
        said: in a sentence, by how much.
        since: the run since which, '' where it is not worse than another run.
    """

    what: str
    said: str
    since: str = ""


def decline_of(run: Run) -> Worse | None:
    """Returns that the champion declines on pictures that are new to it; None where it does not or was not asked."""
    drift = run.result_of(SCORE) or {}
    if drift.get("verdict") != "declines":
        return None
    return Worse(what="the champion declines on new pictures", said=f"{drift['trial']}: {drift['sentence']}.")


def find_worse(run: Run) -> tuple[Worse, ...]:
    """Returns all that got worse, the most telling first."""
    return tuple(found for found in (fall_of(run), decline_of(run), _harm(run)) if found)


def _harm(run: Run) -> Worse | None:
    report = run.result_of("write_report") or {}
    if report.get("verdict") != "hurt":
        return None
    with_it, without = (percent(report.get(name)) for name in ("test_after", "test_control"))
    return Worse(
        what="the repair hurt",
        said=f"The repair hurt: test accuracy is {with_it} with it, and {without} after an equally long training "
        "without it.",
    )


def fall_of(run: Run) -> Worse | None:
    """Returns that test accuracy fell since the run before, as the run's index says; None where it says nothing."""
    index = None
    with contextlib.suppress(*UNREADABLE):
        index = read_index(run)
    if not index or not index.fell_since:
        return None
    fell = f"test accuracy fell from {percent(index.fell_from)} to {percent(index.accuracy)}"
    intervals = f"{interval(index.fell_from_interval)}, and {interval(index.accuracy_interval)}"
    said = f"{fell.capitalize()} since run {index.fell_since} (95 % intervals: {intervals})."
    return Worse(what=fell, said=said, since=index.fell_since)


def with_fall(run: Run, index: RunIndex) -> RunIndex:
    """Returns a run's index with the run since which test accuracy fell: their 95 % intervals do not overlap.

    What cannot be read of other runs is passed over.
    """
    with contextlib.suppress(*PASSED_OVER):
        before = _run_before(run, index)
        of_before, own = before and before.accuracy_interval, index.accuracy_interval
        if before and of_before and own and own[1] < of_before[0]:
            fell = {"fell_since": before.run_id, "fell_from": before.accuracy, "fell_from_interval": of_before}
            return index.model_copy(update=fell)
    return index


def _run_before(run: Run, index: RunIndex) -> RunIndex | None:
    """Returns the last run before this one that measured the same: of the same source, classes and split."""
    if index.split_by is None or index.accuracy is None:
        return None
    others = [one for one in all_runs(run.store, [run.dag_id]) if one.folder != run.folder]
    alike = [
        (other, found)
        for other, found in read_indexes(run.store, others)
        if found.question == index.question and found.accuracy is not None and found.started_s < index.started_s
    ]
    return next(_of_classes(alike, _classes(run)), None)


def _of_classes(runs: list[tuple[Run, RunIndex]], classes: frozenset[str]) -> Iterator[RunIndex]:
    """Yields those that trained on these classes, the last one first."""
    for other, found in sorted(runs, key=lambda one: -one[1].started_s):
        with contextlib.suppress(*PASSED_OVER):
            if _classes(other) == classes:
                yield found


def _classes(run: Run) -> frozenset[str]:
    """Returns the ids of the classes that a run trained on: those of its settings, without those that fell short."""
    left_out = (run.result_of("build_dataset") or {}).get("left_out", ())
    return frozenset(c.class_id for c in run.config.classes) - {shortfall["class_id"] for shortfall in left_out}
