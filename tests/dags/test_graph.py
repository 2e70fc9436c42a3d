"""The DAG's structure, and what reading it costs."""

import copy
import inspect
import os
import re
import runpy
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import imagenet_given
import pytest

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.settings.config import to_json
from imagenet_tasks.settings.training import MAX_ROUNDS
from imagenet_tasks.tasks.runner import function_of
from imagenet_tasks.workflow import graph

DAG_ID = "imagenet_targeted_augmentation"
REPOSITORY = Path(__file__).parent.parent.parent
TABLE = {task_id: (task, number) for task_id, task, number in graph.all_task_ids()}


def id_in(name: str, number: int) -> str:
    return graph.task_id(name, number) if graph.find_task(name).is_repair else name


def sources(taken: graph.Taken, number: int) -> set[str]:
    """The tasks whose values a parameter takes."""
    if taken.how == "previous":
        return {graph.task_id(graph.REPAIR_EVALUATION, number - 1) if number > 1 else graph.BASELINE_EVALUATION}
    return {id_in(taken.task, number)}


def test_the_dag_has_the_tasks_of_the_table_in_its_order(dag: Any) -> None:
    assert set(dag.task_ids) == set(TABLE)
    order = [task.task_id for task in dag.topological_sort()]
    for task_id, (task, number) in TABLE.items():
        for name in task.after:
            assert order.index(id_in(name, number)) < order.index(task_id)


@pytest.mark.parametrize("task_id", TABLE)
def test_a_task_of_the_dag_takes_what_the_table_says_and_waits_for_no_other(dag: Any, task_id: str) -> None:
    task, number = TABLE[task_id]
    expected = {source for taken in task.takes.values() for source in sources(taken, number)}
    expected |= {id_in(name, number) for name in task.after}
    if task.name == graph.END:  # it follows each gate, and the last repair, behind which there is none
        expected |= {graph.task_id(graph.GATE, n) for n in range(1, MAX_ROUNDS + 1)}
        expected |= {graph.task_id(graph.REPAIR_EVALUATION, MAX_ROUNDS)}
    assert dag.get_task(task_id).upstream_task_ids == expected


@pytest.mark.parametrize("task_id", TABLE)
def test_a_task_of_the_dag_maps_over_what_the_table_says_and_is_named_by_it(dag: Any, task_id: str) -> None:
    (task, _), found = TABLE[task_id], dag.get_task(task_id)
    assert found.is_mapped is (task.mapped_over is not None)
    if found.is_mapped:
        assert set(found.op_kwargs_expand_input.value) == {task.mapped_over}
        assert set(found.partial_kwargs["op_kwargs"]) == set(task.takes) - {task.mapped_over}
        assert f"['{task.mapped_over}']" in found.map_index_template
    elif task.name == graph.ASK:  # an operator of Airflow's own, which is given nothing
        assert not task.takes
    else:
        assert set(found.op_kwargs) <= set(task.takes)
        assert len(found.op_args) + len(found.op_kwargs) == len(task.takes)


@pytest.mark.parametrize("task_id", TABLE)
def test_a_task_is_called_as_the_table_says_in_words_that_fit_on_its_node(dag: Any, task_id: str) -> None:
    label = TABLE[task_id][0].label  # without the round: the group around it is called by that
    assert dag.get_task(task_id).task_display_name == label and len(label) <= 24


def test_while_its_groups_are_closed_the_graph_is_one_line_with_the_repair_and_the_tuning_beside_it(dag: Any) -> None:
    """As it opens in Airflow; each further edge would cross it."""

    def seen(task_id: str) -> str:
        group = dag.get_task(task_id).task_group
        while group.parent_group and not group.parent_group.is_root:
            group = group.parent_group
        return str(group.label or task_id)

    edges = {(seen(task.task_id), seen(below)) for task in dag.tasks for below in task.downstream_task_ids}
    assert {edge for edge in edges if len(set(edge)) > 1} == {
        ("Pictures", "Baseline"),
        ("Baseline", "check_accuracy"),
        ("check_accuracy", "Repair"),
        ("check_accuracy", "Final model"),
        ("Repair", "Final model"),
        ("Final model", "write_report"),
        ("Pictures", "Tuning"),
        ("Tuning", "write_report"),
    }


