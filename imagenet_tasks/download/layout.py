"""What lies in the folders and archives of a location, and what their names say of it: classes, parts, or neither."""

import re
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from imagenet_tasks.artifacts.references import Split
from imagenet_tasks.download.files import PARTS, PICTURES, UNREAD_PICTURES, is_hidden
from imagenet_tasks.settings.classes import WNID_PATTERN

# What authors of sets call the folders that hold all pictures, and what they say of these.
NOT_CLASSES = {
    "images", "image", "imgs", "img", "jpegimages", "photos", "pictures", "annotations", "annotation", "labels",
    "masks", "trimaps", "segmentationclass", "segmentationobject", "imagesets", "meta", "metadata",
}  # fmt: skip
SAY_NOTHING = {  # in the name of a part
    "set", "images", "image", "imgs", "img", "data", "dataset", "mini", "small", "full", "split",
}  # fmt: skip
SAID_OF_ONE = (".cls", ".json", ".txt")  # of what lies beside each picture in a shard, and says its label
LOOKED_INTO = 50
NO_CLASS = "a picture that lies in no class's folder"
NEITHER = "neither a folder nor an archive"
Found = dict[str, str]  # the versions of files by their locators


@dataclass
class Entry:
    """What may be a class, or hold several: a folder or an archive, by its name.

    `look` says what lies in it; `names`, of a folder at hand, how that is called, at a fraction of the cost.
    """

    name: str
    files: Callable[[], Found]
    look: "Callable[[], Level]"
    names: Callable[[], Iterable[str]] = tuple
    is_archive: bool = False

    @cached_property
    def inside(self) -> "Level":
        """What lies in it."""
        return self.look()

    @cached_property
    def has_own_pictures(self) -> bool:
        """Whether pictures lie in it, and not in folders below it alone; also where it may not be read."""
        try:
            return any(map(is_picture, self.names())) or NO_CLASS in self.inside.passed_over
        except PermissionError:  # whoever lists its class says so
            return True

    def has_pictures(self, otherwise: bool) -> bool:
        """Tells whether it holds a picture or an archive, at any depth; `otherwise` where too much was looked into.

        What has no ending may be a picture, but in a folder that is called as those of what is said of pictures.
        """
        by_ending = self.name.casefold() in NOT_CLASSES
        waiting = deque([self])
        for _ in range(LOOKED_INTO):
            if not waiting:
                return False
            entry = waiting.popleft()
            if entry.is_archive or entry.has_own_pictures:
                return True
            level = entry.inside
            unknown = any("." not in name.rpartition("/")[2] for name in level.passed_over.get(NEITHER, []))
            if unknown and not by_ending:
                return True
            waiting += level.entries
        return otherwise


@dataclass
class Level:
    """What lies in one folder of a location: what may be a class, and the names of what is none, by the reason."""

    where: str
    entries: list[Entry] = field(default_factory=list)
    passed_over: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def folders(self) -> list[Entry]:
        """What may be a class and is no archive."""
        return [entry for entry in self.entries if not entry.is_archive]

    def pass_over(self, name: str) -> None:
        """Notes the name of a file that is no class."""
        why = NO_CLASS if is_picture(name) else NEITHER
        self.passed_over["hidden" if is_hidden(name) else why].append(f"{self.where}{name}")

    def pass_over_empty(self) -> None:
        """Notes the folders that hold no picture, and takes them out."""
        empty = [folder for folder in self.folders if not folder.has_pictures(otherwise=True)]
        if empty:
            self.passed_over["no picture inside"] += [f"{self.where}{folder.name}" for folder in empty]
            self.entries = [entry for entry in self.entries if entry not in empty]


def is_picture(name: str) -> bool:
    """Tells whether a file is a picture by its name, also where that kind is not read: its class falls short then."""
    return name.lower().endswith((*PICTURES, *UNREAD_PICTURES)) and not is_hidden(name)


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


def are_shards(level: Level) -> bool:
    """Tells whether these are the numbered archives of a WebDataset, which hold pictures of all classes."""
    names = {entry.name for entry in level.entries if entry.is_archive}
    alike = {re.sub(r"\d+", "0", name) for name in names}
    if len(names) < 2 or len(alike) > 1 or any(re.fullmatch(WNID_PATTERN, name) for name in names):
        return False
    inside = next(entry for entry in level.entries if entry.is_archive).inside
    said = (name.rpartition(".") for name in inside.passed_over.get(NEITHER, []))
    about = {stem for stem, dot, ending in said if f"{dot}{ending}" in SAID_OF_ONE}
    pictures = [name.rpartition(".")[0] for name in inside.passed_over.get(NO_CLASS, [])]
    return bool(pictures) and about.issuperset(pictures)


def are_letters(level: Level) -> bool:
    """Tells whether folders only order those of the classes by their first letters, as in Places365."""
    names = [entry.name for entry in level.entries]
    return (
        len(names) > 1
        and all(len(name) == 1 and name.isalpha() for name in names)
        and not any(entry.is_archive or entry.has_own_pictures for entry in level.entries)
    )


def classes_below(entry: Entry) -> Iterator[Entry]:
    """Yields the folders and archives below a letter; of one without pictures those in it, called after both."""
    for below in entry.inside.entries:
        if below.is_archive or below.has_own_pictures:
            yield below
        else:
            yield from (replace(deeper, name=f"{below.name} {deeper.name}") for deeper in classes_below(below))
