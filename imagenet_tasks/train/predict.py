"""What the champion takes pictures for. Importing this module loads Keras."""

import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imagenet_tasks import images
from imagenet_tasks.artifacts.arrays import open_picture, pictures_by_class, read_table, reading_threads
from imagenet_tasks.artifacts.champions import Champion, open_model
from imagenet_tasks.artifacts.references import Dataset, Selection
from imagenet_tasks.errors import ConfigError, NetworkUnusable, Rejected
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train.devices import find_gpus

BATCH = 256
LIMITS = DownloadConfig()  # a picture is judged as a downloaded one is


def predict(store: Store, champion: Champion, files: Sequence[str | Path], *, top: int = 5) -> list[dict[str, Any]]:
    """Returns what the champion takes each file for; a file that cannot be used does not stop the others.

    Args:
        store: where its model is.
        champion: who answers (`champions.choose_champion`).
        files: local files.
        top: how many classes are given for each file.

    Returns:
        One dictionary per file, in their order: "file", "top" (the most probable classes first, each with "class_id",
        "name", "probability"), and "reason": None, or why there is no answer.

    Raises:
        ConfigError: where `top` is below 1.
        ArtifactError: where its network is gone.
        NetworkUnusable: where Keras does not load it, or it does not fit its record.
        ChecksumMismatch: where its file is not the one that was promoted; it is then never loaded.
    """
    if top < 1:
        raise ConfigError(f"top: expected 1 or more, received {top}")
    network = _load(store, champion)
    answers: list[dict[str, Any]] = []
    waiting: list[tuple[dict[str, Any], np.ndarray]] = []
    for place, file in enumerate(files):
        answer: dict[str, Any] = {"file": str(file), "top": [], "reason": None}
        answers.append(answer)
        try:
            pixels = _read(Path(file), champion)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            answer["reason"] = f"cannot be read: {getattr(error, 'strerror', None) or error}"
        except Rejected as rejection:
            answer["reason"] = f"no usable picture: {rejection.reason.value.replace('_', ' ')}"
        else:
            waiting.append((answer, pixels))
        if waiting and (len(waiting) == BATCH or place == len(files) - 1):
            shares = network.predict_on_batch(np.stack([pixels for _, pixels in waiting]))
            for (waited, _), row in zip(waiting, np.asarray(shares), strict=True):
                best = [(champion.classes[label], float(row[label])) for label in np.argsort(-row, kind="stable")[:top]]
                waited["top"] = [{"class_id": c.class_id, "name": c.name, "probability": share} for c, share in best]
            waiting.clear()
    return answers


def predict_validation(store: Store, champion: Champion, dataset: Dataset) -> list[int]:
    """Returns what the champion takes a dataset's validation pictures for: the dataset's labels, in the split's order.

    Args:
        store: where its model and the pictures are.
        champion: who answers, at its own size and with its classes in any order.
        dataset: of the same classes.

    Raises:
        ArtifactError: where its network or a picture is gone.
        ChecksumMismatch: where one of these is not what was written.
        NetworkUnusable: where Keras does not load it, or it does not fit its record.
    """
    find_gpus()  # a training may use the GPU at the same time: memory is taken as it is needed
    network = _load(store, champion)
    own = [c.class_id for c in dataset.classes]
    label_of = np.array([own.index(class_id) for class_id in champion.class_ids])
    answers: list[int] = []
    for pictures in _validation_pictures(store, champion, dataset):
        shares = network.predict(pictures, batch_size=BATCH, verbose=0)
        answers += label_of[np.asarray(shares).argmax(axis=1)].tolist()
    return answers


def _validation_pictures(store: Store, champion: Champion, dataset: Dataset) -> Iterator[np.ndarray]:
    """Yields a dataset's validation pictures in the champion's size, uint8 (n, rows, columns, 3), some at a time."""
    table = read_table(store, dataset)
    places = table.on("validation")
    size = {"rows_px": champion.rows_px, "columns_px": champion.columns_px}
    if size == {"rows_px": dataset.rows_px, "columns_px": dataset.columns_px}:
        for pictures, _ in pictures_by_class(store, dataset, table, places):
            yield pictures
        return
    files: list[tuple[str, str]] = []
    for label, member in enumerate(dataset.classes):
        key = Selection.key(member.class_id, member.selection)
        selected = Selection.from_json(store.read_bytes(key), where=key).files
        files += [(member.class_id, selected[row]) for row in table.rows[places[table.labels[places] == label]]]

    def prepare(file: tuple[str, str]) -> np.ndarray:
        with open_picture(store, *file) as data:
            return images.to_array(data, **size)

    with ThreadPoolExecutor(reading_threads(store)) as pool:
        for start in range(0, len(files), BATCH):
            yield np.stack(list(pool.map(prepare, files[start : start + BATCH])))


def load_network(path: Path) -> keras.Model:
    """Returns the network of a file that was checked: no code from it (safe mode), no optimiser.

    Raises:
        NetworkUnusable: where Keras does not load it, such as for code in it.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError) as error:  # Keras' own for code in the file, and for layers that it does not know
        raise NetworkUnusable(f"{path}: Keras does not load this network: {error}") from error


def _load(store: Store, champion: Champion) -> keras.Model:
    """Returns the champion's network: its file's hash is checked first."""
    path = open_model(store, champion)
    network = load_network(path)
    expected = (None, champion.rows_px, champion.columns_px, 3), (None, len(champion.classes))
    if (network.input_shape, network.output_shape) != expected:
        raise NetworkUnusable(
            f"{path}: expected a network from {expected[0]} to {expected[1]}, as the champion's record says, received "
            f"one from {network.input_shape} to {network.output_shape}. Delete the champion's entry and run again."
        )
    return network


def _read(file: Path, champion: Champion) -> np.ndarray:
    """Returns a file's picture, uint8 (rows, columns, 3).

    Raises:
        OSError: where it cannot be read, or is no file.
        Rejected: where it is no usable picture.
    """
    about = file.stat()
    if not stat.S_ISREG(about.st_mode):  # reading a pipe would wait for ever
        raise OSError(f"{'a folder' if file.is_dir() else 'not a file'}; expected a picture's file")
    if about.st_size > LIMITS.max_bytes:
        raise OSError(f"{about.st_size:,} bytes; expected at most {LIMITS.max_bytes:,}")
    data = file.read_bytes()
    images.judge(data, max_pixels=LIMITS.max_pixels, min_side_px=LIMITS.min_side_px, max_aspect=LIMITS.max_aspect)
    return images.to_array(data, rows_px=champion.rows_px, columns_px=champion.columns_px)
