"""Rate-limited progress: a line in the task's log, a small file for the live page, a bar in the terminal."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import Field

from imagenet_tasks.artifacts.figures import Count
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.training import Epoch

log = logging.getLogger(__name__)
LIVE_INTERVAL_S = 2.0


class Snapshot(JsonArtifact):
    """How far a task is.

    `figures` holds what else is worth seeing, such as an epoch's accuracy; `history` the figures of each epoch so far.
    """

    task: str
    item: str
    label: str
    unit: str
    done: Count
    total: Count
    elapsed_s: float
    rate_per_s: float | None
    remaining_s: float | None
    updated_s: float
    figures: dict[str, Any] = Field(default_factory=dict)
    history: tuple[Epoch, ...] = ()

    @property
    def share(self) -> float:
        """How much is done, in [0, 1]."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def left_s(self) -> float | None:
        """The time left, once enough is done to tell."""
        known = self.share >= 0.1 or self.elapsed_s >= 10
        return self.remaining_s if known and self.share < 1 else None

    @property
    def rejected(self) -> int | None:
        """How many candidates a download rejected so far; None where that is no question."""
        rejected = self.figures.get("rejected")
        return rejected if isinstance(rejected, int) else None

    def __str__(self) -> str:
        figures = "".join(f", {name.replace('_', ' ')} {said(name, value)}" for name, value in self.figures.items())
        speed = f", {rate(self.rate_per_s)}/s" if self.rate_per_s and "pictures_per_s" not in self.figures else ""
        left = f", {self.remaining_s:.0f} s left" if self.remaining_s is not None and self.done < self.total else ""
        return f"{self.label}: {self.done}/{self.total} {self.unit}{figures}{speed}{left}"


def said(name: str, value: Any) -> str:
    """Returns a figure as a person reads it: accuracies in percent."""
    if not isinstance(value, float):
        return str(value)
    return f"{100 * value:.1f} %" if name.endswith("accuracy") else f"{value:.4g}"


def rate(per_s: float) -> str:
    """Returns how many a second as a person reads it."""
    return f"{per_s:,.0f}" if per_s >= 100 else f"{per_s:.2g}"


Listener = Callable[[Snapshot], None]


def log_line(snapshot: Snapshot) -> None:
    """Writes a snapshot to the log."""
    log.info("%s", snapshot)


class Progress:
    """Counts what a task has done and tells its listeners, not more often than `interval_s`.

    Args:
        task: the task's name in the graph.
        item: its class or trial, or ''.
        label: what a person calls it.
        total: how many there are to do.
        unit: what is counted, in the plural.
        listeners: called with each snapshot.
        interval_s: the least time between two snapshots; the last one is always told.
        live: called more often than the listeners, at most every LIVE_INTERVAL_S: what feeds a page and no log.
    """

    def __init__(
        self, *, task: str, item: str, label: str, total: int, unit: str,
        listeners: tuple[Listener, ...] = (log_line,), interval_s: float = 10.0, live: Listener | None = None,
    ) -> None:  # fmt: skip
        self.task, self.item, self.label, self.total, self.unit = task, item, label, total, unit
        self.done = self._resumed = 0
        self.figures: dict[str, Any] = {}
        self.history: Sequence[Epoch] = ()
        self._listeners = listeners
        self._interval_s = interval_s
        self._live = live
        self._started_s = self._told_s = time.monotonic()
        self._lived_s = -math.inf  # the page has something from the first step on

    def advance(self, count: int = 1, **figures: Any) -> None:
        """Counts `count` more, and tells the listeners where it is time or the work is done."""
        self.done += count
        self.figures.update(figures)
        now_s = time.monotonic()
        if self.done >= self.total or now_s - self._told_s >= self._interval_s:
            self.tell()
        elif self._live and now_s - self._lived_s >= LIVE_INTERVAL_S:
            self._lived_s = now_s
            self._live(self._snapshot(now_s))

    def tick(self) -> None:
        """Tells the listeners where it is time, although nothing more is done."""
        if self.done < self.total:
            self.advance(0)

    def resume(self, count: int, **figures: Any) -> None:
        """Counts what was done until now, which says nothing about the time that is left."""
        self._resumed, self._started_s = self.done + count, time.monotonic()
        self.advance(count, **figures)

    def tell(self) -> None:
        """Tells all listeners now."""
        self._told_s = self._lived_s = time.monotonic()
        snapshot = self._snapshot(self._told_s)
        for listener in (*self._listeners, *([self._live] if self._live else [])):
            listener(snapshot)

    def _snapshot(self, now_s: float) -> Snapshot:
        elapsed_s, fresh = now_s - self._started_s, self.done - self._resumed
        return Snapshot(
            task=self.task, item=self.item, label=self.label, unit=self.unit, done=self.done, total=self.total,
            elapsed_s=elapsed_s, rate_per_s=fresh / elapsed_s if fresh and elapsed_s else None,
            remaining_s=elapsed_s / fresh * (self.total - self.done) if fresh else None,
            updated_s=time.time(), figures=dict(self.figures), history=tuple(self.history),
        )  # fmt: skip
