"""The source `folder`: a directory, URL or archive that holds a folder of pictures, or an archive, per class."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from upath import UPath

from imagenet_tasks.artifacts.references import GivenSide
from imagenet_tasks.download.files import (
    MADE_OF,
    PARTS,
    PICTURES,
    FileSource,
    by_turns,
    is_hidden,
    name_of,
    path_of,
    sides_of_parts,
    version_of,
)
from imagenet_tasks.download.members import Archives, Member, Opened, archive_suffix
from imagenet_tasks.errors import ConfigError, SourceUnavailable, without_secrets
from imagenet_tasks.settings.classes import classes_called, shown

NO_CLASS = "a picture that lies in no class's folder"
Found = dict[str, str]  # the versions of files by their locators


@dataclass(frozen=True)
class _Entry:
    """What may be a class: a folder or an archive, by its name. `inside` is what a folder holds; None of an archive."""

    name: str
    files: Callable[[], Found]
    inside: "Callable[[], _Level] | None" = None


@dataclass
class _Level:
    """What lies in one folder of a location: what may be a class, and the names of what is none, by the reason."""

    where: str
    entries: list[_Entry] = field(default_factory=list)
    passed_over: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def folders(self) -> list[_Entry]:
        return [entry for entry in self.entries if entry.inside]

    def pass_over(self, name: str) -> None:
        """Notes the name of a file that is no class."""
        is_picture = name.lower().endswith(PICTURES)
        why = NO_CLASS if is_picture else "neither a folder nor an archive"
        self.passed_over["hidden" if is_hidden(name) else why].append(f"{self.where}{name}")


class FolderSource(FileSource):
    """A location with a folder of pictures or an archive per class, named by wnid or by any other name.

    Where it holds one folder alone with several of them, these are the classes. Where its folders are the parts of a
    split set, as `train` and `val`, the classes are what lies in the parts.

    Args:
        location: the directory, fsspec URL or archive.
        max_bytes: a larger file or member is rejected unread.
        given_split: whether the parts of a split set are its sides; else all of them are one set of pictures.
    """

    def __init__(self, location: str, max_bytes: int, *, given_split: bool = True) -> None:
        root = path_of(location)
        super().__init__(root, max_bytes)
        self._archives = Archives(max_bytes)
        self._entries: defaultdict[str, list[tuple[_Entry, GivenSide | None]]] = defaultdict(list)
        self._passed_over: defaultdict[str, list[str]] = defaultdict(list)
        self._given_split, self._in_parts = given_split, False
        try:
            is_archive = bool(archive_suffix(name_of(root))) and root.is_file()
            level = self._level_in_archive(root) if is_archive else self._level_of(root)
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            trouble = "may not be read" if isinstance(error, PermissionError) else "is not a folder"
            raise ConfigError(
                f"location: {without_secrets(location)!r} {trouble}. Expected one that holds a folder of pictures or "
                "an archive per class, or an archive of these."
            ) from error
        named = list(self._classes_of(level))
        called = classes_called(entry.name for entry, _ in named)
        self._classes = {(c := called[entry.name]).class_id: c for entry, _ in named}
        for entry, side in named:
            self._entries[called[entry.name].class_id].append((entry, side))

    @property
    def passed_over(self) -> Mapping[str, list[str]]:
        """What of the location is no class, by the reason."""
        return self._passed_over

    def candidates(self, class_id: str) -> Mapping[str, str]:
        """Returns '<path>' or '<archive>#<member>' for each file in order of their names, with size and time.

        Of a split set the parts come by turns, so that as many as are wanted are of each part in proportion.
        """
        listed = [(list(entry.files().items()), side) for entry, side in self._entries.get(class_id, [])]
        self._given |= {locator: side for found, side in listed if side for locator, _ in found}
        if not self._in_parts:
            return dict(one for found, _ in listed for one in found)
        return dict(by_turns(found for found, _ in listed))

    def close(self) -> None:
        """Closes the archives."""
        self._archives.close()

    def _classes_of(self, level: _Level) -> Iterator[tuple[_Entry, GivenSide | None]]:
        """Yields what is a class of a location, with the side that is given to its pictures."""
        names = {entry.name.casefold() for entry in level.folders}
        if names and len(level.folders) == len(level.entries) and names <= set(PARTS):
            yield from self._of_parts(level)
            return
        if len(level.entries) == 1 and level.folders:
            below = level.folders[0].inside()  # type: ignore[misc]
            several = len(below.entries) > 1 or {entry.name.casefold() for entry in below.folders} & set(PARTS)
            if several and NO_CLASS not in below.passed_over:
                self._keep(level)
                self._layout.append(f"the classes lie in {shown(below.where)}")
                yield from self._classes_of(below)
                return
        self._keep(level)
        yield from ((entry, None) for entry in level.entries)

    def _of_parts(self, level: _Level) -> Iterator[tuple[_Entry, GivenSide | None]]:
        """Yields what is a class of a split set."""
        parts = [(folder.name, PARTS[folder.name.casefold()], folder.inside()) for folder in level.folders]  # type: ignore[misc]
        for one in (level, *(inside for _, _, inside in parts)):
            self._keep(one)
        parts = [part for part in parts if part[2].entries]
        have = {side for _, side, _ in parts}
        if not have:
            listed = " and ".join(folder.name for folder in level.folders)
            raise ConfigError(
                f"location: {listed} are the parts of one set of pictures, and no classes; in none of them lies a "
                "folder or an archive per class. Expected such as train/cat/1.jpg, or a table of files and labels."
            )
        sides = sides_of_parts(have) if self._given_split else {}
        self._in_parts = True
        self._layout += [f"{shown(inside.where)} is {MADE_OF[sides.get(side)]}" for _, side, inside in parts]
        trained = {entry.name for _, side, inside in parts if side == "train" for entry in inside.entries}
        for _, side, inside in parts:
            for entry in inside.entries:
                if sides and entry.name not in trained:
                    self._passed_over["a class without training pictures"].append(f"{inside.where}{entry.name}")
                else:
                    yield entry, sides.get(side)

    def _keep(self, level: _Level) -> None:
        for why, names in level.passed_over.items():
            self._passed_over[why] += names

    def _level_of(self, folder: UPath, where: str = "") -> _Level:
        """Returns what lies in a folder of a file system."""
        level = _Level(where)
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            name = name_of(path)
            suffix = archive_suffix(name)
            if is_hidden(name):
                level.pass_over(name)
            elif trouble := self._trouble_with_link(path):
                level.passed_over[trouble].append(f"{where}{name}")
            elif suffix and not self._is_local_folder(path):
                level.entries.append(_Entry(name[: -len(suffix)], lambda p=path: self._list_archive(p)))  # type: ignore[misc]
            elif suffix or path.is_dir():
                files = lambda p=path: dict(self._below(p))  # noqa: E731
                inside = lambda p=path, w=f"{where}{name}/": self._level_of(p, w)  # noqa: E731
                level.entries.append(_Entry(name, files, inside))
            else:
                level.pass_over(name)
        return level

    def _list_archive(self, path: UPath) -> Found:
        version, opened = self._open(path)
        return dict(self._readable_members(opened.where, version, self._archives.members(opened)))

    def _open(self, path: UPath) -> tuple[str, Opened]:
        try:
            about = path.stat()
            file: IO[bytes] = self._archives.keep(path.open("rb"))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SourceUnavailable(f"{path}: could not be read: {error}") from error
        return version_of(about), Opened(file, about.st_size, str(path), threading.Lock())

    def _level_in_archive(self, path: UPath) -> _Level:
        """Returns what lies in an archive that is the location itself."""
        version, opened = self._open(path)
        members = [(_parts_of(member.name), member) for member in self._archives.members(opened)]
        return self._level_of_members(opened.where, version, members)

    def _level_of_members(
        self, where: str, version: str, members: Sequence[tuple[Sequence[str], Member]], above: str = ""
    ) -> _Level:
        """Returns what lies in a folder of an archive.

        Args:
            where: the archive.
            version: of the archive.
            members: each with the names of the folders from here on that it lies in, and its own.
            above: the folder.
        """
        level = _Level(above)
        below: defaultdict[str, list[tuple[Sequence[str], Member]]] = defaultdict(list)
        for parts, member in members:
            suffix = archive_suffix(parts[0]) if parts else ""
            if not parts or is_hidden(parts[0]):
                level.passed_over["hidden"].append(f"{above}{parts[0] if parts else member.name}")
            elif len(parts) > 1:
                below[parts[0]].append((parts[1:], member))
            elif suffix:
                files = lambda m=member: self._list_archive_within(m, version)  # noqa: E731
                level.entries.append(_Entry(parts[0][: -len(suffix)], files))
            else:
                level.pass_over(parts[0])
        for name, held in below.items():
            files = lambda h=held: dict(self._readable_members(where, version, (m for _, m in h)))  # noqa: E731
            inside = lambda h=held, a=f"{above}{name}/": self._level_of_members(where, version, h, a)  # noqa: E731
            level.entries.append(_Entry(name, files, inside))
        level.entries.sort(key=lambda entry: entry.name)
        return level

    def _list_archive_within(self, member: Member, version: str) -> Found:
        opened = member.open()
        members = self._archives.members(opened)
        return dict(self._readable_members(opened.where, f"{version} {member.place}", members))

    def _readable_members(self, where: str, version: str, members: Iterable[Member]) -> Iterator[tuple[str, str]]:
        for member in members:
            if not any(map(is_hidden, _parts_of(member.name))):
                self._get[f"{where}#{member.name}"] = member.read
                yield f"{where}#{member.name}", f"{version} {member.place}"


def _parts_of(name: str) -> list[str]:
    """Returns the names of a member's folders and its own."""
    return [part for part in name.split("/") if part not in ("", ".", "..")]
