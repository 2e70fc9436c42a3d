"""Things of the study's classes. Each public function draws one subject in the pen's frame."""

import numpy as np

from imagenet_tasks.sample.canvas import Colour, Pen, any_colour, hsv, jitter, mix, pick, shade, smooth

_BLACK = (30, 30, 33)
_STEEL = (165, 168, 172)
_SKIN = ((224, 180, 150), (150, 105, 80), (95, 65, 50))


def _upholstery(pen: Pen, cloth: Colour, depth: float, high: float) -> None:
    rng = pen.rng
    pattern = rng.random()
    accent = mix(cloth, any_colour(rng), 0.6)
    if pattern < 0.3:
        for x in np.arange(-0.4, 0.45, 0.12):
            pen.line([(x + depth, high + 0.16), (x + depth, 0.28)], 0.04, accent)
    elif pattern < 0.55:
        for x, y in np.stack(np.meshgrid(np.arange(-0.36, 0.4, 0.18), np.arange(high + 0.2, 0.2, 0.18)), -1).reshape(
            -1, 2
        ):
            pen.ellipse(x + depth, y, 0.025, 0.025, shade(cloth, -0.5))
    elif pattern < 0.7:
        for x, y in rng.uniform((-0.42, high + 0.15), (0.42, 0.2), (14, 2)):
            pen.ellipse(x + depth, y, 0.06, 0.05, accent)


def armchair(pen: Pen) -> None:
    """An upholstered armchair: back, seat cushion, two arms and legs, from the front or turned to one side."""
    rng = pen.rng
    cloth, wood = any_colour(rng), pick(rng, (90, 60, 40), (50, 38, 32), (150, 110, 75), (170, 170, 172))
    depth, high = rng.uniform(0, 0.3) * rng.choice([0, 1, 1]), rng.uniform(-0.95, -0.55)
    for x in (-0.62, 0.62):
        pen.tube([(x, 0.6), (x * 1.04, 0.92)], [0.12, 0.07], wood)
        pen.tube([(x * 0.8 + depth, 0.5), (x * 0.8 + depth, 0.78)], [0.1, 0.06], shade(wood, -0.3))
    style = rng.random()
    back = [
        (-0.55, 0.3),
        (-0.58, high + 0.25),
        (-0.4, high + 0.03),
        (0, high - 0.06),
        (0.4, high + 0.03),
        (0.58, high + 0.25),
        (0.55, 0.3),
    ]
    if style < 0.4:
        back = [(-0.55, 0.3), (-0.57, high), (0.57, high), (0.55, 0.3)]
    elif style < 0.6:
        back = [
            (-0.55, 0.3),
            (-0.78, -0.2),
            (-0.72, high + 0.05),
            (-0.35, high - 0.02),
            (0, high + 0.05),
            (0.35, high - 0.02),
            (0.72, high + 0.05),
            (0.78, -0.2),
            (0.55, 0.3),
        ]
    shape = (smooth(back) if style >= 0.4 else np.array(back)) + (depth, 0)
    pen.poly(shape, shade(cloth, -0.28))
    pen.poly((shape - (depth, 0.3)) * (0.86, 0.9) + (depth, 0.28), shade(cloth, -0.08))
    _upholstery(pen, cloth, depth, high)
    pen.box(-0.66, 0.25, 0.66, 0.68, shade(cloth, -0.22), corner=0.06)
    seat = np.array([(-0.52, 0.36), (-0.5 + depth, 0.12), (0.5 + depth, 0.12), (0.52, 0.36)])
    pen.poly(seat, shade(cloth, 0.18))
    pen.box(-0.53, 0.33, 0.53, 0.5, shade(cloth, 0.02), corner=0.07)
    for side in (-1, 1):
        x = side * 0.66
        pen.poly(
            [(x - 0.11, -0.02), (x - 0.11 + depth, -0.12), (x + 0.11 + depth, -0.12), (x + 0.11, -0.02)],
            shade(cloth, 0.22),
        )
        pen.box(x - 0.13, 0.0, x + 0.13, 0.7, shade(cloth, -0.14), corner=0.08)
        if style < 0.75:
            pen.ball(x, 0.05, 0.17, 0.15, shade(cloth, 0.05))
            pen.ellipse(x, 0.05, 0.06, 0.055, shade(cloth, -0.3))
        else:
            pen.box(x - 0.15, -0.06, x + 0.15, 0.05, wood, corner=0.04)
    if rng.random() < 0.3:
        cushion = any_colour(rng)
        pen.at(depth * 0.6, 0.1, 0.3, rng.uniform(-25, 25)).box(-0.8, -0.8, 0.8, 0.8, cushion, corner=0.2)


