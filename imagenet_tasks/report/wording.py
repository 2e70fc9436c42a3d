"""Verdicts in words, beside the numbers of `imagenet_tasks.wording`."""

from typing import Any

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.settings.training import ARM_NAMES, CONTROL
from imagenet_tasks.wording import (
    DASH,
    MINUS,
    NBSP,
    duration,
    goal,
    interval,
    moment,
    number,
    p_value,
    percent,
    plural,
    points,
    span,
)

__all__ = [
    "DASH", "MINUS", "NBSP", "duration", "goal", "interval", "moment", "number", "p_value", "percent", "plural",
    "points", "span",
]  # fmt: skip

SIGNIFICANT = 0.05  # a p-value below is more than chance
LEFT_OUT_NAMED = 10  # the report's data section lists all
WORTH_NAMED = 3  # the report's section on more pictures lists all

VERDICTS = {
    "helped": "The repair helped",
    "hurt": "The repair hurt",
    "no difference shown": "No difference shown",
    "not enough to tell": "One training each: not enough to tell",
    "nothing helped": "No repair helped",
    "not tried": "No repair was tried",
}

# What was tried, as the subject of a sentence.
ARM_DEEDS = {
    "longer": "longer training", "collect": "new pictures", "collect-all": "new pictures of all classes",
    "targeted": "changed copies", "more": "twice as many changed copies",
    "correlated": "changed copies, also of what is confused with them", "untargeted": "changed copies of all classes",
    "collect-hard": "the hardest new pictures", "mix": "mixed pictures", "soften": "weaker changes",
    "clean": "trainings without labels in doubt",
}  # fmt: skip

AGAINST = {
    "helped": "better", "hurt": "worse", "no difference shown": "no difference shown",
    "not enough to tell": "one training each, not enough to tell",
}  # fmt: skip
STRATEGIES = {
    "recall": "with the lowest recall on validation, by the upper end of its interval",
    "confused": "with the largest share of the mistakes on validation",
    "correlated": "with the lowest recall on validation, and those that they are most confused with",
    "manual": "named in the settings",
}
POLICIES = {
    "study": "",
    "colour": ", and changed in brightness, contrast and saturation by up to 40\N{NO-BREAK SPACE}%",
    "trivial": "changed by one random operation of random strength: a turn, a shear, a shift or a change of colour",
}
TRANSFORMS = {
    "rotation": "turn", "zoom": "zoom", "horizontal_flip": "mirroring", "vertical_flip": "turning upside down",
    "colour": "change of colour", "shear": "shear", "translation": "shift",
}  # fmt: skip

TUNED_FIELDS = {  # as the trigger form calls them
    "learning_rate": "Learning rate", "weight_decay": "Weight decay", "width": "Width",
    "epochs": "Epochs of the baseline", "retrain_epochs": "Epochs of a repair",
}  # fmt: skip


def gate(decision: Decision) -> str:
    """Returns what a gate compared and where it led: 'validation 31.0 % < goal 50 % → repair'."""
    led = "repair" if decision.branch == "augment" else decision.branch
    if decision.validation_accuracy is None:
        return f"no validation accuracy → {led}"
    sign = "<" if decision.below else "≥"
    shown = reached(decision.as_dict())
    return f"validation {shown} {sign} goal {goal(decision.accuracy_goal)} → {led}"


def reached(decision: dict[str, Any]) -> str:
    """Returns the accuracy that a gate compared, with as many digits as it takes to see whether it meets the goal."""
    accuracy, wanted = decision["validation_accuracy"], decision["accuracy_goal"]
    if accuracy is None or accuracy == wanted:
        return percent(accuracy)
    return percent(accuracy, next((n for n in (1, 2) if round(100 * accuracy, n) != round(100 * wanted, n)), 4))


def p_number(value: float | None) -> str:
    """Returns a p-value for a table's column: '0.0489' or '< 0.001', or a dash."""
    return DASH if value is None else p_value(value).removeprefix("p").removeprefix(f"{NBSP}={NBSP}").strip(NBSP)


def steers(*, models: int, repaired: bool, rounds: int) -> str:
    """Returns what the test pictures chose in a run where they are the validation pictures too.

    Args:
        models: how many baselines there were to choose from.
        repaired: whether classes were chosen.
        rounds: how many repairs there were.
    """
    chose = ["which epoch of a training is kept"]
    chose += [f"which of {models} baselines is taken"] * (models > 1)
    chose += ["which classes are repaired", "which repair is the best"] * repaired + ["which round is kept"] * (
        rounds > 1
    )
    return (
        f"The test pictures also chose {_listed(chose)}. So every test figure here is optimistic, as in the study: "
        "on pictures that chose nothing it would be lower."
    )


