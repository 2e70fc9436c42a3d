"""Landscapes, plants and the temple of the study's classes. A public function draws one subject in the pen's frame."""

import numpy as np

from imagenet_tasks.sample.canvas import Colour, Pen, any_colour, jitter, mix, normals, pick, shade, smooth


def snowdrift(pen: Pen) -> None:
    """A landscape of drifted snow: crests with a shaded lee side, and what is buried in it."""
    rng = pen.rng
    snow = pick(rng, (238, 241, 246), (226, 231, 240), (242, 236, 230), (214, 221, 234))
    shadow = mix(snow, pick(rng, (110, 135, 185), (120, 138, 170), (140, 140, 165)), rng.uniform(0.35, 0.75))
    level, crests = rng.uniform(-0.5, 0.1), int(rng.integers(2, 5))
    buried = int(rng.integers(5))
    pen.poly([(-3, level), (3, level), (3, 3), (-3, 3)], shade(shadow, 0.25))
    if buried == 0:
        for x in np.arange(-1.6, 1.6, rng.uniform(0.22, 0.4)):
            pen.tube([(x, level - 0.25), (x + 0.02, level + 0.6)], 0.07, (95, 75, 60))
        for y in (level - 0.15, level + 0.05):
            pen.line([(-1.7, y), (1.7, y + 0.04)], 0.05, (110, 90, 72))
    elif buried == 1:
        for x in rng.uniform(-1.5, 1.5, 4):
            for tier in range(4):
                width = 0.1 + 0.08 * tier
                top = level - 0.75 + 0.2 * tier
                pen.poly(
                    [(x, top - 0.2), (x + width, top + 0.15), (x - width, top + 0.15)],
                    shade((50, 75, 65), 0.1 * (tier % 2)),
                )
    elif buried == 2:
        wall = any_colour(rng)
        pen.box(-0.7, level - 0.4, 0.6, 1, wall)
        pen.poly([(-0.85, level - 0.35), (-0.4, level - 0.8), (0.4, level - 0.8), (0.75, level - 0.35)], snow)
        pen.box(-0.4, level - 0.2, -0.1, level + 0.1, (70, 80, 95))
        pen.box(0.1, level - 0.2, 0.4, level + 0.1, (70, 80, 95))
    elif buried == 3:
        paint = any_colour(rng)
        pen.blob(
            [
                (-0.8, level + 0.3),
                (-0.5, level),
                (-0.3, level - 0.25),
                (0.3, level - 0.25),
                (0.5, level),
                (0.8, level + 0.3),
            ],
            paint,
        )
        pen.box(-0.28, level - 0.2, 0.25, level - 0.02, (60, 70, 80))
    for number in range(crests):
        y = level + 0.15 + (1.1 - level) * number / crests
        peak, height, lip = rng.uniform(-0.9, 0.9), rng.uniform(0.12, 0.42), rng.uniform(0.05, 0.2)
        windward = [(-3, y + 0.3), (peak - 1.5, y + 0.22), (peak - 0.8, y - height * 0.45), (peak - 0.2, y - height)]
        crest = [(peak + lip, y - height * 0.85), (peak + lip + 0.12, y - height * 0.35)]
        foot = [(peak + 0.6, y + 0.16), (peak + 1.4, y + 0.3), (3, y + 0.3)]
        tone = shade(snow, -0.06 * (crests - 1 - number))
        pen.poly([*smooth([*windward, *crest, *foot], steps=8), (3, 3), (-3, 3)], tone)
        hollow = [(peak + 0.25, y + 0.42), (peak - 0.1, y + 0.12), (peak + 0.05, y - height * 0.4)]
        pen.blob([windward[-1], *crest, *foot[:2], *hollow], mix(shadow, tone, 0.15))
        pen.blob(
            [crest[0], *crest[1:], foot[0], (peak + 0.3, y + 0.2), (peak + 0.12, y - height * 0.3)],
            mix(shadow, tone, 0.4),
        )
        for step in np.arange(0.1, 0.7, 0.14):
            wind = smooth([(peak - 1.3, y + 0.25 + step), (peak - 0.4, y + step * 1.2), (peak + 0.3, y + 0.3 + step)])
            pen.line(wind, [0.0, 0.022, 0.0], mix(shadow, tone, 0.6))
    if rng.random() < 0.4:
        for x, y, r in rng.uniform((-2, -2, 0.01), (2, 1.5, 0.028), (70, 3)):
            pen.ellipse(x, y, r, r, (250, 250, 252))


