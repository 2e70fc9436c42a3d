"""The workflow in real Airflow (API server, scheduler, DAG processor, triggerer) on the sample source, over REST."""

import contextlib
import csv
import io
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from fakes.waiting import PATIENCE_S
from fakes.web import FaultServer
from real_runs import CLASSES, SETTINGS, finished

from imagenet_tasks.pages.links import with_links
from imagenet_tasks.settings.classes import STUDY_CLASSES
from imagenet_tasks.workflow.graph import makes_artifact
from imagenet_tasks.workflow.run import Run
from tools.local_airflow import DAG_ID, LocalAirflow, LocalAirflowError


def test_every_task_succeeds_at_the_first_try(instances: list[dict[str, Any]]) -> None:
    done = [i for i in instances if i["state"] != "skipped"]
    assert {(i["state"], i["try_number"]) for i in done} == {("success", 1)}
    # One repair may be tried: the gate of the second says so, and what would follow it is skipped.
    later = {i["task_id"] for i in instances if i["task_id"].startswith("round_")}
    assert later - {i["task_id"] for i in instances if i["state"] == "skipped"} == {"round_2.check_accuracy"}


def test_there_is_a_mapped_task_for_each_class_and_trial(instances: list[dict[str, Any]]) -> None:
    counts = Counter(i["task_id"] for i in instances)
    assert counts["download_class"] == counts["preprocess_class"] == len(CLASSES)
    assert counts["augment_class"] == counts["collect_class"] == 2
    assert (counts["train_baseline"], counts["train_augmented"]) == (1, 3)  # longer, collect and targeted


def test_mapped_tasks_are_named_by_their_class(instances: list[dict[str, Any]]) -> None:
    names = {i["rendered_map_index"] for i in instances if i["task_id"] in ("download_class", "preprocess_class")}
    assert names == {"giant panda", "jellyfish", "acropolis", "anchor"}
    collected = {i["rendered_map_index"] for i in instances if i["task_id"] == "collect_class"}
    assert collected <= {f"{name} (collect)" for name in names} and len(collected) == 2


def test_training_ran_in_the_pool_that_the_set_up_made(airflow: LocalAirflow, instances: list[dict[str, Any]]) -> None:
    assert {i["pool"] for i in instances if i["task_id"].startswith("train_")} == {"gpu"}
    assert airflow.call("GET", "/pools/gpu")["slots"] == 1


def test_xcom_carries_small_json(airflow: LocalAirflow, run: Run) -> None:
    path = f"/dags/{DAG_ID}/dagRuns/{quote(run.run_id)}/taskInstances/evaluate_baseline/xcomEntries/return_value"
    value = airflow.call("GET", path)["value"]
    value = json.loads(value) if isinstance(value, str) else value
    assert 0 <= value["test_accuracy"] <= 1
    assert len(json.dumps(value)) < 1000


def test_each_class_got_its_pictures_and_a_record_of_each_candidate(run: Run) -> None:
    for name in CLASSES:
        class_id = next(c.class_id for c in STUDY_CLASSES if name in (c.name, c.class_id))
        lines = run.store.read_bytes(f"images/{class_id}/records.jsonl").splitlines()
        states = Counter(json.loads(line)["state"] for line in lines)
        collected = any(r["task"] == "collect_class" and class_id in r["item"] for r in run.task_records())
        assert states["accepted"] >= 40 if collected else states["accepted"] == 30
        assert len(lines) == sum(states.values())


def test_the_report_says_what_the_predictions_say(run: Run) -> None:
    index = run.store.read_json(run.key("run.json"))
    for task, figure in (("evaluate_baseline", "test_before"), ("evaluate_augmented", "test_after")):
        result = run.result_of(task)
        assert result is not None
        text = run.store.open_file(f"evaluations/{result['fingerprint']}", "predictions.csv").read_text()
        rows = [row for row in csv.DictReader(io.StringIO(text)) if row["split"] == "test"]
        assert index[figure] == pytest.approx(sum(r["true"] == r["predicted"] for r in rows) / len(rows))


def test_the_added_pictures_joined_the_training_side_alone(run: Run) -> None:
    dataset = run.result_of("build_dataset")
    augmented = run.result_of("evaluate_augmented")
    assert dataset
    assert augmented
    folder = f"models/{augmented['models'][0]['fingerprint']}"
    training = json.loads(run.store.open_file(folder, "training.json").read_bytes())
    added = 0 if augmented["models"][0]["trial"]["arm"] == "longer" else 20
    assert training["added_pictures"] == added
    assert training["training_pictures"] == dataset["train"] + added