def headline(verdict: dict[str, Any]) -> str:
    """Returns the run in one line of plain text, for a log or a list."""
    test, seeds = verdict["test"], verdict["seeds"]
    mean = f"mean of {len(seeds)} seeds, " if len(seeds) > 1 else ""
    end = "; optimistic, since the test pictures also steered" if verdict["test_steers"] else ""
    end += f". {verdict['left_out']}" if verdict["left_out"] else ""
    if verdict["word"] == "not tried":
        why = "a person decided against a repair" if _declined(verdict) else "no repair tried"
        return _plain(
            f"Test accuracy {percent(test['before'])}{_within(test['before_interval'], mean)}; validation "
            f"{percent(verdict['validation']['before'])} {'is below' if _declined(verdict) else 'meets'} the goal of "
            f"{goal(verdict['goal'])}: {why}{end}"
        )
    if verdict["word"] == "nothing helped":
        return _plain(
            f"Test accuracy {percent(test['before'])} -> {percent(test['after'])} trained longer ({mean}no repair did "
            f"better on validation): nothing helped{end}"
        )
    gain = verdict["gain"]
    over = f" over pictures, {span(gain['seed_interval'])} over seeds" if gain["seed_interval"] else ""
    return _plain(
        f"Test accuracy {percent(test['before'])} -> {percent(test['after'])} ({verdict['chosen']}); against training "
        f"longer {points(gain['difference'])} points ({mean}95 % interval {span(gain['interval'])}{over}): "
        f"{verdict['word']}{end}"
    )


def left_out(classes: list[dict[str, Any]], total: int) -> str:
    """Returns '2 of 20 classes were left out: cow (3 pictures, 20 needed), ...', or '' where none was.

    Args:
        classes: their 'name', 'have' and 'need'; 'have' is None where a class never got so far.
        total: how many classes the run was asked for.
    """
    if not classes:
        return ""
    said = [
        f"{c['name']} (" + ("not prepared" if c["have"] is None else f"{c['have']} pictures, {c['need']} needed") + ")"
        for c in classes[:LEFT_OUT_NAMED]
    ]
    more = [f"{len(classes) - len(said)} more"] if len(classes) > len(said) else []
    were = "was" if len(classes) == 1 else "were"
    return f"{len(classes)} of {total} classes {were} left out: {', '.join(said + more)}"


def _declined(verdict: dict[str, Any]) -> bool:
    """Tells whether no repair was tried although the goal was not met: a person did not want one."""
    accuracy = verdict["validation"]["before"]
    return verdict["word"] == "not tried" and accuracy is not None and accuracy < verdict["goal"]


def sentence(verdict: dict[str, Any]) -> str:
    """Returns the verdict as one sentence for a reader who reads nothing else."""
    test, word = verdict["test"], verdict["word"]
    if word == "not tried":
        met = percent(verdict["validation"]["before"])
        if _declined(verdict):
            return (
                f"The baseline is below the goal: its validation accuracy is {met}, the goal is "
                f"{goal(verdict['goal'])}. The person who was asked decided against a repair."
            )
        return (
            f"The baseline already met the goal: its validation accuracy is {met}, the goal "
            f"is {goal(verdict['goal'])}. No class was repaired, so there is no second model to compare."
        )
    if word == "nothing helped":
        return _nothing_helped(verdict)
    if test["difference"] is None:
        return "There are no test pictures, so it is not shown that the repair helped."
    return _compared(verdict)


def _nothing_helped(verdict: dict[str, Any]) -> str:
    tried = [arm for arm in verdict["arms"] if arm != CONTROL]
    beat = {1: "they did not beat", 2: "neither beat"}.get(len(tried), "none beat")
    said = f"{_listed([ARM_DEEDS[arm] for arm in tried]).capitalize()} were tried for the confused classes. On "
    said += f"validation, {beat} the control, which trained equally long with nothing added."
    return said + "".join(f" {ARM_NAMES[arm]} was not tried: {why}." for arm, why in verdict["empty_arms"].items())


def _compared(verdict: dict[str, Any]) -> str:
    test, gain, word, several = verdict["test"], verdict["gain"], verdict["word"], len(verdict["seeds"]) > 1
    deed = ARM_DEEDS[verdict["chosen"]]
    same = f"of the same {plural(test['pictures'], 'test picture')}"
    control = f"against {percent(gain['before'])} after an equally long training with nothing more added"
    control += f", as the mean of {len(verdict['seeds'])} trainings of each" if several else ""
    figures = f"{percent(gain['after'])} {same} are right, {control} (the baseline: {percent(test['before'])})"
    if word == "helped":
        return f"{deed.capitalize()} helped: {figures}."
    if word == "hurt":
        return (
            f"{deed.capitalize()} hurt, although they were the best on validation: {figures}. Keep the model that was "
            "trained longer."
        )
    best = f"{deed.capitalize()} were the best on validation: {figures}."
    return best if word == "not enough to tell" else f"{best} It is not shown that the repair helped."


