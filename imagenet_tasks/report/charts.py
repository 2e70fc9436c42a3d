"""The report's charts: inline SVG, drawn once for the light and the dark page.

Before is grey and after is blue wherever they meet; what got worse is orange. The three differ for the colour-blind,
and shape or place says the same as colour.
"""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import offset_copy

from imagenet_tasks.report import wording
from imagenet_tasks.report.svg import AFTER, BEFORE, INK, MUTED, SURFACE, WORSE, blank, drawing, inline, short, signed

FUNNEL = {"listed": "Listed", "asked": "Asked for", "accepted": "Accepted", "used": "Used"}
SIDES = {"train": 0.9, "validation": 0.55, "test": 0.3}  # how strong each is drawn


def difference_chart(verdict: dict[str, Any]) -> Markup:
    """Draws the difference that the verdict speaks of, with its intervals over pictures and over seeds, beside none."""
    test = verdict["gain"] or verdict["best_repair"] or verdict["test"]
    bounds = {"pictures": test["interval"]} | ({"seeds": test["seed_interval"]} if test["seed_interval"] else {})
    middle = 100 * test["difference"]
    colour = {"helped": AFTER, "hurt": WORSE}.get(verdict["word"], BEFORE)
    rows, named = len(bounds), len(bounds) > 1
    with drawing("difference"):
        axes = blank(350, 46 + 28 * rows, left=70 if named else 14, right=14, top=22, bottom=24)
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
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(lambda value, _: signed(value))
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


def class_chart(rows: Sequence[dict[str, Any]], name: str) -> Markup:
    """Draws each class's recall on test before and after; targeted classes carry a diamond."""
    row_px, left, top = 18, 128, 8
    with drawing(name):
        axes = blank(350, top + 34 + row_px * len(rows), left=left, right=14, top=top, bottom=34)
        axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)), xlabel="recall on test")
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        axes.set_yticklabels([short(row["name"], 18) for row in rows])
        axes.tick_params(axis="y", length=0, pad=16, labelcolor=INK)
        axes.tick_params(axis="x", length=3)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        in_margin = offset_copy(axes.transData, axes.get_figure(root=True), x=-8, units="points")
        for place, row in enumerate(rows):
            before, after = (_percentage(row, role) for role in ("before", "after"))
            if row["targeted"]:
                axes.plot([-2], [place], "D", color=AFTER, markersize=4.5, clip_on=False, transform=in_margin)
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


def funnel_chart(totals: dict[str, Any], *, test_steers: bool) -> Markup:
    """Draws how many pictures are left at each step, from listed to used, the last by side of the split.

    A bar of many more candidates than were asked for is cut, and shows it: else nothing could be read of the others.
    """
    sides = [side for side in SIDES if not (test_steers and side == "validation")]
    with drawing("funnel"):
        axes = blank(350, 30 * len(FUNNEL) + 6, left=64, right=48, top=2, bottom=4)
        most = max(1, *(totals[step] for step in ("asked", "accepted", "used")))
        most = min(1.5 * most, max(totals["listed"], most))
        axes.set(xlim=(0, most), ylim=(len(FUNNEL) - 0.45, -0.55), xticks=[], yticks=range(len(FUNNEL)))
        axes.set_yticklabels(list(FUNNEL.values()))
        axes.tick_params(axis="y", length=0, pad=6, labelcolor=INK)
        axes.spines[:].set_visible(False)
        for place, step in enumerate(FUNNEL):
            if step != "used":
                axes.barh(place, min(totals[step], most), 0.62, color=BEFORE, alpha=0.55)
                if totals[step] > most:
                    cut = [0.9 * most, 0.93 * most]
                    axes.plot(cut, [place + 0.45, place - 0.45], color=SURFACE, linewidth=5)
            else:
                start = 0
                for side in sides:
                    axes.barh(place, totals[side], 0.62, left=start, color=AFTER, alpha=SIDES[side])
                    start += totals[side]
            axes.annotate(
                wording.number(totals[step]), (min(totals[step], most), place), xytext=(5, 0),
                textcoords="offset points", va="center_baseline", color=INK,
            )  # fmt: skip
        said = ", ".join(f"{name.lower()} {totals[step]}" for step, name in FUNNEL.items())
        parts = ", ".join(f"{side} {totals[side]}" for side in sides)
        return inline(
            axes, "funnel", title="Pictures from listed to used", description=f"{said}; of these {parts}."
        )  # fmt: skip


def _percentage(row: dict[str, Any], role: str) -> float | None:
    recall = row[role]["recall"] if role in row else None
    return None if recall is None else 100 * recall
