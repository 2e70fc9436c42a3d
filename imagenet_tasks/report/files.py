"""Reads what a report is made of: each file is opened, and so hashed, once."""

import csv
import functools
from typing import Any

from imagenet_tasks.artifacts.arrays import SplitRow
from imagenet_tasks.artifacts.figures import Metrics, RepairComparison
from imagenet_tasks.artifacts.quality import DataQuality, Suspects
from imagenet_tasks.artifacts.references import Dataset
from imagenet_tasks.artifacts.training import HISTORY, TrainingRecord, parse_history
from imagenet_tasks.store.storage import Store

Kept = Metrics | RepairComparison | DataQuality | Suspects | TrainingRecord


class Files:
    """The files of a run, read when they are first asked for. What it returns is shared: copy before you change it.

    Args:
        store: where they lie.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[tuple[str, str], Any] = {}

    def json(self, folder: str, kind: type[Kept]) -> dict[str, Any]:
        """Returns what the JSON file of this kind in a published folder holds, as plain values."""
        read = functools.partial(kind.read, self.store, folder, kind.FILE)
        return self._once(folder, kind.FILE, lambda: read().as_dict())

    def history(self, folder: str) -> list[dict[str, Any]]:
        """Returns a model's figures of each epoch."""

        def read() -> list[dict[str, Any]]:
            content = self.store.open_file(folder, HISTORY).read_bytes()
            return [epoch.as_line() for epoch in parse_history(content, where=f"{folder}/{HISTORY}")]

        return self._once(folder, HISTORY, read)

    def places(self, dataset: Dataset) -> dict[str, list[SplitRow]]:
        """Returns all pictures of a dataset's classes by side.

        Returns:
            By 'train', 'validation' (absent where the test pictures steer), 'test', 'label_conflict' and 'placeholder';
            a side without pictures is absent.
        """
        return self._once(dataset.folder, "split.csv", lambda: self._places(dataset))

    def _places(self, dataset: Dataset) -> dict[str, list[SplitRow]]:
        places: dict[str, list[SplitRow]] = {}
        with self.store.open_file(dataset.folder, "split.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                places.setdefault(row["split"], []).append(
                    SplitRow(
                        image_id=row["image_id"], class_id=row["class_id"], label=int(row["label"]),
                        row=int(row["row"]), group=row["group"],
                    )
                )  # fmt: skip
        return places

    def _once(self, folder: str, name: str, read: Any) -> Any:
        key = folder, name
        if key not in self._read:
            self._read[key] = read()
        return self._read[key]