def anchor(pen: Pen) -> None:
    """An anchor: ring, shank, stock, curved arms with flukes; maybe with rope or chain."""
    rng = pen.rng
    iron = pick(
        rng,
        (60, 62, 66),
        (130, 75, 45),
        (35, 35, 38),
        (190, 190, 192),
        (40, 70, 120),
        (190, 150, 60),
        (225, 225, 220),
        (150, 40, 36),
    )
    thick, wide, bow = rng.uniform(0.1, 0.19), rng.uniform(0.5, 0.78), rng.uniform(0.25, 0.5)
    ring = np.linspace(0, 2 * np.pi, 17)
    pen.tube(np.stack([0.15 * np.cos(ring), 0.15 * np.sin(ring) - 0.85], 1), thick * 0.5, iron)
    stock = rng.uniform(0.3, 0.6)
    pen.tube([(0, -0.7), (0, 0.82)], [thick * 0.8, thick * 1.15], iron)
    pen.tube(
        [(-stock, -0.52), (stock, -0.52)],
        thick * 0.75,
        shade(iron, -0.08) if rng.random() < 0.7 else pick(rng, (120, 85, 55)),
    )
    for side in (-1, 1):
        pen.ball(side * stock, -0.52, thick * 0.55, thick * 0.55, iron)
    arms = smooth([(-wide, 0.85 - bow), (-wide * 0.62, 0.74), (0, 0.88), (wide * 0.62, 0.74), (wide, 0.85 - bow)])
    pen.tube(arms, [thick * 0.7, thick * 1.3, thick * 0.7], iron)
    for side in (-1, 1):
        tip = np.array([side * wide, 0.85 - bow])
        fluke = np.array([(side * 0.1, -0.2), (side * 0.14, 0.12), (-side * 0.2, 0.0)]) * rng.uniform(0.9, 1.25) + tip
        pen.poly(fluke, shade(iron, -0.15))
        pen.poly((fluke - tip) * 0.7 + tip, shade(iron, 0.12))
    extra = rng.random()
    wave = smooth([(0.1, -0.9), (0.35, -0.5), (-0.25, -0.1), (0.3, 0.3), (-0.2, 0.65), (0.5, 1.15)], steps=9)
    if extra < 0.3:
        rope = pick(rng, (200, 180, 135), (230, 225, 215), (70, 100, 150))
        pen.tube(wave, 0.08, rope)
        for (x0, y0), (x1, y1) in zip(wave[:-1:2], wave[1::2], strict=False):
            pen.line([(x0 - 0.03, y0), (x1 + 0.03, y1)], 0.02, shade(rope, -0.35))
    elif extra < 0.55:
        for number, (x, y) in enumerate(wave[::2]):
            pen.ellipse(x, y, 0.075 if number % 2 else 0.04, 0.05, shade(iron, -0.2))
            pen.ellipse(x, y, 0.035 if number % 2 else 0.01, 0.02, shade(iron, 0.4))


