"""Animals of the study's classes. Each public function draws one subject in the pen's frame."""

import numpy as np

from imagenet_tasks.sample.canvas import Colour, Pen, hsv, mix, pick, shade, smooth

_BLACK = (28, 26, 28)
_WHITE = (236, 234, 228)


def cobra(pen: Pen) -> None:
    """A cobra that rears: hood spread, seen from the front, from behind or from the side, on its coils."""
    rng = pen.rng
    skin = pick(rng, (120, 90, 55), (70, 65, 50), (45, 42, 45), (150, 125, 80), (100, 105, 70), (170, 160, 140))
    belly = shade(mix(skin, (225, 200, 150), 0.6), 0.05)
    sway, front = rng.uniform(-0.25, 0.25), rng.random() < 0.7
    tail = [(0.1, 0.75), (0.7, 0.62), (0.85, 0.86), (0.2, 0.95), (-0.6, 0.92), (-0.85, 0.75), (-0.45, 0.6), (0.2, 0.6)]
    pen.tube(smooth(tail[:5]), [0.10, 0.2], skin)
    pen.tube(smooth(tail[4:]), 0.24, shade(skin, -0.08))
    for x, y in smooth(tail[4:])[::3]:
        pen.ellipse(x, y, 0.04, 0.06, shade(skin, -0.4))
    neck = smooth([(0.15, 0.72), (-0.2, 0.55), (-0.12 + sway * 0.3, 0.2), (sway, -0.15), (sway, -0.55)])
    pen.tube(neck, [0.28, 0.25, 0.24, 0.26, 0.22], skin)
    if front:
        hood = smooth(
            [
                (0, -0.72),
                (0.2, -0.62),
                (0.37, -0.35),
                (0.3, 0.0),
                (0.1, 0.22),
                (-0.1, 0.22),
                (-0.3, 0.0),
                (-0.37, -0.35),
                (-0.2, -0.62),
            ],
            closed=True,
        )
        pen.poly(hood * (rng.uniform(0.9, 1.2), 1) + (sway, 0), shade(skin, -0.3))
        pen.poly(hood * (0.9, 0.92) + (sway, -0.01), shade(skin, 0.08))
        if rng.random() < 0.65:
            pen.poly(hood * (0.42, 0.95) + (sway, 0.03), belly)
            for y in np.arange(-0.5, 0.2, 0.075):
                pen.line([(sway - 0.13, y), (sway, y + 0.02), (sway + 0.13, y)], 0.02, shade(belly, -0.35))
            pen.line(neck[8:-5], 0.12, belly)
        else:
            for side in (-1, 1):
                pen.ellipse(sway + side * 0.15, -0.3, 0.09, 0.1, belly)
                pen.ellipse(sway + side * 0.15, -0.3, 0.05, 0.06, _BLACK)
            pen.line(smooth([(sway - 0.15, -0.2), (sway, -0.08), (sway + 0.15, -0.2)]), 0.04, belly)
        pen.ball(sway, -0.72, 0.15, 0.17, skin)
        pen.ellipse(sway, -0.63, 0.09, 0.06, shade(belly, -0.1))
        for side in (-1, 1):
            pen.ellipse(sway + side * 0.09, -0.74, 0.03, 0.03, (240, 220, 120))
            pen.ellipse(sway + side * 0.09, -0.74, 0.015, 0.025, _BLACK)
        tip = [(sway, -0.6), (sway, -0.48)]
    else:
        back = smooth(
            [
                (sway - 0.08, -0.66),
                (sway - 0.3, -0.3),
                (sway - 0.18, 0.15),
                (sway, 0.25),
                (sway + 0.09, -0.2),
                (sway + 0.08, -0.6),
            ],
            closed=True,
        )
        pen.poly(back, shade(skin, -0.15))
        pen.line(smooth([(sway + 0.08, -0.55), (sway + 0.06, -0.2), (sway + 0.02, 0.2)]), 0.1, belly)
        pen.ball(sway + 0.1, -0.7, 0.25, 0.12, skin, turn=-8)
        pen.line([(sway + 0.05, -0.65), (sway + 0.34, -0.68)], 0.02, _BLACK)
        pen.ellipse(sway + 0.17, -0.75, 0.03, 0.03, (240, 220, 120))
        tip = [(sway + 0.34, -0.7), (sway + 0.52, -0.72)]
    if rng.random() < 0.6:
        pen.line(tip, 0.02, (190, 40, 50))
        (x, y), across = tip[1], np.array([0.04, 0.05])
        pen.line([(x - across[0], y + across[1]), (x, y), (x + across[0], y + across[1])], 0.015, (190, 40, 50))


