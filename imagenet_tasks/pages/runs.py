"""The runs of a workflow side by side: what each came to, the course of test accuracy, the champions."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from imagenet_tasks.artifacts.champions import KEY, Champion, Former, champion_of, read_entries
from imagenet_tasks.pages.lines import Chart, Line, draw_lines
from imagenet_tasks.pages.records import read_config
from imagenet_tasks.pages.wording import setting
from imagenet_tasks.settings.profiles import shared_settings
from imagenet_tasks.store.plain_files import UNREADABLE, read_plain
from imagenet_tasks.store.storage import Store
from imagenet_tasks.store.threads import side_by_side
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex, read_index

RUNS_PER_PAGE = 100
MOST_SEARCHED = 1000  # the newest runs, of which each has a file that is read to sort or to choose some
MOST_SETTINGS = 6  # that are listed with each run


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
    source: str
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
    def verdict(self) -> str:
        """The verdict of a run that succeeded, the state of any other."""
        if self.index is None or self.known.state != "success":
            return self.known.state
        if self.index.unchanged_since:
            return "nothing new"
        return "not tried" if self.index.branch == "report" else self.index.verdict

    @property
    def tried(self) -> bool:
        """Whether a repair was tried."""
        return self.index is not None and self.index.tried

    @property
    def accuracy(self) -> float | None:
        """On test, of what the run ended with: the repaired model where there is one; None of a run that did not."""
        return self.index.accuracy if self.index and self.known.state == "success" else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Of `accuracy`."""
        return self.index.accuracy_interval if self.index else None


SORTS: dict[str, Callable[[RunRow], Any]] = {
    "date": lambda row: row.known.wanted_s,
    "verdict": lambda row: row.verdict,
    "before": lambda row: row.index and row.index.test_before,
    "after": lambda row: row.index and row.index.test_after,
    "profile": lambda row: row.profile or None,
    "classes": lambda row: row.classes,
    "took": lambda row: row.seconds,
}
NEWEST = "-date"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which runs are listed, '' for all, and by which of `SORTS`, the highest first behind a minus."""

    source: str = ""
    classes: str = ""
    verdict: str = ""
    sort: str = NEWEST

    @property
    def is_usual(self) -> bool:
        """Whether all are listed, the newest first."""
        return self == Wanted()

    def address(self, **changes: Any) -> str:
        """Returns the query that asks for these runs, with what changes, such as the page."""
        usual = vars(Wanted()) | {"page": 1}
        asked = {name: value for name, value in (vars(self) | changes).items() if value != usual[name]}
        return "?" + urlencode(asked)

    def by(self, name: str) -> str:
        """Returns the query that sorts by a column; the highest first, or the lowest where it does so already."""
        return self.address(sort=name if self.sort == f"-{name}" else f"-{name}")

    def direction(self, name: str) -> str:
        """Returns how a column is sorted now, in the words of `aria-sort`; '' where it is not."""
        return {name: "ascending", f"-{name}": "descending"}.get(self.sort, "")

    def choose(self, rows: Sequence[RunRow]) -> list[RunRow]:
        """Returns the wanted ones in the wanted order; those that lack what they are sorted by come last."""
        kept = [
            row for row in rows
            if self.source in ("", row.source)
            and self.classes in ("", str(row.classes))
            and self.verdict in ("", row.verdict)
        ]  # fmt: skip
        if self.sort == NEWEST:
            return kept
        key = SORTS[self.sort.removeprefix("-")]
        known = [row for row in kept if key(row) is not None]
        ordered = sorted(known, key=key, reverse=self.sort.startswith("-"))
        return ordered + [row for row in kept if key(row) is None]


def alike(rows: Sequence[RunRow]) -> list[RunRow]:
    """Returns rows that have an index, those first that answer the question of the first one."""
    questions = {row.run_id: row.index.question for row in rows if row.index}
    return sorted(rows, key=lambda row: questions[row.run_id] != questions[rows[0].run_id])


def choices(rows: Sequence[RunRow], wanted: Wanted) -> dict[str, list[str]]:
    """Returns by what runs can be chosen: each with the values that some have; none where all have the same."""
    found = {
        "source": {row.source for row in rows if row.source} | {wanted.source},
        "classes": {str(row.classes) for row in rows if row.classes is not None} | {wanted.classes},
        "verdict": {row.verdict for row in rows} | {wanted.verdict},
    }
    listed = {
        name: sorted(values - {""}, key=lambda v: (len(v) if v.isdigit() else 0, v)) for name, values in found.items()
    }
    return {name: values for name, values in listed.items() if len(values) > 1 or getattr(wanted, name)}


def differing_settings(
    store: Store, dag_id: str, rows: Sequence[RunRow]
) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Returns the settings that differ between runs: the values of the first few by run, and the names of the others.

    What differs between runs of one profile comes before what their profiles explain.
    """
    read = side_by_side(store, lambda row: read_config(Run(store, dag_id, row.run_id)), rows)
    configs = list(zip(rows, read, strict=True))
    settings = {row.run_id: json.loads(shared_settings(config)) for row, config in configs if config}
    names = dict.fromkeys(name for held in settings.values() for name in held)
    values = {name: {run_id: setting(held.get(name)) for run_id, held in settings.items()} for name in names}
    profiles = {run_id: held["profile"] for run_id, held in settings.items()}

    def explained(name: str) -> bool:
        pairs = {(profiles[run_id], value) for run_id, value in values[name].items()}
        return len(pairs) == len(set(profiles.values()))

    shown_anyway = ("profile", "classes", "source")
    differing = [name for name in names if len(set(values[name].values())) > 1 and name not in shown_anyway]
    differing.sort(key=explained)
    return {name: values[name] for name in differing[:MOST_SETTINGS]}, differing[MOST_SETTINGS:]