def test_further_repairs_lie_in_a_group_of_their_own(dag: Any) -> None:
    groups = dag.task_group.get_task_group_dict()
    assert [groups[f"round_{n}"].label for n in (2, 3)] == ["Repair 2", "Repair 3"]
    assert set(groups["further_repairs"].children) == {"round_2", "round_3"}
    assert groups["further_repairs"].parent_group.label == "Repair"


def test_only_what_trains_goes_to_the_gpu_queue_and_pool(dag: Any) -> None:
    training = {task_id for task_id, (task, _) in TABLE.items() if task.trains}
    assert {t.task_id for t in dag.tasks if t.queue == "gpu"} == training
    assert {t.task_id for t in dag.tasks if t.pool == "gpu"} == training


def test_the_command_line_calls_each_task_with_what_the_table_says() -> None:
    """As the DAG does: so the two cannot drift apart."""
    for task in graph.TASKS:
        parameters = list(inspect.signature(function_of(task.name)).parameters)
        assert parameters[0] == "run"
        assert set(task.takes) <= set(parameters), task.name


def test_airflow_parses_one_file_of_the_folder() -> None:
    from airflow.utils.file import list_py_file_paths

    assert [Path(path).name for path in list_py_file_paths(REPOSITORY / "dags")] == [f"{DAG_ID}.py"]


def test_every_task_has_a_time_limit_a_doc_and_retries_with_growing_pauses(dag: Any) -> None:
    for task in dag.tasks:
        assert isinstance(task.execution_timeout, timedelta), task.task_id
        assert task.doc_md, task.task_id
        assert task.retries == 3, task.task_id
        assert task.retry_exponential_backoff == 2.0, task.task_id


@pytest.mark.parametrize("name", ["ConfigError", "DataError", "TooFewImages", "ArtifactError", "NonFiniteLoss"])
def test_what_retrying_cannot_help_fails_at_once(dag: Any, name: str) -> None:
    from imagenet_tasks import errors

    decision = dag.get_task("plan_run").retry_policy.evaluate(getattr(errors, name)("x"), 1, 3)
    assert decision.action.value == "fail"


@pytest.mark.parametrize("name", ["SourceUnavailable", "OutOfSpace", "TrainingError"])
def test_what_may_pass_is_tried_again(dag: Any, name: str) -> None:
    from imagenet_tasks import errors

    decision = dag.get_task("download_class").retry_policy.evaluate(getattr(errors, name)("x"), 1, 3)
    assert decision.action.value != "fail"


def test_the_report_is_written_on_both_branches_and_where_all_before_it_was_skipped(dag: Any) -> None:
    assert dag.get_task(graph.END).trigger_rule == "none_failed_min_one_success"
    assert dag.get_task(graph.REPORT).trigger_rule == "none_failed"


def test_a_tuning_that_fails_costs_no_report(dag: Any) -> None:
    """What chooses follows one that is done or failed; of one that was not asked for it is skipped, as that is."""
    assert dag.get_task("choose_settings").trigger_rule == "one_done"
    assert dag.get_task("tune").downstream_task_ids == {"choose_settings"}


def test_the_report_calls_tuned_settings_as_the_form_does(dag: Any) -> None:
    from imagenet_tasks.report.wording import TUNED_FIELDS

    assert {name: dag.params.get_param(name).schema["title"] for name in TUNED_FIELDS} == TUNED_FIELDS


def test_the_report_alone_has_a_link(dag: Any) -> None:
    assert {t.task_id: [link.name for link in t.operator_extra_links] for t in dag.tasks if t.operator_extra_links} == {
        "write_report": ["Report"]
    }


@pytest.mark.parametrize(
    ("run_id", "quoted"),
    [
        ("manual__2026-11-25T02:37:53.009965+00:00", "manual__2026-11-25T02%3A37%3A53.009965%2B00%3A00"),
        ("a b/../c?d#e", "a%20b%2F..%2Fc%3Fd%23e"),
    ],
)
def test_the_link_leads_to_the_runs_tab_and_follows_airflow_below_a_prefix(dag: Any, run_id: str, quoted: str) -> None:
    task = dag.get_task("write_report")
    link = task.operator_extra_links[0].get_link(task, ti_key=SimpleNamespace(dag_id=dag.dag_id, run_id=run_id))
    assert link == f"dags/{dag.dag_id}/runs/{quoted}/plugin/imagenet-report"


