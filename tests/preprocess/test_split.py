"""Which pictures look alike, and the one side that they share."""

import hashlib
import itertools
import tracemalloc

import numpy as np
import pytest

from imagenet_tasks.artifacts.arrays import LOOK
from imagenet_tasks.artifacts.references import SPLITS
from imagenet_tasks.preprocess.split import number_groups, place, side_of
from imagenet_tasks.settings.config import PreprocessConfig

THIRDS = PreprocessConfig(validation_share=0.3, test_share=0.3, near_duplicate_bits=4)
IDS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(3000)]
OWN = {split: [i for i in IDS if side_of(i, THIRDS) == split] for split in SPLITS}
ALIKE, OTHER = 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210


def near(value: int, bits: int) -> int:
    """The hash with so many other bits."""
    return value ^ ((1 << bits) - 1)


def placed(*classes: list[tuple[str, int]], flat: bool = False, settings: PreprocessConfig = THIRDS):
    """The pictures of each class, given as (id, hash)."""
    return place([([i for i, _ in c], np.array([(h, flat) for _, h in c], LOOK)) for c in classes], settings)


def sides(*classes, **others) -> list[list[str]]:
    return [[p.side for p in pictures] for pictures in placed(*classes, **others)]


# Groups


def connected(hashes: list[int], max_bits: int) -> set[frozenset[int]]:
    """The groups of places, each hash compared with each."""
    groups = [{place} for place in range(len(hashes))]
    for i, j in itertools.combinations(range(len(hashes)), 2):
        if (hashes[i] ^ hashes[j]).bit_count() <= max_bits and groups[i] is not groups[j]:
            groups[i] |= groups[j]
            for k in groups[j]:
                groups[k] = groups[i]
    return {frozenset(group) for group in groups}


@pytest.mark.parametrize("max_bits", [0, 1, 2, 4, 6, 8, 10])
def test_groups_are_those_that_comparing_each_with_each_gives(max_bits):
    random = np.random.default_rng(max_bits)
    hashes = [int(h) for h in random.integers(0, 2**64, 40, np.uint64)]
    for _ in range(160):  # further ones near an earlier one: some just near enough, some just not
        flips = random.choice(64, random.integers(0, max_bits + 3), replace=False)
        hashes.append(hashes[random.integers(len(hashes))] ^ sum(1 << int(f) for f in flips))
    numbers = number_groups(np.array(hashes, np.uint64), max_bits)
    found = {frozenset(np.flatnonzero(numbers == n).tolist()) for n in set(numbers.tolist())}
    assert found == connected(hashes, max_bits)
    assert len(found) < len(hashes)


def test_no_pictures_are_no_groups():
    assert number_groups(np.empty(0, np.uint64), 4).tolist() == []


def test_many_hashes_need_no_table_of_all_pairs():
    hashes = np.random.default_rng(0).integers(0, 2**64, 50_000, np.uint64)
    tracemalloc.start()
    try:
        number_groups(hashes, 6)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000  # the table has 2,500,000,000 places


# One side for each group


def test_pictures_that_look_alike_lie_on_one_side_across_classes_too():
    first, second = [(i, ALIKE) for i in IDS[:5]], [(i, near(ALIKE, 4)) for i in IDS[5:10]]
    assert len(set(itertools.chain(*sides(first, second)))) == 1
    assert len({side_of(i, THIRDS) for i in IDS[:10]}) == 3


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        (["train", "train"], "train"),
        (["train", "validation"], "validation"),
        (["train", "test"], "test"),
        (["validation", "test"], "test"),
        (["train", "validation", "test"], "test"),
    ],
)
def test_the_most_held_out_of_their_own_sides_is_the_groups(own, expected):
    group = [(OWN[side][0], ALIKE) for side in own]
    assert sides(group) == [[expected] * len(group)]


def test_a_picture_that_looks_like_no_other_keeps_its_own_side():
    pictures = [(OWN[side][0], h) for side, h in zip(SPLITS, (ALIKE, near(ALIKE, 5), OTHER), strict=True)]
    assert sides(pictures) == [list(SPLITS)]
    assert [p.group for p in placed(pictures)[0]] == ["", "", ""]


def test_a_group_has_the_name_of_its_first_picture():
    first, second = placed([(IDS[0], ALIKE), (IDS[1], OTHER)], [(IDS[2], ALIKE)])
    assert [p.group for p in (*first, *second)] == [min(IDS[0], IDS[2])[:16], "", min(IDS[0], IDS[2])[:16]]


def test_f24_flat_pictures_look_alike_without_being_a_group():
    pictures = [(OWN[side][0], ALIKE) for side in SPLITS]
    assert sides(pictures, flat=True) == [list(SPLITS)]
    assert [(p.flat, p.group) for p in placed(pictures, flat=True)[0]] == [(True, "")] * 3


@pytest.mark.parametrize("seed", range(10))
def test_a_picture_is_never_less_held_out_when_pictures_are_added(seed):
    """Over three classes: also where an added one puts an earlier one into two classes, or ties two groups."""
    random = np.random.default_rng(seed)
    looks = random.integers(0, 2**63, 25).tolist()
    everything = [
        (
            int(random.integers(3)),
            IDS[random.integers(300)],
            looks[random.integers(25)] ^ (0b11 << int(random.integers(63))),
        )
        for _ in range(300)
    ]
    hash_of = {image_id: h for _, image_id, h in everything}  # the same bytes have the same hash
    held_out = {"train": 0, "validation": 1, "test": 2}
    before: dict[str, str] = {}
    for count in range(50, 301, 50):
        classes = [sorted({(i, hash_of[i]) for c, i, _ in everything[:count] if c == label}) for label in range(3)]
        now = {p.image_id: p.side for pictures in placed(*classes) for p in pictures if p.used}
        assert all(held_out[now[i]] >= held_out[side] for i, side in before.items() if i in now)
        before |= now


def test_f25_a_copy_of_a_left_out_picture_stays_on_the_side_that_both_had():
    test, train = OWN["test"][0], OWN["train"][0]
    assert sides([(test, ALIKE), (train, ALIKE)], []) == [["test", "test"], []]
    assert sides([(test, ALIKE), (train, ALIKE)], [(test, ALIKE)]) == [["label_conflict", "test"], ["label_conflict"]]


# Left out


def test_f25_the_same_bytes_in_two_classes_are_a_conflict():
    assert sides([(IDS[0], ALIKE)], [(IDS[0], ALIKE)], [(IDS[1], OTHER)])[:2] == [["label_conflict"]] * 2


def test_f25_the_same_bytes_in_three_classes_are_a_placeholder():
    assert sides(*[[(IDS[0], ALIKE)]] * 3) == [["placeholder"]] * 3


def test_the_same_bytes_in_two_classes_are_no_group():
    assert [p.group for pictures in placed(*[[(IDS[0], ALIKE)]] * 2) for p in pictures] == ["", ""]
