"""Fills the page's template. Everything in it is escaped but the charts, which are escaped where they are drawn."""

from typing import Any

from imagenet_tasks.config import RunConfig
from imagenet_tasks.report import charts, settings, wording
from imagenet_tasks.report.study import GOAL as STUDY_GOAL

CLASSES_PER_CHART = 30


def render(
    figures: dict[str, Any], config: RunConfig, *, samples: dict[str, list[str]],
    changes: dict[str, list[dict[str, Any]]], suspects: list[tuple[dict[str, Any], str]],
) -> str:  # fmt: skip
    """Returns the report as one HTML page without scripts that needs nothing from anywhere.

    Args:
        figures: what `collect` returns.
        config: the run's settings.
        samples: by class id, training pictures as data: addresses.
        changes: by class id, originals and their changed copies as data: addresses.
        suspects: pictures whose label is in doubt, each with its data: address.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("imagenet_tasks.report"), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "percent": wording.percent, "points": wording.points, "interval": wording.interval, "number": wording.number,
        "p_value": wording.p_value, "duration": wording.duration, "moment": wording.moment, "goal": wording.goal,
        "plural": wording.plural, "said": settings.said, "direction": _direction, "span": wording.span,
        "p_number": wording.p_number, "said_task": _said_task, "learning_rate": _learning_rate, "batch": _batch,
    }  # fmt: skip
    classes = figures["classes"]
    by_label = sorted(classes, key=lambda row: row["label"])
    return environment.get_template("report.html.j2").render(
        f=figures, v=figures["verdict"], words=wording.VERDICTS, role_names=ROLES,
        arm_names=wording.ARM_NAMES, arm_glosses=wording.ARM_GLOSSES, against=wording.AGAINST,
        policies=wording.POLICIES, strategies=wording.STRATEGIES, transforms=wording.TRANSFORMS, study_goal=STUDY_GOAL,
        roles=list(figures["models"]), repaired="after" in figures["models"], by_label=by_label,
        class_counts=_class_counts(classes), charts=_charts(figures, by_label), mistakes=_mistakes(figures, by_label),
        samples=samples, changes=changes, suspects=suspects, rows=settings.setting_rows(config),
    )  # fmt: skip


ROLES = {"before": "Baseline", "after": "Retrained"}
TASKS = {
    "plan_run": "Settle the settings and classes",
    "download_class": "Get each class's pictures",
    "preprocess_class": "Decode and resize them",
    "build_dataset": "Split and check the data",
    "train_baseline": "Train the baseline",
    "evaluate_baseline": "Measure the baseline",
    "check_accuracy": "Compare with the goal",
    "plan_augmentation": "Choose the classes to repair",
    "augment_class": "Make changed copies",
    "plan_retraining": "List the trainings of the repair",
    "train_augmented": "Train again with them",
    "evaluate_augmented": "Measure and compare",
    "write_report": "Write this report",
}


def _charts(figures: dict[str, Any], by_label: list[dict[str, Any]]) -> dict[str, Any]:
    models, classes = figures["models"], figures["classes"]
    names = [row["name"] for row in by_label]
    # Halves of nearly the same height: 32 classes are 16 and 16, not 30 and 2.
    parts = -(-len(classes) // CLASSES_PER_CHART)
    size = -(-len(classes) // parts)
    accuracy, _ = charts.learning_curves(models, "accuracy", goal=figures["verdict"]["goal"])
    loss, beyond = charts.learning_curves(models, "loss")
    return {
        "difference": charts.difference_chart(figures["verdict"]) if figures["verdict"]["test"]["interval"] else None,
        "accuracy": accuracy, "loss": loss, "beyond": beyond,
        "classes": [
            charts.class_chart(classes[start : start + size], f"classes-{start}")
            for start in range(0, len(classes), size)
        ],
        "confusion": {
            role: charts.confusion_chart(model["test"]["confusion"], names, role) for role, model in models.items()
        },
    }  # fmt: skip


def _mistakes(figures: dict[str, Any], by_label: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Returns each model's confusion matrix as a list: per class the right answers and what else was answered."""
    listed = {}
    for role, model in figures["models"].items():
        rows = []
        for i, counts in enumerate(model["test"]["confusion"]):
            wrong = sorted(((n, j) for j, n in enumerate(counts) if n and j != i), key=lambda pair: (-pair[0], pair[1]))
            rows.append(
                {
                    "name": by_label[i]["name"], "support": sum(counts), "right": counts[i],
                    "wrong": [(by_label[j]["name"], n) for n, j in wrong],
                }
            )  # fmt: skip
        listed[role] = rows
    return listed


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


def _said_task(task: str) -> str:
    """Returns what a task does; those of later rounds have the round before their name."""
    prefix, dot, name = task.rpartition(".")
    said = TASKS.get(name, name)
    return f"{said}, {prefix.replace('_', ' ')}" if dot else said


def _learning_rate(history: list[dict[str, Any]]) -> str:
    """Returns the learning rates of the first and the last epoch, or a dash where they were not kept."""
    rates = [entry["learning_rate"] for entry in history if "learning_rate" in entry]
    if not rates:
        return wording.DASH
    first, last = f"{rates[0]:.3g}", f"{rates[-1]:.3g}"
    return first if first == last else f"{first} → {last}"


def _batch(training: dict[str, Any], wanted: int) -> str:
    """Returns how many pictures a step took, and why where it is not as many as were asked for."""
    size = training.get("batch_size")
    if size is None:
        return wording.DASH
    return str(size) if size >= wanted else f"{size}, halved from {wanted}: out of device memory"
