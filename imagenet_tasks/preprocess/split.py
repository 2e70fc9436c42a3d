"""Decides each picture's side of the split, from its bytes and from the pictures that look like it."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from imagenet_tasks.artifacts.references import SPLITS, GivenSide, Split, most_held_out
from imagenet_tasks.settings.config import PreprocessConfig

if TYPE_CHECKING:
    import numpy as np

LeftOut = Literal["label_conflict", "placeholder", "near_duplicate"]
Side = Split | LeftOut
NOT_GIVEN: Mapping[str, GivenSide] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """A picture of a class's array and its place in the split. `group` is '' where no other picture looks like it."""

    image_id: str
    row: int
    flat: bool
    group: str
    side: Side

    @property
    def used(self) -> bool:
        """Whether it lies on one of the sides, and is not left out."""
        return self.side in SPLITS


def side_of(image_id: str, settings: PreprocessConfig, given: GivenSide | None = None) -> Split:
    """Returns the side of the split that the source gives to a picture, else what follows from its own bytes alone.

    So it is the same on every rerun, however many pictures are added.

    Args:
        image_id: the hex SHA-256 of the picture's bytes.
        settings: the shares.
        given: by the source. Where the test pictures steer, those given for validation train.
    """
    if given == "validation" and settings.test_steers:
        return "train"
    if given and given != "not test":
        return given
    place = int(image_id[:13], 16) / 16**13  # 52 bits: exact in a float
    if place < settings.test_share:
        return "train" if given else "test"
    return "validation" if place < settings.test_share + settings.validation_share else "train"


def place(
    classes: Sequence[tuple[Sequence[str], "np.ndarray"]],
    settings: PreprocessConfig,
    placeholders: Collection[str] = (),
    given: Mapping[str, GivenSide] = NOT_GIVEN,
) -> list[list[Placed]]:
    """Returns each class's pictures with their sides.

    Pictures that look alike form a group, over all classes, and lie on one side: test if that is the own side of any
    of them, else validation if of any, else training. So a test picture stays one, whatever is added
    (docs/adr/0007). Pictures that are left out have their say in that too, since they may have been used before.

    Where the source gives sides, its test pictures stay what they are, and a picture of another side that looks like
    one of them is left out (docs/adr/0028); the same holds of the validation pictures that it gives.

    Args:
        classes: the image ids and looks (arrays.LOOK) of each.
        settings: the shares, and how many bits of the looks may differ.
        placeholders: image ids that are known to be no photos.
        given: the sides that the source gives, by image id.
    """
    import numpy as np

    ids = [image_id for class_ids, _ in classes for image_id in class_ids]
    looks = np.concatenate([looks for _, looks in classes])
    numbers, flat = number_looks(looks, settings.near_duplicate_bits), looks["flat"]
    members: dict[int, set[str]] = {}
    for image_id, number in zip(ids, numbers.tolist(), strict=True):
        members.setdefault(number, set()).add(image_id)
    sides = {
        number: most_held_out(side_of(image_id, settings, given.get(image_id)) for image_id in group)
        for number, group in members.items()
    }
    names = {number: min(group)[:16] if len(group) > 1 else "" for number, group in members.items()}
    holders = Counter(image_id for class_ids, _ in classes for image_id in set(class_ids))
    left_out: dict[str, Side] = {
        image_id: "label_conflict" if count == 2 else "placeholder" for image_id, count in holders.items() if count > 1
    }
    left_out |= dict.fromkeys(placeholders, "placeholder")
    if given:
        leaks = (image_id for group in members.values() for image_id in like_held_out(group, given))
        for image_id in leaks:
            left_out.setdefault(image_id, "near_duplicate")
    rest = iter(zip(numbers.tolist(), flat.tolist(), strict=True))  # each class takes as many as it has
    return [
        [
            Placed(
                image_id=image_id,
                row=row,
                flat=is_flat,
                group=names[number],
                side=left_out.get(image_id, sides[number]),
            )
            for row, (image_id, (number, is_flat)) in enumerate(zip(class_ids, rest, strict=False))
        ]
        for class_ids, _ in classes
    ]


def like_held_out(group: Collection[str], given: Mapping[str, GivenSide]) -> set[str]:
    """Returns those pictures of a group of alike ones that are given another side than its most held out one."""
    sides = {given[image_id] for image_id in group if image_id in given}
    return {image_id for image_id in group if given.get(image_id) != most_held_out(sides)} if sides else set()


def number_looks(looks: "np.ndarray", max_bits: int) -> "np.ndarray":
    """Returns a number for each picture, int64 (n,), the same for those that look alike.

    Flat ones look like each other without being copies: each has a number of its own.

    Args:
        looks: of type arrays.LOOK (n,).
        max_bits: alike are those whose hashes differ in at most so many bits.
    """
    import numpy as np

    numbers, flat = number_groups(looks["hash"], max_bits), looks["flat"]
    numbers[flat] = len(looks) + np.arange(flat.sum())
    return numbers


def number_groups(hashes: "np.ndarray", max_bits: int) -> "np.ndarray":
    """Returns a number for each hash, int64 (n,), the same for hashes that a chain of near ones connects.

    Args:
        hashes: uint64 (n,).
        max_bits: near are those that differ in at most so many bits.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    distinct, place_of = np.unique(hashes, return_inverse=True)
    pairs = [np.empty((2, 0), np.int64), *_near_pairs(distinct, max_bits)]
    first, second = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(distinct), len(distinct)))
    _, numbers = connected_components(graph, directed=False)
    return numbers.astype(np.int64)[place_of]


def _near_pairs(hashes: "np.ndarray", max_bits: int) -> Iterator["np.ndarray"]:
    """Yields pairs of places, int64 (2, n), some twice, without comparing each hash with each.

    Of max_bits + 1 bands of bits, two near hashes have at least one in common: only those that have are compared,
    in the order of that band, with the next, with the next but one, and so on. Memory stays that of a few lists.
    """
    import numpy as np

    for band in range(max_bits + 1):
        mask = np.uint64(sum(1 << bit for bit in range(band, 64, max_bits + 1)))
        order = np.argsort(hashes & mask)
        ordered = hashes[order]
        ends = np.searchsorted(ordered & mask, ordered & mask, side="right")
        here, step = np.arange(len(hashes)), 1
        while len(here := here[here + step < ends[here]]):
            near = here[np.bitwise_count(ordered[here] ^ ordered[here + step]) <= max_bits]
            yield np.stack([order[near], order[near + step]])
            step += 1
