"""Vehicles and sports of the study's classes. Each public function draws one subject in the pen's frame."""

import numpy as np

from imagenet_tasks.sample.canvas import Colour, Pen, any_colour, pick, shade, smooth

_BLACK = (30, 30, 33)
_STEEL = (165, 168, 172)


def _wheel(pen: Pen, x: float, y: float, radius: float, *, spokes: int = 0) -> None:
    pen.ellipse(x, y, radius, radius, _BLACK)
    if spokes:
        pen.ellipse(x, y, radius * 0.74, radius * 0.74, (120, 122, 126))
        pen.ellipse(x, y, radius * 0.66, radius * 0.66, (64, 64, 68))
        for turn in np.linspace(0, np.pi, spokes, endpoint=False) + pen.rng.uniform(0, 1):
            step = np.array([np.cos(turn), np.sin(turn)]) * radius * 0.68
            pen.line([(x - step[0], y - step[1]), (x + step[0], y + step[1])], 0.02, (190, 190, 192))
        pen.ellipse(x, y, radius * 0.2, radius * 0.2, _STEEL)
    else:
        pen.ball(x, y, radius * 0.58, radius * 0.58, _STEEL)
        pen.ellipse(x, y, radius * 0.2, radius * 0.2, (70, 70, 74))


def _helmet(pen: Pen, x: float, y: float, size: float, colour: Colour) -> None:
    pen.ball(x, y, size, size * 1.05, colour)
    pen.blob(
        [
            (x + size * 0.2, y - size * 0.3),
            (x + size, y - size * 0.25),
            (x + size, y + size * 0.25),
            (x + size * 0.3, y + size * 0.3),
        ],
        (40, 48, 60),
    )


def motorcycling(pen: Pen) -> None:
    """A motorcycle with its rider, from the side or coming towards the camera."""
    rng = pen.rng
    paint, suit, helmet = any_colour(rng), any_colour(rng), any_colour(rng)
    if rng.random() < 0.25:
        pen.box(-0.13, 0.15, 0.13, 1.0, _BLACK, corner=0.12)
        for side in (-1, 1):
            pen.tube([(side * 0.16, -0.1), (side * 0.15, 0.55)], 0.07, _STEEL)
            pen.tube(
                smooth([(side * 0.22, 0.0), (side * 0.46, 0.35), (side * 0.3, 0.7)]), [0.22, 0.14], shade(suit, -0.35)
            )
        pen.tube([(0, -0.65), (0, -0.15)], [0.5, 0.62], suit)
        for side in (-1, 1):
            pen.tube(
                smooth([(side * 0.28, -0.6), (side * 0.52, -0.3), (side * 0.5, -0.1)]), [0.2, 0.14], shade(suit, -0.1)
            )
            pen.line([(side * 0.2, -0.05), (side * 0.6, -0.12)], 0.07, _BLACK)
            pen.ellipse(side * 0.52, -0.24, 0.09, 0.05, _STEEL)
        pen.blob([(-0.3, -0.15), (0, -0.32), (0.3, -0.15), (0.2, 0.2), (0, 0.3), (-0.2, 0.2)], paint)
        pen.ball(0, 0.0, 0.14, 0.12, (250, 245, 215), depth=0.4)
        pen.ball(0, -0.82, 0.21, 0.22, helmet)
        pen.box(-0.16, -0.88, 0.16, -0.75, (40, 48, 60), corner=0.05)
        return
    bike = pen.at(0, 0.1, 1, rng.choice([0, 0, 0, -25, 12]))
    _wheel(bike, -0.62, 0.52, 0.34, spokes=9)
    _wheel(bike, 0.64, 0.52, 0.34, spokes=9)
    bike.tube([(0.64, 0.52), (0.42, -0.15)], 0.07, _STEEL)
    bike.tube([(-0.62, 0.52), (-0.05, 0.45)], 0.08, (90, 90, 95))
    bike.tube(smooth([(0.15, 0.55), (-0.3, 0.6), (-0.9, 0.5)]), [0.06, 0.11], (200, 200, 205))
    bike.blob([(-0.25, 0.2), (0.25, 0.12), (0.32, 0.45), (0.1, 0.62), (-0.2, 0.58)], (85, 85, 90))
    for y in (0.27, 0.34, 0.41):
        bike.line([(-0.12, y), (0.2, y - 0.03)], 0.025, (175, 175, 178))
    bike.blob([(-0.95, 0.02), (-0.5, 0.05), (-0.1, 0.12), (-0.15, 0.24), (-0.55, 0.25)], shade(paint, -0.1))
    bike.blob([(-0.12, 0.16), (0.05, -0.12), (0.36, -0.12), (0.42, 0.06), (0.2, 0.2)], paint)
    bike.blob([(0.38, -0.02), (0.46, -0.25), (0.64, -0.12), (0.62, 0.1), (0.46, 0.22)], shade(paint, 0.1))
    bike.ellipse(0.63, -0.03, 0.05, 0.08, (250, 245, 215))
    bike.line(smooth([(0.38, 0.52), (0.52, 0.22), (0.78, 0.2), (0.92, 0.34)]), 0.07, paint)
    bike.line([(0.4, -0.2), (0.3, -0.36)], 0.05, _BLACK)
    crouch = rng.uniform(0, 0.22)
    shoulder = (0.02 + crouch, -0.56 + crouch)
    bike.tube(smooth([(-0.32, 0.05), (0.12, 0.16), (-0.04, 0.56)]), [0.24, 0.2, 0.12], shade(suit, -0.3))
    bike.ellipse(0.04, 0.6, 0.13, 0.06, _BLACK)
    bike.tube([(-0.34, 0.02), shoulder], [0.3, 0.32], suit)
    bike.tube(smooth([shoulder, (0.2, -0.28), (0.34, -0.34)]), [0.17, 0.1], shade(suit, 0.12))
    _helmet(bike, shoulder[0] + 0.13, shoulder[1] - 0.24, 0.19, helmet)


