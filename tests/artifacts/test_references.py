"""A run's folder: its settings, and what its tasks say of themselves."""

import contextlib
import json

import pytest

from imagenet_tasks.artifacts.references import ClassArray, Evaluation, TrainedModel, Trial
from imagenet_tasks.errors import ArtifactError, ConfigError, DataError
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run

TRIAL = Trial(model="compact", seed=3, arm="targeted", dataset="d")


@pytest.fixture
def run(tmp_path):
    return Run(Store(tmp_path), "my_dag", "manual__2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize("dag_id", ["", "..", ".hidden", "a/b", "a b", "a\0", "a\n", "é", "x" * 202, "<b>"])
def test_a_dag_id_that_cannot_name_a_folder_is_refused(tmp_path, dag_id):
    with pytest.raises(ConfigError, match="dag_id"):
        Run(Store(tmp_path), dag_id, "r")


@pytest.mark.parametrize("run_id", ["..", "../../x", "/etc", "a\0b", "x" * 250, "", "é\ud800", "A", "a"])
def test_f35_any_run_id_has_a_folder_directly_below_its_workflow(tmp_path, run_id):
    run = Run(Store(tmp_path), "my_dag", run_id)
    run.store.write_bytes(run.key("x"), b"x")
    assert [p.name for p in (tmp_path / "runs" / "my_dag").iterdir()] == [run.run_key]
    assert len(run.run_key) <= 80


def test_settings_survive_being_written(run):
    config = make_config("seed", {"classes": "cobra, Motorbikes", "accuracy_goal": 0.25})
    run.write_config(config)
    assert run.config == config


def test_a_run_without_settings_says_so(run):
    with pytest.raises(ArtifactError, match=r"config\.json"):
        _ = run.config


def test_a_task_is_recorded_as_running_while_it_runs(run):
    with run.task("train_baseline", "a-trial"):
        assert [(r["task"], r["item"], r["state"]) for r in run.task_records()] == [
            ("train_baseline", "a-trial", "running")
        ]


def test_a_task_that_succeeds_is_recorded_with_what_it_hands_on(run):
    with run.task("build_dataset") as record:
        record["result"], record["reused"] = {"fingerprint": "f"}, True
    (written,) = run.task_records()
    assert (written["state"], written["result"], written["reused"], written["error"]) == (
        "success",
        {"fingerprint": "f"},
        True,
        None,
    )
    assert written["seconds"] >= 0
    assert run.result_of("build_dataset") == {"fingerprint": "f"}


@pytest.mark.parametrize("error", [DataError("too few"), KeyboardInterrupt("stop")])
def test_a_task_that_fails_is_recorded_with_its_error_and_hands_nothing_on(run, error):
    with pytest.raises(type(error)), run.task("build_dataset"):
        raise error
    (written,) = run.task_records()
    assert (written["state"], written["error"]) == ("failed", {"type": type(error).__name__, "message": str(error)})
    assert run.result_of("build_dataset") is None


SECRETS = [
    ("https://me:word@host/x", "https://***@host/x"),
    ("GET https://host/x?sig=word: 403", "GET https://host/x?*** 403"),
    ("'https://host/x?sig=word'", "'https://host/x?***'"),
    ("s3://key:word@bucket/a and abfs://c/b?sas=word", "s3://***@bucket/a and abfs://c/b?***"),
]


@pytest.mark.parametrize(("said", "written"), SECRETS)
def test_a_failed_tasks_record_hides_secrets(run, said, written):
    with pytest.raises(OSError, match="word"), run.task("download_class", "n1"):
        raise OSError(said)
    (record,) = run.task_records()
    assert record["error"] == {"type": "OSError", "message": written}
    assert b"word" not in run.store.read_bytes(run.key("tasks/download_class.n1.json"))


def test_an_old_attempt_that_fails_late_does_not_hide_what_a_newer_one_did(run):
    with pytest.raises(DataError), run.task("build_dataset"):
        with run.task("build_dataset") as newer:
            newer["result"] = 2
        raise DataError("given up")
    (written,) = run.task_records()
    assert (written["state"], written["result"], written["error"]) == ("success", 2, None)
    assert run.result_of("build_dataset") == 2


def test_an_old_attempt_that_fails_late_does_not_hide_that_a_newer_one_runs(run):
    with contextlib.ExitStack() as newer:
        with pytest.raises(DataError), run.task("build_dataset"):
            record = newer.enter_context(run.task("build_dataset"))
            raise DataError("given up")
        assert [(r["state"], r["attempt"]) for r in run.task_records()] == [("running", record["attempt"])]
        record["result"] = 2
    assert run.result_of("build_dataset") == 2


def test_an_old_attempt_that_fails_late_does_not_hide_how_a_newer_one_failed(run):
    with pytest.raises(DataError, match="old"), run.task("build_dataset"):
        with pytest.raises(DataError, match="newer"), run.task("build_dataset"):
            raise DataError("newer")
        raise DataError("old")
    assert [r["error"]["message"] for r in run.task_records()] == ["newer"]


def test_an_attempt_that_succeeds_is_on_record_although_a_newer_one_began(run):
    with run.task("build_dataset") as old, contextlib.ExitStack() as newer:
        newer.enter_context(run.task("build_dataset"))
        with pytest.raises(DataError), newer.pop_all():
            raise DataError("newer")
        old["result"] = 1
    assert [(r["state"], r["result"]) for r in run.task_records()] == [("success", 1)]


def test_the_last_attempt_of_a_task_is_the_one_on_record(run):
    with pytest.raises(DataError), run.task("build_dataset"):
        raise DataError("first")
    with run.task("build_dataset") as record:
        record["result"] = 2
    assert [r["state"] for r in run.task_records()] == ["success"]


def test_records_come_in_the_order_in_which_the_tasks_began(run):
    for item in ("z", "a", "m"):
        with run.task("download_class", item):
            pass
    assert [r["item"] for r in run.task_records()] == ["z", "a", "m"]


def test_an_artifact_survives_its_json():
    evaluation = Evaluation(
        fingerprint="e",
        models=(TrainedModel(trial=TRIAL, fingerprint="m"),),
        validation_accuracy=None,
        test_accuracy=0.5,
    )
    assert Evaluation.from_dict(json.loads(json.dumps(evaluation.as_dict()))) == evaluation


@pytest.mark.parametrize("change", [{"count": "many"}, {"surprise": 1}, {"count": None}])
def test_a_value_with_other_fields_is_no_artifact(change):
    value = ClassArray(class_id="c", fingerprint="f", count=1).as_dict() | change
    with pytest.raises(ArtifactError, match=f"(?s)arrays/f: not a ClassArray.*{next(iter(change))}"):
        ClassArray.from_dict(value, where="arrays/f")


def test_a_trials_key_tells_trials_apart():
    assert TRIAL.key == "targeted-compact-seed3"
