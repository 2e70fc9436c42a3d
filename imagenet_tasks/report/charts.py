"""The report's charts: inline SVG, drawn once for the light and the dark page.

Before is grey and after is blue wherever they meet; what got worse is orange. The three differ for the colour-blind,
and shape or place says the same as colour.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from imagenet_tasks.report import wording
from imagenet_tasks.report.svg import AFTER, BEFORE, FONT_PX, GRID, INK, MUTED, SURFACE, WORSE, blank, drawing, inline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COUNTED_CLASSES = 30  # above, the counts of a confusion matrix would be too small to read
COLOUR = {"before": BEFORE, "after": AFTER}


def difference_chart(verdict: dict[str, Any]) -> Markup:
    """Draws the difference between the models with its intervals over pictures and over seeds, beside none."""
    test = verdict["test"]
    bounds = {"pictures": test["interval"]} | ({"seeds": test["seed_interval"]} if test["seed_interval"] else {})
    middle = 100 * test["difference"]
    colour = {"helped": AFTER, "hurt": WORSE}.get(verdict["word"], BEFORE)
    rows, named = len(bounds), len(bounds) > 1
    with _chart("difference"):
        axes = blank(400, 46 + 28 * rows, left=80 if named else 14, right=14, top=22, bottom=24)
        reach = 1.25 * max(1.0, *(abs(100 * bound) for pair in bounds.values() for bound in pair))
        axes.set(xlim=(-reach, reach), ylim=(rows - 0.4, -0.6), yticks=range(rows))
        axes.set_yticklabels([f"over {name}" if named else "" for name in bounds])
        axes.tick_params(axis="y", length=0, pad=4)
        axes.spines["left"].set_visible(False)
        axes.axvline(0, color=MUTED, linewidth=1)
        for row, (low, high) in enumerate(bounds.values()):
            axes.plot(
                [100 * low, 100 * high], [row, row], color=colour, linewidth=5, solid_capstyle="round", alpha=0.35
            )
            axes.plot([middle], [row], "o", color=colour, markersize=9)
        axes.xaxis.set_major_locator(_locator(5))
        axes.xaxis.set_major_formatter(lambda value, _: _signed(value))
        axes.tick_params(axis="x", length=3)
        for place, side, text in ((0, "left", "← worse"), (0.5, "center", "no difference"), (1, "right", "better →")):
            axes.annotate(
                text, (place, 1), xycoords="axes fraction", xytext=(0, 4), textcoords="offset points", ha=side,
                color=MUTED,
            )  # fmt: skip
        said = ", ".join(f"95 % interval over {name} {wording.span(pair)}" for name, pair in bounds.items())
        return inline(
            axes, "difference", title="Difference in test accuracy, after minus before",
            description=f"{wording.points(test['difference'])} points, {said}.",
        )  # fmt: skip


def learning_curves(models: dict[str, Any], quantity: str, *, goal: float | None = None) -> tuple[Markup, str]:
    """Draws accuracy or loss over the epochs for training and validation of each model.

    Args:
        models: 'before' and perhaps 'after', each with its 'history'.
        quantity: 'accuracy' or 'loss'.
        goal: drawn as a line where it is given.

    Returns:
        The chart, and a sentence on what lies outside it ('' where nothing does).
    """
    lines = [
        (role, kind, [entry["epoch"] for entry in model["history"]], [entry[key] for entry in model["history"]])
        for role, model in models.items()
        for kind, key in (("training", quantity), ("validation", f"val_{quantity}"))
    ]
    top = _top_of_loss([value for *_, values in lines for value in values]) if quantity == "loss" else 1.0
    highest = max(value for *_, values in lines for value in values)
    with _chart(f"curves-{quantity}"):
        axes = blank(420, 260, left=40, right=12, top=14, bottom=36)
        for role, kind, epochs, values in lines:
            axes.plot(
                epochs, values, color=COLOUR[role], linestyle="-" if kind == "validation" else (0, (3, 2)),
                linewidth=2.2 if kind == "validation" else 1.4, marker="o" if len(epochs) == 1 else None,
            )  # fmt: skip
        last = max(max(epochs) for *_, epochs, _ in lines)
        axes.set(xlim=(1 if last > 1 else 0.5, max(last, 1.5)), xlabel="epoch")
        axes.xaxis.set_major_locator(_locator(8, integer=True))
        if quantity == "accuracy":
            # The upper half is left out only where nothing, the goal included, lies in it.
            axes.set_ylim(0, min(1.0, 1.15 * max(highest, goal or 0.0)))
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            if goal is not None:
                axes.axhline(goal, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
                axes.annotate(
                    f"goal {100 * goal:.4g} %", (0, goal), xycoords=("axes fraction", "data"), xytext=(4, 3),
                    textcoords="offset points", color=MUTED, fontsize=9,
                )  # fmt: skip
        else:
            axes.set_ylim(0, top)
        _grid(axes, "y")
        ends = "; ".join(f"{_role(role)}, {kind}: {values[-1]:.3f}" for role, kind, _, values in lines)
        chart = inline(
            axes, f"curves-{quantity}", title=f"{quantity.capitalize()} over the epochs",
            description=f"After the last epoch: {ends}.",
        )  # fmt: skip
    beyond = f"The axis of the loss ends at {top:.1f}; early epochs reach {highest:.1f}." if highest > top else ""
    return chart, beyond if quantity == "loss" else ""


def class_chart(rows: Sequence[dict[str, Any]], name: str) -> Markup:
    """Draws each class's recall on test before and after; targeted classes carry a diamond."""
    row_px, left, top = 18, 150, 8
    with _chart(name):
        axes = blank(430, top + 34 + row_px * len(rows), left=left, right=14, top=top, bottom=34)
        axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)), xlabel="recall on test")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        axes.set_yticklabels([_short(row["name"], 21) for row in rows])
        axes.tick_params(axis="y", length=0, pad=16, labelcolor=INK)
        axes.tick_params(axis="x", length=3)
        axes.spines["left"].set_visible(False)
        _grid(axes, "x")
        for place, row in enumerate(rows):
            before, after = (_percentage(row, role) for role in ("before", "after"))
            if row["targeted"]:
                axes.plot([-2], [place], "D", color=AFTER, markersize=4.5, clip_on=False, transform=_shifted(axes, -8))
                axes.get_yticklabels()[place].set_fontweight("bold")
            if before is None:
                axes.text(1, place, wording.DASH, va="center_baseline", color=MUTED)
                continue
            if after is not None:
                colour = WORSE if after < before else AFTER
                axes.plot([before, after], [place, place], color=colour, linewidth=2.5, alpha=0.45)
            else:
                axes.plot([0, before], [place, place], color=BEFORE, linewidth=5, alpha=0.35, solid_capstyle="butt")
            axes.plot([before], [place], "o", markersize=6, markerfacecolor=SURFACE, color=BEFORE, markeredgewidth=1.6)
            if after is not None:
                axes.plot([after], [place], "o", color=colour, markersize=6)
        said = (
            f"{row['name']}: {wording.percent(row['before']['recall'])}"
            + (f" to {wording.percent(row['after']['recall'])}" if "after" in row else "")
            for row in rows
        )
        return inline(axes, name, title="Recall of each class on the test pictures", description="; ".join(said) + ".")


