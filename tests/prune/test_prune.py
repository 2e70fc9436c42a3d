"""What a pruning keeps and what it removes: runs made by the real tasks, on a disk and on an object store."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes.models import fake_model
from fakes.pictures import COBRA, COW, fill

from imagenet_tasks.artifacts.champions import KEY, REVERTIBLE, champion_of, read_entries
from imagenet_tasks.artifacts.references import Dataset, Evaluation, Selection, Trial
from imagenet_tasks.commands.main import main
from imagenet_tasks.download.records import Records
from imagenet_tasks.errors import ArtifactError, ConfigError
from imagenet_tasks.evaluate.champion import promote
from imagenet_tasks.prune import Rules, carry_out, make_plan, removal
from imagenet_tasks.store.storage import MARKER, QUARANTINED, Store, fingerprint
from imagenet_tasks.tasks import models, repair
from imagenet_tasks.tasks import pictures as picture_tasks
from imagenet_tasks.workflow.run import Run

DAY_S = 86_400
SETTINGS = {
    "source": "folder", "rows_px": 16, "columns_px": 16, "validation_share": 0.25, "test_share": 0.25,
    "min_images_per_class": 1, "seeds": 1, "arms": "targeted", "classes_to_augment": 1, "pictures_to_add": 2,
    "accuracy_goal": 0.99,
}  # fmt: skip


def make_run(store, pictures: Path, name: str, *, images: int, accuracy: float, champion: bool = False, **settings):
    """A run of all tasks but the trainings, whose models are made up, and the report, of which only the index is."""
    run = Run(store, "dag", name)
    overrides = SETTINGS | {"location": str(pictures), "images_per_class": images, "seed": len(name)} | settings
    prepared = [
        picture_tasks.preprocess_class(run, picture_tasks.download_class(run, g))
        for g in picture_tasks.plan_run(run, "best", overrides)
    ]
    trials = picture_tasks.build_dataset(run, prepared)
    dataset = Dataset.find(store, trials[0]["dataset"])

    def train(task, trial):
        wanted = Trial.from_dict(trial)
        mark = fingerprint(run=name, trial=wanted.key)
        with run.task(task, wanted.key, makes=mark) as record:
            model = fake_model(store, dataset, mark, validation=accuracy, test=accuracy, trial=wanted)
            record["result"] = model.as_dict()
        return record["result"]

    baseline = models.evaluate_baseline(run, [train("train_baseline", trial) for trial in trials])
    models.check_accuracy(run, baseline)
    groups = repair.plan_augmentation(run)
    copied = [repair.augment_class(run, group) for group in groups]
    collected = [repair.collect_class(run, group) for group in repair.plan_collection(run, groups)]
    retrained = [train("train_augmented", trial) for trial in repair.plan_retraining(run, copied, collected)]
    models.evaluate_augmented(run, retrained)
    if champion:
        promote(store, dataset, [Evaluation.from_dict(baseline)], run, profile="best", drawn=False, ask=list)
    run.store.write_json(run.key("run.json"), {"written_s": time.time()})
    run.store.write_bytes(run.key("report/report.html"), b"<p>")
    return run


def fill_home(store, pictures: Path):
    """Three runs: 'first' made the champion; 'second' has other pictures, of which 'third' uses fewer."""
    for class_id, seed in ((COBRA, 0), (COW, 1000)):
        fill(pictures / "a" / class_id, range(seed + 500, seed + 516))
        fill(pictures / "b" / class_id, range(seed, seed + 16))
    for name, where, images in (("first", "a", 16), ("second", "b", 16), ("third", "b", 12)):
        make_run(store, pictures / where, name, images=images, accuracy=0.6, champion=name == "first")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    where = tmp_path_factory.mktemp("prune")
    fill_home(Store(where / "home"), where / "pictures")
    return where


def set_age(store, days: float, *keys: str):
    """Sets when all below the keys was last changed; without keys of all of it."""
    then_s = time.time() - days * DAY_S
    for found in [f for key in keys or ("",) for f in store.walk(key)]:
        if store.is_local:
            os.utime(store.path(found.key), (then_s, then_s), follow_symlinks=False)
        else:
            path = store.path(found.key)
            path.fs.store[path.path].created = datetime.fromtimestamp(then_s, UTC)


def set_written(store, **days: float):
    for name, ago in days.items():
        store.write_json(Run(store, "dag", name).key("run.json"), {"written_s": time.time() - ago * DAY_S})
    set_age(store, 30, "runs")


@pytest.fixture
def local(made, tmp_path):
    """A copy of the home on a disk, all of it 30 days old; 'first' is the oldest run, 'third' the newest."""
    shutil.copytree(made / "home", tmp_path / "home")
    store = Store(tmp_path / "home")
    set_age(store, 30)
    set_written(store, first=9, second=8, third=7)
    return store


@pytest.fixture(scope="module")
def made_remote(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMAGENET_CACHE", str(tmp_path_factory.mktemp("cache")))
        store = Store(f"memory://{uuid.uuid4().hex}")
        fill_home(store, tmp_path_factory.mktemp("pictures"))
    return store


@pytest.fixture
def remote(made_remote, tmp_path, monkeypatch):
    """The same in an object store."""
    monkeypatch.setenv("IMAGENET_CACHE", str(tmp_path / "cache"))
    store = Store(f"memory://{uuid.uuid4().hex}")
    for found in made_remote.walk():
        store.write_bytes(found.key, made_remote.read_bytes(found.key))
    set_age(store, 30)
    set_written(store, first=9, second=8, third=7)
    return store


@pytest.fixture(params=["local", "remote"])
def home(request):
    return request.getfixturevalue(request.param)


def keys(store, *below: str) -> set[str]:
    return {f.key for key in below or ("",) for f in store.walk(key) if not f.key.endswith(".lock")}


def prune(store, **rules):
    plan = make_plan(store, Rules(**rules))
    return carry_out(store, plan)


def going(store, **rules) -> dict[str, str]:
    return {piece.key: why for piece, why in make_plan(store, Rules(**rules)).going}


def folders_of(store, name: str) -> dict[str, list[str]]:
    """What a run's records name, by the task's name."""
    found: dict[str, list[str]] = {}
    for record in Run(store, "dag", name).task_records():
        result = record["result"]
        if record["task"] == "download_class":
            found.setdefault("selections", []).append(Selection.key(record["item"], result["fingerprint"]))
        elif mark := (result.get("array") or result).get("fingerprint"):
            parent = {
                "preprocess_class": "arrays", "augment_class": "arrays", "build_dataset": "datasets",
                "plan_augmentation": "plans", "evaluate_baseline": "evaluations", "evaluate_augmented": "evaluations",
            }.get(record["task"], "models")  # fmt: skip
            found.setdefault(parent, []).append(f"{parent}/{mark}")
    return found


def publish(store, folder: str, days: float = 30, **files: str):
    with store.publish(folder) as attempt:
        for name, text in files.items():
            (attempt / name.replace("_json", ".json").replace("_npz", ".npz")).write_text(text)
    set_age(store, days, folder)


def mark(text: str) -> str:
    return fingerprint(text=text)


# What stays


def test_by_default_all_runs_stay_and_all_that_they_refer_to(home):
    before = keys(home)
    assert going(home) == {}
    prune(home)
    assert keys(home) == before


def test_what_no_run_refers_to_goes_of_every_kind(home):
    unused = [f"{kind}/{mark('unused')}" for kind in ("arrays", "datasets", "models", "evaluations", "plans")]
    for folder in unused:
        publish(home, folder)
    selection = Selection(class_id=COW, files=("a.jpg",))
    home.write_json(Selection.key(COW, selection.fingerprint), selection.as_dict())
    unused.append(Selection.key(COW, selection.fingerprint))
    set_age(home, 30, unused[-1])
    before = keys(home) - keys(home, *unused)
    assert set(going(home)) == set(unused)
    removed = prune(home)
    assert (removed.count, removed.busy, keys(home)) == (6, [], before)


def test_a_run_that_goes_takes_along_what_it_alone_referred_to(home):
    mine, others = folders_of(home, "second"), [folders_of(home, name) for name in ("first", "third")]
    assert {kind: len(found) for kind, found in mine.items()} == {
        "selections": 2, "arrays": 3, "datasets": 1, "models": 3, "evaluations": 2, "plans": 1
    }  # fmt: skip
    prune(home, keep_runs=1)
    left = keys(home)
    gone = [Run(home, "dag", "second").folder, *(f for found in mine.values() for f in found)]
    assert not [key for key in left for folder in gone if key.startswith(folder)]
    for found in others:
        for kind, folders in found.items():
            for folder in folders:
                assert folder in left if kind == "selections" else home.is_complete(folder), folder


def test_new_pictures_stay_with_the_run_that_collected_them_and_go_with_it(tmp_path):
    store, where = Store(tmp_path / "home"), tmp_path / "pictures"
    for class_id, seed in ((COBRA, 0), (COW, 1000)):
        fill(where / class_id, range(seed, seed + 30))
    made = {
        name: make_run(store, where, name, images=16, accuracy=0.6, arms="collect", pictures_to_add=count)
        for name, count in (("old", 1), ("newest", 3))
    }
    set_age(store, 30)
    set_written(store, old=20, newest=10)
    found = {
        name: {r["result"]["array"]["fingerprint"] for r in run.task_records() if r["task"] == "collect_class"}
        for name, run in made.items()
    }
    assert len(found["old"] | found["newest"]) == 2
    prune(store, keep_runs=1)
    assert [store.is_complete(f"arrays/{mark}") for mark in (*found["old"], *found["newest"])] == [False, True]


def test_the_champion_stays_with_its_run_and_all_that_this_refers_to(home):
    prune(home, keep_runs=1)
    assert home.exists(Run(home, "dag", "first").key("report/report.html"))
    (entry,) = home.read_json(KEY).values()
    home.open_file(f"models/{entry['model']['fingerprint']}", "model.keras")
    dataset = Dataset.read(home, f"datasets/{entry['dataset']}")
    for member in dataset.classes:
        home.open_file(member.array.folder, "ids.json")
        assert home.exists(Selection.key(member.class_id, member.selection))


def test_the_champions_model_and_dataset_stay_also_where_its_run_was_deleted_by_hand(local):
    mine = folders_of(local, "first")
    shutil.rmtree(local.path(Run(local, "dag", "first").folder))
    prune(local)
    (entry,) = local.read_json(KEY).values()
    assert local.is_complete(f"models/{entry['model']['fingerprint']}")
    dataset = Dataset.read(local, mine["datasets"][0])
    assert all(local.is_complete(member.array.folder) for member in dataset.classes)
    assert all(local.exists(Selection.key(member.class_id, member.selection)) for member in dataset.classes)
    assert not local.is_complete(mine["plans"][0])


@pytest.mark.parametrize("later", [0, REVERTIBLE])
def test_what_a_former_champion_needs_stays_as_long_as_it_can_be_reverted_to(local, later):
    entries = read_entries(local)
    (key,) = entries
    first = champion = champion_of(local, entries, key)
    for place in range(later + 1):
        mark = f"{place:016x}"
        other = first.model_copy(update={"model": first.model.model_copy(update={"fingerprint": mark})})
        champion = champion.succeeded_by(other, "better", now_s=champion.promoted_s + 1)
    local.write_json(KEY, {key: champion.as_file()})
    shutil.rmtree(local.path(Run(local, "dag", "first").folder))
    prune(local)
    stays = local.is_complete(first.model.folder), local.is_complete(f"datasets/{first.dataset}")
    assert stays == ((True, True) if later == 0 else (False, True))  # the others name the dataset, too


def test_what_an_evaluation_names_stays_though_no_record_does(local):
    """A run whose training's records are gone: its evaluation names the models, these the dataset, this the arrays."""
    run, mine = Run(local, "dag", "second"), folders_of(local, "second")
    for name in local.names(run.key("tasks")):
        if name != "evaluate_baseline.json":
            local.path(run.key(f"tasks/{name}")).unlink()
    prune(local)
    (model,) = (f for f in mine["models"] if mark_of(local, run, "evaluate_baseline") in f)
    dataset = Dataset.read(local, mine["datasets"][0])
    assert local.is_complete(model)
    assert all(local.is_complete(member.array.folder) for member in dataset.classes)
    assert all(local.exists(Selection.key(member.class_id, member.selection)) for member in dataset.classes)


