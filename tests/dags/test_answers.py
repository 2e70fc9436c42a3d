"""What the question before a repair makes of an answer, by Airflow's own operator."""

import contextlib
from datetime import UTC, datetime
from typing import Any

import imagenet_ask
import pytest

from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run


@pytest.fixture
def run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose gate went on to the repair."""
    run = Run(Store(tmp_path), "imagenet_targeted_augmentation", "run")
    run.write_config(make_config("sample", {"arms": ["collect"], "ask_before_repair_minutes": 5}))
    with run.task("check_accuracy") as record:
        decision = Decision(branch="augment", validation_accuracy=0.3, accuracy_goal=0.5, why="below the goal")
        record["result"] = decision.as_dict()
    monkeypatch.setattr(imagenet_ask, "current_run", lambda: contextlib.nullcontext(run))
    return run


def answered(dag: Any, option: str, arms: list[str] | None, by: dict[str, str] | None) -> Any:
    """What the task of the DAG hands on after an answer, as Airflow brings it."""
    event = {
        "chosen_options": [option], "params_input": {} if arms is None else {imagenet_ask.FIELD: arms},
        "responded_by_user": by,
        "responded_at": datetime.now(UTC), "timedout": by is None,
    }  # fmt: skip
    return dag.get_task("ask_before_repair").execute_complete({}, event)


@pytest.mark.usefixtures("run")
def test_the_repairs_that_a_person_chose_are_handed_on(dag: Any) -> None:
    decision = answered(dag, imagenet_ask.REPAIR, ["collect"], {"id": "7", "name": "vera"})
    assert decision["arms"] == ["collect"] and decision["why"] == "below the goal; vera chose collect"


@pytest.mark.usefixtures("run")
def test_an_answer_without_the_field_as_over_the_api_takes_all_repairs(dag: Any) -> None:
    decision = answered(dag, imagenet_ask.REPAIR, None, {"id": "7", "name": "vera"})
    assert decision["branch"] == "augment" and decision["why"].endswith("; vera chose all arms")


def test_a_no_skips_what_follows(dag: Any, run: Run) -> None:
    from airflow.sdk.exceptions import AirflowSkipException

    with pytest.raises(AirflowSkipException, match="vera decided against a repair"):
        answered(dag, imagenet_ask.NO_REPAIR, ["collect"], {"id": "7", "name": "vera"})
    assert run.store.read_json(run.key("decision.json"))["branch"] == "report"


@pytest.mark.usefixtures("run")
def test_without_an_answer_all_is_tried(dag: Any) -> None:
    decision = answered(dag, imagenet_ask.REPAIR, ["collect", "targeted"], None)
    assert decision["branch"] == "augment" and decision["arms"] == []


def test_an_answer_that_names_no_repair_of_ours_is_refused(dag: Any, run: Run) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        answered(dag, imagenet_ask.REPAIR, ["../../x"], {"id": "7", "name": "vera"})
    assert run.result_of("ask_before_repair") is None
