"""Collects every number of the report from the run's artifacts into one plain dictionary: what report.json holds."""

import time
from typing import Any

from imagenet_tasks.artifacts.figures import Metrics, RepairComparison
from imagenet_tasks.artifacts.quality import Suspects
from imagenet_tasks.artifacts.references import Dataset, Evaluation
from imagenet_tasks.artifacts.training import Epoch, TrainingRecord
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.report import settings, wording
from imagenet_tasks.report.data import collect_data
from imagenet_tasks.report.files import Files, picked
from imagenet_tasks.report.inputs import ReportInputs
from imagenet_tasks.report.mistakes import collect_mistakes
from imagenet_tasks.report.more_pictures import collect_more_pictures
from imagenet_tasks.report.next_steps import collect_next_steps
from imagenet_tasks.report.path import collect_path, collect_tasks
from imagenet_tasks.report.repair import collect_augmentation, collect_repair, without_classes
from imagenet_tasks.report.study import FIGURES, PROFILES
from imagenet_tasks.report.trained import judge_training, say_cap
from imagenet_tasks.report.use import collect_use
from imagenet_tasks.settings.training import ARMS, CONTROL


def collect(inputs: ReportInputs, files: Files) -> dict[str, Any]:
    """Returns the report's figures as plain JSON, as `Report` describes them; None where something cannot be said.

    Args:
        inputs: the run's artifacts.
        files: reads them.

    Raises:
        ArtifactError: where an artifact is missing or damaged, or the run decided for a repair that was not evaluated.
    """
    run, config, dataset, kept = inputs.run, inputs.config, inputs.dataset, inputs.kept
    if inputs.decision.branch == "augment" and inputs.decision.round > len(inputs.rounds):
        raise ArtifactError(
            f"{run.folder}: the run decided for a repair, but has no evaluation of it. Run evaluate_augmented first."
        )
    models = {"before": _model(files, inputs, inputs.baseline)}
    comparison = None
    repaired: set[str] = set()
    if kept:
        models["after"] = _model(files, inputs, kept.evaluation)
        comparison = files.read(kept.evaluation.folder, RepairComparison)
        # A round trains with the pictures of those before it, too.
        repaired = {c.class_id for r in inputs.rounds if r.number <= kept.number for c in r.plan.targeted}
    classes = _classes(dataset, models, comparison, repaired)
    data = collect_data(inputs, files)
    by_stage = settings.settings_by_stage(config)
    more_pictures = collect_more_pictures(inputs, files)
    figures: dict[str, Any] = {
        "run": {
            **picked(run, "dag_id", "run_id", "run_key"), **picked(config, "profile", "description"),
            "source": config.download.source, "written_s": time.time(),
        },
        "verdict": _verdict(inputs, models, comparison, classes, data["left_out"]),
        "decision": inputs.decision.as_dict(),
        "first_decision": (inputs.rounds[0].decision if inputs.rounds else inputs.decision).as_dict(),
        "champion": _collect_champion(inputs),
        "drift": inputs.drift.as_dict() if inputs.drift else None,
        "drift_problem": inputs.drift_problem,
        "tasks": collect_tasks(inputs),
        "path": collect_path(inputs),
        "models": models,
        "final": inputs.final.as_dict() if inputs.final else None,
        "final_problem": inputs.final_problem,
        "repair": collect_repair(inputs, files),
        "more_pictures": more_pictures,
        "classes": classes,
        "augmentation": collect_augmentation(inputs, by_stage["augment"]),
        "suspects": files.read(inputs.baseline.folder, Suspects).as_dict() if config.train.label_check_folds else None,
        "tuning": inputs.tuning.as_dict() if inputs.tuning else None,
        "data": data,
        "settings": by_stage | {"command": settings.command(config)},
        "versions": settings.versions(),
        "fingerprints": _fingerprints(inputs),
        "use": collect_use(inputs, files),
    } | collect_mistakes(inputs, files, models, classes)  # fmt: skip
    return figures | {"next_steps": collect_next_steps(figures, config)}


