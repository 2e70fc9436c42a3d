"""The files below a location, on a disk or behind any fsspec driver: which there are, and what each holds."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

from upath import UPath

from imagenet_tasks.errors import Rejected, RejectReason
from imagenet_tasks.store.storage import to_path

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".heic")
LITTER = ("__macosx", "thumbs.db", "desktop.ini", "@eadir")  # of file managers, as all that begins with "."


class Files:
    """Lists what lies below a location, and reads it by the locators that listing gave.

    Args:
        root: the location. Links are followed inside it.
        max_bytes: a larger file is rejected unread.

    Attributes:
        get: what reads a candidate, by its locator.
    """

    def __init__(self, root: UPath, max_bytes: int) -> None:
        self.root, self._max_bytes = root, max_bytes
        self._real_root = os.path.realpath(str(root)) if isinstance(root, Path) else ""
        self.get: dict[str, Callable[[], bytes]] = {}

    def judge_size(self, size_bytes: int) -> None:
        """Raises Rejected where a file or member is too large."""
        if size_bytes > self._max_bytes:
            raise Rejected(RejectReason.TOO_LARGE, detail=f"{size_bytes} bytes, at most {self._max_bytes}")

    def trouble_with_link(self, path: UPath, above: Sequence[str] = ()) -> str:
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

    def is_local_folder(self, path: UPath) -> bool:
        """Tells whether it is a folder of this disk; elsewhere that would be a question for each archive."""
        return bool(self._real_root) and path.is_dir()

    def below(self, folder: UPath, above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
        """Yields the files below a folder in order of their names, at any depth, with their versions."""
        above = (*above, os.path.realpath(str(folder))) if self._real_root else ()
        try:
            entries = sorted((path for path in folder.iterdir() if not is_hidden(path.name)), key=lambda p: p.name)
        except OSError as error:
            yield self.unreadable(folder, type(error).__name__, may_pass=True)
            return
        for path in entries:
            if trouble := self.trouble_with_link(path, above):
                yield self.unreadable(path, trouble)
                continue
            try:
                about = path.stat()
            except OSError as error:
                if self._real_root or path.name != folder.name:  # else an object store's mark of the folder itself
                    yield self.unreadable(path, type(error).__name__, may_pass=True)
                continue
            if stat.S_ISDIR(about.st_mode):
                yield from self.below(path, above)
            elif stat.S_ISREG(about.st_mode):
                self.get[str(path)] = lambda path=path: self._read_file(path)  # type: ignore[misc]
                yield str(path), f"{about.st_size} {about.st_mtime}"
            else:  # reading a pipe would wait for ever
                yield self.unreadable(path, "no regular file")

    def at(self, path: UPath) -> tuple[str, str] | None:
        """Returns a file as `below` yields it; None where none is there, or a link on the way leads out."""
        try:
            about = path.stat()
        except (OSError, ValueError):
            return None
        if not stat.S_ISREG(about.st_mode):
            return None
        if self._real_root and not _is_within(os.path.realpath(str(path)), self._real_root):
            return None
        self.get[str(path)] = lambda: self._read_file(path)
        return str(path), f"{about.st_size} {about.st_mtime}"

    def unreadable(self, path: UPath | str, detail: str, *, may_pass: bool = False) -> tuple[str, str]:
        """Returns a candidate that cannot be read; once it can, it has another version."""

        def refuse() -> bytes:
            raise Rejected(RejectReason.UNREADABLE, may_pass=may_pass, detail=detail)

        self.get[str(path)] = refuse
        return str(path), detail

    def _read_file(self, path: UPath) -> bytes:
        try:
            self.judge_size(path.stat().st_size)
            return path.read_bytes()
        except OSError as error:
            raise Rejected(RejectReason.UNREADABLE, may_pass=True, detail=type(error).__name__) from error


def path_of(location: str) -> UPath:
    """Returns the path of a location; one that is a URL of this disk is a path of it, whose links are judged."""
    path = to_path(location, setting="location").expanduser()
    return (UPath(path.path) if path.protocol in ("file", "local") else path).absolute()


def name_of(path: UPath) -> str:
    """Returns the name of a file or folder as it was given: in addresses of the web it is quoted."""
    return unquote(path.name) if path.protocol in ("http", "https") else path.name


def _is_within(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def is_hidden(name: str) -> bool:
    """Tells whether a name is one of those that file managers leave or hide."""
    return name.startswith(".") or name.lower() in LITTER
