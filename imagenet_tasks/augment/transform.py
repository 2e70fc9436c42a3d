"""Changes the geometry of one picture: as the study did by rotation, zoom crop and flips; and any affine change."""

import math
from collections.abc import Collection

import numpy as np
from PIL import Image

from imagenet_tasks.settings.config import AugmentConfig


def change_geometry(
    picture: Image.Image, settings: AugmentConfig, acting: Collection[str], random: np.random.Generator
) -> Image.Image:
    """Returns the picture turned, cropped and flipped.

    As much is drawn whatever may act, so that denying one transform leaves the others of a copy as they were.

    Args:
        picture: RGB, larger than the array it ends in, so that the crop stays sharp.
        settings: the largest angle and zoom.
        acting: the transforms that may change it.
        random: where the choices come from.
    """
    turn, zoom, across, down, mirror, upset = random.random(6)
    if "rotation" in acting:
        picture = rotate(picture, settings.rotation_deg * (2 * turn - 1))
    if "zoom" in acting:
        kept = 1 - settings.zoom_share * zoom
        width, height = picture.width * kept, picture.height * kept
        left, top = across * (picture.width - width), down * (picture.height - height)
        picture = picture.crop((round(left), round(top), round(left + width), round(top + height)))
    if "horizontal_flip" in acting and mirror < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if "vertical_flip" in acting and upset < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return picture


def rotate(picture: Image.Image, angle_deg: float) -> Image.Image:
    """Returns the picture turned anticlockwise about its middle, of the same size."""
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    return warp(picture, (cos, -sin, sin, cos))


def warp(
    picture: Image.Image, matrix: tuple[float, float, float, float], shift: tuple[float, float] = (0.0, 0.0)
) -> Image.Image:
    """Returns an affinely changed picture of the same size without empty corners: beyond its edge it is mirrored.

    Args:
        picture: RGB.
        matrix: a, b, c, d. What is at (x, y) from the middle of the result comes from (a x + b y, c x + d y) from the
            middle of the picture, in pixels to the right and down.
        shift: in pixels, added to where it comes from.
    """
    a, b, c, d = matrix
    x, y = picture.width / 2, picture.height / 2
    # As much mirrored edge as the changed frame reaches over, and two pixels for the resampling.
    margin_x = max(0, math.ceil(abs(a) * x + abs(b) * y + abs(shift[0]) - x)) + 2
    margin_y = max(0, math.ceil(abs(c) * x + abs(d) * y + abs(shift[1]) - y)) + 2
    padded = np.pad(np.asarray(picture), ((margin_y, margin_y), (margin_x, margin_x), (0, 0)), mode="reflect")
    to_x = x + margin_x + shift[0] - a * x - b * y
    to_y = y + margin_y + shift[1] - c * x - d * y
    coefficients = (a, b, to_x, c, d, to_y)
    return Image.fromarray(padded).transform(
        picture.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC
    )
