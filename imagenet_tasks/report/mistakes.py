"""The report's figures on mistakes: what is taken for what, which test pictures, and how sure the model was."""

import csv
from collections import Counter
from typing import Any

from imagenet_tasks.artifacts.references import Dataset, Evaluation
from imagenet_tasks.artifacts.report import MistakeRow, WorseClass
from imagenet_tasks.report.files import Files
from imagenet_tasks.report.inputs import ReportInputs

PAIRS = 10  # how many of the most confused pairs are listed
PAIR_PICTURES = 4  # of each pair and model
CONFIDENT = 12  # how many of the most confident mistakes of each model
WORSE_CLASSES, WORSE_PICTURES = 5, 6  # of how many classes that got worse pictures are shown, and how many of each


def collect_mistakes(
    inputs: ReportInputs, files: Files, models: dict[str, Any], classes: list[dict[str, Any]]
) -> dict[str, Any]:
    """Returns what the models of the verdict got wrong on the test pictures, as `Report` has it, as plain JSON.

    Args:
        inputs: the run's artifacts.
        files: reads them.
        models: 'before' and perhaps 'after', each with its 'test' figures.
        classes: the report's rows of the classes.

    Raises:
        ArtifactError: where predictions.csv is missing, damaged, or of other pictures than the dataset's.
    """
    evaluations = {"before": inputs.baseline} | ({"after": inputs.kept.evaluation} if inputs.kept else {})
    found = {role: _read(files, inputs.dataset, evaluation) for role, evaluation in evaluations.items()}
    matrices = {role: model["test"]["confusion"] for role, model in models.items()}
    difference = None
    if "after" in matrices:
        difference = [
            [a - b for b, a in zip(*rows, strict=True)]
            for rows in zip(matrices["before"], matrices["after"], strict=True)
        ]
    return {
        "confused_pairs": _pairs(inputs.dataset, matrices, found),
        "confident_mistakes": {
            role: [mistake.as_dict() for mistake in mistakes[:CONFIDENT]] for role, mistakes in found.items()
        },
        "confusion_difference": difference,
        "got_worse": _worse(classes, matrices, found) if "after" in found else [],
    }  # fmt: skip


def _read(files: Files, dataset: Dataset, evaluation: Evaluation) -> list[MistakeRow]:
    """Returns a model's mistakes on the test pictures, the surest first."""
    label_of = {member.class_id: label for label, member in enumerate(dataset.classes)}
    row_of = {(place.class_id, place.image_id): place.row for place in files.places(dataset).get("test", [])}
    mistakes = []
    with files.store.open_file(evaluation.folder, "predictions.csv").open(newline="") as file:
        table = csv.reader(file)
        next(table)
        for split, image_id, true, predicted, *shares in table:
            if split != "test" or true == predicted:
                continue
            label, answer = label_of[true], label_of[predicted]
            mistakes.append(
                MistakeRow(
                    image_id=image_id, class_id=true, name=dataset.classes[label].name, row=row_of[true, image_id],
                    given_probability=float(shares[label]), answered_class_id=predicted,
                    answered_name=dataset.classes[answer].name, answered_probability=float(shares[answer]),
                )
            )  # fmt: skip
    return sorted(mistakes, key=lambda m: (-m.answered_probability, m.given_probability, m.image_id))


def _worse(
    classes: list[dict[str, Any]], matrices: dict[str, list[list[int]]], found: dict[str, list[MistakeRow]]
) -> list[dict[str, Any]]:
    """Returns the classes that lost, the largest loss first, with the surest of what went from right to wrong."""
    wrong = {role: {(one.class_id, one.image_id) for one in mistakes} for role, mistakes in found.items()}
    changed = {  # of 'after' what went wrong, of 'before' what came right
        role: [one for one in found[role] if (one.class_id, one.image_id) not in wrong[other]]
        for role, other in (("after", "before"), ("before", "after"))
    }
    lost = sorted((row for row in classes if row["change"] and row["change"] < 0), key=lambda row: row["change"])
    worse = []
    for place, row in enumerate(lost):
        label = row["label"]
        went, came = ([one for one in changed[r] if one.class_id == row["class_id"]] for r in ("after", "before"))
        worse.append(
            WorseClass(
                class_id=row["class_id"], name=row["name"], label=label, change=row["change"], support=row["support"],
                before=matrices["before"][label][label], after=matrices["after"][label][label],
                went_wrong=len(went), came_right=len(came),
                taken_for=dict(Counter(one.answered_class_id for one in went).most_common()),
                pictures=tuple(went[:WORSE_PICTURES]) if place < WORSE_CLASSES else (),
            ).as_dict()
        )  # fmt: skip
    return worse


def _pairs(
    dataset: Dataset, matrices: dict[str, list[list[int]]], found: dict[str, list[MistakeRow]]
) -> list[dict[str, Any]]:
    """Returns the pairs (true, predicted) with the most mistakes of either model, those of the baseline first."""
    counts = {
        (i, j): {role: matrix[i][j] for role, matrix in matrices.items()}
        for i in range(len(dataset.classes))
        for j in range(len(dataset.classes))
        if i != j and any(matrix[i][j] for matrix in matrices.values())
    }
    most = sorted(counts, key=lambda pair: (-max(counts[pair].values()), -counts[pair]["before"], pair))[:PAIRS]
    return [
        {
            "true": true.name, "predicted": predicted.name,
            "true_class_id": true.class_id, "predicted_class_id": predicted.class_id,
            "support": sum(matrices["before"][i]),
            "pictures": {
                role: [
                    one.as_dict() for one in mistakes
                    if (one.class_id, one.answered_class_id) == (true.class_id, predicted.class_id)
                ][:PAIR_PICTURES]
                for role, mistakes in found.items()
            },
        }
        | counts[i, j]
        for i, j in most
        for true, predicted in [(dataset.classes[i], dataset.classes[j])]
    ]  # fmt: skip
