"""What to do after a run, in up to three steps: which settings to change, and what that may bring."""

from collections.abc import Iterator
from typing import Any

from imagenet_tasks.report.trained import CAPPED, EARLY, LIMITED, TOO_LONG, TOO_SHORT
from imagenet_tasks.report.wording import percent, plural, points, worth
from imagenet_tasks.settings.config import RunConfig
from imagenet_tasks.settings.profiles import shared_settings
from imagenet_tasks.settings.training import MAX_ROUNDS
from imagenet_tasks.statistics.significance import smallest_gain

MOST_STEPS = 3
SEEDS = 3  # of which an interval can be told
GOAL_ABOVE = 0.05  # of what a model reached already
Step = dict[str, Any]


def collect_next_steps(figures: dict[str, Any], config: RunConfig) -> list[Step]:
    """Returns what to do next, the most urgent first, as `report.NextStep` describes it.

    Args:
        figures: the report's others.
        config: the run's settings.
    """
    found = list(_steps(figures, config))[:MOST_STEPS]
    return [step | {"paste": shared_settings(config, step["settings"]) if step["settings"] else ""} for step in found]


def _step(do: str, why: str, brings: str, settings: dict[str, Any] | None = None, see: str = "") -> Step:
    return {"do": do, "why": why, "brings": brings, "settings": settings or {}, "see": see}


def _steps(figures: dict[str, Any], config: RunConfig) -> Iterator[Step]:
    verdict, train = figures["verdict"], config.train
    if config.download.source == "sample":
        yield _step(
            "Train on your own pictures",
            "What helps drawn pictures need not help yours.",
            "Trigger it with the profile best, the source folder, and the folder of your pictures as location.",
        )
    if verdict["left_out"]:
        yield _step(
            "Get pictures of the classes that were left out", f"{verdict['left_out']}.",
            "Without them the model never gives their names.", see="data",
        )  # fmt: skip
    if len(verdict["seeds"]) == 1 and verdict["gain"]:
        yield _step(
            f"Train from {SEEDS} seeds",
            "There is one training of each: the next one may differ by more than what is seen here.",
            f"It tells whether {points(verdict['gain']['difference'])} points are more than luck, in three times the "
            "training time.", {"seeds": SEEDS},
        )  # fmt: skip
    yield from _of_training(figures, config)
    yield from _of_pictures(figures, config)
    if figures["suspects"] and (suspects := figures["suspects"]["suspects"]):
        yield _step(
            f"Look at {plural(len(suspects), 'label')} in doubt",
            "Models that had not seen these pictures are sure of another class.",
            "Correct those that are wrong where the pictures come from. The arm clean trains without all of them.",
            {} if "clean" in train.arms else {"arms": [*train.arms, "clean"]}, see="labels",
        )  # fmt: skip
    if verdict["word"] == "helped" and not verdict["goal_met_after"] and train.rounds < MAX_ROUNDS:
        yield _step(
            "Repair once more",
            f"This repair brought {points(verdict['gain']['difference'])} points, and the goal is not met.",
            "It chooses anew from what this one left, and stops where no repair beats training longer.",
            {"rounds": train.rounds + 1},
        )
    yield from _of_the_test(verdict, config)
    if verdict["word"] == "not tried" and (reached := verdict["validation"]["before"] or 0.0) >= verdict["goal"]:
        goal = min(0.99, round(reached + GOAL_ABOVE, 2))
        if goal > reached:
            yield _step(
                "Set a higher goal",
                f"Validation met the goal of {percent(verdict['goal'], 0)}, so no repair was tried.",
                "A repair is tried all the same, and the report says whether it helped.", {"accuracy_goal": goal},
            )  # fmt: skip