def mark_of(store, run, task):
    return store.read_json(run.key(f"tasks/{task}.json"))["result"]["models"][0]["fingerprint"]


# Which runs go


def test_of_each_workflow_the_newest_runs_with_a_report_stay(local):
    other = Run(local, "other", "old")
    local.write_json(other.key("run.json"), {"written_s": 1.0})
    set_age(local, 30, other.folder)
    assert not [key for key in going(local, keep_runs=2) if key.startswith("runs/")]
    runs = [key for key in going(local, keep_runs=1) if key.startswith("runs/")]
    assert runs == [Run(local, "dag", "second").folder]  # the first is the champion's


def test_a_run_that_trained_nothing_takes_no_other_runs_place(local):
    short = Run(local, "dag", "short")
    local.write_json(short.key("run.json"), {"written_s": time.time() + 9, "branch": "holds"})
    set_age(local, 30, short.folder)
    assert not [key for key in going(local, keep_runs=2) if key.startswith("runs/")]


def test_runs_go_by_age_and_with_both_options_only_where_both_let_them(local):
    def runs(**rules):
        return {key.split("/")[2].split("-")[0] for key in going(local, **rules) if key.startswith("runs/")}

    assert runs(older_than_days=7.5) == {"second"}
    assert runs(older_than_days=6) == {"second", "third"}
    assert runs(older_than_days=6, keep_runs=1) == {"second"}
    assert runs(older_than_days=8.5, keep_runs=1) == set()


