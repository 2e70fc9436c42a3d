"""What the curves say of a training's length."""

import pytest
from fakes.records import epoch_of, training_of
from report_page import report

from imagenet_tasks.artifacts.references import Trial
from imagenet_tasks.report.trained import judge_training, say_cap
from imagenet_tasks.report.wording import worth


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
        (0.5, False, 3, "Capped at 0.5 min: 3 of 78\N{NO-BREAK SPACE}epochs."),
        (30, False, 78, ""),
        (30, True, 3, ""),
    ],
)
def test_a_training_that_its_minutes_cut_is_said_to_be(minutes, stopped, epochs, said):
    trial = Trial(model="compact", seed=0, arm="baseline", dataset="d")
    assert say_cap(minutes, training_of(trial, epochs=epochs, stopped_early=stopped), 78) == said


def test_a_capped_training_is_said_to_be_before_what_its_curves_say():
    told = judge_training(history((0.3, 0.3), (0.5, 0.5), (0.6, 0.58)), 3, cap="Capped.")
    assert told.startswith("Capped. Not trained enough")


def test_the_report_says_it_of_both_models(build_run):
    _, page, figures = report(build_run())
    for role in ("before", "after"):
        assert figures["models"][role]["trained"] in " ".join(page.text_of[f"trained-{role}"].split("\n"))


# What more pictures are worth


def more_pictures(*gains, added=100):
    """What more pictures are worth, each gain with its interval, of classes a, b, c ..."""
    rows = [
        {"name": "abcdefghi"[place], "gain": gain and gain[0], "interval": gain and gain[1:]}
        for place, gain in enumerate(gains)
    ]
    return {"added": added, "classes": rows}


A, B, C = (0.06, 0.02, 0.1), (0.05, 0.01, 0.09), (0.04, 0.01, 0.08)
NONE = (0.02, -0.01, 0.05)


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ([A, NONE], "are worth about +6.0 points of its recall (+2.0 to +10.0). For b no gain could be shown."),
        ([A, B], "are worth about +6.0 points of its recall (+2.0 to +10.0), of b +5.0 (+1.0 to +9.0)."),
        (
            [A, B, C, C, NONE, NONE, NONE, NONE, None],
            ", of c +4.0 (+1.0 to +8.0). 1\u00a0further class would gain less; for 4 classes no gain could be shown.",
        ),
        ([NONE, None], "It could not be shown that 100\u00a0more pictures would add to the recall of any class."),
    ],
)
def test_the_classes_that_gain_the_most_are_named_and_how_many_gain_nothing_that_is_shown(gains, said):
    told = worth(more_pictures(*gains))
    assert told.endswith(said) and (told == said or told.startswith("100\u00a0more pictures of a are worth about +6.0"))
