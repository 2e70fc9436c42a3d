"""What lies below the root as pieces that go or stay as a whole. What this layout does not know is never touched."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.champions import KEY
from imagenet_tasks.artifacts.kinds import KINDS, Kind
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.store.storage import MARKER, QUARANTINED, Store
from imagenet_tasks.store.walk import Found
from imagenet_tasks.workflow.run_index import RunIndex

# What is declared of each kind that lies below the root, by what it is called here. First comes what refers to what
# follows: so it goes first. Kinds that share a folder are one.
LAYOUT: dict[str, Kind] = {}
for _kind in KINDS:
    LAYOUT.setdefault(_kind.plural, _kind)
LEFTOVERS = "leftovers"
READ = (kinds.RUN.folder, *(kind.folder for kind in KINDS if kind.names_others))  # where it is read what refers to what
_LEFTOVER = r"(?:[^/]+/){1,4}?\.(?:attempt-[0-9a-f]{12}|(?:writing|removing)-[0-9a-f]{32})"
_PIECE = re.compile(
    "|".join(
        f"(?P<{kind}>{key})(?=/|$)"
        for kind, key in ((LEFTOVERS, _LEFTOVER), *((k, v.pattern) for k, v in LAYOUT.items()))
    )
)
_OWN = re.compile(rf"(?:[^/]+/)+\.lock|images/[^/]+/records\.jsonl|{re.escape(KEY)}")
_INNER = re.compile(r"[0-9a-f]{12}(?=/)")  # of an attempt's folder on an object store (Store.publish)
_FILES = {name: re.compile(kind.files) for name, kind in LAYOUT.items()}
_FOLDERS = re.compile(rf"({'|'.join(kind.folder for kind in KINDS)})/")


@dataclass(slots=True)
class Piece:
    """What goes or stays as a whole; `changed_s` is the latest change of anything in it (Unix time).

    `is_strange` where it holds, or is, a link or a file that the layout does not know; `names` are the files of a run
    or the marker of a published folder; `inner` are the attempts' folders in one on an object store.
    """

    kind: str
    key: str
    files: int = 0
    size_bytes: int = 0
    changed_s: float = 0.0
    is_link: bool = False
    is_strange: bool = False
    names: list[str] = field(default_factory=list)
    inner: dict[str, "Piece"] = field(default_factory=dict)

    @property
    def is_complete(self) -> bool:
        """Whether it is a published folder."""
        return MARKER in self.names

    @property
    def count(self) -> int:
        """As how many it counts: pictures are counted one by one."""
        return self.files if self.kind == "pictures" else 1

    @property
    def mark(self) -> str:
        """The fingerprint by which records name it; of a checkpoint that of its model."""
        if self.kind == "checkpoints":
            return self.key.split("/")[1]
        return self.key.rpartition("/")[2].removeprefix("selected-").removesuffix(".json")

    def add(self, found: Found) -> None:
        """Counts a file of it."""
        name = found.key[len(self.key) + 1 :]
        self.files += not found.key.endswith("/")
        self.size_bytes += found.size_bytes
        self.changed_s = max(self.changed_s, found.changed_s)
        self.is_link |= found.is_link and not name
        self.is_strange |= found.is_link or not self._is_known(name)
        if self.kind == "runs" or name in (MARKER, QUARANTINED):
            self.names.append(name)
        if self.kind not in ("runs", LEFTOVERS) and (inner := _INNER.match(name)):
            key = f"{self.key}/{inner[0]}"
            self.inner.setdefault(inner[0], Piece(LEFTOVERS, key)).add(found)

    def _is_known(self, name: str) -> bool:
        if self.kind == LEFTOVERS or name in ("", MARKER, QUARANTINED):
            return True
        if self.kind != "runs" and _INNER.match(name):
            name = name.partition("/")[2]
        return bool(_FILES[self.kind].fullmatch(name))


@dataclass
class Layout:
    """All that was found: pieces by kind, single pictures counted only, and what nobody here wrote."""

    pieces: dict[str, list[Piece]]
    pictures: Piece
    classes: set[str]
    unknown: list[Found]


def look_around(store: Store) -> Layout:
    """Returns what lies below the root.

    Raises:
        ArtifactError: where records of what is in use lie behind a link, which is not followed.
    """
    pieces: dict[str, Piece] = {}
    pictures, classes, unknown = Piece("pictures", "images"), set(), []
    for found in store.walk():
        if found.is_link and (found.key in (*READ, KEY) or found.key.startswith("runs/")):
            raise ArtifactError(
                f"{store.path(found.key)}: expected what runs wrote, found a link, which is not followed: what is in "
                "use behind it would count as unused. Nothing was removed. Put what it leads to in its place."
            )
        match = _PIECE.match(found.key)
        if match and match.lastgroup == "pictures" and match.end() == len(found.key) and not found.is_link:
            pictures.files += 1
            pictures.size_bytes += found.size_bytes
            classes.add(found.key.split("/")[1])
        elif match and match.lastgroup and match.lastgroup != "pictures" and _FOLDERS.match(found.key):
            key = match[0]
            if key not in pieces:
                pieces[key] = Piece(match.lastgroup, key)
            pieces[key].add(found)
        elif found.is_link or not (found.key.endswith("/") or _OWN.fullmatch(found.key)):
            unknown.append(found)
    by_kind = defaultdict(list)
    for _, piece in sorted(pieces.items()):
        by_kind[piece.kind].append(piece)
    return Layout(pieces=by_kind, pictures=pictures, classes=classes, unknown=unknown)


def is_reported(run: Piece) -> bool:
    """Tells whether a run has come to its report."""
    return RunIndex.KEY in run.names
