"""Two runs side by side: settings that differ, their curves on the same axes, what became of each class."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass as checked

from imagenet_tasks.pages.files import UNREADABLE
from imagenet_tasks.pages.lines import Chart, Line, draw_lines
from imagenet_tasks.pages.records import LENIENT, REPORT_JSON, Epoch, Share, read_file
from imagenet_tasks.statistics.intervals import newcombe
from imagenet_tasks.workflow.run import Run

Count = Annotated[int, Field(ge=0)]


@checked(frozen=True, kw_only=True, config=LENIENT)
class _Recall:
    recall: Share | None = None


@checked(frozen=True, kw_only=True, config=LENIENT)
class _Class:
    class_id: str
    name: str
    support: Count
    before: _Recall
    after: _Recall | None = None

    @property
    def recall(self) -> float | None:
        return (self.after or self.before).recall


@checked(frozen=True, kw_only=True, config=LENIENT)
class _Model:
    trial: str
    history: tuple[Epoch, ...]


@checked(frozen=True, kw_only=True, config=LENIENT)
class _Split:
    pictures: Count
    before: Share | None = None
    after: Share | None = None


@checked(frozen=True, kw_only=True, config=LENIENT)
class _Verdict:
    headline: str
    word: str
    test: _Split
    test_steers: str = ""


@checked(frozen=True, kw_only=True, config=LENIENT)
class Figures:
    """What is read of a run's report.json."""

    verdict: _Verdict
    models: dict[str, _Model]
    classes: tuple[_Class, ...]
    settings: dict[str, Any]
    fingerprints: dict[str, str] = field(default_factory=dict)

    @property
    def model(self) -> _Model:
        """The model that the run ended with."""
        return self.models.get("after") or self.models["before"]

    @property
    def accuracy(self) -> float | None:
        """Its accuracy on test, the mean over seeds."""
        return self.verdict.test.after if "after" in self.models else self.verdict.test.before

    @property
    def pictures(self) -> int:
        """How many test pictures there were."""
        return self.verdict.test.pictures


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

    `same_classes` is False where they answer different questions: then their accuracies are not compared. `optimistic`
    names the runs whose test pictures also steered.
    """

    accuracy: Difference
    same_classes: bool
    same_pictures: bool
    optimistic: tuple[str, ...]
    settings: tuple[tuple[str, str, str], ...]
    classes: tuple[Difference, ...]
    curves: Chart


_FIGURES_TYPE = TypeAdapter(Figures)


def read_figures(run: Run) -> Figures | None:
    """Returns the figures of a run's report; None where it has none or they cannot be read."""
    try:
        content = read_file(run, REPORT_JSON)
        figures = _FIGURES_TYPE.validate_json(content) if content is not None else None
    except UNREADABLE:
        return None
    return figures if figures and "before" in figures.models else None


def compare(a: Figures, b: Figures) -> Comparison:
    """Returns how run B differs from run A, both by the model that they ended with."""
    rows_a, rows_b = ({row.class_id: row for row in figures.classes} for figures in (a, b))
    classes = [
        _difference(
            (rows_a.get(class_id) or rows_b[class_id]).name, class_id,
            *((row.recall, row.support) if (row := rows.get(class_id)) else (None, 0) for rows in (rows_a, rows_b)),
        )
        for class_id in {**rows_a, **rows_b}
    ]  # fmt: skip
    accuracies = (a.accuracy, a.pictures), (b.accuracy, b.pictures)
    if not (same_classes := rows_a.keys() == rows_b.keys()):
        accuracies = (a.accuracy, 0), (b.accuracy, 0)
    datasets = [figures.fingerprints.get("Dataset") for figures in (a, b)]
    return Comparison(
        accuracy=_difference("Test accuracy", "", *accuracies),
        same_classes=same_classes,
        same_pictures=None not in datasets and datasets[0] == datasets[1],
        optimistic=tuple(name for name, figures in (("A", a), ("B", b)) if figures.verdict.test_steers),
        settings=tuple(_settings(a.settings, b.settings)),
        classes=tuple(sorted(classes, key=lambda d: (d.change is None, -(d.change or 0.0), d.name))),
        curves=_curves(a, b),
    )  # fmt: skip


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
    sides = [
        {
            f"{stage}.{name}": value
            for stage, values in settings.items() if isinstance(values, Mapping)
            for name, value in values.items()
        }
        for settings in (a, b)
    ]  # fmt: skip
    of_a, of_b = sides
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


def _curves(a: Figures, b: Figures) -> Chart:
    lines = []
    for side, figures in (("a", a), ("b", b)):
        for role, model in figures.models.items():
            epochs = [e for e in model.history if e.val_accuracy is not None]
            if role in ("before", "after") and epochs:
                lines.append(
                    Line(
                        name=f"{side.upper()}, {model.trial}", style=f"run-{side} {role}",
                        places=[e.epoch for e in epochs], shares=[e.val_accuracy or 0.0 for e in epochs],
                    )
                )  # fmt: skip
    return draw_lines(lines, width=860, height=220)
