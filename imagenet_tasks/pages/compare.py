"""Two runs side by side: settings that differ, their curves on the same axes, what became of each class.

They are paired on the test pictures that both have. Where they have none in common, or what their models answer cannot
be read, the intervals are those of different pictures.
"""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagenet_tasks.artifacts.references import SPLIT_BY
from imagenet_tasks.artifacts.report import ClassRow, Report
from imagenet_tasks.pages.lines import Chart, Line, draw_lines
from imagenet_tasks.pages.paired import Paired, evaluation_of, pair
from imagenet_tasks.pages.records import read_file
from imagenet_tasks.pages.wording import setting
from imagenet_tasks.statistics.intervals import newcombe
from imagenet_tasks.store.plain_files import UNREADABLE
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A share of run A and of run B, and B minus A with its interval; None where it cannot be said.

    `shown` says whether the difference is beyond chance: by its interval, which excludes zero, or, where several
    trainings are paired, by the test that allows for all classes that are looked at.
    """

    name: str
    class_id: str
    a: float | None
    b: float | None
    change: float | None = None
    interval: tuple[float, float] | None = None
    shown: bool = False


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two runs' differences; `ended_with` says of each what its accuracy is of.

    `same_classes` and `same_split` are False where they answer different questions: then their accuracies are not
    compared, and no class is, unless they are paired. `classes` are those of both; `only` names those that one of them
    alone has. `same_model` says that both ended with the same trainings, which have no difference. `paired` is None of
    these; where the runs have no test picture in common (`none_shared`); and where what the models answer cannot be
    read. `optimistic` names the runs whose test pictures also steered.
    """

    accuracy: Difference
    ended_with: tuple[str, str]
    same_classes: bool
    only: tuple[tuple[str, ...], tuple[str, ...]]
    same_split: bool
    same_pictures: bool
    same_model: bool
    none_shared: bool
    paired: Paired | None
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


def compare(store: Store, a: Report, b: Report, *, flips_of: str = "") -> Comparison:
    """Returns how run B differs from run A, both by the models that they ended with.

    Args:
        store: where their artifacts are.
        a: what run A came to.
        b: what run B came to.
        flips_of: the class whose pictures that flipped are wanted; '' for all.
    """
    rows_a, rows_b = ({row.class_id: row for row in report.classes} for report in (a, b))
    same_classes = rows_a.keys() == rows_b.keys()
    same_split = all(a.settings.preprocess.get(name) == b.settings.preprocess.get(name) for name in SPLIT_BY)
    same_split = same_split and a.data.split_given == b.data.split_given
    ended_with = [evaluation_of(store, report) for report in (a, b)] if same_classes else []
    first, second = ended_with or (None, None)
    paired, none_shared = None, False
    same_model = bool(first and second and first.models == second.models)
    if first and second and not same_model:
        with contextlib.suppress(*UNREADABLE):
            paired = pair(store, first, second, flips_of=flips_of)
            none_shared = paired is None
    judged = same_classes and same_split
    accuracies = [(report.accuracy, report.verdict.test.pictures if judged else 0) for report in (a, b)]
    datasets = [report.fingerprints.get("Dataset") for report in (a, b)]
    classes = _paired_classes(paired) if paired else [
        _difference(
            rows_a[class_id].name, class_id,
            *(_recall(rows[class_id], judged=judged and not same_model) for rows in (rows_a, rows_b)),
        )
        for class_id in rows_a if class_id in rows_b
    ]  # fmt: skip
    return Comparison(
        accuracy=_difference("Test accuracy", "", *accuracies),
        ended_with=(_ended_with(a), _ended_with(b)),
        same_classes=same_classes,
        only=(_names(rows_a, rows_b), _names(rows_b, rows_a)),
        same_split=same_split,
        same_pictures=None not in datasets and datasets[0] == datasets[1],
        same_model=same_model,
        none_shared=none_shared,
        paired=paired,
        optimistic=tuple(name for name, report in (("A", a), ("B", b)) if report.verdict.test_steers),
        settings=tuple(_settings(a.settings.as_dict(), b.settings.as_dict())),
        classes=tuple(sorted(classes, key=lambda d: (d.change is None, d.change or 0.0, d.name))),
        curves=_curves(a, b),
    )  # fmt: skip


def _paired_classes(paired: Paired) -> Sequence[Difference]:
    return [
        Difference(
            name=found.name, class_id=found.class_id, a=found.before, b=found.after, change=found.difference,
            interval=interval, shown=found.changed is not None if paired.seeds > 1 else _excludes_zero(interval),
        )
        for found, interval in paired.classes
    ]  # fmt: skip


def _excludes_zero(interval: tuple[float, float] | None) -> bool:
    return interval is not None and (interval[0] > 0 or interval[1] < 0)


def _ended_with(report: Report) -> str:
    """Returns what a run's accuracy is of: one training, or the mean over seeds of trainings that are alike."""
    model = report.model
    if len(model.seeds) < 2:
        return model.trial
    return f"{model.trial.replace(f', seed {model.seed}', '')}, mean of {len(model.seeds)} seeds"


def _names(rows: Mapping[str, ClassRow], others: Mapping[str, ClassRow]) -> tuple[str, ...]:
    return tuple(row.name for class_id, row in rows.items() if class_id not in others)


def _recall(row: ClassRow, *, judged: bool) -> tuple[float | None, int]:
    return (row.after or row.before).recall, row.support if judged else 0


def _difference(name: str, class_id: str, a: tuple[float | None, int], b: tuple[float | None, int]) -> Difference:
    (share_a, pictures_a), (share_b, pictures_b) = a, b
    if share_a is None or share_b is None or not pictures_a or not pictures_b:
        return Difference(name=name, class_id=class_id, a=share_a, b=share_b)
    interval = newcombe(share_b, pictures_b, share_a, pictures_a)
    return Difference(
        name=name, class_id=class_id, a=share_a, b=share_b, change=share_b - share_a, interval=interval,
        shown=_excludes_zero(interval),
    )  # fmt: skip


def _settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Returns the settings that differ, by stage and name, as they are typed; the classes are told elsewhere.

    What was done again is no setting.
    """
    of_a, of_b = (
        {
            f"{stage}.{name}": value
            for stage, values in settings.items() if isinstance(values, Mapping) and stage not in ("classes", "force")
            for name, value in values.items()
        }
        for settings in (a, b)
    )  # fmt: skip
    return [
        (name, setting(of_a.get(name)), setting(of_b.get(name)))
        for name in {**of_a, **of_b}
        if of_a.get(name) != of_b.get(name)
    ]


def _curves(a: Report, b: Report) -> Chart:
    models = {
        (side, role): model
        for side, report in (("a", a), ("b", b))
        for role, model in (("before", report.models.before), ("after", report.models.after))
        if model
    }
    lines = []
    for (side, role), model in models.items():
        other = models.get(("b" if side == "a" else "a", role))
        alike = other is not None and other.history == model.history  # one would hide the other
        epochs = [e for e in model.history if e.val_accuracy is not None]
        if epochs and not (alike and side == "b"):
            lines.append(
                Line(
                    name=f"{'A and B' if alike else side.upper()}, {model.trial}", style=f"run-{side} {role}",
                    places=[e.epoch for e in epochs], values=[e.val_accuracy or 0.0 for e in epochs],
                )
            )  # fmt: skip
    return draw_lines(lines, width=860, height=220, x_name="epoch")