def test_a_run_without_a_report_stays_until_it_is_older_than_asked(local):
    run = Run(local, "dag", "third")
    local.path(run.key("run.json")).unlink()
    set_age(local, 20, run.folder)
    assert run.folder not in going(local, keep_runs=1)
    assert run.folder not in going(local, older_than_days=21)
    assert "without a report" in going(local, older_than_days=19)[run.folder]


def test_a_run_that_works_again_stays_though_its_old_report_is_there(local):
    run = Run(local, "dag", "second")
    with run.task("train_baseline", "again", makes=mark("m")) as record:  # cleared in Airflow
        assert going(local, keep_runs=1) == {}
        assert make_plan(local, Rules(keep_runs=1)).young[0].key == run.folder
        record["result"] = {"fingerprint": mark("m")}


@pytest.mark.parametrize("wrong", [{"keep_runs": 0}, {"older_than_days": -1}, {"grace_days": float("nan")}])
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigError, match=r"expected .* received"):
        Rules(**wrong)


# The time of grace


@pytest.mark.parametrize("kind", ["arrays", "datasets", "models", "evaluations", "plans"])
def test_what_was_published_lately_stays_though_nothing_refers_to_it_yet(home, kind):
    files = {
        "datasets": ["dataset"],
        "models": ["training"],
        "evaluations": ["evaluation", "metrics"],
        "plans": ["plan"],
    }
    publish(home, f"{kind}/{mark('new')}", days=1.9, **{f"{name}_json": "{}" for name in files.get(kind, ["ids"])})
    assert going(home) == {}
    set_age(home, 2.1, f"{kind}/{mark('new')}")
    assert list(going(home)) == [f"{kind}/{mark('new')}"]


