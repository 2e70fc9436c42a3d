"""records.jsonl: what became of each candidate of a class, over all runs."""

import json
import logging
from collections.abc import Collection, Iterable
from typing import Any

from imagenet_tasks.errors import RejectReason
from imagenet_tasks.images import is_read
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.store.walk import Found

log = logging.getLogger(__name__)
Record = dict[str, Any]
KINDS = {"candidate": str, "state": str, "time_s": int | float}  # what each record has; an accepted one has a file, too


class Records:
    """The records of one class, by candidate.

    A record has `candidate`, `basis` (what else its verdict depends on), `state` (accepted; rejected, which is final;
    open, to be asked again), `reason`, `detail`, `file`, `bytes`, `width_px`, `height_px`, `time_s` (Unix time). Read
    and written under the class's lock.

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

    def was_blocked(self, candidate: str, settings: DownloadConfig) -> bool:
        """Tells whether its address was refused while other private hosts were allowed than now."""
        record = self._records.get(candidate, {})
        blocked = record.get("reason") == RejectReason.BLOCKED_ADDRESS.value
        return blocked and record.get("allowed") != list(settings.allowed_private_hosts)

    def was_refused_by_an_older_rule(self, candidate: str, *, on_web: bool) -> bool:
        """Tells whether it was refused for its format, which is read now, or as one of a user's own alike files."""
        record = self._records.get(candidate, {})
        if record.get("reason") in (RejectReason.UNSUPPORTED_FORMAT.value, RejectReason.NOT_AN_IMAGE.value):
            return is_read(record.get("detail") or "")
        return record.get("reason") == RejectReason.PLACEHOLDER.value and "file" in record and not on_web

    def has_its_bytes(self, candidate: str, found: Found | None) -> bool:
        """Tells whether what is stored of an accepted candidate is as large as what was received."""
        if found is None or found.is_link:
            return found is not None
        return found.size_bytes == self._records[candidate].get("bytes", found.size_bytes)

    def is_older(self, candidate: str, time_s: float) -> bool:
        """Tells whether the record was made before that time (Unix time)."""
        return candidate in self._records and self._records[candidate]["time_s"] < time_s

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
