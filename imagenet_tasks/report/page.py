"""Fills the page's template. Everything in it is escaped but the charts, which are escaped where they are drawn."""

import functools
from typing import Any

import jinja2
from markupsafe import Markup

from imagenet_tasks.report import charts, matrices, settings, wording
from imagenet_tasks.report.curves import ACCURACY, LOSS, Curve, Limits, learning_curves
from imagenet_tasks.report.mistakes import WORSE_CLASSES
from imagenet_tasks.report.more_pictures import more_pictures_chart
from imagenet_tasks.report.pictures import MOST_SUSPECTS, Place, Shown
from imagenet_tasks.report.study import GOAL as STUDY_GOAL
from imagenet_tasks.report.svg import signed
from imagenet_tasks.settings.config import RunConfig
from imagenet_tasks.settings.profiles import shared_settings
from imagenet_tasks.settings.training import ARM_GLOSSES, ARM_NAMES, CONTROL
from imagenet_tasks.wording import HOW_TO_SHARE, looked_at
from imagenet_tasks.workflow.graph import task_label

CLASSES_PER_CHART = 30
MOST_WORSE, MOST_INSTEAD = 10, 3
MOST_CURVES = 24  # of what more pictures are worth; the table has all


def render(
    figures: dict[str, Any], config: RunConfig, *, samples: dict[str, list[Place]],
    changes: dict[str, list[dict[str, Any]]], collected: dict[str, list[Shown]], pictures: dict[Place, Shown],
    task_places: dict[str, int],
) -> str:  # fmt: skip
    """Returns the report as one HTML page without scripts that needs nothing from anywhere.

    Args:
        figures: what `collect` returns.
        config: the run's settings.
        samples: by class id, the places of training pictures.
        changes: by class id, originals' places, and their changed copies as data: addresses.
        collected: by class id, new pictures.
        pictures: by place, all pictures of the dataset that are shown.
        task_places: by class id, the place of the task that downloaded the class.
    """
    classes = figures["classes"]
    by_label = sorted(classes, key=lambda row: row["label"])
    return environment().get_template("report.html.j2").render(
        f=figures, v=figures["verdict"], words=wording.VERDICTS, role_names=_roles(figures),
        arm_names=ARM_NAMES, arm_glosses=ARM_GLOSSES, deeds=wording.ARM_DEEDS, against=wording.AGAINST,
        policies=wording.POLICIES, strategies=wording.STRATEGIES, transforms=wording.TRANSFORMS, study_goal=STUDY_GOAL,
        roles=list(figures["models"]), repaired="after" in figures["models"], by_label=by_label,
        class_counts=_class_counts(classes), charts=_charts(figures, by_label), most_suspects=MOST_SUSPECTS,
        answers={role: _answers(m["test"]["confusion"], by_label) for role, m in figures["models"].items()},
        changed_answers=[
            row for row in _answers(figures["confusion_difference"] or [], by_label) if row["right"] or row["wrong"]
        ],
        worse=_worse(figures),
        samples=samples, changes=changes, collected=collected, pictures=pictures, rows=settings.setting_rows(config),
        most_classes=matrices.MOST_CLASSES, side_names=SIDES, fields=wording.TUNED_FIELDS,
        reasons=list(figures["data"]["totals"]["rejected"]), shared_settings=shared_settings(config),
        how_to_share=HOW_TO_SHARE, task_places=task_places,
    )  # fmt: skip


@functools.cache  # its templates are compiled once
def environment() -> jinja2.Environment:
    """Returns where the report's templates are, with the filters that they use."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("imagenet_tasks.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "percent": wording.percent, "points": wording.points, "interval": wording.interval, "number": wording.number,
        "p_value": wording.p_value, "duration": wording.duration, "moment": wording.moment, "goal": wording.goal,
        "plural": wording.plural, "said": settings.said, "direction": _direction, "span": wording.span,
        "p_number": wording.p_number, "said_task": task_label, "learning_rate": _learning_rate, "batch": _batch,
        "signed": signed, "reached": wording.reached, "looked_at": looked_at,
    }  # fmt: skip
    return environment


SIDES = {"train": "Training", "validation": "Validation", "test": "Test"}
ROLES = {"before": "Baseline", "after": "Retrained"}


def _roles(figures: dict[str, Any]) -> dict[str, str]:
    """Returns what the models of the verdict are called; the second is the control's where no repair beat it."""
    return ROLES | ({"after": "Control"} if figures["verdict"]["chosen"] == CONTROL else {})


