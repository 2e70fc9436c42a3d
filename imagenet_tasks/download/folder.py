"""The source `folder`: a directory, URL or archive that holds a folder of pictures, or an archive, per class."""

import os
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import islice
from operator import itemgetter
from typing import IO

from upath import UPath

from imagenet_tasks.artifacts.references import GivenSide, Split
from imagenet_tasks.download.files import (
    MADE_OF,
    NOT_TRAINED,
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
from imagenet_tasks.errors import ConfigError, DataError, SourceUnavailable, without_secrets
from imagenet_tasks.settings.classes import classes_called, shown

# What authors of sets call the folders that hold all pictures, and what they say of these.
NOT_CLASSES = {
    "images", "image", "imgs", "img", "jpegimages", "photos", "pictures", "annotations", "annotation", "labels",
    "masks", "trimaps", "segmentationclass", "segmentationobject", "imagesets", "meta", "metadata",
}  # fmt: skip
SAY_NOTHING = {  # in the name of a part
    "set", "images", "image", "imgs", "img", "data", "dataset", "mini", "small", "full", "split",
}  # fmt: skip
FEW_FOLDERS, LOOKED_INTO, DEEPEST = 6, 50, 20
NO_CLASS = "a picture that lies in no class's folder"
NEITHER = "neither a folder nor an archive"
Found = dict[str, str]  # the versions of files by their locators
Open = Callable[[], tuple[str, Opened]]  # an archive's version, and the archive


@dataclass
class _Entry:
    """What may be a class, or hold several: a folder or an archive, by its name.

    `look` says what lies in it; `names`, of a folder at hand, how that is called, at a fraction of the cost.
    """

    name: str
    files: Callable[[], Found]
    look: "Callable[[], _Level]"
    names: Callable[[], Iterable[str]] = tuple
    is_archive: bool = False

    @cached_property
    def inside(self) -> "_Level":
        return self.look()


@dataclass
class _Level:
    """What lies in one folder of a location: what may be a class, and the names of what is none, by the reason."""

    where: str
    entries: list[_Entry] = field(default_factory=list)
    passed_over: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def folders(self) -> list[_Entry]:
        return [entry for entry in self.entries if not entry.is_archive]

    def pass_over(self, name: str) -> None:
        """Notes the name of a file that is no class."""
        why = NO_CLASS if _is_picture(name) else NEITHER
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
            self._is_at_hand = is_archive or bool(self._real_root)  # so that looking around in it is no request each
            level = self._level_in(partial(self._open, root)) if is_archive else self._level_of(root)
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
        if parts := _parts_of_set(level):
            yield from self._of_parts(level, parts)
            return
        below = self._one_below(level)
        self._keep(level)
        if below:
            self._layout.append(f"the classes lie in {shown(below.where)}")
            yield from self._classes_of(below)
            return
        names = [entry.name for entry in level.entries]
        if len(names) > 1 and {name.casefold() for name in names} <= NOT_CLASSES:
            raise ConfigError(
                f"location: {' and '.join(names)} hold all pictures and what is said of them, and are no classes. "
                "Expected a folder or an archive per class, such as cat/1.jpg, or a table of files and labels as the "
                "location."
            )
        yield from ((entry, None) for entry in level.entries)

    def _one_below(self, level: _Level) -> _Level | None:
        """Returns what lies in the one folder that holds the classes; None where they lie here."""
        folders = level.entries if len(level.entries) == 1 else level.folders
        if len(folders) < len(level.entries):
            return None
        if self._is_at_hand and 1 < len(folders) <= FEW_FOLDERS:
            folders = list(islice(filter(_has_pictures, folders), 2))  # a second one is answer enough
        if len(folders) != 1:
            return None
        try:
            below = folders[0].inside
        except DataError:  # an archive that is none: whoever lists its class says so
            return None
        if NO_CLASS in below.passed_over or below.where.count("/") > DEEPEST:
            return None
        if len(below.entries) < 2 and not _parts_of_set(below) and not self._one_below(below):
            return None
        others = [f"{level.where}{folder.name}" for folder in level.folders if folder is not folders[0]]
        if others:
            level.passed_over["a folder without pictures"] += others
        return below

    def _of_parts(self, level: _Level, parts: Mapping[str, Split]) -> Iterator[tuple[_Entry, GivenSide | None]]:
        """Yields what is a class of a split set."""
        self._in_parts = True
        found: list[tuple[Split, _Level]] = []
        for entry in level.entries:
            if entry.name not in parts:
                level.passed_over["no part of the split set"].append(f"{level.where}{entry.name}")
                continue
            inside = entry.inside
            self._keep(inside)
            while below := self._one_below(inside):
                inside = below
                self._keep(inside)
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
                level.entries.append(self._archive(name, partial(self._open, path), where))
            elif suffix or path.is_dir():
                files, look = partial(self._files_of, path), partial(self._level_of, path, f"{where}{name}/")
                level.entries.append(_Entry(name, files, look, partial(os.listdir, path)))
            else:
                level.pass_over(name)
        return level

    def _files_of(self, folder: UPath) -> Found:
        return dict(self._below(folder))

    def _archive(self, name: str, open_: Open, where: str) -> _Entry:
        files, look = partial(self._files_in, open_), partial(self._level_in, open_, f"{where}{name}/")
        return _Entry(name[: -len(archive_suffix(name))], files, look, is_archive=True)

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

    def _level_in(self, open_: Open, above: str = "") -> _Level:
        """Returns what lies in an archive."""
        version, opened = open_()
        members = [(_parts_of(member.name), member) for member in self._archives.members(opened)]
        return self._level_of_members(opened.where, version, members, above)

    def _level_of_members(
        self, where: str, version: str, members: Sequence[tuple[Sequence[str], Member]], above: str
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
            level.entries.append(_Entry(name, files, look, partial(map, itemgetter(0), [parts for parts, _ in held])))
        level.entries.sort(key=lambda entry: entry.name)
        return level

    def _members(self, where: str, version: str, members: Sequence[Member]) -> Found:
        """Returns an archive's files without hidden ones."""
        found = {}
        for member in members:
            if not any(map(is_hidden, _parts_of(member.name))):
                self._get[f"{where}#{member.name}"] = member.read
                found[f"{where}#{member.name}"] = f"{version} {member.place}"
        return found


def _open_within(member: Member, version: str) -> tuple[str, Opened]:
    return f"{version} {member.place}", member.open()


def _parts_of_set(level: _Level) -> dict[str, Split]:
    """Returns the folders or archives that are the parts of a split set, by name: {} where they are none.

    They are called train and val, or alike but for that, as seg_train and seg_test, or train_images and test1.
    """
    alike: defaultdict[tuple[str, ...], dict[str, Split]] = defaultdict(dict)
    for entry in level.entries:
        words = re.findall(r"[^\W\d_]+", entry.name.casefold())
        if len(called := [word for word in words if word in PARTS]) == 1:
            others = tuple(word for word in words if word not in PARTS and word not in SAY_NOTHING)
            alike[others][entry.name] = PARTS[called[0]]
    for others, parts in alike.items():
        if not NOT_CLASSES.intersection(others) and "train" in parts.values() and len(set(parts.values())) > 1:
            return parts
    return alike[()] if len(alike[()]) == len({entry.name for entry in level.entries}) else {}


def _has_pictures(entry: _Entry) -> bool:
    """Tells whether a folder holds a picture or an archive; after a look into some of those below it.

    What has no ending may be a picture, but in a folder that is called as those of what is said of pictures.
    """
    by_ending = entry.name.casefold() in NOT_CLASSES
    waiting = deque([entry])
    for _ in range(LOOKED_INTO):
        if not waiting:
            return False
        entry = waiting.popleft()
        if entry.is_archive or any(map(_is_picture, entry.names())):
            return True
        level = entry.inside
        unknown = any("." not in name.rpartition("/")[2] for name in level.passed_over.get(NEITHER, []))
        if NO_CLASS in level.passed_over or (unknown and not by_ending):
            return True
        waiting += level.entries
    return False


def _is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURES) and not is_hidden(name)


def _parts_of(name: str) -> list[str]:
    """Returns the names of a member's folders and its own."""
    return [part for part in name.split("/") if part not in ("", ".", "..")]