def _collect_champion(inputs: ReportInputs) -> dict[str, Any] | None:
    if inputs.champion is None:
        return None
    found, now = {k: inputs.champion[k] for k in ("outcome", "why")}, inputs.champion["champion"]
    if now is None:
        return found
    return found | {"test_accuracy": now["test_accuracy"], "test_looked_at_in_runs": len(now["looked_at_by"])}


def _model(files: Files, inputs: ReportInputs, evaluation: Evaluation) -> dict[str, Any]:
    """Returns what a round's first model did, and how its accuracy spreads over the round's seeds."""
    model, train = evaluation.model, inputs.config.train
    own = train.epochs_of(model.trial.model, inputs.dataset.training_pictures, repair=evaluation.round > 0)
    metrics, training = files.read(evaluation.folder, Metrics), files.read(model.folder, TrainingRecord)
    history = files.history(model)
    group = next(g for g in metrics.groups if (g.arm, g.model) == (model.trial.arm, model.trial.model))
    return {
        "trial": model.trial.called, **picked(model.trial, "model", "seed"), "seeds": list(group.seeds),
        "training": training.as_dict(), "history": history,
        "trained": judge_training(
            [Epoch.from_dict(e) for e in history], training.best_epoch, cap=say_cap(train.train_minutes, training, own)
        ),
        "validation": metrics.validation.as_dict() | {"over_seeds": group.validation.as_dict()},
        "test": metrics.test.as_dict() | {"over_seeds": group.test.as_dict()},
        "study": FIGURES.get(model.trial.model) if inputs.config.profile in PROFILES else None,
    }  # fmt: skip


