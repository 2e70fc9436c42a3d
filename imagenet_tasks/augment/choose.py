"""Chooses the classes to repair, from validation figures alone."""

from typing import Any

from imagenet_tasks.artifacts import ChosenClass, Dataset
from imagenet_tasks.config import AugmentConfig
from imagenet_tasks.errors import DataError


def lowest_recall(figures: dict[str, Any], dataset: Dataset, settings: AugmentConfig) -> tuple[ChosenClass, ...]:
    """Returns the classes with the lowest recall, the worst first; equal ones in order of their labels.

    Args:
        figures: the baseline's on validation: 'per_class' and 'confusion'.
        dataset: its classes.
        settings: how many classes, and how many pictures each.

    Raises:
        DataError: where no class has validation pictures and training pictures.
    """
    able = [c for c in figures["per_class"] if c["recall"] is not None and dataset.classes[c["label"]].train]
    if not able:
        raise DataError("plan_augmentation: no class has both validation and training pictures; give more pictures")
    worst = sorted(able, key=lambda c: (c["recall"], c["label"]))[: settings.classes_to_augment]
    chosen = []
    for place, member in enumerate(worst, start=1):
        row = figures["confusion"][member["label"]]
        others = sorted(
            ((count, label) for label, count in enumerate(row) if count and label != member["label"]),
            key=lambda pair: (-pair[0], pair[1]),
        )
        taken_for = tuple((dataset.classes[label].name, count) for count, label in others[:3])
        right = row[member["label"]]
        share = f"{100 * member['recall']:.1f} %"
        why = f"recall {share} on validation ({right} of {member['support']}), number {place} from below"
        if taken_for:
            why += "; taken for " + ", ".join(f"{name} ({count})" for name, count in taken_for)
        chosen.append(
            ChosenClass(
                dataset=dataset.fingerprint,
                class_id=member["class_id"],
                name=member["name"],
                label=member["label"],
                recall=member["recall"],
                support=member["support"],
                confused_with=taken_for,
                pictures_to_add=settings.pictures_to_add,
                why=why,
            )
        )
    return tuple(chosen)