def test_new_pictures_are_none_of_those_that_the_dataset_has(run: Run) -> None:
    dataset = run.result_of("build_dataset")
    assert dataset
    table = run.store.open_file(f"datasets/{dataset['fingerprint']}", "split.csv").read_text()
    known = {row["image_id"] for row in csv.DictReader(io.StringIO(table))}
    collected = [r["result"]["array"] for r in run.task_records() if r["task"] == "collect_class"]
    assert [array["count"] for array in collected] == [10, 10]
    for array in collected:
        ids = json.loads(run.store.open_file(f"arrays/{array['fingerprint']}", "ids.json").read_bytes())
        assert len(set(ids)) == 10 and not set(ids) & known


def test_the_task_log_shows_epochs_and_none_of_the_start_up_noise(airflow: LocalAirflow, run: Run) -> None:
    logs = list((airflow.home / "logs").rglob("*task_id=train_baseline*/**/*.log"))
    text = "".join(path.read_text() for path in logs)
    assert "epoch 2/2" in text
    assert "absl::InitializeLog" not in text
    assert "oneDNN" not in text


def test_the_report_tab_shows_the_report_to_who_is_logged_in_only(airflow: LocalAirflow, run: Run) -> None:
    view = next(
        view
        for plugin in airflow.call("GET", "/plugins")["plugins"]
        for view in plugin["external_views"]
        if view["name"] == "Report"
    )
    path = view["href"].replace("{DAG_ID}", DAG_ID).replace("{RUN_ID}", quote(run.run_id, safe=""))
    address = path if path.startswith("http") else f"{airflow.url}/{path.lstrip('/')}"
    assert requests.get(address, timeout=30).status_code == 401
    answer = airflow.get(address)
    assert answer.status_code == 200
    written = run.store.read_bytes(run.store.read_json(run.key("run.json"))["report"]).decode()
    head, body, shown = with_links(written, root="/imagenet", dag_id=DAG_ID, run_id=run.run_id).partition("<body>")
    assert answer.text.startswith(head + body) and answer.text.endswith(shown)


def note_of(airflow: LocalAirflow, run_id: str) -> Any:
    return airflow.call("GET", f"/dags/{DAG_ID}/dagRuns/{quote(run_id, safe='')}")["note"]


def percent(accuracy: float) -> str:
    return f"{100 * accuracy:.1f} %"


def test_the_note_beside_the_run_says_the_verdict(airflow: LocalAirflow, run: Run) -> None:
    index = run.store.read_json(run.key("run.json"))
    before, after = percent(index["test_before"]), percent(index["test_after"])
    control = f" (trained longer: {percent(index['test_control'])})" if index["test_control"] is not None else ""
    figures = f"{before} → {after}{control}"
    said = f"{figures} on test: {index['verdict']}."
    if index["verdict"] == "nothing helped":
        said = f"no repair beat the control (test: baseline {before}, control {after})."
    note = note_of(airflow, run.run_id)
    assert note.startswith("[Report](") and note.endswith(f": {said}")


def test_the_report_task_alone_links_to_the_report_tab(
    airflow: LocalAirflow, run: Run, instances: list[dict[str, Any]]
) -> None:
    links = {}
    for i in instances:
        path = f"/dags/{DAG_ID}/dagRuns/{quote(i['dag_run_id'], safe='')}/taskInstances/{i['task_id']}/links"
        found = airflow.call("GET", path, params={"map_index": i["map_index"]})["extra_links"]
        links |= {i["task_id"]: found} if found else {}
    routes = [
        view["url_route"]
        for plugin in airflow.call("GET", "/plugins")["plugins"]
        for view in plugin["external_views"]
        if view["name"] == "Report"
    ]
    assert routes == ["imagenet-report"]
    assert links == {"write_report": {"Report": report_tab(run)}}


def report_tab(run: Run) -> str:
    return f"dags/{DAG_ID}/runs/{quote(run.run_id, safe='')}/plugin/imagenet-report"


def told(chat: FaultServer, about: Run) -> list[str]:
    """What the chat was told of a run, in order."""
    texts = [json.loads(body)["text"] for body in chat.bodies["/hook"]]
    return [text for text in texts if about.run_id in text]