def test_the_assets_of_dataset_and_champion_have_events_through_an_alias_alone(dag: Any) -> None:
    outlets = {t.task_id: {(type(o).__name__, o.name) for o in t.outlets} for t in dag.tasks if t.outlets}
    assert outlets == {
        "build_dataset": {("AssetAlias", "New ImageNet dataset")},
        "write_report": {("Asset", "ImageNet report"), ("AssetAlias", "New ImageNet champion")},
    }


def test_no_task_echoes_its_value_into_its_log(dag: Any) -> None:
    assert dag.default_args["show_return_value_in_logs"] is False
    assert [t.task_id for t in dag.tasks if getattr(t, "show_return_value_in_logs", False)] == []


def test_the_runs_note_is_kept_for_this_workflow(dag: Any) -> None:
    import imagenet_run_note

    assert dag.dag_id == imagenet_run_note.DAG_ID


def test_it_does_not_catch_up_and_two_runs_may_go_on_at_once(dag: Any) -> None:
    assert dag.catchup is False
    assert dag.max_active_runs == 2


YOURS = {"IMAGENET_PROFILE": "best", "IMAGENET_LOCATION": "/pictures"}
WEEKLY = "0 0 * * 0"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"IMAGENET_SCHEDULE": ""}, None),
        ({"IMAGENET_PROFILE": "best"}, None),  # of which pictures?
        ({"IMAGENET_LOCATION": "/pictures"}, None),  # the profile draws its own
        (YOURS, WEEKLY),
        (YOURS | {"IMAGENET_SCHEDULE": " "}, WEEKLY),
        (YOURS | {"IMAGENET_SCHEDULE": "None"}, None),
        (YOURS | {"IMAGENET_SCHEDULE": "30 4 * * 1"}, "30 4 * * 1"),
        ({"IMAGENET_SCHEDULE": "@weekly"}, WEEKLY),
    ],
)
def test_it_runs_weekly_where_the_environment_names_pictures_and_else_only_by_a_schedule_that_it_sets(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str | None
) -> None:
    for name in ("IMAGENET_SCHEDULE", *YOURS):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "imagenet_form", raising=False)  # which is read again, too
    assert getattr(read_dag_file()[DAG_ID]().timetable, "expression", None) == expected


@pytest.mark.parametrize("value", ["many", "0", "-1", "1.5"])
def test_a_wrong_number_of_runs_at_once_is_said_by_its_name(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("IMAGENET_MAX_ACTIVE_RUNS", value)
    said = f"IMAGENET_MAX_ACTIVE_RUNS: expected a number of runs, 1 or more, received {value!r}"
    with pytest.raises(ConfigError, match=re.escape(said)):
        read_dag_file()


def read_dag_file() -> dict[str, Any]:
    """Runs the DAG file once more, in the environment of now; returns its names."""
    return runpy.run_path(str(REPOSITORY / "dags" / f"{DAG_ID}.py"))


def test_all_overrides_of_the_form_are_settings_and_empty_by_default(dag: Any) -> None:
    from imagenet_tasks.settings.profiles import PROFILES, make_config

    params = dict(dag.params)
    assert params.pop("profile") in PROFILES
    assert params.pop("accept_imagenet_terms") is False
    assert set(params.values()) == {None}
    assert make_config("seed", params) == PROFILES["seed"]


def test_every_field_of_the_form_has_a_title_a_section_and_help(dag: Any) -> None:
    for name in dag.params:
        schema = dag.params.get_param(name).schema
        assert schema["title"], name
        assert schema["section"], name
        assert schema["description_md"].strip(), name


def resolved(dag: Any, name: str, value: Any) -> Any:
    """What the trigger makes of a field's value; the DAG, which other tests read, stays as it is."""
    return copy.deepcopy(dag.params.get_param(name)).resolve(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("classes", ["cobra"]),
        ("classes", []),
        ("classes", ["cobra", "cobra"]),
        ("classes", ["", "cobra"]),
        ("classes", ["x" * 256, "cobra"]),
        ("classes", ["a\0b", "cobra"]),
        ("classes", ["../../etc", "cobra"]),
        ("profile", "nonsense"),
        ("epochs", 0),
        ("accuracy_goal", 41),
        ("images_per_class", "many"),
        ("source", "ftp"),
        ("seeds", 0),
        ("rounds", 4),
        ("label_check_folds", 1),
        ("train_minutes", 0),
        ("final_models", -1),
        ("min_classes", 1),
        ("tune_candidates", 1),
        ("learning_rate", 0),
        ("arms", ["placebo"]),
        ("arms", ["targeted", "targeted"]),
        ("strategy", "dice"),
        ("augment_classes", ["../../etc"]),
        ("denied_transforms", ["acropolis"]),
        ("more_settings", ["epochs"]),
        ("more_settings", ["7"]),
    ],
)
def test_f52_the_form_refuses_what_cannot_be_run(dag: Any, name: str, value: Any) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        resolved(dag, name, value)


