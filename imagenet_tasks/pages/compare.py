"""Two runs side by side: settings that differ, their curves on the same axes, what became of each class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imagenet_tasks.artifacts.references import SPLIT_BY
from imagenet_tasks.artifacts.report import ClassRow, Report
from imagenet_tasks.pages.files import UNREADABLE
from imagenet_tasks.pages.lines import Chart, Line, draw_lines
from imagenet_tasks.pages.records import read_file
from imagenet_tasks.statistics.intervals import newcombe
from imagenet_tasks.workflow.run import Run


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A share of run A and of run B, and B minus A with its interval; None where it cannot be said."""

    name: str
    class_id: str
    a: float | None
    b: float | None
    change: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def shown(self) -> bool:
        """Whether the interval excludes that nothing changed."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs' differences.

    `same_classes` and `same_split` are False where they answer different questions: then their accuracies are not
    compared, and with another split no class is. `optimistic` names the runs whose test pictures also steered.
    """

    accuracy: Difference
    same_classes: bool
    same_split: bool
    same_pictures: bool
    optimistic: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]
    classes: tuple[Difference, ...]
    curves: Chart


def read_figures(run: Run) -> Report | None:
    """Returns the figures of a run's report; None where it has none or they cannot be read."""
    try:
        content = read_file(run, Report.KEY)
        return None if content is None else Report.from_json(content, where=run.key(Report.KEY))
    except UNREADABLE:
        return None


def compare(a: Report, b: Report) -> Comparison:
    """Returns how run B differs from run A, both by the model that they ended with."""
    rows_a, rows_b = ({row.class_id: row for row in report.classes} for report in (a, b))
    same_classes = rows_a.keys() == rows_b.keys()
    same_split = all(a.settings.preprocess.get(name) == b.settings.preprocess.get(name) for name in SPLIT_BY)
    same_split = same_split and a.data.split_given == b.data.split_given
    classes = [
        _difference(
            (rows_a.get(class_id) or rows_b[class_id]).name, class_id,
            *(_recall(rows.get(class_id), judged=same_split) for rows in (rows_a, rows_b)),
        )
        for class_id in {**rows_a, **rows_b}
    ]  # fmt: skip
    judged = same_classes and same_split
    accuracies = [(report.accuracy, report.verdict.test.pictures if judged else 0) for report in (a, b)]
    datasets = [report.fingerprints.get("Dataset") for report in (a, b)]
    return Comparison(
        accuracy=_difference("Test accuracy", "", *accuracies),
        same_classes=same_classes,
        same_split=same_split,
        same_pictures=None not in datasets and datasets[0] == datasets[1],
        optimistic=tuple(name for name, report in (("A", a), ("B", b)) if report.verdict.test_steers),
        settings=tuple(_settings(a.settings.as_dict(), b.settings.as_dict())),
        classes=tuple(sorted(classes, key=lambda d: (d.change is None, -(d.change or 0.0), d.name))),
        curves=_curves(a, b),
    )  # fmt: skip


def _recall(row: ClassRow | None, *, judged: bool) -> tuple[float | None, int]:
    if row is None:
        return None, 0
    return (row.after or row.before).recall, row.support if judged else 0


def _difference(name: str, class_id: str, a: tuple[float | None, int], b: tuple[float | None, int]) -> Difference:
    (share_a, pictures_a), (share_b, pictures_b) = a, b
    if share_a is None or share_b is None or not pictures_a or not pictures_b:
        return Difference(name=name, class_id=class_id, a=share_a, b=share_b)
    return Difference(
        name=name, class_id=class_id, a=share_a, b=share_b, change=share_b - share_a,
        interval=newcombe(share_b, pictures_b, share_a, pictures_a),
    )  # fmt: skip


def _settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Returns the settings that differ, by stage and name, as they are typed."""
    of_a, of_b = (
        {
            f"{stage}.{name}": value
            for stage, values in settings.items() if isinstance(values, Mapping)
            for name, value in values.items()
        }
        for settings in (a, b)
    )  # fmt: skip
    return [
        (name, _said(of_a.get(name)), _said(of_b.get(name)))
        for name in {**of_a, **of_b}
        if of_a.get(name) != of_b.get(name)
    ]


def _said(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _curves(a: Report, b: Report) -> Chart:
    lines = []
    for side, report in (("a", a), ("b", b)):
        for role, model in (("before", report.models.before), ("after", report.models.after)):
            epochs = [e for e in model.history if e.val_accuracy is not None] if model else []
            if model and epochs:
                lines.append(
                    Line(
                        name=f"{side.upper()}, {model.trial}", style=f"run-{side} {role}",
                        places=[e.epoch for e in epochs], values=[e.val_accuracy or 0.0 for e in epochs],
                    )
                )  # fmt: skip
    return draw_lines(lines, width=860, height=220)
