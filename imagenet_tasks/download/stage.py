"""The stage `download_class`: as many pictures of one class as are wanted, each judged before it counts."""

import hashlib
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from imagenet_tasks import images
from imagenet_tasks.artifacts import Selection, SelectionRef
from imagenet_tasks.classes import ImageClass
from imagenet_tasks.config import DownloadConfig
from imagenet_tasks.download.records import Record, Records
from imagenet_tasks.download.sources import Source, open_source
from imagenet_tasks.errors import ConfigError, Rejected, RejectReason, SourceUnavailable
from imagenet_tasks.progress import Progress
from imagenet_tasks.storage import Store, fingerprint

log = logging.getLogger(__name__)
SAVE_EVERY_S = 10.0
LIMITS = ("max_bytes", "max_pixels", "min_side_px", "max_aspect")  # what a verdict on a picture depends on


def classes_of_run(settings: DownloadConfig, wanted: tuple[ImageClass, ...], *, named: bool) -> tuple[ImageClass, ...]:
    """Returns the classes of a run after asking the source what it has.

    Args:
        settings: the source.
        wanted: the classes that the settings name.
        named: whether the user named them. Where the profile did and the source lacks one, the source's own are used.

    Raises:
        ConfigError: where the source lacks a class that the user named, or has fewer than two.
    """
    with open_source(settings) as source:
        offered = source.classes()
    missing = sorted({c.class_id for c in wanted} - {c.class_id for c in offered})
    if wanted and not missing:
        return wanted
    have = ", ".join(c.class_id for c in offered[:30]) + (", ..." if len(offered) > 30 else "")
    if named:
        raise ConfigError(
            f"classes: the source has no {', '.join(missing)}. It has {len(offered)} classes: {have or 'none'}."
        )
    if len(offered) < 2:
        raise ConfigError(f"location: expected at least two classes in {settings.location}, found {have or 'none'}")
    log.warning("The source lacks %d of the profile's classes: all %d that it has are used", len(missing), len(offered))
    return offered


def download_class(
    store: Store, settings: DownloadConfig, image_class: ImageClass, *, progress: Progress, force: bool = False
) -> tuple[SelectionRef, bool]:
    """Gets the pictures of one class and writes which of them the run uses.

    Args:
        store: where pictures and records go.
        settings: the source and its bounds.
        image_class: the class.
        progress: counts accepted pictures.
        force: ask again also for candidates that were rejected for good.

    Returns:
        The selection, and whether it was there already (nothing had to be asked for).

    Raises:
        SourceUnavailable: where most candidates failed for reasons that may pass.
    """
    with store.lock(f"images/{image_class.class_id}"), open_source(settings) as source:
        bases = {
            candidate: fingerprint(version=version, limits=[getattr(settings, name) for name in LIMITS])
            for candidate, version in source.candidates(image_class.class_id).items()
        }
        candidates = list(bases)
        records = Records(store, image_class.class_id)
        present = set(store.names(f"images/{image_class.class_id}"))
        for candidate, basis in bases.items():
            file = records.accepted_files([candidate], 1)
            if records.is_stale(candidate, basis) or (file and file[0] not in present) or (force and not file):
                records.drop(candidate)
        records.drop_lone_duplicates(candidates)
        wanted = settings.images_per_class
        have = len(records.accepted_files(candidates, wanted))
        final = sum(records.is_final(candidate) for candidate in candidates)
        progress.resume(have, rejected=final - len(records.accepted_files(candidates)))
        open_candidates = [c for c in candidates if not records.is_final(c)] if have < wanted else []
        if open_candidates:
            _Download(store, settings, image_class, source, records, progress, bases).run(open_candidates, have)
        if progress.done < progress.total:  # the class falls short; else the last picture told it
            progress.tell()
        return _select(store, settings, image_class, candidates, records), not open_candidates


