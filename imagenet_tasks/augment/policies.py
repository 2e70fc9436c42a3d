"""The policies by which copies are changed, and one copy by its name: seed, round, picture and number.

- `study`: rotation, zoom crop, horizontal and vertical flip, as the study did.
- `colour`: the study's, then brightness, contrast and saturation, each by up to 40 %: the usual strength where
  ImageNet classifiers are trained with it.
- `trivial`: TrivialAugment Wide (Mueller and Hutter 2021, "TrivialAugment: Tuning-free Yet State-of-the-Art Data
  Augmentation"): one random operation of random strength; before it the horizontal flip.
"""

import hashlib
from collections.abc import Callable, Collection

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from imagenet_tasks import images
from imagenet_tasks.augment.transform import change_geometry, rotate, warp
from imagenet_tasks.settings.config import AugmentConfig

DETAIL = 4  # a picture is decoded at so many times the array's size or more: a zoom crop keeps that much to resample
COLOUR_JITTER = 0.4
STRENGTHS = 31  # of each operation of TrivialAugment, from none to the widest
WIDEST_SHEAR = 0.99
WIDEST_SHIFT = 32 / 224  # its 32 pixels, of the pictures of 224 that it is used on for ImageNet
WIDEST_TURN_DEG = 135.0
UPRIGHT_TURN_DEG = 30.0  # RandAugment's; for what may not stand on its head
WIDEST_ENHANCEMENT = 0.99
MOST_BITS, FEWEST_BITS = 8, 2

Operation = Callable[[Image.Image, float], Image.Image]


def acting(settings: AugmentConfig, class_id: str) -> frozenset[str]:
    """Returns the transforms that may change a class's pictures: the policy's, turned on, and not denied."""
    trivial, denied = settings.policy == "trivial", settings.denied(class_id)
    turned = (trivial or settings.rotation_deg > 0) and "rotation" not in denied
    own = {
        "rotation": turned,
        "zoom": not trivial and settings.zoom_share > 0,
        "horizontal_flip": settings.horizontal_flip,
        "vertical_flip": settings.vertical_flip and (turned or not trivial),  # TrivialAugment upends by its turns alone
        "colour": settings.policy != "study",
        "shear": trivial,
        "translation": trivial,
    }
    return frozenset(name for name, on in own.items() if on and name not in denied)


def changed_copy(
    data: bytes,
    settings: AugmentConfig,
    class_id: str,
    *,
    image_id: str,
    copy: int,
    size: tuple[int, int],
    seed: int,
    round_number: int,
) -> Image.Image:
    """Returns one changed copy of a stored picture, before its downscale.

    Args:
        data: the picture's bytes.
        settings: how it is changed.
        class_id: whose denied transforms are respected.
        image_id: of the picture.
        copy: the number of the copy among this picture's, from 0.
        size: rows and columns of the array that it ends in.
        seed: of the run.
        round_number: of the repair.
    """
    picture = images.decode(data, at_least=(DETAIL * size[0], DETAIL * size[1]))
    random = np.random.default_rng(copy_number(seed, round_number, image_id, copy))
    return change(picture, settings, acting(settings, class_id), random)


def copy_number(seed: int, round_number: int, image_id: str, copy: int) -> int:
    """Returns the number that a copy's changes, and its turn among the copies, follow from.

    It depends on nothing else: not on the copy's place, on threads, or on which other pictures there are.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{round_number}/{image_id}/{copy}".encode()).digest())


def change(
    picture: Image.Image, settings: AugmentConfig, allowed: Collection[str], random: np.random.Generator
) -> Image.Image:
    """Returns a picture changed by the policy of the settings, and by no transform that is not allowed."""
    if settings.policy == "trivial":
        return _trivial(picture, allowed, random)
    picture = change_geometry(picture, settings, allowed, random)
    return _jitter(picture, random) if "colour" in allowed else picture


def _jitter(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    enhancements = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
    for enhancement, factor in zip(enhancements, random.uniform(-COLOUR_JITTER, COLOUR_JITTER, 3), strict=True):
        picture = enhancement(picture).enhance(1 + float(factor))
    return picture


def _trivial(picture: Image.Image, allowed: Collection[str], random: np.random.Generator) -> Image.Image:
    mirror, sign = random.random(2) < 0.5
    strength = int(random.integers(STRENGTHS)) / (STRENGTHS - 1)
    operations = _operations(allowed)
    if mirror and "horizontal_flip" in allowed:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return operations[random.integers(len(operations))](picture, -strength if sign else strength)


def _operations(allowed: Collection[str]) -> list[Operation]:
    """Returns the operations of TrivialAugment Wide that are allowed; each takes a strength from -1 to 1."""
    turn_deg = WIDEST_TURN_DEG if "vertical_flip" in allowed else UPRIGHT_TURN_DEG
    of_transform: dict[str, list[Operation]] = {
        "rotation": [lambda p, s: rotate(p, s * turn_deg)],
        "shear": [
            lambda p, s: warp(p, (1, s * WIDEST_SHEAR, 0, 1)),
            lambda p, s: warp(p, (1, 0, s * WIDEST_SHEAR, 1)),
        ],
        "translation": [
            lambda p, s: warp(p, (1, 0, 0, 1), (s * WIDEST_SHIFT * p.width, 0)),
            lambda p, s: warp(p, (1, 0, 0, 1), (0, s * WIDEST_SHIFT * p.height)),
        ],
        "colour": [
            *map(
                _enhanced, (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast, ImageEnhance.Sharpness)
            ),
            lambda p, s: ImageOps.posterize(p, round(MOST_BITS - abs(s) * (MOST_BITS - FEWEST_BITS))),
            lambda p, s: ImageOps.solarize(p, round(256 * (1 - abs(s)))),
            lambda p, _: ImageOps.autocontrast(p),
            lambda p, _: ImageOps.equalize(p),
        ],
    }
    unchanged: Operation = lambda p, _: p  # noqa: E731 - one of TrivialAugment's operations
    return [unchanged, *(o for name, operations in of_transform.items() if name in allowed for o in operations)]


def _enhanced(enhancement: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda p, s: enhancement(p).enhance(1 + s * WIDEST_ENHANCEMENT)
