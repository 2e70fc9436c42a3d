"""Line charts for the pages: their geometry, which templates/lines.html draws as inline SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

LEFT, RIGHT, TOP, BOTTOM = 40.0, 10.0, 8.0, 22.0
NAME = 12.0  # an axis's name


@dataclass(frozen=True, kw_only=True)
class Line:
    """Values over a number that grows, such as an epoch or a run's place in a list.

    `style` is a class of the page's style sheet; `dots` marks each value; `titles` say what each is; `bounds` are the
    ends of each value's interval, None where it has none.
    """

    name: str
    style: str
    places: Sequence[float]
    values: Sequence[float]
    joined: bool = True
    dots: bool = False
    titles: Sequence[str] = ()
    bounds: Sequence[tuple[float, float] | None] = ()


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One value of a line, in pixels; `low` and `high` where its interval ends."""

    x: float
    y: float
    title: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True)
class DrawnLine:
    """A line in pixels."""

    name: str
    style: str
    points: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart in pixels: lines, where which number stands at the axes, what these are called; `top` is a value."""

    width: float
    height: float
    lines: tuple[DrawnLine, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    top: float
    edges: tuple[float, float, float, float] = (LEFT, RIGHT, TOP, BOTTOM)
    x_name: str = ""
    y_name: str = ""


def draw_lines(
    lines: Sequence[Line], *, width: float = 360.0, height: float = 150.0, first: float = 1.0,
    last: float | None = None, labels: Sequence[tuple[float, str]] | None = None, percent: bool = True,
    highest: float = 0.0, most: float = math.inf, x_name: str = "", y_name: str = "",
) -> Chart:  # fmt: skip
    """Returns a chart of lines.

    Args:
        lines: what is drawn, the last on top.
        width: in pixels.
        height: in pixels.
        first: where the horizontal axis begins.
        last: where it ends; at the lines' end where it is not given.
        labels: what stands where below the horizontal axis; round numbers where it is not given.
        percent: whether the values are shares, drawn within [0, 1] and told in percent.
        highest: what the vertical axis reaches in any case, so that charts can be compared by eye.
        most: what it reaches at most, but for rounding: higher values are drawn at its end.
        x_name: what the horizontal axis is called, with its unit.
        y_name: the same of the vertical one.
    """
    end = max([place for line in lines for place in line.places] + [last or 1.0, 2.0])
    end_of_shares = 1.0 if percent else math.inf
    highest = max(
        [value for line in lines for value in line.values]
        + [min(bound[1], end_of_shares) for line in lines for bound in line.bounds if bound]
        + [0.05, highest]
    )
    highest = min(highest, most)
    y_step = _step(highest, 4)
    top = min(end_of_shares, math.ceil(round(highest / y_step, 6)) * y_step)
    # A name stands above the first number of the vertical axis, and below those of the horizontal one.
    edge_top, edge_bottom = TOP + (NAME if y_name else 0), BOTTOM + (NAME if x_name else 0)

    def x(place: float) -> float:
        return round(LEFT + (width - LEFT - RIGHT) * (place - first) / (end - first), 1)

    def y(value: float) -> float:
        return round(edge_top + (height - edge_top - edge_bottom) * (1 - min(max(value, 0.0), top) / top), 1)

    drawn = []
    for line in lines:
        places = list(zip(line.places, line.values, strict=True))
        dots = [
            Dot(
                x=x(place), y=y(value), title=line.titles[i] if line.titles else "",
                low=y(bound[0]) if bound else None, high=y(bound[1]) if bound else None,
            )
            for i, (place, value) in enumerate(places)
            for bound in [line.bounds[i] if line.bounds else None]
        ]  # fmt: skip
        drawn.append(
            DrawnLine(
                name=line.name, style=line.style,
                points=" ".join(f"{dot.x},{dot.y}" for dot in dots) if line.joined and len(dots) > 1 else "",
                dots=tuple(dots) if line.dots or len(dots) == 1 else (),
            )
        )  # fmt: skip
    if labels is None:
        x_step = max(1.0, _step(end - 1, 8))
        numbers = [1.0, *(n * x_step for n in range(1, int(end / x_step) + 1) if n * x_step > 1)]
        labels = [(number, f"{number:.0f}") for number in numbers]
    return Chart(
        width=width, height=height, lines=tuple(drawn),
        x_ticks=tuple((x(place), text) for place, text in labels),
        y_ticks=tuple(
            (y(n * y_step), f"{100 * n * y_step:.0f} %" if percent else f"{n * y_step:g}")
            for n in range(round(top / y_step) + 1)
        ),
        top=top, edges=(LEFT, RIGHT, edge_top, edge_bottom), x_name=x_name, y_name=y_name,
    )  # fmt: skip


def _step(reach: float, most: int) -> float:
    """Returns the least round distance (1, 2 or 5 times a power of ten) of which at most so many fit."""
    power = 10.0 ** math.floor(math.log10(max(reach / most, 1e-9)))
    return next(s * power for s in (1, 2, 5, 10) if reach / (s * power) <= most + 1e-9)
