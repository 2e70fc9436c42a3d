"""What the trigger form says of its fields: their order, their words, and what each profile takes for an empty one."""

from typing import Any

import pytest
from imagenet_fields import (
    ARM_WORDS,
    MODEL_WORDS,
    POLICY_WORDS,
    SOURCE_WORDS,
    STEP_WORDS,
    STRATEGY_WORDS,
    default_of,
)

from imagenet_tasks.settings import config
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.settings.training import ARMS, MODELS


def schema_of(dag: Any, name: str) -> dict[str, Any]:
    schema: dict[str, Any] = dag.params.get_param(name).schema
    return schema


def test_the_section_that_is_open_has_what_a_first_run_needs(dag: Any) -> None:
    sections = {name: schema_of(dag, name)["section"] for name in dag.params}
    first = next(iter(sections.values()))
    assert [name for name, section in sections.items() if section == first] == [
        "profile", "source", "location", "accept_imagenet_terms", "classes",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (SOURCE_WORDS, config.SOURCES),
        (MODEL_WORDS, MODELS),
        (STRATEGY_WORDS, config.STRATEGIES),
        (POLICY_WORDS, config.POLICIES),
        (STEP_WORDS, config.FORCE_FROM[1:]),
        ({"longer": "", "targeted": ""} | ARM_WORDS, ARMS),  # which are there always
    ],
)
def test_each_value_of_a_menu_has_words(words: dict[str, str], values: tuple[str, ...]) -> None:
    assert set(words) == set(values)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ((1, 1, 1, 1), "1"),
        ((1, 3, 1, 1), "3 with b, else 1"),
        ((3, 1, 1, 3), "3 with a and d, else 1"),
        ((3, 2, 1, 1), "3 with a, 2 with b, else 1"),
    ],
)
def test_a_default_is_said_as_the_profiles_have_it(
    monkeypatch: pytest.MonkeyPatch, seeds: tuple[int, ...], said: str
) -> None:
    profiles = {name: make_config("best", {"seeds": n}) for name, n in zip("abcd", seeds, strict=True)}
    monkeypatch.setattr("imagenet_fields.PROFILES", profiles)
    assert default_of("seeds", {}) == said


def test_a_default_without_a_value_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imagenet_fields.PROFILES", {"a": make_config("best")})
    assert default_of("epochs", {None: "the model's own"}) == "the model's own"
    assert default_of("arms", " and ".join) == "longer and collect and collect-all and targeted"


@pytest.mark.parametrize("name", ["images_per_class", "seeds", "epochs", "arms", "rounds", "learning_curve", "classes"])
def test_a_field_says_what_it_takes_where_it_is_empty(dag: Any, name: str) -> None:
    assert "**Default: " in schema_of(dag, name)["description_md"]


@pytest.mark.parametrize("name", ["source", "model", "strategy", "policy"])
def test_the_empty_choice_of_a_menu_says_what_it_takes(dag: Any, name: str) -> None:
    assert schema_of(dag, name)["values_display"]["null"].startswith("Default: ")


@pytest.mark.parametrize(
    "words", ["source *your own*", "*Do again from*", "*Trigger again with this config*", "has the command"]
)
def test_the_text_above_the_graph_says_what_to_do_first(dag: Any, words: str) -> None:
    title, first = dag.doc_md.strip().split("\n\n")[:2]
    assert title.startswith("### ") and words in first
