"""What the report says to do next."""

from typing import Any

import pytest
from report_page import report

from imagenet_tasks.report.next_steps import MOST_STEPS, collect_next_steps
from imagenet_tasks.report.wording import worth
from imagenet_tasks.settings.profiles import make_config, read_settings

GAIN = {"difference": 0.02, "smallest_gain": 0.08, "interval": [-0.01, 0.05], "sd": 0.03}


def figures(
    trained: str = "", *, word: str = "not tried", gain: dict[str, Any] | None = None, seeds: int = 3,
    listed: int = 100, stopped_early: bool = False, curve: dict[str, Any] | None = None,
    suspects: int = 0, agreement: float = 0.8, goal_met_after: bool = False,
    **verdict: Any,
) -> dict[str, Any]:  # fmt: skip
    """The figures that the steps follow from."""
    history = [{"val_accuracy": share} for share in (0.1, 0.2, 0.3, 0.4, 0.5)]
    model = {
        "trained": trained,
        "training": {"epochs": 5, "best_epoch": 3, "stopped_early": stopped_early},
        "history": history,
    }
    return {
        "verdict": {
            "word": word, "gain": gain, "seeds": list(range(seeds)), "left_out": "", "goal": 0.5,
            "goal_met_after": goal_met_after, "rounds": 1, "kept": 1, "validation": {"before": 0.6},
            "test": {"pictures": 400},
        } | verdict,
        "models": {"before": model} if word == "not tried" else {"before": model, "after": model},
        "more_pictures": curve, "data": {"totals": {"listed": listed, "asked": 50}, "split_given": False},
        "suspects": {"suspects": [{}] * suspects, "agreement": agreement} if suspects else None,
    }  # fmt: skip


def curve(*gains: tuple[float, float, float] | None) -> dict[str, Any]:
    """What more pictures of classes a, b, c ... are worth, each gain with its interval."""
    rows = [
        {"name": name, "gain": gain and gain[0], "interval": gain and gain[1:]}
        for name, gain in zip("abc", gains, strict=False)
    ]
    return {"added": 100, "classes": rows}


BEST = make_config("best", {"location": "pictures", "source": "folder", "label_check_folds": 3})
SHOWN, NOT_SHOWN = (0.06, 0.02, 0.1), (0.02, -0.01, 0.05)


@pytest.mark.parametrize(
    ("known", "do", "settings"),
    [
        (figures(), "Set a higher goal", {"accuracy_goal": 0.65}),
        (figures("Trained too long: x."), "Train for fewer epochs", {"epochs": 3}),
        (figures("Not trained enough: x."), "Train longer", {"epochs": 10}),
        (figures("Not trained enough: x.", word="hurt"), "Train longer", {"epochs": 10, "retrain_epochs": 10}),
        (figures("Not trained enough: x.", stopped_early=True), "Train longer", {"early_stopping_patience": 0}),
        (figures(word="nothing helped"), "Ask which classes need pictures", {"learning_curve": True, "seeds": 3}),
        (figures("Limited by its data: x."), "Get more pictures", {"images_per_class": 1600}),
        (figures("Limited by its data: x.", listed=50), "Get more pictures", {}),
        (figures(curve=curve(SHOWN, NOT_SHOWN)), "Get more pictures of a", {"images_per_class": 900}),
        (figures(curve=curve(NOT_SHOWN)), "Do not get more pictures yet", {}),
        (figures(word="not enough to tell", gain=GAIN, seeds=1), "Train from 3 seeds", {"seeds": 3}),
        (figures(word="no difference shown", gain=GAIN), "Train from 6 seeds", {"seeds": 6}),
        (
            figures(word="no difference shown", gain=GAIN | {"smallest_gain": 0.04, "sd": 0.001}),
            "Test on more pictures",
            {"test_share": 0.32},
        ),
        (figures(word="helped", gain=GAIN), "Repair once more", {"rounds": 2}),
        (
            figures(suspects=3, word="helped", goal_met_after=True),
            "Look at 3\u00a0labels in doubt",
            {"arms": (*BEST.train.arms, "clean")},
        ),
        (figures(suspects=3, agreement=0.3), "Check the labels again with a better model", {}),
        (figures(left_out="cow was left out"), "Get pictures of the classes that were left out", {}),
    ],
)
def test_each_finding_has_its_step_with_the_settings_to_change(known, do, settings):
    step = collect_next_steps(known, BEST)[0]
    assert (step["do"], step["settings"]) == (do, settings)
    assert step["why"] and step["brings"]
    if settings:
        again = make_config(**_given(read_settings(step["paste"], where="x")))
        stages = (again.download, again.preprocess, again.train, again.evaluate)
        assert {n: getattr(s, n) for s in stages for n in settings if hasattr(s, n)} == settings