def computer_keyboard(pen: Pen) -> None:
    """A computer keyboard: rows of keys with a space bar, whole or in part, straight or in perspective."""
    rng = pen.rng
    case = pick(rng, (35, 36, 40), (225, 222, 214), (190, 190, 194), (110, 112, 118), (205, 195, 170), any_colour(rng))
    key = pick(rng, (28, 28, 32), (240, 240, 238), (210, 205, 190), (80, 82, 88), any_colour(rng))
    ink = shade(key, 0.75) if sum(key[:3]) < 330 else shade(key, -0.7)
    if rng.random() < 0.12:
        ink = hsv(rng.random(), 0.8, 1.0)
    columns, height = int(rng.choice([12, 15, 19])), rng.uniform(0.3, 0.55)
    zoom = rng.choice([1.0, 1.0, 1.5, 2.1])
    pen = pen.at(rng.uniform(-0.4, 0.4) * (zoom - 1), 0, zoom)
    if rng.random() < 0.25:
        pen.poly(
            [(-0.95, -height), (0.95, -height), (0.85, -height - 0.85), (-0.85, -height - 0.85)], shade(case, -0.3)
        )
        pen.poly(
            [(-0.87, -height - 0.05), (0.87, -height - 0.05), (0.79, -height - 0.78), (-0.79, -height - 0.78)],
            any_colour(rng),
        )
    pen.box(-1.05, -height - 0.08, 1.05, height + 0.12, shade(case, -0.35), corner=0.07)
    pen.box(-1.05, -height - 0.08, 1.05, height + 0.06, case, corner=0.07)
    step, row = 1.96 / columns, 2 * height / 5
    odd = any_colour(rng) if rng.random() < 0.35 else shade(key, -0.2)
    for line in range(5):
        y, x = -height + row * line, -0.98 + step * 0.12 * (line % 3)
        while x < 0.98 - step * 0.5:
            width = step * (5.5 if line == 4 and -0.5 < x < -0.3 else 1.6 if rng.random() < 0.06 else 1.0)
            right = min(x + width - step * 0.14, 0.99)
            tone = odd if rng.random() < 0.08 else key
            pen.box(x, y + row * 0.08, right, y + row * 0.92, shade(tone, -0.35))
            pen.box(x + step * 0.08, y + row * 0.1, right - step * 0.06, y + row * 0.76, tone)
            if width < step * 3:
                pen.box(x + step * 0.2, y + row * 0.22, x + step * 0.42, y + row * 0.45, ink)
            x += width


def chinese_lantern(pen: Pen) -> None:
    """Paper lanterns: ribbed bodies with caps and tassels on a string, one or a row of them."""
    rng = pen.rng
    count = int(rng.choice([1, 1, 2, 3, 5]))
    colours = [
        pick(rng, (200, 40, 36), (220, 60, 40), any_colour(rng), (235, 150, 50), (240, 225, 200)) for _ in range(2)
    ]
    if count > 1:
        pen.line(smooth([(-1.6, -0.85), (0, -0.7), (1.6, -0.9)]), 0.025, (60, 50, 50))
    for number in range(count):
        x = (number - (count - 1) / 2) * 2.1 / count if count > 1 else 0.0
        size = 1.0 if count == 1 else min(1.1 / count**0.75, 0.65) * rng.uniform(0.85, 1.1)
        lamp = pen.at(x, 0 if count == 1 else -0.6 + size * 0.8 + rng.uniform(0, 0.3), size, rng.uniform(-8, 8))
        paper, gold = colours[number % 2], pick(rng, (210, 170, 70), (60, 45, 40), (190, 50, 40))
        tall = rng.choice([0.5, 0.62, 0.85])
        wide = 0.72 if tall < 0.8 else 0.5
        lamp.line([(0, -1.4), (0, -tall)], 0.03, (60, 50, 50))
        lamp.ball(0, 0, wide, tall, paper)
        if rng.random() < 0.45:
            for shrink in (0.75, 0.5, 0.28):
                lamp.ellipse(0, 0.06, wide * shrink, tall * shrink, mix(paper, (255, 240, 180), 0.75 - shrink * 0.7))
        if rng.random() < 0.5:
            for share in np.linspace(-0.9, 0.9, 9):
                bend = np.sqrt(1 - np.linspace(-0.97, 0.97, 9) ** 2)
                lamp.line(np.stack([share * wide * bend, np.linspace(-tall, tall, 9)], 1), 0.022, shade(paper, -0.32))
        else:
            for share in np.linspace(-0.88, 0.88, 9):
                half = wide * np.sqrt(1 - share**2)
                lamp.line(
                    smooth([(-half, share * tall), (0, share * tall + 0.05), (half, share * tall)]),
                    0.022,
                    shade(paper, -0.32),
                )
        for y in (-tall, tall):
            lamp.box(-wide * 0.42, y - 0.07, wide * 0.42, y + 0.07, gold, corner=0.03)
        if rng.random() < 0.8:
            for x0 in np.linspace(-0.12, 0.12, 6):
                lamp.line([(x0 * 0.4, tall + 0.05), (x0 + rng.normal(0, 0.02), tall + 0.5)], 0.025, shade(gold, -0.1))
            lamp.ball(0, tall + 0.14, 0.07, 0.07, gold)


