"""Whether a model was trained enough, too long, or is limited by its data, told from its curves."""

from collections.abc import Sequence

from imagenet_tasks.artifacts.training import Epoch, TrainingRecord
from imagenet_tasks.report.wording import percent, plural

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
    right, held_out = percent(last.accuracy), percent(last.val_accuracy)
    figures = f"{right} of the training pictures and {held_out} of the validation pictures"
    if best.val_accuracy - last.val_accuracy >= FELL and best_epoch <= EARLY * epochs:
        return (
            f"{TOO_LONG}: on validation, epoch {best_epoch} of {epochs} had {percent(best.val_accuracy)} and the "
            f"last one {percent(last.val_accuracy)}."
        )
    if last.accuracy >= KNOWN and gap >= GAP:
        return f"{LIMITED}: at the end it gets {figures} right."
    early = int(EARLY * epochs)
    before = [e.val_accuracy for e in history[:early] if e.val_accuracy is not None]
    if last.accuracy < KNOWN and best.val_accuracy - max(before, default=0.0) >= GAINED:
        return f"{TOO_SHORT}: after {plural(epochs, 'epoch')} it gets {figures} right, and is still improving."
    if last.accuracy < KNOWN:
        return f"Levelled off: at the end it gets {figures} right, and the epochs after epoch {early} brought little."
    return f"Trained enough: at the end it gets {figures} right."