@pytest.mark.parametrize(
    "name", ["min_classes", "tune_candidates", "label_check_folds", "final_models", "early_stopping_patience", "seed"]
)
def test_a_number_of_which_0_means_something_takes_it(dag: Any, name: str) -> None:
    assert resolved(dag, name, 0) == 0


def test_the_form_changes_no_number_to_a_bound(dag: Any) -> None:
    """Airflow's page does that with what is typed beyond `minimum` and `maximum`, without a word."""
    schemas = {name: dag.params.get_param(name).schema for name in dag.params}
    assert [name for name, schema in schemas.items() if {"minimum", "maximum"} & schema.keys()] == []
    assert sum("allOf" in schema for schema in schemas.values()) > 15


@pytest.mark.parametrize(
    "text",
    ["n02510455", "N02510455", "giant panda", "on/off switch", "dead-man's float", ".22", "Mo_1", "猫", "a, b (c)"],
)
def test_the_form_takes_wnids_names_of_wordnet_and_folders(dag: Any, text: str) -> None:
    assert resolved(dag, "classes", [text, "cobra"]) == [text, "cobra"]


def overrides_of(dag: Any, monkeypatch: pytest.MonkeyPatch, **given: Any) -> dict[str, Any]:
    """What a run with these fields of the form, or keys of its conf, is started with."""
    monkeypatch.setenv("IMAGENET_LOCATION", "/pictures")
    monkeypatch.setenv("IMAGENET_ALLOWED_PRIVATE_HOSTS", "mirror:8080")
    _, overrides = imagenet_given.overrides(dict(dag.params) | given)
    found: dict[str, Any] = overrides
    return found


@pytest.mark.parametrize("source", [None, "sample", "folder", "url-list"])
def test_who_triggers_a_run_lets_in_no_private_host(dag: Any, monkeypatch: pytest.MonkeyPatch, source: Any) -> None:
    assert overrides_of(dag, monkeypatch, source=source)["allowed_private_hosts"] == "mirror:8080"
    for given in ({"allowed_private_hosts": ["10.0.0.1"]}, {"more_settings": ["allowed_private_hosts=10.0.0.1"]}):
        with pytest.raises(ConfigError, match=r"^allowed_private_hosts: for who runs Airflow to say"):
            overrides_of(dag, monkeypatch, source=source, **given)


@pytest.mark.parametrize(
    ("source", "location"), [("folder", "/pictures"), ("url-list", None), ("synset-archives", None), ("sample", None)]
)
def test_the_environments_folder_is_for_runs_of_a_folder_alone(
    dag: Any, monkeypatch: pytest.MonkeyPatch, source: str, location: str | None
) -> None:
    assert overrides_of(dag, monkeypatch, source=source)["location"] == location


@pytest.mark.parametrize(
    ("given", "scheduled", "asks", "skips"),
    [
        ({}, True, True, True),
        ({}, False, None, None),
        ({"drift_check": False}, True, False, None),
        ({"drift_check": True}, False, True, None),
        ({"skip_if_holds": False}, True, True, False),
    ],
)
def test_scheduled_runs_ask_the_champion_and_train_where_it_does_not_hold_unless_the_form_says_otherwise(
    dag: Any, given: dict[str, bool], scheduled: bool, asks: bool | None, skips: bool | None
) -> None:
    _, overrides = imagenet_given.overrides(dict(dag.params) | given, scheduled=scheduled)
    assert (overrides["drift_check"], overrides["skip_if_holds"]) == (asks, skips)


