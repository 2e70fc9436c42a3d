"""The source `folder`: a directory, URL or archive that holds a folder of pictures, or an archive, per class."""

import logging
import os
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO

from upath import UPath

from imagenet_tasks.artifacts.references import GivenSide, Split
from imagenet_tasks.download.files import (
    MADE_OF,
    NOT_TRAINED,
    FileSource,
    by_turns,
    is_hidden,
    name_of,
    path_of,
    sides_of_parts,
    version_of,
)
from imagenet_tasks.download.layout import (
    DEEPEST,
    NO_CLASS,
    NOT_CLASSES,
    Entry,
    Found,
    Level,
    are_heaps,
    are_letters,
    lower_folders,
    parts_of_set,
    shards_of,
)
from imagenet_tasks.download.members import Archives, Member, Opened, archive_suffix
from imagenet_tasks.errors import ConfigError, DataError, SourceUnavailable, without_secrets
from imagenet_tasks.settings.classes import classes_called, shown

MOST_NAMES = 200  # of one folder are looked at to see whether it holds pictures
log = logging.getLogger(__name__)
Open = Callable[[], tuple[str, Opened]]  # an archive's version, and the archive


class FolderSource(FileSource):
    """A location with a folder of pictures or an archive per class, named by wnid or by any other name.

    Where it holds one folder alone with several of them, these are the classes. Where its folders are the parts of a
    split set, as `train` and `val`, the classes are what lies in the parts.

    Args:
        location: the directory, fsspec URL or archive.
        max_bytes: a larger file or member is rejected unread.
        given_split: whether the parts of a split set are its sides; else all of them are one set of pictures.
        unused: why a file there that was looked into already is not used, by its name.
    """

    def __init__(
        self, location: str, max_bytes: int, *, given_split: bool = True, unused: Mapping[str, str] | None = None
    ) -> None:
        root = path_of(location)
        super().__init__(root, max_bytes)
        self._archives = Archives(max_bytes)
        self._entries: defaultdict[str, list[tuple[Entry, GivenSide | None]]] = defaultdict(list)
        self._passed_over: defaultdict[str, list[str]] = defaultdict(list)
        self._unused = unused or {}
        self._given_split, self._in_parts = given_split, False
        try:
            is_archive = bool(archive_suffix(name_of(root))) and root.is_file()
            self._is_at_hand = is_archive or bool(self._real_root)  # so that looking around in it is no request each
            level = self._level_in(partial(self._open, root)) if is_archive else self._level_of(root)
            named = list(self._classes_of(level))
        except OSError as error:
            self.close()
            denied, is_there = isinstance(error, PermissionError), os.path.isdir(self._real_root)  # noqa: PTH112
            if not denied and (is_there or not isinstance(error, FileNotFoundError | NotADirectoryError)):
                raise SourceUnavailable(f"{without_secrets(location)}: could not be read: {error}") from error
            trouble = f"may not be read ({error.filename or error})" if denied else "is not a folder"
            raise ConfigError(
                f"location: {without_secrets(location)!r} {trouble}. Expected one that holds a folder of pictures or "
                "an archive per class, an archive of these, or a table of files and labels (.csv, .tsv, .jsonl, "
                ".parquet)."
            ) from error
        except BaseException:
            self.close()
            raise
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
        self._hidden.clear()
        listed = [(list(entry.files().items()), side) for entry, side in self._entries.get(class_id, [])]
        if self._hidden:
            name = self._classes[class_id].name
            log.info("%s: passed over, hidden: %d (such as %s)", name, len(self._hidden), shown(self._hidden[0]))
        self._given |= {locator: side for found, side in listed if side for locator, _ in found}
        if not self._in_parts:
            return dict(one for found, _ in listed for one in found)
        return dict(by_turns(found for found, _ in listed))

    def close(self) -> None:
        """Closes the archives."""
        self._archives.close()

    def _classes_of(self, top: Level) -> Iterator[tuple[Entry, GivenSide | None]]:
        """Yields what is a class of a location, with the side that is given to its pictures."""
        level = self._settled(top)
        if level is not top:
            self._layout.append(f"the classes lie in {shown(level.where)}")
        if parts := parts_of_set(level):
            yield from self._of_parts(level, parts)
            return
        self._keep(level)
        self._refuse_heaps(level)
        if self._is_at_hand and (lower := lower_folders(level)):
            self._layout.append(
                f"the pictures lie in folders below those of the classes, such as {shown(lower)}: what lies below a "
                "class's folder is that class. If the lower folders are the classes, give a table of files and labels "
                "as the location"
            )
        yield from ((entry, None) for entry in level.entries)

    def _refuse_heaps(self, level: Level) -> None:
        """Refuses folders that hold pictures of all classes, or what is said of them."""
        names = [entry.name for entry in level.entries]
        if len(names) > 1 and ((told := {name.casefold() for name in names} <= NOT_CLASSES) or are_heaps(names)):
            raise ConfigError(
                f"location: {' and '.join(map(shown, names[:3]))} hold all pictures"
                f"{' and what is said of them' if told else ''}, and are no classes. Expected a folder or an archive "
                "per class, such as cat/1.jpg, or a table of files and labels as the location."
            )

    def _settled(self, level: Level) -> Level:
        """Returns the level whose entries are classes, or parts of a split set; keeps what is passed over above it."""
        if self._is_at_hand:
            if shards := shards_of(level):
                raise ConfigError(
                    f"location: {', '.join(map(shown, shards[:3]))} are shards of a WebDataset: each holds pictures of "
                    "all classes, with their labels beside them. Expected a folder or an archive per class: write the "
                    "pictures to files, in folders of their classes or with a table of files and labels."
                )
            level.pass_over_holding("other files")  # an empty folder may be a class whose pictures are missing
        if parts_of_set(level):
            return level
        if below := self._one_below(level):
            if self._is_at_hand:
                level.pass_over_holding("nothing")
            self._keep(level)
            return self._settled(below)
        if self._is_at_hand:
            level.pass_over_copies()
        if are_letters(level):
            some = ", ".join(f"{level.where}{entry.name}" for entry in level.entries[:3])
            self._layout.append(f"folders of letters, such as {some}, only order the classes")
            level.open_letters()
        return level

    def _one_below(self, level: Level) -> Level | None:
        """Returns what lies in the one folder that holds the classes; None where they lie here."""
        entries = [e for e in level.entries if e.holds != "nothing"] if self._is_at_hand else level.entries
        if len(entries) != 1:
            return None
        try:
            below = entries[0].inside
        except DataError:  # an archive that is none: whoever lists its class says so
            return None
        if NO_CLASS in below.passed_over or below.where.count("/") > DEEPEST:
            return None
        several = len(below.entries) > 1 or parts_of_set(below) or self._one_below(below)
        return below if several else None

    def _of_parts(self, level: Level, parts: Mapping[str, Split]) -> Iterator[tuple[Entry, GivenSide | None]]:
        """Yields what is a class of a split set."""
        self._in_parts = True
        found: list[tuple[Split, Level]] = []
        for entry in level.entries:
            if entry.name not in parts:
                level.passed_over["no part of the split set"].append(f"{level.where}{entry.name}")
                continue
            inside = self._settled(entry.inside)
            self._keep(inside)
            self._refuse_heaps(inside)
            found.append((parts[entry.name], inside))
        self._keep(level)
        trained = {entry.name for side, inside in found if side == "train" for entry in inside.entries}
        for _, inside in found:
            if trained and (unknown := [entry for entry in inside.entries if entry.name not in trained]):
                self._passed_over[NOT_TRAINED] += [f"{inside.where}{entry.name}" for entry in unknown]
                inside.entries = [entry for entry in inside.entries if entry.name in trained]
        found = [(side, inside) for side, inside in found if inside.entries]
        if not found:
            are = "are parts of one set of pictures, and no classes" if len(parts) > 1 else "is a part of a set"
            raise ConfigError(
                f"location: {', '.join(map(shown, parts))} {are}; no folder or archive per class lies there. Expected "
                "such as train/cat/1.jpg, or a table of files and labels as the location: names of files are not taken "
                "for labels."
            )
        sides = sides_of_parts({side for side, _ in found}) if self._given_split else {}
        if len(found) == 1:
            self._layout.append(f"the classes lie in {shown(found[0][1].where)}")
        else:
            self._layout += [f"{shown(inside.where)} is {MADE_OF[sides.get(side)]}" for side, inside in found]
        yield from ((entry, sides.get(side)) for side, inside in found for entry in inside.entries)

    def _keep(self, level: Level) -> None:
        for why, names in level.passed_over.items():
            for name in names:
                self._passed_over[self._unused.get(name, why)].append(name)

    def _level_of(self, folder: UPath, where: str = "") -> Level:
        """Returns what lies in a folder of a file system."""
        level = Level(where)
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            name = name_of(path)
            suffix = archive_suffix(name)
            if is_hidden(name):
                level.pass_over(name)
            elif trouble := self._trouble_with_link(path):
                level.passed_over[trouble].append(f"{where}{name}")
            elif suffix and not self._is_local_folder(path):
                level.entries.append(self._archive(name, partial(self._open, path), where))
            elif suffix or path.is_dir():
                files, look = partial(self._files_of, path), partial(self._level_of, path, f"{where}{name}/")
                level.entries.append(Entry(name, files, look, partial(_paths_below, path)))
            else:
                level.pass_over(name)
        return level

    def _files_of(self, folder: UPath) -> Found:
        return dict(self._below(folder))

    def _archive(self, name: str, open_: Open, where: str) -> Entry:
        files, look = partial(self._files_in, open_), partial(self._level_in, open_, f"{where}{name}/")
        return Entry(name[: -len(archive_suffix(name))], files, look, archive=archive_suffix(name))

    def _files_in(self, open_: Open) -> Found:
        version, opened = open_()
        return self._members(opened.where, version, self._archives.members(opened))

    def _open(self, path: UPath) -> tuple[str, Opened]:
        try:
            about = path.stat()
            file: IO[bytes] = self._archives.keep(path.open("rb"))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SourceUnavailable(f"{path}: could not be read: {error}") from error
        return version_of(about), Opened(file, about.st_size, str(path), threading.Lock())

    def _level_in(self, open_: Open, above: str = "") -> Level:
        """Returns what lies in an archive."""
        version, opened = open_()
        members = [(_parts_of(member.name), member) for member in self._archives.members(opened)]
        return self._level_of_members(opened.where, version, members, above)

    def _level_of_members(
        self, where: str, version: str, members: Sequence[tuple[Sequence[str], Member]], above: str
    ) -> Level:
        """Returns what lies in a folder of an archive.

        Args:
            where: the archive.
            version: of the archive.
            members: each with the names of the folders from here on that it lies in, and its own.
            above: the folder.
        """
        level = Level(above)
        below: defaultdict[str, list[tuple[Sequence[str], Member]]] = defaultdict(list)
        for parts, member in members:
            if not parts or is_hidden(parts[0]):
                level.passed_over["hidden"].append(f"{above}{parts[0] if parts else member.name}")
            elif len(parts) > 1:
                below[parts[0]].append((parts[1:], member))
            elif archive_suffix(parts[0]):
                level.entries.append(self._archive(parts[0], partial(_open_within, member, version), above))
            else:
                level.pass_over(parts[0])
        for name, held in below.items():
            files = partial(self._members, where, version, [member for _, member in held])
            look = partial(self._level_of_members, where, version, held, f"{above}{name}/")
            level.entries.append(Entry(name, files, look, partial(_paths_of, held)))
        level.entries.sort(key=lambda entry: entry.name)
        return level

    def _members(self, where: str, version: str, members: Sequence[Member]) -> Found:
        """Returns an archive's files without hidden ones."""
        found = {}
        for member in members:
            if any(map(is_hidden, _parts_of(member.name))):
                self._hidden.append(member.name)
            else:
                self._get[f"{where}#{member.name}"] = member.read
                found[f"{where}#{member.name}"] = f"{version} {member.place}"
        return found


