"""Which candidate of the sample has which fault."""

from collections import Counter

import pytest

from imagenet_tasks.sample.faults import (
    CANDIDATES_PER_CLASS,
    FAULT_SHARES,
    fault_of,
    picture_name,
    served_index,
)
from imagenet_tasks.settings.classes import STUDY_CLASSES

COBRA = "n01747885"


@pytest.fixture(scope="module")
def counts() -> Counter[str | None]:
    return Counter(fault_of(c.class_id, index) for c in STUDY_CLASSES for index in range(400))


@pytest.mark.parametrize("fault", FAULT_SHARES)
def test_the_share_of_each_fault_is_near_the_table(counts, fault):
    """Within four standard deviations of a binomial over 8,000 candidates."""
    total, share = counts.total(), FAULT_SHARES[fault]
    assert abs(counts[fault] - total * share) < 4 * (total * share * (1 - share)) ** 0.5


def test_most_candidates_are_good(counts):
    assert counts[None] / counts.total() > 0.7


def test_another_seed_has_other_faults():
    assert [fault_of(COBRA, i) for i in range(100)] != [fault_of(COBRA, i, seed=1) for i in range(100)]


def test_a_duplicate_shows_a_good_picture_of_its_class_and_all_others_show_their_own():
    for index in range(CANDIDATES_PER_CLASS):
        shown = served_index(COBRA, index)
        if fault_of(COBRA, index) == "duplicate":
            assert shown != index
            assert fault_of(COBRA, shown) is None
        else:
            assert shown == index


def test_a_name_carries_its_index_and_no_two_candidates_share_one():
    names = [picture_name(COBRA, index) for index in range(CANDIDATES_PER_CLASS)]
    assert len(set(names)) == CANDIDATES_PER_CLASS
    assert names[42].startswith("0042_")
