"""What lies in the folders and archives of a location, and what their names say of it: classes, parts, or neither."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import Literal

from imagenet_tasks.artifacts.references import Split
from imagenet_tasks.download.files import PARTS, PICTURES, is_hidden
from imagenet_tasks.errors import DataError, SourceUnavailable

# What authors of sets call the folders that hold all pictures, and what they say of these.
NOT_CLASSES = {
    "images", "image", "imgs", "img", "jpegimages", "photos", "pictures", "annotations", "annotation", "labels",
    "masks", "trimaps", "segmentationclass", "segmentationobject", "imagesets", "meta", "metadata",
}  # fmt: skip
SAY_NOTHING = {  # in the name of a part
    "set", "images", "image", "imgs", "img", "data", "dataset", "mini", "small", "full", "split",
}  # fmt: skip
# Files that end so, or are called so, are no pictures. Any other may be one: its bytes decide.
NO_PICTURES = {
    "txt", "md", "rst", "pdf", "doc", "docx", "odt", "rtf", "tex", "csv", "tsv", "json", "jsonl", "xml", "yaml", "yml",
    "toml", "ini", "cfg", "html", "htm", "css", "js", "py", "pyc", "ipynb", "sh", "bat", "r", "m", "mat", "npy", "npz",
    "h5", "hdf5", "pkl", "pickle", "pt", "pth", "onnx", "keras", "parquet", "arrow", "db", "sqlite", "log", "xls",
    "xlsx", "ods", "ppt", "pptx", "mp3", "wav", "mp4", "mov", "avi", "mkv", "lrprev", "lrcat", "xmp", "aae", "md5",
    "sha1", "sha256", "readme", "license", "licence", "makefile",
}  # fmt: skip
SAID_OF_ONE = {"cls", "json"}  # in a shard, of what lies beside each picture and says its label
MOST_PATHS = 500_000  # after so many files a folder is not said to hold no picture
DEEPEST = 20  # folders are looked down into
DEEPER = 2  # so far below its letter a class may lie
NO_CLASS = "a picture that lies in no class's folder"
NEITHER = "neither a folder nor an archive"
Found = dict[str, str]  # the versions of files by their locators


@dataclass(eq=False)
class Entry:
    """What may be a class, or hold several: a folder or an archive, by its name.

    `look` says what lies in it. `paths` are those of the files in a folder, at any depth, the ones directly in it
    first; they cost a fraction of it. `archive` is how an archive's name ends, '' of a folder.
    """

    name: str
    files: Callable[[], Found]
    look: "Callable[[], Level]"
    paths: Callable[[], Iterable[str]] = tuple
    archive: str = ""

    @cached_property
    def inside(self) -> "Level":
        """What lies in it."""
        return self.look()

    @cached_property
    def has_own_pictures(self) -> bool:
        """Whether there may be pictures directly in it; also where it cannot be read: whoever lists it says so."""
        try:
            return any(map(self._may_be_picture, takewhile(lambda path: "/" not in path, self.paths())))
        except OSError:
            return True

    @cached_property
    def holds(self) -> Literal["pictures", "other files", "nothing"]:
        """What lies in it, at any depth: in an archive, and where it cannot be read, there may be pictures."""
        found = 0
        try:
            for path in () if self.archive else self.paths():
                found += 1
                if self._may_be_picture(path) or found > MOST_PATHS:
                    return "pictures"
        except OSError:
            return "pictures"
        return "pictures" if self.archive else "other files" if found else "nothing"

    def _may_be_picture(self, path: str) -> bool:
        """Tells whether a file may be a picture by its name.

        What has no ending may be one, but in a folder that is called as those of what is said of pictures.
        """
        name = path.rpartition("/")[2]
        return may_be_picture(name) and ("." in name or self.name.casefold() not in NOT_CLASSES)


@dataclass
class Level:
    """What lies in one folder of a location: what may be a class, and the names of what is none, by the reason."""

    where: str
    entries: list[Entry] = field(default_factory=list)
    passed_over: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def pass_over(self, name: str) -> None:
        """Notes the name of a file that is no class."""
        why = NO_CLASS if name.lower().endswith(PICTURES) else NEITHER
        self.passed_over["hidden" if is_hidden(name) else why].append(f"{self.where}{name}")

    def pass_over_holding(self, what: Literal["other files", "nothing"]) -> None:
        """Notes the folders that hold no pictures but this, and takes them out."""
        if gone := [entry.name for entry in self.entries if entry.holds == what]:
            self.passed_over["no picture inside"] += [f"{self.where}{name}" for name in gone]
            self.entries = [entry for entry in self.entries if entry.holds != what]

    def pass_over_copies(self) -> None:
        """Notes a folder in which the others lie once more, as some archives have it, and takes it out."""
        names = {entry.name for entry in self.entries}
        for entry in self.entries if len(names) > 2 else ():
            if entry.archive or entry.has_own_pictures:
                continue
            again = {below.name for below in entry.inside.entries}
            if len(again) > 1 and again == names - {entry.name}:
                self.passed_over["a folder in which the classes lie once more"].append(f"{self.where}{entry.name}")
                self.entries.remove(entry)
                return

    def open_letters(self) -> None:
        """Puts the classes that the folders of their letters hold in the place of these."""
        for entry in self.entries:
            entry.inside.pass_over_holding("other files")
            for why, names in entry.inside.passed_over.items():
                self.passed_over[why] += names
        self.entries = [below for entry in self.entries for below in _classes_below(entry, DEEPER)]


def may_be_picture(name: str) -> bool:
    """Tells whether a file may be a picture by its name."""
    return name.lower().rpartition(".")[2] not in NO_PICTURES


def parts_of_set(level: Level) -> dict[str, Split]:
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


def shards_of(level: Level) -> list[str]:
    """Returns the names of the numbered archives of a WebDataset, which hold pictures of all classes; [] for none.

    Beside each picture, in a file that is called like it, lies what says its label.
    """
    alike: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in level.entries:
        if entry.archive.lower() == ".tar" and (numbered := re.fullmatch(r"(.*?)\d{3,}", entry.name)):
            alike[numbered[1]].append(entry)
    for prefix, entries in alike.items():
        if len(entries) > 1 and prefix.casefold() != "n":  # no wnids
            with suppress(DataError, SourceUnavailable):  # a damaged archive: whoever lists its class says so
                if _holds_labels(entries[0].inside):
                    return [entry.name for entry in entries]
    return []


def _holds_labels(level: Level) -> bool:
    """Tells whether beside each of an archive's pictures lies what says its label."""
    named = [name.rpartition("/")[2].partition(".") for name in level.passed_over.get(NEITHER, [])]
    labelled = {stem for stem, _, ending in named if ending.lower() in SAID_OF_ONE}
    pictures = {name.rpartition("/")[2].partition(".")[0] for name in level.passed_over.get(NO_CLASS, [])}
    return bool(pictures) and pictures <= labelled


