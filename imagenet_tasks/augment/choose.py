"""Chooses the classes to repair, from validation alone.

- `recall`: the lowest recall, by the upper end of its 95 % interval (Wilson). By recall itself a class of 8 pictures
  would often be the lowest by bad luck alone; a low upper end says that the class is bad even at best.
- `confused`: the largest share of the confusion: the mistakes in a class's row and column of the confusion matrix over
  twice all mistakes, since each stands in one row and in one column. The shares of all classes sum to 1.
- `correlated`: the worst by recall, as above, and what each of them is most confused with, counted in both directions.
- `manual`: the classes that the settings name.

Equal ones are taken in order of their labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from imagenet_tasks.artifacts.quality import may_be_left_out
from imagenet_tasks.artifacts.references import ChosenClass, Dataset
from imagenet_tasks.errors import DataError
from imagenet_tasks.settings.config import AugmentConfig, StrategyName
from imagenet_tasks.settings.training import ArmName
from imagenet_tasks.statistics.intervals import wilson

MOST_NAMED = 3  # of the classes that a class is taken for
Choice = dict[int, list[str]]  # labels in order, with the reasons for each


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What one round's models make of the validation pictures.

    The confusion is the mean over the models, so that the choice does not hang on one seed. Intervals are for the
    number of distinct pictures: a second model on the same pictures is no second sample of them.

    Args:
        dataset: the classes.
        labels: int (n,), the true labels.
        predicted: int (n,) for each model.
    """

    dataset: Dataset
    labels: np.ndarray
    predicted: Sequence[np.ndarray]

    @cached_property
    def confusion(self) -> np.ndarray:
        """The mean counts, float (classes, classes): rows true, columns predicted."""
        counts = np.zeros((len(self.dataset.classes),) * 2)
        for predicted in self.predicted:
            np.add.at(counts, (self.labels, predicted), 1)
        return counts / len(self.predicted)

    @cached_property
    def mistakes(self) -> np.ndarray:
        """The confusion without what is right, float (classes, classes)."""
        return self.confusion * ~np.eye(len(self.confusion), dtype=bool)

    @cached_property
    def support(self) -> np.ndarray:
        """The pictures of each class, int (classes,)."""
        return np.bincount(self.labels, minlength=len(self.dataset.classes))

    @property
    def able(self) -> list[int]:
        """The labels that have training pictures to make copies of."""
        return [label for label, member in enumerate(self.dataset.classes) if member.train]

    def recall(self, label: int) -> float | None:
        """Returns the mean recall of a class; None where it has no pictures."""
        return float(self.confusion[label, label] / self.support[label]) if self.support[label] else None

    def interval(self, label: int) -> tuple[float, float] | None:
        """Returns the 95 % interval of the recall; None where the class has no pictures."""
        support = int(self.support[label])
        return wilson(float(self.confusion[label, label]), support) if support else None

    @cached_property
    def between(self) -> np.ndarray:
        """How often two classes are taken for each other, both ways, float (classes, classes)."""
        return self.mistakes + self.mistakes.T

    def pairs(self, labels: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Returns these classes with those that each is most often confused with, both ways, the lower label first."""
        found = {
            (min(label, other), max(label, other))
            for label in labels
            for other in np.argsort(-self.between[label], kind="stable")[:MOST_NAMED].tolist()
            if self.between[label, other]
        }
        return tuple(sorted(found))

    def taken_for(self, label: int) -> list[tuple[str, float]]:
        """Returns the names of what a class is most often taken for, with mean counts."""
        row = self.mistakes[label]
        most = np.argsort(-row, kind="stable")[:MOST_NAMED]
        return [(self.dataset.classes[other].name, float(row[other])) for other in most if row[other]]

    def said(self, label: int) -> str:
        """Returns recall, interval and support in words."""
        recall, interval = self.recall(label), self.interval(label)
        if recall is None or interval is None:
            return "no validation pictures"
        models = f", mean of {len(self.predicted)} models" if len(self.predicted) > 1 else ""
        where = "the test pictures, which steer" if self.dataset.test_steers else "validation"
        right = number(self.confusion[label, label])
        low, high = (100 * end for end in interval)
        return (
            f"recall {100 * recall:.1f} % on {where} ({right} of {self.support[label]}{models}; 95 % interval "
            f"{low:.1f} to {high:.1f} %)"
        )


def choose(strategy: StrategyName, validation: Validation, settings: AugmentConfig) -> Choice:
    """Returns the classes of a strategy and the reasons for each, the first choice first.

    Args:
        strategy: see above.
        validation: what the choice is made from.
        settings: how many classes, or which.

    Raises:
        DataError: where no class can be chosen, or one that the settings name is not in the dataset.
    """
    strategies = {"recall": _worst, "confused": _most_confused, "correlated": _correlated, "manual": _named}
    choice = strategies[strategy](validation, settings)
    if not choice:
        raise DataError(
            f"plan_augmentation: the strategy {strategy!r} finds no class that has both training pictures and "
            f"{'mistakes' if strategy == 'confused' else 'pictures'} on validation; give more pictures"
        )
    return choice


def _worst(validation: Validation, settings: AugmentConfig) -> Choice:
    upper_ends = {label: interval[1] for label in validation.able if (interval := validation.interval(label))}
    able = sorted(upper_ends, key=upper_ends.__getitem__)
    return {
        label: [f"number {place} from below by the interval's upper end"]
        for place, label in enumerate(able[: settings.classes_to_augment], start=1)
    }


def _most_confused(validation: Validation, settings: AugmentConfig) -> Choice:
    as_other, as_this = validation.mistakes.sum(axis=1), validation.mistakes.sum(axis=0)
    mass, twice_all = as_other + as_this, 2 * validation.mistakes.sum()
    able = sorted((label for label in validation.able if mass[label]), key=lambda label: -mass[label])
    return {
        label: [
            f"{100 * mass[label] / twice_all:.1f} % of the confusion, number {place} of all "
            f"({number(as_other[label])} of its pictures taken for others, {number(as_this[label])} others for it)"
        ]
        for place, label in enumerate(able[: settings.classes_to_augment], start=1)
    }


def _correlated(validation: Validation, settings: AugmentConfig) -> Choice:
    choice = _worst(validation, settings)
    for label in list(choice):
        partner = max(validation.able, key=lambda other: validation.between[label, other])
        if between := validation.between[label, partner]:
            name, count = validation.dataset.classes[label].name, number(between)
            choice.setdefault(partner, []).append(f"what {name} is most confused with ({count} times, both ways)")
    return choice


def _named(validation: Validation, settings: AugmentConfig) -> Choice:
    labels = {member.class_id: label for label, member in enumerate(validation.dataset.classes)}
    lost = [c for c in settings.augment_classes if c not in labels or labels[c] not in validation.able]
    if lost:
        raise DataError(
            f"augment_classes: {', '.join(lost)} cannot be augmented: expected classes of the dataset with training "
            "pictures; build_dataset left them out or they have none. Name others, or give them more pictures."
        )
    return {labels[c]: ["named in the settings"] for c in settings.augment_classes}


def describe(
    validation: Validation,
    label: int,
    reasons: Sequence[str],
    *,
    pictures_to_add: int,
    arms: Sequence[ArmName],
    new: bool,
    suspects: Sequence[str],
    round_number: int,
) -> ChosenClass:
    """Returns a chosen class with its figures, and in words why it was chosen.

    Args:
        validation: where the figures come from.
        label: of the class.
        reasons: why it was chosen.
        pictures_to_add: how many.
        arms: that train with them.
        new: whether they are new ones of the source, else copies.
        suspects: the image ids of its training pictures whose label is in doubt; skipped, unless these are most.
        round_number: of the repair.
    """
    member, taken_for = validation.dataset.classes[label], validation.taken_for(label)
    why = [f"{validation.said(label)}, {'; '.join(reasons)}"]
    if taken_for:
        why.append("taken for " + ", ".join(f"{name} ({number(count)})" for name, count in taken_for))
    skipped = tuple(suspects) if may_be_left_out(len(suspects), member.train) else ()
    if skipped:
        why.append(f"no copies of {len(skipped)} of its {member.train} training pictures, whose labels are in doubt")
    elif suspects:
        why.append(
            f"the labels of {len(suspects)} of its {member.train} training pictures are in doubt: the models do not "
            "know the class, so all are copied"
        )
    return ChosenClass(
        dataset=validation.dataset.fingerprint,
        class_id=member.class_id,
        name=member.name,
        label=label,
        recall=validation.recall(label),
        recall_interval=validation.interval(label),
        support=int(validation.support[label]),
        confused_with=tuple((name, max(1, round(count))) for name, count in taken_for),
        pictures_to_add=pictures_to_add,
        why="; ".join(why),
        arms=tuple(arms),
        new=new,
        skipped=skipped,
        round=round_number,
    )


def number(count: float) -> str:
    """Returns a count, or a mean of counts, in words."""
    return f"{round(float(count), 1):g}"
