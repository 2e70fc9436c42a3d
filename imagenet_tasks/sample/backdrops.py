"""Where a subject is: skies, grounds, rooms, leaves and walls, and the textures that lie over them."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageFilter

from imagenet_tasks.sample.canvas import Colour, Pen, any_colour, hsv, jitter, mix, pick, shade, smooth

_TILE_PX = 1024


@lru_cache(maxsize=1)
def _texture_tiles() -> tuple[Image.Image, ...]:
    """Grey tiles around 128: grain, blotches, clouds, streaks. Drawn once a process, the same in every process."""
    rng = np.random.default_rng(20)

    def noise(rows: int, columns: int) -> np.ndarray:
        small = Image.fromarray(rng.standard_normal((rows, columns)).astype(np.float32))
        return np.asarray(small.resize((_TILE_PX, _TILE_PX), Image.Resampling.BICUBIC))

    recipes = (
        noise(512, 512) + 0.5 * noise(128, 128),
        noise(128, 128) + noise(48, 48),
        noise(64, 64) + 2 * noise(16, 16) + 1.5 * noise(8, 8),
        noise(512, 24) + noise(128, 24),
        noise(96, 512) + noise(256, 256),
    )
    upright = [Image.fromarray(np.clip(128 + 50 * t / t.std(), 0, 255).astype(np.uint8)) for t in recipes]
    return (*upright, *(tile.transpose(Image.Transpose.ROTATE_90) for tile in upright))


def texture(picture: Image.Image, rng: np.random.Generator, strength: tuple[float, float]) -> Image.Image:
    """Returns the RGB picture with one of the textures laid over it, with a strength from the given range."""
    tile = _texture_tiles()[int(rng.integers(len(_texture_tiles())))]
    zoom = rng.uniform(0.5, 1.4)
    width, height = int(picture.width * zoom), int(picture.height * zoom)
    x, y = int(rng.integers(0, _TILE_PX - width)), int(rng.integers(0, _TILE_PX - height))
    part = tile.resize(picture.size, Image.Resampling.BILINEAR, box=(x, y, x + width, y + height))
    amount = rng.uniform(*strength)
    part = part.point([int(128 + (v - 128) * amount) for v in range(256)])
    return ImageChops.hard_light(picture, Image.merge("RGB", (part, part, part)))


def gradient(colours: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Returns a smooth RGB picture of `size` through a grid of colours, shape (rows, columns, 3)."""
    grid = Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))
    return grid.resize(size, Image.Resampling.BICUBIC)


def frame_pen(picture: Image.Image, rng: np.random.Generator) -> Pen:
    """Returns a pen whose frame is the picture itself: (-1, -1) is the upper left corner, (1, 1) the lower right."""
    w, h = picture.width / 2, picture.height / 2
    return Pen(picture, np.array([[w, 0, w], [0, h, h]]), rng)


def _columns(*colours: Colour) -> np.ndarray:
    return np.array(colours, dtype=float)[:, None, :].repeat(2, axis=1)


def sky_colours(rng: np.random.Generator) -> tuple[Colour, Colour]:
    """Returns the colours of a sky at its top and at the horizon."""
    tops = (
        (70, 120, 190),
        (110, 150, 200),
        (170, 180, 190),
        (60, 70, 110),
        (215, 220, 225),
        (120, 100, 140),
        (40, 50, 70),
    )
    lows = ((190, 210, 230), (225, 225, 220), (240, 200, 150), (235, 170, 140), (200, 205, 210), (150, 160, 180))
    return pick(rng, *tops), pick(rng, *lows)


