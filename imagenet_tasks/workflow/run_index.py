"""A run's index: what it came to and which artifacts are its own, in one small file beside its report."""

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

from imagenet_tasks.artifacts.drift import Drift
from imagenet_tasks.artifacts.json_file import JsonArtifact
from imagenet_tasks.artifacts.kinds import DRIFT, FINGERPRINT
from imagenet_tasks.artifacts.references import SplitBy
from imagenet_tasks.errors import ArtifactError, ConfigError
from imagenet_tasks.store.plain_files import UNREADABLE, names_if_readable, read_plain
from imagenet_tasks.store.storage import Store
from imagenet_tasks.store.threads import side_by_side
from imagenet_tasks.workflow.graph import SCORE, makes_artifact, parse_task_id
from imagenet_tasks.workflow.run import PREVIEW, Run

HOLDS: Literal["holds"] = "holds"  # the branch of a run that trained nothing, since the champion holds


class RunIndex(JsonArtifact):
    """What a run with a report came to.

    Accuracies are shares in [0, 1], None where not measured or not tried; `interval` is of the difference on test that
    the verdict speaks of, over pictures, and `seed_interval` over seeds where there are several; so are the intervals
    of the accuracies then. `arm` is the repair that was the best on validation, '' in version 0 and without a repair;
    `test_control` is the control's accuracy, None where no repair beat it.
    `classes` counts those trained on; `chosen` and `lost` are class ids; `seconds` is from the first task's start to
    the report's end; `champion` is what became of its best model (promoted, kept, ...); `artifacts` are the folders of
    all that it made or used again; `split_by` is its dataset's, None of a run of an earlier version; `unchanged_since`
    is the run that this one has nothing new to (`find_unchanged`), '' where it has;
    `fell_since` is the run before, of the same source, classes and split, since which test accuracy fell by more than
    chance explains, '' where it did not, `fell_from` that run's accuracy and `fell_from_interval` its interval;
    `drift` is how the champion before it did on the pictures that were new to it, None where it was not asked. A run
    that trained nothing, since the champion holds (HOLDS), has no model, device and report_json.
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
    branch: Literal["augment", "report", "holds"]
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
    unchanged_since: str = ""
    fell_since: str = ""
    fell_from: float | None = None
    fell_from_interval: tuple[float, float] | None = None
    drift: Drift | None = None

    @property
    def tried(self) -> bool:
        """Whether a repair was tried."""
        return self.branch == "augment"

    @property
    def question(self) -> tuple[Any, ...]:
        """What its accuracy answers: runs in which this differs are not compared."""
        return self.source, self.classes, self.split_by

    @property
    def accuracy(self) -> float | None:
        """On test, of what the run ended with: the repaired model where there is one."""
        return self.test_after if self.tried else self.test_before

    @property
    def accuracy_interval(self) -> tuple[float, float] | None:
        """Of `accuracy`."""
        return self.test_after_interval if self.tried else self.test_before_interval


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


def find_unchanged(run: Run, records: Sequence[Mapping[str, Any]]) -> str:
    """Returns the id of the run to which this one has nothing new; '' where it has, or no run is like it.

    Nothing is new where no task of this run made an artifact, and another run of the workflow with a report has the
    same settings and the same artifacts. That other one is what did the work, and not a run that had nothing new
    itself.

    Args:
        run: this one, whose settings are written.
        records: of its tasks.
    """
    records = [record for record in records if record["task"] != SCORE]  # asks of what is new, and makes nothing of it
    folders = artifact_folders(records)
    if not folders or not all(record["reused"] for record in records if makes_artifact(record["task"])):
        return ""
    others = [one for one in all_runs(run.store, [run.dag_id]) if one.folder != run.folder]
    settings = run.store.read_bytes(run.key("config.json"))
    indexes = sorted(read_indexes(run.store, others), key=lambda found: -found[1].written_s)
    for other, index in indexes:
        with contextlib.suppress(ArtifactError, OSError):  # another run's damage
            same = {folder for folder in index.artifacts if not folder.startswith(f"{DRIFT.folder}/")} == folders.keys()
            if same and run.store.read_bytes(other.key("config.json")) == settings:
                there = index.unchanged_since in (run.run_id, *(known.run_id for _, known in indexes))
                found = index.unchanged_since if there else index.run_id
                return "" if found == run.run_id else found
    return ""


def all_runs(store: Store, dag_ids: Iterable[str] | None = None) -> Iterator[Run]:
    """Yields the runs of these workflows, else of all, known by their folders; what no run wrote is passed over."""
    for dag_id in names_if_readable(store, "runs") if dag_ids is None else dag_ids:
        if dag_id == PREVIEW:
            continue
        with contextlib.suppress(ConfigError):
            yield from (Run(store, dag_id, key, run_key=key) for key in names_if_readable(store, f"runs/{dag_id}"))


def read_index(run: Run) -> RunIndex | None:
    """Returns what a run came to; None where it has no report.

    Raises:
        ArtifactError: where that is not as the run wrote it.
        OSError: where it cannot be read.
    """
    key = run.key(RunIndex.KEY)
    content = read_plain(run.store, key)
    return None if content is None else RunIndex.from_json(content, where=key)


def read_indexes(store: Store, runs: Iterable[Run]) -> list[tuple[Run, RunIndex]]:
    """Returns those runs that have an index that can be read, with it."""

    def read(run: Run) -> tuple[Run, RunIndex] | None:
        with contextlib.suppress(*UNREADABLE):
            if index := read_index(run):
                return run, index
        return None

    return [found for found in side_by_side(store, read, runs) if found]
