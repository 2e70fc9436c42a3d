"""What a field of the trigger form is made of: its value's words, and what each profile takes where it is empty."""

from collections.abc import Callable, Mapping
from typing import Any

from airflow.sdk import Param

from imagenet_tasks.settings.config import FORCE_FROM
from imagenet_tasks.settings.profiles import PROFILES, setting_names
from imagenet_tasks.settings.training import ARM_GLOSSES, ARMS, CONTROL, STUDY_EPOCHS
from imagenet_tasks.workflow.graph import TASKS

BOUNDS = {"minimum", "maximum", "exclusiveMinimum"}
Field = Callable[[str, str], Param]  # made of its name and section
Words = Mapping[Any, str] | Callable[[Any], str]  # what people read of a setting's value, where it is not the value

SOURCE_WORDS = {
    "sample": "drawn by the program",
    "folder": "your own",
    "synset-archives": "ImageNet's archive of each class",
    "url-list": "from the addresses in ImageNet's list of URLs",
}
MODEL_WORDS = {"compact": "small and fast"} | {
    name: f"the study's, {epochs} epochs" for name, epochs in STUDY_EPOCHS.items()
}
STRATEGY_WORDS = {
    "recall": "the lowest recall, judged by its interval",
    "confused": "the largest share of all confusions",
    "correlated": "the worst, and those that they are confused with",
    "manual": "those named below",
}
POLICY_WORDS = {
    "study": "rotation, zoom crop, flips",
    "colour": "these, and brightness, contrast, saturation",
    "trivial": "one random change of random strength",
}
ARM_WORDS = {arm: ARM_GLOSSES[arm] for arm in ARMS if arm not in (CONTROL, "targeted")}  # those are always there
STEP_WORDS = {step: next(task.label for task in TASKS if task.step == step) for step in FORCE_FROM if step}


def field(
    kind: str,
    title: str,
    help_text: str,
    *,
    words: Words | None = None,
    choices: Mapping[str, str] | None = None,
    **schema: Any,
) -> Field:
    """Returns a field that is empty by default, which means "as the profile says"; the form says what that is.

    A number's bounds are out of the form's sight: what is typed beyond them it would change to them without a word.

    Args:
        kind: the type of its value.
        title: its name for people.
        help_text: what it does.
        words: of the values that profiles have; None for a setting that none has.
        choices: the values to choose from, with what people read of each.
        **schema: what else its value must be.
    """
    if bounds := {name: schema.pop(name) for name in BOUNDS & schema.keys()}:
        schema["allOf"] = [bounds]

    def made(name: str, section: str) -> Param:
        default = "" if words is None else f"Default: {default_of(name, words)}"
        shown, said = dict(schema), f"{help_text}  \n**{default}.**" if default else help_text
        if choices and kind == "array":
            shown |= {"examples": list(choices), "values_display": menu(choices)}
        elif choices:
            said = help_text
            shown |= {"enum": [None, *choices], "values_display": menu(choices) | {"null": default}}
        return Param(None, type=["null", kind], title=title, section=section, description_md=said, **shown)

    return made


def menu(words: Mapping[str, str]) -> dict[str, str]:
    """Returns what a menu shows of values: each with its words."""
    return {value: f"{value}: {said}" for value, said in words.items()}


def default_of(name: str, words: Words) -> str:
    """Returns what the profiles have for a setting, such as '3 with sample and best, else 1'."""
    stage, said = setting_names()[name], dict[str, list[str]]()
    for profile, config in PROFILES.items():
        value = getattr(getattr(config, stage) if stage else config, name)
        text = words(value) if callable(words) else words.get(value, str(value))
        said.setdefault(text, []).append(profile)
    *others, (most, _) = sorted(said.items(), key=lambda item: len(item[1]))
    texts = [f"{text} with {' and '.join(profiles)}" for text, profiles in others]
    return ", ".join([*texts, f"else {most}" if others else most])
