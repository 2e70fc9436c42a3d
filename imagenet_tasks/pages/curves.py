"""The curves of a run's trainings, as far as they are: accuracy and loss over the epochs, all on the same axes."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from imagenet_tasks import wording
from imagenet_tasks.artifacts.training import end_of_losses
from imagenet_tasks.pages.lines import Chart, Line, draw_lines
from imagenet_tasks.pages.run_view import RunView, TaskRecord

MOST = 12  # trainings whose curves are drawn
TUNING = "tune"  # its trainings are many and short


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One training's curves."""

    record: TaskRecord
    accuracy: Chart
    loss: Chart


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The curves that are drawn, how many more there are, and what lies beyond their axes, '' for nothing."""

    shown: tuple[Curve, ...]
    undrawn: int
    beyond: str

    @property
    def running(self) -> int:
        """How many of those that are drawn, the first ones, still train."""
        return sum(curve.record.state == "running" for curve in self.shown)


def curves_of(view: RunView) -> Curves:
    """Returns the curves of trainings, those that run and the newest first."""
    records = [r for group in view.groups if group.task != TUNING for r in group.curves]
    shown = sorted(records, key=lambda r: (r.state == "running", r.started_s), reverse=True)[:MOST]
    epochs = [epoch for record in shown for epoch in record.history]
    accuracy = max((share for e in epochs for share in (e.accuracy, e.val_accuracy or 0.0)), default=0.0)
    losses = [value for e in epochs for value in (e.loss, e.val_loss or 0.0)]
    loss, highest = end_of_losses(losses), max(losses, default=0.0)
    last = max((_last_epoch(record) for record in shown), default=1)
    drawn = tuple(
        Curve(
            record=record,
            accuracy=_draw(record, ("accuracy", "val_accuracy"), "accuracy", last, accuracy, goal=view.goal),
            loss=_draw(record, ("loss", "val_loss"), "loss (cross-entropy)", last, loss),
        )
        for record in shown
    )
    end = drawn[0].loss.top if drawn else math.inf
    return Curves(
        shown=drawn, undrawn=len(records) - len(shown),
        beyond=f"The axis of the loss ends at {end:g}; early epochs reach {highest:.1f}." if highest > end else "",
    )  # fmt: skip


def _last_epoch(record: TaskRecord) -> int:
    """Returns the epoch with which a training will end, as far as it has said so."""
    told = str(record.progress.figures.get("epoch", "")) if record.progress else ""
    said = re.fullmatch(r"\d+/(\d{1,6})", told)
    return int(said[1]) if said else record.history[-1].epoch


def _draw(
    record: TaskRecord, fields: Sequence[str], name: str, last: int, top: float, *, goal: float | None = None
) -> Chart:  # fmt: skip
    lines = (
        [Line(name=f"goal {wording.goal(goal)}", style="goal", places=[1, max(2, last)], values=[goal, goal])]
        if goal
        else []
    )
    for style, field in zip(("training", "validation"), fields, strict=True):
        told = [(e.epoch, value) for e in record.history if (value := getattr(e, field)) is not None]
        lines.append(Line(name=style, style=style, places=[e for e, _ in told], values=[value for _, value in told]))
    percent = fields[0] == "accuracy"
    return draw_lines(
        lines, height=170, last=last, percent=percent, highest=max(top, goal or 0.0), most=math.inf if percent else top,
        x_name="epoch", y_name=name,
    )  # fmt: skip
