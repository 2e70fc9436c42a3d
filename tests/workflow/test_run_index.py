"""What a run came to, and which artifacts are its own."""

import shutil

import pytest

from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex, artifact_folders, find_unchanged

MARKS = ["0123456789abcdef", "fedcba9876543210", "00000000ffffffff"]


def record(task, result, item=""):
    return {"task": task, "item": item, "result": result}


def test_folders_are_named_by_their_kind_in_the_order_of_the_tasks_each_once():
    array = {"class_id": "n1", "fingerprint": MARKS[0], "count": 3}
    records = [
        record("plan_run", {"classes": 2}),
        record("preprocess_class", {"selection": {"fingerprint": "5e1ec7"}, "array": array}, "n1"),
        record("build_dataset", {"fingerprint": MARKS[1]}),
        record("train_baseline", {"trial": {}, "fingerprint": MARKS[2]}, "baseline-compact-seed0"),
        record("round_2.train_augmented", {"trial": {}, "fingerprint": MARKS[2]}, "targeted-compact-seed0"),
        record("round_2.augment_class", {"array": array | {"fingerprint": MARKS[2]}, "arms": []}, "n1.5"),
    ]
    assert artifact_folders(records) == {
        f"arrays/{MARKS[0]}": "n1",
        f"datasets/{MARKS[1]}": "",
        f"models/{MARKS[2]}": "baseline-compact-seed0",
        f"arrays/{MARKS[2]}": "n1.5",
    }


@pytest.mark.parametrize(
    "result",
    [None, [], "x", {}, {"fingerprint": 3}, {"fingerprint": "../../etc"}, {"fingerprint": "ABCDEF0123456789"},
     {"fingerprint": f"{MARKS[0]}/.."}, {"array": {"fingerprint": None}}],
)  # fmt: skip
def test_what_no_task_wrote_names_no_folder(result):
    assert artifact_folders([record("build_dataset", result), {}, record(None, {"fingerprint": MARKS[0]})]) == {}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"dag_id": "x", "tasks": []}', b"[" * 100_000])
def test_another_file_is_no_index(content):
    with pytest.raises(ArtifactError, match=r"run\.json: not a RunIndex"):
        RunIndex.from_json(content, where="run.json")


def done(store, run_id, *, reused=True, mark=MARKS[0], unchanged_since="", **settings) -> str:
    """A run with one artifact, with its index; returns what it has nothing new to."""
    run = Run(store, "dag", run_id)
    run.write_config(make_config("sample", settings))
    records = [record("build_dataset", {"fingerprint": mark}) | {"reused": reused}, record("write_report", None)]
    found = find_unchanged(run, records)
    fields = dict.fromkeys(RunIndex.model_fields) | {"dag_id": "dag", "run_id": run_id, "unchanged_since": found}
    fields |= dict.fromkeys(("run_key", "profile", "source", "verdict", "headline", "arm", "model", "device"), "")
    fields |= dict.fromkeys(("precision", "champion", "report", "report_json", "fell_since"), "") | {"branch": "report"}
    fields |= dict.fromkeys(("started_s", "seconds", "classes", "rounds", "seeds"), 1) | {"chosen": (), "lost": ()}
    fields |= {"arms": (), "artifacts": tuple(artifact_folders(records)), "written_s": len(store.names("runs/dag"))}
    store.write_bytes(run.key(RunIndex.KEY), RunIndex(**fields).content())
    return found


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


def test_a_run_with_nothing_new_names_the_run_that_did_the_work_and_not_one_that_did_none(store):
    assert [done(store, "a", reused=False), done(store, "b"), done(store, "c")] == ["", "a", "a"]


@pytest.mark.parametrize("new", [{"reused": False}, {"mark": MARKS[1]}, {"accuracy_goal": 0.9}])
def test_a_run_that_made_something_or_has_other_settings_or_artifacts_has_something_new(store, new):
    done(store, "a", reused=False)
    assert done(store, "b", **new) == ""


def test_that_the_champion_was_asked_is_nothing_new(store):
    done(store, "a", reused=False)
    run = Run(store, "dag", "b")
    run.write_config(make_config("sample", {}))
    records = [
        record("build_dataset", {"fingerprint": MARKS[0]}) | {"reused": True},
        record("score_champion", {"fingerprint": MARKS[1]}) | {"reused": False},
    ]
    assert find_unchanged(run, records) == "a"


def test_where_the_run_that_did_the_work_was_pruned_another_with_its_report_is_named(store):
    assert [done(store, "a", reused=False), done(store, "b")] == ["", "a"]
    shutil.rmtree(str(store.path(Run(store, "dag", "a").folder)))
    assert done(store, "c") == "b"


def test_another_workflows_run_and_one_that_is_damaged_are_no_earlier_run(store):
    done(store, "a", reused=False)
    store.write_bytes(Run(store, "dag", "a").key(RunIndex.KEY), b"{")
    store.write_bytes(Run(store, "dag", "b").key("config.json"), b"{")
    assert done(store, "c") == ""
    other = Run(store, "other", "a")
    other.write_config(make_config("sample", {}))
    records = [record("build_dataset", {"fingerprint": MARKS[0]}) | {"reused": True}]
    assert find_unchanged(other, records) == ""
