"""What a run is expected to cost, by its settings and by what earlier runs in its home took."""

import pytest
from fakes.pictures import COBRA, COW
from fakes.records import training_of

from imagenet_tasks.artifacts.references import Trial
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.expected import expect, plan_trainings
from imagenet_tasks.tasks.pictures import _trials, plan_run
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.workflow.run_index import RunIndex

SETTINGS = {"classes": f"{COBRA},{COW}", "seeds": 1, "classes_to_augment": 1}
MARK = "0123456789abcdef"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


def earlier(store, run_id="a", *, seconds=20.0, reused=False, settings=SETTINGS, index=None, **training):
    """A run that took 10 s to get 100 pictures and `seconds` for a training of 12 s that showed 720 pictures."""
    run = Run(store, "dag", run_id)
    run.write_config(make_config("sample", settings))
    trial = Trial(model="compact", seed=0, arm="baseline", dataset="ab")
    for task, item, start_s, took_s, result in (
        ("plan_run", "", 0, 1, {"classes": 2}),
        ("download_class", COBRA, 1, 6, {"accepted": 50, "asked": 60}),
        ("download_class", COW, 5, 6, {"accepted": 50, "asked": 50}),
        ("train_baseline", trial.key, 11, seconds, {"fingerprint": MARK, "trial": trial.as_dict()}),
        ("evaluate_baseline", "", 40, 3, {"fingerprint": MARK}),
    ):
        record = {"task": task, "item": item, "state": "success", "started_s": 1e9 + start_s, "seconds": took_s}
        store.write_json(run.key(f"tasks/{task}.{item}.json"), record | {"reused": reused, "result": result})
    fields = dict.fromkeys(RunIndex.model_fields) | {
        "dag_id": "dag",
        "run_id": run_id,
        "unchanged_since": "",
        "fell_since": "",
    }
    fields |= dict.fromkeys(("run_key", "profile", "source", "verdict", "headline", "arm", "champion", "report"), "")
    fields |= {"report_json": "", "branch": "report", "model": "compact", "device": "CPU", "precision": "float32"}
    fields |= dict.fromkeys(("started_s", "seconds", "classes", "rounds", "seeds", "written_s"), 1)
    fields |= dict.fromkeys(("chosen", "lost", "arms", "artifacts"), ())
    store.write_bytes(run.key(RunIndex.KEY), RunIndex(**fields | (index or {})).content())
    if not store.is_complete(f"models/{MARK}"):
        with store.publish(f"models/{MARK}") as folder:
            training_of(trial, **{"epochs": 6, "training_pictures": 120, "pictures_per_s": 60.0} | training).write_to(
                folder
            )
    store.write_bytes(f"images/{COBRA}/{'0' * 64}.jpg", b"x" * 1000)


def expect_here(store, **settings):
    config = make_config("sample", SETTINGS | settings)
    return expect(Run(store, "dag", "new"), config, _trials(config.train, ""))


def test_the_trainings_are_those_that_the_tasks_make_with_as_many_pictures_as_they_show():
    config = make_config("sample", SETTINGS | {"label_check_folds": 2, "arms": "collect"})
    planned = {(t.task, t.arm): (t.count, t.pictures) for t in plan_trainings(config, _trials(config.train, ""))}
    assert planned == {
        ("train_baseline", "baseline"): (1, 6 * 120), ("train_baseline", "labels"): (2, 6 * 60),
        ("train_augmented", ""): (3, 6 * 140),  # of the arms longer, collect and targeted
    }  # fmt: skip


def test_without_an_earlier_run_it_is_plainly_said_that_nothing_is_known(store):
    told = " ".join(expect_here(store).sentences)
    assert "Up to 200\u00a0pictures" in told and "1\u00a0training, and 3 more in a repair" in told
    assert "No earlier run trained these models at this size, so how long it takes is not known." in told
    assert "How much disk they take is not known" in told and "GPU" not in told


