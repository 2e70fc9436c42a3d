"""Progress bars for the command line, on standard error: standard output is for the result."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from imagenet_tasks.progress import Snapshot, said

TITLES = {
    "download_class": "download",
    "preprocess_class": "preprocess",
    "train_baseline": "train baseline",
    "augment_class": "augment",
    "train_augmented": "train augmented",
}
NAMES = {"epoch": "epoch", "val_accuracy": "validation", "pictures_per_s": "pictures/s"}


class Bars:
    """A bar for each task that counts something; call it with a snapshot."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._bars = Progress(
            TextColumn("{task.description:<36}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._ids: dict[str, TaskID] = {}
        self._snapshots: dict[str, dict[str, Snapshot]] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        """Moves the bar of the snapshot's task: one for all of its classes or trials, however many there are."""
        items = self._snapshots.setdefault(snapshot.task, {})
        items[snapshot.item] = snapshot
        if snapshot.task not in self._ids:
            self._ids[snapshot.task] = self._bars.add_task("", figures="")
        title = TITLES.get(snapshot.task, snapshot.task)
        figures = [f"{len(items)} classes"] if len(items) > 1 else []
        rejected = sum(s.figures.get("rejected", 0) for s in items.values())
        figures += [f"{rejected} rejected"] if rejected else []
        for name in ("epoch", "val_accuracy", "pictures_per_s"):
            if name in snapshot.figures:
                figures.append(f"{NAMES[name]} {said(name, snapshot.figures[name])}")
        self._bars.update(
            self._ids[snapshot.task],
            description=f"{title} {snapshot.label}"[:36],
            completed=sum(s.done for s in items.values()),
            total=sum(s.total for s in items.values()),
            figures="  ".join(figures),
        )
