"""The stages `preprocess_class` (pictures to one array) and `build_dataset` (groups, split, data quality)."""

import csv
import io
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from imagenet_tasks import images
from imagenet_tasks.artifacts import kinds
from imagenet_tasks.artifacts.arrays import open_picture, read_looks, reading_threads, write_array
from imagenet_tasks.artifacts.make import Publish, make
from imagenet_tasks.artifacts.quality import Shortfall
from imagenet_tasks.artifacts.references import (
    SPLIT_BY,
    ClassArray,
    Dataset,
    DatasetClass,
    GivenSide,
    Selection,
    SelectionRef,
    most_held_out,
)
from imagenet_tasks.errors import TooFewImages
from imagenet_tasks.preprocess.quality import find_shortfalls, judge_quality
from imagenet_tasks.preprocess.split import Placed, place
from imagenet_tasks.settings.config import DownloadConfig, PreprocessConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.progress import Progress

if TYPE_CHECKING:
    import numpy as np

log = logging.getLogger(__name__)


class BuiltDataset(NamedTuple):
    """A dataset, whether it was there already, and the classes that this run left out; why is no part of it."""

    dataset: Dataset
    reused: bool
    left_out: tuple[Shortfall, ...]


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
        DataError: where one can no longer be decoded.
    """
    mark = kinds.ARRAY.fingerprint({"selection": ref.fingerprint}, settings, salt=salt)
    array = ClassArray(class_id=ref.class_id, fingerprint=mark, count=ref.accepted)

    def build(publish: Publish) -> None:
        selection = Selection.from_json(store.read_bytes(ref.key), where=ref.key)
        pictures, looks = [], []
        size = {"rows_px": settings.rows_px, "columns_px": settings.columns_px}
        for picture, look in prepare_pictures(store, ref.class_id, selection.files, **size):
            pictures.append(picture)
            looks.append(look)
            progress.advance()
        ids = [file.partition(".")[0] for file in selection.files]
        with publish() as folder:
            write_array(folder, array, pictures, ids, shape=(settings.rows_px, settings.columns_px, 3), looks=looks)

    if reused := make(store, kinds.ARRAY, mark, build):
        progress.advance(array.count)
    return array, reused


def prepare_pictures(
    store: Store, class_id: str, files: Iterable[str], *, rows_px: int, columns_px: int
) -> "Iterator[tuple[np.ndarray, tuple[int, bool]]]":
    """Yields a class's stored pictures in order, uint8 (rows, columns, 3), each with how it looks.

    Args:
        store: where they are.
        class_id: of the class.
        files: their names.
        rows_px: of the arrays.
        columns_px: of the arrays.

    Raises:
        ChecksumMismatch: where one no longer has the bytes that were received.
        DataError: where one can no longer be decoded.
    """

    def prepare(file: str) -> "tuple[np.ndarray, tuple[int, bool]]":
        with open_picture(store, class_id, file) as data:
            pixels = images.to_array(data, rows_px=rows_px, columns_px=columns_px)
        return pixels, images.look(pixels)

    with ThreadPoolExecutor(reading_threads(store)) as pool:  # Pillow works outside the interpreter lock
        yield from pool.map(prepare, files)


def build_dataset(
    store: Store,
    download: DownloadConfig,
    settings: PreprocessConfig,
    classes: Sequence[tuple[SelectionRef, ClassArray]],
    *,
    salt: str = "",
) -> BuiltDataset:
    """Splits the classes' arrays, leaves out pictures that lie in several classes, and judges the whole.

    Args:
        store: where the arrays are and the dataset goes.
        download: how many pictures were wanted.
        settings: the shares, the least number of pictures and of classes, and what counts as a near-duplicate.
        classes: each class's selection and array; the order of those with enough pictures gives the labels.
        salt: differs where the work is to be done again.

    Raises:
        TooFewImages: where classes have too few pictures, naming each, and `min_classes` does not let them be left
            out.
    """
    known = {image_id for ref, _ in classes for image_id in ref.placeholders}
    given: dict[str, GivenSide] = {}
    for ref, _ in classes:
        if ref.split_given:
            for image_id, side in Selection.from_json(store.read_bytes(ref.key), where=ref.key).given_by_id.items():
                given[image_id] = most_held_out((side, given.get(image_id, side)))
    placed = place([read_looks(store, array) for _, array in classes], settings, known, given)
    need = settings.need(download.images_per_class)
    shortfalls = find_shortfalls([ref for ref, _ in classes], placed, need=need)
    _refuse_too_few(shortfalls, len(classes), settings)
    short = {s.class_id for s in shortfalls}
    members = [
        (_member(ref, array, pictures, settings), pictures)
        for (ref, array), pictures in zip(classes, placed, strict=True)
        if ref.class_id not in short
    ]
    inputs = {
        "arrays": [array.fingerprint for _, array in classes],
        "classes": [member.class_id for member, _ in members],
        "placeholders": sorted({p.image_id for pictures in placed for p in pictures if p.side == "placeholder"}),
    }
    dataset = Dataset(
        fingerprint=kinds.DATASET.fingerprint(inputs, settings, salt=salt),
        rows_px=settings.rows_px,
        columns_px=settings.columns_px,
        classes=tuple(member for member, _ in members),
        test_steers=settings.test_steers,
        split_by=(*attrgetter(*SPLIT_BY)(settings), *(["given"] if given else [])),
    )

    def build(publish: Publish) -> None:
        quality = judge_quality(members, settings)
        for warning in quality.warnings:
            log.warning("%s", warning)
        with publish() as folder:
            (folder / "split.csv").write_text(_split_table(members))
            quality.write_to(folder)
            dataset.write_to(folder)

    return BuiltDataset(dataset, make(store, kinds.DATASET, dataset.fingerprint, build), tuple(shortfalls))


def _refuse_too_few(shortfalls: Sequence[Shortfall], classes: int, settings: PreprocessConfig) -> None:
    """Raises TooFewImages unless the classes without enough pictures may be left out; says loudly which are."""
    min_classes = settings.min_classes
    left, need = classes - len(shortfalls), max(2, min_classes)
    if shortfalls and (not min_classes or left < need):
        policy = f"; {left} of {classes} classes have enough, min_classes asks for {need}" if min_classes else ""
        raise TooFewImages("; ".join(s.sentence for s in shortfalls) + f"{policy}. {settings.advice(classes)}")
    for shortfall in shortfalls:
        log.warning("Left out: %s", shortfall.sentence)


def _member(
    ref: SelectionRef, array: ClassArray, pictures: Sequence[Placed], settings: PreprocessConfig
) -> DatasetClass:
    sides = [picture.side for picture in pictures]
    return DatasetClass(
        class_id=ref.class_id,
        name=ref.name,
        array=array,
        selection=ref.fingerprint,
        train=sides.count("train"),
        validation=sides.count("test" if settings.test_steers else "validation"),
        test=sides.count("test"),
    )


def _split_table(members: Sequence[tuple[DatasetClass, Sequence[Placed]]]) -> str:
    table = io.StringIO(newline="")
    rows = csv.writer(table)
    rows.writerow(["image_id", "class_id", "label", "row", "split", "group", "flat"])
    for label, (member, pictures) in enumerate(members):
        rows.writerows([p.image_id, member.class_id, label, p.row, p.side, p.group, int(p.flat)] for p in pictures)
    return table.getvalue()