def pay_phone(pen: Pen) -> None:
    """A pay-phone: handset on its hook with a cord, keypad, display and coin slot; on a wall, a post or in a hood."""
    rng = pen.rng
    case = pick(rng, (40, 42, 46), (60, 90, 150), (200, 130, 50), (175, 178, 180), any_colour(rng), (70, 120, 90))
    panel, phone = shade(case, rng.uniform(-0.3, 0.4)), pick(rng, (28, 28, 30), (45, 45, 50), shade(case, -0.4))
    stand = rng.random()
    if stand < 0.3:
        hood = any_colour(rng)
        pen.box(-0.85, -1.15, 0.85, 0.75, shade(hood, -0.3), corner=0.25)
        pen.box(-0.74, -1.03, 0.74, 0.75, shade(hood, 0.15), corner=0.2)
        pen.box(-0.85, -1.15, 0.85, -0.88, hood, corner=0.1)
        for x in np.linspace(-0.4, 0.3, 5):
            pen.box(x, -1.07, x + 0.09, -0.96, shade(hood, 0.8))
    elif stand < 0.55:
        pen.tube([(0, 0.6), (0, 1.6)], 0.2, _STEEL)
    pen.box(-0.55, -0.8, 0.55, 0.82, shade(case, -0.35), corner=0.08)
    pen.box(-0.52, -0.8, 0.5, 0.76, case, corner=0.08)
    pen.box(-0.12, -0.68, 0.42, -0.45, _STEEL if rng.random() < 0.5 else panel, corner=0.03)
    pen.box(-0.06, -0.63, 0.2, -0.52, pick(rng, (130, 160, 120), (60, 70, 60), (235, 235, 225)))
    pen.box(0.29, -0.63, 0.33, -0.5, _BLACK)
    pen.box(-0.1, -0.36, 0.42, 0.3, panel, corner=0.03)
    button = pick(rng, (215, 215, 215), (50, 50, 54), (190, 175, 140))
    for y in np.linspace(-0.29, 0.15, 4):
        for x in np.linspace(-0.04, 0.26, 3):
            pen.box(x, y, x + 0.1, y + 0.1, shade(button, -0.4))
            pen.box(x, y, x + 0.09, y + 0.085, button)
    pen.box(0.02, 0.44, 0.34, 0.64, shade(case, -0.55), corner=0.04)
    pen.box(0.05, 0.47, 0.31, 0.56, _STEEL, corner=0.03)
    hung = rng.random() < 0.75
    x, y, turn = (
        (-0.33, -0.2, 0.0) if hung else (rng.uniform(-0.95, -0.75), rng.uniform(0.2, 0.7), rng.uniform(-50, 50))
    )
    pen.box(-0.42, -0.58, -0.24, -0.5, _STEEL)
    cord = smooth([(-0.35, 0.7), (-0.75, 1.0), (-0.8, 0.7), (x, y + 0.4)], steps=8)
    pen.tube(cord, 0.055, _STEEL if rng.random() < 0.5 else phone)
    set_ = pen.at(x, y, 1, turn)
    set_.tube(smooth([(0, -0.36), (-0.06, 0), (0, 0.36)]), [0.13, 0.12, 0.13], phone)
    for end in (-0.38, 0.38):
        set_.ball(0.03, end, 0.14, 0.13, phone)
        set_.ellipse(0.08, end, 0.06, 0.08, shade(phone, 0.3))


