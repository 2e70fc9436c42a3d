"""The stages `preprocess_class` (pictures to one array) and `build_dataset` (conflicts, split, data quality)."""

import csv
import io
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from imagenet_tasks import images
from imagenet_tasks.arrays import read_picture, write_array
from imagenet_tasks.artifacts import SPLITS, ClassArray, Dataset, DatasetClass, Selection, SelectionRef, Split
from imagenet_tasks.config import DownloadConfig, PreprocessConfig
from imagenet_tasks.errors import TooFewImages
from imagenet_tasks.progress import Progress
from imagenet_tasks.storage import Store, fingerprint

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)
VERSION = 1  # raise when the same input would give other arrays or another split


def preprocess_class(
    store: Store, settings: PreprocessConfig, ref: SelectionRef, *, progress: Progress, salt: str = ""
) -> tuple[ClassArray, bool]:
    """Decodes and resizes the selected pictures of one class into one array.

    Args:
        store: where pictures are and the array goes.
        settings: the size.
        ref: which pictures.
        progress: counts pictures.
        salt: differs where the work is to be done again.

    Returns:
        The array of uint8 (pictures, rows, columns, 3), and whether it was there already.

    Raises:
        ChecksumMismatch: where a stored picture no longer has the bytes that were received.
    """
    mark = fingerprint(
        stage="preprocess",
        version=VERSION,
        selection=ref.fingerprint,
        class_id=ref.class_id,
        rows_px=settings.rows_px,
        columns_px=settings.columns_px,
        salt=salt,
    )
    array = ClassArray(class_id=ref.class_id, fingerprint=mark, count=ref.accepted)
    if store.is_complete(array.folder):
        progress.advance(array.count)
        return array, True
    selection = Selection.from_dict(store.read_json(ref.key), where=ref.key)

    def prepare(file: str) -> "np.ndarray":
        return images.to_array(
            read_picture(store, ref.class_id, file), rows_px=settings.rows_px, columns_px=settings.columns_px
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # Pillow decodes and resizes outside the interpreter lock
        pictures = []
        for picture in pool.map(prepare, selection.files):
            pictures.append(picture)
            progress.advance()
    ids = [file.partition(".")[0] for file in selection.files]
    write_array(store, array, pictures, ids, shape=(settings.rows_px, settings.columns_px, 3))
    return array, False


def side_of(image_id: str, settings: PreprocessConfig) -> Split:
    """Returns the side of the split that follows from a picture's own bytes, and from nothing else.

    So it is the same on every rerun, however many pictures are added, and a test picture never trains a later model.

    Args:
        image_id: the hex SHA-256 of the picture's bytes.
        settings: the shares.
    """
    place = int(image_id[:13], 16) / 16**13  # 52 bits: exact in a float
    if place < settings.test_share:
        return "test"
    return "validation" if place < settings.test_share + settings.validation_share else "train"


def build_dataset(
    store: Store,
    download: DownloadConfig,
    settings: PreprocessConfig,
    classes: Sequence[tuple[SelectionRef, ClassArray]],
    *,
    salt: str = "",
) -> tuple[Dataset, bool]:
    """Splits the classes' arrays, leaves out pictures that lie in two classes, and judges the whole.

    Args:
        store: where the arrays are and the dataset goes.
        download: how many pictures were wanted.
        settings: the shares and the least number of pictures.
        classes: each class's selection and array; the order gives the labels.
        salt: differs where the work is to be done again.

    Returns:
        The dataset, and whether it was there already.

    Raises:
        TooFewImages: where a class has too few pictures, naming each.
    """
    need = min(settings.min_images_per_class, download.images_per_class)
    short = [(ref, array) for ref, array in classes if array.count < need]
    if short:
        raise TooFewImages("; ".join(_shortfall(ref, need) for ref, _ in short))
    mark = fingerprint(
        stage="build_dataset",
        version=VERSION,
        arrays=[array.fingerprint for _, array in classes],
        validation_share=settings.validation_share,
        test_share=settings.test_share,
        salt=salt,
    )
    folder = f"datasets/{mark}"
    if store.is_complete(folder):
        return Dataset.read(store, folder, "dataset.json"), True
    ids = [json.loads(store.open_file(array.folder, "ids.json").read_bytes()) for _, array in classes]
    holders = Counter(image_id for class_ids in ids for image_id in set(class_ids))
    conflicts = {image_id for image_id, count in holders.items() if count > 1}
    table, members = io.StringIO(newline=""), []
    rows = csv.writer(table)
    rows.writerow(["image_id", "class_id", "label", "row", "split"])
    for label, ((ref, array), class_ids) in enumerate(zip(classes, ids, strict=True)):
        sides: Counter[str] = Counter()
        for row, image_id in enumerate(class_ids):
            side = "label_conflict" if image_id in conflicts else side_of(image_id, settings)
            sides[side] += 1
            rows.writerow([image_id, array.class_id, label, row, side])
        members.append(
            DatasetClass(
                class_id=array.class_id,
                name=ref.name,
                array=array,
                selection=ref.fingerprint,
                train=sides["train"],
                validation=sides["validation"],
                test=sides["test"],
            )
        )
    dataset = Dataset(
        fingerprint=mark, rows_px=settings.rows_px, columns_px=settings.columns_px, classes=tuple(members)
    )
    quality = _judge_quality(dataset, len(conflicts))
    for warning in quality["warnings"]:
        log.warning("%s", warning)
    with store.publish(folder) as attempt:
        (attempt / "split.csv").write_text(table.getvalue())
        (attempt / "data_quality.json").write_text(json.dumps(quality, indent=1))
        (attempt / "dataset.json").write_text(json.dumps(dataset.as_dict(), indent=1))
    return dataset, False


def _shortfall(ref: SelectionRef, need: int) -> str:
    reasons = ", ".join(f"{reason} {count}" for reason, count in list(ref.rejected.items())[:3]) or "none"
    return (
        f"{ref.class_id} ({ref.name}): has {ref.accepted} pictures, needs {need}; {ref.listed} candidates, "
        f"rejected: {reasons}. Leave the class out, lower min_images_per_class, or give a source with more pictures"
    )


def _judge_quality(dataset: Dataset, conflicts: int) -> dict[str, Any]:
    totals = {split: sum(getattr(c, split) for c in dataset.classes) for split in SPLITS}
    warnings = [
        f"{c.name}: no {split} pictures among {c.array.count}; its {split} figures are empty"
        for c in dataset.classes
        for split in SPLITS
        if getattr(c, split) == 0
    ]
    warnings += _imbalance(c.array.count for c in dataset.classes)
    without = [split for split, count in totals.items() if count == 0]
    if without:
        raise TooFewImages(
            f"the split has no {' and no '.join(without)} pictures among {sum(totals.values())} of "
            f"{len(dataset.classes)} classes; give more pictures per class"
        )
    return {"pictures": totals, "label_conflicts": conflicts, "warnings": warnings}


def _imbalance(counts: Iterable[int]) -> list[str]:
    ordered = sorted(counts)
    if ordered[-1] <= 3 * ordered[0]:
        return []
    return [f"the classes are unbalanced: {ordered[0]} to {ordered[-1]} pictures"]
