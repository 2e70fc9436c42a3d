"""records.jsonl: what became of each candidate of a class, over all runs."""

import json
import logging
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from imagenet_tasks.download.fetch import certificates, host_name
from imagenet_tasks.errors import RejectReason
from imagenet_tasks.images import is_read
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.store.walk import Found

log = logging.getLogger(__name__)
Record = dict[str, Any]
Under = Callable[[Record], Record]
# What a rejection depends on, by its reason, beside the version of the candidate's bytes: settings, and what
# `under_now` finds. Where one of them differs from what the record says it was then, the candidate is asked for again.
FINAL_UNDER: dict[str, tuple[str, ...]] = {
    RejectReason.GONE: ("connection",),  # to strangers, many servers say so of what they keep private
    RejectReason.HTTP_ERROR: ("connection",),
    RejectReason.TLS: ("certificates",),
    RejectReason.TOO_MANY_REDIRECTS: ("max_redirects", "connection"),
    RejectReason.BLOCKED_ADDRESS: ("allowed_private_hosts", "own_host"),
    RejectReason.ROBOTS_TAG: ("respect_robots_tag",),
    RejectReason.TOO_LARGE: ("max_bytes",),
    RejectReason.TOO_MANY_PIXELS: ("max_pixels",),
    RejectReason.TOO_SMALL: ("min_side_px",),
    RejectReason.BAD_ASPECT: ("max_aspect",),
    RejectReason.NOT_AN_IMAGE: ("is_read",),
    RejectReason.UNSUPPORTED_FORMAT: ("is_read",),
    RejectReason.PLACEHOLDER: ("is_on_web",),
}
KINDS = {"candidate": str, "state": str, "time_s": int | float}  # what each record has; an accepted one has a file, too


class Records:
    """The records of one class, by candidate.

    A record has `candidate`, `basis` (what an accepted picture depends on), `state` (accepted; rejected, which is final
    as long as what it depends on is as it was; open, to be asked again), `under` (what a rejected one depends on, with
    its values then), `reason`, `detail`, `file`, `bytes`, `width_px`, `height_px`, `time_s` (Unix time). Read and
    written under the class's lock.

    Args:
        store: where they lie.
        class_id: whose records.

    Attributes:
        damaged_lines: the numbers of lines that hold none, which are left out.
    """

    def __init__(self, store: Store, class_id: str) -> None:
        self._store = store
        self._key = f"images/{class_id}/records.jsonl"
        self._records: dict[str, Record] = {}
        self.damaged_lines: list[int] = []
        if store.exists(self._key):
            for number, line in enumerate(store.read_bytes(self._key).splitlines(), start=1):
                if record := _parsed(line):
                    self.put(record)
                else:
                    self.damaged_lines.append(number)
                    log.warning(
                        "%s, line %d: expected a record, found %.80r; it is left out, and its candidate asked again",
                        *(store.path(self._key), number, line),
                    )

    def is_final(self, candidate: str) -> bool:
        """Tells whether asking again could not change the record."""
        return candidate in self._records and self._records[candidate]["state"] != "open"

    def put(self, record: Record) -> None:
        """Adds or replaces a candidate's record."""
        self._records[record["candidate"]] = record

    def get(self, candidate: str) -> Record:
        """Returns the record of a candidate that has one."""
        return self._records[candidate]

    def of(self, candidates: Iterable[str]) -> list[Record]:
        """Returns the records of those candidates that have one, in their order."""
        return [self._records[candidate] for candidate in candidates if candidate in self._records]

    def beginning_with(self, prefix: str) -> list[Record]:
        """Returns the records of all candidates whose locator begins so."""
        return [record for candidate, record in self._records.items() if candidate.startswith(prefix)]

    def is_stale(self, candidate: str, basis: str) -> bool:
        """Tells whether the record was made from other bytes or by other limits than are in force now."""
        return candidate in self._records and self._records[candidate].get("basis") != basis

    def is_outdated(self, candidate: str, basis: str, under: Under) -> bool:
        """Tells whether the verdict could be another one now.

        Args:
            candidate: of whom.
            basis: what the verdict on a picture depends on now.
            under: returns what its rejection depends on now.
        """
        record = self._records.get(candidate)
        if record is None:
            return False
        if "under" in record:
            return bool(record["under"] != under(record))
        if self.is_stale(candidate, basis):
            return True
        # An earlier version said less. What it did not say is as it is now, but for what it could not have been.
        then = {"is_read": False, "is_on_web": True, "allowed_private_hosts": record.get("allowed")}
        return any(then.get(name, value) != value for name, value in under(record).items())

    def has_its_bytes(self, candidate: str, found: Found | None) -> bool:
        """Tells whether what is stored of an accepted candidate is as large as what was received."""
        if found is None or found.is_link:
            return found is not None
        return found.size_bytes == self._records[candidate].get("bytes", found.size_bytes)

    def is_older(self, candidate: str, time_s: float) -> bool:
        """Tells whether the record was made before that time (Unix time), or by a clock that was set back since."""
        return candidate in self._records and not time_s <= self._records[candidate]["time_s"] <= time.time()

    def drop(self, candidate: str) -> None:
        """Forgets a candidate, so that it is asked for again."""
        self._records.pop(candidate, None)

    def drop_files(self, files: Collection[str]) -> None:
        """Forgets the accepted candidates whose pictures are these files, so that they are asked for again."""
        for candidate, record in list(self._records.items()):
            if record["state"] == "accepted" and record["file"] in files:
                self.drop(candidate)

    def drop_lone_duplicates(self, candidates: Collection[str]) -> None:
        """Forgets the duplicates whose twin is no longer there, so that they are asked for again."""
        held = set(self.accepted_files(candidates))
        for candidate in candidates:
            twin = self._records.get(candidate, {}).get("duplicate_of")
            if twin and twin not in held:
                self.drop(candidate)

    def save(self) -> None:
        """Writes all records."""
        lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in self._records.values())
        self._store.write_bytes(self._key, lines.encode(errors="backslashreplace"))

    def accepted_files(self, candidates: Iterable[str], limit: int | None = None) -> list[str]:
        """Returns the files of the first `limit` accepted candidates, in the order of `candidates`."""
        return list(dict.fromkeys(r["file"] for r in self.of(candidates) if r["state"] == "accepted"))[:limit]


def under_now(record: Record, settings: DownloadConfig, *, version: str, on_web: bool) -> Record:
    """Returns what a record's rejection depends on, with its values now; empty where it is none.

    Args:
        record: with its state, reason and detail.
        settings: of the download.
        version: of the candidate's bytes.
        on_web: whether the candidate was put on the web by whoever.
    """
    if record.get("state") != "rejected":
        return {}
    found: Record = {"version": version}
    for name in FINAL_UNDER.get(record["reason"], ()):
        if name == "is_read":
            found[name] = is_read(record.get("detail") or "")
        elif name == "is_on_web":
            found[name] = on_web
        elif name == "own_host":  # who starts a run trusts that of its location
            found[name] = host_name(settings.location)
        elif name == "certificates":
            found[name] = certificates()
        else:
            value = getattr(settings, name)
            found[name] = list(value) if isinstance(value, tuple) else value
    return found


def _parsed(line: bytes) -> Record | None:
    """Returns a line's record; None where it is none."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not all(isinstance(value.get(name), kind) for name, kind in KINDS.items()):
        return None
    if "reason" not in value:
        return None
    return None if value["state"] == "accepted" and not isinstance(value.get("file"), str) else value