def _of_training(figures: dict[str, Any], config: RunConfig) -> Iterator[Step]:
    """Yields what the curves of the model that the run ended with say of its length."""
    role, model = list(figures["models"].items())[-1]
    trained, training, history = model["trained"], model["training"], model["history"]
    names = {"before": "epochs", "after": "retrain_epochs"}
    if TOO_LONG in trained:
        best = training["best_epoch"]
        yield _step(
            "Train for fewer epochs", trained,
            f"The model is as good in {percent(best / len(history), 0)} of the time.", {names[role]: best},
        )  # fmt: skip
    if TOO_SHORT in trained:
        shares = [epoch["val_accuracy"] for epoch in history if epoch["val_accuracy"] is not None]
        late = max(shares) - max(shares[: int(EARLY * len(shares))], default=0.0)
        minutes = config.train.train_minutes
        capped = trained.startswith(CAPPED) and minutes is not None
        longer = {names[of]: 2 * each["training"]["epochs"] for of, each in figures["models"].items()}
        yield _step(
            "Train longer", trained, f"The last fifth of its epochs brought {points(late)} points on validation.",
            {"train_minutes": 2 * minutes} if capped and minutes else longer,
        )  # fmt: skip


def _of_pictures(figures: dict[str, Any], config: RunConfig) -> Iterator[Step]:
    """Yields what more pictures would do, as far as it is known; and how to know it."""
    curve, totals = figures["more_pictures"], figures["data"]["totals"]
    trained = list(figures["models"].values())[-1]["trained"]
    wanted = config.download.images_per_class
    more = {"images_per_class": wanted + (curve["added"] if curve else wanted)}
    has_more = totals["listed"] > totals["asked"]
    from_where = "The source has more" if has_more else "The source has no more: add pictures to it"
    if curve and any(row["gain"] is not None for row in curve["classes"]):
        shown = [row["name"] for row in curve["classes"] if row["interval"] and row["interval"][0] > 0]
        if shown:
            yield _step(
                f"Get more pictures of {shown[0]}" + (f" and {plural(len(shown) - 1, 'other class', 'other classes')}"
                if len(shown) > 1 else ""), f"{from_where}.", worth(curve), more if has_more else {},
                see="more-pictures",
            )  # fmt: skip
        else:
            yield _step(
                "Do not get more pictures yet", worth(curve), "A larger test set would tell.", see="more-pictures"
            )
    elif LIMITED in trained:
        yield _step(
            "Get more pictures", f"{trained} {from_where}.",
            "They do more than a longer training. How much, a run with the setting learning_curve tells by class.",
            more if has_more else {},
        )  # fmt: skip
        if curve is None and not config.preprocess.test_steers:
            yield _step(
                "Ask which classes need pictures", "Trainings on a quarter and a half of the pictures tell.",
                "It gives a forecast for each class, for about as much time as the baseline took.",
                {"learning_curve": True, "seeds": max(SEEDS, config.train.seeds)}, see="",
            )  # fmt: skip


def _of_the_test(verdict: dict[str, Any], config: RunConfig) -> Iterator[Step]:
    """Yields how a gain that is too small to be shown could be."""
    gain, seeds = verdict["gain"], len(verdict["seeds"])
    if verdict["word"] != "no difference shown" or not gain or gain["smallest_gain"] is None:
        return
    more = min(20, 2 * seeds)
    now, then = gain["smallest_gain"], smallest_gain(gain["interval"], gain["sd"], more)
    if then is not None and then < 0.9 * now:
        yield _step(
            f"Train from {more} seeds",
            f"A gain below {100 * now:.1f} points could not be shown with {plural(seeds, 'seed')}.",
            f"Gains from about {100 * then:.1f} points on would be shown, in twice the training time.", {"seeds": more},
        )  # fmt: skip
    else:
        yield _step(
            "Test on more pictures",
            f"A gain below {100 * now:.1f} points could not be shown on so few.",
            f"With twice as many, gains from about {100 * now / 2**0.5:.1f} points on would be shown.",
            {"test_share": share} if (share := _larger(config)) else {},
        )  # fmt: skip


def _larger(config: RunConfig) -> float | None:
    """Returns twice the test share where enough is left to train on."""
    shares = config.preprocess
    larger = round(2 * shares.test_share, 3)
    return larger if larger + shares.validation_share <= 0.5 else None