def _given(settings: dict[str, Any]) -> dict[str, Any]:
    return {"profile": settings.pop("profile"), "overrides": settings}


def test_there_are_at_most_three_and_none_where_nothing_is_evident():
    much = figures("Limited by its data: x.", suspects=2, left_out="cow was left out", word="helped", gain=GAIN)
    assert len(collect_next_steps(much, BEST)) == MOST_STEPS
    assert collect_next_steps(figures(word="nothing helped", goal_met_after=True), BEST) == []


def test_how_much_the_last_epochs_brought_is_said_of_the_epochs_and_the_seed_that_it_is_counted_of():
    step = collect_next_steps(figures("Not trained enough: x."), BEST)[0]
    assert step["brings"] == (
        "The epochs after epoch 4 brought +10.0 points on validation. These figures are those of seed 0."
    )


def test_a_capped_training_gets_more_minutes():
    capped = make_config("best", {"location": "pictures", "source": "folder", "train_minutes": 5})
    step = collect_next_steps(figures("Capped at 5 min: 5 of 10 epochs. Not trained enough: x."), capped)[0]
    assert step["settings"] == {"train_minutes": 10}


def test_a_run_on_drawn_pictures_leads_to_pictures_of_ones_own(build_run):
    assert collect_next_steps(figures(), make_config("sample", {}))[0]["do"] == "Train on your own pictures"


def test_the_forecast_is_said_where_there_is_one(build_run):
    _, page, found = report(build_run(before=0.6, after=None, curve=(0.2, 0.4), seeds=2))
    assert any(
        step["why"] == worth(found["more_pictures"]) or step["brings"] == worth(found["more_pictures"])
        for step in found["next_steps"]
    )
    assert "5\u00a0more pictures" in page.text_of["next"] and found["more_pictures"]["added"] == 5
    assert [len(row["points"]) for row in found["more_pictures"]["classes"]] == [3, 3, 3]
    gains = [row["gain"] for row in found["more_pictures"]["classes"]]
    assert gains == sorted(gains, reverse=True)


def test_the_model_to_use_is_named_with_the_command_that_predicts_with_it(build_run):
    inputs = build_run(before=0.3, after=0.8, seeds=2)
    _, page, found = report(inputs)
    use = found["use"]
    best = max(found["repair"]["trials"], key=lambda trial: trial["validation_accuracy"])
    assert use["called"] == f"Targeted (compact, seed {best['seed']})" and use["called"] in page.text_of["use"]
    assert use["command"].endswith(f"--run {inputs.run.run_id} --csv answers.csv --sheet answers.html PICTURES")
    assert use["command"] in page.text_of["use"]
    assert inputs.run.store.exists(use["file"].rpartition("/")[0])


def test_after_a_repair_that_hurt_the_model_that_was_trained_longer_is_to_be_used(build_run):
    _, page, found = report(build_run(before=0.8, after=0.9, tested=0.3, seeds=2))
    assert found["verdict"]["word"] == "hurt" and found["use"]["repair_hurt"]
    assert found["use"]["called"].startswith("Trained longer") and "since the repair hurt" in page.text_of["use"]
