"""Each setting changes what the declarations of the kinds say, and nothing else: whole runs, but for the training."""

import pytest
from fakes import training
from fakes.pictures import COBRA, COW, PANDA, fill, picture

from imagenet_tasks.artifacts.kinds import ARRAY, COPIES, DECLARED_SETTINGS, KINDS, PICTURE, SELECTION
from imagenet_tasks.settings.profiles import PROFILES, setting_names
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import runner
from imagenet_tasks.workflow.graph import parse_task_id
from imagenet_tasks.workflow.run import Run

PICTURES = 30
BASE = {
    "source": "folder", "images_per_class": PICTURES, "rows_px": 16, "columns_px": 16, "validation_share": 0.3,
    "test_share": 0.3, "accuracy_goal": 1.0, "classes_to_augment": 1, "pictures_to_add": 4, "precision": "float32",
    "min_images_per_class": 1, "near_duplicate_bits": 0, "epochs": 2,
}  # fmt: skip
# What each setting is changed to. `near_duplicate_bits` has an input of its own, since it changes where pictures go.
CHANGED = {
    "classes": [COBRA, COW], "images_per_class": 20, "max_bytes": 2_500, "max_pixels": 1_000, "min_side_px": 25,
    "max_aspect": 1.4, "accept_imagenet_terms": True, "download_threads": 3, "max_requests_per_host": 3,
    "connect_timeout_s": 1.0, "read_timeout_s": 1.0, "total_timeout_s": 1.0, "attempts": 3, "retry_after_cap_s": 1.0,
    "max_redirects": 1, "respect_robots_tag": False, "allowed_private_hosts": ["10.0.0.1"], "rows_px": 20,
    "columns_px": 20, "validation_share": 0.2, "test_share": 0.2, "min_images_per_class": 25,
    "near_duplicate_bits": 3, "test_steers": True, "model": "convnet1", "more_models": ["convnet1"],
    "retrain_model": "convnet1", "epochs": 3, "retrain_epochs": 3, "learning_rate": 0.002,
    "weight_decay": 0.1, "width": 0.5, "tune_candidates": 2, "batch_size": 32, "precision": "bfloat16",
    "require_gpu": True, "seed": 1, "seeds": 2, "arms": ["collect", "more"], "rounds": 2,
    "correct_prior": False, "train_minutes": 1.0, "early_stopping_patience": 3, "label_check_folds": 2,
    "learning_curve": True, "final_models": 2, "accuracy_goal": 0.0, "strategy": "correlated",
    "augment_classes": [COW], "classes_to_augment": 2, "pictures_to_add": 5, "policy": "colour", "rotation_deg": 5.0,
    "zoom_share": 0.1, "horizontal_flip": False, "vertical_flip": False, "denied_transforms": [f"{COBRA}: zoom"],
}  # fmt: skip
BESIDE = {  # what another setting must be for the change to be allowed, or to show
    "min_images_per_class": {"min_classes": 2},
    "augment_classes": {"strategy": "manual", "augment_classes": [COBRA]},
    "denied_transforms": {"strategy": "manual", "augment_classes": [COBRA]},
    "model": {"rows_px": 40, "columns_px": 40},
    "more_models": {"rows_px": 40, "columns_px": 40},
    "retrain_model": {"rows_px": 40, "columns_px": 40},
}
ELSEWHERE = {
    "force": "it is the salt: tests/tasks/test_tasks.py",
    "source": "another one needs a server: tests/download",
    "location": "what matters is which pictures are there, as below",
    "min_classes": "without it, the run that it lets go on stops: tests/tasks/test_tasks.py",
    "given_split": "it acts on a set that is split already: tests/tasks/test_given_split.py",
    "table_columns": "it acts on a table: tests/download/test_table.py",
    "drift_check": "it needs a champion: tests/evaluate/test_drift.py",
    "skip_if_holds": "so does it",
    "connection": "it needs Airflow: tests/dags/test_branches.py",
    "ask_before_repair_minutes": "it needs Airflow and a person: tests/tasks/test_ask.py, tests/end_to_end",
}

# The settings that change no artifact, and why. All others are declared by a kind; a test holds that.
WITHOUT_EFFECT = {
    "force": "it makes what is there again, by a salt; what comes of it is the same",
    "accept_imagenet_terms": "it allows a source, which the terms are those of",
    "connection": "it says who asks a server, not for which pictures",
    "skip_if_holds": "it says whether anything is trained, not what comes of it",
    "ask_before_repair_minutes": "it lets a person choose among what the settings want",
    "require_gpu": "it refuses a device; what a model was trained in is part of its name",
    **dict.fromkeys(("download_threads", "max_requests_per_host"), "it says how many requests wait at a time"),
    **dict.fromkeys(
        ("connect_timeout_s", "read_timeout_s", "total_timeout_s", "attempts", "retry_after_cap_s", "max_redirects"),
        "it says how patiently a server is asked",
    ),
    **dict.fromkeys(
        ("respect_robots_tag", "allowed_private_hosts"),
        "it says whose pictures are asked for; one that is there stays as it is",
    ),
}


def test_every_setting_is_declared_or_said_to_have_no_effect():
    declared = DECLARED_SETTINGS
    assert declared | set(WITHOUT_EFFECT) == set(setting_names())
    assert not declared & set(WITHOUT_EFFECT)
    assert set(CHANGED) | set(ELSEWHERE) == set(setting_names())


