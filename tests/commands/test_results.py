"""`runs`, `report`, `compare` and what the shell completes, on a home with a run of an earlier version."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from imagenet_tasks.commands.main import COMMANDS, main
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import PREVIEW, Run

REPOSITORY = Path(__file__).parents[2]
OLD = REPOSITORY / "tests" / "artifacts" / "version_0"
RUN, ANOTHER = "old", "cli__2026-11-30"


@pytest.fixture
def home(tmp_path):
    """A home with a run that has a report, and one that failed before its report."""
    shutil.copytree(OLD / "runs", tmp_path / "runs")
    failed = Run(Store(tmp_path), "imagenet_tasks", ANOTHER)
    with pytest.raises(OSError), failed.task("plan_run"):
        raise OSError
    return tmp_path


def copy_run(home, name) -> Run:
    """Returns a copy of the run with a report, under another id."""
    old, new = Run(Store(home), "imagenet_tasks", RUN), Run(Store(home), "imagenet_tasks", name)
    shutil.copytree(home / old.folder, home / new.folder)
    for file in ("run.json", "report/report.json"):
        path = home / new.folder / file
        path.write_text(path.read_text().replace('"run_id": "old"', f'"run_id": "{name}"'))
    return new


def printed(capsys, *arguments, status=0) -> str:
    assert main([*map(str, arguments)]) == status
    said = capsys.readouterr()
    return said.err if status else said.out


def test_all_runs_are_listed_the_newest_first_with_what_they_came_to(home, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    Run(Store(home), PREVIEW, "x").write_record({"task": "plan_run", "item": ""})
    table = printed(capsys, "runs", "--home", home)
    first, second = (line.split() for line in table.splitlines() if "2026" in line)
    assert first[2].startswith(ANOTHER) and first[-2:] == ["failed", "–"]
    assert second[2:5] == ["old", "sample", "3"] and "no difference shown" in table and "30.8" in table


def test_runs_as_json_are_a_line_each_with_the_same_fields(home, capsys):
    failed, old = map(json.loads, printed(capsys, "runs", "--home", home, "--json").splitlines())
    assert list(failed) == list(old)
    assert (failed["state"], failed["verdict"], failed["run_key"][: len(ANOTHER)]) == ("failed", None, ANOTHER)
    assert (old["state"], old["run_id"], old["verdict"]) == ("reported", "old", "no difference shown")


def test_a_damaged_run_is_listed_as_damaged(home, capsys):
    next(home.glob("runs/*/old-*/run.json")).write_text("{")
    old = json.loads(printed(capsys, "runs", "--home", home, "--json").splitlines()[1])
    assert (old["state"], old["test_after"]) == ("damaged", None)


def test_a_home_without_runs_says_so(tmp_path, capsys):
    assert main(["runs", "--home", str(tmp_path)]) == 0
    assert capsys.readouterr().err == f"{tmp_path}/runs: there is no run yet\n"


@pytest.mark.parametrize("named", ["", "old", "old-cba06b5736"])
def test_report_says_what_a_run_came_to_and_where_its_report_lies(home, capsys, named):
    run, headline, path = printed(capsys, "report", "--home", home, *filter(None, [named])).splitlines()
    assert (run, headline[:29]) == ("old", "Test accuracy 38.5 % -> 30.8 ")
    assert path == f"{home}/runs/imagenet_tasks/old-cba06b5736/report/report.html"


def test_report_opens_it_in_the_browser_when_asked(home, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    path = printed(capsys, "report", "--home", home).splitlines()[-1]
    assert not opened
    printed(capsys, "report", "--home", home, "--open")
    assert opened == [f"file://{path}"]


def test_without_a_browser_the_path_is_all_there_is(home, capsys, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    assert main(["report", "--home", str(home), "--open"]) == 0
    assert "No browser was found" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["report", "nowhere"], "there is no run 'nowhere'"),
        (["report", "../old"], "there is no run '../old'"),
        (["report", ANOTHER], "this run has no report"),
        (["compare", "old", ANOTHER], "this run has no report that can be read"),
        (["compare", "old", "nowhere"], "there is no run 'nowhere'"),
    ],
)
def test_a_run_that_is_not_there_or_has_no_report_is_one_clear_line(home, capsys, arguments, said):
    error = printed(capsys, *arguments, "--home", home, status=1)
    assert error.startswith("error: ArtifactError: ") and said in error and error.count("\n") == 1


def test_compare_says_how_two_runs_differ(home, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    copy_run(home, "new")
    said = printed(capsys, "compare", "--home", home, "old", "new")
    assert "The settings are the same." in said and "B minus A" in said
    assert all(name in said for name in ("cobra", "cow", "giant panda"))


def test_a_run_is_not_compared_with_itself(home, capsys):
    assert "received the same one twice" in printed(capsys, "compare", "--home", home, "old", "old", status=2)


def test_help_fits_a_terminal_of_80_columns_and_has_examples(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for command in ("", *(name for group in COMMANDS.values() for name in group)):
        with pytest.raises(SystemExit):
            main([*filter(None, [command]), "--help"])
        lines = capsys.readouterr().out.splitlines()
        assert [line for line in lines if len(line) > 80] == []
        assert command in ("", "task") or any(line.startswith("example") for line in lines)


COMPLETION = """
eval "$({python} -m imagenet_tasks completion)"
COMP_LINE="imagenet {typed}"; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9
_python_argcomplete imagenet; echo "${{COMPREPLY[*]}}"
"""


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("pre", "preview predict"), ("run --set classes_to", "classes_to_augment="), ("report ol", "old-cba06b5736 ")],
)
def test_the_shell_completes_commands_settings_and_runs(home, monkeypatch, typed, offered):
    monkeypatch.setenv("IMAGENET_HOME", str(home))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    script = COMPLETION.format(python=sys.executable, typed=typed)
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, cwd="/")
    assert [word.strip() for word in done.stdout.split()] == offered.split(), done.stderr
