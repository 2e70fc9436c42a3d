"""What to do after a run, in up to three steps: which settings to change, and what that may bring."""

from collections.abc import Iterator
from typing import Any

from imagenet_tasks.report.trained import CAPPED, EARLY, LIMITED, TOO_LONG, TOO_SHORT
from imagenet_tasks.report.wording import goal as said_goal
from imagenet_tasks.report.wording import percent, plural, points, worth
from imagenet_tasks.settings.config import RunConfig
from imagenet_tasks.settings.profiles import shared_settings
from imagenet_tasks.settings.training import MAX_ROUNDS
from imagenet_tasks.statistics.significance import smallest_gain

MOST_STEPS = 3
SEEDS = 3  # of which an interval can be told
KNOWN = 0.5  # the least share of labels that models agree with, of which a doubt is worth something
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
    word = verdict["word"]
    if config.download.source == "sample":
        yield _step(
            "Train on your own pictures",
            "What helps drawn pictures need not help yours.",
            "Trigger the workflow with the profile best, your own pictures as source, and their folder as location.",
        )
    if verdict["left_out"]:
        yield _step(
            "Get pictures of the classes that were left out", f"{verdict['left_out']}.",
            "Without them the model never answers with these classes.", see="data",
        )  # fmt: skip
    if len(verdict["seeds"]) == 1 and verdict["gain"]:
        yield _step(
            f"Train from {SEEDS} seeds",
            "There is only one training of each, and the next one may differ by more than this.",
            f"It tells whether {points(verdict['gain']['difference'])} points are more than luck. Training takes three "
            "times as long.", {"seeds": SEEDS},
        )  # fmt: skip
    yield from _of_labels(figures, config)
    yield from _of_training(figures, config)
    yield from _of_pictures(figures, config)
    is_last = verdict["kept"] == verdict["rounds"]  # else a later one was tried, and helped no more
    if word == "helped" and is_last and not verdict["goal_met_after"] and train.rounds < MAX_ROUNDS:
        yield _step(
            "Repair once more",
            f"This repair brought {points(verdict['gain']['difference'])} points, and the goal is not met.",
            "The next one chooses its classes anew, and repairs stop when none beats training longer.",
            {"rounds": train.rounds + 1},
        )
    yield from _of_the_test(figures, config)
    if word == "not tried" and (reached := verdict["validation"]["before"] or 0.0) >= verdict["goal"]:
        goal = min(0.99, round(reached + GOAL_ABOVE, 2))
        if goal > reached:
            yield _step(
                "Set a higher goal",
                f"Validation met the goal of {said_goal(verdict['goal'])}, so no repair was tried.",
                "With a higher one it is tried, and the report says whether it helped.", {"accuracy_goal": goal},
            )  # fmt: skip


def _of_labels(figures: dict[str, Any], config: RunConfig) -> Iterator[Step]:
    """Yields what the label check says, which a person asked for."""
    found, arms = figures["suspects"], config.train.arms
    if not found or not found["suspects"]:
        return
    doubted = plural(len(found["suspects"]), "label")
    if (found["agreement"] or 0.0) < KNOWN:
        yield _step(
            "Check the labels again with a better model",
            f"The models that judged them agree with {percent(found['agreement'], 0)} of the labels, so {doubted} in "
            "doubt say more about the models than about the labels.",
            "The check is worth something once they agree with most.", see="labels",
        )  # fmt: skip
        return
    yield _step(
        f"Look at {doubted} in doubt", "Models that had not seen these pictures are sure of another class.",
        "Correct the wrong ones where the pictures come from. The arm clean leaves all of them out.",
        {} if "clean" in arms or figures["verdict"]["word"] == "not tried" else {"arms": (*arms, "clean")},
        see="labels",
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
            f"It takes {percent(best / len(history), 0)} of the time: the later epochs brought nothing on validation.",
            {names[role]: best},
        )  # fmt: skip
    if TOO_SHORT in trained:
        shares = [epoch["val_accuracy"] for epoch in history if epoch["val_accuracy"] is not None]
        early = int(EARLY * len(shares))
        late = max(shares) - max(shares[:early], default=0.0)
        seeds = figures["verdict"]["seeds"]
        of_seed = f" These figures are those of seed {seeds[0]}." if len(seeds) > 1 else ""
        brought = f"The epochs after epoch {early} brought {points(late)} points on validation." if early else ""
        yield _step(
            "Train longer", trained, f"{brought}{of_seed}".strip(),
            _longer(figures, config, {names[of]: each["training"] for of, each in figures["models"].items()}),
        )  # fmt: skip


