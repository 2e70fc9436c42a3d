"""`python -m imagenet_tasks`, as a person starts it."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes.pictures import fill

from imagenet_tasks.settings.classes import STUDY_CLASSES
from imagenet_tasks.settings.config import to_json
from imagenet_tasks.settings.profiles import make_config, shared_settings
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.graph import makes_artifact
from imagenet_tasks.workflow.run import Run

REPOSITORY = Path(__file__).parents[2]


def command(*arguments, **environment) -> subprocess.CompletedProcess:
    # Python's own default for warnings: this test run's filters are not a person's.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"} | environment
    return subprocess.run(
        [sys.executable, "-m", "imagenet_tasks", *arguments],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
    )


def test_what_only_some_commands_need_is_not_imported_by_all():
    """Each training's process starts so, too."""
    heavy = "{'numpy', 'rich', 'scipy', 'keras', 'pydantic', 'fsspec'}"
    code = f"import imagenet_tasks.commands.main, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_config_prints_the_effective_settings_as_json():
    done = command("config", "--profile", "seed", "--set", "epochs=3", "--set", "classes=cobra,cow")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == to_json(make_config("seed", {"epochs": 3, "classes": "cobra,cow"})) + "\n"


def test_whoever_reads_the_output_may_stop_early():
    read_end, write_end = os.pipe()
    os.close(read_end)
    arguments = [sys.executable, "-m", "imagenet_tasks", "config"]
    done = subprocess.run(arguments, cwd=REPOSITORY, stdout=write_end, stderr=subprocess.PIPE)
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, b"")


def test_settings_of_another_run_are_read_from_a_file_and_changed_by_the_other_options(tmp_path):
    wanted = make_config("study", {"location": "/there", "classes": "cow,cobra", "batch_size": 8})
    (tmp_path / "settings.json").write_text(shared_settings(wanted), encoding="utf-8-sig")
    done = command("config", "--settings", str(tmp_path / "settings.json"), "--set", "epochs=3", "--location", "/here")
    assert (done.returncode, done.stderr) == (0, "")
    changed = {"location": "/here", "classes": "cow,cobra", "batch_size": 8, "epochs": 3}
    assert done.stdout == to_json(make_config("study", changed)) + "\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["config", "--settings", "nowhere.json"], "--settings nowhere.json: cannot be read (No such file"),
        (["config", "--settings", "README.md"], "--settings README.md: expected JSON such as"),
        (["config", "--set", "epochs=0"], "train.epochs: input should be greater than or equal to 1; received '0'"),
        (["config", "--set", "epoch=3"], "epoch: no such setting"),
        (["config", "--set", "epochs"], "expected name=value"),
        (["config", "--set", "classes=cobra"], "classes: received one class"),
        (["config", "--set", "accuracy_goal=41"], "accuracy_goal"),
        (["run", "--set", "classes=n123,cow"], "'n123' is not a class"),
        (["run", "--set", "classes=crane,cobra"], "n03126707 crane: lifts and moves"),
        (["run", "--source", "folder"], "location"),
        (["run", "--source", "folder", "--location", "/nowhere/at/all"], "/nowhere/at/all"),
    ],
)
def test_a_wrong_setting_is_one_clear_line_and_status_2(arguments, said, tmp_path):
    home = ["--home", str(tmp_path)] if arguments[0] == "run" else []
    done = command(*arguments, *home)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr.strip().splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.strip()]) == 1


@pytest.mark.parametrize("arguments", [[], ["dance"], ["config", "--profile", "thesis"], ["run", "--source", "web"]])
def test_a_wrong_command_is_status_2_with_what_there_is(arguments):
    done = command(*arguments)
    assert done.returncode == 2
    assert "usage" in done.stderr and "Traceback" not in done.stderr