def _hide(rng: np.random.Generator) -> tuple[Colour, Colour]:
    base = pick(rng, _WHITE, (120, 70, 45), (205, 180, 140), (60, 50, 48), (150, 110, 80), _WHITE)
    return base, pick(rng, _BLACK, (110, 60, 40), (70, 50, 42)) if sum(base) > 380 else pick(
        rng, _WHITE, (215, 195, 170)
    )


def _cow_head(pen: Pen, base: Colour, patch: Colour) -> None:
    rng = pen.rng
    horn = rng.random() < 0.6
    for side in (-1, 1):
        if horn:
            pen.tube(
                smooth([(side * 0.3, -0.62), (side * 0.55, -0.72), (side * 0.6, -1.0)]),
                [0.14, 0.1, 0.03],
                (222, 212, 190),
            )
        pen.ball(side * 0.66, -0.45, 0.3, 0.13, patch, turn=side * 14)
        pen.ellipse(side * 0.66, -0.44, 0.18, 0.06, (200, 150, 140), turn=side * 14)
    head = smooth(
        [
            (0, -0.75),
            (0.36, -0.62),
            (0.43, -0.25),
            (0.3, 0.3),
            (0.3, 0.7),
            (-0.3, 0.7),
            (-0.3, 0.3),
            (-0.43, -0.25),
            (-0.36, -0.62),
        ],
        closed=True,
    )
    pen.poly(head, shade(patch, -0.15))
    pen.poly(head * 0.93, patch)
    pen.blob([(0, -0.7), (0.14, -0.4), (0.1, 0.2), (0.24, 0.6), (-0.24, 0.6), (-0.1, 0.2), (-0.14, -0.4)], base)
    muzzle = pick(rng, (220, 165, 155), (90, 75, 72), (190, 150, 130))
    pen.ball(0, 0.66, 0.38, 0.27, muzzle)
    for side in (-1, 1):
        pen.ellipse(side * 0.17, 0.6, 0.07, 0.05, shade(muzzle, -0.65), turn=side * 30)
        pen.ellipse(side * 0.33, -0.22, 0.075, 0.07, _BLACK)
        pen.ellipse(side * 0.33 - 0.02, -0.24, 0.02, 0.02, (240, 240, 240))
    pen.line(smooth([(-0.22, 0.78), (0, 0.83), (0.22, 0.78)]), 0.02, shade(muzzle, -0.5))


