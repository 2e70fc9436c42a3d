"""Progress bars for the command line, on standard error: standard output is for the result."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from imagenet_tasks.progress import Snapshot

TITLES = {
    "download_class": "download",
    "preprocess_class": "preprocess",
    "train_baseline": "train baseline",
    "augment_class": "augment",
    "train_augmented": "train augmented",
}


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
        self._ids: dict[tuple[str, str], TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        """Moves the snapshot's bar."""
        key = (snapshot.task, snapshot.item)
        if key not in self._ids:
            title = f"{TITLES.get(snapshot.task, snapshot.task)} {snapshot.label}"[:36]
            self._ids[key] = self._bars.add_task(title, total=snapshot.total, figures="")
        shown = ("epoch", "val_accuracy", "pictures_per_s", "rejected")
        figures = "  ".join(
            f"{name.replace('_', ' ')} {value:.3f}" if isinstance(value, float) else f"{name.replace('_', ' ')} {value}"
            for name, value in snapshot.figures.items()
            if name in shown
        )
        self._bars.update(self._ids[key], completed=snapshot.done, total=snapshot.total, figures=figures)
