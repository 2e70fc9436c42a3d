"""Small pictures for the page, as data: addresses, so that the page asks nobody for anything."""

import base64
import io
from typing import TYPE_CHECKING, Any

from imagenet_tasks.arrays import read_array, read_split
from imagenet_tasks.artifacts import ClassArray, Dataset
from imagenet_tasks.storage import Store

if TYPE_CHECKING:
    import numpy as np

MOST_PICTURES = 240  # about 2 kB each: the page stays far below 5 MB with any number of classes
MOST_CHANGED_CLASSES = 12
ORIGINALS = 6
COPIES = 2
MOST_SUSPECTS = 24


def class_samples(store: Store, dataset: Dataset) -> dict[str, list[str]]:
    """Returns a few training pictures of each class, evenly spread over the class, as data: addresses."""
    each = max(1, min(8, MOST_PICTURES // len(dataset.classes)))
    rows: dict[int, list[int]] = {}
    for row in read_split(store, dataset, "train"):
        rows.setdefault(row.label, []).append(row.row)
    samples = {}
    for label, member in enumerate(dataset.classes):
        mine = rows.get(label, [])
        pictures, _ = read_array(store, member.array)
        taken = [mine[len(mine) * i // each] for i in range(each)] if len(mine) > each else mine
        samples[member.class_id] = [data_address(pictures[row]) for row in taken]
    return samples


def augmentation_samples(
    store: Store, dataset: Dataset, added: tuple[ClassArray, ...]
) -> dict[str, list[dict[str, Any]]]:
    """Returns originals beside their changed copies, for the first chosen classes.

    Returns:
        By class id, a list of {'original': address, 'copies': [address, ...]}.
    """
    members = {member.class_id: member for member in dataset.classes}
    samples: dict[str, list[dict[str, Any]]] = {}
    for array in added[:MOST_CHANGED_CLASSES]:
        pictures, ids = read_array(store, members[array.class_id].array)
        changed, sources = read_array(store, array)
        row_of = {image_id: row for row, image_id in enumerate(ids)}
        groups: dict[str, list[int]] = {}
        for place, source in enumerate(sources):
            groups.setdefault(source, []).append(place)
        samples[array.class_id] = [
            {
                "original": data_address(pictures[row_of[source]]),
                "copies": [data_address(changed[place]) for place in places[:COPIES]],
            }
            for source, places in list(groups.items())[:ORIGINALS]
            if source in row_of
        ]
    return samples


def suspect_pictures(
    store: Store, dataset: Dataset, suspects: dict[str, Any] | None
) -> list[tuple[dict[str, Any], str]]:
    """Returns the strongest suspect labels, each with its picture as a data: address."""
    arrays = {member.class_id: member.array for member in dataset.classes}
    return [
        (one, data_address(read_array(store, arrays[one["class_id"]])[0][one["row"]]))
        for one in (suspects["suspects"][:MOST_SUSPECTS] if suspects else [])
    ]


def data_address(picture: "np.ndarray") -> str:
    """Returns a picture, uint8 (rows, columns, 3), as a JPEG in a data: address."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
