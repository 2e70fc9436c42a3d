"""Pictures per second from JPEG bytes to a 68x45 array, ours beside the study's two steps: `make bench-preprocess`.

Photos of a folder (--pictures DIR, any *.jpg below it), else drawn pictures of about 500x375. One core.
"""

import argparse
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

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


def with_profile(data: bytes) -> bytes:
    """Returns a JPEG with an ICC profile of its own, so that its colours are converted."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = b"ICC_PROFILE\0\1\1" + profile.replace("sRGB".encode("utf-16-be"), "mine".encode("utf-16-be"))
    return data[:2] + b"\xff\xe2" + (len(content) + 2).to_bytes(2, "big") + content + data[2:]


def pictures_per_s(method: Callable[[bytes], np.ndarray], pictures: list[bytes]) -> float:
    """Returns the speed over all pictures."""
    started_s = time.perf_counter()
    for data in pictures:
        method(data)
    return len(pictures) / (time.perf_counter() - started_s)


def main() -> None:
    """Prints the speeds, their ratios, and the mean difference in grey levels."""
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
    jpegs = [data for data in pictures if data.startswith(b"\xff\xd8")]
    profiled = [with_profile(data) for data in jpegs]
    speeds = dict.fromkeys(("two steps", "ours", "JPEG", "JPEG with a profile"), 0.0)
    for _ in range(3):  # turn about, so that a busy moment of the machine hits both
        speeds["two steps"] = max(speeds["two steps"], pictures_per_s(two_steps, pictures))
        speeds["ours"] = max(speeds["ours"], pictures_per_s(ours, pictures))
        speeds["JPEG"] = max(speeds["JPEG"], pictures_per_s(ours, jpegs))
        speeds["JPEG with a profile"] = max(speeds["JPEG with a profile"], pictures_per_s(ours, profiled))
    differences = [np.abs(ours(data).astype(int) - two_steps(data)).mean() for data in pictures]
    print(
        f"two steps {speeds['two steps']:.0f}/s  ours {speeds['ours']:.0f}/s  ratio "
        f"{speeds['ours'] / speeds['two steps']:.2f}  mean difference {np.mean(differences):.2f} grey levels"
    )
    ratio = speeds["JPEG with a profile"] / speeds["JPEG"]
    print(f"JPEG {speeds['JPEG']:.0f}/s  with an ICC profile {speeds['JPEG with a profile']:.0f}/s  ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
