"""Pictures with a box of another in them, and what they then show."""

import numpy as np
import pytest

from imagenet_tasks.train.batches import cutmix


def plain(count: int, rows: int = 20, columns: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Each picture is of one level, its number; each is of a class of its own."""
    levels = np.arange(count, dtype=np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (count, rows, columns, 3)).copy(), np.arange(count)


def mixed(count: int, share: float, seed: int = 0):
    pictures, labels = plain(count)
    return pictures, cutmix(pictures, labels, count, share=share, random=np.random.default_rng(seed))


def test_without_a_share_nothing_is_mixed():
    pictures, targets = mixed(30, 0.0)
    assert (pictures == plain(30)[0]).all()
    assert (targets == np.eye(30)).all()


def test_a_picture_shows_itself_and_the_next_one_by_the_shares_of_its_pixels():
    pictures, targets = mixed(60, 1.0)
    for place, (picture, target) in enumerate(zip(pictures, targets, strict=True)):
        following = (place + 1) % 60
        assert set(np.unique(picture)) <= {place, following}
        assert target[following] == pytest.approx((picture == following).mean(), abs=1e-6)
        assert target[place] == pytest.approx((picture == place).mean(), abs=1e-6)


def test_what_is_pasted_is_one_box():
    for place, picture in enumerate(mixed(60, 1.0)[0]):
        pasted = picture[..., 0] != place
        rows, columns = np.flatnonzero(pasted.any(axis=1)), np.flatnonzero(pasted.any(axis=0))
        assert pasted.sum() == len(rows) * len(columns)
        assert not len(rows) or (np.diff(rows) == 1).all()


def test_so_many_are_mixed_and_boxes_of_all_sizes_come():
    _, targets = mixed(200, 0.5)
    own = targets[np.arange(200), np.arange(200)]
    assert 70 < (own < 1).sum() < 130
    assert own.min() < 0.2 and ((own > 0.4) & (own < 0.6)).any()


def test_the_same_generator_mixes_the_same():
    first, again, other = (mixed(40, 0.5, seed)[0] for seed in (3, 3, 4))
    assert (first == again).all() and (first != other).any()
