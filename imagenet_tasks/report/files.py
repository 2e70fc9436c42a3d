"""Reads what a report is made of: each file is opened, and so hashed, once."""

import csv
from collections.abc import Callable
from typing import Any, TypeVar

from imagenet_tasks.artifacts.arrays import SplitRow
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.references import Dataset, TrainedModel
from imagenet_tasks.artifacts.training import HISTORY, read_history
from imagenet_tasks.store.storage import Store

Kept = TypeVar("Kept", bound=JsonArtifact)


class Files:
    """The files of a run, read when they are first asked for. What it returns is shared: copy before you change it.

    Args:
        store: where they lie.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[tuple[str, str], Any] = {}

    def read(self, folder: str, kind: type[Kept]) -> Kept:
        """Returns what the JSON file of this kind in a published folder describes."""
        return self._once(folder, kind.FILE, lambda: kind.read(self.store, folder))

    def history(self, model: TrainedModel) -> list[dict[str, Any]]:
        """Returns a model's figures of each epoch, as plain values."""
        return self._once(model.folder, HISTORY, lambda: [e.as_line() for e in read_history(self.store, model)])

    def places(self, dataset: Dataset) -> dict[str, list[SplitRow]]:
        """Returns all pictures of a dataset's classes by side.

        Returns:
            By 'train', 'validation' (absent where the test pictures steer), 'test', 'label_conflict', 'placeholder' and
            'near_duplicate'; a side without pictures is absent.
        """

        def read() -> dict[str, list[SplitRow]]:
            places: dict[str, list[SplitRow]] = {}
            with self.store.open_file(dataset.folder, "split.csv").open(newline="") as file:
                for line in csv.DictReader(file):
                    places.setdefault(line["split"], []).append(SplitRow.of(line))
            return places

        return self._once(dataset.folder, "split.csv", read)

    def _once(self, folder: str, name: str, read: Callable[[], Any]) -> Any:
        if (folder, name) not in self._read:
            self._read[folder, name] = read()
        return self._read[folder, name]


def picked(source: Any, *names: str) -> dict[str, Any]:
    """Returns some fields of an object by their names."""
    return {name: getattr(source, name) for name in names}