def test_a_chat_is_told_the_verdict_and_where_the_report_is(airflow: LocalAirflow, run: Run, chat: FaultServer) -> None:
    (text,) = told(chat, run)
    link, _, verdict = note_of(airflow, run.run_id).partition("): ")
    assert link.startswith("[Report](") and text.startswith(f"ImageNet: {verdict.removesuffix('.')}\n")
    assert text.endswith(f"{airflow.url}/{report_tab(run)}")


def events_of(airflow: LocalAirflow, run_id: str) -> dict[str, dict[str, Any]]:
    """Returns the extra of each asset event of a run; there is one at most per asset."""
    events = airflow.call("GET", "/assets/events", params={"source_run_id": run_id})["asset_events"]
    assert len({e["name"] for e in events}) == len(events)
    return {e["name"]: e["extra"] for e in events}


@pytest.fixture(scope="module")
def started_by_the_champion(airflow: LocalAirflow, run: Run) -> list[dict[str, Any]]:
    """The runs of the documented example, finished: until then Airflow 3.3 cannot list the event that started one."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        runs: list[dict[str, Any]] = airflow.call("GET", "/dags/serve_champion/dagRuns")["dag_runs"]
        if runs and {r["state"] for r in runs} <= {"success", "failed"}:
            return runs
        time.sleep(1)
    raise AssertionError("no run of the documented example has finished")


def test_a_new_champion_starts_the_workflow_of_the_documentation(
    airflow: LocalAirflow, run: Run, started_by_the_champion: list[dict[str, Any]]
) -> None:
    assert [(r["state"], r["run_type"]) for r in started_by_the_champion] == [("success", "asset_triggered")]
    champion, served = events_of(airflow, run.run_id)["ImageNet champion"], airflow.home.parent / "serving" / "current"
    assert json.loads((served / "champion.json").read_text()) == champion
    network = run.store.open_file(f"models/{champion['model']}", "model.keras")
    assert (served / "model.keras").read_bytes() == network.read_bytes()


@pytest.mark.usefixtures("started_by_the_champion")
def test_the_assets_events_carry_the_figures(airflow: LocalAirflow, run: Run) -> None:
    events = events_of(airflow, run.run_id)
    index, dataset = run.store.read_json(run.key("run.json")), run.result_of("build_dataset")
    link = {"run_id": run.run_id, "report": f"{airflow.url}/{report_tab(run)}"}
    assert events["ImageNet dataset"] == (dataset or {}) | link
    assert set(dataset or {}) == {"fingerprint", "classes", "train", "validation", "test", "left_out", "split_change"}
    accuracies = ("validation_before", "validation_after", "test_before", "test_after")
    figures = ("headline", "verdict", "branch", *accuracies, "unchanged_since")
    assert events["ImageNet report"] == {name: index[name] for name in figures} | link
    champion = next(iter(run.store.read_json("models/champion.json").values()))
    assert events["ImageNet champion"] == {
        "model": champion["model"]["fingerprint"],
        "trial": events["ImageNet champion"]["trial"],
        "classes": [c["class_id"] for c in champion["classes"]],
        "class_names": [c["name"] for c in champion["classes"]],
        **{name: champion[name] for name in ("validation_accuracy", "test_accuracy", "drawn")},
        **link,
    }
    assert events["ImageNet champion"]["trial"] in {
        f"{arm}-compact-seed0" for arm in ("baseline", "longer", "collect", "targeted")
    }
    assert str(airflow.imagenet_home) not in json.dumps(events)


def test_no_log_echoes_a_value_or_shows_an_error_and_the_reports_ends_with_the_headline(
    airflow: LocalAirflow, run: Run
) -> None:
    logs = list((airflow.home / "logs").rglob(f"run_id={run.run_id}/**/*.log"))
    lines = [json.loads(line) for path in logs for line in path.read_text().splitlines()]
    assert len(logs) > 15
    assert [line["event"] for line in lines if "Returned value was" in line["event"]] == []
    assert [line["event"] for line in lines if line["level"] not in ("info", "debug")] == []
    ours = [line for line in lines if line.get("task_id") == "write_report" and "imagenet_tasks" in line["logger"]]
    assert ours[-1]["event"] == run.store.read_json(run.key("run.json"))["headline"]


@pytest.mark.parametrize("classes", [["cobra"], ["../../etc", "cobra"], ["a\0b", "cobra"]])
def test_f52_the_trigger_refuses_bad_classes(airflow: LocalAirflow, classes: list[str]) -> None:
    with pytest.raises(LocalAirflowError, match="HTTP 400"):
        airflow.trigger(profile="sample", classes=classes)


def test_a_wrong_setting_fails_at_once_without_a_retry_and_a_chat_is_told_why(
    airflow: LocalAirflow, run: Run, tmp_path: Path, chat: FaultServer
) -> None:
    run_id = airflow.trigger(profile="best", source="folder", location=str(tmp_path / "absent"))
    assert finished(airflow, run_id) == "failed"
    plan = next(i for i in airflow.task_instances(run_id) if i["task_id"] == "plan_run")
    assert (plan["state"], plan["try_number"]) == ("failed", 1)
    record = next(r for r in Run(run.store, DAG_ID, run_id).task_records() if r["task"] == "plan_run")
    assert record["error"]["type"] == "ConfigError"
    assert "is not a folder" in record["error"]["message"]
    assert note_of(airflow, run_id).startswith("Check the settings: location: ")
    deadline_s = time.monotonic() + PATIENCE_S  # the DAG processor tells of it
    while not (texts := told(chat, Run(run.store, DAG_ID, run_id))) and time.monotonic() < deadline_s:
        time.sleep(1)
    assert texts[0].startswith("ImageNet: a run failed: Check the settings\nConfigError: location: ")


def test_the_note_of_a_failed_run_names_the_class_that_failed(airflow: LocalAirflow, tmp_path: Path) -> None:
    (tmp_path / "n01747885.tar").write_text("no archive")
    (tmp_path / "n01910747").mkdir()
    run_id = airflow.trigger(profile="best", source="folder", location=str(tmp_path), classes=["cobra", "jellyfish"])
    assert finished(airflow, run_id) == "failed"
    assert re.match(r"Get the pictures, cobra: .*expected a tar archive", note_of(airflow, run_id))


def answer_question(airflow: LocalAirflow, run_id: str, arms: list[str]) -> None:
    """Answers as a person does on the page *Required Actions*, and again where the question comes again.

    Airflow 3.3 takes the task for failed, and asks once more, where the answer comes before its scheduler has learned
    from the executor that the task waits: within a second, or more on a busy machine. No person is so quick.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    path = f"/dags/{DAG_ID}/dagRuns/{quote(run_id)}/taskInstances/ask_before_repair/-1/hitlDetails"
    answer = {"chosen_options": ["Repair"], "params_input": {"repairs": arms}}
    state = ""
    while state != "success":
        assert time.monotonic() < deadline_s, airflow.task_instances(run_id)
        time.sleep(3)
        state = next(i["state"] for i in airflow.task_instances(run_id) if i["task_id"] == "ask_before_repair")
        if state == "awaiting_input":
            with contextlib.suppress(LocalAirflowError):  # it has the answer already
                airflow.call("PATCH", path, json=answer)


