"""Where pictures come from. A source names its classes, lists the candidates of one, and fetches a candidate.

To add a source: a class with the methods of `Source`, and a line in `open_source`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Protocol

from imagenet_tasks.download.archives import ArchiveSource
from imagenet_tasks.download.fetch import Fetcher, host_name, host_of
from imagenet_tasks.download.files import FileSource
from imagenet_tasks.download.folder import FolderSource
from imagenet_tasks.download.list_files import is_http
from imagenet_tasks.download.table import TableSource, is_table, table_of
from imagenet_tasks.download.url_list import WNID_FIELD, UrlListSource
from imagenet_tasks.errors import ArtifactError, ConfigError, Rejected, SourceUnavailable, without_secrets
from imagenet_tasks.settings.classes import ImageClass, folder_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.settings.credentials import Credentials
from imagenet_tasks.store.json_text import parse_json
from imagenet_tasks.store.storage import Store


class Source(Protocol):
    """What the download of a class asks of a source. `fetch` is called from many threads."""

    def classes(self) -> tuple[ImageClass, ...] | None:
        """Returns the classes that the source has, in a fixed order; None where it cannot tell."""

    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns a class's candidates in a fixed order: locator, and a version that changes when its bytes do.

        Empty where the class is unknown. A locator names its candidate among those of all sources.
        """

    def fetch(self, locator: str) -> bytes:
        """Returns a candidate's bytes; raises Rejected where that fails."""

    def host(self, locator: str) -> str:
        """Returns the host that a candidate is asked of, '' where it is no URL."""
        return ""

    def look_again(self) -> None:
        """Lets hosts that were given up be asked again."""
        return


