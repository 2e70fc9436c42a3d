"""Small pictures for the page, as data: addresses, so that the page asks nobody for anything."""

from collections.abc import Iterable, Sequence
from typing import Any

from PIL import Image

from imagenet_tasks import images
from imagenet_tasks.artifacts.arrays import SplitRow, read_array, read_pixels
from imagenet_tasks.artifacts.references import ClassArray, Dataset
from imagenet_tasks.store.storage import Store

Place = tuple[str, int]  # a picture of a dataset: its class id, and its row in the class's array
MOST_PICTURES = 240  # about 2 kB each: the page stays far below 5 MB with any number of classes
MOST_CHANGED_CLASSES = 12
ORIGINALS = 6
COPIES = 2
NEW_PICTURES = 10
MOST_SUSPECTS = 24


def class_samples(dataset: Dataset, training: list[SplitRow]) -> dict[str, list[Place]]:
    """Returns a few training pictures of each class, evenly spread over the class."""
    each = max(1, min(8, MOST_PICTURES // len(dataset.classes)))
    places: dict[str, list[Place]] = {member.class_id: [] for member in dataset.classes}
    for row in training:
        places[row.class_id].append((row.class_id, row.row))
    return {
        class_id: [mine[len(mine) * i // each] for i in range(each)] if len(mine) > each else mine
        for class_id, mine in places.items()
    }


def augmentation_samples(
    store: Store, training: list[SplitRow], added: tuple[ClassArray, ...]
) -> dict[str, list[dict[str, Any]]]:
    """Returns originals beside their changed copies, for the first chosen classes.

    Returns:
        By class id, a list of {'original': its place, 'copies': [data: address, ...]}.
    """
    place_of = {(row.class_id, row.image_id): (row.class_id, row.row) for row in training}
    samples: dict[str, list[dict[str, Any]]] = {}
    for array in added[:MOST_CHANGED_CLASSES]:
        changed, sources = read_array(store, array)
        groups: dict[str, list[int]] = {}
        for number, source in enumerate(sources):
            groups.setdefault(source, []).append(number)
        samples[array.class_id] = [
            {
                "original": place_of[array.class_id, source],
                "copies": [images.data_address(Image.fromarray(changed[number])) for number in numbers[:COPIES]],
            }
            for source, numbers in list(groups.items())[:ORIGINALS]
            if (array.class_id, source) in place_of
        ]
    return samples


def new_samples(store: Store, collected: Sequence[ClassArray]) -> dict[str, list[str]]:
    """Returns a few new pictures of the first chosen classes, as data: addresses, by class id."""
    return {
        array.class_id: [
            images.data_address(Image.fromarray(picture)) for picture in read_pixels(store, array)[:NEW_PICTURES]
        ]
        for array in collected[:MOST_CHANGED_CLASSES]
    }


def addresses(store: Store, dataset: Dataset, places: Iterable[Place]) -> dict[Place, str]:
    """Returns pictures of a dataset's classes as data: addresses; each class's array is opened once."""
    rows_of: dict[str, set[int]] = {}
    for class_id, row in places:
        rows_of.setdefault(class_id, set()).add(row)
    found: dict[Place, str] = {}
    for member in dataset.classes:
        if rows := rows_of.get(member.class_id):
            pictures = read_pixels(store, member.array)
            for row in sorted(rows):
                found[member.class_id, row] = images.data_address(Image.fromarray(pictures[row]))
    return found


def places_in(figures: dict[str, Any]) -> list[Place]:
    """Returns the pictures that the page shows of what `collect` returned."""
    suspects = figures["suspects"]["suspects"][:MOST_SUSPECTS] if figures["suspects"] else []
    mistakes = [one for shown in figures["confident_mistakes"].values() for one in shown]
    mistakes += [one for pair in figures["confused_pairs"] for shown in pair["pictures"].values() for one in shown]
    data = figures["data"]
    alike = data["conflicts"] + [one for group in data["shown_groups"] for one in group["pictures"]]
    return [(one["class_id"], one["row"]) for one in suspects + mistakes + alike]