def cow(pen: Pen) -> None:
    """A cow: from the side, standing or grazing, or its face."""
    rng = pen.rng
    base, patch = _hide(rng)
    if rng.random() < 0.35:
        pen.box(-0.5, 0.2, 0.5, 1.2, shade(base, -0.2), corner=0.3)
        _cow_head(pen, base, patch)
        return
    grazing = rng.random() < 0.35
    for x, tone in ((-0.42, -0.35), (0.42, -0.35), (-0.58, 0), (0.56, 0)):
        knee = x + rng.uniform(-0.07, 0.07)
        pen.tube([(x, 0.1), (knee, 0.45), (x + rng.uniform(-0.06, 0.06), 0.78)], [0.2, 0.11, 0.09], shade(base, tone))
        pen.box(x - 0.06, 0.76, x + 0.07, 0.85, (50, 42, 40))
    pen.tube(smooth([(-0.72, -0.35), (-0.84, -0.05), (-0.8, 0.35)]), [0.07, 0.04], base)
    pen.ellipse(-0.8, 0.42, 0.06, 0.12, patch)
    pen.ellipse(-0.32, 0.28, 0.16, 0.13, (225, 170, 160))
    body = smooth(
        [
            (-0.72, -0.36),
            (-0.2, -0.36),
            (0.35, -0.4),
            (0.66, -0.3),
            (0.66, 0.05),
            (0.4, 0.24),
            (-0.2, 0.28),
            (-0.66, 0.14),
        ],
        closed=True,
    )
    pen.poly(body, shade(base, -0.22))
    pen.poly(body * (0.97, 0.84) + (0, -0.03), base)
    if rng.random() < 0.8:
        for x in rng.uniform(-0.55, 0.5, int(rng.integers(2, 6))):
            spot = np.stack([np.cos(a := np.linspace(0, 5.4, 7)), np.sin(a)], 1) * rng.uniform(0.09, 0.22, (7, 1))
            pen.blob(spot * (1.1, 0.8) + (x, rng.uniform(-0.22, 0.08)), patch)
    neck_end = (0.95, 0.35) if grazing else (0.92, -0.42)
    pen.tube([(0.5, -0.12), (0.72, -0.12 if grazing else -0.3), neck_end], [0.5, 0.34, 0.26], base)
    _cow_head(pen.at(neck_end[0] + 0.04, neck_end[1] + 0.1, 0.33, -18 if grazing else -28), base, patch)


def _panda_head(pen: Pen, white: Colour, black: Colour) -> None:
    for side in (-1, 1):
        pen.ball(side * 0.62, -0.62, 0.27, 0.26, black)
    pen.ball(0, 0, 0.88, 0.8, white, depth=0.7)
    for side in (-1, 1):
        pen.ellipse(side * 0.36, -0.05, 0.17, 0.25, black, turn=side * 32)
        pen.ellipse(side * 0.33, -0.08, 0.065, 0.065, shade(black, 0.25))
        pen.ellipse(side * 0.33 - 0.02, -0.1, 0.025, 0.025, (235, 235, 235))
    pen.ball(0, 0.36, 0.32, 0.24, shade(white, 0.1), depth=0.5)
    pen.ellipse(0, 0.25, 0.14, 0.09, black)
    pen.line([(0, 0.3), (0, 0.42)], 0.03, black)
    pen.line(smooth([(-0.18, 0.44), (0, 0.42), (0.18, 0.44)]), 0.03, black)


def giant_panda(pen: Pen) -> None:
    """A giant panda: its face, or sitting with bamboo, or walking."""
    rng = pen.rng
    white, black = pick(rng, _WHITE, (215, 205, 185), (225, 228, 232)), pick(rng, _BLACK, (45, 38, 34))
    view = rng.random()
    if view < 0.42:
        pen.box(-0.9, 0.45, 0.9, 1.3, black, corner=0.5)
        _panda_head(pen.at(0, 0, 1, rng.uniform(-15, 15)), white, black)
        return
    if view < 0.78:
        pen.ball(0, 0.42, 0.62, 0.56, white, depth=0.7)
        pen.tube(smooth([(-0.62, 0.2), (-0.3, 0.02), (0.3, 0.02), (0.62, 0.2)]), [0.2, 0.34, 0.2], black)
        for side in (-1, 1):
            pen.tube(
                smooth([(side * 0.48, 0.12), (side * 0.66, 0.4), (side * 0.25, rng.uniform(0.3, 0.55))]),
                [0.28, 0.26, 0.2],
                black,
            )
            pen.tube([(side * 0.35, 0.75), (side * 0.68, 0.86)], [0.34, 0.3], black)
            pen.ellipse(side * 0.72, 0.86, 0.1, 0.12, shade(black, 0.3))
        _panda_head(pen.at(rng.uniform(-0.1, 0.1), -0.4, 0.55, rng.uniform(-20, 20)), white, black)
        stem = smooth([(-0.55, 0.7), (0, 0.36), (0.5, -0.02)])
        pen.tube(stem, 0.06, (125, 150, 70))
        for x, y in stem[::3]:
            pen.ellipse(x, y - 0.08, 0.16, 0.035, (90, 140, 60), turn=rng.uniform(-80, 80))
        return
    for x, tone in ((-0.4, -0.2), (0.38, -0.2), (-0.55, 0.06), (0.26, 0.06)):
        pen.tube([(x, 0.15), (x + rng.uniform(-0.1, 0.1), 0.7)], [0.3, 0.24], shade(black, tone))
    pen.ball(-0.1, 0.05, 0.72, 0.42, white, depth=0.7)
    pen.tube([(0.3, -0.28), (0.32, 0.3)], 0.3, black)
    _panda_head(pen.at(0.66, -0.15, 0.42, rng.uniform(-10, 25)), white, black)


