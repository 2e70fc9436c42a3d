"""The study's own figures, to stand beside ours: its report on 20 ImageNet classes, 800 pictures of each asked for."""

from typing import Any

GOAL = 0.5
PROFILES = ("study", "seed")  # those that repeat it; of other settings its figures say nothing
# The study's accuracy and loss on its test pictures, which also steered its trainings. Its ConvNet 5 is ConvNet 1 on
# the set with the changed pictures.
FIGURES: dict[str, dict[str, float]] = {
    "convnet1": {"accuracy": 0.4719, "loss": 2.423},
    "convnet2": {"accuracy": 0.4885, "loss": 1.970},
    "convnet3": {"accuracy": 0.4209, "loss": 2.043},
    "convnet4": {"accuracy": 0.4856, "loss": 2.012},
    "convnet5": {"accuracy": 0.5170, "loss": 2.195},
}


def study_rows(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns our figures beside the study's.

    Args:
        groups: trainings by arm and model, of which those count whose model the study had. Of the repairs only the arm
            'targeted' is what the study's ConvNet 5 was.
    """
    return [
        {
            "model": group["model"], "arm": group["arm"], "round": group["round"], "seeds": len(group["seeds"]),
            "accuracy": group["test"]["mean"], "loss": group["loss"], "study": FIGURES[group["model"]],
        }
        for group in groups
        if group["model"] in FIGURES and group["arm"] in ("baseline", "targeted")
    ]  # fmt: skip
