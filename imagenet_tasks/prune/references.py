"""What is in use: which runs are kept, and all that their records, the champions and these artifacts name.

A record names an artifact by its fingerprint. So each fingerprint in a kept record keeps what bears it, in whatever
field it stands: a field that comes later is no danger.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.champions import champion_of, read_entries
from imagenet_tasks.artifacts.kinds import KINDS
from imagenet_tasks.artifacts.references import Selection
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.prune.layout import LAYOUT, Piece
from imagenet_tasks.store.json_text import parse_json
from imagenet_tasks.store.storage import Store
from imagenet_tasks.store.threads import side_by_side
from imagenet_tasks.workflow.graph import parse_task_id
from imagenet_tasks.workflow.run_index import HOLDS, RunIndex, artifact_folders

# What goes where no kept record names it; the rest have rules of their own (`plan`).
NAMED = {k.plural for k in KINDS} - {
    k.plural for k in (kinds.RUN, kinds.CHECKPOINT, kinds.URL_LIST, kinds.PICTURE, kinds.DRAWN_PICTURE)
}
_MARK = re.compile(rb"\b[0-9a-f]{16}\b")
DAMAGED = "Nothing was removed: what this file refers to cannot be told. Restore it, or delete it and run again."


def marks_in(content: bytes) -> set[str]:
    """Returns all fingerprints in a record."""
    return {mark.decode() for mark in _MARK.findall(content)}


def marks_of_champions(store: Store) -> tuple[set[str], set[str]]:
    """Returns what champions and those that can be reverted to name, and the folders of the champions' runs.

    Raises:
        ArtifactError: where an entry is not as a run wrote it.
    """
    try:
        entries = read_entries(store)
        champions = [champion for key in entries if (champion := champion_of(store, entries, key))]
    except ArtifactError as error:
        raise ArtifactError(f"{error} Nothing was removed.") from error
    kept = [reign for champion in champions for reign in (champion, *champion.revertible)]
    named = [reign.model_dump(mode="json", exclude={"former"}) for reign in kept]
    return marks_in(json.dumps(named).encode()), {champion.run_folder for champion in champions}


def marks_of_runs(store: Store, runs: Iterable[Piece]) -> set[str]:
    """Returns what the tasks' records and the indexes of runs name.

    Raises:
        ArtifactError: where one is not as a run wrote it.
    """
    keys = [
        f"{run.key}/{name}" for run in runs for name in run.names
        if (name.startswith("tasks/") and name != "tasks/") or name == RunIndex.KEY  # an empty folder is a name too
    ]  # fmt: skip
    return set().union(*side_by_side(store, lambda key: _marks_of_record(store, key), keys))


def _marks_of_record(store: Store, key: str) -> set[str]:
    content = store.read_bytes(key)
    record = _parsed(store, key, content)
    task, _ = parse_task_id(str(record.get("task")))
    if not key.endswith(f"/{RunIndex.KEY}"):
        done = record.get("state") == "success" and task is not None and task.makes and not task.makes.key
        if not {"task", "state", "result"} <= set(record) or (done and not artifact_folders([record])):
            raise ArtifactError(f"{store.path(key)}: expected a task's record with its result, found none. {DAMAGED}")
    return marks_in(content)


def written_s(store: Store, run: Piece) -> tuple[float, bool]:
    """Returns when a run's report was written (Unix time), and whether the run trained anything.

    Raises:
        ArtifactError: where its index does not say.
    """
    key = f"{run.key}/{RunIndex.KEY}"
    index = _parsed(store, key, store.read_bytes(key))
    said = index.get("written_s")
    if not isinstance(said, int | float):
        raise ArtifactError(f"{store.path(key)}: expected when the report was written, found {said!r}. {DAMAGED}")
    return float(said), index.get("branch") != HOLDS


def _parsed(store: Store, key: str, content: bytes) -> dict[str, Any]:
    try:
        value = parse_json(content, where=store.path(key))
    except ArtifactError as error:
        raise ArtifactError(f"{error} {DAMAGED}") from error
    if not isinstance(value, dict):
        raise ArtifactError(f"{store.path(key)}: expected a record, found a {type(value).__name__}. {DAMAGED}")
    return value


def in_use(store: Store, pieces: Iterable[Piece], marks: set[str], stays: Callable[[Piece], bool]) -> set[str]:
    """Returns all marks that are in use: those given, and what the pieces of these marks name in turn.

    Args:
        store: where the pieces are.
        pieces: all of them.
        marks: of what is in use for sure.
        stays: tells a piece that stays even where nothing names it, so that what it names stays too.

    Raises:
        ArtifactError: where a piece in use is damaged.
    """
    by_mark = defaultdict(list)
    for piece in pieces:
        if piece.kind in NAMED:
            by_mark[piece.mark].append(piece)
    named, waiting = set(marks), [m for m in marks if m in by_mark]
    waiting += [mark for mark, found in by_mark.items() if mark not in marks and any(map(stays, found))]
    read = set(waiting)
    while waiting:
        for piece in by_mark[waiting.pop()]:
            more = _marks_of_piece(store, piece)
            named |= more
            waiting += [m for m in more if m in by_mark and m not in read]
            read |= more
    return named


def _marks_of_piece(store: Store, piece: Piece) -> set[str]:
    if not (piece.is_complete or piece.is_link):  # of a folder without its marker nobody reads anything
        return set()
    try:
        names = LAYOUT[piece.kind].names_others
        return set().union(*(marks_in(store.open_file(piece.key, name).read_bytes()) for name in names))
    except (ArtifactError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{error} Nothing was removed.") from error


def files_of_selection(store: Store, key: str) -> tuple[str, ...]:
    """Returns the pictures that a selection names.

    Raises:
        ArtifactError: where it is not as a run wrote it.
    """
    try:
        return Selection.from_json(store.read_bytes(key), where=str(store.path(key))).files
    except ArtifactError as error:
        raise ArtifactError(f"{error} {DAMAGED}") from error
