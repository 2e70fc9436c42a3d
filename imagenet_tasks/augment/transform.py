"""Changes one picture as the study did: rotation, zoom crop, horizontal and vertical flip."""

import math
from typing import TYPE_CHECKING

from PIL import Image

from imagenet_tasks.config import AugmentConfig

if TYPE_CHECKING:
    import numpy as np


def transform(picture: Image.Image, settings: AugmentConfig, random: "np.random.Generator") -> Image.Image:
    """Returns a changed picture without empty corners: the edge is mirrored before the turn.

    Args:
        picture: RGB, larger than the array it ends in, so that the crop stays sharp.
        settings: the largest angle and zoom, and which flips may happen.
        random: where the choices come from.
    """
    import numpy as np

    width, height = picture.size
    angle_deg = random.uniform(-settings.rotation_deg, settings.rotation_deg)
    kept = 1.0 - random.uniform(0.0, settings.zoom_share)
    across, down = random.random(2)
    mirror = settings.horizontal_flip and random.random() < 0.5
    upside_down = settings.vertical_flip and random.random() < 0.5
    # As much mirrored edge as the turned frame reaches over, and two pixels for the resampling.
    cos, sin = abs(math.cos(math.radians(angle_deg))), abs(math.sin(math.radians(angle_deg)))
    margin_x = max(0, math.ceil((width * cos + height * sin - width) / 2)) + 2
    margin_y = max(0, math.ceil((width * sin + height * cos - height) / 2)) + 2
    padded = np.pad(np.asarray(picture), ((margin_y, margin_y), (margin_x, margin_x), (0, 0)), mode="reflect")
    turned = Image.fromarray(padded).rotate(angle_deg, Image.Resampling.BICUBIC)
    crop_w, crop_h = width * kept, height * kept
    left, top = margin_x + across * (width - crop_w), margin_y + down * (height - crop_h)
    box = tuple(round(edge) for edge in (left, top, left + crop_w, top + crop_h))
    changed = turned.crop(box)
    if mirror:
        changed = changed.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if upside_down:
        changed = changed.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return changed
