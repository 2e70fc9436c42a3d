"""Whether a model was trained enough, too long, or is limited by its data, told from its curves; and what to do."""

from collections.abc import Sequence
from typing import Any

from imagenet_tasks.artifacts.training import Epoch, TrainingRecord
from imagenet_tasks.report.wording import percent, plural, worth

KNOWN = 0.9  # of the training pictures: a model that has these right has learned what there is
GAP = 0.1  # between training and validation
FELL = 0.03  # below the best epoch, at the end
EARLY = 0.8  # of the epochs
GAINED = 0.01  # on validation in the epochs after that: still learning
TOO_LONG, LIMITED, TOO_SHORT = "Trained too long", "Limited by its data", "Not trained enough"
CAPPED = "Capped"


def say_cap(minutes: float | None, training: TrainingRecord, own_epochs: int) -> str:
    """Returns in a sentence that a training was cut to the time that it may take; '' where it was not.

    Args:
        minutes: `train_minutes`.
        training: its record; of one that stopped early it is not known how many epochs it was given.
        own_epochs: how many it takes without a cap.
    """
    if minutes is None or training.stopped_early or training.epochs >= own_epochs:
        return ""
    return f"{CAPPED} at {minutes:g} min: {training.epochs} of {plural(own_epochs, 'epoch')}."


def judge_training(history: Sequence[Epoch], best_epoch: int, *, cap: str = "") -> str:
    """Returns in a few words what the curves say of a training's length; only the cap without validation pictures.

    Args:
        history: its epochs.
        best_epoch: the one on validation, counted from 1.
        cap: what `say_cap` says of it.
    """
    return f"{cap} {_judged(history, best_epoch)}".strip()


def _judged(history: Sequence[Epoch], best_epoch: int) -> str:
    last, best, epochs = history[-1], history[best_epoch - 1], len(history)
    if last.val_accuracy is None or best.val_accuracy is None:
        return ""
    gap = last.accuracy - last.val_accuracy
    figures = f"{percent(last.accuracy)} of its training pictures and {percent(last.val_accuracy)} of validation"
    if best.val_accuracy - last.val_accuracy >= FELL and best_epoch <= EARLY * epochs:
        return (
            f"{TOO_LONG}: on validation, epoch {best_epoch} of {epochs} had {percent(best.val_accuracy)} and the "
            f"last one {percent(last.val_accuracy)}."
        )
    if last.accuracy >= KNOWN and gap >= GAP:
        return f"{LIMITED}: at the end it has {figures} right."
    before = [e.val_accuracy for e in history[: int(EARLY * epochs)] if e.val_accuracy is not None]
    if last.accuracy < KNOWN and best.val_accuracy - max(before, default=0.0) >= GAINED:
        return f"{TOO_SHORT}: after {plural(epochs, 'epoch')} it has {figures} right, and was still getting better."
    if last.accuracy < KNOWN:
        return f"Levelled off: at the end it has {figures} right, and the last fifth of its epochs brought little."
    return f"Trained enough: at the end it has {figures} right."


def next_step(trained: str, curve: dict[str, Any] | None, *, test_steers: bool = False) -> str:
    """Returns what to do next, in a sentence or two; '' where nothing is evident.

    Args:
        trained: what `judge_training` said of the model that the run ended with.
        curve: what more pictures are worth, where it was asked for.
        test_steers: whether the test pictures are the validation pictures, on which nothing more can be measured.
    """
    said = []
    if TOO_LONG in trained:
        said.append("Set fewer epochs: they do as well.")
    if TOO_SHORT in trained:
        more = "Allow more minutes (train_minutes)" if trained.startswith(CAPPED) else "Set more epochs"
        said.append(f"{more}: the training ended while the model was still getting better.")
    if curve and any(row["gain"] is not None for row in curve["classes"]):
        said.append(worth(curve))
    elif LIMITED in trained:
        said.append("Get more pictures: they do more than a longer training.")
        if curve is None and not test_steers:
            said.append("A run with learning_curve=true and seeds=3 tells of which classes.")
    return " ".join(said)
