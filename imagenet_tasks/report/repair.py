"""The report's figures on the repair: every arm, seed and round, what they are compared with, and what that means."""

import statistics
from collections import Counter
from typing import Any

from imagenet_tasks.artifacts.figures import Comparison, HeldOut, Metrics, RepairComparison
from imagenet_tasks.artifacts.references import AugmentationPlan, Evaluation
from imagenet_tasks.artifacts.training import TrainingRecord
from imagenet_tasks.report import study, wording
from imagenet_tasks.report.files import Files, picked
from imagenet_tasks.report.inputs import ReportInputs, Round
from imagenet_tasks.settings.training import ARMS, CONTROL, ArmName

# What it means that an arm did better than another (helped), worse (hurt), or that neither is shown.
_CHOICE = {
    "helped": "Spread over all classes, as many pictures did less: which classes got them mattered.",
    "hurt": "Spread over all classes, as many pictures did more: choosing these classes was the worse choice.",
    "no difference shown": "Spread over all classes, as many pictures did as well, as far as these test pictures show: "
    "it is not shown that the choice of classes mattered.",
}
_CONTROL = {
    "helped": "The same training with nothing more added did less: it was the repair, not the longer training.",
    "hurt": "The same training with nothing more added did more: the repair did harm.",
    "no difference shown": "The same training with nothing more added did as well, as far as these test pictures show: "
    "it is not shown that the repair mattered.",
}
_KIND = {
    "helped": "New pictures did more than changed copies.",
    "hurt": "New pictures did less than changed copies.",
    "no difference shown": "It is not shown that new pictures do more than changed copies.",
}
MEANINGS = {("collect", "collect-all"): _CHOICE, ("targeted", "untargeted"): _CHOICE, ("collect", "targeted"): _KIND}


def meaning(arm: str, other: str, verdict: str) -> str:
    """Returns what it means that an arm did so beside another; '' where the figures say all."""
    meanings = _CONTROL if other == CONTROL else MEANINGS.get((arm, other), {})
    return meanings.get(verdict, "")


def collect_repair(inputs: ReportInputs, files: Files) -> dict[str, Any]:
    """Returns all trainings side by side, as `report_trainings.Repair` describes them.

    The arms begin with the baseline taken. The study's figures stand beside those of its own profiles alone.
    """
    groups, trials = _groups(files, inputs.baseline, {})
    taken = inputs.baseline.model.trial.model
    baselines = [group | {"taken": group["model"] == taken} for group in groups if group["arm"] == "baseline"]
    arms = [group | {"comparison": None, "chosen": False} for group in baselines if group["taken"]]
    against: list[dict[str, Any]] = []
    for each in inputs.rounds:
        comparison = files.read(each.evaluation.folder, RepairComparison)
        tests = {arm: own.test for arm, own in comparison.arms.items()}
        differences = {(arm, row.seed): row.difference for arm, test in tests.items() for row in test.by_seed}
        groups, more = _groups(files, each.evaluation, differences)
        trials += more
        arms += [
            group | {"comparison": without_classes(tests[group["arm"]]), "chosen": group["arm"] == comparison.chosen}
            for group in sorted(groups, key=lambda g: ARMS.index(g["arm"]))
        ]
        against += [
            {
                "chosen": comparison.chosen,
                "arm": arm,
                "round": each.number,
                "meaning": meaning(comparison.chosen, arm, comparison.against[arm].test.verdict),
            }
            | without_classes(comparison.against[arm].test)
            for arm in sorted(comparison.against, key=ARMS.index)
        ]
    return {
        "baselines": baselines, "arms": arms, "against": against, "trials": trials, "rounds": _rounds(inputs, files),
        "study": study.study_rows([*baselines, *(g for g in arms if g["arm"] == "targeted")])
        if inputs.config.profile in study.PROFILES else [],
    }  # fmt: skip


def collect_augmentation(inputs: ReportInputs, settings: dict[str, Any]) -> dict[str, Any] | None:
    """Returns which classes got changed pictures in each round, why, and how, as `report.Augmentation` describes it.

    Args:
        inputs: the run's artifacts.
        settings: those of the stage `augment`.

    Returns:
        None where no repair was tried.
    """
    if inputs.kept is None:
        return None
    denied = [
        {"class_id": c.class_id, "name": c.name, "transforms": sorted(transforms)}
        for c in inputs.config.classes
        if (transforms := inputs.config.augment.denied(c.class_id))
    ]
    names = [c.name for c in inputs.dataset.classes]
    rounds = [
        {
            "number": each.number, "kept": each is inputs.kept, "strategy": each.plan.strategy,
            "chosen": [c.as_dict() for c in each.plan.targeted],
            "added": each.added_by("targeted"),
            "collected": each.added_by("collect") if "collect" in inputs.config.train.arms else None,
            "search": _search(inputs, each), "skipped": sum(len(c.skipped) for c in each.plan.targeted),
            "others": _other_arms(each, names, inputs.config.train.arms),
        }
        for each in inputs.rounds
    ]  # fmt: skip
    return {"settings": settings, "denied": denied, "rounds": rounds, "kept": inputs.kept.number}