def confusion_chart(matrix: Sequence[Sequence[int]], names: Sequence[str], role: str) -> Markup:
    """Draws a confusion matrix, rows true and columns predicted; the colour is the share of the row."""
    from matplotlib.patches import Rectangle

    count = len(names)
    cell = 44 if count <= 6 else 26 if count <= 12 else 19 if count <= MOST_COUNTED_CLASSES else 10
    counted = count <= MOST_COUNTED_CLASSES
    left, top, font = (118, 112, FONT_PX) if counted else (100, 94, 8.0)
    with _chart(f"confusion-{role}"):
        axes = blank(left + cell * count + 10, top + cell * count + 10, left=left, right=10, top=top, bottom=10)
        axes.set(xlim=(0, count), ylim=(count, 0), xticks=_middles(count), yticks=_middles(count))
        labels = [_short(name, 18) for name in names]
        axes.set_yticklabels(labels, fontsize=font)
        axes.xaxis.tick_top()
        axes.set_xticklabels(labels, fontsize=font, rotation=90, rotation_mode="anchor", ha="left", va="center")
        axes.tick_params(length=0, pad=5, labelcolor=INK)
        axes.spines[:].set_visible(False)
        for i in range(count + 1):
            axes.plot([0, count], [i, i], color=GRID, linewidth=0.5, clip_on=False)
            axes.plot([i, i], [0, count], color=GRID, linewidth=0.5, clip_on=False)
        for text, down_px in (("answer →", 18), ("true ↓", 6)):
            axes.annotate(
                text, (0, 1), xycoords="axes fraction", xytext=(-6, down_px), textcoords="offset points", ha="right",
                color=MUTED, fontsize=font,
            )  # fmt: skip
        right = 0
        for i, row in enumerate(matrix):
            right += row[i]
            for j, value in enumerate(row):
                if not value:  # an empty cell is left empty: 60 classes have 3600 of them
                    continue
                share = value / sum(row)
                # Behind a count the colour stays light enough for the ink of either theme.
                alpha = 0.1 + 0.52 * share if counted else 0.2 + 0.8 * share
                axes.add_patch(Rectangle((j, i), 1, 1, facecolor=AFTER if i == j else WORSE, alpha=alpha, linewidth=0))
                if counted:
                    axes.text(j + 0.5, i + 0.5, str(value), ha="center", va="center_baseline", fontsize=font)
        total = sum(map(sum, matrix))
        return inline(
            axes, f"confusion-{role}", title=f"Confusion matrix of the model {role} the repair"
            if role == "after" else "Confusion matrix of the baseline", most=1.2,
            description=f"{right} of {total} test pictures are on the diagonal. The table below lists all mistakes.",
        )  # fmt: skip