def list_runs(store: Store, dag_id: str, known: Sequence[KnownRun]) -> list[RunRow]:
    """Returns what the runs came to, in the order given."""
    return side_by_side(store, lambda one: _row(Run(store, dag_id, one.run_id), one), known)


def _row(run: Run, known: KnownRun) -> RunRow:
    problem = ""
    known = replace(known, note=run.store.without_root(known.note))
    try:
        if index := read_index(run):
            return RunRow(
                known=known, index=index, profile=index.profile, source=index.source, classes=index.classes
            )  # fmt: skip
    except UNREADABLE:
        problem = "its index is damaged, or of an earlier version"
    config = read_config(run)
    return RunRow(
        known=known, index=None, profile=config.profile if config else "",
        source=config.download.source if config else "",
        classes=len(config.classes) if config else None, problem=problem,
    )  # fmt: skip


def accuracy_chart(rows: Sequence[RunRow]) -> Chart | None:
    """Returns a chart of test accuracy over the runs, drawn the oldest first; None where fewer than two have one.

    Runs with nothing new are left out.

    Scheduled runs, which share their settings, are joined where their pictures are split alike; others are marks.
    """
    measured = [
        row for row in reversed(rows) if row.accuracy is not None and not (row.index and row.index.unchanged_since)
    ]
    measured.sort(key=lambda row: row.known.wanted_s or 0.0)
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
                    places=[places[row.run_id] for row in mine], values=[row.accuracy or 0.0 for row in mine],
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
                values=[drift.test_accuracy or 0.0 for _, drift in mine], titles=titles,
            ),
            Line(
                name="pictures that are new to it", style="scheduled", dots=True, places=at,
                values=[drift.accuracy or 0.0 for _, drift in mine], bounds=[drift.interval for _, drift in mine],
                titles=titles,
            ),
        ]  # fmt: skip
    ends = {1: scored[0][0], len(scored): scored[-1][0]}
    return draw_lines(lines, width=860, height=170, first=0.5, last=len(scored) + 0.5, labels=_days(ends))


def _days(rows: Mapping[int, RunRow]) -> list[tuple[float, str]]:
    """Returns what stands below a chart's ends: the days of the runs there, with the time where it is one day."""
    known = {p: datetime.fromtimestamp(s, UTC) for p, row in rows.items() if (s := row.known.wanted_s) is not None}
    written = "%Y-%m-%d" if len({moment.date() for moment in known.values()}) == len(known) else "%Y-%m-%d %H:%M"
    return [(place, f"{moment:{written}}") for place, moment in known.items()]


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
