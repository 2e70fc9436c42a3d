"""What the report says of a tuning: its table, its winner, and what to paste."""

from dataclasses import replace

import pytest
from report_page import report

from imagenet_tasks.artifacts.tuning import TunedTraining, Tuning

PROBLEM = "Rung 2, candidate 3: its training did not end. The log of the task tune says why."
LOST = "epoch 2: the loss is nan (validation nan); expected a number."


def trained(rung, candidate, accuracy, **settings) -> TunedTraining:
    own = {"learning_rate": 0.004, "weight_decay": 0.3, "width": 1.0, "epochs": 10 * rung}
    problem = {} if accuracy else {"problem": LOST}
    return TunedTraining(
        rung=rung, candidate=candidate, validation_accuracy=accuracy, seconds=12.5 * rung, **own | problem | settings
    )


FIRST = (
    trained(1, 1, 0.41), trained(1, 2, None, learning_rate=0.015), trained(1, 3, 0.45, width=1.5, weight_decay=0.69),
)  # fmt: skip
LAST = (trained(2, 1, 0.5), trained(2, 3, 0.56, width=1.5, weight_decay=0.69, epochs=40))
TRIED = Tuning(candidates=3, rungs=2, pictures=120, trainings=FIRST + LAST)
WON = TRIED.model_copy(
    update={
        "winner": 3, "difference": 0.06, "interval": (-0.065, 0.182),
        "settings": {"weight_decay": 0.69, "width": 1.5, "epochs": 40},
    }
)  # fmt: skip


@pytest.fixture
def page(build_run):
    """The page of a run with a tuning; another number of seeds is another run."""

    def build(tuning, seeds):
        _, shown, figures = report(replace(build_run(names=("cow", "cobra"), after=None, seeds=seeds), tuning=tuning))
        return shown, figures

    return build


def test_the_winner_is_marked_with_its_settings_to_paste_and_the_choice_is_said_to_flatter(page):
    shown, figures = page(WON, 1)
    said = shown.text_of["tuning"]
    assert figures["tuning"] == WON.as_dict()
    assert "--set weight_decay=0.69 --set width=1.5 --set epochs=40\n" in said
    assert "56.0\u00a0%, against 50.0\u00a0% with this run’s own settings: +6.0 points" in said
    assert "−6.5 to +18.2 over pictures, so it may be luck" in said
    assert "The choice among 3 flatters the winner" in said and "no test picture was used" in said
    rows = [row for row in shown.rows if "winner" in " ".join(row)]
    assert rows == [["2", "3 winner", "0.004", "0.69", "1.5", "40", "56.0\u00a0%", "25\u00a0s"]]
    assert ["Epochs of the baseline", "40"] in shown.rows
    assert f"Rung 1, candidate 2 was left out: {LOST}" in said


def test_where_the_own_settings_are_the_best_they_are_said_to_be_kept(page):
    shown, _ = page(TRIED.model_copy(update={"winner": 1, "difference": 0.0, "interval": (-0.1, 0.1)}), 2)
    assert "keep them" in shown.text_of["tuning"] and "--set" not in shown.text_of["tuning"]


def test_a_tuning_that_failed_says_why_and_shows_what_it_has(page):
    shown, _ = page(TRIED.model_copy(update={"trainings": FIRST, "problem": PROBLEM}), 3)
    assert f"The tuning has no winner. {PROBLEM}" in shown.text_of["tuning"]
    assert [row[1] for row in shown.rows if row[0] == "1" and len(row) == 8] == ["1 this run’s own", "2", "3"]


def test_without_a_tuning_there_is_no_word_of_it(page):
    shown, figures = page(None, 4)
    assert figures["tuning"] is None and "tuning" not in shown.text_of
