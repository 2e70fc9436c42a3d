"""The stage `download_class`: as many pictures of one class as are wanted, each judged before it counts."""

import hashlib
import logging
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Literal

from imagenet_tasks import images
from imagenet_tasks.artifacts.references import GivenSide, Selection, SelectionRef, most_held_out
from imagenet_tasks.download.archives import ArchiveSource
from imagenet_tasks.download.candidates import Candidate, FromArchive, FromList, Offer
from imagenet_tasks.download.records import Record, Records, under_now
from imagenet_tasks.download.sources import open_source
from imagenet_tasks.download.url_list import host_kind
from imagenet_tasks.errors import Rejected, RejectReason, SourceUnavailable, without_secrets
from imagenet_tasks.settings.classes import ImageClass, shown
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.settings.credentials import Credentials
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.progress import Progress

log = logging.getLogger(__name__)
SAVE_EVERY_S = 2.0
EXAMPLE_CHARACTERS = 400
Accept = Literal["none", "late", "any"]
HOSTS = {"flickr": "Flickr", "other": "other hosts"}
PASSES = 2  # over the candidates that failed for reasons that may pass, while pictures lack
# Of a record:
VERDICT = ("state", "reason", "detail", "under", "file", "bytes", "width_px", "height_px", "duplicate_of")
# The pictures that say "no longer available" of hosts that ImageNet's URL lists lead to, by MD5, as the makers of
# public downloaders found them: Flickr's (2,051 bytes), a warning sign, a forbidden sign, a domain seller's.
PLACEHOLDERS_MD5 = {
    "880a7a58e05d3e83797f27573bb6d35c",
    "596246739a83bb45e30e13437e0810d9",
    "969e595182a947c7fdaaef4a34401760",
    "af5db09e39ca35d8930b4e59962e09e5",
}
PLACEHOLDER_BYTES = 32_768  # they are small: no larger body is hashed for their sake
PLACEHOLDER_SIGHTINGS = 3  # the same bytes from so many candidates of a class on the web are no photo of it


def download_class(
    store: Store,
    settings: DownloadConfig,
    image_class: ImageClass,
    *,
    progress: Progress,
    force_before_s: float = 0.0,
    credentials: Credentials | None = None,
    accept: Accept = "none",
    beyond: int = 0,
) -> tuple[SelectionRef, bool]:
    """Gets the pictures of one class and writes which of them the run uses.

    Args:
        store: where pictures and records go.
        settings: the source and its bounds.
        image_class: the class.
        progress: counts accepted pictures.
        force_before_s: ask again also for candidates that were rejected for good before then (Unix time).
        credentials: what the source's server asks for.
        accept: which shortfalls to hand on although a later attempt could bring more: none; those of a few late
            candidates; any.
        beyond: only candidates behind those of the first so many pictures are asked for, so that a download of so many
            gives the same ones afterwards.

    Returns:
        The selection, and whether it was there already (nothing had to be asked for).

    Raises:
        SourceUnavailable: where pictures lack for reasons that may pass, or the list of candidates cannot be had.
    """
    class_id = image_class.class_id
    with store.lock(f"images/{class_id}"), open_source(settings, store, credentials) as source:
        records = Records(store, class_id)
        known = class_id, settings, records
        offer = FromArchive(source, *known) if isinstance(source, ArchiveSource) else FromList(source, *known)
        # Pictures are not synced one by one: after a power loss one may be there without its bytes.
        present = {found.key.rpartition("/")[2]: found for found in store.walk(f"images/{class_id}")}
        for candidate, basis in offer.bases.items():
            file = records.accepted_files([candidate], 1)
            is_lost = bool(file) and not records.has_its_bytes(candidate, present.get(file[0]))
            forced = not file and force_before_s and records.is_older(candidate, force_before_s)
            outdated = records.is_outdated(candidate, basis, partial(_under, offer, settings))
            if outdated or is_lost or forced:
                records.drop(candidate)
        records.drop_lone_duplicates(offer.bases)
        download = _Download(store, settings, image_class, offer, records, progress, beyond)
        asked = download.run(accept)
        if progress.done < progress.total:  # the class falls short; else the last picture told it
            progress.tell()
        return download.select(), not asked


