"""What the curves say of a training's length."""

import pytest
from fakes.records import epoch_of, training_of
from report_page import report

from imagenet_tasks.artifacts.references import Trial
from imagenet_tasks.report.trained import judge_training, say_cap


def history(*accuracies):
    """Epochs with these accuracies on training and on validation."""
    return [epoch_of(n, accuracy=a, val_accuracy=v) for n, (a, v) in enumerate(accuracies, start=1)]


@pytest.mark.parametrize(
    ("epochs", "best", "said"),
    [
        (
            history((0.3, 0.3), (0.9, 0.6), (0.99, 0.59), (1.0, 0.55)),
            2,
            "Trained too long: on validation, epoch 2 of 4",
        ),
        (history((0.3, 0.3), (0.8, 0.5), (0.97, 0.55)), 3, "Limited by its data"),
        (history((0.3, 0.3), (0.5, 0.5), (0.6, 0.58)), 3, "Not trained enough"),
        (history((0.3, 0.3), (0.4, 0.38), *[(0.4, 0.38)] * 8), 2, "Levelled off"),
        (history((0.3, 0.3), *[(0.93, 0.9)] * 9), 2, "Trained enough"),
        (history((0.3, None), (0.9, None)), 2, ""),
    ],
)
def test_the_curves_tell_whether_a_training_was_long_enough(epochs, best, said):
    told = judge_training(epochs, best)
    assert told.startswith(said) and bool(told) is bool(said)


@pytest.mark.parametrize(
    ("minutes", "stopped", "epochs", "said"),
    [
        (None, False, 3, ""),
        (0.5, False, 3, "Capped at 0.5 minutes: 3 of the model's own 78\N{NO-BREAK SPACE}epochs."),
        (30, False, 78, ""),
        (30, True, 3, ""),
    ],
)
def test_a_training_that_its_minutes_cut_is_said_to_be(minutes, stopped, epochs, said):
    trial = Trial(model="compact", seed=0, arm="baseline", dataset="d")
    assert say_cap(minutes, training_of(trial, epochs=epochs, stopped_early=stopped), 78) == said


def test_a_capped_training_that_was_too_short_is_advised_to_take_more_minutes():
    told = judge_training(history((0.3, 0.3), (0.5, 0.5), (0.6, 0.58)), 3, cap="Capped.")
    assert told.startswith("Capped. Not trained enough") and told.endswith("Allow more minutes (train_minutes).")


def test_the_report_says_it_of_both_models(build_run):
    _, page, figures = report(build_run())
    for role in ("before", "after"):
        assert figures["models"][role]["trained"] in " ".join(page.text_of[f"trained-{role}"].split("\n"))
