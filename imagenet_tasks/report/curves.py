"""Learning curves: training and validation of any number of trainings on the same axes, the best epochs marked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from matplotlib.ticker import FixedLocator, MaxNLocator

from imagenet_tasks.artifacts.training import end_of_losses
from imagenet_tasks.report.svg import AFTER, BEFORE, MUTED, SURFACE, blank, drawing, inline

COLOUR = {"before": BEFORE, "after": AFTER}
FAINT = 0.38  # the other seeds stay behind the first
LOSS, ACCURACY = "loss", "accuracy"


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One training's figures of each epoch; the role gives the colour."""

    name: str
    role: str
    history: Sequence[dict[str, Any]]
    best_epoch: int | None
    faint: bool = False


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The ends of the axes, the same for all charts of a page, so that they can be compared by eye."""

    epochs: int
    accuracy: float
    loss: float
    highest_loss: float

    @classmethod
    def of(cls, curves: Sequence[Curve], goal: float) -> "Limits":
        """Returns the limits that all curves, and the goal, fit in."""
        entries = [entry for curve in curves for entry in curve.history]
        losses = [entry[key] for entry in entries for key in (LOSS, "val_loss")]
        highest_accuracy = max(entry[key] for entry in entries for key in (ACCURACY, "val_accuracy"))
        return cls(
            epochs=max(entry["epoch"] for entry in entries),
            # The upper half is left out only where nothing, the goal included, lies in it.
            accuracy=min(1.0, 1.15 * max(highest_accuracy, goal)),
            loss=1.05 * end_of_losses(losses) or 1.0,
            highest_loss=max(losses),
        )

    @property
    def beyond(self) -> str:
        """What lies outside of the axis of the loss, in a sentence; '' where nothing does."""
        if self.highest_loss <= self.loss:
            return ""
        return f"The axis of the loss ends at {self.loss:.1f}; early epochs reach {self.highest_loss:.1f}."


def learning_curves(
    curves: Sequence[Curve], quantity: str, name: str, limits: Limits, *, goal: float, title: str
) -> Markup:
    """Draws accuracy or loss over the epochs, validation solid and training dashed, each best epoch as a dot.

    Args:
        curves: at least one, with at least one epoch.
        quantity: 'accuracy' or 'loss'.
        name: of the chart, unique on the page.
        limits: of the axes.
        goal: drawn as a line in a chart of accuracy.
        title: what the chart shows, for those who cannot see it.
    """
    with drawing(name):
        axes = blank(350, 215, left=40, right=12, top=18, bottom=36)
        axes.set_title(quantity, loc="right", color=MUTED, fontsize=9, pad=6)
        axes.set(xlim=(1 if limits.epochs > 1 else 0.5, max(limits.epochs, 1.5)), xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True) if limits.epochs > 1 else FixedLocator([1]))
        if quantity == ACCURACY:
            axes.set_ylim(0, limits.accuracy)
            axes.yaxis.set_major_locator(MaxNLocator(6))
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
            axes.axhline(goal, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
            axes.annotate(
                f"goal {100 * goal:.4g} %", (0, goal), xycoords=("axes fraction", "data"), xytext=(4, 3),
                textcoords="offset points", color=MUTED, fontsize=9,
            )  # fmt: skip
        else:
            axes.set_ylim(0, limits.loss)
        axes.grid(axis="y")
        for curve in sorted(curves, key=lambda each: not each.faint):  # the faint ones lie behind
            _draw(axes, curve, quantity)
        return inline(axes, name, title=title, description=_said(curves, quantity))


def _draw(axes: Any, curve: Curve, quantity: str) -> None:
    colour, alpha = COLOUR[curve.role], FAINT if curve.faint else 1.0
    epochs = [entry["epoch"] for entry in curve.history]
    single = "o" if len(epochs) == 1 else None
    training, validation = ([entry[key] for entry in curve.history] for key in (quantity, f"val_{quantity}"))
    axes.plot(
        epochs, training, color=colour, alpha=alpha, linestyle=(0, (3, 2)), linewidth=1.4, marker=single, markersize=4
    )
    axes.plot(epochs, validation, color=colour, alpha=alpha, linewidth=1.3 if curve.faint else 2.2)
    for epoch, value in zip(epochs, validation, strict=True):
        if epoch == curve.best_epoch:
            axes.plot(
                [epoch], [value], "o", color=colour, alpha=max(alpha, 0.6), markersize=5 if curve.faint else 8,
                markeredgecolor=SURFACE, markeredgewidth=1.5, clip_on=False, zorder=4,
            )  # fmt: skip


def _said(curves: Sequence[Curve], quantity: str) -> str:
    sentences = []
    for curve in curves:
        last = curve.history[-1]
        best = f", best epoch {curve.best_epoch}" if curve.best_epoch else ""
        sentences.append(
            f"{curve.name}: after epoch {last['epoch']} training {last[quantity]:.3f}, validation "
            f"{last[f'val_{quantity}']:.3f}{best}"
        )
    return "; ".join(sentences) + "."
