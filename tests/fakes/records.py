"""Records of trainings, comparisons and doubts that nobody made."""

from collections.abc import Iterable

from imagenet_tasks.artifacts.figures import Compared, Comparison, ComparisonByClass, RepairComparison
from imagenet_tasks.artifacts.quality import Suspect, Suspects
from imagenet_tasks.artifacts.references import Trial
from imagenet_tasks.artifacts.training import HISTORY, Epoch, TrainingRecord, history_lines
from imagenet_tasks.workflow.estimate import Estimate, PlannedTrainings


def epoch_of(number: int, **changes) -> Epoch:
    """The figures of an epoch; the later, the better."""
    figures = {
        "accuracy": min(0.1 * number, 1.0), "loss": 3 / number, "val_accuracy": min(0.09 * number, 1.0),
        "val_loss": 3.2 / number, "learning_rate": 0.001 / number, "seconds": 4.0, "pictures_per_s": 25.0,
    }  # fmt: skip
    return Epoch(epoch=number, **figures | changes)


def training_of(trial: Trial, *, epochs: int = 1, **changes) -> TrainingRecord:
    """The record of a training."""
    defaults = {
        "parameters": 1, "epochs": epochs, "best_epoch": 1, "stopped_early": False, "resumed_from": 0,
        "batch_size": 64, "training_pictures": 100, "added_pictures": 0, "streamed": False, "device": "cpu",
        "device_name": "CPU", "devices": 1, "precision": "float32", "backend": "tensorflow", "keras": "3",
        "python": "3.11", "train_seconds": 12.0, "pictures_per_s": 25.0, "seconds": 13.0,
    }  # fmt: skip
    return TrainingRecord(trial=trial, **defaults | changes)


def write_training(folder, trial: Trial, *, epochs: int = 1, **changes) -> None:
    """Writes history and record of a training into a model's folder."""
    (folder / HISTORY).write_bytes(history_lines(epoch_of(e) for e in range(1, epochs + 1)))
    training_of(trial, epochs=epochs, **changes).write_to(folder)


def comparison_of(chosen: str) -> RepairComparison:
    """A repair whose best arm on validation is this one, by 2 points."""
    same = {
        "pictures": 100, "seeds": (0,), "before": 0.5, "after": 0.52, "difference": 0.02, "interval": (-0.1, 0.1),
        "p_value": 1.0, "only_before_right": 0, "only_after_right": 0, "verdict": "no difference shown", "rule": "r",
        "by_seed": (), "sd": None, "seed_interval": None,
    }  # fmt: skip
    by_class = ComparisonByClass(**same, per_class=())
    beside = Compared(validation=Comparison(**same), test=Comparison(**same))
    return RepairComparison(
        chosen=chosen, validation=by_class, test=by_class, arms={}, against={"longer": beside}, previous=beside,
        collateral=(),
    )  # fmt: skip


def suspects_of(doubts: Iterable[tuple[str, str, float]]) -> Suspects:
    """Pictures in doubt, as (class id, image id, probability of the class suggested)."""
    return Suspects(
        folds=3, pictures=60, agreement=0.5,
        suspects=tuple(
            Suspect(
                image_id=image_id, class_id=class_id, name=class_id, row=0, given_probability=0.1, label=0,
                suggested_class_id="n00000001", suggested_name="another", suggested_probability=share,
            )
            for class_id, image_id, share in doubts
        ),
    )  # fmt: skip


def expected_of(**changes) -> Estimate:
    """What a run of two classes, with one baseline and a repair of two trainings, was expected to cost."""
    trainings = [
        {"task": "train_baseline", "arm": "baseline", "count": 1, "pictures": 1200, "seconds": (90, 110)},
        {"task": "train_augmented", "arm": "", "count": 2, "pictures": 1800, "seconds": (140, 160)},
    ]
    figures = {
        "classes": 2, "images_per_class": 500, "rounds": 1, "runs": 2, "device": "A GPU", "on_gpu": True,
        "download_s": (60, 120), "rest_s": (10, 20), "size_bytes": 5_000_000, "free_bytes": 9_000_000_000,
        "trainings": tuple(PlannedTrainings(model="compact", **training) for training in trainings),
    }  # fmt: skip
    return Estimate(**figures | changes)
