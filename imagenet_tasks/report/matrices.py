"""Confusion matrices, and what a repair changed in them: the count in each cell, its share of the row as colour."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.patches import Rectangle

from imagenet_tasks.report.svg import AFTER, FONT_PX, GRID, INK, MUTED, WORSE, blank, drawing, inline, short, signed

MOST_CLASSES = 30  # of more, those with the most mistakes are drawn: counts must be large enough to read
Matrix = Sequence[Sequence[int]]
TITLES = {
    "before": "Confusion matrix of the baseline",
    "after": "Confusion matrix of the model after the repair",
    "difference": "Difference of the confusion matrices, after minus before",
}


def shown_labels(matrices: Sequence[Matrix]) -> list[int]:
    """Returns the labels whose rows and columns are drawn, in order: those in the most mistakes where not all fit."""
    count = len(matrices[0])
    if count <= MOST_CLASSES:
        return list(range(count))
    total = np.sum(matrices, axis=0)
    wrong = total.sum(axis=0) + total.sum(axis=1) - 2 * total.diagonal()
    return sorted(np.argsort(-wrong, kind="stable")[:MOST_CLASSES].tolist())


def matrix_chart(
    matrix: Matrix, names: Sequence[str], role: str, *, shown: Sequence[int], supports: Sequence[int]
) -> Markup:
    """Draws a confusion matrix, or the difference of two, with rows true and columns answered.

    Args:
        matrix: int (classes, classes).
        names: of all classes.
        role: 'before', 'after' or 'difference'. In a difference blue is better: more right, or fewer mistakes.
        shown: the labels that are drawn; the answers of the others are one last column.
        supports: the pictures of each class, which shares are of.
    """
    rows = [[matrix[i][j] for j in shown] for i in shown]
    columns = [short(names[i], 18) for i in shown]
    if len(shown) < len(names):
        rows = [[*row, sum(matrix[i]) - sum(row)] for i, row in zip(shown, rows, strict=True)]
        columns.append("all others")
    high, wide = len(rows), len(columns)
    cell = 44 if high <= 6 else 26 if high <= 12 else 19
    longest = max(len(column) if column.isascii() else 2 * len(column) for column in columns)
    left = top = min(118, max(64, 14 + 6 * longest))
    name = f"confusion-{role}"
    with drawing(name):
        axes = blank(left + cell * wide + 10, top + cell * high + 10, left=left, right=10, top=top, bottom=10)
        axes.set(xlim=(0, wide), ylim=(high, 0), xticks=np.arange(wide) + 0.5, yticks=np.arange(high) + 0.5)
        axes.set_yticklabels(columns[:high])
        axes.xaxis.tick_top()
        axes.set_xticklabels(columns, rotation=90, rotation_mode="anchor", ha="left", va="center")
        axes.tick_params(length=0, pad=5, labelcolor=INK)
        axes.spines[:].set_visible(False)
        axes.hlines(range(high + 1), 0, wide, color=GRID, linewidth=0.5, clip_on=False)
        axes.vlines(range(wide + 1), 0, high, color=GRID, linewidth=0.5, clip_on=False)
        for text, down_px in (("answer →", 18), ("true ↓", 6)):
            axes.annotate(
                text, (0, 1), xycoords="axes fraction", xytext=(-6, down_px), textcoords="offset points", ha="right",
                color=MUTED,
            )  # fmt: skip
        for i, row in enumerate(rows):
            for j, value in enumerate(row):
                if not value:  # an empty cell is left empty: most are
                    continue
                good = (value > 0) == (i == j) if role == "difference" else i == j
                # Behind a count the colour stays light enough for the ink of either theme.
                alpha = 0.1 + 0.42 * min(1.0, abs(value) / supports[shown[i]])
                axes.add_patch(Rectangle((j, i), 1, 1, facecolor=AFTER if good else WORSE, alpha=alpha, linewidth=0))
                text = signed(value) if role == "difference" else str(value)
                axes.text(
                    j + 0.5, i + 0.5, text, ha="center", va="center_baseline",
                    fontsize=FONT_PX if len(text) < 3 or cell > 19 else FONT_PX - 2,
                )  # fmt: skip
        return inline(axes, name, title=TITLES[role], description=_said(matrix, role), most=1.2)


def _said(matrix: Matrix, role: str) -> str:
    right = sum(row[i] for i, row in enumerate(matrix))
    if role == "difference":
        return f"{signed(right)} test pictures on the diagonal. The table below lists all changes."
    return f"{right} of {sum(map(sum, matrix))} test pictures are on the diagonal. The table below lists all answers."
