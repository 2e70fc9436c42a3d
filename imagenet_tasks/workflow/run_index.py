"""A run's index: what it came to and which artifacts are its own, in one small file beside its report."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Literal

from imagenet_tasks.artifacts.drift import Drift
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.kinds import FINGERPRINT
from imagenet_tasks.artifacts.references import SplitBy
from imagenet_tasks.workflow.graph import parse_task_id


class RunIndex(JsonArtifact):
    """What a run with a report came to.

    Accuracies are shares in [0, 1], None where not measured or not tried; `interval` is of the difference on test that
    the verdict speaks of, over pictures, and `seed_interval` over seeds where there are several; so are the intervals
    of the accuracies then. `arm` is the repair that was the best on validation, '' in version 0 and without a repair;
    `test_control` is the control's accuracy, None where no repair beat it.
    `classes` counts those trained on; `chosen` and `lost` are class ids; `seconds` is from the first task's start to
    the report's end; `champion` is what became of its best model (promoted, kept, ...); `artifacts` are the folders of
    all that it made or used again; `split_by` is its dataset's, None of a run of an earlier version; `drift` is how the
    champion before it did on the pictures that were new to it, None where it was not asked.
    """

    KEY: ClassVar[str] = "run.json"
    dag_id: str
    run_id: str
    run_key: str
    profile: str
    source: str
    started_s: float
    seconds: float
    written_s: float
    classes: int
    branch: Literal["augment", "report"]
    verdict: str
    headline: str
    validation_before: float | None
    validation_after: float | None
    test_before: float | None
    test_before_interval: tuple[float, float] | None
    test_after: float | None
    test_after_interval: tuple[float, float] | None
    interval: tuple[float, float] | None
    seed_interval: tuple[float, float] | None
    p_value: float | None
    chosen: tuple[str, ...]
    lost: tuple[str, ...]
    rounds: int
    kept_round: int | None
    seeds: int
    arms: tuple[str, ...]
    arm: str = ""
    test_control: float | None = None
    model: str
    device: str
    precision: str
    champion: str
    report: str
    report_json: str
    artifacts: tuple[str, ...] = ()
    split_by: SplitBy | None = None
    drift: Drift | None = None


def artifact_folders(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the published folders that tasks handed on, in the order of the tasks, with the task's class or trial.

    Args:
        records: of tasks, with 'task', 'item' and 'result'; what is not as a task wrote it is passed over.
    """
    folders: dict[str, str] = {}
    for record in records:
        task, _ = parse_task_id(str(record.get("task")))
        result = record.get("result")
        if task is None or task.makes is None or task.makes.key or not isinstance(result, Mapping):
            continue
        more = result.get("more_seeds")
        for named in (result.get("array", result), *(more if isinstance(more, list) else ())):
            mark = named.get("fingerprint") if isinstance(named, Mapping) else None
            if isinstance(mark, str) and re.fullmatch(FINGERPRINT, mark):
                folders.setdefault(task.makes.folder_of(mark), str(record.get("item") or ""))
    return folders