def test_too_few_pictures_are_one_clear_line_and_status_1(tmp_path):
    for name in ("dog", "cat"):
        (tmp_path / "data" / name).mkdir(parents=True)
    done = command("run", "--source", "folder", "--location", str(tmp_path / "data"), "--home", str(tmp_path / "home"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: TooFewImages: cat (cat): has 0 pictures, needs 20" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("home", "status", "said"),
    [
        ("{file}/below", 1, "NotADirectoryError"),
        ("{file}", 1, "Error: "),
        ("abfs://x/y", 2, "home: 'abfs://x/y' cannot be opened: Install adlfs"),
    ],
)
def test_a_home_that_cannot_be_used_is_one_clear_line(tmp_path, home, status, said):
    (tmp_path / "file").write_text("x")
    for name in ("dog", "cat"):
        fill(tmp_path / "data" / name, [1])
    place = ["--source", "folder", "--location", str(tmp_path / "data")]
    done = command("run", *place, "--home", home.format(file=tmp_path / "file"))
    assert (done.returncode, done.stdout) == (status, "")
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("error: ") and said in lines[0]
    assert "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "x"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "NoCredentialsError"),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, "EndpointConnectionError"),
    ],
)
def test_an_object_store_that_cannot_be_asked_is_one_clear_line(tmp_path, monkeypatch, variables, said):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    done = command("prune", "--home", "s3://bucket/home", **nowhere, **variables, AWS_MAX_ATTEMPTS="1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: an object store: {said}") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("place", [["--home", "nothing://x"], ["--source", "folder", "--location", "nothing://x"]])
def test_a_url_of_an_unknown_kind_is_one_clear_line(tmp_path, place):
    done = command("run", "--home", str(tmp_path), *place)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr and "nothing" in done.stderr
    assert len([line for line in done.stderr.splitlines() if line.strip()]) == 1


def test_a_location_with_a_password_is_refused_without_repeating_it(tmp_path):
    place = ["--source", "folder", "--location", "https://me:word@host/x", "--home", str(tmp_path / "home")]
    done = command("run", *place)
    assert (done.returncode, done.stdout) == (2, "")
    assert "location: expected no user name or password" in done.stderr and "word@" not in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_file_that_is_no_archive_is_named_and_status_1(tmp_path):
    fill(tmp_path / "data" / "dog", [1])
    (tmp_path / "data" / "cat.tar").write_text("no archive")
    place = ["--source", "folder", "--location", str(tmp_path / "data"), "--home", str(tmp_path / "home")]
    done = command("run", *place)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"error: DataError: {tmp_path}/data/cat.tar: expected a tar archive" in done.stderr


def lines_of(done) -> list[str]:
    assert done.returncode == 0, done.stderr
    return [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("n0")]


def test_classes_prints_the_wnid_all_names_and_the_gloss_of_what_a_word_finds():
    done = command("classes", "panda", COLUMNS="250")
    assert [line[:9] for line in lines_of(done)] == ["n02509815", "n02510455", "n03881534"]
    assert "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca" in lines_of(done)[1]
    assert "large black-and-white herbivorous mammal of bamboo forests of China and Tibet" in lines_of(done)[1]
    assert done.stderr == ""


def test_classes_takes_several_words_as_one_name():
    assert lines_of(command("classes", "giant", "panda", COLUMNS="250"))[0].startswith("n02510455")


def test_classes_without_a_word_prints_the_studys():
    found = [line[:9] for line in lines_of(command("classes", COLUMNS="250"))]
    assert sorted(found) == sorted(c.class_id for c in STUDY_CLASSES if c.class_id.startswith("n0"))
    assert len(found) == 19  # and n12582231


