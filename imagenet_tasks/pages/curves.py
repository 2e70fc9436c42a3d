"""The curves of a run's trainings, as far as they are: accuracy and loss over the epochs, all on the same axes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

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


def curves_of(view: RunView) -> tuple[list[Curve], int]:
    """Returns the curves of trainings, those that run and the newest first, and how many more there are."""
    records = [r for group in view.groups if group.task != TUNING for r in group.curves]
    shown = sorted(records, key=lambda r: (r.state == "running", r.started_s), reverse=True)[:MOST]
    epochs = [epoch for record in shown for epoch in record.history]
    accuracy = max((share for e in epochs for share in (e.accuracy, e.val_accuracy or 0.0)), default=0.0)
    loss = max((value for e in epochs for value in (e.loss, e.val_loss or 0.0)), default=0.0)
    last = max((_last_epoch(record) for record in shown), default=1)
    return [
        Curve(
            record=record,
            accuracy=_draw(record, ("accuracy", "val_accuracy"), "accuracy", last, accuracy, percent=True),
            loss=_draw(record, ("loss", "val_loss"), "loss (cross-entropy)", last, loss, percent=False),
        )
        for record in shown
    ], len(records) - len(shown)  # fmt: skip


def _last_epoch(record: TaskRecord) -> int:
    """Returns the epoch with which a training will end, as far as it has said so."""
    told = str(record.progress.figures.get("epoch", "")) if record.progress else ""
    said = re.fullmatch(r"\d+/(\d{1,6})", told)
    return int(said[1]) if said else record.history[-1].epoch


def _draw(
    record: TaskRecord, fields: Sequence[str], name: str, last: int, highest: float, *, percent: bool
) -> Chart:  # fmt: skip
    lines = []
    for style, field in zip(("training", "validation"), fields, strict=True):
        told = [(e.epoch, value) for e in record.history if (value := getattr(e, field)) is not None]
        lines.append(Line(name=style, style=style, places=[e for e, _ in told], values=[value for _, value in told]))
    return draw_lines(lines, height=170, last=last, percent=percent, highest=highest, x_name="epoch", y_name=name)