def _verdict(
    inputs: ReportInputs, models: dict[str, Any], comparison: RepairComparison | None, classes: list[dict[str, Any]],
    left_out: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    goal, baseline = inputs.decision.accuracy_goal, models["before"]["test"]
    validation = _on_split("validation", models, comparison)
    targeted = [row for row in classes if row["targeted"]]
    kept, word = inputs.kept, "not tried"
    if comparison:
        word = "nothing helped" if comparison.chosen == CONTROL else (comparison.control or comparison.test).verdict
    trained = list(comparison.arms) if comparison else []
    verdict = {
        "word": word, "goal": goal, "chosen": comparison and comparison.chosen,
        "gain": without_classes(comparison.control) if comparison and comparison.control else None,
        "best_repair": _best_repair(comparison) if comparison else None,
        "repaired": comparison.repaired.as_dict() if comparison and comparison.repaired else None,
        "arms": trained,
        "empty_arms": kept.empty_arms if kept else {},
        "chance": baseline["chance_accuracy"], "majority": baseline["majority_accuracy"],
        "seeds": models["before"]["seeds"], "rounds": len(inputs.rounds), "kept": kept and kept.number,
        "validation": validation, "test": _on_split("test", models, comparison),
        "goal_met_after": None if validation["after"] is None else validation["after"] >= goal,
        "targeted": _share_right(targeted) if targeted else None,
        "others": _share_right([row for row in classes if not row["targeted"]]),
        "collateral": list(comparison.collateral) if comparison else None,
        "left_out": wording.left_out(left_out, len(inputs.config.classes)),
        "test_steers": wording.steers(
            models=len(inputs.config.train.models), repaired=comparison is not None, rounds=len(inputs.rounds)
        ) if inputs.dataset.test_steers else "",
    }  # fmt: skip
    return verdict | {
        "headline": wording.headline(verdict),
        "sentence": wording.sentence(verdict),
        "doubt": wording.doubt(verdict),
    }


def _best_repair(comparison: RepairComparison) -> dict[str, Any] | None:
    """Returns the repair that is the best on validation where none beat the control, as `report.BestRepair` has it."""
    if comparison.chosen != CONTROL or comparison.test.difference is None:
        return None
    repairs = [arm for arm in ARMS if arm in comparison.against]
    arm = max(repairs, key=lambda a: comparison.arms[a].validation.after or 0.0, default=None)
    if arm is None:
        return None
    test = comparison.against[arm].test  # the control minus the repair

    def turned(bounds: tuple[float, float] | None) -> list[float] | None:
        return bounds and [-bounds[1], -bounds[0]]

    return {
        "arm": arm, "before": test.after, "after": test.before, "difference": -(test.difference or 0.0),
        "interval": turned(test.interval), "seed_interval": turned(test.seed_interval),
    }  # fmt: skip


def _on_split(split: str, models: dict[str, Any], comparison: RepairComparison | None) -> dict[str, Any]:
    figures = {"pictures": models["before"][split]["support"]} | dict.fromkeys(
        ("after", "after_interval", "after_sd", "difference", "interval", "seed_interval", "sd", "p_value")
    )
    for role, model in models.items():
        spread = model[split]["over_seeds"]
        several = len(model["seeds"]) > 1
        figures |= {
            role: spread["mean"], f"{role}_sd": spread["sd"],
            # Of one training the pictures' interval is known; of several, how far another training may lie.
            f"{role}_interval": spread["interval"] if several else model[split]["accuracy_interval"],
        }  # fmt: skip
    found = getattr(comparison, split).as_dict() if comparison else {}
    return figures | {k: v for k, v in found.items() if k not in ("verdict", "per_class")}


def _share_right(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the share of some classes' test pictures that each model got right; over seeds it is the mean."""
    support = sum(row["support"] for row in rows)
    share = {
        role: sum(row["support"] * row[role]["recall"] for row in rows if row["support"]) / support if support else None
        for role in ("before", "after")
        if all(role in row for row in rows)
    }
    return {"classes": len(rows), "support": support, "share": share}


def _classes(
    dataset: Dataset, models: dict[str, Any], comparison: RepairComparison | None, repaired: set[str]
) -> list[dict[str, Any]]:
    """Returns per-class figures, the largest gain first; without a second model the lowest recall first.

    Where models are compared, recall is the mean over the seeds; all else is of the first seed's models.
    """
    rows = []
    compared = {row.label: row for row in comparison.test.per_class} if comparison else {}
    validated = {row.label: row for row in comparison.validation.per_class} if comparison else {}
    for label, member in enumerate(dataset.classes):
        row: dict[str, Any] = {
            "class_id": member.class_id, "name": member.name, "label": label, "targeted": member.class_id in repaired,
            "support": models["before"]["test"]["per_class"][label]["support"], "change": None, "p_adjusted": None,
            "changed": None,
        }  # fmt: skip
        for role, model in models.items():
            test, validation = model["test"]["per_class"][label], model["validation"]["per_class"][label]
            row[role] = {k: test[k] for k in ("recall", "precision", "f1", "predicted")} | {
                "validation_recall": validation["recall"], "validation_support": validation["support"],
            }  # fmt: skip
        if both := compared.get(label):
            # A mean over the seeds that did not change is no loss of 1e-17.
            row |= picked(both, "p_adjusted", "changed")
            row["change"] = None if both.difference is None else round(both.difference, 9)
            for role in models:
                row[role]["recall"] = getattr(both, role)
                row[role]["validation_recall"] = getattr(validated[label], role)
        rows.append(row)
    if "after" in models:
        return sorted(rows, key=lambda r: (r["change"] is None, -(r["change"] or 0.0), r["label"]))
    return sorted(rows, key=lambda r: (r["before"]["recall"] is None, r["before"]["recall"] or 0.0, r["label"]))


def _fingerprints(inputs: ReportInputs) -> dict[str, str]:
    marks = {
        "Dataset": inputs.dataset.folder, "Baseline model": inputs.baseline.model.folder,
        "Baseline evaluation": inputs.baseline.folder,
    }  # fmt: skip
    for each in inputs.rounds:
        suffix = f", round {each.number}" if len(inputs.rounds) > 1 else ""
        marks[f"Augmentation plan{suffix}"] = each.plan.folder
        for a in each.added:
            kind = "New" if a.selection else "Changed"
            marks[f"{kind} pictures of {a.array.class_id} for {', '.join(a.arms)}{suffix}"] = a.array.folder
        marks |= {
            f"Retrained model{suffix}": each.evaluation.model.folder,
            f"Comparison{suffix}": each.evaluation.folder,
        }
    return marks | ({"Final model": inputs.final.folder} if inputs.final else {})