def fill_classes(where):
    """Three classes, one of them smaller, with pictures of two sizes."""
    for place, class_id in enumerate((COBRA, COW, PANDA)):
        seeds = range(1000 * place, 1000 * place + PICTURES - 6 * (class_id == PANDA))
        folder = fill(where / class_id, seeds)
        for number in range(0, len(seeds), 3):
            (folder / f"{number:04d}.png").write_bytes(picture(seeds[number], rows=32, columns=48, kind="PNG"))


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    """Runs the workflow with settings and returns what it came to, by kind of artifact; no report is written."""
    where = tmp_path_factory.mktemp("walk")
    fill_classes(where / "data")
    store, known = Store(where / "home"), runner.function_of
    patch = pytest.MonkeyPatch()
    training.put_in_place(patch)
    patch.setattr(runner, "function_of", lambda name: (lambda run: {}) if name == "write_report" else known(name))
    done = {}

    def run_with(**settings):
        key = repr(sorted(settings.items()))
        if key not in done:
            run = Run(store, "dag", f"run {len(done)}")
            runner.run_all(run, "best", BASE | {"location": str(where / "data")} | settings, listeners=())
            found = {kind.name: set() for kind in KINDS}
            for record in run.task_records():
                kind, result = parse_task_id(record["task"])[0].makes, record["result"]
                if kind:
                    found[kind.name].add(result.get("array", result)["fingerprint"])
            done[key] = found
        return done[key]

    yield run_with
    patch.undo()


def named(kind) -> set[str]:
    """The names of the kinds that one is made from."""
    return {name for value in kind.inputs.values() for name in value.split(", ")}


def reached(kinds: set) -> set:
    """The kinds and all that is made from them."""
    while more := {k for k in KINDS if k not in kinds and {kind.name for kind in kinds} & named(k)}:
        kinds = kinds | more
    return kinds


@pytest.mark.parametrize("name", CHANGED)
def test_f67_a_setting_changes_what_the_declarations_say_and_nothing_else(walk, name):
    beside = BESIDE.get(name, {})
    with_it = {"validation_share": 0.0} if name == "test_steers" else {}  # it allows no others
    before, after = walk(**beside), walk(**beside | with_it | {name: CHANGED[name]})
    declared = {kind for kind in KINDS if name in kind.settings}
    chosen = {kind for kind in KINDS if name in kind.choices}
    changed = {kind for kind in KINDS if before[kind.name] != after[kind.name]}
    assert {k.name for k in changed} <= {k.name for k in reached(declared | chosen)}
    for kind in declared:
        if before[kind.name] and after[kind.name]:
            assert not before[kind.name] & after[kind.name], f"{kind.name} was used again"
    assert bool(changed) is (name not in WITHOUT_EFFECT)


def test_f67_the_same_pictures_in_another_place_are_the_same_work(walk, tmp_path):
    where = tmp_path / "moved"
    fill_classes(where)
    assert walk(location=str(where)) == walk()


def test_f34_one_other_picture_changes_all_that_is_made_from_it(walk, tmp_path):
    """Through the stages themselves: what each hands on is what the next one is named by."""
    where = tmp_path / "other"
    fill_classes(where)
    (where / COBRA / "0000.png").write_bytes(picture(9_999, rows=32, columns=48, kind="PNG"))
    before, after = walk(), walk(location=str(where))
    for kind in reached({PICTURE}):
        new = after[kind.name] - before[kind.name]
        assert len(new) == (1 if kind in (SELECTION, ARRAY) else len(after[kind.name])), kind.name


def test_f67_what_a_class_may_not_be_changed_by_changes_no_other_classes_copies(walk):
    settings = {"strategy": "manual", "augment_classes": [COBRA, COW]}
    before, after = (walk(**settings, denied_transforms=[f"{COBRA}: {name}"]) for name in ("zoom", "rotation"))
    assert len(before[COPIES.name] & after[COPIES.name]) == 1 == len(before[COPIES.name] - after[COPIES.name])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.inputs], ids=lambda kind: kind.name)
def test_f34_each_input_and_each_setting_is_in_the_fingerprint(kind):
    inputs = dict.fromkeys(kind.inputs, "a")
    sample = PROFILES["sample"]
    stages = (sample.download, sample.preprocess, sample.train, sample.evaluate, sample.augment)
    mark = kind.fingerprint(inputs, *stages)
    assert mark == kind.fingerprint(inputs, *stages) != kind.fingerprint(inputs, *stages, salt="x")
    for name in kind.inputs:
        assert kind.fingerprint(inputs | {name: "b"}, *stages) != mark, name
    for name in kind.settings:
        assert kind.fingerprint(inputs, *stages, **{name: "another"}) != mark, name


def test_what_is_not_declared_is_refused():
    with pytest.raises(ValueError, match=r"selection: not as declared: class_id, files, picture"):
        SELECTION.fingerprint({"picture": "a"})
    with pytest.raises(ValueError, match=r"array: not as declared: rows_px"):
        ARRAY.fingerprint({"selection": "a"}, columns_px=3)
    with pytest.raises(ValueError, match=r"array: not as declared: batch_size"):
        ARRAY.fingerprint({"selection": "a"}, rows_px=3, columns_px=3, batch_size=1)
