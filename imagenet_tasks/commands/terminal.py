"""Progress bars for the command line, on standard error: standard output is for the result."""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from imagenet_tasks.workflow.graph import parse_task_id
from imagenet_tasks.workflow.progress import Snapshot, said

NAMES = {"epoch": "epoch", "val_accuracy": "validation", "pictures_per_s": "pictures/s"}


@contextlib.contextmanager
def without_noise(noise: re.Pattern[str]) -> Iterator[TextIO]:
    """Drops lines of native libraries from standard error, which they write to past Python; yields the real one.

    Args:
        noise: matches the lines to drop.
    """
    sys.stderr.flush()
    real, (read_end, write_end) = os.dup(2), os.pipe()
    os.dup2(write_end, 2)
    os.close(write_end)

    def forward() -> None:
        with open(read_end, errors="replace") as lines:  # noqa: PTH123 - a descriptor
            for line in lines:
                if not noise.match(line):
                    os.write(real, line.encode(errors="replace"))

    reader = threading.Thread(target=forward, daemon=True)
    reader.start()
    try:
        with open(real, "w", closefd=False) as output:
            yield output
    finally:
        sys.stderr.flush()
        os.dup2(real, 2)  # closes the pipe's last end, so that the reader comes to its end
        reader.join(timeout=5)
        os.close(real)


class Bars:
    """A bar for each task that counts something; call it with a snapshot.

    Args:
        output: where the bars are drawn.
    """

    def __init__(self, output: TextIO) -> None:
        self.console = Console(file=output)
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

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def __call__(self, snapshot: Snapshot) -> None:
        """Moves the bar of the snapshot's task: one for all of its classes or trials, however many there are."""
        items = self._snapshots.setdefault(snapshot.task, {})
        items[snapshot.item] = snapshot
        if snapshot.task not in self._ids:
            self._ids[snapshot.task] = self._bars.add_task("", figures="")
        task, round_number = parse_task_id(snapshot.task)
        name = task.name.removesuffix("_class").replace("_", " ") if task else snapshot.task
        title = f"{name} {round_number}" if round_number > 1 else name
        figures = [f"{len(items)} {'trainings' if task and task.trains else 'classes'}"] if len(items) > 1 else []
        rejected = sum(s.figures.get("rejected", 0) for s in items.values())
        figures += [f"{rejected} rejected"] if rejected else []
        given = snapshot.figures
        figures += [f"{words} {said(name, given[name])}" for name, words in NAMES.items() if name in given]
        self._bars.update(
            self._ids[snapshot.task],
            description=f"{title} {snapshot.label}"[:36],
            completed=sum(s.done for s in items.values()),
            total=sum(s.total for s in items.values()),
            figures="  ".join(figures),
        )
