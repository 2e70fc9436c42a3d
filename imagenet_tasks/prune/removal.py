"""Carries a plan out: what refers to others goes first, so that who is stopped half-way leaves what fits together."""

import contextlib
import re
from collections import defaultdict
from dataclasses import dataclass, field

from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.prune.layout import Piece
from imagenet_tasks.prune.plan import KINDS, Plan, read_records, unused_pictures
from imagenet_tasks.prune.references import marks_in
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run_index import RunIndex

RECORD = re.compile(r"runs/[^/]+/[^/]+/(tasks/[^/.][^/]*|run)\.json")
LOCK_TIMEOUT_S = 10.0
AFRESH = ("evaluations", "selections")  # before these it is asked what runs name: after the runs, before the pictures
CLOCKS_S = 60.0  # by so much other machines' clocks may be behind


@dataclass
class Removed:
    """What went, and the keys of what stayed against the plan since it came into use meanwhile."""

    count: int = 0
    files: int = 0
    size_bytes: int = 0
    busy: list[str] = field(default_factory=list)

    def add(self, count: int, files: int, size_bytes: int) -> None:
        """Counts what went."""
        self.count += count
        self.files += files
        self.size_bytes += size_bytes


def carry_out(store: Store, plan: Plan) -> Removed:
    """Removes what the plan says, but what changed or came into use since it was made.

    Raises:
        ArtifactError: where a run that was to go has begun again: what it refers to is not in use by the plan; where
            pictures of an object store were to go and a task is at work.
    """
    removed = Removed()
    if record := _at_work(store, plan):
        raise ArtifactError(
            f"{store.path(record)}: expected no task at work while pictures of an object store go, since a class's "
            'lock holds on one machine only; found one that is "running". Nothing was removed. Prune again when no run '
            f"is at work, or without --pictures. A task that was killed counts for {plan.rules.grace_days:g} days."
        )
    for run in (piece for piece, _ in plan.going if piece.kind == "runs"):
        if _has_changed(store, run, plan):
            raise ArtifactError(f"{store.path(run.key)}: this run has begun again. Nothing was removed. Prune again.")
    used: set[str] = set()
    for kind in KINDS:
        if kind in AFRESH:
            used = _used_since(store, plan)
        is_held = kind == "pictures" and bool(_at_work(store, plan))  # again: one may have begun meanwhile
        for piece in [piece for piece, _ in plan.going if piece.kind == kind]:
            if kind == "pictures" and not is_held:
                _remove_pictures(store, piece, plan, removed)
            elif is_held or piece.mark in used or not _remove(store, piece, plan):
                removed.busy.append(piece.key)
            else:
                removed.add(1, piece.files, piece.size_bytes)
    return removed


def _at_work(store: Store, plan: Plan) -> str:
    """Returns the record of a task that may be downloading pictures that were to go, where no lock tells; else ''."""
    if store.is_local or not any(piece.kind == "pictures" for piece, _ in plan.going):
        return ""
    for key in [f.key for f in store.walk("runs") if f.changed_s >= plan.before_s and RECORD.fullmatch(f.key)]:
        try:
            if store.read_json(key).get("state") == "running":
                return key
        except ArtifactError:  # forgotten meanwhile by a run that begins again
            return key
    return ""


def _used_since(store: Store, plan: Plan) -> set[str]:
    """Returns all that runs name that changed since the plan was made, such as one that was to go and began again."""
    records: dict[str, list[str]] = defaultdict(list)
    changed = set()
    for found in store.walk("runs"):
        run = "/".join(found.key.split("/")[:3])
        if RECORD.fullmatch(found.key):
            records[run].append(found.key)
        if found.changed_s >= plan.made_s - CLOCKS_S:
            changed.add(run)
    used: set[str] = set()
    for key in (key for run in changed for key in records[run]):
        with contextlib.suppress(ArtifactError):  # forgotten meanwhile by a run that begins again
            used |= marks_in(store.read_bytes(key))
    return used


def _has_changed(store: Store, piece: Piece, plan: Plan) -> bool:
    return any(found.changed_s >= plan.before_s for found in store.walk(piece.key))


def _remove(store: Store, piece: Piece, plan: Plan) -> bool:
    """Removes a piece; returns whether it did."""
    if piece.kind == "selections":
        try:
            with store.lock(piece.key.rpartition("/")[0], timeout_s=LOCK_TIMEOUT_S):
                if _has_changed(store, piece, plan):
                    return False
                store.path(piece.key).unlink(missing_ok=True)
        except TimeoutError:  # that class is being downloaded
            return False
        return True
    if _has_changed(store, piece, plan):
        return False
    if store.path(piece.key).is_file():
        store.path(piece.key).unlink(missing_ok=True)
    else:
        store.remove(piece.key, last=RunIndex.KEY)  # a run without its index would count as one that goes on
    return True


def _remove_pictures(store: Store, piece: Piece, plan: Plan, removed: Removed) -> None:
    """Removes a class's unused pictures, their records first, so that none is believed to be there."""
    class_id = piece.key.rpartition("/")[2]
    try:
        with store.lock(piece.key, timeout_s=LOCK_TIMEOUT_S):
            pictures = unused_pictures(store, class_id, plan.before_s)  # again: a selection may have come or stayed
            records = read_records(store, class_id)
            records.drop_files({found.key.rpartition("/")[2] for found in pictures})
            records.save()
            for found in pictures:
                with contextlib.suppress(FileNotFoundError):
                    store.path(found.key).unlink()
                removed.add(1, 1, found.size_bytes)
    except TimeoutError:
        removed.busy.append(piece.key)