def sky(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A sky from clear to overcast, at any time of the day."""
    top, low = sky_colours(rng)
    picture = gradient(_columns(top, mix(top, low, 0.5), low), size)
    pen = frame_pen(picture, rng)
    for _ in range(int(rng.integers(0, 5))):
        x, y, width = rng.uniform(-1, 1), rng.uniform(-0.9, 0.6), rng.uniform(0.2, 0.6)
        white = mix(low, (245, 245, 245), rng.uniform(0.3, 0.9))
        for _ in range(6):
            pen.ellipse(
                x + rng.normal(0, width / 2),
                y + rng.normal(0, 0.05),
                width / 2,
                rng.uniform(0.04, 0.12),
                jitter(rng, white, 6),
            )
    return picture.filter(ImageFilter.BoxBlur(5))


def ground(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A horizon: sky, maybe hills or trees, and grass, sand, snow, road or water."""
    picture = sky(rng, size)
    pen = frame_pen(picture, rng)
    level = rng.uniform(-0.5, 0.5)
    if rng.random() < 0.6:
        heights = level - rng.uniform(0.02, 0.5, 9)
        far = pick(rng, (90, 110, 80), (110, 120, 140), (60, 80, 60), (140, 120, 100), (200, 205, 215))
        pen.poly([(-1.1, 1), *smooth(list(zip(np.linspace(-1.1, 1.1, 9), heights, strict=True))), (1.1, 1)], far)
    near = pick(
        rng,
        (95, 130, 60),
        (150, 140, 90),
        (200, 180, 140),
        (215, 220, 230),
        (100, 100, 105),
        (70, 110, 140),
        (110, 85, 60),
    )
    strip = gradient(_columns(shade(near, 0.25), near, shade(near, -0.3)), size)
    top = int((level + 1) / 2 * size[1])
    picture.paste(strip.crop((0, 0, size[0], size[1] - top)), (0, top))
    return picture


def indoors(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A wall and a floor, with a window, a picture, a shelf or a stripe on the wall."""
    wall = hsv(rng.random(), rng.uniform(0.02, 0.4), rng.uniform(0.35, 0.95))
    picture = gradient(_columns(shade(wall, 0.1), wall, shade(wall, -0.25)), size)
    pen = frame_pen(picture, rng)
    if rng.random() < 0.3:
        for x in np.arange(-1, 1, rng.uniform(0.08, 0.3)):
            pen.box(x, -1, x + 0.04, 1, shade(wall, rng.uniform(-0.15, 0.15)))
    for _ in range(int(rng.integers(0, 3))):
        x, y, w, h = rng.uniform(-1, 0.6), rng.uniform(-1, 0), rng.uniform(0.2, 0.7), rng.uniform(0.2, 0.8)
        frame = any_colour(rng)
        pen.box(x, y, x + w, y + h, frame)
        pen.box(x + 0.05, y + 0.05, x + w - 0.05, y + h - 0.05, shade(any_colour(rng), 0.3))
        pen.line([(x + w / 2, y), (x + w / 2, y + h)], 0.03, frame)
    level = rng.uniform(0.1, 0.9)
    floor = pick(rng, (140, 100, 70), (90, 70, 60), (180, 170, 160), (120, 120, 125), (170, 60, 50), (80, 90, 80))
    tilt = rng.uniform(-0.15, 0.15)
    pen.poly([(-1.1, level - tilt), (1.1, level + tilt), (1.1, 1.1), (-1.1, 1.1)], floor)
    pen.line([(-1.1, level - tilt), (1.1, level + tilt)], 0.04, shade(wall, 0.4))
    return picture


def foliage(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Leaves and stems in green, autumn or night colours."""
    hue, value = rng.choice([0.12, 0.22, 0.28, 0.33, 0.4]), rng.uniform(0.15, 0.7)
    picture = gradient(
        np.array([[hsv(hue, 0.5, value * rng.uniform(0.4, 1)) for _ in range(3)] for _ in range(3)]), size
    )
    pen = frame_pen(picture, rng)
    length, lean = rng.uniform(0.08, 0.35), rng.uniform(0, 180)
    for x, y, tone, turn in rng.uniform((-1, -1, 0.5, -70), (1, 1, 1.3, 70), (70, 4)):
        colour = hsv(hue + (tone - 0.9) * 0.08, rng.uniform(0.3, 0.8), value * tone)
        pen.ellipse(x, y, length, length * 0.28, colour, turn=lean + turn)
    return picture.filter(ImageFilter.BoxBlur(int(rng.choice([0, 1, 3, 6]))))


def plain(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A studio backdrop: nearly one colour."""
    colour = np.array(
        any_colour(rng) if rng.random() < 0.6 else pick(rng, (235, 235, 235), (20, 20, 24), (150, 150, 150))
    )
    return gradient(colour + rng.uniform(-35, 35, (3, 3, 1)), size)


def patches(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Out of focus: soft patches of a few colours."""
    family = [hsv(rng.random(), rng.uniform(0.05, 0.5), rng.uniform(0.2, 0.9)) for _ in range(3)]
    rows, columns = int(rng.integers(3, 8)), int(rng.integers(3, 9))
    return gradient(np.array([[pick(rng, *family) for _ in range(columns)] for _ in range(rows)]), size)


def water(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Water: waves from the shore, or the depth of the sea with rays of light."""
    deep = hsv(rng.uniform(0.45, 0.72), rng.uniform(0.3, 0.9), rng.uniform(0.15, 0.7))
    picture = gradient(_columns(shade(deep, rng.uniform(0, 0.4)), deep, shade(deep, -0.4)), size)
    pen = frame_pen(picture, rng)
    for x, y, w, tone in rng.uniform((-1, -1, 0.05, -0.15), (1, 1, 0.5, 0.3), (40, 4)):
        pen.ellipse(x, y, w, 0.015 + 0.01 * (y + 1), shade(deep, tone))
    return picture


def street(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Fronts of houses with windows above a pavement."""
    picture = sky(rng, size)
    pen = frame_pen(picture, rng)
    level, x = rng.uniform(0.2, 0.8), -1.1
    while x < 1:
        width, top, wall = (
            rng.uniform(0.25, 0.9),
            rng.uniform(-1.3, 0),
            hsv(rng.random(), rng.uniform(0, 0.45), rng.uniform(0.3, 0.9)),
        )
        pen.box(x, top, x + width, 1, wall)
        glass, step = shade(wall, rng.uniform(-0.6, 0.3)), rng.uniform(0.13, 0.3)
        for wx in np.arange(x + 0.06, x + width - 0.08, step):
            for wy in np.arange(top + 0.08, level - 0.15, step * 1.2):
                pen.box(wx, wy, wx + step * 0.55, wy + step * 0.7, glass)
        x += width
    road = pick(rng, (110, 110, 115), (150, 145, 140), (80, 80, 85))
    pen.box(-1.1, level, 1.1, 1.1, road)
    pen.line([(-1.1, level), (1.1, level)], 0.05, shade(road, 0.3))
    return picture


def stripes(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Boards, tiles, curtains or bricks."""
    base = any_colour(rng)
    picture = Image.new("RGB", size, base)
    pen = frame_pen(picture, rng).at(0, 0, 1.6, rng.choice([0, 90, rng.uniform(-40, 40)]))
    step = rng.uniform(0.1, 0.4)
    for x in np.arange(-1.2, 1.2, step):
        pen.box(x, -1.2, x + step * 0.9, 1.2, jitter(rng, base, 25))
    if rng.random() < 0.5:
        for y in np.arange(-1.2, 1.2, step * rng.uniform(0.5, 2)):
            pen.line([(-1.2, y), (1.2, y)], 0.02, shade(base, -0.4))
    return picture


PLACES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Image.Image]] = {
    place.__name__: place for place in (sky, ground, indoors, foliage, plain, patches, water, street, stripes)
}