def test_a_piece_is_as_young_as_its_youngest_file(local):
    publish(local, f"arrays/{mark('x')}", ids_json="[]")
    local.path(f"arrays/{mark('x')}/ids.json").touch()
    assert going(local) == {}
    set_age(local, 2.1, f"arrays/{mark('x')}")
    assert going(local, grace_days=3) == {}
    assert list(going(local)) == [f"arrays/{mark('x')}"]


@pytest.mark.parametrize(
    ("kind", "files", "named"),
    [
        ("datasets", ["dataset"], "arrays"),
        ("models", ["training"], "datasets"),
        ("evaluations", ["metrics", "evaluation"], "models"),
        ("evaluations", ["evaluation", "metrics"], "models"),
        ("plans", ["plan"], "datasets"),
    ],
)
def test_what_is_young_keeps_what_each_of_its_files_names(home, kind, files, named):
    own = {"arrays": "ids_json", "datasets": "dataset_json", "models": "training_json"}[named]
    publish(home, f"{named}/{mark('old')}", **{own: "{}"})
    said = {f"{name}_json": "{}" for name in files} | {f"{files[0]}_json": json.dumps({"x": mark("old")})}
    publish(home, f"{kind}/{mark('new')}", days=1, **said)
    assert going(home) == {}


def test_an_object_whose_store_tells_no_time_stays(remote, monkeypatch):
    publish(remote, f"arrays/{mark('x')}")
    assert going(remote)
    monkeypatch.setattr("imagenet_tasks.store.walk.CHANGED", ())
    assert going(remote) == {}


# What work leaves behind


def checkpoint(store, model: str, name: str = "epoch-00001-0123456789ab", days: float = 30) -> str:
    folder = f"checkpoints/{model}/{name}"
    publish(store, folder, days, state_json="{}", best_npz="x")
    return folder


def test_checkpoints_of_a_finished_model_go(home):
    model = folders_of(home, "third")["models"][0].partition("/")[2]
    folder = checkpoint(home, model)
    checkpoint(home, model, "epoch-00002-0123456789ab", days=1)
    assert going(home) == {folder: "its model is finished"}


def test_a_model_that_is_half_there_is_not_finished(local):
    run = Run(local, "dag", "second")
    with run.task("train_baseline", "t", makes=mark("half")) as record:
        record["result"] = {"fingerprint": mark("half")}
    local.write_bytes(f"models/{mark('half')}/training.json", b"{")
    checkpoint(local, mark("half"))
    assert going(local) == {}


def test_checkpoints_of_an_unfinished_model_stay_while_a_kept_run_trains_it(home):
    run = Run(home, "dag", "stopped")
    with pytest.raises(KeyboardInterrupt), run.task("train_baseline", "t", makes=mark("unfinished")):
        raise KeyboardInterrupt
    set_age(home, 30, run.folder)
    kept, unknown = checkpoint(home, mark("unfinished")), checkpoint(home, mark("of nobody"))
    assert going(home) == {unknown: "no kept run trains it"}
    assert going(home, older_than_days=10).keys() == {unknown, kept, run.folder}


def test_the_checkpoint_of_a_training_that_was_killed_stays(local, monkeypatch):
    run = Run(local, "dag", "second")
    dataset = folders_of(local, "second")["datasets"][0].partition("/")[2]
    left = []

    def killed(store, work, dataset, **_):
        left.append(checkpoint(store, work.model("float32").fingerprint))
        set_age(store, 30, run.folder)
        assert going(store) == {}  # also while it trains, which may last longer than the time of grace
        raise SystemExit

    monkeypatch.setitem(
        sys.modules,
        "imagenet_tasks.train.stage",
        SimpleNamespace(train=killed, settle=lambda store, work, dataset: work),
    )
    with pytest.raises(SystemExit):
        models.train_baseline(run, Trial(model="compact", seed=9, arm="baseline", dataset=dataset).as_dict())
    set_age(local, 30, run.folder)
    assert left and going(local) == {}


def test_checkpoints_that_were_set_aside_go(home):
    folder = checkpoint(home, mark("m"))
    home.quarantine(folder)
    set_age(home, 1, folder)
    assert going(home) == {}
    set_age(home, 30, folder)
    assert going(home) == {folder: "set aside as damaged"}
    prune(home)
    assert not home.exists(f"{folder}/{QUARANTINED}")


def test_what_stopped_work_left_goes_when_it_is_old(local):
    arrays, run = local.path("arrays"), Run(local, "dag", "first")
    left = [
        "arrays/.attempt-0123456789ab/x.npy",
        f"images/{COW}/.writing-{'0' * 32}",
        f"models/.removing-{'0' * 32}/model.keras",
        run.key(f"tasks/.writing-{'1' * 32}"),
    ]
    for key in left:
        local.path(key).parent.mkdir(exist_ok=True, parents=True)
        local.path(key).write_bytes(b"x")
    (arrays / ".attempt-ba9876543210").mkdir()  # stopped before its first file
    os.utime(arrays / ".attempt-ba9876543210", (1, 1))
    before = keys(local) - set(left) - {"arrays/.attempt-ba9876543210/"}
    assert list(going(local)) == ["arrays/.attempt-ba9876543210"]
    set_age(local, 30, *left)
    assert len(going(local)) == 5
    assert (prune(local).count, keys(local)) == (5, before)