def delivery_truck(pen: Pen) -> None:
    """A box-shaped delivery truck, from the side or from a corner."""
    rng = pen.rng
    box, cab = any_colour(rng), any_colour(rng)
    if rng.random() < 0.5:
        cab = box
    glass, logo = pick(rng, (70, 90, 110), (150, 180, 200), (40, 46, 55)), any_colour(rng)
    top, corner = rng.uniform(-0.75, -0.5), rng.random() < 0.4
    pen.ellipse(0, 0.72, 1.05, 0.07, (45, 45, 48))
    pen.box(-0.98, 0.4, 0.9, 0.55, (60, 60, 64))
    if corner:
        pen.poly([(-0.2, top), (-0.95, top + 0.14), (-0.95, 0.38), (-0.2, 0.5)], shade(box, -0.25))
        pen.poly([(-0.9, top + 0.22), (-0.3, top + 0.12), (-0.3, 0.1), (-0.9, 0.08)], shade(logo, -0.1))
        pen.poly([(-0.2, top), (0.62, top), (0.62, 0.5), (-0.2, 0.5)], box)
        pen.box(-0.15, -0.3, 0.72, 0.62, cab, corner=0.08)
        pen.poly([(-0.08, 0.0), (-0.02, -0.24), (0.6, -0.24), (0.66, 0.0)], glass)
        pen.box(0.08, 0.16, 0.5, 0.34, (50, 50, 54))
        for y in (0.2, 0.25, 0.3):
            pen.line([(0.1, y), (0.48, y)], 0.015, _STEEL)
        for x in (-0.04, 0.62):
            pen.ball(x, 0.25, 0.08, 0.07, (250, 245, 220), depth=0.4)
        pen.box(-0.18, 0.44, 0.75, 0.54, _STEEL)
        for x in (-0.1, 0.6):
            pen.box(x - 0.1, 0.52, x + 0.1, 0.76, _BLACK, corner=0.05)
        pen.ellipse(-0.72, 0.5, 0.13, 0.2, _BLACK)
        pen.ellipse(-0.72, 0.5, 0.06, 0.1, _STEEL)
        return
    pen.box(-1.0, top, 0.42, 0.46, shade(box, -0.2))
    pen.box(-1.0, top, 0.42, 0.4, box)
    if rng.random() < 0.3:
        for x in np.arange(-0.95, 0.4, 0.09):
            pen.line([(x, top), (x, 0.4)], 0.015, shade(box, -0.2))
    design = rng.random()
    if design < 0.35:
        pen.box(-1.0, -0.12, 0.42, 0.05, logo)
    elif design < 0.7:
        pen.ball(-0.3, (top + 0.4) / 2, 0.24, 0.22, logo, depth=0.4)
    if design > 0.25:
        for x in np.linspace(-0.8, 0.15, int(rng.integers(5, 9))):
            pen.box(x, -0.1, x + 0.08, 0.03, shade(logo, -0.4))
    pen.poly([(0.42, -0.28), (0.72, -0.28), (0.86, 0.08), (1.0, 0.14), (1.0, 0.5), (0.42, 0.5)], cab)
    pen.poly([(0.52, -0.2), (0.69, -0.2), (0.8, 0.08), (0.52, 0.08)], glass)
    pen.line([(0.48, -0.25), (0.48, 0.46)], 0.02, shade(cab, -0.4))
    pen.box(0.53, 0.16, 0.61, 0.19, shade(cab, -0.5))
    pen.box(0.93, 0.2, 1.01, 0.31, (250, 240, 200))
    pen.box(0.86, 0.44, 1.05, 0.53, _STEEL)
    for x in (-0.62, 0.7):
        pen.ellipse(x, 0.5, 0.23, 0.21, shade(cab, -0.6))
        _wheel(pen, x, 0.53, 0.19)


