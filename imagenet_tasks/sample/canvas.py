"""A pen that draws filled shapes in a subject's own coordinates, and the colours it uses.

A subject is drawn in a frame of about [-1, 1] x [-1, 1], y downwards. The pen maps it to pixels: first the nested
frame, then a perspective, then the view (position, scale, rotation, mirroring).
"""

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

Colour = tuple[int, ...]
Widths = float | Sequence[float] | np.ndarray
Points = Sequence[tuple[float, float]] | np.ndarray

_UNIT_CIRCLE = np.stack([np.cos(np.linspace(0, 2 * np.pi, 29)[:-1]), np.sin(np.linspace(0, 2 * np.pi, 29)[:-1])], 1)


def shade(colour: Colour, amount: float) -> Colour:
    """Returns `colour` moved towards white (`amount` up to 1) or black (down to -1); an alpha stays as it is."""
    target = 255 if amount > 0 else 0
    strength = min(abs(amount), 1.0)
    return (*(int(c + (target - c) * strength) for c in colour[:3]), *colour[3:])


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """Returns the colour that lies `share` of the way from `first` to `second`."""
    return tuple(int(a + (b - a) * share) for a, b in zip(first, second, strict=True))


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """Returns the RGB colour of a hue in turns, a saturation and a value in [0, 1]."""
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return int(red * 255), int(green * 255), int(blue * 255)


def jitter(rng: np.random.Generator, colour: Colour, amount: int = 18) -> Colour:
    """Returns `colour` with each channel moved by up to `amount` grey levels, lighter or darker as a whole too."""
    whole = rng.integers(-amount, amount + 1)
    return tuple(int(min(max(c + whole + d, 0), 255)) for c, d in zip(colour, rng.integers(-8, 9, 3), strict=True))


def any_colour(rng: np.random.Generator) -> Colour:
    """Returns a colour as things made by people have them: a third of them nearly grey."""
    if rng.random() < 0.33:
        return hsv(rng.random(), rng.uniform(0, 0.12), rng.uniform(0.12, 0.98))
    return hsv(rng.random(), rng.uniform(0.25, 0.8), rng.uniform(0.25, 0.92))


def pick(rng: np.random.Generator, *choices: Colour) -> Colour:
    """Returns one of the colours, jittered."""
    return jitter(rng, choices[int(rng.integers(len(choices)))])


def smooth(points: Points, *, closed: bool = False, steps: int = 6) -> np.ndarray:
    """Returns a Catmull-Rom curve through `points`, shape (n, 2)."""
    given = np.asarray(points, dtype=float)
    padded = (
        np.concatenate([given[-1:], given, given[:2]])
        if closed
        else np.concatenate([2 * given[:1] - given[1:2], given, 2 * given[-1:] - given[-2:-1]])
    )
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    before, start, end, after = padded[:-3, None], padded[1:-2, None], padded[2:-1, None], padded[3:, None]
    curve = 0.5 * (
        2 * start
        + (end - before) * t
        + (2 * before - 5 * start + 4 * end - after) * t**2
        + (3 * start - before - 3 * end + after) * t**3
    )
    flat = curve.reshape(-1, 2)
    return flat if closed else np.concatenate([flat, given[-1:]])


def _widths(width: Widths, count: int) -> np.ndarray:
    given = np.atleast_1d(np.asarray(width, dtype=float))
    if len(given) == 1:
        return given.repeat(count)
    return np.interp(np.arange(count) / (count - 1), np.arange(len(given)) / (len(given) - 1), given)


def normals(path: np.ndarray) -> np.ndarray:
    """Returns the unit normals of a polyline, shape (n, 2)."""
    along = np.empty_like(path)
    along[1:-1] = path[2:] - path[:-2]
    along[0], along[-1] = path[1] - path[0], path[-1] - path[-2]
    return np.stack([-along[:, 1], along[:, 0]], 1) / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]