def doubt(verdict: dict[str, Any]) -> list[str]:
    """Returns how far the verdict can be believed, in sentences: luck, and what could not have been seen."""
    gain, word = verdict["gain"], verdict["word"]
    said = []
    if verdict["test_steers"]:
        said.append("The test pictures also steered the run, so these figures are optimistic.")
    if word == "not enough to tell":
        said.append("There is only one training of each, and another seed may differ by more: set seeds to 3 or more.")
    elif gain and gain["difference"]:
        said.append(_chance(gain, word))
    if best := verdict["best_repair"]:
        said += [_no_gain(best), _luck(best)]
    if gain and gain["interval"]:
        said.append(_luck(gain))
        if (smallest := gain["smallest_gain"]) is not None:
            if gain["before"] + smallest > 1:
                said.append("With these test pictures and seeds, hardly any gain could be shown.")
            else:
                at_least = f"{number(100 * smallest, 1)} points"
                said.append(f"A gain of {at_least} would be shown in four cases out of five, a smaller one less often.")
    elif not best and (interval_ := verdict["test"]["before_interval"]):
        over = "with other trainings" if len(verdict["seeds"]) > 1 else "with other test pictures"
        said.append(f"The baseline's test accuracy could be {interval(interval_)} {over} (95{NBSP}% interval).")
    return said


def _chance(gain: dict[str, Any], word: str) -> str:
    chance = p_value(gain["p_value"])
    if word in ("helped", "hurt"):
        return f"Chance alone rarely gives a {'gain' if word == 'helped' else 'loss'} this large ({chance})."
    if gain["p_value"] < SIGNIFICANT:
        return f"Over the pictures that is more than chance ({chance}), but it varies too much from seed to seed."
    return f"A difference of this size could be chance ({chance})."


def _no_gain(best: dict[str, Any]) -> str:
    """Returns whether the best of the repairs that did not beat the control may be better or worse than it."""
    low, high = best["seed_interval"] or best["interval"]
    over = "seeds" if best["seed_interval"] else "pictures"
    if high < 0:
        return f"The best repair did worse than the control: over {over} the whole 95{NBSP}% interval is below 0."
    if low > 0:
        return "On these test pictures the best repair did better than the control, but they decide nothing."
    return f"No gain is shown: over {over} the 95{NBSP}% interval of the difference includes 0."


def _luck(test: dict[str, Any]) -> str:
    """Returns both intervals in plain words."""
    said = f"With other test pictures the difference could be {span(test['interval'])} points"
    if test["seed_interval"]:
        said += f", with other trainings {span(test['seed_interval'])}"
    return f"{said} (95{NBSP}% interval{'s' if test['seed_interval'] else ''})."


def worth(curve: dict[str, Any]) -> str:
    """Returns which classes would gain the most from more pictures, and how many are not shown to gain.

    Args:
        curve: what `report_trainings.MorePictures` describes, with a gain of some class.
    """
    rows = [row for row in curve["classes"] if row["gain"] is not None]
    shown = [row for row in rows if row["interval"][0] > 0]
    silent = [row["name"] for row in rows if row not in shown]
    more = plural(curve["added"], "more picture")
    if not shown:
        return f"It could not be shown that {more} would add to the recall of any class."
    said = f"{more} of {shown[0]['name']} {'is' if curve['added'] == 1 else 'are'} worth about "
    said += f"{points(shown[0]['gain'])} points of its recall ({span(shown[0]['interval'])})"
    for row in shown[1:WORTH_NAMED]:
        said += f", of {row['name']} {points(row['gain'])} ({span(row['interval'])})"
    less = len(shown) - WORTH_NAMED
    rest = [f"{plural(less, 'further class', 'further classes')} would gain less"] if less > 0 else []
    if silent:
        named = _listed(silent) if len(silent) <= WORTH_NAMED else f"{len(silent)} classes"
        rest.append(f"{'for' if rest else 'For'} {named} no gain could be shown")
    return f"{said}. {'; '.join(rest)}." if rest else f"{said}."


def _listed(parts: list[str]) -> str:
    """Returns 'a, b and c'."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _within(bounds: list[float] | None, mean: str) -> str:
    if bounds is None:
        return f" ({mean.removesuffix(', ')})" if mean else ""
    return f" ({mean}95 % interval {100 * bounds[0]:.1f} to {100 * bounds[1]:.1f})"


def _plain(text: str) -> str:
    return text.replace(NBSP, " ").replace(MINUS, "-")