def ski_jumping(pen: Pen) -> None:
    """A ski jumper in the air: skis in a V seen from below or ahead, or lying over the skis seen from the side."""
    rng = pen.rng
    suit, helmet, ski = any_colour(rng), any_colour(rng), any_colour(rng)
    if rng.random() < 0.5:
        spread = rng.uniform(0.35, 0.65)
        for side in (-1, 1):
            pen.tube([(side * 0.08, 0.75), (side * spread, -0.8)], 0.11, ski, depth=0.6)
            pen.ellipse(side * spread * 1.02, -0.84, 0.06, 0.1, shade(ski, 0.3), turn=side * 20)
            pen.tube([(side * 0.08, 0.05), (side * 0.17, 0.42)], [0.17, 0.13], shade(suit, -0.1))
            pen.ball(side * 0.17, 0.46, 0.07, 0.1, _BLACK)
            pen.tube([(side * 0.17, -0.4), (side * 0.3, -0.05), (side * 0.32, 0.12)], [0.13, 0.09], shade(suit, 0.1))
            pen.ellipse(side * 0.33, 0.16, 0.05, 0.06, _BLACK)
        pen.tube([(0, -0.42), (0, 0.1)], [0.38, 0.28], suit)
        pen.box(-0.13, -0.38, 0.13, -0.16, shade(any_colour(rng), 0.3))
        pen.ball(0, -0.6, 0.15, 0.16, helmet)
        pen.box(-0.11, -0.62, 0.11, -0.53, (45, 50, 66), corner=0.03)
        return
    for lift, tone in ((0.14, -0.3), (0.0, 0.0)):
        path = smooth([(-0.95, 0.5 - lift), (0.0, 0.3 - lift), (0.82, 0.06 - lift * 2), (0.98, -0.12 - lift * 2)])
        pen.tube(path, [0.06, 0.08, 0.06], shade(ski, tone), depth=0.6)
    pen.ball(-0.2, 0.28, 0.13, 0.08, _BLACK, turn=-15)
    pen.tube(smooth([(-0.24, 0.25), (-0.05, 0.04), (0.12, -0.14)]), [0.13, 0.18, 0.2], shade(suit, -0.15))
    pen.tube(smooth([(0.1, -0.12), (0.36, -0.27), (0.58, -0.36)]), [0.24, 0.26, 0.2], suit)
    pen.tube([(0.52, -0.3), (0.25, -0.08), (0.05, 0.06)], [0.12, 0.08], shade(suit, 0.2))
    pen.ellipse(0.02, 0.08, 0.05, 0.04, _BLACK)
    _helmet(pen, 0.74, -0.43, 0.14, helmet)


def _airliner_side(pen: Pen, body: Colour, accent: Colour) -> None:
    rng = pen.rng
    pen.poly([(0.15, 0.0), (-0.15, -0.38), (-0.28, -0.38), (-0.15, 0.0)], shade(body, -0.35))
    hull = smooth(
        [
            (1.0, 0.06),
            (0.9, -0.06),
            (0.65, -0.14),
            (-0.6, -0.14),
            (-1.0, -0.06),
            (-0.6, 0.12),
            (0.6, 0.15),
            (0.9, 0.13),
        ],
        closed=True,
    )
    pen.poly(hull, shade(body, -0.25))
    pen.poly(hull * (0.98, 0.78) + (0, -0.02), body)
    if rng.random() < 0.7:
        pen.line([(-0.9, -0.01), (0.9, 0.0)], 0.05, accent)
    for x in np.arange(-0.6, 0.72, 0.075):
        pen.box(x, -0.085, x + 0.035, -0.04, (60, 72, 90))
    pen.poly([(0.82, -0.08), (0.92, -0.03), (0.78, -0.02)], (50, 60, 75))
    pen.poly([(-0.66, -0.1), (-0.86, -0.52), (-1.02, -0.52), (-0.95, -0.05)], accent)
    pen.poly([(-0.75, -0.02), (-1.05, -0.16), (-1.15, -0.14), (-0.95, 0.04)], shade(body, -0.2))
    pen.poly([(0.2, 0.06), (-0.35, 0.5), (-0.5, 0.5), (-0.2, 0.08)], shade(body, -0.15))
    pen.ball(0.06, 0.23, 0.17, 0.08, shade(accent, 0.15))
    if rng.random() < 0.3:
        for x in (-0.2, 0.65):
            pen.line([(x, 0.1), (x, 0.3)], 0.03, (70, 70, 74))
            pen.ellipse(x, 0.32, 0.06, 0.06, _BLACK)


