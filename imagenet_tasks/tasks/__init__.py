"""What each task of the graph does: loads the run's settings, calls its stage, keeps a record, says what matters.

The workflow engine and the command line call the same functions. Values that go in and out are small plain JSON.
"""

from imagenet_tasks.tasks.common import read_dataset
from imagenet_tasks.tasks.models import (
    check_accuracy,
    evaluate_augmented,
    evaluate_baseline,
    train_augmented,
    train_baseline,
)
from imagenet_tasks.tasks.pictures import build_dataset, download_class, plan_run, preprocess_class
from imagenet_tasks.tasks.repair import augment_class, plan_augmentation, plan_retraining
from imagenet_tasks.tasks.report import write_report

__all__ = [
    "augment_class",
    "build_dataset",
    "check_accuracy",
    "download_class",
    "evaluate_augmented",
    "evaluate_baseline",
    "plan_augmentation",
    "plan_retraining",
    "plan_run",
    "preprocess_class",
    "read_dataset",
    "train_augmented",
    "train_baseline",
    "write_report",
]
