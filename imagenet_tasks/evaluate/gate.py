"""The gate: whether the repair is tried."""

import math

from imagenet_tasks.artifacts.decision import Branch
from imagenet_tasks.errors import ConfigError, DataError


def decide(accuracy: float | None, goal: float) -> Branch:
    """Returns 'augment' where the accuracy is strictly below the goal, else 'report'.

    Args:
        accuracy: top-1 accuracy on validation, in [0, 1].
        goal: in [0, 1].

    Raises:
        DataError: where there is no accuracy, or it is no share.
        ConfigError: where the goal is no share.
    """
    if not isinstance(goal, int | float) or not 0 <= goal <= 1:
        raise ConfigError(f"accuracy_goal: expected a share from 0 to 1, received {goal!r} (50 % is 0.5)")
    if accuracy is None or not math.isfinite(accuracy) or not 0 <= accuracy <= 1:
        raise DataError(
            f"check_accuracy: expected the baseline's validation accuracy as a share from 0 to 1, received "
            f"{accuracy!r}. The evaluation before it has no usable figure: look at its log."
        )
    return "augment" if accuracy < goal else "report"
