"""The report's figures on mistakes: what is taken for what, which test pictures, and how sure the model was."""

import csv
from dataclasses import dataclass
from typing import Any

from imagenet_tasks.artifacts.references import Dataset, Evaluation
from imagenet_tasks.report.files import Files
from imagenet_tasks.report.inputs import ReportInputs

PAIRS = 10  # how many of the most confused pairs are listed
PAIR_PICTURES = 4  # of each pair and model
CONFIDENT = 12  # how many of the most confident mistakes of each model


@dataclass(frozen=True, kw_only=True, slots=True)
class Mistake:
    """A test picture that a model took for another class; probabilities are the model's own, in [0, 1]."""

    image_id: str
    row: int
    label: int
    answer: int
    probability: float
    own_probability: float


def collect_mistakes(inputs: ReportInputs, files: Files, models: dict[str, Any]) -> dict[str, Any]:
    """Returns what the models of the verdict got wrong on the test pictures, as plain JSON.

    Args:
        inputs: the run's artifacts.
        files: reads them.
        models: 'before' and perhaps 'after', each with its 'test' figures.

    Returns:
        'confused_pairs' (the pairs of true and answered class with the most mistakes of either model, each with the
        surest pictures by model), 'confident_mistakes' (by model), and 'confusion_difference' (after minus before, rows
        true and columns answered; None without a second model).

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
            role: [_as_dict(inputs.dataset, mistake) for mistake in mistakes[:CONFIDENT]]
            for role, mistakes in found.items()
        },
        "confusion_difference": difference,
    }  # fmt: skip


def _read(files: Files, dataset: Dataset, evaluation: Evaluation) -> list[Mistake]:
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
                Mistake(
                    image_id=image_id, row=row_of[true, image_id], label=label, answer=answer,
                    probability=float(shares[answer]), own_probability=float(shares[label]),
                )
            )  # fmt: skip
    return sorted(mistakes, key=lambda m: (-m.probability, m.own_probability, m.image_id))


def _pairs(
    dataset: Dataset, matrices: dict[str, list[list[int]]], found: dict[str, list[Mistake]]
) -> list[dict[str, Any]]:
    """Returns the pairs (true, predicted) with the most mistakes of either model, those of the baseline first."""
    counts = {
        (i, j): {role: matrix[i][j] for role, matrix in matrices.items()}
        for i in range(len(dataset.classes))
        for j in range(len(dataset.classes))
        if i != j and any(matrix[i][j] for matrix in matrices.values())
    }
    most = sorted(counts, key=lambda pair: (-max(counts[pair].values()), -counts[pair]["before"], pair))[:PAIRS]
    pictures: dict[tuple[int, int], dict[str, list[dict[str, Any]]]] = {
        pair: {role: [] for role in matrices} for pair in most
    }
    for role, mistakes in found.items():
        for mistake in mistakes:
            shown = pictures.get((mistake.label, mistake.answer))
            if shown and len(shown[role]) < PAIR_PICTURES:
                shown[role].append(_as_dict(dataset, mistake))
    return [
        {
            "true": dataset.classes[i].name, "predicted": dataset.classes[j].name,
            "true_class_id": dataset.classes[i].class_id, "predicted_class_id": dataset.classes[j].class_id,
            "support": sum(matrices["before"][i]), "pictures": pictures[i, j],
        }
        | counts[i, j]
        for i, j in most
    ]  # fmt: skip


def _as_dict(dataset: Dataset, mistake: Mistake) -> dict[str, Any]:
    given, answered = dataset.classes[mistake.label], dataset.classes[mistake.answer]
    return {
        "image_id": mistake.image_id, "class_id": given.class_id, "name": given.name, "row": mistake.row,
        "given_probability": mistake.own_probability, "answered_class_id": answered.class_id,
        "answered_name": answered.name, "answered_probability": mistake.probability,
    }  # fmt: skip
