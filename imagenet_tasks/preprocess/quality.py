"""Counts what is wrong with a dataset's pictures, and which classes have too few."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

from imagenet_tasks.artifacts.quality import (
    ClassQuality,
    DataQuality,
    GroupMember,
    LargestGroup,
    NearDuplicates,
    Shortfall,
)
from imagenet_tasks.artifacts.references import SPLITS, DatasetClass, SelectionRef
from imagenet_tasks.errors import TooFewImages
from imagenet_tasks.preprocess.split import LeftOut, Placed
from imagenet_tasks.settings.config import PreprocessConfig

FLAT_SHARE = 0.1  # of a class, from which on its flat pictures are warned of
LISTED_GROUPS, LISTED_PICTURES = 50, 20  # the largest groups, and so many pictures of each


def find_shortfalls(refs: Sequence[SelectionRef], placed: Sequence[Sequence[Placed]], *, need: int) -> list[Shortfall]:
    """Returns the classes with fewer usable pictures than `need`, each with the reasons, the commonest first."""
    return [
        Shortfall(
            class_id=ref.class_id,
            name=ref.name,
            have=have,
            need=need,
            listed=ref.listed,
            reasons=dict((Counter(ref.rejected) + Counter(p.side for p in pictures if not p.used)).most_common()),
            example=ref.example,
        )
        for ref, pictures in zip(refs, placed, strict=True)
        if (have := sum(p.used for p in pictures)) < need
    ]


def judge_quality(members: Sequence[tuple[DatasetClass, Sequence[Placed]]], settings: PreprocessConfig) -> DataQuality:
    """Returns the counts in total and by class, the largest groups, and warnings.

    A near-duplicate is a used picture that another used one looks like; within its class, across classes, or both.

    Raises:
        TooFewImages: where no class has pictures on one of the sides.
    """
    classes = [member for member, _ in members]
    totals = {split: sum(getattr(c, split) for c in classes) for split in SPLITS}
    if without := [split for split, count in totals.items() if count == 0]:
        raise TooFewImages(
            f"the split has no {' and no '.join(without)} pictures among {sum(totals.values())} of "
            f"{len(classes)} classes. {settings.advice(len(classes))}: give so many, or raise the shares"
        )
    groups = _groups(members)
    spread = {name: Counter(class_id for class_id, _ in group) for name, group in groups.items()}
    by_class = {member.class_id: _count(member.class_id, pictures, spread) for member, pictures in members}
    distinct = {
        side: len({p.image_id for _, pictures in members for p in pictures if p.side == side})
        for side in get_args(LeftOut)
    }
    return DataQuality(
        pictures=totals,
        label_conflicts=distinct["label_conflict"],
        placeholders=distinct["placeholder"],
        flat=sum(counts.flat for counts in by_class.values()),
        near_duplicates=NearDuplicates(
            pictures=sum(map(len, groups.values())),
            groups=len(groups),
            groups_across_classes=sum(len(held) > 1 for held in spread.values()),
        ),
        classes=by_class,
        largest_groups=_largest(groups),
        warnings=(*_leaks(distinct["near_duplicate"]), *_warnings(classes, by_class)),
    )


def _groups(members: Sequence[tuple[DatasetClass, Sequence[Placed]]]) -> dict[str, list[tuple[str, Placed]]]:
    """Returns the groups of two or more used pictures, with each picture's class."""
    groups: dict[str, list[tuple[str, Placed]]] = {}
    for member, pictures in members:
        for picture in pictures:
            if picture.group and picture.used:
                groups.setdefault(picture.group, []).append((member.class_id, picture))
    return {name: group for name, group in groups.items() if len(group) > 1}


def _count(class_id: str, pictures: Sequence[Placed], spread: dict[str, Counter[str]]) -> ClassQuality:
    alike = [spread[p.group] for p in pictures if p.used and p.group in spread]
    return ClassQuality(
        label_conflicts=sum(p.side == "label_conflict" for p in pictures),
        placeholders=sum(p.side == "placeholder" for p in pictures),
        near_duplicates_within=sum(held[class_id] > 1 for held in alike),
        near_duplicates_across=sum(len(held) > 1 for held in alike),
        flat=sum(p.flat and p.used for p in pictures),
    )


def _largest(groups: dict[str, list[tuple[str, Placed]]]) -> tuple[LargestGroup, ...]:
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(
        LargestGroup(
            group=name,
            split=group[0][1].side,
            pictures=len(group),
            classes=tuple(sorted({class_id for class_id, _ in group})),
            members=tuple(GroupMember(class_id=c, image_id=p.image_id) for c, p in group[:LISTED_PICTURES]),
        )
        for name, group in ordered[:LISTED_GROUPS]
    )


def _leaks(left_out: int) -> list[str]:
    if not left_out:
        return []
    return [f"pictures left out since they look like one that the source holds out: {left_out}"]


def _warnings(classes: Sequence[DatasetClass], quality: Mapping[str, ClassQuality]) -> list[str]:
    found = [
        f"{c.name}: no {split} pictures among {c.array.count}; its {split} figures are empty"
        for c in classes
        for split in SPLITS
        if getattr(c, split) == 0
    ]
    counts = [c.train + c.validation + c.test for c in classes]
    found += [
        f"{c.name}: {flat} of {count} pictures are of one flat colour or almost black; look at a few"
        for c, count in zip(classes, counts, strict=True)
        if (flat := quality[c.class_id].flat) >= max(2, FLAT_SHARE * count)
    ]
    if max(counts) > 3 * min(counts):
        found.append(f"the classes are unbalanced: {min(counts)} to {max(counts)} pictures")
    return found