def test_times_and_disk_follow_from_what_the_last_run_took(store):
    earlier(store)
    found = expect_here(store)
    assert found.download_s == pytest.approx((20 / 1.25, 20 * 1.25))  # twice as many pictures
    assert found.trainings[0].seconds == pytest.approx((20 / 1.25, 20 * 1.25))
    assert found.rest_s == pytest.approx((4 / 1.25, 4 * 1.25))
    assert found.size_bytes > 200 * 1000 + 200 * 34 * 23 * 3
    assert (found.device, found.runs) == ("CPU", 1)
    assert "GPU hours: none" in found.sentences[-1]


def test_of_several_runs_it_is_the_least_and_the_most(store):
    for number, seconds in enumerate((20.0, 26.0, 22.0)):
        earlier(store, f"run{number}", seconds=seconds)
    assert expect_here(store).trainings[0].seconds == pytest.approx((20, 26))


def test_they_are_told_by_the_machine_of_the_newest_run_and_it_is_named(store):
    earlier(store, "processor", seconds=90.0)
    gpu = {"device": "NVIDIA H200", "precision": "bfloat16", "written_s": 2}
    earlier(store, "gpu", index=gpu)
    found = expect_here(store)
    assert found.runs == 1 and found.trainings[0].seconds == pytest.approx((20 / 1.25, 20 * 1.25))
    assert any(
        "Measured in the last run that trained on NVIDIA H200 in bfloat16;" in sentence for sentence in found.sentences
    )


def test_where_it_trained_on_a_gpu_its_hours_are_told(store):
    earlier(store, device="gpu")
    assert expect_here(store).sentences[-1].startswith("GPU hours: 0.0")


def test_of_many_runs_only_those_that_it_tells_by_are_opened(store, monkeypatch):
    for number in range(5):
        earlier(store, f"run{number}", index={"written_s": number})
    earlier(store, "another model", index={"model": "resnet", "written_s": 9})
    opened, records = [], Run.task_records
    monkeypatch.setattr(Run, "task_records", lambda run: opened.append(run.run_key[:4]) or records(run))
    assert expect_here(store).runs == 3
    assert opened == ["run4", "run3", "run2"]


def test_a_training_takes_no_longer_than_its_cap(store):
    earlier(store)
    assert expect_here(store, train_minutes=0.1).trainings[0].seconds == pytest.approx((6 / 1.25, 6 * 1.25))


@pytest.mark.parametrize("changes", [{"reused": True}, {"epochs": 2}, {"settings": SETTINGS | {"rows_px": 64}}])
def test_runs_that_trained_nothing_or_too_little_or_at_another_size_tell_nothing(store, changes):
    earlier(store, **changes)
    assert expect_here(store).runs == 0


@pytest.mark.parametrize("name", ["config.json", "run.json", f"tasks/download_class.{COW}.json"])
def test_an_earlier_run_that_is_damaged_is_passed_over(store, name):
    earlier(store)
    store.write_bytes(Run(store, "dag", "a").key(name), b'{"task": 1}')
    assert expect_here(store).runs == 0


def test_what_no_run_wrote_among_the_runs_is_passed_over(store):
    earlier(store)
    store.write_bytes("runs/notes.txt", b"x")
    store.write_bytes("runs/backup of runs/a/run.json", b"{}")
    store.write_bytes("runs/dag/notes.txt", b"x")
    assert expect_here(store).runs == 1


def test_a_home_that_cannot_be_read_costs_the_estimate_and_not_the_run(store, tmp_path, caplog):
    store.write_bytes("images", b"a file where a folder is expected")
    for name in ("cobra", "cow"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / "1.jpg").touch()
    run = Run(store, "dag", "new")
    assert plan_run(run, "sample", {"source": "folder", "location": str(tmp_path / "pictures")})
    assert "expected" not in run.result_of("plan_run")
    assert "What the run will cost is not known" in caplog.text
