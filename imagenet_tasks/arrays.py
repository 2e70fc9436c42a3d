"""Reads and writes what the stages keep as pictures and arrays. NumPy is imported when an array is wanted."""

import csv
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from imagenet_tasks.artifacts import ClassArray, Dataset, Split
from imagenet_tasks.errors import ChecksumMismatch
from imagenet_tasks.storage import Store

if TYPE_CHECKING:
    import numpy as np

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


def reading_threads(store: Store) -> int:
    """Returns how many threads read and decode pictures: one for each core; more where a store is waited for."""
    return (os.cpu_count() or 1) if store.is_local else 16


def write_array(
    store: Store,
    array: ClassArray,
    pictures: Sequence["np.ndarray"],
    ids: Sequence[str],
    *,
    shape: tuple[int, int, int],
    looks: Sequence[tuple[int, bool]] | None = None,
) -> None:
    """Publishes pictures of one class as one memory-mappable array beside their ids.

    Args:
        store: where to.
        array: its name.
        pictures: uint8 arrays of `shape`.
        ids: the image id of each.
        shape: rows, columns, 3; also where there are no pictures.
        looks: how each looks; None for pictures that no split asks about.
    """
    import numpy as np

    with store.publish(array.folder) as folder:
        stacked = np.stack(pictures) if len(pictures) else np.empty((0, *shape), np.uint8)
        np.save(folder / f"{array.class_id}.npy", stacked, allow_pickle=False)
        (folder / "ids.json").write_text(json.dumps(list(ids)))
        if looks is not None:
            np.save(folder / "looks.npy", np.array(looks, LOOK), allow_pickle=False)


def read_array(store: Store, array: ClassArray) -> tuple["np.ndarray", list[str]]:
    """Returns a class's pictures, uint8 (pictures, rows, columns, 3), memory-mapped, and their image ids."""
    import numpy as np

    pictures = np.load(store.open_file(array.folder, f"{array.class_id}.npy"), mmap_mode="r", allow_pickle=False)
    return pictures, _read_ids(store, array)


def read_looks(store: Store, array: ClassArray) -> tuple[list[str], "np.ndarray"]:
    """Returns the image ids of a class's pictures and how each looks, of type LOOK (count,); no pixel is read."""
    import numpy as np

    return _read_ids(store, array), np.load(store.open_file(array.folder, "looks.npy"), allow_pickle=False)


def _read_ids(store: Store, array: ClassArray) -> list[str]:
    ids: list[str] = json.loads(store.open_file(array.folder, "ids.json").read_bytes())
    return ids


def read_split(store: Store, dataset: Dataset, split: Split) -> list[SplitRow]:
    """Returns the pictures on one side of a dataset's split, in order of label and row.

    Where the test pictures steer, they are the validation pictures too.
    """
    if dataset.test_steers and split == "validation":
        split = "test"
    with store.open_file(dataset.folder, "split.csv").open(newline="") as file:
        return [
            SplitRow(
                image_id=r["image_id"],
                class_id=r["class_id"],
                label=int(r["label"]),
                row=int(r["row"]),
                group=r["group"],
            )
            for r in csv.DictReader(file)
            if r["split"] == split
        ]


def fold_of(name: str, folds: int) -> int:
    """Returns the part, 0 to folds - 1, in which a training picture's label is judged.

    Args:
        name: of the picture's group, else its image id: a copy of a picture would give its label away.
        folds: how many parts.
    """
    return int(name[-8:], 16) % folds


def load_split(store: Store, dataset: Dataset, split: Split) -> tuple["np.ndarray", "np.ndarray"]:
    """Returns one side of the split in memory: uint8 pictures (n, rows, columns, 3) and int32 labels (n,)."""
    import numpy as np

    rows = read_split(store, dataset, split)
    parts = [np.empty((0, dataset.rows_px, dataset.columns_px, 3), np.uint8)]
    for label, member in enumerate(dataset.classes):
        pictures, _ = read_array(store, member.array)
        parts.append(pictures[[r.row for r in rows if r.label == label]])
    return np.concatenate(parts), np.array([r.label for r in rows], np.int32)
