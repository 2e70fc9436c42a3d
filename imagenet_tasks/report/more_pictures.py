"""The report's figures on what more training pictures are worth, and their charts."""

import math
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import FixedLocator, NullLocator

from imagenet_tasks.artifacts.figures import LearningCurve
from imagenet_tasks.report import wording
from imagenet_tasks.report.files import Files
from imagenet_tasks.report.inputs import ReportInputs
from imagenet_tasks.report.svg import AFTER, BEFORE, MUTED, SURFACE, blank, drawing, inline
from imagenet_tasks.statistics.learning_curve import forecast

ACROSS_PX, CHARACTER_PX = 146, 5.6  # of a chart's axis, and of a digit below it


def collect_more_pictures(inputs: ReportInputs, files: Files) -> dict[str, Any] | None:
    """Returns what more pictures of each class would add, as `report_trainings.MorePictures` describes it.

    Returns:
        None where the learning curve was not asked for.
    """
    if not inputs.config.train.learning_curve:
        return None
    curve, added = files.read(inputs.baseline.folder, LearningCurve), inputs.config.augment.pictures_to_add
    gains = forecast(curve.classes, added)
    rows = [
        one.model_dump(mode="json", exclude={"covariance"})
        | {"gain": gain and gain[0], "interval": gain and list(gain[1])}
        for one, gain in zip(curve.classes, gains, strict=True)
    ]
    rows.sort(key=lambda row: (row["gain"] is None, -(row["gain"] or 0.0), row["label"]))
    return curve.as_dict() | {"added": added, "classes": rows}


def more_pictures_chart(row: dict[str, Any], added: int, name: str) -> Markup:
    """Draws a class's recall on validation by number of training pictures, with intervals, and what more would add.

    Args:
        row: of a class.
        added: how many more pictures.
        name: of the chart, unique on the page.
    """
    points, gain = row["points"], row["gain"]
    numbers = [max(1, point["pictures"]) for point in points]
    more = numbers[-1] + added
    with drawing(name):
        axes = blank(54 + ACROSS_PX, 116, left=40, right=14, top=8, bottom=22)
        axes.set(xscale="log", xlim=(0.88 * numbers[0], 1.14 * more), ylim=(0, 1))
        apart_px = ACROSS_PX * math.log(more / numbers[-1]) / math.log(more / numbers[0])
        both_fit = apart_px > CHARACTER_PX * (2 + len(f"{numbers[-1]:,}{more:,}") / 2)
        axes.xaxis.set_major_locator(FixedLocator([numbers[0], *numbers[-1:] * both_fit, more]))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: wording.number(value))
        axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 1]))
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.tick_params(axis="x", length=3)
        axes.grid(axis="y")
        said = []
        if row["support"]:
            recalls = [point["recall"] for point in points]
            for number, point in zip(numbers, points, strict=True):
                axes.plot([number, number], point["interval"], color=BEFORE, linewidth=3, alpha=0.35, clip_on=False)
                said.append(f"{wording.percent(point['recall'])} with {number}")
            axes.plot(numbers, recalls, color=BEFORE, marker="o", markersize=5, clip_on=False, zorder=3)
            if gain is not None:
                low, high = (min(1.0, max(0.0, recalls[-1] + end)) for end in row["interval"])
                end, colour = min(1.0, max(0.0, recalls[-1] + gain)), AFTER if row["interval"][0] > 0 else MUTED
                axes.plot([numbers[-1], more], [recalls[-1], end], color=colour, linestyle=(0, (2, 2)), linewidth=1.4)
                axes.plot([more, more], [low, high], color=colour, linewidth=3, alpha=0.35)
                axes.plot(
                    [more], [end], "o", color=colour, markersize=6, markerfacecolor=SURFACE, markeredgewidth=1.6,
                    clip_on=False, zorder=3,
                )  # fmt: skip
                said.append(f"forecast with {more}: {wording.points(gain)} points ({wording.span(row['interval'])})")
        description = "; ".join(said) + "." if said else "There are no validation pictures."
        title = f"Recall of {row['name']} by number of its training pictures"
        return inline(axes, name, title=title, description=description, most=1.25)