def test_a_folder_that_was_never_finished_goes_when_it_is_old(home):
    folder = f"models/{mark('half')}"
    home.write_bytes(f"{folder}/training.json", b"{")
    assert going(home) == {}
    set_age(home, 30, folder)
    assert going(home) == {folder: "never finished"}
    prune(home)
    assert not keys(home, folder)


def test_on_an_object_store_an_attempt_that_no_marker_names_goes_and_the_named_one_stays(remote):
    folder = folders_of(remote, "third")["arrays"][0]
    inner = remote.read_marker(folder)["inner"]
    remote.write_bytes(f"{folder}/0123456789ab/ids.json", b"second")
    before = keys(remote)
    assert going(remote) == {}
    set_age(remote, 30, folder)
    assert going(remote) == {f"{folder}/0123456789ab": "of an attempt that came second"}
    prune(remote)
    assert keys(remote) == before - {f"{folder}/0123456789ab/ids.json"}
    assert remote.names(f"{folder}/{inner}")


def test_only_the_newest_index_of_a_list_of_urls_stays(home):
    older, newer, other = (f"lists/{mark(a)}-{mark(b)}" for a, b in (("one", "1"), ("one", "2"), ("two", "1")))
    for folder, days in ((older, 40), (newer, 30), (other, 50)):
        publish(home, folder, days, index_json="{}")
    assert going(home) == {older: "its list has a newer index"}


def test_an_index_that_was_never_finished_makes_none_old(home):
    whole, half = (f"lists/{mark('one')}-{mark(b)}" for b in "12")
    publish(home, whole, 40, index_json="{}")
    home.write_bytes(f"{half}/index.json", b"{")
    set_age(home, 30, half)
    assert list(going(home)) == [half]


# Pictures


def pictures_of(store, class_id: str) -> set[str]:
    return {name for name in store.names(f"images/{class_id}") if name.endswith((".png", ".jpg", ".jpeg"))}


def test_pictures_stay_unless_asked_for(home):
    before = pictures_of(home, COW)
    prune(home, older_than_days=7.5)
    assert pictures_of(home, COW) == before


def test_pictures_that_no_kept_selection_names_go_and_so_do_their_records(home):
    selected = {f for name in ("first", "third") for key in folders_of(home, name)["selections"]
                for f in home.read_json(key)["files"]}  # fmt: skip
    records, unused = f"images/{COW}/records.jsonl", min(pictures_of(home, COW) - selected)
    rejected = {"candidate": "x", "state": "rejected", "reason": "placeholder", "file": unused, "time_s": 1}
    home.write_bytes(records, home.read_bytes(records) + json.dumps(rejected).encode() + b"\n")
    lines = len(home.read_bytes(records).splitlines())
    removed = prune(home, older_than_days=7.5, pictures=True)
    assert pictures_of(home, COW) | pictures_of(home, COBRA) == selected
    said = [json.loads(line) for line in home.read_bytes(records).splitlines()]
    assert len(said) == lines - 4 and rejected in said
    assert {r["file"] for r in said if r["state"] == "accepted"} == pictures_of(home, COW)
    assert removed.count == 8 + 1 + 12 and removed.busy == []


def test_pictures_that_came_lately_stay(local):
    name = f"{'a' * 64}.png"
    local.write_bytes(f"images/{COW}/{name}", b"x")
    assert going(local, pictures=True) == {}
    set_age(local, 3, f"images/{COW}/{name}")
    assert list(going(local, pictures=True)) == [f"images/{COW}"]


def test_a_picture_that_a_run_selects_after_the_plan_was_made_stays(local):
    name = f"{'a' * 64}.png"
    local.write_bytes(f"images/{COW}/{name}", b"x")
    set_age(local, 3, f"images/{COW}/{name}")
    plan = make_plan(local, Rules(pictures=True))
    selection = Selection(class_id=COW, files=(name,))
    local.write_json(Selection.key(COW, selection.fingerprint), selection.as_dict())
    assert carry_out(local, plan).count == 0
    assert local.exists(f"images/{COW}/{name}")


@pytest.mark.parametrize("written", ["selection", "record"])
def test_the_pictures_of_a_selection_that_comes_into_use_after_the_plan_was_made_stay(home, written):
    picture = f"images/{COW}/{'a' * 64}.png"
    selection = Selection(class_id=COW, files=(picture.rpartition("/")[2],))
    key = Selection.key(COW, selection.fingerprint)
    home.write_bytes(picture, b"x")
    home.write_json(key, selection.as_dict())
    set_age(home, 30, picture, key)
    plan = make_plan(home, Rules(pictures=True))
    assert plan.gone == {key, f"images/{COW}"}
    if written == "selection":
        home.write_json(key, selection.as_dict())
    else:
        with Run(home, "dag", "new").task("download_class", COW) as record:
            record["result"] = {"fingerprint": selection.fingerprint}
    removed = carry_out(home, plan)
    assert (removed.busy, removed.count, home.exists(key), home.exists(picture)) == ([key], 0, True, True)


def test_the_pictures_of_a_class_that_is_being_downloaded_stay(local, monkeypatch):
    monkeypatch.setattr(removal, "LOCK_TIMEOUT_S", 0.1)
    before = keys(local)
    held, done = threading.Event(), threading.Event()

    def download():
        with local.lock(f"images/{COW}"), local.lock(f"images/{COBRA}"):
            held.set()
            done.wait(60)

    thread = threading.Thread(target=download)
    thread.start()
    try:
        held.wait(60)
        removed = prune(local, older_than_days=7.5, pictures=True)
    finally:
        done.set()
        thread.join()
    assert keys(local, "images") == {key for key in before if key.startswith("images/")}
    assert len(removed.busy) == 4


