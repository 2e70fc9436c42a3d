"""Collects every number of the report from the run's artifacts into one plain dictionary: what report.json holds."""

import json
import time
from typing import TYPE_CHECKING, Any

from imagenet_tasks.artifacts import Dataset, Evaluation
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.report import settings, wording
from imagenet_tasks.storage import Store

if TYPE_CHECKING:
    from imagenet_tasks.report.stage import ReportInputs

SHORTAGES = 10  # how many short classes have a sentence of their own
QUALITY = ("label_conflicts", "placeholders", "flat", "near_duplicates", "largest_groups", "warnings")
PAIRS = 10  # how many of the most confused pairs are listed


def collect(inputs: "ReportInputs") -> dict[str, Any]:
    """Returns the report's figures as plain JSON; None where something cannot be said.

    Raises:
        ArtifactError: where an artifact is missing or damaged, or the run decided for a repair that was not evaluated.
    """
    run, config, dataset = inputs.run, inputs.config, inputs.dataset
    store = run.store
    repaired = inputs.decision["branch"] == "augment"
    if repaired and (inputs.augmented is None or inputs.plan is None):
        raise ArtifactError(
            f"{run.folder}: the run decided for a repair, but has no evaluation of it. Run evaluate_augmented first."
        )
    models = {"before": _model(store, inputs.baseline)}
    comparison = None
    if inputs.augmented:
        models["after"] = _model(store, inputs.augmented)
        comparison = _read(store, inputs.augmented.folder, "comparison.json")
    chosen = [c.as_dict() for c in inputs.plan.chosen] if inputs.plan else []
    targeted = {c["class_id"] for c in chosen}
    data = _data(inputs)
    return {
        "run": {
            "dag_id": run.dag_id, "run_id": run.run_id, "run_key": run.run_key, "profile": config.profile,
            "description": config.description, "source": config.download.source, "written_s": time.time(),
        },
        "verdict": _verdict(inputs, models, comparison, targeted, data["left_out"]),
        "decision": inputs.decision,
        "tasks": _tasks(inputs),
        "models": models,
        "classes": _classes(dataset, models, targeted),
        "confused_pairs": _confused_pairs(dataset, models),
        "augmentation": {
            "chosen": chosen,
            "settings": settings.settings_by_stage(config)["augment"],
            "added": {a.class_id: a.count for a in inputs.added},
        } if repaired else None,
        "data": data,
        "settings": settings.settings_by_stage(config) | {"command": settings.command(config)},
        "versions": settings.versions(),
        "fingerprints": _fingerprints(inputs),
    }  # fmt: skip


def _read(store: Store, folder: str, name: str) -> Any:
    return json.loads(store.open_file(folder, name).read_bytes())


def _model(store: Store, evaluation: Evaluation) -> dict[str, Any]:
    metrics = _read(store, evaluation.folder, "metrics.json")
    history = store.open_file(evaluation.model.folder, "history.jsonl").read_text().splitlines()
    return {
        "trial": evaluation.model.trial.key,
        "training": _read(store, evaluation.model.folder, "training.json"),
        "history": [json.loads(line) for line in history],
        "validation": metrics["validation"],
        "test": metrics["test"],
        "trials": metrics["trials"],
    }