def are_heaps(names: Sequence[str]) -> bool:
    """Tells whether these are numbered folders of pictures of all classes, such as images_part_1 and images_part_2."""
    alike = {re.sub(r"\d+", "0", name.casefold()) for name in names}
    words = re.findall(r"[^\W\d_]+", names[0].casefold())
    return len(names) > 1 and len(alike) == 1 and bool(NOT_CLASSES.intersection(words))


def are_letters(level: Level) -> bool:
    """Tells whether folders only order those of the classes by their first letters, as in Places365."""
    return len(level.entries) > 1 and all(
        len(entry.name) == 1
        and entry.name.isalpha()
        and not entry.archive
        and not entry.has_own_pictures
        and bool(entry.inside.entries)
        and all(
            below.name.casefold().startswith(entry.name.casefold())
            for below in entry.inside.entries
            if below.holds != "other files"
        )
        for entry in level.entries
    )


def _classes_below(entry: Entry, deeper: int) -> Iterator[Entry]:
    """Yields the folders and archives in a folder; of one that has only folders those in it, called after both."""
    for below in entry.inside.entries:
        if below.archive or below.has_own_pictures or deeper < 2 or not below.inside.entries:
            yield below
        else:
            yield from (replace(d, name=f"{below.name} {d.name}") for d in _classes_below(below, deeper - 1))


def lower_folders(level: Level, most: int = 50) -> str:
    """Returns a folder below a class's where all have their pictures in such and one has several; '' where not so.

    Of many classes the first ones are looked at.
    """
    if any(entry.archive or entry.has_own_pictures for entry in level.entries[:most]):
        return ""
    return next(filter(None, (_branch(entry, f"{level.where}{entry.name}/") for entry in level.entries[:most])), "")


def _branch(entry: Entry, where: str) -> str:
    """Returns one of several folders with pictures in a folder, or in the only one that it has; '' where not so."""
    below = [folder for folder in entry.inside.entries if folder.holds == "pictures" and not folder.archive]
    if len(below) == 1 and not below[0].has_own_pictures and where.count("/") < DEEPEST:
        return _branch(below[0], f"{where}{below[0].name}/")
    return f"{where}{below[0].name}" if len(below) > 1 else ""