def test_no_picture_of_an_object_store_goes_while_a_task_is_at_work(remote):
    """There a class's lock holds on one machine only."""
    run, rules = Run(remote, "dag", "new"), {"older_than_days": 7.5, "pictures": True}
    with run.task("download_class", COW):
        before, pictures = keys(remote), pictures_of(remote, COW)
        with pytest.raises(ArtifactError, match=r"expected no task at work.* Nothing was removed.*without --pictures"):
            prune(remote, **rules)
        assert keys(remote) == before
        set_age(remote, 2.1, run.folder)  # killed
        assert prune(remote, **rules).busy == []
    assert pictures_of(remote, COW) < pictures


def test_the_pictures_of_an_object_store_stay_where_a_task_begins_while_others_are_removed(remote, monkeypatch):
    plan = make_plan(remote, Rules(older_than_days=7.5, pictures=True))
    before, remove = pictures_of(remote, COW), Store.remove

    def begun(self, folder, **options):
        self.write_json(Run(self, "dag", "new").key("tasks/download_class.json"), {"state": "running"})
        remove(self, folder, **options)

    monkeypatch.setattr(Store, "remove", begun)
    assert carry_out(remote, plan).busy == [f"images/{COBRA}", f"images/{COW}"]
    assert pictures_of(remote, COW) == before


def test_a_kill_between_records_and_pictures_leaves_none_that_is_believed_and_not_there(local, monkeypatch):
    monkeypatch.setattr(type(local.root), "unlink", lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    name = f"{'a' * 64}.png"
    local.write_bytes(f"images/{COW}/{name}", b"x")
    records = Records(local, COW)
    records.put({"candidate": "c", "state": "accepted", "reason": None, "file": name, "time_s": 1})
    records.save()
    set_age(local, 30, "images")
    with pytest.raises(KeyboardInterrupt):
        prune(local, pictures=True)
    assert name not in local.read_bytes(f"images/{COW}/records.jsonl").decode()
    monkeypatch.undo()
    prune(local, pictures=True)
    assert not local.exists(f"images/{COW}/{name}")


# What nobody here wrote


@pytest.mark.parametrize(
    "key",
    ["notes.txt", "arrays/notes.txt", "arrays/backup/a.npy", f"arrays/{'A' * 16}/a.npy", "models/old.keras",
     "runs/readme", "runs/dag/mine/tasks/x.json", "images/notes.txt", f"images/{COW}/mine.jpg", ".hidden/x",
     "other/.attempt-0123456789ab/x"],
)  # fmt: skip
def test_what_the_layout_does_not_know_is_left_alone(home, key):
    home.write_bytes(key, b"x")
    set_age(home, 30, key)
    plan = make_plan(home, Rules(pictures=True))
    assert ([f.key for f in plan.unknown], plan.going) == ([key], [])


@pytest.mark.parametrize("name", ["notes.txt", "sub/a.npy", "a.npy.bak"])
def test_a_folder_with_a_file_that_the_layout_does_not_know_is_left_alone(home, name):
    folder = f"arrays/{mark('x')}"
    publish(home, folder, ids_json="[]")
    home.write_bytes(f"{folder}/{name}", b"x")
    set_age(home, 30, folder)
    plan = make_plan(home, Rules())
    assert ([p.key for p in plan.strange], plan.going) == ([folder], [])


def test_a_run_with_a_file_of_someones_own_stays_with_what_it_refers_to(local):
    run = Run(local, "dag", "second")
    local.write_bytes(run.key("notes.txt"), b"x")
    set_age(local, 30, run.folder)
    assert going(local, keep_runs=1) == {}


def test_no_link_is_followed_nor_removed(local, tmp_path):
    outside = tmp_path / "outside"
    for place in ("folder", f"arrays/{mark('b')}"):
        (outside / place).mkdir(parents=True)
        (outside / place / "ids.json").write_text("[]")
    local.path(f"arrays/{mark('a')}").symlink_to(outside / "folder")
    publish(local, f"arrays/{mark('c')}", ids_json="[]")
    local.path(f"arrays/{mark('c')}/a.npy").symlink_to(outside / "folder" / "ids.json")
    local.path("lists").symlink_to(outside / "arrays")
    local.path(f"images/{COW}/{'b' * 64}.jpg").symlink_to(outside / "folder" / "ids.json")
    set_age(local, 30)
    plan = make_plan(local, Rules(pictures=True, grace_days=0))
    assert plan.going == []
    assert {p.key for p in plan.strange} == {f"arrays/{mark('a')}", f"arrays/{mark('c')}"}
    assert {f.key for f in plan.unknown} == {"lists", f"images/{COW}/{'b' * 64}.jpg"}


@pytest.mark.parametrize("key", ["runs", "runs/dag", "models", KEY, "datasets"])
def test_records_behind_a_link_are_refused(local, tmp_path, key):
    local.path(key).rename(tmp_path / "elsewhere")
    local.path(key).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match=r"found a link.* Nothing was removed"):
        make_plan(local, Rules())


# What cannot be read


RECORD = "tasks/train_baseline.x.json"


