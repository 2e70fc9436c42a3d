"""How many copies of a picture its hash finds, and how many other pictures: the table of docs/adr/0007.

    python -m benchmarks.near_duplicates [--pictures DIR]

Pictures of a folder (any *.jpg, *.jpeg below it), else drawn ones. Copies are resized, recompressed and cropped.
"""

import argparse
import io
from pathlib import Path

import numpy as np
from PIL import Image

from imagenet_tasks.images import look, to_array
from imagenet_tasks.preprocess.split import number_groups
from imagenet_tasks.sample.drawings import picture_bytes
from imagenet_tasks.settings.classes import STUDY_CLASSES

BITS = (2, 4, 6, 8, 10)
CUTS, SCALES, QUALITIES = (0.0, 0.01, 0.02, 0.03, 0.05), (0.5, 0.7, 0.9), (40, 65, 90)


def hash_of(data: bytes) -> int:
    return look(to_array(data, rows_px=68, columns_px=45))[0]


def copy_of(picture: Image.Image, random: np.random.Generator, cut: float, scale: float, quality: int) -> bytes:
    """Each edge loses `cut` of the side on average."""
    left, top, right, bottom = random.uniform(0, 2 * cut, 4) * [*picture.size, *picture.size]
    part = picture.crop((round(left), round(top), picture.width - round(right), picture.height - round(bottom)))
    file = io.BytesIO()
    part.resize((round(part.width * scale), round(part.height * scale))).save(file, "JPEG", quality=quality)
    return file.getvalue()


def bits_of_copies(data: bytes, random: np.random.Generator) -> np.ndarray:
    """Returns in how many bits each copy differs: (cuts, copies)."""
    own = hash_of(data)
    with Image.open(io.BytesIO(data)) as opened:
        picture = opened.convert("RGB")
    return np.array(
        [
            [
                (own ^ hash_of(copy_of(picture, random, cut, scale, quality))).bit_count()
                for scale in SCALES
                for quality in QUALITIES
            ]
            for cut in CUTS
        ]
    )


def main() -> None:
    """Prints for each threshold the share of copies found by cut, and the groups among the pictures themselves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--originals", type=int, default=300)
    options = parser.parse_args()
    if options.pictures:
        files = sorted(f for f in options.pictures.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg"))
        pictures = [file.read_bytes() for file in files]
    else:
        pictures = [picture_bytes(c.class_id, index) for c in STUDY_CLASSES for index in range(50)]
    hashes = np.array([hash_of(data) for data in pictures], np.uint64)
    random = np.random.default_rng(0)
    taken = random.choice(len(pictures), min(options.originals, len(pictures)), replace=False)
    bits = np.concatenate([bits_of_copies(pictures[place], random) for place in taken], axis=1)
    print(f"{len(pictures)} pictures, {bits.size} copies of {len(taken)} of them")
    for most in BITS:
        sizes = np.bincount(number_groups(hashes, most))
        found = " / ".join(f"{100 * share:.1f}" for share in (bits <= most).mean(axis=1))
        print(
            f"{most:2} bits: copies found, edges cut by {' / '.join(f'{100 * c:g} %' for c in CUTS)}: {found}; "
            f"{1000 * sizes[sizes > 1].sum() / len(pictures):.1f} of 1,000 pictures have another, "
            f"the largest group {sizes.max()}"
        )


if __name__ == "__main__":
    main()