def test_classes_says_how_many_it_does_not_show():
    done = command("classes", "cow", "--limit", "3", COLUMNS="250")
    assert [line[:9] for line in lines_of(done)] == ["n01887787", "n02403454", "n09972587"]
    assert done.stderr == "3 of 25 shown; give more words, or --limit 25\n"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["xqzzy"], 1, "no class has 'xqzzy' in its names or gloss"),
        ([" "], 1, "no class has ' ' in its names or gloss"),
        (["cow", "--limit", "0"], 2, "--limit 0: expected 1 or more"),
    ],
)
def test_classes_that_finds_nothing_says_so(arguments, status, said):
    done = command("classes", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr and len(done.stderr.splitlines()) == 1


# The whole workflow on real pictures: once for real, and then again with nothing to do.


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


def workflow(home, pictures, *arguments) -> tuple[dict, str]:
    few = {"images_per_class": 30, "epochs": 1, "retrain_epochs": 1, "batch_size": 32}
    few |= {
        "accuracy_goal": 1.0,
        "classes_to_augment": 1,
        "pictures_to_add": 10,
        "seeds": 1,
        "rows_px": 32,
        "columns_px": 32,
    }
    settings = [text for name, value in few.items() for text in ("--set", f"{name}={value}")]
    place = ["--source", "folder", "--location", str(pictures), "--home", str(home)]
    done = command("run", "--profile", "sample", *place, *settings, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


@pytest.fixture(scope="module")
def first(home, picture_folder):
    return workflow(home, picture_folder)


def test_the_last_line_of_a_run_says_how_it_ended_and_where_its_report_is(first):
    summary, _ = first
    assert summary["branch"] == "augment"
    assert len(summary["chosen"]) == 1
    shares = [summary[f"{split}_{when}"] for split in ("validation", "test") for when in ("before", "after")]
    assert all(0 <= share <= 1 for share in shares)
    assert Path(summary["report"]).is_file()
    assert (summary["tasks"], summary["tasks_reused"]) == (15, 0)


def test_a_run_leaves_its_records_and_decision(first, home, picture_folder):
    (folder,) = (home / "runs" / "imagenet_tasks").iterdir()
    decision = json.loads((folder / "decision.json").read_text())
    assert (decision["branch"], decision["accuracy_goal"]) == ("augment", 1.0)
    states = {json.loads(path.read_text())["state"] for path in (folder / "tasks").iterdir()}
    assert states == {"success"}


def test_f34_a_second_run_has_nothing_to_do_and_says_so(first, home, picture_folder):
    again, said = workflow(home, picture_folder)
    assert (again["tasks"], again["tasks_reused"]) == (15, 15)
    assert "nothing to do" in said
    assert first[0]["champion"]["trial"] and again["champion"] is None  # only a new champion is told of
    assert again["unchanged_since"] == first[0]["run_id"]
    own = ("run_id", "report", "seconds", "tasks_reused", "champion", "unchanged_since")
    assert {k: v for k, v in again.items() if k not in own} == {k: v for k, v in first[0].items() if k not in own}


def test_force_redoes_the_named_step_and_nothing_before_it(first, home, picture_folder):
    summary, _ = workflow(home, picture_folder, "--set", "force=augment")
    records = Run(Store(home), "imagenet_tasks", summary["run_id"]).task_records()
    redone = {r["task"] for r in records if not r.get("reused") and makes_artifact(r["task"])}
    assert redone == {"plan_augmentation", "augment_class", "collect_class", "train_augmented", "evaluate_augmented"}


REUSE = """
import json, sys
from imagenet_tasks.tasks import models
from imagenet_tasks.workflow.run import Run
from imagenet_tasks.store.storage import Store
run = Run(Store(sys.argv[1]), "imagenet_tasks", sys.argv[2])
(made,) = [r["result"] for r in run.task_records() if r["task"] == "train_baseline"]
there = models.train_baseline(run, made["trial"], only_reuse=True)
absent = models.train_baseline(run, made["trial"] | {"seed": 99}, only_reuse=True)
print(json.dumps([there == made, absent, "keras" in sys.modules]))
"""


def test_f34_a_training_whose_model_is_there_is_reused_without_keras(first, home, picture_folder):
    arguments = [str(home), first[0]["run_id"]]
    done = subprocess.run([sys.executable, "-c", REUSE, *arguments], capture_output=True, text=True, cwd=REPOSITORY)
    assert json.loads(done.stdout.splitlines()[-1]) == [True, {}, False], done.stderr


def test_f48_a_goal_that_is_met_leads_straight_to_the_report(first, home, picture_folder):
    summary, _ = workflow(home, picture_folder, "--set", "accuracy_goal=0")
    assert (summary["branch"], summary["tasks"], summary["tasks_reused"]) == ("report", 9, 9)
    assert (summary["validation_before"], summary["test_after"]) == (first[0]["validation_before"], None)
    assert Path(summary["report"]).is_file()


def test_the_champion_is_listed_and_pinned_and_what_is_none_is_said(first, home):
    run_id = first[0]["run_id"]
    pinned = command("champion", "pin", "--home", str(home), run_id)
    listed = command("champion", "list", "--home", str(home))
    unpinned = command("champion", "unpin", "--home", str(home), run_id)
    assert (pinned.returncode, listed.returncode, unpinned.returncode) == (0, 0, 0)
    assert f"of run {run_id}" in pinned.stdout and "is pinned" in pinned.stdout
    assert "is no longer pinned" in unpinned.stdout
    assert all(said in listed.stdout for said in ("giant panda", f"  {run_id}\n", "seen by", ", pinned 20"))
    absent = command("champion", "revert", "--home", str(home), run_id)
    assert (absent.returncode, absent.stdout) == (1, "") and "former champions" in absent.stderr


def test_predict_says_what_the_champion_takes_pictures_for_and_why_not(first, home, tmp_path):
    picture = next((home / "images").glob("*/*.jpg"))
    (tmp_path / "page.jpg").write_text("<html>")
    files = [str(picture), str(tmp_path / "page.jpg"), str(tmp_path / "absent.jpg")]
    done = command("predict", "--home", str(home), "--top", "2", "--json", *files)
    good, *bad = (json.loads(line) for line in done.stdout.splitlines())
    assert (done.returncode, good["reason"], len(good["top"])) == (3, None, 2)
    assert all(answer["reason"] and not answer["top"] for answer in bad)
    table = command("predict", "--home", str(home), str(picture))
    assert table.returncode == 0 and good["top"][0]["name"] in table.stdout


def test_predict_reads_a_folder_at_any_depth_into_a_table_and_says_what_it_could_not_use(first, home, tmp_path):
    pictures = sorted((home / "images").glob("*/*.jpg"))[:3]
    for place, path in enumerate(pictures):
        (tmp_path / "in" / str(place)).mkdir(parents=True)
        (tmp_path / "in" / str(place) / f"{place}.jpg").write_bytes(path.read_bytes())
    (tmp_path / "in" / "0" / "broken.png").write_text("<html>")
    (tmp_path / "in" / "notes.txt").write_text("x")
    (tmp_path / "in" / ".hidden").mkdir()
    (tmp_path / "in" / ".hidden" / "1.jpg").write_text("x")
    written = ["--csv", str(tmp_path / "a.csv"), "--sheet", str(tmp_path / "a.html")]
    done = command("predict", "--home", str(home), "--top", "1", *written, str(tmp_path / "in"))
    assert (done.returncode, done.stdout) == (3, "")
    assert "Files passed over, since their names are not those of pictures: 1\n" in done.stderr
    assert "Pictures that could not be read: 1 of 4\n" in done.stderr
    assert (tmp_path / "a.html").read_text().count("<figure") == 3
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == ["0.jpg", "broken.png", "1.jpg", "2.jpg"]
    assert [bool(row["reason"]) for row in rows] == [False, True, False, False]
    assert all(0.5 < float(row["probability_1"]) <= 1 and row["name_1"] for row in rows if not row["reason"])


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--csv", "nowhere/a.csv", "there is no folder"),
        ("--csv", "", "this is a folder"),
        ("--sheet", "nowhere/a.png", "there is no folder"),
        ("--sheet", "a.jpg", "expected a name that ends with .png or .html"),
    ],
)
def test_predict_says_before_the_work_that_a_file_cannot_be_written(first, home, tmp_path, option, name, said):
    done = command("predict", "--home", str(home), option, str(tmp_path / name), str(home / "images"))
    assert (done.returncode, done.stdout) == (2, "") and f"error: {option} {tmp_path / name}: {said}" in done.stderr
    assert "Traceback" not in done.stderr