class ListServerSource:
    """A server that lists its classes and, per class, the URLs of its pictures, wherever these lie.

    Args:
        base_url: answers /classes.json and /lists/<class_id>.txt.
        moves: whether the server may come back at another address with the same pictures, as the built-in one does.
        fetcher: fetches the lists and the pictures.
    """

    def __init__(self, base_url: str, fetcher: Fetcher, *, moves: bool = True) -> None:
        self._base_url = base_url.rstrip("/")
        self._version = "" if moves else self._base_url
        self._fetcher = fetcher

    def classes(self) -> tuple[ImageClass, ...]:
        """Returns the classes of /classes.json."""
        body = self._get("/classes.json")
        try:
            return tuple(folder_class(entry["class_id"]) for entry in parse_json(body, where="/classes.json"))
        except (ArtifactError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(self._no_list("/classes.json", "something that is no list of classes")) from error

    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns the lines of /lists/<class_id>.txt, without the server's own address where they begin with it.

        A URL has no version of its own: its answer is taken once.
        """
        lines = (line.strip() for line in self._get(f"/lists/{class_id}.txt").decode(errors="replace").splitlines())
        return {line.removeprefix(self._base_url): self._version for line in lines if line}

    def fetch(self, locator: str) -> bytes:
        """Returns the body of the URL."""
        return self._fetcher.fetch(self._base_url + locator if locator.startswith("/") else locator)

    def host(self, locator: str) -> str:
        """Returns the host of the URL."""
        return host_name(self._base_url + locator if locator.startswith("/") else locator)

    def look_again(self) -> None:
        """Lets hosts that were given up be asked again."""
        self._fetcher.hosts.forgive()

    def _get(self, path: str) -> bytes:
        try:
            return self._fetcher.fetch(self._base_url + path)
        except Rejected as rejected:
            kind = SourceUnavailable if rejected.may_pass else ConfigError
            raise kind(self._no_list(path, str(rejected))) from None

    def _no_list(self, path: str, received: str) -> str:
        return without_secrets(
            f"location: expected a list of pictures at {self._base_url}{path}, received {received}. For a folder of "
            "pictures set source to 'folder'. For the built-in pictures leave source and location empty: `make demo` "
            "and `make ui` start their server, and IMAGENET_SAMPLE_URL says where it is."
        )


WINTER21 = "https://image-net.org/data/winter21_whole/{wnid}.tar"


TERMS = (
    "accept_imagenet_terms: the source {source!r} reaches ImageNet, whose pictures may be used for non-commercial "
    "research and education alone (https://image-net.org/download). Set it to true to accept these terms; that is "
    "kept in the run's record and named in its report."
)


@contextmanager
def open_source(
    settings: DownloadConfig, store: Store, credentials: Credentials | None = None
) -> Iterator[Source | ArchiveSource]:
    """Yields the source that the settings name.

    Args:
        settings: the source and its bounds.
        store: where the index of a URL list is kept.
        credentials: what the location's server asks for.

    Raises:
        ConfigError: where its location is missing or wrong, or its terms are not accepted.
    """
    source, location = settings.source, settings.location
    if source in ("synset-archives", "url-list") and not settings.accept_imagenet_terms:
        raise ConfigError(TERMS.format(source=source))
    if source == "folder":
        if not location:
            raise ConfigError("location: the source 'folder' needs one: a directory or URL with a folder per class")
        with ExitStack() as stack:
            trusted = _own_host(location)

            def open_fetcher() -> Fetcher:
                return stack.enter_context(Fetcher(settings, trusted=trusted, credentials=credentials))

            yield stack.enter_context(closing(_open_folder(settings, open_fetcher)))
        return
    if source == "sample":
        location = location or os.environ.get("IMAGENET_SAMPLE_URL", "")
        if not location:
            raise ConfigError(
                "location: the source 'sample' needs the address of its server. Start it with `python -m "
                "imagenet_tasks sample-server` and give its URL as `location` or in IMAGENET_SAMPLE_URL; `make demo` "
                "does that itself."
            )
    elif source == "synset-archives":
        location = location or WINTER21
        if not is_http(location) or WNID_FIELD not in location:
            raise ConfigError(
                f"location: expected an http(s) URL with {{wnid}} in it, such as {WINTER21}, received {location!r}"
            )
    elif not location:
        raise ConfigError(
            "location: the source 'url-list' needs one: the path or URL of a list with a line `wnid_index<TAB>url` per "
            "picture (plain, .gz or .tgz), or a template with {wnid} in it that leads to one text of URLs per class"
        )
    with Fetcher(settings, trusted=_own_host(location), credentials=credentials) as fetcher:
        if source == "sample":
            yield ListServerSource(location, fetcher, moves=not settings.location)
        elif source == "synset-archives":
            yield ArchiveSource(location, fetcher, settings)
        else:
            yield UrlListSource(location, store, fetcher)


def _open_folder(settings: DownloadConfig, open_fetcher: Callable[[], Fetcher]) -> FileSource:
    """Returns what a location is: a table, a folder that holds one, or one with a folder or archive per class.

    A table that is found there counts where its rows name files, or where there are no classes without it.
    """
    location = settings.location
    if not (found := table_of(location)):
        return FolderSource(location, settings.max_bytes, given_split=settings.given_split)
    if is_table(location):
        return TableSource(found, settings, open_fetcher)
    table, problem = None, None
    try:
        table = TableSource(found, settings, open_fetcher)
    except ConfigError as error:
        problem = error
    if table and table.has_files():
        return table
    why = (
        str(problem).partition(": ")[2].partition(". ")[0] if problem else "none of its rows names a file that is there"
    )
    unused = {found.name: f"a table that is not used ({why})"}
    folder = FolderSource(location, settings.max_bytes, given_split=settings.given_split, unused=unused)
    if len(folder.classes()) > 1:
        return folder
    if problem:
        raise problem
    return table or folder


def _own_host(location: str) -> tuple[str, ...]:
    """Returns the host of a location on the web: who starts a run names it, and so trusts it."""
    try:
        return (host_of(location),) if is_http(location) else ()
    except Rejected as rejected:
        raise ConfigError(
            f"location: expected a URL with a host, received {without_secrets(location)!r} ({rejected.detail})"
        ) from None