@contextmanager
def _chart(name: str) -> Iterator[None]:
    with warnings.catch_warnings(), drawing(name):
        # Names in any script: the browser has the glyphs, whether or not Matplotlib's own font does.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def _locator(most: int, *, integer: bool = False) -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(most, integer=integer)


def _shifted(axes: "Axes", by_px: float) -> Any:
    from matplotlib.transforms import ScaledTranslation

    return axes.transData + ScaledTranslation(by_px / 72, 0, axes.figure.dpi_scale_trans)


def _grid(axes: "Axes", direction: Any) -> None:
    axes.grid(axis=direction)
    axes.set_axisbelow(True)


def _middles(count: int) -> list[float]:
    return [i + 0.5 for i in range(count)]


def _percentage(row: dict[str, Any], role: str) -> float | None:
    recall = row[role]["recall"] if role in row else None
    return None if recall is None else 100 * recall


def _top_of_loss(values: Sequence[float]) -> float:
    """Returns the top of the axis: a few wild first epochs must not flatten the rest."""
    ordered = sorted(values)
    usual = ordered[int(0.9 * (len(ordered) - 1))]
    highest = ordered[-1]
    return 1.05 * (highest if highest <= 1.6 * usual else 1.25 * usual) or 1.0


def _role(role: str) -> str:
    return {"before": "baseline", "after": "retrained"}[role]


def _short(name: str, most: int) -> str:
    """Returns the name's beginning and end: long names often differ in their last word or number."""
    return name if len(name) <= most else f"{name[: most - 6].rstrip()}…{name[-5:].lstrip()}"


def _signed(value: float) -> str:
    return "0" if abs(value) < 1e-9 else f"{value:+g}".replace("-", wording.MINUS)