def cultivated_land(pen: Pen) -> None:
    """Fields: furrows or rows of crops that run to the horizon, or a patchwork seen from above."""
    rng = pen.rng
    soil = pick(rng, (120, 85, 60), (90, 68, 52), (165, 130, 90), (80, 75, 70), (190, 165, 120))
    crop = pick(rng, (95, 135, 55), (150, 160, 70), (205, 175, 85), (60, 100, 60), (200, 190, 150), soil)
    if rng.random() < 0.28:
        for y in np.arange(-1.9, 1.9, 0.62):
            x = -2.2
            while x < 2.2:
                width, base = rng.uniform(0.5, 1.1), pick(rng, soil, crop, (180, 160, 95), (110, 130, 70))
                slope = rng.uniform(-0.08, 0.08)
                pen.poly([(x, y + slope), (x + width, y - slope), (x + width, y + 0.6), (x, y + 0.6)], base)
                for share in np.arange(0.05, 1, rng.uniform(0.08, 0.2)):
                    if slope > 0:
                        pen.line(
                            [(x + width * share, y + 0.02), (x + width * share, y + 0.58)], 0.025, shade(base, -0.22)
                        )
                    else:
                        pen.line([(x, y + 0.6 * share), (x + width, y + 0.6 * share)], 0.025, shade(base, 0.2))
                x += width + 0.03
        return
    level, vanish = rng.uniform(-0.6, 0.0), rng.uniform(-1.3, 1.3)
    pen.poly([(-3, level), (3, level), (3, 3), (-3, 3)], soil)
    rows, reach = int(rng.integers(9, 22)), rng.uniform(2.5, 7)
    ridge, dark = mix(soil, crop, rng.uniform(0.4, 1)), shade(soil, -0.3)
    bend = rng.uniform(-0.3, 0.3)
    depth = np.array([0.0, 0.12, 0.35, 0.65, 1.0])
    for foot in np.linspace(-reach, reach, rows):
        width = 2 * reach / rows
        xs = vanish + (foot - vanish) * depth + bend * depth * (1 - depth)
        path = np.stack([xs, level + depth * (1.4 - level)], 1)
        pen.line(path + depth[:, None] * (width * 0.3, 0), depth * width * 0.45, dark)
        pen.line(path, depth * width * 0.55, ridge)
        if crop is not soil and rng.random() < 0.85:
            for share in np.array([0.1, 0.2, 0.32, 0.46, 0.62, 0.8, 1.0]):
                x = vanish + (foot - vanish) * share + bend * share * (1 - share)
                pen.ellipse(x, level + share * (1.4 - level), 0.3 * width * share, 0.09 * share, jitter(rng, crop, 14))
    if rng.random() < 0.7:
        tree = pick(rng, (60, 80, 50), (80, 90, 60), (70, 80, 90))
        for x in np.arange(-2, 2, 0.16):
            pen.ellipse(x, level - 0.02, 0.12, rng.uniform(0.03, 0.13), jitter(rng, tree, 12))
    if rng.random() < 0.3:
        x = rng.uniform(-0.8, 0.8)
        pen.box(x - 0.14, level - 0.12, x + 0.14, level + 0.03, pick(rng, (200, 190, 175), (150, 60, 50)))
        pen.poly([(x - 0.18, level - 0.12), (x, level - 0.26), (x + 0.18, level - 0.12)], (110, 70, 60))


def _frond(pen: Pen, turn: float, green: Colour) -> None:
    rng = pen.rng
    reach = rng.uniform(0.65, 0.95)
    droop = 0.45 * abs(np.cos(np.radians(turn))) + 0.1
    end = np.array([np.cos(np.radians(turn)), -np.sin(np.radians(turn))]) * reach
    spine = smooth([(0, 0), (end[0] * 0.5, end[1] * 0.55 - 0.1), (end[0], end[1] + droop)], steps=7)
    along = np.gradient(spine, axis=0)
    across = normals(spine)
    length = np.interp(np.linspace(0, 1, len(spine)), [0, 0.3, 1], [0.06, 0.26, 0.04])[:, None]
    for side in (-1, 1):
        tips = spine + side * across * length + along * 1.1 + (0, 0.06)
        comb = np.empty((2 * len(spine), 2))
        comb[0::2], comb[1::2] = spine + side * across * 0.02, tips
        pen.poly(np.concatenate([comb, spine[::-1]]), shade(green, -0.2 if side < 0 else 0.05))
    pen.line(spine, [0.04, 0.01], shade(green, 0.2))