@pytest.mark.parametrize(
    ("name", "content"),
    [("run.json", b""), ("run.json", b"{"), ("run.json", b"[]"), (RECORD, b""), (RECORD, b"[" * 100_000),
     (RECORD, b"{}"), (RECORD, b'{"task": "train_baseline", "state": "success", "result": {}}')],
)  # fmt: skip
def test_nothing_goes_where_a_runs_record_is_damaged(home, name, content):
    publish(home, f"arrays/{mark('unused')}")
    key = Run(home, "dag", "third").key(name)
    home.write_bytes(key, content)
    with pytest.raises(ArtifactError, match=r"expected .*Nothing was removed") as told:
        make_plan(home, Rules())
    assert str(home.path(key)) in str(told.value) and "Restore it" in str(told.value)


def test_nothing_goes_where_a_report_does_not_say_when_it_was_written(local):
    local.write_json(Run(local, "dag", "third").key("run.json"), {"written_s": None})
    with pytest.raises(ArtifactError, match="when the report was written"):
        make_plan(local, Rules(keep_runs=1))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"0123456789abcdef": {}}'])
def test_nothing_goes_where_the_champions_cannot_be_read(home, content):
    home.write_bytes(KEY, content)
    with pytest.raises(ArtifactError, match=r"champion\.json[^$]*Nothing was removed"):
        make_plan(home, Rules())


def test_nothing_goes_where_a_dataset_in_use_is_damaged(local):
    folder = folders_of(local, "third")["datasets"][0]
    local.path(f"{folder}/dataset.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"dataset\.json[^$]*Nothing was removed"):
        make_plan(local, Rules())


def test_no_picture_goes_where_a_selection_or_the_records_are_damaged(local):
    records, before = f"images/{COW}/records.jsonl", keys(local)
    local.write_bytes(records, local.read_bytes(records) + b"{\n")
    with pytest.raises(ArtifactError, match=r"records\.jsonl: expected a record per line.*Nothing was removed"):
        prune(local, older_than_days=7.5, pictures=True)
    local.write_bytes(folders_of(local, "third")["selections"][0], b"{}")
    with pytest.raises(ArtifactError, match=r"selected-.*not a Selection[^$]*Nothing was removed"):
        prune(local, older_than_days=7.5, pictures=True)
    assert keys(local) == before


def test_nothing_goes_where_there_are_no_runs_at_all(home):
    """A home whose part with the runs is not there."""
    home.remove("runs/dag")
    before = keys(home)
    with pytest.raises(ArtifactError, match="expected at least one run, found none"):
        prune(home)
    assert keys(home) == before


def test_a_home_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="expected the folder of the artifacts"):
        make_plan(Store(tmp_path / "none"), Rules())


# While it removes


def test_what_came_into_use_after_the_plan_was_made_stays(home):
    publish(home, f"arrays/{mark('x')}", ids_json="[]")
    plan = make_plan(home, Rules())
    with Run(home, "dag", "new").task("preprocess_class", COW) as record:
        record["result"] = {"array": {"fingerprint": mark("x")}}
    assert carry_out(home, plan).busy == [f"arrays/{mark('x')}"]
    assert home.is_complete(f"arrays/{mark('x')}")


def test_the_checkpoint_of_a_training_that_begins_after_the_plan_was_made_stays(home):
    folder = checkpoint(home, mark("m"))
    plan = make_plan(home, Rules())
    with Run(home, "dag", "new").task("train_baseline", "t", makes=mark("m")):
        assert carry_out(home, plan).busy == [folder]
    assert home.is_complete(folder)


def test_what_was_published_again_after_the_plan_was_made_stays(home):
    folder = f"arrays/{mark('x')}"
    publish(home, folder)
    plan = make_plan(home, Rules())
    home.remove(folder)
    publish(home, folder, days=0)
    assert carry_out(home, plan).busy == [folder]
    assert home.is_complete(folder)


def test_a_selection_that_a_run_writes_again_after_the_plan_was_made_stays(local):
    selection = Selection(class_id=COW, files=("a.jpg",))
    key = Selection.key(COW, selection.fingerprint)
    local.write_json(key, selection.as_dict())
    set_age(local, 30, key)
    plan = make_plan(local, Rules())
    local.write_json(key, selection.as_dict())
    assert (carry_out(local, plan).busy, local.exists(key)) == ([key], True)


def test_nothing_goes_where_a_run_that_was_to_go_has_begun_again(home):
    plan, before = make_plan(home, Rules(keep_runs=1)), keys(home)
    Run(home, "dag", "second").forget_tasks()
    with Run(home, "dag", "second").task("plan_run"), pytest.raises(ArtifactError, match="has begun again"):
        carry_out(home, plan)
    assert {key for key in before if not key.startswith("runs/")} <= keys(home)


def test_a_run_that_begins_again_while_others_are_removed_stays_with_all_that_it_refers_to(home, monkeypatch):
    run, other, mine = Run(home, "dag", "second"), Run(home, "dag", "another"), folders_of(home, "second")
    home.write_json(other.key("config.json"), {})
    set_age(home, 30, other.folder)
    plan, before, remove = make_plan(home, Rules(older_than_days=7.5)), keys(home), Store.remove

    def begun_again(self, folder, **options):
        with run.task("write_report"):
            remove(self, folder, **options)

    monkeypatch.setattr(Store, "remove", begun_again)
    removed = carry_out(home, plan)
    assert set(removed.busy) == {run.folder, *(f for found in mine.values() for f in found)} & plan.gone
    assert (removed.count, before - keys(home)) == (1, {other.key("config.json")})


