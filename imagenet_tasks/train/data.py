"""What a training reads: pictures held in memory or, where they are too many for that, streamed from shards."""

import contextlib
import functools
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from imagenet_tasks.artifacts.arrays import (
    SplitTable,
    pictures_by_class,
    read_pieces,
    read_pixels,
    read_table,
    split_rows,
)
from imagenet_tasks.artifacts.kinds import EVALUATION
from imagenet_tasks.artifacts.quality import Suspects
from imagenet_tasks.artifacts.references import Dataset, Trial
from imagenet_tasks.store.local_disk import cache_folder
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train.epochs import WINDOW_SHARDS
from imagenet_tasks.train.memory import allowed_bytes
from imagenet_tasks.train.shards import SHARD_BYTES, Scratch, Shards, fill, spread

log = logging.getLogger(__name__)
Pictures = np.ndarray | Shards
# So many shards would fill the memory that is allowed: up to three windows, the shard that is read, and some air.
SHARDS_IN_MEMORY = 3 * WINDOW_SHARDS + 4


@dataclass(frozen=True, kw_only=True)
class Data:
    """The pictures of one training.

    Attributes:
        pictures: uint8 (n, rows, columns, 3), those that are trained on.
        labels: int32 (n,), theirs.
        validation: pictures and labels that decide which epoch is the best; may be empty.
        added: how many training pictures of each class were added, less those left out as doubtful, int (classes,).
        streamed: whether they are read from shards.
        asked: the names of those that the trained model is asked about.
        read: returns these by name.
    """

    pictures: Pictures
    labels: np.ndarray
    validation: tuple[Pictures, np.ndarray]
    added: np.ndarray
    streamed: bool
    asked: tuple[str, ...]
    read: Callable[[str], Pictures]