def palm(pen: Pen) -> None:
    """A palm: an unbranched ringed trunk under a crown of pinnate leaves; one, or a few."""
    rng = pen.rng
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        tree = (
            pen
            if rng.random() < 0.6
            else pen.at(rng.uniform(-0.7, 0.7), rng.uniform(-0.1, 0.4), rng.uniform(0.5, 0.95))
        )
        bark = pick(rng, (120, 95, 70), (150, 130, 105), (85, 70, 60), (60, 52, 50))
        green = pick(rng, (80, 125, 55), (110, 140, 60), (50, 85, 50), (150, 150, 70), (45, 50, 45))
        lean, high = rng.uniform(-0.45, 0.45), rng.uniform(-0.5, -0.1)
        trunk = smooth([(-lean * 0.6, 1.15), (-lean * 0.2, 0.5), (lean * 0.5, high)], steps=8)
        pen_width = rng.uniform(0.1, 0.2)
        tree.tube(trunk, [pen_width * 1.3, pen_width * 0.8], bark)
        for x, y in trunk[::2]:
            tree.line([(x - pen_width / 2, y), (x, y + 0.03), (x + pen_width / 2, y)], 0.02, shade(bark, -0.4))
        crown = tree.at(lean * 0.5, high, rng.uniform(0.75, 1.05))
        for turn in rng.permutation(np.linspace(-35, 215, int(rng.integers(8, 13)))):
            _frond(crown, turn + rng.uniform(-8, 8), jitter(rng, green, 14))
        if rng.random() < 0.5:
            for x, y in rng.uniform((-0.1, 0.0), (0.1, 0.12), (4, 2)):
                crown.ball(x, y, 0.07, 0.075, (110, 75, 45))


def acropolis(pen: Pen) -> None:
    """A Greek temple on its rock: steps, columns, entablature and pediment, whole or in ruins."""
    rng = pen.rng
    stone = pick(rng, (215, 200, 170), (230, 222, 208), (185, 165, 135), (200, 180, 160), (160, 150, 145))
    ruined = rng.random() < 0.55
    if rng.random() < 0.7:
        rock = pick(rng, (140, 125, 105), (120, 125, 100), (160, 140, 115), (110, 100, 95))
        crest = [(-2.6, 1.5), (-1.6, 0.85), (-1.2, 0.62), (1.2, 0.62), (1.7, 0.9), (2.6, 1.5)]
        pen.poly([*crest, (3, 3), (-3, 3)], rock)
        for x, y, w in rng.uniform((-1.5, 0.75, 0.05), (1.5, 1.6, 0.25), (16, 3)):
            pen.poly(
                [(x - w, y + 0.1), (x - w * 0.3, y - 0.12), (x + w, y + 0.14)], shade(rock, rng.uniform(-0.3, 0.2))
            )
        for x in rng.uniform(-1.5, 1.5, int(rng.integers(0, 7))):
            pen.ball(x, 1.0, 0.12, 0.1, pick(rng, (80, 95, 60), (60, 80, 60)))
    for step in range(3):
        reach, y = 1.06 - 0.045 * (2 - step), 0.52 + 0.06 * step
        pen.box(-reach, y, reach, y + 0.06, shade(stone, 0.08 - 0.12 * (step % 2)))
    pen.box(-0.92, -0.34, 0.92, 0.5, mix(shade(stone, -0.62), (60, 60, 75), 0.3))
    columns, standing = int(rng.integers(5, 9)), 1.0
    spots = np.linspace(-0.9, 0.9, columns)
    last = columns - int(rng.integers(1, 3)) if ruined else columns
    for number, x in enumerate(spots):
        if number >= last:
            standing = rng.uniform(0.15, 0.6)
        top = 0.52 - 0.82 * standing
        pen.line([(x, 0.52), (x, top)], [0.16, 0.13], shade(stone, -0.25))
        pen.line([(x - 0.015, 0.52), (x - 0.015, top)], [0.1, 0.08], shade(stone, 0.05))
        pen.line([(x + 0.03, 0.52), (x + 0.03, top)], 0.014, shade(stone, -0.35))
        if standing == 1.0:
            pen.box(x - 0.11, top - 0.05, x + 0.11, top, stone)
    right = spots[last - 1] + 0.14
    pen.box(-1.04, -0.48, right, -0.33, stone)
    for x in np.arange(-1.0, right - 0.04, 0.115):
        pen.box(x, -0.46, x + 0.045, -0.36, shade(stone, -0.25))
    pen.box(-1.08, -0.53, right + 0.04, -0.47, shade(stone, 0.12))
    if ruined and rng.random() < 0.6:
        pen.poly([(-1.08, -0.53), (-0.3, -0.78), (-0.15, -0.7), (0.0, -0.6), (0.1, -0.53)], shade(stone, -0.06))
    else:
        middle = (right - 1.04) / 2
        pen.poly([(-1.1, -0.53), (middle, -0.95), (right + 0.06, -0.53)], stone)
        pen.poly([(-0.9, -0.56), (middle, -0.86), (right - 0.14, -0.56)], shade(stone, -0.3))