def _longer(figures: dict[str, Any], config: RunConfig, trainings: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Returns the settings that double what trainings were given; `trainings` by the setting of their epochs."""
    minutes, trained = config.train.train_minutes, list(figures["models"].values())[-1]["trained"]
    more_minutes = {"train_minutes": min(10_000, 2 * minutes)} if minutes else {}
    if trained.startswith(CAPPED):
        return more_minutes
    if any(training["stopped_early"] for training in trainings.values()):
        return {"early_stopping_patience": 0} | more_minutes
    return {name: min(10_000, 2 * training["epochs"]) for name, training in trainings.items()} | more_minutes


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
                "Do not get more pictures yet", worth(curve), "A larger validation set would tell.", see="more-pictures"
            )
    elif LIMITED in trained:
        yield _step(
            "Get more pictures", f"{trained} {from_where}.",
            "They help more than a longer training. A run with the setting learning_curve tells how much, by class.",
            more if has_more else {},
        )  # fmt: skip
    verdict = figures["verdict"]
    is_below = verdict["word"] in ("nothing helped", "hurt") and not verdict["goal_met_after"]
    if curve is None and not config.preprocess.test_steers and (LIMITED in trained or is_below):
        yield _step(
            "Ask which classes need pictures", "Trainings on a quarter and a half of the pictures tell which.",
            "It gives a forecast for each class. Its trainings take about as long as those of the baseline.",
            {"learning_curve": True, "seeds": max(SEEDS, config.train.seeds)},
        )  # fmt: skip


def _of_the_test(figures: dict[str, Any], config: RunConfig) -> Iterator[Step]:
    """Yields how a gain that is too small to be shown could be."""
    verdict = figures["verdict"]
    gain, seeds = verdict["gain"], len(verdict["seeds"])
    if verdict["word"] != "no difference shown" or not gain or gain["smallest_gain"] is None:
        return
    more = min(20, 2 * seeds)
    now, then = gain["smallest_gain"], smallest_gain(gain["interval"], gain["sd"], more)
    if then is not None and then < 0.9 * now:
        yield _step(
            f"Train from {more} seeds",
            f"With {plural(seeds, 'seed')}, a gain below {100 * now:.1f} points mostly goes unseen.",
            f"From about {100 * then:.1f} points on it would mostly be shown. Training takes {more / seeds:.3g} times "
            "as long.",
            {"seeds": more},
        )  # fmt: skip
        return
    low, high = (gain["difference"] + (bound - gain["difference"]) / 2**0.5 for bound in gain["interval"])
    if (then := smallest_gain((low, high), gain["sd"], seeds)) is not None and then < 0.9 * now:
        yield _step(
            "Test on more pictures", f"On so few, a gain below {100 * now:.1f} points mostly goes unseen.",
            f"With twice as many, it would mostly be shown from about {100 * then:.1f} points on.",
            {} if figures["data"]["split_given"] else _larger_test(config),
        )  # fmt: skip


def _larger_test(config: RunConfig) -> dict[str, Any]:
    """Returns twice the test share, where enough is left to train on."""
    shares = config.preprocess
    larger = round(2 * shares.test_share, 3)
    return {"test_share": larger} if larger + shares.validation_share <= 0.5 else {}