def _airliner_below(pen: Pen, body: Colour, accent: Colour) -> None:
    rng = pen.rng
    sweep, fighter = rng.uniform(0.1, 0.45), rng.random() < 0.25
    wing = shade(body, -0.2)
    for side in (-1, 1):
        if fighter:
            pen.poly([(0, -0.35), (side * 0.75, 0.55), (side * 0.7, 0.68), (0, 0.6)], wing)
            pen.poly([(0, 0.6), (side * 0.35, 0.95), (0, 0.9)], shade(wing, -0.1))
        else:
            pen.poly([(0, -0.22), (side * 1.0, sweep), (side * 1.0, sweep + 0.1), (0, 0.16)], wing)
            pen.poly([(0, 0.68), (side * 0.38, 0.86), (side * 0.38, 0.93), (0, 0.84)], wing)
            pen.box(
                side * 0.36 - 0.06, -0.06 + sweep * 0.2, side * 0.36 + 0.06, 0.16 + sweep * 0.2, accent, corner=0.05
            )
    pen.tube([(0, -0.82), (0, 0.5), (0, 0.95)], [0.2, 0.22, 0.06], body)
    pen.poly([(-0.1, -0.8), (0, -1.0), (0.1, -0.8)], body)
    pen.box(-0.05, -0.86, 0.05, -0.78, (55, 65, 82))
    pen.line([(0, 0.6), (0, 0.97)], 0.04, accent)


def aircraft(pen: Pen) -> None:
    """An aircraft: an airliner from the side, one from below or above, a fighter, or a propeller plane."""
    rng = pen.rng
    body = pick(rng, (232, 234, 236), (190, 194, 200), (120, 125, 132), (60, 64, 70), any_colour(rng))
    accent, view = any_colour(rng), rng.random()
    if view < 0.42:
        _airliner_side(pen, body, accent)
    elif view < 0.78:
        _airliner_below(pen.at(0, 0, 1, rng.uniform(0, 360)), body, accent)
    else:
        hull = smooth(
            [
                (0.78, 0.02),
                (0.6, -0.14),
                (0.1, -0.2),
                (-0.5, -0.08),
                (-1.0, -0.06),
                (-0.5, 0.1),
                (0.1, 0.18),
                (0.6, 0.14),
            ],
            closed=True,
        )
        pen.poly(hull, shade(accent, -0.2))
        pen.poly(hull * (0.97, 0.75) + (0, -0.02), accent)
        pen.poly([(-0.7, -0.08), (-0.95, -0.4), (-1.06, -0.38), (-1.0, -0.03)], body)
        pen.blob([(0.25, -0.17), (0.15, -0.33), (-0.1, -0.33), (-0.22, -0.15)], (110, 140, 165))
        double = rng.random() < 0.5
        for y in (-0.42, 0.1) if double else (0.05,):
            pen.poly([(-0.35, y), (0.42, y - 0.04), (0.45, y + 0.04), (-0.35, y + 0.08)], shade(body, -0.1))
        if double:
            for x in (-0.2, 0.3):
                pen.line([(x, -0.4), (x, 0.12)], 0.025, (70, 60, 55))
        pen.ellipse(0.82, 0.01, 0.03, 0.42, shade(body, -0.4))
        pen.ball(0.8, 0.01, 0.06, 0.07, (70, 70, 76))
        pen.line([(0.35, 0.12), (0.42, 0.42)], 0.04, (70, 70, 74))
        pen.ellipse(0.43, 0.44, 0.1, 0.1, _BLACK)