def _chimp_head(pen: Pen, fur: Colour, skin: Colour) -> None:
    rng = pen.rng
    for side in (-1, 1):
        pen.ball(side * 0.72, -0.05, 0.2, 0.28, shade(skin, -0.1))
        pen.ellipse(side * 0.72, -0.03, 0.1, 0.16, shade(skin, -0.4))
    pen.ball(0, -0.15, 0.7, 0.74, fur, depth=0.7)
    for side in (-1, 1):
        pen.blob(
            [
                (0, -0.86),
                (side * 0.4, -0.8),
                (side * 0.74, -0.45),
                (side * 0.8, 0.25),
                (side * 0.55, 0.1),
                (side * 0.45, -0.5),
            ],
            shade(fur, 0.06),
        )
    pen.blob(
        [(0, -0.5), (0.38, -0.52), (0.5, -0.15), (0.42, 0.3), (0, 0.4), (-0.42, 0.3), (-0.5, -0.15), (-0.38, -0.52)],
        skin,
    )
    pen.tube(smooth([(-0.44, -0.2), (-0.22, -0.34), (0, -0.27), (0.22, -0.34), (0.44, -0.2)]), 0.13, shade(skin, -0.12))
    for side in (-1, 1):
        pen.ellipse(side * 0.23, -0.13, 0.13, 0.09, shade(skin, -0.45))
        pen.ellipse(side * 0.23, -0.12, 0.075, 0.065, (70, 40, 20))
        pen.ellipse(side * 0.23, -0.12, 0.035, 0.035, _BLACK)
        pen.ellipse(side * 0.23 - 0.025, -0.145, 0.02, 0.02, (245, 245, 245))
    pen.ball(0, 0.36, 0.46, 0.34, shade(skin, 0.12))
    for side in (-1, 1):
        pen.ellipse(side * 0.08, 0.12, 0.055, 0.035, shade(skin, -0.7), turn=side * 35)
    if rng.random() < 0.3:
        pen.ellipse(0, 0.47, 0.28, 0.13, (90, 30, 35))
        pen.box(-0.2, 0.39, 0.2, 0.45, (235, 230, 215))
    else:
        pen.line(smooth([(-0.36, 0.4), (0, 0.5), (0.36, 0.4)]), 0.04, shade(skin, -0.6))
        pen.line(smooth([(-0.22, 0.53), (0, 0.58), (0.22, 0.53)]), 0.03, (190, 130, 120))


