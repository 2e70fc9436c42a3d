"""A command-line run that is killed at any moment loses nothing: the next one ends as one that nothing disturbed."""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from fakes import hostile
from fakes.pictures import COBRA, COW, fill

from imagenet_tasks.artifacts.champions import choose_champion, open_model
from imagenet_tasks.prune import Rules, carry_out, make_plan
from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.child import child_environment

pytestmark = pytest.mark.hostile
MOMENTS = 30
OWN = {"report", "run_id", "seconds", "tasks_reused", "champion"}  # of a run, and not of what was measured


class Nursery:
    """Runs of one folder of pictures, each in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for place, class_id in enumerate((COBRA, COW)):
            fill(folder / "pictures" / class_id, range(1000 * place, 1000 * place + 24))
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py")), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2],
            env=child_environment() | {"PYTHONPATH": str(Path(__file__).parents[2]), "CUDA_VISIBLE_DEVICES": "-1"},
        )  # fmt: skip

    def run(self, home: Path, run_id: str, *, killed_after_s: float = 0) -> dict:
        """Runs the workflow; returns its figures, {} of one that was killed before it had them."""
        self.process.stdin.write(f"{home} {run_id}\n")
        self.process.stdin.flush()
        pid = int(self.process.stdout.readline())
        if killed_after_s:
            time.sleep(killed_after_s)
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.kill(pid, signal.SIGKILL)
        status = int(self.process.stdout.readline())
        log = (self._folder / f"{run_id}.log").read_text()
        assert status == 0 or (killed_after_s and status == -signal.SIGKILL), log
        assert "Traceback" not in log
        said = (self._folder / f"{run_id}.json").read_text() if status == 0 else "{}"
        return {key: value for key, value in json.loads(said).items() if key not in OWN}


def kill_and_go_on(nursery: Nursery, where: Path, chance: random.Random) -> None:
    figures = nursery.run(where / "undisturbed", "undisturbed")
    started_s = time.monotonic()
    assert nursery.run(where / "timed", "timed") == figures
    took_s = time.monotonic() - started_s
    ended = hostile.COUNTS.setdefault("killed run", Counter())
    for number in range(MOMENTS):
        home = where / f"home{number}"
        store = Store(home)
        nursery.run(home, f"killed{number}", killed_after_s=chance.uniform(0.01, 0.95) * took_s)
        records = sorted(home.glob("runs/*/*/tasks/*.json"), key=lambda path: path.stat().st_mtime)
        assert nursery.run(home, f"after{number}") == figures
        plan = make_plan(store, Rules(grace_days=0))
        assert not plan.unknown and not plan.strange
        carry_out(store, plan)
        assert make_plan(store, Rules(grace_days=0)).going == []
        assert open_model(store, choose_champion(store)).is_file()
        ended[f"in {records[-1].name.partition('.')[0]}" if records else "before it began"] += 1
        shutil.rmtree(home)


def test_f30_a_run_that_is_killed_at_any_moment_is_run_to_its_end_with_the_same_figures(tmp_path):
    nursery, chance = Nursery(tmp_path), random.Random(6)
    with nursery.process:
        kill_and_go_on(nursery, tmp_path, chance)
