"""Reads and writes what the stages keep as pictures and arrays. NumPy is imported when an array is wanted."""

import contextlib
import csv
import hashlib
import json
import os
from array import array as numbers
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imagenet_tasks.artifacts.references import SPLITS, ClassArray, Dataset, Split, TrainedModel
from imagenet_tasks.errors import ArtifactError, ChecksumMismatch, DataError, Rejected
from imagenet_tasks.store.json_text import parse_json
from imagenet_tasks.store.storage import Store
from imagenet_tasks.store.threads import AT_ONCE

if TYPE_CHECKING:
    import numpy as np

PIECE_BYTES = 16 * 2**20  # of pictures that are read at a time
LOOK = [("hash", "<u8"), ("flat", "?")]  # of one picture: what `images.look` returns


@dataclass(frozen=True, kw_only=True)
class SplitRow:
    """A picture of a split: its id, its label, and its row in its class's array.

    `group` names those that look alike, over all classes; '' where no other picture looks like it.
    """

    image_id: str
    class_id: str
    label: int
    row: int
    group: str

    @classmethod
    def of(cls, line: dict[str, str]) -> "SplitRow":
        """Returns what a line of split.csv says."""
        return cls(
            image_id=line["image_id"], class_id=line["class_id"], label=int(line["label"]), row=int(line["row"]),
            group=line["group"],
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SplitTable:
    """A dataset's split as arrays, in order of label and row: 13 bytes a picture, where a SplitRow takes hundreds.

    Attributes:
        labels: int32 (n,).
        rows: int32 (n,), in the class's array.
        sides: int8 (n,), the place in SPLITS; -1 for a picture that is left out.
        marks: uint32 (n,); modulo the number of folds it is what `fold_of` says.
        test_steers: whether the test pictures are the validation pictures too.
    """

    labels: "np.ndarray"
    rows: "np.ndarray"
    sides: "np.ndarray"
    marks: "np.ndarray"
    test_steers: bool

    def on(self, split: Split) -> "np.ndarray":
        """Returns the places in the table, int64 and ascending, of the pictures on one side."""
        side = "test" if self.test_steers and split == "validation" else split
        return (self.sides == SPLITS.index(side)).nonzero()[0]

    def part(self, parts: int) -> "np.ndarray":
        """Returns the places, int64 and ascending, of one of `parts` parts of each class's training pictures.

        A smaller part lies in a larger one, and pictures of a class that look alike stay together. Of a class that has
        any picture, there is one at least.
        """
        import numpy as np

        train = self.on("train")
        kept = [train[:0]]
        for own in np.split(train, np.flatnonzero(np.diff(self.labels[train])) + 1):
            marks = self.marks[own]
            last = max(1, round(len(own) / parts)) - 1
            kept.append(own[marks <= np.sort(marks)[last]] if len(own) else own)
        return np.concatenate(kept)


def read_picture(store: Store, class_id: str, file: str) -> bytes:
    """Returns a stored picture's bytes after checking them against the hash that is its name.

    Raises:
        ChecksumMismatch: where they differ.
    """
    key = f"images/{class_id}/{file}"
    data = store.read_bytes(key)
    expected, received = file.partition(".")[0], hashlib.sha256(data).hexdigest()
    if received != expected:
        raise ChecksumMismatch(
            f"{store.path(key)}: expected SHA-256 {expected}, received {received}. Delete the file and run again: it "
            "is then downloaded anew."
        )
    return data


@contextlib.contextmanager
def open_picture(store: Store, class_id: str, file: str) -> Iterator[bytes]:
    """Yields a stored picture's bytes, to decode them.

    Raises:
        ChecksumMismatch: where they are not those that were received.
        DataError: where decoding them raises Rejected, although they were accepted once.
    """
    data = read_picture(store, class_id, file)
    try:
        yield data
    except Rejected as rejected:
        import PIL

        raise DataError(
            f"{store.path(f'images/{class_id}/{file}')}: this picture of class {class_id} was usable when it was "
            f"downloaded, and Pillow {PIL.__version__} does not decode it: {rejected}. Delete the file and run again, "
            "which judges it anew, or go back to the version of Pillow before."
        ) from rejected


def load_array(path: Path, *, mapped: bool = True) -> "np.ndarray":
    """Returns the array of a checked file; what is pickled in it is never run.

    Args:
        path: of the file.
        mapped: whether to map it into memory instead of reading it.

    Raises:
        ArtifactError: where it holds no array of numbers.
    """
    import numpy as np

    try:
        found: np.ndarray = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (ValueError, EOFError, SyntaxError) as error:
        raise ArtifactError(
            f"{path}: expected an array of numbers, found something else ({error}). Delete its folder and run again."
        ) from error
    return found


def reading_threads(store: Store) -> int:
    """Returns how many threads read and decode pictures: one for each core; more where a store is waited for."""
    return (os.cpu_count() or 1) if store.is_local else AT_ONCE


def write_array(
    folder: Path,
    array: ClassArray,
    pictures: Sequence["np.ndarray"],
    ids: Sequence[str],
    *,
    shape: tuple[int, int, int],
    looks: Sequence[tuple[int, bool]] | None = None,
) -> None:
    """Writes pictures of one class as one memory-mappable array beside their ids.

    Args:
        folder: where to.
        array: its name.
        pictures: uint8 arrays of `shape`.
        ids: the image id of each.
        shape: rows, columns, 3; also where there are no pictures.
        looks: how each looks; None for pictures that no split asks about.
    """
    import numpy as np

    stacked = np.stack(pictures) if len(pictures) else np.empty((0, *shape), np.uint8)
    np.save(folder / f"{array.class_id}.npy", stacked, allow_pickle=False)
    (folder / "ids.json").write_text(json.dumps(list(ids)))
    if looks is not None:
        np.save(folder / "looks.npy", np.array(looks, LOOK), allow_pickle=False)


def read_array(store: Store, array: ClassArray) -> tuple["np.ndarray", list[str]]:
    """Returns a class's pictures, uint8 (pictures, rows, columns, 3), memory-mapped, and their image ids."""
    return read_pixels(store, array), read_ids(store, array)


def read_pixels(store: Store, array: ClassArray) -> "np.ndarray":
    """Returns a class's pictures, uint8 (pictures, rows, columns, 3), memory-mapped."""
    return load_array(store.open_file(array.folder, f"{array.class_id}.npy"))


def read_pieces(store: Store, array: ClassArray, rows: "np.ndarray") -> Iterator[tuple["np.ndarray", slice]]:
    """Yields a class's pictures in `rows`, uint8 (n, rows, columns, 3), PIECE_BYTES at a time, each with its part.

    The file is mapped anew for each: what was read counts as memory of the process as long as it is mapped.
    """
    import numpy as np

    path = store.open_file(array.folder, f"{array.class_id}.npy")
    start = 0
    while start < len(rows):
        pictures = load_array(path)
        part = slice(start, min(start + max(1, PIECE_BYTES // pictures[0].nbytes), len(rows)))
        yield np.asarray(pictures[rows[part]]), part
        start = part.stop


def read_looks(store: Store, array: ClassArray) -> tuple[list[str], "np.ndarray"]:
    """Returns the image ids of a class's pictures and how each looks, of type LOOK (count,); no pixel is read."""
    return read_ids(store, array), load_array(store.open_file(array.folder, "looks.npy"), mapped=False)


def read_ids(store: Store, array: ClassArray) -> list[str]:
    """Returns the image ids of a class's pictures."""
    path = store.open_file(array.folder, "ids.json")
    ids: list[str] = parse_json(path.read_bytes(), where=path)
    return ids


def read_split(store: Store, dataset: Dataset, split: Split) -> list[SplitRow]:
    """Returns the pictures on one side of a dataset's split, in order of label and row.

    Where the test pictures steer, they are the validation pictures too.
    """
    return list(split_rows(store, dataset, split))


def split_rows(store: Store, dataset: Dataset, split: Split) -> Iterator[SplitRow]:
    """Yields what `read_split` returns."""
    if dataset.test_steers and split == "validation":
        split = "test"
    with store.open_file(dataset.folder, "split.csv").open(newline="") as file:
        yield from (SplitRow.of(line) for line in csv.DictReader(file) if line["split"] == split)


def read_table(store: Store, dataset: Dataset) -> SplitTable:
    """Returns a dataset's split, all sides of it, from one reading of the file."""
    import numpy as np

    labels, rows, marks, sides = numbers("i"), numbers("i"), numbers("I"), numbers("b")
    side_of: dict[str, int] = {side: place for place, side in enumerate(SPLITS)}
    with store.open_file(dataset.folder, "split.csv").open(newline="") as file:
        table = csv.reader(file)
        names = next(table)
        columns = [names.index(name) for name in ("image_id", "label", "row", "split", "group")]
        for line in table:
            image_id, label, row, split, group = (line[column] for column in columns)
            labels.append(int(label))
            rows.append(int(row))
            sides.append(side_of.get(split, -1))
            marks.append(_mark_of(group or image_id))
    return SplitTable(
        labels=np.frombuffer(labels, np.int32),
        rows=np.frombuffer(rows, np.int32),
        sides=np.frombuffer(sides, np.int8),
        marks=np.frombuffer(marks, np.uint32),
        test_steers=dataset.test_steers,
    )


def read_probabilities(store: Store, dataset: Dataset, model: TrainedModel, of: str, pictures: int) -> "np.ndarray":
    """Returns what a model says of pictures, float32 (pictures, classes), memory-mapped.

    Args:
        store: where the model is.
        dataset: that it was trained on.
        model: the model.
        of: a side of the split, or 'labels' for the fold that it judges.
        pictures: how many there are.

    Raises:
        ArtifactError: where they are of other pictures, or the file is missing or damaged.
    """
    path = store.open_file(model.folder, f"probabilities_{of}.npy")
    found = load_array(path)
    expected = pictures, len(dataset.classes)
    if model.trial.dataset != dataset.fingerprint or (found.shape != expected and max(len(found), pictures)):
        raise ArtifactError(
            f"{path}: expected probabilities of {pictures} pictures and {len(dataset.classes)} classes of dataset "
            f"{dataset.fingerprint}, found {found.shape} of {model.trial.dataset}. The model was trained on another "
            "dataset: train it again (force=train)."
        )
    return found


def _mark_of(name: str) -> int:
    return int(name[-8:], 16)


def fold_of(name: str, folds: int) -> int:
    """Returns the part, 0 to folds - 1, in which a training picture's label is judged.

    Args:
        name: of the picture's group, else its image id: a copy of a picture would give its label away.
        folds: how many parts.
    """
    return _mark_of(name) % folds


def pictures_by_class(
    store: Store, dataset: Dataset, table: SplitTable, places: "np.ndarray"
) -> Iterator[tuple["np.ndarray", slice]]:
    """Yields the pictures at `places`, as `read_pieces` does, class by class, each with its part of `places`.

    One class's file is open at a time.

    Args:
        store: where the arrays are.
        dataset: whose classes.
        table: its split.
        places: int (n,), ascending: which rows of the table.
    """
    import numpy as np

    ends = np.searchsorted(table.labels[places], np.arange(len(dataset.classes)), side="right").tolist()
    for member, start, stop in zip(dataset.classes, [0, *ends], ends, strict=False):
        if start < stop:
            for pictures, part in read_pieces(store, member.array, table.rows[places[start:stop]]):
                yield pictures, slice(start + part.start, start + part.stop)
