"""What a network takes pictures for. Importing this module loads Keras."""

import stat
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np

from imagenet_tasks import images
from imagenet_tasks.artifacts.arrays import open_picture, pictures_by_class, read_table, reading_threads
from imagenet_tasks.artifacts.champions import Champion
from imagenet_tasks.artifacts.references import Dataset, Selection
from imagenet_tasks.errors import ConfigError, NetworkUnusable, Rejected
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.statistics.calibration import at_temperature
from imagenet_tasks.store.storage import Store
from imagenet_tasks.train.devices import find_gpus
from imagenet_tasks.train.networks import Network, of_champion

BATCH = 256
LIMITS = DownloadConfig()  # a picture is judged as a downloaded one is


def predict(network: Network, files: Iterable[str | Path], *, top: int = 5) -> Iterator[dict[str, Any]]:
    """Yields what a network takes each file for; a file that cannot be used does not stop the others.

    Args:
        network: who answers.
        files: local files.
        top: how many classes are given for each file.

    Yields:
        One dictionary per file, in their order: "file", "top" (the most probable classes first, each with "class_id",
        "name", "probability"), "unlike": whether the network is less sure than of nearly all pictures of its classes
        (None where that is not known), and "reason": None, or why there is no answer.

    Raises:
        ConfigError: where `top` is below 1.
        ArtifactError: where its network is gone.
        NetworkUnusable: where Keras does not load it, or it does not fit its record.
        ChecksumMismatch: where its file is not the one that was published; it is then never loaded.
    """
    if top < 1:
        raise ConfigError(f"top: expected 1 or more, received {top}")
    keras_network, waiting = _load(network), iter(files)
    with ThreadPoolExecutor() as pool:
        while batch := list(islice(waiting, BATCH)):
            read = list(pool.map(partial(_read_or_reason, network=network), batch))
            pictures = [pixels for pixels in read if not isinstance(pixels, str)]
            shares = iter(_calibrated(network, keras_network.predict_on_batch(np.stack(pictures))) if pictures else ())
            for file, pixels in zip(batch, read, strict=True):
                if isinstance(pixels, str):
                    yield {"file": str(file), "top": [], "unlike": None, "reason": pixels}
                    continue
                row = next(shares)
                best = [(network.classes[label], float(row[label])) for label in np.argsort(-row, kind="stable")[:top]]
                found = [{"class_id": c.class_id, "name": c.name, "probability": share} for c, share in best]
                unlike = bool(row.max() < network.calibration.usual) if network.calibration else None
                yield {"file": str(file), "top": found, "unlike": unlike, "reason": None}


def predict_pictures(
    store: Store, champion: Champion, dataset: Dataset, places: Sequence[int] | None = None
) -> list[int]:
    """Returns what the champion takes some of a dataset's pictures for: the dataset's labels, in the split's order.

    Args:
        store: where its model and the pictures are.
        champion: who answers, at its own size and with its classes in any order.
        dataset: of the same classes.
        places: of the pictures in the split's table, ascending; None for the validation pictures.

    Raises:
        ArtifactError: where its network or a picture is gone.
        ChecksumMismatch: where one of these is not what was written.
        NetworkUnusable: where Keras does not load it, or it does not fit its record.
    """
    find_gpus()  # a training may use the GPU at the same time: memory is taken as it is needed
    network = _load(of_champion(store, champion))
    own = [c.class_id for c in dataset.classes]
    label_of = np.array([own.index(class_id) for class_id in champion.class_ids])
    answers: list[int] = []
    for pictures in _pictures_at(store, champion, dataset, places):
        shares = network.predict(pictures, batch_size=BATCH, verbose=0)
        answers += label_of[np.asarray(shares).argmax(axis=1)].tolist()
    return answers


def _pictures_at(
    store: Store, champion: Champion, dataset: Dataset, asked: Sequence[int] | None
) -> Iterator[np.ndarray]:
    """Yields pictures of a dataset in the champion's size, uint8 (n, rows, columns, 3), some at a time."""
    table = read_table(store, dataset)
    places = table.on("validation") if asked is None else np.array(asked, int)
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


def _calibrated(network: Network, shares: Any) -> np.ndarray:
    """Returns probabilities (n, classes) that are as right as they say, where it is known how right they are."""
    temperature = network.calibration.temperature if network.calibration else 1.0
    return at_temperature(np.asarray(shares), temperature)


def _load(network: Network) -> keras.Model:
    """Returns a network's model: its file's hash is checked first."""
    path = network.open()
    model = load_network(path)
    expected = (None, network.rows_px, network.columns_px, 3), (None, len(network.classes))
    if (model.input_shape, model.output_shape) != expected:
        raise NetworkUnusable(
            f"{path}: expected a network from {expected[0]} to {expected[1]}, as its record says, received one from "
            f"{model.input_shape} to {model.output_shape}. Delete the champion's entry and run again."
        )
    return model


def _read_or_reason(file: str | Path, network: Network) -> np.ndarray | str:
    """Returns a file's picture, or why there is none."""
    try:
        return _read(Path(file), network)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return f"cannot be read: {getattr(error, 'strerror', None) or error}"
    except Rejected as rejection:
        return f"no usable picture: {rejection.reason.value.replace('_', ' ')}"


def _read(file: Path, network: Network) -> np.ndarray:
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
    return images.to_array(data, rows_px=network.rows_px, columns_px=network.columns_px)
