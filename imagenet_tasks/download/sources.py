"""Where pictures come from. A source names its classes, lists the candidates of one, and fetches a candidate.

To add a source: a class with the methods of `Source`, and a line in `open_source`.
"""

import json
import os
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Protocol

from upath import UPath

from imagenet_tasks.download.archives import ArchiveSource
from imagenet_tasks.download.fetch import Fetcher, host_name, host_of
from imagenet_tasks.download.list_files import is_http
from imagenet_tasks.download.url_list import WNID_FIELD, UrlListSource
from imagenet_tasks.errors import ConfigError, DataError, Rejected, RejectReason, SourceUnavailable, without_secrets
from imagenet_tasks.settings.classes import ImageClass, folder_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.settings.credentials import Credentials
from imagenet_tasks.store.storage import Store, to_path


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
        try:
            return tuple(folder_class(entry["class_id"]) for entry in json.loads(self._get("/classes.json")))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
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


class FolderSource(Source):
    """A directory or fsspec URL with `<wnid>/` or `<class name>/` folders of pictures, or `<wnid>.tar` archives.

    Nothing of an archive is written to disk: members are read one by one and stored under their own hash.

    Args:
        location: the directory.
        max_bytes: a larger file or member is rejected unread.
    """

    def __init__(self, location: str, max_bytes: int) -> None:
        self._root = to_path(location, setting="location").expanduser().absolute()
        self._max_bytes = max_bytes
        self._files = ExitStack()
        self._members: dict[str, tuple[tarfile.TarFile, threading.Lock, tarfile.TarInfo]] = {}
        self._paths: dict[str, UPath] = {}
        try:
            entries = sorted(self._root.iterdir(), key=lambda path: path.name)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigError(
                f"location: {without_secrets(location)!r} is not a folder. Expected one that holds a folder of "
                "pictures or a .tar archive per class."
            ) from error
        self._entries: dict[str, list[UPath]] = {}
        self._classes: dict[str, ImageClass] = {}
        for entry in entries:
            if entry.name.startswith(".") or not (entry.suffix == ".tar" or entry.is_dir()):
                continue
            try:
                image_class = folder_class(entry.name.removesuffix(".tar"))
            except ConfigError:
                continue  # a folder that cannot name a class is not one of the pictures'
            self._classes.setdefault(image_class.class_id, image_class)
            self._entries.setdefault(image_class.class_id, []).append(entry)

    def classes(self) -> tuple[ImageClass, ...]:
        """Returns a class per folder or archive."""
        return tuple(self._classes.values())

    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns '<path>' or '<archive>.tar#<member>' for each file in order of their names, with size and time."""
        found: dict[str, str] = {}
        for entry in self._entries.get(class_id, []):
            found |= self._list_archive(entry) if entry.suffix == ".tar" else self._list_folder(entry)
        return found

    def fetch(self, locator: str) -> bytes:
        """Returns the bytes of a file or member."""
        if locator in self._members:
            tar, lock, member = self._members[locator]
            self._judge_size(member.size)
            with lock:  # one file position for all threads
                file = tar.extractfile(member)
                try:
                    return file.read() if file else b""
                except tarfile.ReadError as error:
                    detail = "the archive ends within this member"
                    raise Rejected(RejectReason.TRUNCATED_TRANSFER, detail=detail) from error
        path = self._paths[locator]
        try:
            self._judge_size(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise Rejected(RejectReason.UNREADABLE, may_pass=True, detail=type(error).__name__) from error

    def close(self) -> None:
        """Closes the archives."""
        self._files.close()

    def _judge_size(self, size_bytes: int) -> None:
        if size_bytes > self._max_bytes:
            raise Rejected(RejectReason.TOO_LARGE, detail=f"{size_bytes} bytes, at most {self._max_bytes}")

    def _list_folder(self, folder: UPath) -> dict[str, str]:
        found = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
        files = sorted(found, key=lambda path: path.name)
        self._paths |= {str(path): path for path in files}
        return {str(path): _version(path) for path in files}

    def _list_archive(self, path: UPath) -> dict[str, str]:
        try:
            file = self._files.enter_context(path.open("rb"))
            tar = self._files.enter_context(tarfile.open(fileobj=file, mode="r:"))  # noqa: SIM115 - so it is
            members: list[tarfile.TarInfo] = []
            with suppress(tarfile.ReadError):  # a cut archive: what came before its end is good
                members.extend(tar)
            files = sorted((member for member in members if member.isfile()), key=lambda member: member.name)
        except tarfile.TarError as error:
            raise DataError(f"{path}: expected a tar archive, could not read it: {error}. Replace the file.") from error
        except OSError as error:
            raise SourceUnavailable(f"{path}: could not be read: {error}") from error
        lock = threading.Lock()
        self._members |= {f"{path}#{member.name}": (tar, lock, member) for member in files}
        return {f"{path}#{member.name}": f"{_version(path)} {member.offset}" for member in files}


def _version(path: UPath) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime}"


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
        with closing(FolderSource(location, settings.max_bytes)) as folder:
            yield folder
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


def _own_host(location: str) -> tuple[str, ...]:
    """Returns the host of a location on the web: who starts a run names it, and so trusts it."""
    try:
        return (host_of(location),) if is_http(location) else ()
    except Rejected as rejected:
        raise ConfigError(
            f"location: expected a URL with a host, received {without_secrets(location)!r} ({rejected.detail})"
        ) from None