def _open_within(member: Member, version: str) -> tuple[str, Opened]:
    return f"{version} {member.place}", member.open()


def _paths_below(folder: UPath) -> Iterator[str]:
    """Yields the paths of the files below a folder, those that lie directly in it first; without hidden ones.

    Of one folder only some are named. What a link leads to is not looked at: by its ending it may be a picture.
    """
    if not isinstance(folder, Path):
        yield from (path.name for path in folder.iterdir() if not path.is_dir())
        return
    waiting = deque([(str(folder), "")])
    while waiting:
        inside, where = waiting.popleft()
        with os.scandir(inside) as entries:
            files = 0
            for entry in entries:
                if is_hidden(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, f"{where}{entry.name}/"))
                elif (files := files + 1) <= MOST_NAMES:
                    without = "." not in entry.name and entry.is_symlink()
                    yield f"{where}{entry.name}{'.link' if without else ''}"


def _paths_of(held: Sequence[tuple[Sequence[str], Member]]) -> Iterator[str]:
    """Yields the paths of the files in a folder of an archive, those that lie directly in it first."""
    for directly in (True, False):
        for parts, _ in held:
            if (len(parts) == 1) == directly and not any(map(is_hidden, parts)):
                yield "/".join(parts)


def _parts_of(name: str) -> list[str]:
    """Returns the names of a member's folders and its own."""
    return [part for part in name.split("/") if part not in ("", ".", "..")]
