"""Sources of files, on a disk or behind any fsspec driver: which lie below a location, and what each holds."""

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from upath import UPath

from imagenet_tasks.artifacts.references import SPLITS, GivenSide, Split
from imagenet_tasks.errors import Rejected, RejectReason
from imagenet_tasks.settings.classes import ImageClass
from imagenet_tasks.store.storage import to_path

T = TypeVar("T")
PICTURES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic",
)  # fmt: skip
PARTS: dict[str, Split] = {  # of a set that is split already, by the names that they have
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
MADE_OF: dict[GivenSide | None, str] = {
    None: "one set with the other parts", "train": "the training side", "validation": "the validation side",
    "test": "the test side", "not test": "split between training and validation",
}  # fmt: skip
NOT_TRAINED = "a class without training pictures"
LITTER = ("__macosx", "thumbs.db", "desktop.ini", "@eadir")  # of file managers, as all that begins with "."


class FileSource(ABC):
    """A source whose candidates are files below a location, or in its archives, and no URLs of their own.

    Args:
        root: the location. Links are followed inside it.
        max_bytes: a larger file is rejected unread.
    """

    def __init__(self, root: UPath, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._real_root = os.path.realpath(str(root)) if isinstance(root, Path) else ""
        self._classes: dict[str, ImageClass] = {}
        self._get: dict[str, Callable[[], bytes]] = {}  # what reads a candidate, by its locator
        self._given: dict[str, GivenSide] = {}
        self._layout: list[str] = []
        self._hidden: list[str] = []  # what was last passed over for its name

    @property
    @abstractmethod
    def passed_over(self) -> Mapping[str, list[str]]:
        """What of the location is no class, by the reason."""

    @abstractmethod
    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns a class's candidates in a fixed order, with their versions."""

    @property
    def layout(self) -> Sequence[str]:
        """What was found out about the location, in sentences: where in it the classes lie, and which part is which."""
        return self._layout

    def given_side(self, locator: str) -> GivenSide | None:
        """Returns the side of the split that the location gives to a candidate that was listed."""
        return self._given.get(locator)

    def classes(self) -> tuple[ImageClass, ...]:
        """Returns the classes in the order in which they were found."""
        return tuple(self._classes.values())

    def fetch(self, locator: str) -> bytes:
        """Returns the bytes of a file or member."""
        return self._get[locator]()

    def host(self, locator: str) -> str:
        """Returns '': no candidate is a URL of its own."""
        return ""

    def look_again(self) -> None:  # noqa: B027 - as of a source without hosts
        """Does nothing: no host was given up."""

    def close(self) -> None:  # noqa: B027 - not every source opens files
        """Closes what was opened."""

    def _trouble_with_link(self, path: UPath, above: Sequence[str] = ()) -> str:
        """Returns why a link is not followed; '' where it is, and of what is no link.

        Args:
            path: what may be a link.
            above: the real paths of the folders that it lies in.
        """
        if not self._real_root or not path.is_symlink():
            return ""
        real = os.path.realpath(str(path))
        if not os.path.exists(real):  # noqa: PTH110
            return "a link that leads nowhere"
        if not _is_within(real, self._real_root):
            return "a link out of the location"
        if real in above or _is_within(os.path.realpath(str(path.parent)), real):
            return "a link to a folder that it lies in"
        return ""

    def _is_local_folder(self, path: UPath) -> bool:
        """Tells whether it is a folder of this disk; elsewhere that would be a question for each archive."""
        return bool(self._real_root) and path.is_dir()

    def _below(self, folder: UPath, above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        """Yields the files below a folder in order of their names, at any depth, with their versions."""
        above = (*above, os.path.realpath(str(folder))) if self._real_root else ()
        try:
            entries = sorted(folder.iterdir(), key=lambda path: path.name)
        except OSError as error:
            yield self._unreadable(folder, type(error).__name__, may_pass=True)
            return
        for path in entries:
            if is_hidden(path.name):
                self._hidden.append(str(path))
                continue
            if trouble := self._trouble_with_link(path, above):
                yield self._unreadable(path, trouble)
                continue
            try:
                about = path.stat()
            except OSError as error:
                if self._real_root or path.name != folder.name:  # else an object store's mark of the folder itself
                    yield self._unreadable(path, type(error).__name__, may_pass=True)
                continue
            if stat.S_ISDIR(about.st_mode):
                yield from self._below(path, above)
            elif stat.S_ISREG(about.st_mode):
                yield self._readable(path, about)
            else:  # reading a pipe would wait for ever
                yield self._unreadable(path, "no regular file")

    def _at(self, path: UPath) -> tuple[str, str] | None:
        """Returns a file as `_below` yields it; None where none is there, or a link on the way leads out."""
        try:
            about = path.stat()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(about.st_mode):
            return None
        if self._real_root and not _is_within(os.path.realpath(str(path)), self._real_root):
            return None
        return self._readable(path, about)

    def _readable(self, path: UPath, about: Any) -> tuple[str, str]:
        """Returns a candidate that is a file, of what `stat` says of it."""
        self._get[str(path)] = lambda: self._read_file(path)
        return str(path), version_of(about)

    def _unreadable(self, path: UPath | str, detail: str, *, may_pass: bool = False) -> tuple[str, str]:
        """Returns a candidate that cannot be read; once it can, it has another version."""

        def refuse() -> bytes:
            raise Rejected(RejectReason.UNREADABLE, may_pass=may_pass, detail=detail)

        self._get[str(path)] = refuse
        return str(path), detail

    def _read_file(self, path: UPath) -> bytes:
        try:
            judge_size(path.stat().st_size, self._max_bytes)
            return path.read_bytes()
        except OSError as error:
            raise Rejected(RejectReason.UNREADABLE, may_pass=True, detail=type(error).__name__) from error


def sides_of_parts(have: Collection[Split]) -> dict[Split, GivenSide]:
    """Returns what side each part of a split set is given.

    Its test part is the test side. Without one, the validation part is, as published figures have it, and the rest is
    split as always.

    Args:
        have: the parts that there are; none is a side of its own without a training part.
    """
    if "train" not in have or len(have) == 1:
        return {}
    if len(have) == len(SPLITS):
        return {side: side for side in SPLITS}
    return {side: "not test" if side == "train" else "test" for side in have}


def by_turns(parts: Iterable[Sequence[T]]) -> list[T]:
    """Returns what lies in several lists so that the first so many are of each list in proportion."""
    placed = [((place + 0.5) / len(part), one) for part in parts for place, one in enumerate(part)]
    return [one for _, one in sorted(placed, key=lambda both: both[0])]


def judge_size(size_bytes: int, max_bytes: int) -> None:
    """Raises Rejected of a file that is too large."""
    if size_bytes > max_bytes:
        raise Rejected(RejectReason.TOO_LARGE, detail=f"{size_bytes} bytes, at most {max_bytes}")


def path_of(location: str) -> UPath:
    """Returns the path of a location; one that is a URL of this disk is a path of it, whose links are judged."""
    path = to_path(location, setting="location").expanduser()
    return (UPath(path.path) if path.protocol in ("file", "local") else path).absolute()


def version_of(about: Any) -> str:
    """Returns what changes when a file's bytes do, of what `stat` says of it."""
    return f"{about.st_size} {about.st_mtime}"


def name_of(path: UPath) -> str:
    """Returns the name of a file or folder as it was given: in addresses of the web it is quoted."""
    return unquote(path.name) if path.protocol in ("http", "https") else path.name


def _is_within(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def is_hidden(name: str) -> bool:
    """Tells whether a name is one of those that file managers leave or hide."""
    return name.startswith(".") or name.lower() in LITTER