def test_what_runs_name_is_asked_twice_whatever_goes(local, monkeypatch):
    plan, walk, walked = make_plan(local, Rules(older_than_days=7.5, pictures=True)), Store.walk, []
    monkeypatch.setattr(Store, "walk", lambda self, key="": walked.append(key) or walk(self, key))
    carry_out(local, plan)
    assert walked.count("runs") == 2


@pytest.mark.parametrize("after", range(0, 22, 3))
def test_f30_a_pruning_that_is_stopped_half_way_is_finished_by_the_next(home, after, monkeypatch):
    remove, count = Store.remove, iter(range(1000))

    def stopped(self, folder, **options):
        if next(count) == after:
            raise KeyboardInterrupt
        remove(self, folder, **options)

    rules = Rules(keep_runs=1, older_than_days=1)
    with monkeypatch.context() as patch:
        patch.setattr(Store, "remove", stopped)
        with contextlib.suppress(KeyboardInterrupt):
            carry_out(home, make_plan(home, rules))
    for kind, folders in folders_of(home, "third").items():
        assert kind == "selections" or all(home.is_complete(folder) for folder in folders)
    carry_out(home, make_plan(home, rules))
    assert going(home, keep_runs=1, older_than_days=1) == {}
    assert home.names("runs/dag") == sorted(Run(home, "dag", name).run_key for name in ("first", "third"))
    assert carry_out(home, make_plan(home, rules)).count == 0


KILLED = """
import os, shutil, signal, sys
from imagenet_tasks.prune import *
from imagenet_tasks.store.storage import Store
shutil.rmtree = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
store = Store(sys.argv[1])
carry_out(store, make_plan(store, Rules()))
"""


def test_f30_a_killed_removal_leaves_no_folder_and_none_in_the_way_of_a_new_one(local):
    folder = f"arrays/{mark('x')}"
    publish(local, folder, ids_json="[]")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(local.root)], capture_output=True, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not local.exists(folder)
    publish(local, folder, ids_json="[]", days=0)
    assert local.is_complete(folder)
    assert [key.split("-")[0] for key in going(local)] == ["arrays/.removing"]


def test_on_an_object_store_a_runs_index_goes_last_so_that_its_rest_goes_next_time(remote, monkeypatch):
    run = Run(remote, "dag", "second")
    removed = []
    kind = type(remote.root.fs)
    monkeypatch.setattr(kind, "rm", lambda self, names, *a, **k: removed.extend(names))
    prune(remote, keep_runs=1)
    mine = [name for name in removed if run.folder in name]
    assert mine[-1].endswith("/run.json") and len(mine) > 10


# The command


@pytest.fixture
def said(local, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments):
        status = main(["prune", "--home", str(local.root), *arguments])
        told = capsys.readouterr()
        return SimpleNamespace(status=status, out=told.out.replace("\u202f", ",").replace("\xa0", " "), err=told.err)

    return run


def test_the_command_removes_nothing_unless_told_and_says_how(said, local):
    before = {key: local.read_bytes(key) for key in keys(local)}
    told = said("--older-than-days", "7.5", "--pictures")
    assert (told.status, {key: local.read_bytes(key) for key in keys(local)}) == (0, before)
    row = next(line for line in told.out.splitlines() if " pictures " in line)
    assert row.split()[:2] == ["pictures", "8"] and row.split()[4] == "56" and "no kept selection names them" in row
    assert "older than 7.5 days" in told.out and "changed in the last 2 days stays" in told.out
    assert told.out.splitlines()[-1].startswith("Nothing was removed. --delete removes 21 pieces (")


def test_the_command_removes_when_told_and_then_has_nothing_to_do(said, local):
    told = said("--older-than-days", "7.5", "--delete")
    assert told.out.splitlines()[-1].startswith("Removed 13 pieces: ")
    assert not local.exists(Run(local, "dag", "second").folder)
    assert said("--delete").out.splitlines()[-1] == "There is nothing to remove."


def test_the_command_names_each_piece_when_asked(said, local):
    told = said("--older-than-days", "7.5", "--verbose")
    assert all(key in told.out for key in going(local, older_than_days=7.5))


def test_the_command_counts_what_is_unknown_and_what_is_young(said, local):
    local.write_bytes("notes.txt", b"x")
    publish(local, f"arrays/{mark('x')}", days=0)
    told = said()
    assert "Unknown, left alone: 1 (notes.txt)" in told.out
    assert "changed in the last 2 days stays, 1 unused piece too:" in told.out


def test_the_command_tells_damage_in_a_line_and_status_1(said, local):
    local.write_bytes(KEY, b"{")
    told = said("--delete")
    assert (told.status, told.out) == (1, "")
    assert told.err.startswith("error: ArtifactError: ") and MARKER not in told.err


def test_the_command_refuses_rules_that_make_no_sense(said):
    assert (said("--keep-runs", "0").status, said("--keep-runs", "0").err) == (
        2, "error: keep-runs: expected 1 or more, received 0\n"
    )  # fmt: skip
