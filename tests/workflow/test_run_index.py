"""What a run came to, and which artifacts are its own."""

import pytest

from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.workflow.run_index import RunIndex, artifact_folders

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
