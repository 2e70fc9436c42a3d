"""The plan of a pruning: what goes and why, what stays. Making it changes nothing."""

import re
import time
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from imagenet_tasks.download.records import Records
from imagenet_tasks.errors import ArtifactError, ConfigError
from imagenet_tasks.prune.layout import LAYOUT, LEFTOVERS, Layout, Piece, is_reported, look_around
from imagenet_tasks.prune.references import (
    DAMAGED,
    NAMED,
    files_of_selection,
    in_use,
    marks_of_champions,
    marks_of_runs,
    written_s,
)
from imagenet_tasks.store.storage import QUARANTINED, Store
from imagenet_tasks.store.walk import Found

DAY_S = 86_400.0
KINDS = (*LAYOUT, LEFTOVERS)
UNUSED = "no kept run refers to it"
SECOND = "of an attempt that came second"


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is kept beyond what is in use.

    Args:
        keep_runs: of each workflow so many of the newest runs with a report; None for all.
        older_than_days: only runs older than that go, and then those without a report too; None for none of these.
        grace_days: what changed since then stays whatever refers to it: a run may be about to use it.
        pictures: whether pictures go too that no kept selection names.
    """

    keep_runs: int | None = None
    older_than_days: float | None = None
    grace_days: float = 2.0
    pictures: bool = False

    def __post_init__(self) -> None:
        if self.keep_runs is not None and self.keep_runs < 1:
            raise ConfigError(f"keep-runs: expected 1 or more, received {self.keep_runs}")
        for name in ("older_than_days", "grace_days"):
            days = getattr(self, name)
            if days is not None and not 0 <= days < 36_500:
                raise ConfigError(f"{name.replace('_', '-')}: expected 0 or more days, received {days}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What goes, and why; what is not in use and stays since it is `young`; what is `strange` or `unknown` and let be.

    Times are Unix times: when it was made, and before when what goes was last changed.
    """

    rules: Rules
    made_s: float
    before_s: float
    going: list[tuple[Piece, str]] = field(default_factory=list)
    young: list[Piece] = field(default_factory=list)
    staying: list[Piece] = field(default_factory=list)
    unknown: list[Found] = field(default_factory=list)
    strange: list[Piece] = field(default_factory=list)

    @property
    def gone(self) -> set[str]:
        """The keys of what goes."""
        return {piece.key for piece, _ in self.going}


def make_plan(store: Store, rules: Rules) -> Plan:
    """Returns what would go by these rules.

    Raises:
        ConfigError: where there is no such home.
        ArtifactError: where a record cannot be read, so that it cannot be told what is in use.
    """
    if store.is_local and not store.root.is_dir():
        raise ConfigError(f"home: expected the folder of the artifacts, found none at {store.root}")
    made_s = time.time()
    layout = look_around(store)
    plan = Plan(rules=rules, made_s=made_s, before_s=made_s - rules.grace_days * DAY_S, unknown=layout.unknown)
    marks, runs_of_champions = marks_of_champions(store)
    runs = layout.pieces["runs"]
    leaving = _leaving(store, [run for run in runs if run.key not in runs_of_champions], plan)
    kept = [r for r in runs if r.key not in leaving or r.is_strange or r.changed_s >= plan.before_s]
    marks |= marks_of_runs(store, kept)
    pieces = [piece for kind in KINDS for piece in layout.pieces[kind]]
    used = in_use(store, pieces, marks, lambda p: p.is_strange or p.changed_s >= plan.before_s)
    whys = _unused(pieces, used) | leaving
    for piece in pieces:
        if piece.is_strange:
            plan.strange.append(piece)
        elif piece.key not in whys:
            plan.going.extend((inner, SECOND) for inner in _take_second(store, piece, plan.before_s))
            plan.staying.append(piece)
        elif piece.changed_s >= plan.before_s:
            plan.young.append(piece)
        else:
            plan.going.append((piece, whys[piece.key]))
    _add_pictures(store, plan, layout)
    if plan.going and not runs:
        raise ArtifactError(
            f"{store.path('runs')}: expected at least one run, found none, so that nothing seems to be in use. Nothing "
            "was removed. Is this the right home, and all of it there? If so, delete the folders yourself."
        )
    return plan