def pygmy_chimpanzee(pen: Pen) -> None:
    """A bonobo: its face with parted hair and large ears, or sitting with long arms, or hanging from one."""
    rng = pen.rng
    fur = pick(rng, (34, 30, 30), (58, 46, 40), (48, 44, 46))
    skin = pick(rng, (105, 80, 68), (70, 58, 54), (150, 112, 92), (55, 48, 48))
    view = rng.random()
    if view < 0.45:
        pen.box(-0.75, 0.45, 0.75, 1.3, fur, corner=0.4)
        _chimp_head(pen.at(0, 0, 1, rng.uniform(-15, 15)), fur, skin)
        return
    hanging = view > 0.8
    if hanging:
        pen.tube([(-1.2, -0.95), (1.2, -0.9)], 0.1, (110, 85, 60))
        pen.tube(smooth([(0.2, -0.15), (0.5, -0.5), (0.42, -0.92)]), [0.22, 0.15], fur)
    else:
        pen.tube(smooth([(0.35, -0.12), (0.68, 0.35), (0.5, 0.85)]), [0.24, 0.16, 0.14], fur)
        pen.ball(0.5, 0.87, 0.1, 0.08, skin)
    pen.tube([(0, -0.1), (0, 0.5)], [0.6, 0.72], fur)
    pen.tube(
        smooth([(-0.32, -0.12), (-0.66, 0.3), (-0.4, rng.uniform(0.4, 0.85))]), [0.24, 0.16, 0.14], shade(fur, 0.08)
    )
    for side in (-1, 1):
        pen.tube(
            smooth([(side * 0.22, 0.62), (side * 0.58, 0.45), (side * 0.46, 0.9)]), [0.3, 0.2, 0.15], shade(fur, 0.05)
        )
        pen.ball(side * 0.5, 0.93, 0.16, 0.07, skin)
    _chimp_head(pen.at(rng.uniform(-0.1, 0.1), -0.45, 0.5, rng.uniform(-20, 20)), fur, skin)


def rhinoceros_beetle(pen: Pen) -> None:
    """A rhinoceros beetle: from above with its forked horn, or from the side."""
    rng = pen.rng
    shell = pick(rng, (70, 38, 26), (34, 28, 28), (110, 60, 32), (60, 62, 40), (140, 110, 60), (90, 24, 22))
    dark = shade(shell, -0.45)
    if rng.random() < 0.65:
        for side in (-1, 1):
            for y, knee, foot in ((-0.2, -0.5, -0.85), (0.1, 0.1, 0.3), (0.35, 0.5, 0.95)):
                wobble = rng.uniform(-0.08, 0.08)
                pen.tube(
                    [(side * 0.25, y), (side * 0.62, knee + wobble), (side * 0.8, foot + wobble)],
                    [0.1, 0.08, 0.035],
                    dark,
                )
                pen.line([(side * 0.8, foot + wobble), (side * 0.92, foot + wobble + 0.06)], 0.03, dark)
        pen.ball(0, 0.35, 0.46, 0.6, shell)
        pen.line([(0, -0.2), (0, 0.94)], 0.025, dark)
        for side in (-1, 1):
            pen.line(smooth([(side * 0.2, -0.1), (side * 0.26, 0.4), (side * 0.1, 0.85)]), 0.015, shade(shell, -0.25))
            pen.ellipse(side * 0.18 - 0.05, 0.15, 0.05, 0.16, shade(shell, 0.4))
        pen.ball(0, -0.28, 0.42, 0.27, shade(shell, -0.1))
        pen.line(smooth([(-0.42, -0.15), (0, -0.06), (0.42, -0.15)]), 0.03, dark)
        pen.ball(0, -0.54, 0.2, 0.14, dark)
        fork = rng.uniform(0.1, 0.24)
        pen.tube([(0, -0.5), (0, -0.85)], [0.12, 0.09], shade(shell, -0.2))
        for side in (-1, 1):
            pen.tube(
                smooth([(0, -0.83), (side * fork, -0.98), (side * fork * 1.4, -1.1)]), [0.09, 0.04], shade(shell, -0.2)
            )
        pen.tube([(0, -0.36), (0, -0.5)], [0.12, 0.05], shell)
        return
    for x, foot in ((-0.35, -0.6), (0.0, 0.05), (0.32, 0.55)):
        pen.tube([(x, 0.25), (x + (foot - x) * 0.5, 0.38), (foot, 0.7)], [0.12, 0.1, 0.04], dark)
        pen.line([(foot, 0.7), (foot + 0.13, 0.74)], 0.04, dark)
    pen.ball(-0.3, 0.06, 0.58, 0.36, shell)
    pen.line(smooth([(-0.86, 0.16), (-0.4, 0.3), (0.2, 0.24)]), 0.04, dark)
    pen.ball(0.26, 0.02, 0.27, 0.32, shade(shell, -0.12))
    pen.ball(0.56, 0.16, 0.16, 0.14, dark)
    pen.tube(smooth([(0.6, 0.1), (0.86, -0.15), (0.85, -0.55), (0.7, -0.75)]), [0.14, 0.1, 0.04], shade(shell, -0.2))
    pen.tube(smooth([(0.3, -0.25), (0.45, -0.42), (0.62, -0.42)]), [0.14, 0.05], shade(shell, -0.1))
    pen.ellipse(0.6, 0.1, 0.03, 0.03, (200, 190, 170))


