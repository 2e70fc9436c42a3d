"""Records of trainings that nobody did."""

from imagenet_tasks.artifacts.references import Trial
from imagenet_tasks.artifacts.training import HISTORY, Epoch, TrainingRecord, history_lines


def write_training(folder, trial: Trial, *, epochs: int = 1, **changes) -> None:
    """Writes history and record of a training into a model's folder."""
    history = [
        Epoch(
            epoch=e, accuracy=0.1 * e, loss=3 / e, val_accuracy=0.09 * e, val_loss=3.2 / e, learning_rate=0.001 / e,
            seconds=4.0, pictures_per_s=25.0,
        )
        for e in range(1, epochs + 1)
    ]  # fmt: skip
    defaults = {
        "parameters": 1, "epochs": epochs, "best_epoch": 1, "stopped_early": False, "resumed_from": 0,
        "batch_size": 64, "training_pictures": 100, "added_pictures": 0, "streamed": False, "device": "cpu",
        "device_name": "CPU", "devices": 1, "precision": "float32", "backend": "tensorflow", "keras": "3",
        "python": "3.11", "train_seconds": 12.0, "pictures_per_s": 25.0, "seconds": 13.0,
    }  # fmt: skip
    (folder / HISTORY).write_bytes(history_lines(history))
    (folder / TrainingRecord.FILE).write_bytes(TrainingRecord(trial=trial, **defaults | changes).content())
