"""What the program wrote before its files said their version: a whole home, less pictures and networks, is read."""

import json
import shutil
from pathlib import Path

import pytest

from imagenet_tasks.artifacts.champions import KEY, Champion, champion_of, choose_champion, read_entries
from imagenet_tasks.artifacts.decision import Decision
from imagenet_tasks.artifacts.figures import Metrics, RepairComparison
from imagenet_tasks.artifacts.json_file import VERSION_FIELD
from imagenet_tasks.artifacts.quality import DataQuality, Suspects
from imagenet_tasks.artifacts.references import AugmentationPlan, Dataset, Evaluation, Selection
from imagenet_tasks.artifacts.report import Report
from imagenet_tasks.artifacts.training import TrainingRecord, parse_history
from imagenet_tasks.errors import ArtifactError
from imagenet_tasks.pages.compare import compare, read_figures
from imagenet_tasks.pages.records import view_run
from imagenet_tasks.prune.plan import Rules, make_plan
from imagenet_tasks.settings.config import from_json
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.progress import Snapshot
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex

HOME = Path(__file__).parent / "version_0"
TYPES = {
    "images/*/selected-*.json": Selection,
    "datasets/*/dataset.json": Dataset,
    "datasets/*/data_quality.json": DataQuality,
    "models/*/training.json": TrainingRecord,
    "evaluations/*/evaluation.json": Evaluation,
    "evaluations/*/metrics.json": Metrics,
    "evaluations/*/comparison.json": RepairComparison,
    "evaluations/*/suspects.json": Suspects,
    "plans/*/plan.json": AugmentationPlan,
    "runs/*/*/run.json": RunIndex,
    "runs/*/*/decision*.json": Decision,
    "runs/*/*/progress/*.json": Snapshot,
    "runs/*/*/report/report.json": Report,
}
# Their readers are tested below, or they are the store's and the downloads' own.
OTHERS = ["*/*/complete.json", "arrays/*/ids.json", KEY, "runs/*/*/config.json", "runs/*/*/tasks/*"]


@pytest.fixture
def store(tmp_path):
    """A copy that a test may change."""
    shutil.copytree(HOME, tmp_path / "home")
    return Store(tmp_path / "home")


@pytest.fixture
def run(store):
    return Run(store, "imagenet_tasks", "old")


def test_each_file_of_the_home_has_a_reader_here():
    found = [list(HOME.glob(pattern)) for pattern in [*TYPES, *OTHERS]]
    assert all(found) and set(HOME.rglob("*.json")) == {path for paths in found for path in paths}


@pytest.mark.parametrize("pattern", TYPES)
def test_a_file_without_a_version_is_read_as_today_s_type_and_written_with_one(pattern):
    for path in HOME.glob(pattern):
        found = TYPES[pattern].from_json(path.read_bytes(), where=path.name)
        assert isinstance(found, TYPES[pattern])
        again = TYPES[pattern].from_json(found.content(), where=path.name)
        assert again == found and json.loads(found.content())[VERSION_FIELD] == TYPES[pattern].SCHEMA_VERSION


@pytest.mark.parametrize("pattern", TYPES)
def test_a_file_of_a_later_version_is_refused_with_what_to_do(pattern):
    path = next(HOME.glob(pattern))
    later = json.loads(path.read_bytes()) | {VERSION_FIELD: TYPES[pattern].SCHEMA_VERSION + 1}
    with pytest.raises(ArtifactError, match="a later version of this program wrote it"):
        TYPES[pattern].from_file(later, where=path.name)


def test_a_training_s_epochs_are_read():
    for path in HOME.glob("models/*/history.jsonl"):
        assert [e.epoch for e in parse_history(path.read_bytes(), where=path.name)] == [1, 2]


def test_the_champion_is_found_and_its_split_is_not_known(store):
    (key,) = read_entries(store)
    champion = champion_of(store, read_entries(store), key)
    assert isinstance(champion, Champion) and champion.split_by is None
    assert choose_champion(store).model == champion.model


def test_the_run_is_shown_with_all_its_tasks_and_compared(run):
    view = view_run(run, "success")
    assert (view.damaged, view.failed) == ((), ()) and view.decision
    assert {"plan_run", "train_baseline", "round_2.train_augmented", "write_report"} <= {g.task for g in view.groups}
    found = compare(run.store, read_figures(run), read_figures(run))
    assert (found.accuracy.change, found.same_split, found.settings) == (0, True, ())
    assert len(found.curves.lines) == 2  # both runs are the same: each curve is drawn once


def test_the_settings_are_read(run):
    assert run.config == from_json((HOME / run.key("config.json")).read_text())
    assert run.config.train.seeds == 2


def test_prune_keeps_what_the_run_made_and_removes_it_with_the_run(store, run):
    plan = make_plan(store, Rules(grace_days=0))
    assert (plan.going, plan.unknown, plan.strange) == ([], [], [])
    old = RunIndex.from_json(store.read_bytes(run.key(RunIndex.KEY)), where="run.json")
    assert {*old.artifacts, run.folder} <= {piece.key for piece in plan.staying}
    store.path(KEY).unlink()
    newer = Run(store, run.dag_id, "new")
    shutil.copytree(str(store.path(run.folder)), str(store.path(newer.folder)))
    newer.forget_tasks()
    later = old.model_copy(update={"artifacts": (), "written_s": old.written_s + 1})
    store.write_bytes(newer.key(RunIndex.KEY), later.content())
    assert make_plan(store, Rules(keep_runs=1, grace_days=0)).gone >= {run.folder, *old.artifacts}