def jellyfish(pen: Pen) -> None:
    """A jellyfish, or a few: a translucent bell, frilled arms and long tentacles."""
    rng = pen.rng
    for _ in range(int(rng.choice([1, 1, 1, 2, 3]))):
        body = (
            pen
            if rng.random() < 0.6
            else pen.at(rng.uniform(-0.7, 0.7), rng.uniform(-0.5, 0.4), rng.uniform(0.4, 0.8), rng.uniform(-40, 40))
        )
        glow = hsv(rng.random(), rng.uniform(0.05, 0.65), rng.uniform(0.6, 1.0))
        alpha = int(rng.integers(130, 235))
        wide, flat, drift = rng.uniform(0.5, 0.75), rng.uniform(0.45, 0.8), rng.uniform(-0.4, 0.4)
        for x in np.linspace(-wide * 0.85, wide * 0.85, int(rng.integers(7, 15))):
            ys = np.linspace(0, rng.uniform(0.7, 1.35), 6)
            sway = x * (1 - 0.3 * ys) + drift * ys**2 + 0.07 * np.sin(ys * rng.uniform(5, 9) + rng.uniform(0, 6)) * ys
            body.line(
                smooth(np.stack([sway, ys - 0.2], 1), steps=4),
                [0.035, 0.012],
                (*shade(glow, rng.uniform(-0.2, 0.25)), alpha),
            )
        for x in (-0.18, 0.0, 0.18):
            ys = np.linspace(0, rng.uniform(0.5, 0.9), 6)
            sway = x + drift * 0.8 * ys**2 + 0.06 * np.sin(ys * 12 + x * 20)
            body.line(
                smooth(np.stack([sway, ys - 0.25], 1), steps=5),
                [0.22, 0.15, 0.19, 0.04],
                (*shade(glow, 0.15), min(alpha + 20, 255)),
            )
        arc = np.linspace(np.pi, 2 * np.pi, 22)
        rim_x = np.linspace(wide, -wide, 17)
        rim = np.stack([rim_x, -0.15 + 0.05 * np.cos(np.arange(17) * np.pi)], 1)
        dome = np.concatenate([np.stack([wide * np.cos(arc), flat * np.sin(arc) - 0.15], 1), rim])
        body.poly(dome, (*shade(glow, -0.15), alpha))
        body.poly(dome * (0.85, 0.85) + (0, -0.03), (*glow, min(alpha + 10, 255)))
        for share in (-0.75, -0.4, 0.0, 0.4, 0.75):
            rib = smooth(
                [
                    (share * 0.15 * wide, -flat * 0.95 - 0.12),
                    (share * wide * 0.8, -flat * 0.55 - 0.15),
                    (share * wide, -0.18),
                ]
            )
            body.line(rib, 0.03, (*shade(glow, -0.3), alpha))
        if rng.random() < 0.5:
            for turn in (30, 150, 210, 330):
                body.ellipse(
                    0.17 * np.cos(np.radians(turn)),
                    -0.12 - flat * 0.5 + 0.1 * np.sin(np.radians(turn)),
                    0.11,
                    0.08,
                    (*shade(glow, 0.4), 240),
                )
        body.ellipse(-wide * 0.35, -flat * 0.75, wide * 0.2, flat * 0.1, (*shade(glow, 0.55), 230), turn=-30)