def _leaving(store: Store, runs: list[Piece], plan: Plan) -> dict[str, str]:
    """Returns the keys of the runs that the rules let go, and why."""
    keep, days = plan.rules.keep_runs, plan.rules.older_than_days
    if keep is None and days is None:
        return {}
    written = {run.key: written_s(store, run) for run in filter(is_reported, runs)}
    times_s = {run.key: run.changed_s for run in runs} | {key: time_s for key, (time_s, _) in written.items()}
    newest = defaultdict(list)  # of each workflow those with a report; what trained nothing takes no other's place
    for run_key, (_, trained) in sorted(written.items(), key=lambda one: one[1][0], reverse=True):
        newest[run_key.split("/")[1], trained].append(run_key)
    too_many = {key for keys in newest.values() for key in keys[keep or 0 :]}
    old = [run for run in runs if days is None or times_s[run.key] < plan.made_s - days * DAY_S]
    why = [] if keep is None else [f"not of the newest {keep}"]
    why += [] if days is None else [f"older than {days:g} days"]
    leaving = {run.key: ", ".join(why) for run in old if run.key in too_many}
    if days is not None:
        leaving |= {run.key: f"older than {days:g} days, without a report" for run in old if not is_reported(run)}
    return leaving


def _unused(pieces: list[Piece], used: set[str]) -> dict[str, str]:
    """Returns the keys of what is not in use, and why; runs apart."""
    models = {p.mark for p in pieces if p.kind == "models" and p.is_complete}
    lists = sorted((p for p in pieces if p.kind == "lists" and p.is_complete), key=lambda piece: piece.changed_s)
    newest = {piece.mark.partition("-")[0]: piece.changed_s for piece in lists}
    return {piece.key: why for piece in pieces if (why := _why_unused(piece, used, models, newest))}


def _why_unused(piece: Piece, used: set[str], models: set[str], newest: dict[str, float]) -> str:
    why = ""
    if piece.kind == LEFTOVERS:
        why = "left by stopped work"
    elif QUARANTINED in piece.names:
        why = "set aside as damaged"
    elif piece.kind not in ("runs", "selections") and not piece.is_complete:
        why = "never finished"
    elif piece.kind == "lists" and piece.changed_s < newest[piece.mark.partition("-")[0]]:
        why = "its list has a newer index"
    elif piece.kind == "checkpoints":
        why = "its model is finished" if piece.mark in models else "" if piece.mark in used else "no kept run trains it"
    elif piece.kind in NAMED and piece.mark not in used:
        why = UNUSED
    return why


def _take_second(store: Store, piece: Piece, before_s: float) -> Iterator[Piece]:
    """Yields a published folder's attempts that its marker does not name, and counts them out of it."""
    if len(piece.inner) < 2:
        return
    named = str(store.read_marker(piece.key).get("inner", "")).rstrip("/")
    for name, inner in piece.inner.items():
        if name != named and inner.changed_s < before_s:
            piece.files -= inner.files
            piece.size_bytes -= inner.size_bytes
            yield inner


def _add_pictures(store: Store, plan: Plan, layout: Layout) -> None:
    pictures, gone = layout.pictures, plan.gone
    for class_id in sorted(layout.classes) if plan.rules.pictures else ():
        if found := unused_pictures(store, class_id, plan.before_s, gone):
            read_records(store, class_id)
            unused = Piece("pictures", f"images/{class_id}", len(found), sum(f.size_bytes for f in found))
            plan.going.append((unused, "no kept selection names them"))
            pictures.files -= unused.files
            pictures.size_bytes -= unused.size_bytes
    plan.staying.append(pictures)


def unused_pictures(store: Store, class_id: str, before_s: float, gone: Collection[str] = ()) -> list[Found]:
    """Returns the pictures of a class that no selection names, and that are not young.

    Args:
        store: where they are.
        class_id: whose pictures.
        before_s: when they were last changed at the latest (Unix time).
        gone: the keys of selections that do not count.

    Raises:
        ArtifactError: where a selection cannot be read.
    """
    found = list(store.walk(f"images/{class_id}"))
    kinds = {kind: re.compile(LAYOUT[kind].pattern) for kind in ("selections", "pictures")}
    kept = [f.key for f in found if kinds["selections"].fullmatch(f.key) and f.key not in gone]
    named = {f"images/{class_id}/{file}" for key in kept for file in files_of_selection(store, key)}
    return [
        f for f in found
        if kinds["pictures"].fullmatch(f.key) and not f.is_link and f.changed_s < before_s and f.key not in named
    ]  # fmt: skip


def read_records(store: Store, class_id: str) -> Records:
    """Returns the records of a class's candidates.

    Raises:
        ArtifactError: where they cannot be read.
    """
    records = Records(store, class_id)
    if records.damaged_lines:
        where = store.path(f"images/{class_id}/records.jsonl")
        raise ArtifactError(
            f"{where}: expected a record per line, found something else in line {records.damaged_lines[0]}. {DAMAGED}"
        )
    return records
