"""The runs of a workflow side by side: what each came to, the course of test accuracy, the champions."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from imagenet_tasks.artifacts.champions import KEY, Champion, Former, champion_of, read_entries
from imagenet_tasks.pages.files import UNREADABLE, read_plain
from imagenet_tasks.pages.lines import Chart, Line, draw_lines
from imagenet_tasks.pages.records import read_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex

RUNS_PER_PAGE = 100


@dataclass(frozen=True, kw_only=True)
class KnownRun:
    """A run as Airflow knows it; times in Unix seconds, None where it has not come so far; `note` is its note there."""

    run_id: str
    state: str
    kind: str
    wanted_s: float | None
    started_s: float | None
    ended_s: float | None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run in the list: `index` is None where it has no report, `problem` says where that cannot be read."""

    known: KnownRun
    index: RunIndex | None
    profile: str
    classes: int | None
    problem: str = ""

    @property
    def run_id(self) -> str:
        """Its id in Airflow."""
        return self.known.run_id

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        if self.known.started_s is None or self.known.ended_s is None:
            return None
        return self.known.ended_s - self.known.started_s

    @property
    def tried(self) -> bool:
        """Whether a repair was tried."""
        return self.index is not None and self.index.branch == "augment"

    @property
    def accuracy(self) -> float | None:
        """On test, of what the run ended with: the repaired model where there is one; None of a run that did not."""
        if self.index is None or self.known.state != "success":
            return None
        return self.index.test_after if self.tried else self.index.test_before

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of `accuracy`."""
        if self.index is None:
            return None
        return self.index.test_after_interval if self.tried else self.index.test_before_interval


def list_runs(store: Store, dag_id: str, known: Sequence[KnownRun]) -> list[RunRow]:
    """Returns what the runs came to, in the order given."""
    with ThreadPoolExecutor(1 if store.is_local else 16) as pool:  # an object store answers many at once
        return list(pool.map(lambda one: _row(Run(store, dag_id, one.run_id), one), known))


def _row(run: Run, known: KnownRun) -> RunRow:
    problem = ""
    known = replace(known, note=run.store.without_root(known.note))
    try:
        content = read_plain(run.store, run.key(RunIndex.KEY))
        if content is not None:
            index = RunIndex.from_json(content, where=RunIndex.KEY)
            return RunRow(known=known, index=index, profile=index.profile, classes=index.classes)
    except UNREADABLE:
        problem = "its index is damaged, or of an earlier version"
    config = read_config(run)
    return RunRow(
        known=known, index=None, profile=config.profile if config else "",
        classes=len(config.classes) if config else None, problem=problem,
    )  # fmt: skip


def accuracy_chart(rows: Sequence[RunRow]) -> Chart | None:
    """Returns a chart of test accuracy over the runs, the oldest first; None where fewer than two have one.

    Scheduled runs, which share their settings, are joined where their pictures are split alike; others are marks.
    """
    measured = [row for row in reversed(rows) if row.accuracy is not None]
    if len(measured) < 2:
        return None
    places = {row.run_id: place for place, row in enumerate(measured, start=1)}
    lines = []
    for style, name, joined in (
        ("scheduled", "scheduled runs", True),
        ("manual", "triggered and backfilled runs", False),
    ):
        of_kind = [row for row in measured if (row.known.kind == "scheduled") is joined]
        for _, group in groupby(of_kind, key=lambda row: row.index.split_by if row.index and joined else None):
            mine = list(group)
            lines.append(
                Line(
                    name=name, style=style, joined=joined, dots=True,
                    places=[places[row.run_id] for row in mine], shares=[row.accuracy or 0.0 for row in mine],
                    bounds=[row.interval for row in mine], titles=[row.run_id for row in mine],
                )
            )  # fmt: skip
    ends = {1: measured[0], len(measured): measured[-1]}
    return draw_lines(lines, width=860, height=170, first=0.5, last=len(measured) + 0.5, labels=_days(ends))


def drift_chart(rows: Sequence[RunRow]) -> Chart | None:
    """Returns a chart of the champions on pictures that were new to them, the oldest run first; None without any.

    What one champion did is joined, and beside it stands what it did on its test pictures.
    """
    asked = [(row, row.index.drift) for row in reversed(rows) if row.index and row.index.drift]
    scored = [(row, drift) for row, drift in asked if drift.accuracy is not None]
    if not scored:
        return None
    places = {row.run_id: place for place, (row, _) in enumerate(scored, start=1)}
    lines = []
    for _, group in groupby(scored, key=lambda one: one[1].model):
        mine = list(group)
        at = [places[row.run_id] for row, _ in mine]
        titles = [f"{row.run_id}: {drift.verdict}" for row, drift in mine]
        lines += [
            Line(
                name="its test pictures, in the same mix of classes", style="manual", dots=True, places=at,
                shares=[drift.test_accuracy or 0.0 for _, drift in mine], titles=titles,
            ),
            Line(
                name="pictures that are new to it", style="scheduled", dots=True, places=at,
                shares=[drift.accuracy or 0.0 for _, drift in mine], bounds=[drift.interval for _, drift in mine],
                titles=titles,
            ),
        ]  # fmt: skip
    ends = {1: scored[0][0], len(scored): scored[-1][0]}
    return draw_lines(lines, width=860, height=170, first=0.5, last=len(scored) + 0.5, labels=_days(ends))


def _days(rows: Mapping[int, RunRow]) -> list[tuple[float, str]]:
    """Returns what stands below a chart's ends: the days of the runs there."""
    return [
        (place, f"{datetime.fromtimestamp(row.known.wanted_s, UTC):%Y-%m-%d}")
        for place, row in rows.items() if row.known.wanted_s is not None
    ]  # fmt: skip


def former_champions(champion: Champion) -> list[Former]:
    """Returns the champions before one, the last one first; what another workflow's runs made or said is left out."""
    own, after = [], champion.dag_id
    for former in reversed(champion.former):
        if former.dag_id == champion.dag_id:
            own.append(former if after == champion.dag_id else former.model_copy(update={"replaced_why": ""}))
        after = former.dag_id
    return own


def read_champions(store: Store, dag_id: str) -> tuple[list[Champion], str]:
    """Returns the champions that runs of this workflow made, the newest first, and what is wrong with their file."""
    try:
        if read_plain(store, KEY) is None:
            return [], ""
        entries = read_entries(store)
    except UNREADABLE:
        return [], "The champions cannot be read."
    found, damaged = [], 0
    for key in entries:
        try:
            champion = champion_of(store, entries, key)
        except UNREADABLE:
            damaged += 1
            continue
        if champion and champion.dag_id == dag_id:  # others are not for who may read this workflow alone
            found.append(champion)
    said = f"{damaged} champion{'s' if damaged > 1 else ''} cannot be read." if damaged else ""
    return sorted(found, key=lambda champion: -champion.promoted_s), said
