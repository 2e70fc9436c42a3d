"""Small pictures whose bytes differ, and the stages' inputs made of them."""

import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from imagenet_tasks.artifacts.arrays import pictures_by_class, read_table
from imagenet_tasks.artifacts.references import ClassArray, Dataset, SelectionRef, Split
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.preprocess.stage import build_dataset, preprocess_class
from imagenet_tasks.settings.classes import folder_class
from imagenet_tasks.settings.config import DownloadConfig, PreprocessConfig
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.progress import Progress

COBRA, COW, PANDA = "n01747885", "n02403454", "n02510455"


def encode(picture: Image.Image, kind: str = "JPEG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def picture(seed: int, *, rows: int = 40, columns: int = 60, kind: str = "JPEG") -> bytes:
    """A few soft blobs of colour; another seed is another picture."""
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return encode(small.resize((columns, rows), Image.Resampling.BICUBIC), kind)


def quiet(total: int = 10) -> Progress:
    """A progress that nobody listens to."""
    return Progress(task="t", item="", label="l", total=total, unit="u", listeners=())


def fill(folder: Path, seeds, *, kind: str = "PNG") -> Path:
    """Writes a picture per seed into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for place, seed in enumerate(seeds):
        (folder / f"{place:04d}.{kind.lower()}").write_bytes(picture(seed, rows=24, columns=32, kind=kind))
    return folder


def add_member(tar: tarfile.TarFile, name: str, data=b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> None:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, len(data)
    tar.addfile(member, io.BytesIO(data) if data else None)


def prepared(
    store, where: Path, pictures: dict[str, range | list[int]], settings: PreprocessConfig
) -> tuple[DownloadConfig, list[tuple[SelectionRef, ClassArray]]]:
    """Each class's seeds as pictures, taken through the real download and preprocessing."""
    for class_id, seeds in pictures.items():
        fill(where / class_id, seeds)
    download = DownloadConfig(source="folder", location=str(where), images_per_class=max(map(len, pictures.values())))
    pairs = []
    for class_id in pictures:
        ref, _ = download_class(store, download, folder_class(class_id), progress=quiet())
        pairs.append((ref, preprocess_class(store, settings, ref, progress=quiet())[0]))
    return download, pairs


def small_dataset(store, where: Path, *, count: int = 40, **settings) -> Dataset:
    """Three classes of `count` pictures of 16x16, split."""
    shape = PreprocessConfig(
        **{"rows_px": 16, "columns_px": 16, "validation_share": 0.25, "test_share": 0.25, "min_images_per_class": 1}
        | settings
    )
    seeds = {class_id: range(1000 * i, 1000 * i + count) for i, class_id in enumerate((COBRA, COW, PANDA))}
    download, pairs = prepared(store, where, seeds, shape)
    return build_dataset(store, download, shape, pairs)[0]


def load_split(store: Store, dataset: Dataset, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """One side of the split in memory: its pictures and their labels."""
    table = read_table(store, dataset)
    places = table.on(split)
    pieces = [pictures for pictures, _ in pictures_by_class(store, dataset, table, places)]
    return np.concatenate(pieces), table.labels[places]