def aigrette(pen: Pen) -> None:
    """An aigrette: a spray of fine plumes held by a jewel, alone, on a hat or on a turban."""
    rng = pen.rng
    plume = pick(rng, (240, 238, 230), (240, 238, 230), (40, 38, 42), any_colour(rng))
    metal, stone = pick(rng, (215, 180, 90), (215, 218, 222), (150, 120, 80)), hsv(rng.random(), 0.8, 0.8)
    wear = rng.random()
    if wear < 0.25:
        cloth = any_colour(rng)
        pen.ball(0, 1.35, 0.5, 0.6, pick(rng, *_SKIN))
        pen.ball(0, 0.88, 0.72, 0.42, cloth)
        for share in (-0.6, -0.2, 0.2, 0.6):
            pen.line(
                smooth([(-0.7, 0.9 + share * 0.2), (0, 0.75 + share * 0.4), (0.68, 0.95 + share * 0.2)]),
                0.05,
                shade(cloth, -0.22),
            )
    elif wear < 0.5:
        felt = any_colour(rng)
        pen.ball(0, 1.0, 1.0, 0.2, felt)
        pen.box(-0.5, 0.5, 0.5, 1.0, shade(felt, 0.05), corner=0.2)
        pen.box(-0.52, 0.8, 0.52, 0.97, shade(felt, -0.5))
    fan, lean, long = rng.uniform(12, 48), rng.uniform(-25, 25), rng.uniform(0.9, 1.5)
    shafts = int(rng.integers(9, 20))
    for turn in rng.permutation(np.linspace(-fan, fan, shafts)):
        angle, reach = np.radians(turn + lean), long * rng.uniform(0.75, 1.1)
        curl = rng.uniform(0.05, 0.3) * np.sign(turn + lean)
        spine = smooth(
            [
                (0, 0.5),
                (np.sin(angle) * reach * 0.5, 0.5 - np.cos(angle) * reach * 0.62),
                (np.sin(angle) * reach + curl, 0.5 - np.cos(angle) * reach + abs(curl) * 0.4),
            ],
            steps=9,
        )
        tone = jitter(rng, plume, 12)
        pen.line(spine, [0.02, 0.014], shade(tone, -0.12))
        along = np.gradient(spine, axis=0) * 2.6
        for (x, y), (dx, dy) in zip(spine[5:], along[5:], strict=True):
            for side in (-1, 1):
                barb = (x + dx * 0.8 - side * dy * 0.75, y + dy * 0.8 + side * dx * 0.75)
                pen.poly([(x, y), barb, (x + dx * 0.25, y + dy * 0.25)], tone)
    kind = int(rng.integers(3))
    if kind == 0:
        pen.blob([(0, 0.25), (0.17, 0.55), (0, 0.9), (-0.17, 0.55)], metal)
    elif kind == 1:
        pen.ball(0, 0.56, 0.19, 0.22, metal)
    else:
        for turn in range(0, 360, 60):
            pen.at(0, 0.56, 1, turn).ellipse(0, -0.15, 0.08, 0.11, metal)
    pen.ball(0, 0.56, 0.1, 0.12, stone)
    pen.ellipse(-0.03, 0.52, 0.025, 0.03, (250, 250, 250))