@pytest.fixture(scope="module")
def again(airflow: LocalAirflow, run: Run) -> Run:
    """A second run with the same settings, triggered with a note, which asks before its repair; all is to be tried."""
    conf = SETTINGS | {"ask_before_repair_minutes": 60}
    order = {"logical_date": None, "conf": conf, "note": "for Monday's talk"}
    run_id = airflow.call("POST", f"/dags/{DAG_ID}/dagRuns", json=order)["dag_run_id"]
    answer_question(airflow, run_id, ["collect", "targeted"])
    assert finished(airflow, run_id) == "success"
    return Run(run.store, DAG_ID, run_id)


def test_the_same_settings_again_do_no_work(run: Run, again: Run) -> None:
    artifacts = [r for r in again.task_records() if makes_artifact(r["task"])]
    assert [r["task"] for r in artifacts if not r["reused"]] == []
    assert again.result_of("evaluate_augmented") == run.result_of("evaluate_augmented")


@pytest.mark.usefixtures("started_by_the_champion")
def test_the_same_settings_again_make_no_dataset_and_no_champion(airflow: LocalAirflow, again: Run) -> None:
    assert set(events_of(airflow, again.run_id)) == {"ImageNet report"}


def test_a_run_that_asked_before_its_repair_says_who_answered_what(again: Run, chat: FaultServer) -> None:
    assert again.store.read_json(again.key("decision.json"))["why"].endswith("; admin chose all arms")
    question, *_, verdict = told(chat, again)
    assert "repair 2 classes?" in question and question.endswith("/tasks/ask_before_repair/required_actions")
    assert "on test: " in verdict or "no repair beat the control (test: " in verdict


def test_a_note_that_a_person_gave_a_run_stays(airflow: LocalAirflow, again: Run) -> None:
    assert note_of(airflow, again.run_id) == "for Monday's talk"