class Pen:
    """Draws shapes on one picture in a subject's own coordinates.

    Args:
        image: the RGB or RGBA picture to draw on.
        view: float array (2, 3), the affine map from the subject's frame to pixels.
        rng: the random numbers of this picture.
        light: direction towards the light in pixels, y downwards.
        perspective: how fast things shrink along x and y of the subject's frame.
    """

    def __init__(
        self,
        image: Image.Image,
        view: np.ndarray,
        rng: np.random.Generator,
        *,
        light: tuple[float, float] = (-0.5, -0.85),
        perspective: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.image = image
        self.rng = rng
        self._draw = ImageDraw.Draw(image)
        self._view = view
        self._light = light
        self._perspective = np.array(perspective)
        self._local = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])

    def at(self, x: float, y: float, scale: float = 1.0, turn: float = 0.0, *, flip: bool = False) -> "Pen":
        """Returns a pen for a part: moved to (x, y), scaled, turned by `turn` degrees clockwise, maybe mirrored."""
        cos, sin = np.cos(np.radians(turn)) * scale, np.sin(np.radians(turn)) * scale
        step = np.array([[-cos if flip else cos, -sin, x], [-sin if flip else sin, cos, y]])
        part = Pen.__new__(Pen)
        part.__dict__.update(self.__dict__)
        part._local = self._local[:, :2] @ step
        part._local[:, 2] += self._local[:, 2]
        return part

    def light(self) -> np.ndarray:
        """Returns the unit vector towards the light in this pen's frame, shape (2,)."""
        towards = np.linalg.solve(self._view[:, :2] @ self._local[:, :2], np.array(self._light))
        return towards / (np.hypot(*towards) or 1.0)

    def poly(self, points: Points, colour: Colour) -> None:
        """Fills the polygon."""
        placed = np.asarray(points, dtype=float) @ self._local[:, :2].T + self._local[:, 2]
        placed = placed / np.maximum(1 + placed @ self._perspective, 0.25)[:, None]
        pixels = placed @ self._view[:, :2].T + self._view[:, 2]
        self._draw.polygon(pixels.clip(-4000, 4000).ravel().tolist(), fill=colour)

    def blob(self, points: Points, colour: Colour) -> None:
        """Fills the smooth closed curve through the points."""
        self.poly(smooth(points, closed=True), colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour, *, corner: float = 0.0) -> None:
        """Fills a rectangle whose corners are cut by `corner`."""
        c = min(corner, abs(x1 - x0) / 2, abs(y1 - y0) / 2)
        if c <= 0:
            self.poly([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)
            return
        d = 0.3 * c
        half = [(x0 + c, y0), (x1 - c, y0), (x1 - d, y0 + d), (x1, y0 + c), (x1, y1 - c), (x1 - d, y1 - d)]
        self.poly(
            [*half, (x1 - c, y1), (x0 + c, y1), (x0 + d, y1 - d), (x0, y1 - c), (x0, y0 + c), (x0 + d, y0 + d)], colour
        )

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour, *, turn: float = 0.0) -> None:
        """Fills an ellipse turned by `turn` degrees."""
        points = _UNIT_CIRCLE * (rx, ry)
        if turn:
            cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
            points = points @ np.array([[cos, sin], [-sin, cos]])
        self.poly(points + np.array([x, y]), colour)

    def ball(
        self, x: float, y: float, rx: float, ry: float, colour: Colour, *, turn: float = 0.0, depth: float = 1.0
    ) -> None:
        """Fills an ellipse and shades it as a round body, `depth` 1 for the usual contrast."""
        lx, ly = self.light()
        for shrink, amount in ((1.0, -0.30), (0.88, -0.12), (0.68, 0.03), (0.42, 0.14)):
            away = (1 - shrink) * 0.75
            self.ellipse(
                x + lx * rx * away,
                y + ly * ry * away,
                rx * shrink,
                ry * shrink,
                shade(colour, amount * depth),
                turn=turn,
            )

    def line(self, points: Points, width: Widths, colour: Colour) -> None:
        """Fills a strip along the points, `width` wide in the frame's units: one value, or first to last."""
        path = np.asarray(points, dtype=float)
        side = normals(path) * _widths(width, len(path))[:, None] / 2
        self.poly(np.concatenate([path + side, (path - side)[::-1]]), colour)

    def tube(self, points: Points, width: Widths, colour: Colour, *, depth: float = 1.0) -> None:
        """Fills a rounded strip along the points and shades it as a round body."""
        path = np.asarray(points, dtype=float)
        widths = _widths(width, len(path))
        dark = shade(colour, -0.28 * depth)
        self.line(path, widths, dark)
        for (x, y), w in ((path[0], widths[0]), (path[-1], widths[-1])):
            self.ellipse(x, y, w / 2, w / 2, dark)
        towards = self.light()
        for shrink, amount in ((0.72, 0.0), (0.32, 0.16)):
            self.line(
                path + towards * widths[:, None] * (1 - shrink) * 0.3, widths * shrink, shade(colour, amount * depth)
            )
