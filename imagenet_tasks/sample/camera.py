"""What else comes between a subject and its file: clutter, occluders, light, blur and noise."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from imagenet_tasks.sample import knobs
from imagenet_tasks.sample.backdrops import frame_pen
from imagenet_tasks.sample.canvas import any_colour, hsv, jitter, pick, smooth

_TILE_PX = 1024


@lru_cache(maxsize=1)
def _sensor_noise() -> np.ndarray:
    """Unit normal noise, float32 of shape (1024, 1024, 3)."""
    return np.random.default_rng(21).standard_normal((_TILE_PX, _TILE_PX, 3), dtype=np.float32)


def clutter(picture: Image.Image, rng: np.random.Generator) -> None:
    """Draws shapes that belong to no class, or to several, behind the subject."""
    frame = frame_pen(picture, rng)
    for _ in range(int(rng.integers(knobs.CLUTTER[0], knobs.CLUTTER[1] + 1))):
        pen = frame.at(rng.uniform(-1, 1), rng.uniform(-1, 1), rng.uniform(0.12, 0.5), rng.uniform(0, 360))
        colour, kind = any_colour(rng), int(rng.integers(8))
        if kind == 0:
            pen.blob(
                np.stack([np.cos(a := np.linspace(0, 5.5, 8)), np.sin(a)], 1) * rng.uniform(0.5, 1, (8, 1)), colour
            )
        elif kind == 1:
            pen.ball(0, 0, 0.7, 0.7, colour)
        elif kind == 2:
            pen.ellipse(0, 0, 0.8, 0.8, colour)
            pen.ellipse(0, 0, 0.55, 0.55, any_colour(rng))
        elif kind == 3:
            for x in np.linspace(-1, 1, int(rng.integers(3, 9))):
                pen.tube([(x, -0.8), (x, 0.8)], 0.14, colour)
        elif kind == 4:
            pen.box(-1, -0.6, 1, 0.6, colour)
            pen.box(-0.8, -0.4, rng.uniform(-0.2, 0.8), 0.3, any_colour(rng))
        elif kind == 5:
            for turn in np.linspace(-70, 70, int(rng.integers(5, 11))):
                pen.at(0, 0.6, 1, turn).line([(0, 0), (0.08, -0.7), (0, -1.4)], [0.05, 0.14, 0.02], colour)
        elif kind == 6:
            y = rng.uniform(-0.5, 0.5, 5)
            pen.tube(smooth(list(zip(np.linspace(-1.6, 1.6, 5), y, strict=True))), rng.uniform(0.1, 0.35), colour)
        else:
            tone = any_colour(rng)
            for x, y in np.stack(np.meshgrid(np.linspace(-0.8, 0.8, 4), np.linspace(-0.6, 0.6, 3)), -1).reshape(-1, 2):
                pen.box(x - 0.16, y - 0.16, x + 0.16, y + 0.16, tone)


def occlude(picture: Image.Image, rng: np.random.Generator) -> None:
    """Draws what stands between the camera and the subject: twigs, leaves, posts, people's heads, things cut off."""
    frame = frame_pen(picture, rng)
    for _ in range(int(rng.integers(knobs.OCCLUDERS[0], knobs.OCCLUDERS[1] + 1))):
        kind, colour = int(rng.integers(5)), any_colour(rng)
        if kind == 0:
            brown = pick(rng, (80, 60, 45), (50, 45, 40), (90, 100, 60))
            pen = frame.at(rng.uniform(-1, 1), rng.uniform(-1, 1), 1, rng.uniform(0, 360))
            pen.tube(smooth([(-1.5, 0.1), (-0.5, -0.1), (0.4, 0.1), (1.5, 0)]), rng.uniform(0.03, 0.09), brown)
            leaf = hsv(rng.uniform(0.1, 0.4), 0.6, rng.uniform(0.25, 0.8))
            for x, y, turn in rng.uniform((-1, -0.15, 0), (1, 0.15, 180), (9, 3)):
                pen.ellipse(x, y, 0.13, 0.05, jitter(rng, leaf), turn=turn)
        elif kind == 1:
            x = rng.uniform(-1, 1)
            frame.tube([(x, -1.2), (x + rng.uniform(-0.2, 0.2), 1.2)], rng.uniform(0.05, 0.18), colour)
        elif kind == 2:
            x, y = rng.uniform(-1, 1), rng.uniform(0.9, 1.2)
            frame.ball(x, y - 0.35, 0.14, 0.2, pick(rng, (60, 45, 35), (30, 28, 26), (170, 140, 90), (120, 110, 105)))
            frame.box(x - 0.3, y - 0.17, x + 0.3, 1.3, colour, corner=0.15)
        elif kind == 3:
            pen = frame.at(
                rng.choice([-1, 1]) * rng.uniform(0.7, 1.2),
                rng.uniform(-1, 1),
                rng.uniform(0.2, 0.5),
                rng.uniform(0, 360),
            )
            pen.ball(0, 0, 1, 0.8, colour, depth=0.6)
        else:
            for x in rng.uniform(-1, 1, 12):
                frame.line(
                    smooth([(x, 1.1), (x + 0.03, 0.7), (x + rng.normal(0, 0.15), rng.uniform(0.2, 0.6))]),
                    [0.04, 0.01],
                    jitter(rng, colour),
                )


def photograph(picture: Image.Image, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Returns the RGB scene as a camera sees it: uneven light, cast, exposure, blur, scaled to `size`, noise."""
    light = 128 + rng.uniform(-0.5, 0.5, (3, 3)) * rng.uniform(0, knobs.SHADOW_STRENGTH)
    field = Image.fromarray(light.astype(np.uint8)).resize(picture.size, Image.Resampling.BILINEAR)
    picture = ImageChops.hard_light(picture, Image.merge("RGB", (field, field, field)))
    if rng.random() < knobs.BLUR_SHARE:
        picture = picture.filter(ImageFilter.BoxBlur(float(rng.uniform(*knobs.BLUR_PX))))
    exposure, contrast, levels = rng.uniform(*knobs.EXPOSURE), rng.uniform(*knobs.CONTRAST), np.arange(256.0)
    tables = [
        np.clip((levels * exposure * rng.uniform(1 - knobs.CAST, 1 + knobs.CAST) - 128) * contrast + 128, 0, 255)
        for _ in range(3)
    ]
    picture = picture.point([int(v) for table in tables for v in table]).resize(size, Image.Resampling.BICUBIC)
    mood = rng.random()
    if mood < knobs.GREY_SHARE:
        picture = picture.convert("L")
    elif mood < knobs.GREY_SHARE + knobs.TINTED_SHARE:
        tint = hsv(rng.random(), rng.uniform(0.1, 0.4), 1.0)
        grey = picture.convert("L")
        picture = Image.merge("RGB", [grey.point([int(v * c / 255) for v in range(256)]) for c in tint])
    pixels = np.asarray(picture, dtype=np.float32)
    row, column = rng.integers(0, _TILE_PX - size[1]), rng.integers(0, _TILE_PX - size[0])
    noise = _sensor_noise()[row : row + size[1], column : column + size[0]]
    noisy = pixels + (noise if pixels.ndim == 3 else noise[..., 0]) * np.float32(rng.uniform(*knobs.NOISE))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
