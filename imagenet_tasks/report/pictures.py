"""Small pictures for the page, as data: addresses, so that the page asks nobody for anything."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from PIL import Image

from imagenet_tasks import images
from imagenet_tasks.artifacts.arrays import SplitRow, open_picture, read_array, read_ids, read_pixels, reading_threads
from imagenet_tasks.artifacts.references import AddedPictures, ClassArray, Dataset, DatasetClass, Selection
from imagenet_tasks.errors import ImagenetTasksError
from imagenet_tasks.store.storage import Store

Place = tuple[str, int]  # a picture of a dataset: its class id, and its row in the class's array
MOST_PICTURES = 240  # of classes, about 3 kB each; one of each where there are more classes
MOST_CHANGED_CLASSES = 12
ORIGINALS = 6
COPIES = 2
LONGEST_PX = 112  # a side of a small picture
NEW_PICTURES = 10
MOST_SUSPECTS = 24


class Shown(NamedTuple):
    """A small picture as a data: address, and its width over its height."""

    address: str
    aspect: float


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


def new_samples(store: Store, collected: Sequence[AddedPictures]) -> dict[str, list[Shown]]:
    """Returns a few new pictures of the first chosen classes, by class id."""

    def of_class(added: AddedPictures) -> list[Shown]:
        array = added.array
        file_of = _files_by_id(store, array.class_id, added.selection.fingerprint) if added.selection else {}
        ids = read_ids(store, array)[:NEW_PICTURES]
        return list(_small(store, array, [(row, file_of.get(image_id)) for row, image_id in enumerate(ids)]).values())

    shown = collected[:MOST_CHANGED_CLASSES]
    with ThreadPoolExecutor(reading_threads(store)) as pool:
        return dict(zip((added.array.class_id for added in shown), pool.map(of_class, shown), strict=True))


def addresses(store: Store, dataset: Dataset, places: Iterable[Place]) -> dict[Place, Shown]:
    """Returns pictures of a dataset's classes in their own shape; each class's array is opened once."""
    rows_of: dict[str, set[int]] = {}
    for class_id, row in places:
        rows_of.setdefault(class_id, set()).add(row)

    def of_class(member: DatasetClass) -> dict[Place, Shown]:
        files = list(_files_by_id(store, member.class_id, member.selection).values())
        whole = len(files) == member.array.count
        rows = [(row, files[row] if whole else None) for row in sorted(rows_of[member.class_id])]
        return {(member.class_id, row): one for row, one in _small(store, member.array, rows).items()}

    with ThreadPoolExecutor(reading_threads(store)) as pool:
        found = pool.map(of_class, [member for member in dataset.classes if member.class_id in rows_of])
        return {place: one for of_one in found for place, one in of_one.items()}


def _files_by_id(store: Store, class_id: str, selection: str) -> dict[str, str]:
    """Returns the files of a selection by image id, in its order; {} where it is gone."""
    key = Selection.key(class_id, selection)
    try:
        return Selection.from_json(store.read_bytes(key), where=key).file_by_id
    except ImagenetTasksError:
        return {}


def _small(store: Store, array: ClassArray, rows: Sequence[tuple[int, str | None]]) -> dict[int, Shown]:
    """Returns small pictures by their row in an array: of the file where it is there, else as the model sees it."""

    def of_file(file: str | None) -> Shown | None:
        if file is None:
            return None
        try:
            with open_picture(store, array.class_id, file) as data:
                return Shown(*images.thumbnail_address(data, longest_px=LONGEST_PX))
        except (ImagenetTasksError, OSError):  # what is gone, or damaged, is told by who needs it
            return None

    found = [of_file(file) for _, file in rows]
    if None not in found:
        return {row: one for (row, _), one in zip(rows, found, strict=True) if one}
    pixels = read_pixels(store, array)
    return {row: one or _of_pixels(pixels[row]) for (row, _), one in zip(rows, found, strict=True)}


def _of_pixels(pixels: Any) -> Shown:
    picture = Image.fromarray(pixels)
    return Shown(images.data_address(picture), 1.5)  # most photos are as wide


def places_in(figures: dict[str, Any]) -> list[Place]:
    """Returns the pictures that the page shows of what `collect` returned."""
    suspects = figures["suspects"]["suspects"][:MOST_SUSPECTS] if figures["suspects"] else []
    mistakes = [one for shown in figures["confident_mistakes"].values() for one in shown]
    mistakes += [one for pair in figures["confused_pairs"] for shown in pair["pictures"].values() for one in shown]
    mistakes += [one for row in figures["got_worse"] for one in row["pictures"]]
    data = figures["data"]
    alike = data["conflicts"] + [one for group in data["shown_groups"] for one in group["pictures"]]
    return [(one["class_id"], one["row"]) for one in suspects + mistakes + alike]
