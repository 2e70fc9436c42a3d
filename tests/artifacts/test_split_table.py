"""Parts of a split's training pictures, of which the learning curve is made."""

import numpy as np

from imagenet_tasks.artifacts.arrays import SplitTable
from imagenet_tasks.artifacts.references import SPLITS


def table(labels, marks, side="train") -> SplitTable:
    labels = np.array(labels, np.int32)
    return SplitTable(
        labels=labels, rows=np.arange(len(labels), dtype=np.int32), marks=np.array(marks, np.uint32),
        sides=np.full(len(labels), SPLITS.index(side), np.int8), test_steers=False,
    )  # fmt: skip


def test_a_quarter_lies_in_the_half_and_has_each_class_in_proportion():
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 3], [80, 20, 5])
    split = table(labels, random.permutation(len(labels)))
    quarter, half, all_of_them = (split.part(parts) for parts in (4, 2, 1))
    assert set(quarter) <= set(half) <= set(all_of_them) and (np.diff(half) > 0).all()
    assert np.bincount(labels[quarter]).tolist() == [20, 5, 0, 1]
    assert np.bincount(labels[half]).tolist() == [40, 10, 0, 2]
    assert all_of_them.tolist() == list(range(len(labels)))


def test_pictures_of_a_class_that_look_alike_are_in_a_part_together_or_not_at_all():
    """They share their mark."""
    marks = np.repeat(np.random.default_rng(0).permutation(30), 4)
    split = table(np.zeros(120), marks)
    for parts in (2, 4, 7):
        kept = marks[split.part(parts)]
        assert (np.bincount(kept, minlength=30) % 4 == 0).all() and abs(len(kept) - 120 / parts) < 4


def test_a_part_of_a_class_is_one_picture_at_least_and_of_none_none():
    assert table([0, 0, 1], [5, 3, 9]).part(4).tolist() == [1, 2]
    assert table([0, 1], [5, 3], side="test").part(2).tolist() == []