class _Download:
    """One class's download: a pool of threads asks, this thread keeps the books."""

    def __init__(
        self,
        store: Store,
        settings: DownloadConfig,
        image_class: ImageClass,
        source: Source,
        records: Records,
        progress: Progress,
        bases: Mapping[str, str],
    ) -> None:
        self._store, self._settings, self._image_class = store, settings, image_class
        self._source, self._records, self._progress, self._bases = source, records, progress, bases
        self._candidates = list(bases)
        self._place = {candidate: place for place, candidate in enumerate(bases)}
        self._holders = {file[0]: c for c in bases if (file := records.accepted_files([c]))}
        self._saved_s = time.monotonic()

    def run(self, open_candidates: Sequence[str], have: int) -> None:
        """Asks for candidates in order until enough are accepted.

        Never more are under way than are still wanted: so never more than wanted are accepted, and which ones does
        not depend on who answered first.
        """
        wanted, asked, passing = self._settings.images_per_class, 0, 0
        waiting = deque(open_candidates)
        with ThreadPoolExecutor(self._settings.download_threads) as pool:
            running: set[Future[Record]] = set()
            try:
                while running or (waiting and have < wanted):
                    while waiting and len(running) < min(self._settings.download_threads, wanted - have):
                        running.add(pool.submit(self._ask, waiting.popleft()))
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        record = self._without_duplicate(future.result())
                        self._records.put(record)
                        asked += 1
                        passing += record["state"] == "open"
                        have += record["state"] == "accepted"
                        rejected = self._progress.figures.get("rejected", 0) + (record["state"] != "accepted")
                        self._progress.advance(int(record["state"] == "accepted"), rejected=rejected)
                    self._save_now_and_then()
            finally:
                pool.shutdown(cancel_futures=True)
                self._records.save()
        if have < wanted and passing > asked / 2:
            raise SourceUnavailable(
                f"{self._image_class.class_id} ({self._image_class.name}): {passing} of {asked} candidates failed for "
                f"reasons that may pass ({self._records.rejected(self._candidates)}); have {have} of {wanted} "
                "pictures. It is tried again later."
            )

    def _ask(self, candidate: str) -> Record:
        """Fetches, judges and stores one candidate."""
        settings = self._settings
        record: Record = {"candidate": candidate, "basis": self._bases[candidate], "time_s": round(time.time(), 3)}
        try:
            data = self._source.fetch(candidate)
            verdict = images.judge(
                data, max_pixels=settings.max_pixels, min_side_px=settings.min_side_px, max_aspect=settings.max_aspect
            )
        except Rejected as rejected:
            state = "open" if rejected.may_pass else "rejected"
            return record | {"state": state, "reason": rejected.reason.value, "detail": rejected.detail}
        file = f"{hashlib.sha256(data).hexdigest()}.{verdict.suffix}"
        self._store.write_bytes(f"images/{self._image_class.class_id}/{file}", data, sync=False)
        return record | {
            "state": "accepted",
            "reason": None,
            "file": file,
            "bytes": len(data),
            "width_px": verdict.width_px,
            "height_px": verdict.height_px,
        }

    def _without_duplicate(self, record: Record) -> Record:
        """Returns the record, or where its bytes are known that of the later one of the two in the list.

        So it does not matter which of the two was answered first.
        """
        if record["state"] != "accepted":
            return record
        file, candidate = record["file"], record["candidate"]
        holder = self._holders.setdefault(file, candidate)
        if self._place[candidate] < self._place[holder]:
            self._holders[file] = candidate
            self._records.put(record)
            candidate = holder
        elif holder == candidate:
            return record
        return {
            "candidate": candidate,
            "basis": self._bases[candidate],
            "time_s": record["time_s"],
            "state": "rejected",
            "reason": RejectReason.DUPLICATE.value,
            "detail": f"same bytes as {file}",
            "duplicate_of": file,
        }

    def _save_now_and_then(self) -> None:
        if time.monotonic() - self._saved_s >= SAVE_EVERY_S:
            self._records.save()
            self._saved_s = time.monotonic()


def _select(
    store: Store, settings: DownloadConfig, image_class: ImageClass, candidates: Sequence[str], records: Records
) -> SelectionRef:
    files = tuple(records.accepted_files(candidates, settings.images_per_class))
    looked_at = candidates  # of those after the last picture in use, another run may have records
    if len(files) == settings.images_per_class:
        last = next(i for i, c in enumerate(candidates) if records.accepted_files([c]) == [files[-1]])
        looked_at = candidates[: last + 1]
    rejected = records.rejected(looked_at)
    selection = Selection(class_id=image_class.class_id, files=files)
    ref = SelectionRef(
        class_id=image_class.class_id,
        name=image_class.name,
        fingerprint=fingerprint(**selection.as_dict()),
        accepted=len(files),
        listed=len(candidates),
        asked=len(files) + sum(rejected.values()),
        wanted=settings.images_per_class,
        rejected=rejected,
    )
    store.write_json(ref.key, selection.as_dict())
    if len(files) < settings.images_per_class:
        log.warning(
            "%s: %d of %d pictures: %d short after all %d candidates; rejected: %s",
            image_class.name,
            len(files),
            settings.images_per_class,
            settings.images_per_class - len(files),
            len(candidates),
            ", ".join(f"{reason} {count}" for reason, count in rejected.items()) or "none",
        )
    return ref