def _charts(figures: dict[str, Any], by_label: list[dict[str, Any]]) -> dict[str, Any]:
    classes = figures["classes"]
    # Halves of nearly the same height: 32 classes are 16 and 16, not 30 and 2.
    parts = -(-len(classes) // CLASSES_PER_CHART)
    size = -(-len(classes) // parts)
    data, more = figures["data"], figures["more_pictures"]
    return {
        "difference": charts.difference_chart(figures["verdict"]) if figures["verdict"]["test"]["interval"] else None,
        "classes": [
            charts.class_chart(classes[start : start + size], f"classes-{start}")
            for start in range(0, len(classes), size)
        ],
        "confusion": _matrices(figures, [row["name"] for row in by_label]),
        "funnel": charts.funnel_chart(data["totals"], test_steers=data["test_steers"]),
        "more_pictures": [
            (row["name"], more_pictures_chart(row, more["added"], f"more-pictures-{number}"))
            for number, row in enumerate(more["classes"][:MOST_CURVES])
        ] if more else [],
    } | _curves(figures)  # fmt: skip


def _matrices(figures: dict[str, Any], names: list[str]) -> dict[str, Markup]:
    drawn = {role: model["test"]["confusion"] for role, model in figures["models"].items()}
    shown = matrices.shown_labels(list(drawn.values()))
    supports = [sum(row) for row in drawn["before"]]
    if figures["confusion_difference"]:
        drawn["difference"] = figures["confusion_difference"]
    return {
        role: matrices.matrix_chart(matrix, names, role, shown=shown, supports=supports)
        for role, matrix in drawn.items()
    }


def _curves(figures: dict[str, Any]) -> dict[str, Any]:
    """Returns the curves of the verdict's models, and those of every training, by arm, model and round."""
    goal, trials = figures["verdict"]["goal"], figures["repair"]["trials"]
    groups: dict[tuple[int, str, str], list[dict[str, Any]]] = {}
    for trial in trials:
        groups.setdefault((trial["round"], trial["arm"], trial["model"]), []).append(trial)
    by_group = {
        group: [
            Curve(
                name=f"seed {trial['seed']}", role="before" if trial["arm"] == "baseline" else "after",
                history=trial["history"], best_epoch=trial["best_epoch"], faint=place > 0,
            )
            for place, trial in enumerate(mine)
        ]
        for group, mine in groups.items()
    }  # fmt: skip
    names = _roles(figures)
    main = [
        Curve(name=names[role], role=role, history=model["history"], best_epoch=model["training"]["best_epoch"])
        for role, model in figures["models"].items()
    ]
    limits = Limits.of([*main, *(curve for curves in by_group.values() for curve in curves)], goal)

    def charts_of(curves: list[Curve], prefix: str, of: str) -> dict[str, Markup]:
        titles = {quantity: f"{quantity.capitalize()} over the epochs{of}" for quantity in (ACCURACY, LOSS)}
        return {
            quantity: learning_curves(curves, quantity, f"{prefix}-{quantity}", limits, goal=goal, title=title)
            for quantity, title in titles.items()
        }

    several = len(trials) > len(main)  # else these are all there are
    return {
        "curves": charts_of(main, "curves", ""), "beyond": limits.beyond,
        "trainings": [
            {
                "name": name, "trials": groups[group], "role": curves[0].role,
                "charts": charts_of(curves, f"curves-{number}", f": {name}"),
            }
            for number, (group, curves) in enumerate(by_group.items())
            for name in [_group_name(*group, figures["verdict"]["rounds"])]
            if several
        ],
    }  # fmt: skip


def _group_name(round_number: int, arm: str, model: str, rounds: int) -> str:
    later = f", round {round_number}" if round_number and rounds > 1 else ""
    return f"{ARM_NAMES[arm]}{later}, {model}"


def _answers(matrix: list[list[int]], by_label: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns a confusion matrix, or the difference of two, by class: the right answers and what else was answered."""
    return [
        {
            "name": by_label[i]["name"], "support": by_label[i]["support"], "right": counts[i],
            "wrong": [(by_label[j]["name"], counts[j]) for j in _largest(counts) if j != i],
        }
        for i, counts in enumerate(matrix)
    ]  # fmt: skip


def _worse(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the classes that lost the most, with what those of their pictures that went wrong are taken for."""
    name_of = {row["class_id"]: row["name"] for row in figures["classes"]}
    return [
        row | {
            "instead": [(name_of[class_id], count) for class_id, count in taken[:MOST_INSTEAD]],
            "others": sum(count for _, count in taken[MOST_INSTEAD:]), "shown": place < WORSE_CLASSES,
        }
        for place, row in enumerate(figures["got_worse"][:MOST_WORSE]) for taken in [list(row["taken_for"].items())]
    ]  # fmt: skip


def _largest(counts: list[int]) -> list[int]:
    """Returns the places of what is not 0, the largest first, whatever its sign."""
    return sorted((j for j, count in enumerate(counts) if count), key=lambda j: (-abs(counts[j]), j))


def _class_counts(classes: list[dict[str, Any]]) -> dict[str, int]:
    changes = [row["change"] for row in classes if row["change"] is not None]
    return {
        "better": sum(change > 0 for change in changes),
        "worse": sum(change < 0 for change in changes),
        "same": sum(change == 0 for change in changes),
    }


def _direction(difference: float | None) -> str:
    """Returns the CSS class of a signed number."""
    if not difference:
        return ""
    return "up" if difference > 0 else "down"


def _learning_rate(history: list[dict[str, Any]]) -> str:
    """Returns the learning rates of the first and the last epoch."""
    first, last = (f"{history[place]['learning_rate']:.3g}" for place in (0, -1))
    return first if first == last else f"{first} → {last}"


def _batch(training: dict[str, Any], wanted: int) -> str:
    """Returns how many pictures a step took, and why where it is not as many as were asked for."""
    size = training["batch_size"]
    return str(size) if size >= wanted else f"{size}, halved from {wanted}: out of device memory"