def _search(inputs: ReportInputs, each: Round) -> dict[str, Any] | None:
    """Returns what became of the candidates for new pictures, as `report.Search` describes it; None for no search."""
    first = {ref.class_id: ref for ref in inputs.selections}
    larger = {a.selection.class_id: a.selection for a in each.added if a.selection}
    if not larger:
        return None
    more = [(ref, first[class_id]) for class_id, ref in larger.items()]
    rejected = Counter[str]()
    for ref, before in more:  # a second look may find fewer: those were answered otherwise
        rejected += Counter(ref.rejected) - Counter(before.rejected)
    return {
        "asked": sum(max(ref.asked - before.asked, 0) for ref, before in more),
        "accepted": sum(max(ref.accepted - before.accepted, 0) for ref, before in more),
        "rejected": dict(sorted(rejected.items(), key=lambda item: (-item[1], item[0]))),
    }


def _other_arms(each: Round, classes: list[str], arms: tuple[ArmName, ...]) -> list[dict[str, Any]]:
    """Returns what each arm trained with beside those that have a column of their own, in short.

    Args:
        each: a repair.
        classes: the names of all, by label.
        arms: that were asked for.
    """
    others = []
    for arm in arms:
        if arm in ("targeted", "collect", CONTROL) or arm in each.empty_arms:
            continue
        chosen, added = [c for c in each.plan.chosen if arm in c.arms], each.added_by(arm)
        counts = sorted(added.values())
        others.append(
            {
                "arm": arm, "classes": len(chosen),
                "names": [c.name for c in chosen] if len(chosen) < len(classes) else [],
                "each": [counts[0], counts[-1]] if counts else None, "pictures": sum(counts),
                "wanted": sum(c.pictures_to_add for c in chosen), "did": _did(arm, each.plan, classes),
            }
        )  # fmt: skip
    return others


def _did(arm: ArmName, plan: AugmentationPlan, classes: list[str]) -> str:
    """Returns what an arm that adds no picture changed; '' of one that adds some."""
    if arm == "mix":
        return "mixed with one another: " + ", ".join(f"{classes[a]} and {classes[b]}" for a, b in plan.mixed)
    if arm == "soften":
        return "changed half as much: " + ", ".join(c.name for c in plan.targeted)
    if arm == "clean":
        one, many = "picture with a label in doubt", "pictures with labels in doubt"
        return f"left out: {wording.plural(plan.doubted_pictures, one, many)}"
    return ""


def _rounds(inputs: ReportInputs, files: Files) -> list[dict[str, Any]]:
    rows = []
    gates = [each.decision for each in inputs.rounds] + [inputs.decision]
    for each, gate in zip(inputs.rounds, gates[1:], strict=True):
        # After the last round that there can be, no gate follows.
        why = f"no further round: at most {inputs.config.train.rounds} were asked for"
        if gate.round == each.number + 1:
            why = gate.why
        elif each.number < inputs.config.train.rounds:
            why = wording.DASH
        comparison = files.read(each.evaluation.folder, RepairComparison)
        rows.append(
            {
                "number": each.number, "kept": each is inputs.kept, "classes": [c.name for c in each.plan.targeted],
                "arm": each.arm, "added": sum(each.added_by(each.arm).values()), "strategy": each.plan.strategy,
                "validation": each.evaluation.validation_accuracy, "test": each.evaluation.test_accuracy,
                "gain": without_classes(comparison.previous.validation), "led": each.decision.why,
                "then": why,
            }
        )  # fmt: skip
    return rows


def _groups(
    files: Files, evaluation: Evaluation, differences: dict[tuple[str, int], float]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Returns an evaluation's trainings by arm and model, and one by one, each with its own record's figures.

    Args:
        files: reads them.
        evaluation: whose.
        differences: to the baseline of the same seed, by arm and seed.
    """
    metrics = files.read(evaluation.folder, Metrics)
    trials = []
    for row in metrics.trials:
        training = files.read(row.trained.folder, TrainingRecord)
        trials.append(
            {"difference": differences.get((row.trial.arm, row.trial.seed)), "history": files.history(row.trained)}
            | picked(row, *HeldOut.model_fields)
            | picked(row.trial, "arm", "model", "seed", "round")
            | picked(training, "added_pictures", "epochs", "best_epoch", "train_seconds")
            | {"shown_pictures": training.epochs * (training.epoch_pictures or training.training_pictures)}
        )
    groups = []
    for group in metrics.groups:
        mine = [t for t in trials if (t["arm"], t["model"]) == (group.arm, group.model)]
        losses = [t["test_loss"] for t in mine if t["test_loss"] is not None]
        groups.append(
            group.as_dict()
            | {
                "round": evaluation.round, "loss": statistics.fmean(losses) if losses else None,
                **{name: mine[0][name] if mine else None for name in ("added_pictures", "shown_pictures")},
            }
        )  # fmt: skip
    return groups, trials


def without_classes(comparison: Comparison) -> dict[str, Any]:
    """Returns a comparison's figures but those of each class."""
    return {k: v for k, v in comparison.as_dict().items() if k != "per_class"}