@contextlib.contextmanager
def open_data(store: Store, dataset: Dataset, trial: Trial) -> Iterator[Data]:
    """Yields what a trial is trained on and asked about; the log says whether it is streamed, and why.

    Args:
        store: where the arrays are.
        dataset: the split pictures.
        trial: its arm and what it adds say what is trained on; its seed, how streamed pictures are spread over shards.

    Raises:
        OutOfSpace: where neither the memory that may be used nor the disk holds them.
    """
    parts = _Parts(store, dataset, trial)
    shape, allowed = (dataset.rows_px, dataset.columns_px, 3), allowed_bytes()
    count, picture_bytes = sum(map(parts.count, parts.sides)), math.prod(shape)
    what = f"{count:,} pictures, {_size(count * picture_bytes)}"
    if count * picture_bytes <= allowed:
        log.info("%s, held in memory", what)
        yield parts.data(functools.cache(parts.load), parts.labels("train"), streamed=False)
        return
    shard_pictures = max(1, min(SHARD_BYTES, allowed // SHARDS_IN_MEMORY) // picture_bytes)
    with contextlib.closing(Scratch(cache_folder(), count, shape)) as scratch:
        log.info(
            "%s, more than the %s that may be used: streamed from %s shards in %s",
            what,
            _size(allowed),
            f"{sum(math.ceil(parts.count(name) / shard_pictures) for name in parts.sides):,}",
            scratch.folder,
        )
        shards, labels = parts.write(scratch, shard_pictures, seed=trial.seed)
        yield parts.data(shards.__getitem__, labels, streamed=True)


class _Parts:
    """Which of a dataset's pictures a trial needs for what.

    Attributes:
        sides: by name, their places in the split's table; 'train' without the added ones.
    """

    def __init__(self, store: Store, dataset: Dataset, trial: Trial) -> None:
        self._store, self._dataset, self._added = store, dataset, trial.added
        self._label_of = {member.class_id: label for label, member in enumerate(dataset.classes)}
        self._table = read_table(store, dataset)
        self.sides, self._steering, self._asked = _sides(self._table, trial)
        self._left_out = np.empty(0, np.int32)  # the labels of pictures in doubt
        if trial.regime.doubted_by:
            doubted = Suspects.read(store, EVALUATION.folder_of(trial.regime.doubted_by)).left_out(dataset)
            rows, train = split_rows(store, dataset, "train"), self.sides["train"]
            stays = np.fromiter(((row.class_id, row.image_id) not in doubted for row in rows), bool, len(train))
            self.sides["train"], self._left_out = train[stays], self._table.labels[train[~stays]]

    def count(self, name: str) -> int:
        return len(self.sides[name]) + (sum(array.count for array in self._added) if name == "train" else 0)

    def labels(self, name: str) -> np.ndarray:
        own = self._table.labels[self.sides[name]]
        if name != "train":
            return own
        return np.concatenate([own, *(np.full(a.count, self._label_of[a.class_id], np.int32) for a in self._added)])

    def _added_by_label(self) -> np.ndarray:
        counts = -np.bincount(self._left_out, minlength=len(self._dataset.classes))
        for array in self._added:
            counts[self._label_of[array.class_id]] += array.count
        return counts

    def data(self, read: Callable[[str], Pictures], labels: np.ndarray, *, streamed: bool) -> Data:
        return Data(
            pictures=read("train"),
            labels=labels,
            validation=(read(self._steering), self.labels(self._steering)),
            added=self._added_by_label(),
            streamed=streamed,
            asked=tuple(self._asked),
            read=lambda name: read(self._asked[name]),
        )

    def load(self, name: str) -> np.ndarray:
        """Returns pictures in memory, in the order of their labels."""
        loaded = np.empty((self.count(name), self._dataset.rows_px, self._dataset.columns_px, 3), np.uint8)
        done = 0
        for pictures, part in pictures_by_class(self._store, self._dataset, self._table, self.sides[name]):
            loaded[part], done = pictures, part.stop
        for array in self._added if name == "train" else ():
            loaded[done : done + array.count] = read_pixels(self._store, array)
            done += array.count
        return loaded

    def write(self, scratch: Scratch, shard_pictures: int, *, seed: int) -> tuple[dict[str, Shards], np.ndarray]:
        """Writes all pictures as shards, in one pass over the classes; returns them and the training labels' order."""
        place_of = np.full(len(self._table.labels), -1)
        shards, first, labels, added = {}, 0, np.empty(0, np.int32), np.empty(0, int)
        for name, side in self.sides.items():
            shards[name] = Shards(scratch, first, self.count(name), shard_pictures)
            places = np.arange(first, first + self.count(name))
            if name == "train":
                order = spread(len(places), shard_pictures, seed=seed)
                labels = self.labels(name)[order]
                places[order] = places.copy()
                added = places[len(side) :]
            place_of[side] = places[: len(side)]
            first += len(places)
        wanted = np.flatnonzero(place_of >= 0)

        def sources() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for pictures, part in pictures_by_class(self._store, self._dataset, self._table, wanted):
                yield place_of[wanted[part]], pictures
            done = 0
            for array in self._added:
                for pictures, part in read_pieces(self._store, array, np.arange(array.count)):
                    yield added[done:][part], pictures
                done += array.count

        fill(scratch, sources(), buffer_bytes=2 * shard_pictures * scratch.picture_bytes)
        return shards, labels


def _sides(table: SplitTable, trial: Trial) -> tuple[dict[str, np.ndarray], str, dict[str, str]]:
    """Returns the places of a trial's pictures by name; the name of those that steer; by file, of those asked about."""
    train = table.on("train")
    if trial.arm == "labels":
        judged = table.marks[train] % trial.folds == trial.fold
        # Where the test pictures steer, they say nothing before the evaluation.
        validation = table.on("validation")[: 0 if table.test_steers else None]
        return (
            {"train": train[~judged], "validation": validation, "labels": train[judged]},
            "validation",
            {"labels": "labels"},
        )
    if trial.arm == "tune":
        return {"train": train, "validation": table.on("validation")}, "validation", {}
    if trial.arm == "part":  # which test pictures have no say in
        sides = {"train": table.part(trial.folds), "validation": table.on("validation")}
        return sides, "validation", {"validation": "validation"}
    sides = {"train": train, "test": table.on("test")}
    if table.test_steers:
        return sides, "test", {"validation": "test", "test": "test"}
    return sides | {"validation": table.on("validation")}, "validation", {"validation": "validation", "test": "test"}


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:,.0f} GB" if size_bytes >= 1e10 else f"{size_bytes / 1e6:,.0f} MB"