@dataclass(eq=False)
class _Download:
    """One class's download: a pool of threads asks, this thread keeps the books."""

    store: Store
    settings: DownloadConfig
    image_class: ImageClass
    offer: Offer
    records: Records
    progress: Progress
    beyond: int = 0

    def __post_init__(self) -> None:
        self._wanted = self.settings.images_per_class
        self._saved_s = time.monotonic()
        self._cores = threading.BoundedSemaphore(os.cpu_count() or 1)  # judging more at once gains nothing
        self._recall()

    def _recall(self) -> None:
        """Takes in what is known of the offered candidates."""
        self._bases = self.offer.bases
        records = self.records.of(self._bases)
        self._sightings: defaultdict[str, list[str]] = defaultdict(list)  # the candidates that brought a file's bytes
        for record in records:
            if file := record.get("file") or record.get("duplicate_of"):
                self._sightings[file].append(record["candidate"])
        self._place = {locator: place for place, locator in enumerate(self._bases)}
        # The place of the first candidate that may be asked for.
        self._first = self._behind(self.records.accepted_files(self._bases, self.beyond)) if self.beyond else 0
        self._have = len(self.records.accepted_files(self._bases))
        looked_at = set(self._looked_at(self.records.accepted_files(self._bases, self._wanted)))
        known = [record for record in records if record["candidate"] in looked_at]
        self._open = {record["candidate"] for record in known if record["state"] == "open"}
        self._final = {record["candidate"] for record in known} - self._open
        self.progress.resume(min(self._have, self._wanted) - self.progress.done, **self._figures())

    def _figures(self) -> dict[str, int]:
        """Returns how many candidates gave no picture, and how many of these may still come."""
        rejected = len(self._final) + len(self._open) - min(self._have, self._wanted)
        return {"rejected": rejected} | ({"open": len(self._open)} if self._open else {})

    def _looked_at(self, files: Sequence[str]) -> list[str]:
        """Returns the candidates up to the last picture in use: of those behind it, another run may have records."""
        return list(self.offer.bases)[: self._behind(files) if len(files) == self._wanted else None]

    def _behind(self, files: Sequence[str]) -> int:
        """Returns the place behind the candidate that gave the last of these pictures; 0 where there is none."""
        if not files:
            return 0
        last = next(i for i, c in enumerate(self.offer.bases) if self.records.accepted_files([c]) == [files[-1]])
        return last + 1

    def _open_ones(self) -> Generator[Candidate]:
        with closing(self.offer.open_ones()) as candidates:
            for candidate in candidates:
                if self._place.get(candidate.locator, self._first) >= self._first:
                    yield candidate

    def _known(self) -> list[Record]:
        """Returns the records of the candidates that may be asked for."""
        return self.records.of(list(self.offer.bases)[self._first :])

    def run(self, accept: Accept) -> bool:
        """Asks for candidates in order until enough are accepted; returns whether any was asked for.

        Raises:
            SourceUnavailable: where pictures lack, and most of the class's candidates failed for reasons that may pass
                or one of a host that gave pictures did, unless such a shortfall is accepted.
        """
        asked_ever = 0
        for number in range(PASSES):
            if self._have >= self._wanted or (number and not self.offer.look_again()):
                break
            asked_ever += self._run_once()
            known = self._known()
            passing = sum(record["state"] == "open" for record in known)
            if self._have < self._wanted and passing > len(known) / 2:
                self._lacking(f"{passing} of {len(known)} candidates failed for reasons that may pass", accept == "any")
                break
        else:
            if self._have < self._wanted and (late := self._late()):
                self._lacking(f"{len(late)} candidates of hosts that gave others did not come", accept != "none")
        return asked_ever > 0

    def _run_once(self) -> int:
        """Asks for each open candidate once; returns how many it asked for.

        Never more are under way than are still wanted: so never more than wanted are accepted, and which ones does
        not depend on who answered first.
        """
        wanted, asked = self._wanted, 0
        candidates = self._open_ones()
        running: set[Future[Record]] = set()
        pool = ThreadPoolExecutor(self.settings.download_threads)
        try:
            exhausted = False
            while running or not (exhausted or self._have >= wanted):
                while not exhausted and len(running) < min(self.settings.download_threads, wanted - self._have):
                    candidate = next(candidates, None)
                    if self.offer.bases is not self._bases:  # its archive has changed: all begins anew
                        self._recall()
                    exhausted = candidate is None
                    if candidate:
                        self._place.setdefault(candidate.locator, len(self._place))
                        running.add(pool.submit(self._ask, candidate))
                finished, running = wait(running, timeout=1.0, return_when=FIRST_COMPLETED)
                for future in finished:
                    self._keep(future.result())
                    asked += 1
                self.progress.tick()
                if time.monotonic() - self._saved_s >= SAVE_EVERY_S:
                    self._save()
        finally:  # what was under way when it was stopped counts too
            candidates.close()
            pool.shutdown(cancel_futures=True)
            for future in running:
                if future.done() and not future.cancelled() and not future.exception():
                    self._keep(future.result())
            self._save()
        return asked

    def _ask(self, candidate: Candidate) -> Record:
        """Gets, judges and stores one candidate."""
        record: Record = {
            "candidate": candidate.locator,
            "basis": self.offer.bases[candidate.locator],
            "time_s": round(time.time(), 3),
            **candidate.known,
        }
        try:
            data = candidate.get()
            with self._cores:
                return record | self._judge(data)
        except Rejected as rejected:
            return record | self._rejected(candidate.locator, rejected)

    def _rejected(self, candidate: str, rejected: Rejected) -> Record:
        """Returns what a record says of a candidate that is no picture of its class."""
        state = "open" if rejected.may_pass else "rejected"
        found: Record = {"state": state, "reason": rejected.reason.value, "detail": rejected.detail}
        under = _under(self.offer, self.settings, found | {"candidate": candidate})
        return found | ({"under": under} if under else {})

    def _judge(self, data: bytes) -> Record:
        """Stores a picture and returns what its record says of it; raises Rejected where it is none."""
        settings = self.settings
        if len(data) <= PLACEHOLDER_BYTES and hashlib.md5(data, usedforsecurity=False).hexdigest() in PLACEHOLDERS_MD5:
            raise Rejected(RejectReason.PLACEHOLDER, detail="a known one")
        verdict = images.judge(
            data, max_pixels=settings.max_pixels, min_side_px=settings.min_side_px, max_aspect=settings.max_aspect
        )
        file = f"{hashlib.sha256(data).hexdigest()}.{verdict.suffix}"
        self.store.write_bytes(f"images/{self.image_class.class_id}/{file}", data, sync=False)
        size = {"bytes": len(data), "width_px": verdict.width_px, "height_px": verdict.height_px}
        return {"state": "accepted", "reason": None, "file": file} | size

    def _keep(self, record: Record) -> None:
        """Puts a record, and counts it.

        Of candidates with the same bytes the first in the list counts, whichever was answered first; from
        PLACEHOLDER_SIGHTINGS on none does where they come from the web: a person's own copies are duplicates.
        """
        before = self._have
        self.records.put(record)
        if record["state"] == "accepted":
            self._settle(record)
        kept, other = (self._open, self._final) if record["state"] == "open" else (self._final, self._open)
        kept.add(record["candidate"])
        other.discard(record["candidate"])
        self.progress.advance(self._have - before, **self._figures())

    def _settle(self, latest: Record) -> None:
        file, on_web = latest["file"], self.offer.is_on_web(latest["candidate"])
        sightings = self._sightings[file]
        if latest["candidate"] not in sightings:  # else read once more, on the way to another member of its archive
            sightings.append(latest["candidate"])
            # The first makes a picture, and from so many on it is none.
            self._have += (len(sightings) == 1) - (on_web and len(sightings) == PLACEHOLDER_SIGHTINGS)
        first = min(sightings, key=self._place.__getitem__)
        for candidate in sightings if len(sightings) > 1 else ():
            if on_web and len(sightings) >= PLACEHOLDER_SIGHTINGS:
                detail = f"the same bytes from {len(sightings)} candidates"
                verdict = self._rejected(candidate, Rejected(RejectReason.PLACEHOLDER, detail=detail)) | {"file": file}
            elif candidate == first:
                verdict = {key: latest[key] for key in VERDICT if key in latest}
            else:
                same = Rejected(RejectReason.DUPLICATE, detail=f"same bytes as {file}")
                verdict = self._rejected(candidate, same) | {"duplicate_of": file}
            known = {key: value for key, value in self.records.get(candidate).items() if key not in VERDICT}
            self.records.put(known | verdict)

    def _late(self) -> list[str]:
        """Returns the candidates that may still come, of hosts that gave pictures."""
        records = self._known()
        hosts = {self.offer.host(r["candidate"]) for r in records if r["state"] == "accepted"} - {""}
        return [r["candidate"] for r in records if r["state"] == "open" and self.offer.host(r["candidate"]) in hosts]

    def _lacking(self, why: str, accepted: bool) -> None:
        """Raises that pictures lack, or says it where that is accepted."""
        reasons = _counted(_by_frequency(r for r in self.records.of(self.offer.bases) if r["state"] == "open"))
        error = SourceUnavailable(
            f"{self.image_class.class_id} ({self.image_class.name}): {why} "
            f"({reasons}); have {self._have} of {self._wanted} pictures"
        )
        if not accepted:
            raise error
        log.error("%s", error)

    def _save(self) -> None:
        self.records.save()
        self._saved_s = time.monotonic()

    def select(self) -> SelectionRef:
        """Writes which pictures the run uses, and says what the class gave."""
        candidates, name = list(self.offer.bases), self.image_class.name
        files = tuple(self.records.accepted_files(candidates, self._wanted))
        looked_at = self._looked_at(files)
        records = self.records.of(looked_at)
        rejected = _by_frequency(record for record in records if record["state"] != "accepted")
        example = _example(rejected, records)
        kinds = [(host_kind(host), r["state"]) for r in records if (host := self.offer.host(r["candidate"]))]
        hosts = {k: (kinds.count((k, "accepted")), count) for k, count in Counter(k for k, _ in kinds).items()}
        seen = tuple(record["candidate"] for record in records)
        given = self._given_sides(files, looked_at)
        selection = Selection(class_id=self.image_class.class_id, files=files, asked=seen, given=given)
        same = {r["file"].partition(".")[0] for r in records if r["reason"] == "placeholder" and "file" in r}
        ref = SelectionRef(
            class_id=self.image_class.class_id,
            name=name,
            fingerprint=selection.fingerprint,
            accepted=len(files),
            listed=len(candidates),
            asked=len(files) + sum(rejected.values()),
            wanted=self._wanted,
            rejected=rejected,
            example=example,
            hosts=hosts,
            split_given=bool(given),
            placeholders=tuple(sorted(same)),  # the ids of pictures that several candidates had in common
        )
        self.store.write_bytes(ref.key, selection.content())
        if hosts:
            by_kind = (f"{gave} of {asked} URLs of {HOSTS[kind]}" for kind, (gave, asked) in sorted(hosts.items()))
            log.info("%s: %s gave a picture", name, ", ".join(by_kind))
        if short := self._wanted - len(files):
            log.warning(
                "%s: %d of %d pictures: %d short after all %d candidates; rejected: %s%s%s",
                *(name, len(files), self._wanted, short, len(candidates), _counted(rejected)),
                f"; such as {example}" if example else "",
                "; a server of your own is let in by allowed_private_hosts" if "blocked_address" in rejected else "",
            )
        return ref

    def _given_sides(self, files: Sequence[str], looked_at: Iterable[str]) -> dict[str, GivenSide]:
        """Returns the sides that the source gives to pictures; to one that lies on several, the most held out."""
        given = {candidate: side for candidate in looked_at if (side := self.offer.given_side(candidate))}
        sides = {file: [given[c] for c in self._sightings[file] if c in given] for file in files if given}
        return {file: most_held_out(found) for file, found in sides.items() if found}


def _by_frequency(records: Iterable[Record]) -> dict[str, int]:
    """Returns how many of the records have which reason, the most frequent first."""
    return dict(Counter(record["reason"] for record in records).most_common())


def _example(reasons: Mapping[str, int], records: Iterable[Record]) -> str:
    """Returns what was seen of the first candidate that was rejected for the commonest reason; '' where nothing was.

    Of a refused address nothing is told: it would name addresses of this machine's own network.
    """
    if not reasons or (reason := next(iter(reasons))) == RejectReason.BLOCKED_ADDRESS.value:
        return ""
    first = next(record for record in records if record["reason"] == reason)
    where, detail = shown(without_secrets(first["candidate"])), shown(first.get("detail") or "")
    return (detail if detail.startswith(f"{where}:") else f"{where}: {detail}")[:EXAMPLE_CHARACTERS] if detail else ""


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in reasons.items()) or "none"


def _under(offer: Offer, settings: DownloadConfig, record: Record) -> Record:
    """Returns what a record's rejection depends on, with its values now."""
    candidate = record["candidate"]
    return under_now(record, settings, version=offer.version(candidate), on_web=offer.is_on_web(candidate))
