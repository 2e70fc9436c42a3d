"""The stage `collect_class`: pictures of a class that its dataset does not have, to train on."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.arrays import LOOK, read_ids, read_looks, write_array
from imagenet_tasks.artifacts.make import Publish, make
from imagenet_tasks.artifacts.references import ClassArray, Dataset, Selection, SelectionRef
from imagenet_tasks.preprocess.split import number_looks, side_of
from imagenet_tasks.preprocess.stage import prepare_pictures
from imagenet_tasks.settings.config import PreprocessConfig
from imagenet_tasks.store.storage import Store

if TYPE_CHECKING:
    import numpy as np


def collect_class(
    store: Store,
    settings: PreprocessConfig,
    dataset: Dataset,
    ref: SelectionRef,
    *,
    wanted: int,
    taken: Collection[str] = (),
    salt: str = "",
) -> tuple[ClassArray, bool]:
    """Makes an array of a class's new training pictures: those of a larger selection that its dataset does not have.

    Which they are follows from the selection alone: what lies on the training side by its bytes, in the order of the
    source. A picture that looks like one of the dataset, of any class and side, is not new; of new ones that look alike
    the first is taken, and none where one of them lies on another side.

    Args:
        store: where the pictures are and the array goes.
        settings: the shares of the sides, and what counts as looking alike.
        dataset: whose pictures are known.
        ref: the larger selection.
        wanted: at most so many are taken.
        taken: ids of pictures that are trained on already, beside the dataset's.
        salt: differs where the work is to be done again.

    Returns:
        The array, which holds fewer pictures than wanted where the selection has no more, and whether it was there.
    """
    inputs = {
        "dataset": dataset.fingerprint, "selection": ref.fingerprint, "chosen": [ref.class_id, wanted, sorted(taken)],
    }  # fmt: skip
    array = ClassArray(class_id=ref.class_id, fingerprint=kinds.COLLECTED.fingerprint(inputs, salt=salt), count=0)

    def build(publish: Publish) -> None:
        found = _new_pictures(store, settings, dataset, ref, taken)[:wanted]
        ids, pictures = [image_id for image_id, _ in found], [pixels for _, pixels in found]
        with publish() as folder:
            write_array(folder, array, pictures, ids, shape=(dataset.rows_px, dataset.columns_px, 3))

    reused = make(store, kinds.COLLECTED, array.fingerprint, build)
    return array.model_copy(update={"count": len(read_ids(store, array))}), reused


def _new_pictures(
    store: Store, settings: PreprocessConfig, dataset: Dataset, ref: SelectionRef, taken: Collection[str]
) -> list[tuple[str, "np.ndarray"]]:
    """Returns the ids and pixels of all new training pictures of a selection."""
    import numpy as np

    known = [read_looks(store, member.array) for member in dataset.classes]
    old = {image_id for ids, _ in known for image_id in ids}
    selection = Selection.from_json(store.read_bytes(ref.key), where=ref.key)
    files = {image_id: file for file in selection.files if (image_id := file.partition(".")[0]) not in old}

    size = {"rows_px": dataset.rows_px, "columns_px": dataset.columns_px}
    prepared = list(prepare_pictures(store, ref.class_id, files.values(), **size))
    looks = np.concatenate([*(looks for _, looks in known), np.array([look for _, look in prepared], LOOK)])
    groups = number_looks(looks, settings.near_duplicate_bits).tolist()
    mine = dict(zip(files, groups[len(groups) - len(files) :], strict=True))
    seen = set(groups[: len(groups) - len(files)])
    given = selection.given_by_id
    seen |= {
        mine[image_id]
        for image_id in files
        if image_id in taken or side_of(image_id, settings, given.get(image_id)) != "train"
    }
    found = []
    for image_id, (pixels, _) in zip(files, prepared, strict=True):
        if mine[image_id] not in seen:
            seen.add(mine[image_id])
            found.append((image_id, pixels))
    return found