def test_who_runs_airflow_can_let_scheduled_runs_train_each_time(dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGENET_SKIP_IF_HOLDS", "no")
    _, overrides = imagenet_given.overrides(dict(dag.params), scheduled=True)
    assert (overrides["drift_check"], overrides["skip_if_holds"]) == (True, False)
    monkeypatch.setenv("IMAGENET_SKIP_IF_HOLDS", "flase")
    with pytest.raises(ConfigError, match="IMAGENET_SKIP_IF_HOLDS: expected yes or no, received 'flase'"):
        imagenet_given.overrides(dict(dag.params), scheduled=True)


def test_settings_without_a_field_are_given_one_a_line(dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = overrides_of(dag, monkeypatch, profile="best", more_settings=[" batch_size = 32", "rows_px=64"])
    assert (given["batch_size"], given["rows_px"]) == ("32", "64") and "more_settings" not in given
    with pytest.raises(ConfigError, match="more_settings: epochs stands in a field of its own, too"):
        overrides_of(dag, monkeypatch, epochs=3, more_settings=["epochs=4"])
    with pytest.raises(ConfigError, match=r"more_settings: epochs: expected name=value"):
        overrides_of(dag, monkeypatch, more_settings=["epochs"])


def test_a_list_of_the_profile_is_emptied_by_a_line_without_a_value(dag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from imagenet_tasks.settings.profiles import make_config

    for given in ({"more_settings": ["denied_transforms=", ""]}, {"denied_transforms": []}):
        overrides = overrides_of(dag, monkeypatch, profile="best", **given)
        assert make_config("best", overrides).augment.denied_transforms == ()


def test_another_runs_settings_are_pasted_and_what_is_filled_in_is_changed_in_them(
    dag: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imagenet_tasks.settings.profiles import make_config, shared_settings

    settings = {"source": "folder", "location": "/elsewhere", "classes": ["cow", "dog"], "batch_size": 16}
    wanted = make_config("study", settings | {"arms": [], "accept_imagenet_terms": True})
    lines = resolved(dag, "more_settings", ["", *shared_settings(wanted).splitlines(), ""])
    profile, overrides = pasted(dag, monkeypatch, more_settings=lines)
    assert make_config(profile, overrides | {"allowed_private_hosts": None}) == wanted
    assert make_config(*pasted(dag, monkeypatch, more_settings=lines, epochs=7)).train.epochs == 7
    whole = resolved(dag, "more_settings", to_json(wanted).splitlines())
    assert make_config(*pasted(dag, monkeypatch, more_settings=whole)).train == wanted.train


def pasted(dag: Any, monkeypatch: pytest.MonkeyPatch, **given: Any) -> tuple[str, dict[str, Any]]:
    monkeypatch.setenv("IMAGENET_LOCATION", "/pictures")
    found: tuple[str, dict[str, Any]] = imagenet_given.overrides(dict(dag.params) | given)
    return found


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["{", '"epochs": 3'], "more_settings: expected JSON such as"),
        (['{"allowed_private_hosts": ["10.0.0.1"]}'], "allowed_private_hosts: for who runs Airflow to say"),
        (['{"profile": "thesis"}'], "profile: 'thesis' does not exist"),
        (['{"profile": ["best"]}'], "profile: .'best'. does not exist"),
        (['{"epoch": 3}'], "epoch: no such setting; did you mean epochs"),
        (['{"download": 3}'], "download: no such setting"),
        (['{"classes": {"a": 1}}'], "classes: expected a list"),
        (['{"denied_transforms": 3}'], "denied_transforms: expected a list"),
        (['{"source": []}'], "download.source: "),
        (['{"batch_size": null}'], "train.batch_size: .*received ''"),
    ],
)
def test_what_is_pasted_and_cannot_be_is_said(
    dag: Any, monkeypatch: pytest.MonkeyPatch, lines: list[str], said: str
) -> None:
    from imagenet_tasks.settings.profiles import make_config

    with pytest.raises(ConfigError, match=said):
        make_config(*pasted(dag, monkeypatch, more_settings=lines))


def test_f50_reading_the_dag_file_imports_nothing_heavy() -> None:
    heavy = ["keras", "tensorflow", "numpy", "PIL", "sklearn", "scipy", "matplotlib", "requests", "kubernetes"]
    before = "import sys, airflow.sdk; before = set(sys.modules); import imagenet_targeted_augmentation"
    code = f"{before}; print('heavy', [m for m in {heavy} if m in set(sys.modules) - before])"
    environment = os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{REPOSITORY / 'dags'}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert "heavy []" in done.stdout, done.stderr
