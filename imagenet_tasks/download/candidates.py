"""What a source offers of one class, as the download takes it: candidates that are listed or that come as they are."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from imagenet_tasks.artifacts.references import GivenSide
from imagenet_tasks.download.archives import ArchiveSource, Member
from imagenet_tasks.download.files import FileSource
from imagenet_tasks.download.records import Records
from imagenet_tasks.download.sources import Source
from imagenet_tasks.errors import Rejected
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import fingerprint


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What may become a picture. `get` brings its bytes; `known` goes into its record."""

    locator: str
    get: Callable[[], bytes]
    known: Mapping[str, Any] = field(default_factory=dict)


class FromList:
    """The candidates of a source that lists them. `bases` says by locator, in order, what a verdict depends on."""

    def __init__(self, source: Source, class_id: str, settings: DownloadConfig, records: Records) -> None:
        self._source, self._records = source, records
        self._versions = source.candidates(class_id)
        self.bases = {locator: _basis(version, settings) for locator, version in self._versions.items()}
        self.host = source.host
        self.given_side = source.given_side if isinstance(source, FileSource) else _no_side

    def version(self, locator: str) -> str:
        """Returns what changes when a candidate's bytes do."""
        return fingerprint(version=self._versions[locator])  # it may hold the location

    def is_on_web(self, locator: str) -> bool:
        """Tells whether a candidate was put on the web by whoever, and is no file of the user's own."""
        return bool(self.host(locator))

    def open_ones(self) -> Generator[Candidate]:
        """Yields the candidates without a final state."""
        for locator in [locator for locator in self.bases if not self._records.is_final(locator)]:
            yield Candidate(locator=locator, get=partial(self._source.fetch, locator))

    def look_again(self) -> bool:
        """Lets hosts that were given up be asked again; tells whether asking again makes sense."""
        self._source.look_again()
        return any(not self._records.is_final(locator) for locator in self.bases)


class FromArchive:
    """The candidates of an archive that is read as it comes: only those that were read are known."""

    def __init__(self, source: ArchiveSource, class_id: str, settings: DownloadConfig, records: Records) -> None:
        self._source, self._class_id, self._settings, self._records = source, class_id, settings, records
        seen = sorted(records.beginning_with(f"{source.locator(class_id)}#"), key=lambda record: record["time_s"])
        self._version = seen[-1]["version"] if seen else ""
        seen = sorted((r for r in seen if r["version"] == self._version), key=lambda record: record["start"])
        self.bases = {record["candidate"]: _basis(self._version, settings) for record in seen}
        self.given_side = _no_side

    def version(self, locator: str) -> str:
        """Returns what changes when a candidate's bytes do: the archive's version."""
        return self._version

    def open_ones(self) -> Generator[Candidate]:
        """Yields the members behind those that have a record."""
        start = 0
        for record in self._records.of(self.bases):
            if record["start"] != start or record["state"] == "open":
                break
            start = record["end"]
        for member in self._source.stream(self._class_id, start, self._version):
            if member.version != self._version:  # what is known is of another archive
                self.bases, self._version = {}, member.version
            self.bases[member.locator] = basis = _basis(member.version, self._settings)
            if self._records.is_stale(member.locator, basis):
                self._records.drop(member.locator)
            known = {"version": member.version, "start": member.start, "end": member.end}
            yield Candidate(locator=member.locator, get=partial(_data_of, member), known=known)

    def look_again(self) -> bool:
        """Tells that the archive was read to its end."""
        return False

    def host(self, locator: str) -> str:
        """Returns '': all of them come from one server."""
        return ""

    def is_on_web(self, locator: str) -> bool:
        """Tells that each was once collected from the web."""
        return True


def _basis(version: str, settings: DownloadConfig) -> str:
    """Returns what stands for all that a verdict on a picture depends on."""
    limits = [settings.max_bytes, settings.max_pixels, settings.min_side_px, settings.max_aspect]
    return fingerprint(version=version, limits=limits)


def _no_side(locator: str) -> GivenSide | None:
    return None


def _data_of(member: Member) -> bytes:
    if isinstance(member.data, Rejected):
        raise member.data
    return member.data


Offer = FromList | FromArchive