def test_predict_without_any_picture_says_so(first, home, tmp_path):
    done = command("predict", "--home", str(home), str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "") and f"error: {tmp_path}: expected pictures" in done.stderr


def test_predict_says_that_there_is_no_such_run(first, home, tmp_path):
    done = command("predict", "--home", str(home), "--run", "nowhere", str(tmp_path))
    assert done.returncode == 1 and "there is no run 'nowhere'" in done.stderr and "Traceback" not in done.stderr


def test_the_command_of_a_report_asks_the_model_that_it_says_to_use_from_any_folder(first, picture_folder, tmp_path):
    report = json.loads(Path(first[0]["report"]).with_name("report.json").read_text())
    picture = next(path for path in picture_folder.rglob("*.jpg"))
    pasted = report["use"]["command"].replace("PICTURES", str(picture))
    done = subprocess.run(["/bin/sh", "-c", pasted], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and all((tmp_path / f"answers.{kind}").is_file() for kind in ("csv", "html"))
    assert f"Asking {report['use']['called']}\n" in done.stderr


def test_predict_without_a_champion_says_so(tmp_path):
    done = command("predict", "--home", str(tmp_path), "x.jpg")
    assert done.returncode == 1 and done.stdout == ""
    assert "champion" in done.stderr and "Traceback" not in done.stderr


def test_preview_into_a_folder_that_is_not_there_is_refused_before_anything_is_downloaded(tmp_path):
    out = tmp_path / "absent" / "preview.png"
    done = command("preview", "--home", str(tmp_path / "home"), "--out", str(out))
    assert done.returncode == 2 and "there is no folder" in done.stderr
    assert not (tmp_path / "home").exists()