def _verdict(
    inputs: "ReportInputs", models: dict[str, Any], comparison: dict[str, Any] | None, targeted: set[str],
    left_out: list[dict[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    goal = inputs.decision["accuracy_goal"]
    baseline = models["before"]["test"]
    verdict: dict[str, Any] = {
        "word": comparison["test"]["verdict"] if comparison else "not tried", "goal": goal,
        "chance": baseline["chance_accuracy"], "majority": baseline["majority_accuracy"],
    }  # fmt: skip
    for split in ("validation", "test"):
        before = models["before"][split]
        figures = {
            "pictures": before["support"], "before": before["accuracy"],
            "before_interval": before["accuracy_interval"], "after": None, "after_interval": None, "difference": None,
            "interval": None, "p_value": None,
        }  # fmt: skip
        if comparison:
            figures["after_interval"] = models["after"][split]["accuracy_interval"]
            figures |= {k: v for k, v in comparison[split].items() if k != "verdict"}
        verdict[split] = figures
    after = verdict["validation"]["after"]
    verdict["goal_met_after"] = None if after is None else after >= goal
    verdict["targeted"] = _share_right(models, targeted) if targeted else None
    verdict["others"] = _share_right(models, {c.class_id for c in inputs.dataset.classes} - targeted)
    verdict["left_out"] = wording.left_out(left_out, len(inputs.config.classes))
    verdict["headline"], verdict["sentence"] = wording.headline(verdict), wording.sentence(verdict)
    return verdict


def _share_right(models: dict[str, Any], ids: set[str]) -> dict[str, Any]:
    """Returns how many test pictures of some classes each model got right."""
    labels = [c["label"] for c in models["before"]["test"]["per_class"] if c["class_id"] in ids]
    support = sum(models["before"]["test"]["per_class"][label]["support"] for label in labels)
    right = {role: sum(model["test"]["confusion"][i][i] for i in labels) for role, model in models.items()}
    share = {role: count / support if support else None for role, count in right.items()}
    return {"classes": len(labels), "support": support, "right": right, "share": share}


def _tasks(inputs: "ReportInputs") -> dict[str, Any]:
    groups: dict[str, dict[str, Any]] = {}
    begun = None
    ended = 0.0
    for record in inputs.run.task_records():
        if record["seconds"] is None:  # the report itself is still running
            continue
        begun = record["started_s"] if begun is None else begun
        ended = max(ended, record["started_s"] + record["seconds"])
        row = groups.setdefault(
            record["task"], {"task": record["task"], "count": 0, "reused": 0, "failed": 0, "seconds": 0.0}
        )
        row["count"] += 1
        row["reused"] += bool(record["reused"])
        row["failed"] += record["state"] == "failed"
        row["seconds"] = round(row["seconds"] + record["seconds"], 3)
    wall_s = round(ended - begun, 3) if begun is not None else None
    return {"groups": list(groups.values()), "started_s": begun, "wall_s": wall_s}


def _classes(dataset: Dataset, models: dict[str, Any], targeted: set[str]) -> list[dict[str, Any]]:
    """Returns per-class figures, the largest gain first; without a second model the lowest recall first."""
    rows = []
    for label, member in enumerate(dataset.classes):
        row: dict[str, Any] = {
            "class_id": member.class_id, "name": member.name, "label": label, "targeted": member.class_id in targeted,
            "support": models["before"]["test"]["per_class"][label]["support"], "change": None,
        }  # fmt: skip
        for role, model in models.items():
            test, validation = model["test"]["per_class"][label], model["validation"]["per_class"][label]
            row[role] = {k: test[k] for k in ("recall", "precision", "f1", "predicted")} | {
                "validation_recall": validation["recall"], "validation_support": validation["support"],
            }  # fmt: skip
        if "after" in row and row["before"]["recall"] is not None:
            row["change"] = row["after"]["recall"] - row["before"]["recall"]
        rows.append(row)
    if "after" in models:
        return sorted(rows, key=lambda r: (r["change"] is None, -(r["change"] or 0.0), r["label"]))
    return sorted(rows, key=lambda r: (r["before"]["recall"] is None, r["before"]["recall"] or 0.0, r["label"]))


def _confused_pairs(dataset: Dataset, models: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the pairs (true, predicted) with the most mistakes over both models."""
    matrices = {role: model["test"]["confusion"] for role, model in models.items()}
    pairs = [
        {"true": true.name, "predicted": predicted.name, "support": models["before"]["test"]["per_class"][i]["support"]}
        | {role: matrix[i][j] for role, matrix in matrices.items()}
        for i, true in enumerate(dataset.classes)
        for j, predicted in enumerate(dataset.classes)
        if i != j and any(matrix[i][j] for matrix in matrices.values())
    ]
    return sorted(pairs, key=lambda p: (-p["before"], -p.get("after", 0)))[:PAIRS]


def _data(inputs: "ReportInputs") -> dict[str, Any]:
    dataset = inputs.dataset
    rows: list[dict[str, Any]] = []
    selections = {selection.class_id: selection for selection in inputs.selections}
    for member in dataset.classes:
        selection = selections[member.class_id]
        rows.append(
            {
                "class_id": member.class_id, "name": member.name, "listed": selection.listed, "asked": selection.asked,
                "wanted": selection.wanted, "accepted": selection.accepted, "rejected": dict(selection.rejected),
                "train": member.train, "validation": member.validation, "test": member.test,
            }
        )  # fmt: skip
    totals: dict[str, Any] = {
        name: sum(row[name] for row in rows)
        for name in ("listed", "asked", "wanted", "accepted", "train", "validation", "test")
    }
    reasons: dict[str, int] = {}
    for row in rows:
        for reason, count in row["rejected"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    totals["rejected"] = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    hosts: dict[str, list[int]] = {}
    for member in dataset.classes:
        for kind, (accepted, asked) in selections[member.class_id].hosts.items():
            sums = hosts.setdefault(kind, [0, 0])
            sums[0], sums[1] = sums[0] + accepted, sums[1] + asked
    quality = _read(inputs.run.store, dataset.folder, "data_quality.json")
    for row in rows:
        row["quality"] = quality["classes"][row["class_id"]]
        row["flawed"] = any(row["quality"].values())
    return {
        "rows_px": dataset.rows_px, "columns_px": dataset.columns_px, "classes": rows, "totals": totals,
        "left_out": _left_out(inputs, quality["left_out"]),
        "source": inputs.config.download.source, "hosts": dict(sorted(hosts.items())),
        "imagenet_terms_accepted": inputs.config.download.accept_imagenet_terms,
    } | {name: quality[name] for name in QUALITY} | {"warnings": _shortages(rows) + quality["warnings"]}  # fmt: skip


def _shortages(rows: list[dict[str, Any]]) -> list[str]:
    """Returns a sentence for each class that is used with fewer pictures than were wanted, the shortest first."""
    short = sorted((row for row in rows if row["accepted"] < row["wanted"]), key=lambda row: row["accepted"])
    sentences = []
    for row in short[:SHORTAGES]:
        reasons = ", ".join(f"{reason.replace('_', ' ')} {count}" for reason, count in row["rejected"].items())
        sentences.append(
            f"{row['name']}: {row['accepted']} of {row['wanted']} pictures; "
            f"of {row['listed']} candidates rejected: {reasons or 'none'}"
        )
    return sentences + ([f"{len(short) - SHORTAGES} more classes are short"] if len(short) > SHORTAGES else [])


def _left_out(inputs: "ReportInputs", shortfalls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the run's classes that are not in the dataset; 'have' is None where a class never came so far."""
    kept = {member.class_id for member in inputs.dataset.classes}
    known = {shortfall["class_id"]: shortfall for shortfall in shortfalls}
    nothing: dict[str, Any] = {"have": None, "need": None, "reasons": {}}
    return [
        {"class_id": c.class_id, "name": c.name} | known.get(c.class_id, nothing)
        for c in inputs.config.classes
        if c.class_id not in kept
    ]


def _fingerprints(inputs: "ReportInputs") -> dict[str, str]:
    marks = {
        "Dataset": inputs.dataset.folder, "Baseline model": inputs.baseline.model.folder,
        "Baseline evaluation": inputs.baseline.folder,
    }  # fmt: skip
    if inputs.plan:
        marks["Augmentation plan"] = inputs.plan.folder
    marks |= {f"Changed pictures of {a.class_id}": a.folder for a in inputs.added}
    if inputs.augmented:
        marks |= {"Retrained model": inputs.augmented.model.folder, "Comparison": inputs.augmented.folder}
    return marks
