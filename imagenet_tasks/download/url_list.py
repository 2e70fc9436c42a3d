"""The source `url-list`: classes and URLs from a list such as ImageNet's fall11 one, or from a list per class."""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from urllib.parse import quote

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.make import Publish, make
from imagenet_tasks.download.fetch import Fetcher, host_name
from imagenet_tasks.download.list_files import NoSuchList, OpenedList, is_http, open_path, open_url, unpacked
from imagenet_tasks.download.list_index import MAX_CLASS_BYTES, ListIndex, build_index
from imagenet_tasks.download.list_lines import BAD, class_entry, lines_of
from imagenet_tasks.errors import DataError, Rejected, RejectReason, without_secrets
from imagenet_tasks.settings.classes import CLASS_ID_PATTERN, ImageClass, find_class
from imagenet_tasks.store.storage import Store, fingerprint, to_path

log = logging.getLogger(__name__)

WNID_FIELD = "{wnid}"
_FLICKR = ("flickr.com", "staticflickr.com")


def locator_of(url: str) -> str:
    """Returns what stands for a URL in records and logs: a query may hold a secret, so only its hash is shown."""
    base, mark, query = url.partition("?")
    return f"{base}?{hashlib.sha256(query.encode()).hexdigest()[:8]}" if mark else base


def host_kind(host: str) -> str:
    """Returns 'flickr' for one of Flickr's hosts, else 'other'."""
    host = host.lower().rstrip(".")
    return "flickr" if any(host == name or host.endswith(f".{name}") for name in _FLICKR) else "other"


class UrlListSource:
    """A list of all classes' URLs, or, where the location holds `{wnid}`, a list per class.

    A list of all classes is read once and indexed in the store; one that has changed since is indexed anew. A line
    without a usable URL is a candidate `line <number>`, so that its record says what is wrong with it.

    Args:
        location: a path, fsspec URL or http(s) URL of a text, plain, gzipped or the first file of a tar archive.
        store: where the index lies.
        fetcher: fetches the pictures, and a list at an http(s) URL.
    """

    def __init__(self, location: str, store: Store, fetcher: Fetcher) -> None:
        if not is_http(location):
            location = str(to_path(location, setting="location").expanduser().absolute())
        self._location = location
        self._store, self._fetcher = store, fetcher

        self._urls: dict[str, str] = {}
        self._problems: dict[str, str] = {}

    def classes(self) -> tuple[ImageClass, ...] | None:
        """Returns the list's classes by wnid; None where each class has a list of its own."""
        if WNID_FIELD in self._location:
            return None
        return tuple(find_class(class_id) for class_id in self._index.class_ids())

    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns a class's URLs in order of the list, each once, without their queries.

        A URL has no version of its own: its answer is taken once. The version of a line that is no URL is what is
        wrong with it.
        """
        if WNID_FIELD in self._location:
            return self._keep(self._class_entries(class_id), of=f" of {class_id}")
        return self._keep(self._index.entries(class_id))

    def fetch(self, locator: str) -> bytes:
        """Returns the body of the candidate's URL."""
        if locator in self._problems:
            raise Rejected(RejectReason.INVALID_URL, detail=self._problems[locator])
        return self._fetcher.fetch(self._urls[locator])

    def host(self, locator: str) -> str:
        """Returns the host of the candidate's URL, '' for a line without one."""
        return host_name(locator)

    def look_again(self) -> None:
        """Lets hosts that were given up be asked again."""
        self._fetcher.hosts.forgive()

    def _keep(self, entries: Iterable[tuple[int, bytes]], *, of: str = "") -> dict[str, str]:
        """Returns the candidates, and keeps what they stand for: queries stay in memory."""
        found: dict[str, str] = {}
        for number, entry in entries:
            text = entry.decode()
            if entry.startswith(BAD):
                locator, version = f"line {number}{of}", text[1:]
                self._problems[locator] = f"{locator}: {version}"
            else:
                locator, version = locator_of(text), ""
                self._urls.setdefault(locator, text)
            found.setdefault(locator, version)
        return found

    def _open(self, location: str) -> AbstractContextManager[OpenedList]:
        return open_url(location, self._fetcher) if is_http(location) else open_path(location)

    def _class_entries(self, class_id: str) -> list[tuple[int, bytes]]:
        if not re.fullmatch(CLASS_ID_PATTERN, class_id):
            return []
        location = self._location.replace(WNID_FIELD, quote(class_id) if is_http(self._location) else class_id)
        entries, size = [], 0
        try:
            with self._open(location) as opened, unpacked(opened, location) as text:
                for number, line in lines_of(text):
                    entries.append((number, class_entry(line, class_id)))
                    size += len(entries[-1][1])
                    if size > MAX_CLASS_BYTES:
                        raise DataError(f"expected at most {MAX_CLASS_BYTES} bytes of URLs, received more")
        except NoSuchList:
            raise DataError(
                f"{without_secrets(location)}: there is no list of this class's URLs. Leave the class out, or correct "
                "`location`."
            ) from None
        return entries

    @cached_property
    def _index(self) -> ListIndex:
        """The index of the list as it is now, which one process builds while the others wait."""
        with self._open(self._location) as opened:
            mark = self._mark(opened)
        if not self._store.is_complete(kinds.URL_LIST.folder_of(mark)):
            lock = self._store.lock(f"lists/.{fingerprint(location=self._location)}")
            with lock, self._open(self._location) as opened:  # anew: an answer does not wait as long as a lock may

                def build(publish: Publish) -> None:
                    with unpacked(opened, self._location) as text:
                        build_index(publish, text, where=without_secrets(self._location))

                make(self._store, kinds.URL_LIST, mark := self._mark(opened), build)
        return ListIndex(self._store, kinds.URL_LIST.folder_of(mark))

    def _mark(self, opened: OpenedList) -> str:
        mark = kinds.URL_LIST.fingerprint({"version": opened.version})
        return f"{fingerprint(location=self._location)}-{mark}"
