"""Pictures per second from JPEG bytes to a 68x45 array, ours beside the study's two steps: `make bench-preprocess`.

Photos of a folder (--pictures DIR, any *.jpg below it), else drawn pictures of about 500x375. One core.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from imagenet_tasks.images import to_array
from imagenet_tasks.sample.drawings import picture_bytes
from imagenet_tasks.settings.classes import STUDY_CLASSES


def two_steps(data: bytes) -> np.ndarray:
    """Returns what the study did, in Pillow: 450 rows by 300 columns, then times 0.15."""
    with Image.open(io.BytesIO(data)) as picture:
        large = picture.convert("RGB").resize((300, 450), Image.Resampling.BICUBIC)
    return np.asarray(large.resize((45, 68), Image.Resampling.BICUBIC))


def ours(data: bytes) -> np.ndarray:
    """Returns this project's one step."""
    return to_array(data, rows_px=68, columns_px=45)


def pictures_per_s(method: Callable[[bytes], np.ndarray], pictures: list[bytes]) -> float:
    """Returns the speed over all pictures."""
    started_s = time.perf_counter()
    for data in pictures:
        method(data)
    return len(pictures) / (time.perf_counter() - started_s)


def main() -> None:
    """Prints both speeds, their ratio, and the mean difference in grey levels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    if options.pictures:
        pictures = [path.read_bytes() for path in sorted(options.pictures.rglob("*.jpg"))[: options.count]]
    else:
        each = options.count // len(STUDY_CLASSES)
        pictures = [picture_bytes(c.class_id, index) for c in STUDY_CLASSES for index in range(each)]
    size = sum(map(len, pictures)) / len(pictures) / 1000
    print(f"{len(pictures)} pictures of {size:.0f} kB on average")
    speeds = {"two steps": 0.0, "ours": 0.0}
    for _ in range(3):  # turn about, so that a busy moment of the machine hits both
        speeds["two steps"] = max(speeds["two steps"], pictures_per_s(two_steps, pictures))
        speeds["ours"] = max(speeds["ours"], pictures_per_s(ours, pictures))
    differences = [np.abs(ours(data).astype(int) - two_steps(data)).mean() for data in pictures]
    print(
        f"two steps {speeds['two steps']:.0f}/s  ours {speeds['ours']:.0f}/s  ratio "
        f"{speeds['ours'] / speeds['two steps']:.2f}  mean difference {np.mean(differences):.2f} grey levels"
    )


if __name__ == "__main__":
    main()
