"""A task in a process of its own: real children, some of which end badly.

Its tasks for tests (to crash, to sleep, ...) come from a sitecustomize module on the child's path.
"""

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fakes.pictures import COBRA, COW, fill

from imagenet_tasks.errors import (
    AcceleratorMissing,
    ConfigError,
    DataError,
    TooFewImages,
    TrainingError,
    TrainingTimeout,
)
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.child import NOISE, run_in_child
from imagenet_tasks.workflow.run import Run

REPOSITORY = Path(__file__).parents[2]
TASKS = """
import json, logging, os, signal, sys, time
from pathlib import Path
from imagenet_tasks import errors
from imagenet_tasks.tasks import runner
def crash(run, signal_number):
    print("last words", flush=True)
    os.kill(os.getpid(), signal_number)
def leave(run, status): os._exit(status)
def half(run, text):
    Path(json.loads(Path(sys.argv[-1]).read_text())["answer"]).write_text(text)
    os._exit(0)
def sleep(run, file):
    open(file, "w").write(str(os.getpid()))
    print("asleep", flush=True)
    time.sleep(60)
def refuse(run, kind, message): raise getattr(errors, kind)(message)
def stumble(run): raise ZeroDivisionError("a mistake of ours")
def speak(run):
    logging.getLogger("x").info("a log line")
    print("a line on stdout", flush=True)
    print("a line on stderr", file=sys.stderr, flush=True)
    print("E0000 00:00:1700000000.000000   12 cuda_executor.cc:1] failed call to cuInit", file=sys.stderr, flush=True)
    print("WARNING: All log messages before absl::InitializeLog() is called are written to STDERR", flush=True)
    sys.stdout.buffer.write(b"not UTF-8: \\xff\\n")
    return {"pid": os.getpid(), "parent": os.getppid(), "home": str(run.store.root), "run_id": run.run_id}
known, ours = runner.function_of, {f.__name__: f for f in (crash, leave, half, sleep, refuse, stumble, speak)}
runner.function_of = lambda name: ours.get(name) or known(name)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "sitecustomize.py").write_text(TASKS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'path'}:{REPOSITORY}")
    return Run(Store(tmp_path / "home"), "dag", "manual__1 é")


def child(run, task, timeout_s=60, **arguments):
    return run_in_child(run, task, arguments, timeout_s=timeout_s)


def test_what_a_task_returns_comes_back_from_another_process(run):
    said = child(run, "speak")
    assert said["pid"] != os.getpid() == said["parent"]
    assert (said["home"], said["run_id"]) == (str(run.store.root), run.run_id)


def test_a_real_task_runs_in_a_child_and_keeps_its_record(run, tmp_path):
    for class_id in (COBRA, COW):
        fill(tmp_path / "data" / class_id, [1])
    overrides = {"source": "folder", "location": str(tmp_path / "data")}
    groups = child(run, "plan_run", profile="sample", overrides=overrides)
    assert groups == [{"name": "cobra", "class_ids": [COBRA]}, {"name": "cow", "class_ids": [COW]}]
    assert [c.class_id for c in run.config.classes] == [COBRA, COW]
    assert [(r["task"], r["state"]) for r in run.task_records()] == [("plan_run", "success")]


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("DataError", DataError),
        ("TooFewImages", TooFewImages),
        ("ConfigError", ConfigError),
        ("AcceleratorMissing", AcceleratorMissing),
    ],
)
def test_an_error_of_ours_keeps_its_type_and_message(run, kind, error):
    with pytest.raises(error) as caught:
        child(run, "refuse", kind=kind, message="cobra: 3 of 20; é\nsecond line")
    assert (type(caught.value), str(caught.value)) == (error, "cobra: 3 of 20; é\nsecond line")


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGKILL", "SIGABRT"])
def test_a_child_that_dies_of_a_signal_is_a_training_error_that_names_it(run, name, caplog):
    with caplog.at_level(logging.INFO), pytest.raises(TrainingError, match=f"crash: .*{name}"):
        child(run, "crash", signal_number=int(getattr(signal, name)))
    assert "last words" in caplog.messages


@pytest.mark.parametrize("status", [0, 3])
def test_a_child_that_leaves_without_an_answer_is_a_training_error_with_its_status(run, status):
    with pytest.raises(TrainingError, match=f"leave: .*exit status {status}"):
        child(run, "leave", status=status)


@pytest.mark.parametrize("text", ["", '{"value": [1, 2', '{"error": {"type": "DataEr', "[" * 100_000, "null", "[]"])
def test_a_half_written_answer_is_none(run, text):
    with pytest.raises(TrainingError, match="half: the child process ended by exit status 0 without an answer"):
        child(run, "half", text=text)


def test_a_mistake_of_ours_is_a_training_error_with_its_traceback_in_the_log(run, caplog):
    with caplog.at_level(logging.INFO), pytest.raises(TrainingError, match="exit status 1"):
        child(run, "stumble")
    assert "ZeroDivisionError: a mistake of ours" in caplog.messages


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_a_child_that_takes_too_long_is_killed(run, tmp_path):
    started_s = time.monotonic()
    with pytest.raises(TrainingTimeout, match=r"sleep: ended after 6 s, the most it may take"):
        child(run, "sleep", timeout_s=6, file=str(tmp_path / "pid"))
    assert 6 <= time.monotonic() - started_s < 40
    assert not is_alive(int((tmp_path / "pid").read_text()))


def test_a_child_does_not_outlive_its_parent(run, tmp_path):
    """No training goes on when its task was killed: the kernel ends the child with its parent."""
    code = (
        "from imagenet_tasks.workflow.run import Run; from imagenet_tasks.store.storage import Store; "
        "from imagenet_tasks.tasks.child import run_in_child; "
        f"run_in_child(Run(Store({str(tmp_path / 'home')!r}), 'dag', 'r'), 'sleep', "
        f"{{'file': {str(tmp_path / 'pid')!r}}}, timeout_s=60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    written = tmp_path / "pid"
    while not (written.exists() and written.read_text()):
        assert parent.poll() is None
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    pid = int(written.read_text())
    for _ in range(500):
        if not is_alive(pid):
            break
        time.sleep(0.02)
    assert not is_alive(pid)


def test_log_lines_and_output_arrive_line_by_line_without_the_native_noise(run, caplog):
    with caplog.at_level(logging.INFO):
        child(run, "speak")
    assert [m for m in caplog.messages if "line" in m] == ["a log line", "a line on stdout", "a line on stderr"]
    assert not [m for m in caplog.messages if "cuInit" in m or "absl" in m]
    assert any(m.startswith("not UTF-8: ") for m in caplog.messages)


@pytest.mark.parametrize(
    ("line", "noise"),
    [
        ("E0000 00:00:1700000000.000000   12 cuda_executor.cc:1] failed call", True),
        ("I0000 00:00:1700000000.000000   12 x.cc:1] says", True),
        ("W1123 05:26:11.123456   12 x.cc:1] warns", True),
        ("WARNING: All log messages before absl::InitializeLog() is called", True),
        ("WARNING: 3 pictures are missing", False),
        ("Error: no such class", False),
        ("E0000 is a picture", False),
        ("epoch 1: 12/12", False),
    ],
)
def test_only_the_native_libraries_own_lines_are_noise(line, noise):
    assert bool(NOISE.match(line)) is noise
