"""A disk that is full or takes no writes, a clock that is set back, two runs at once: a clear end, and nothing lost."""

import contextlib
import errno
import os
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagenet_tasks.errors import OutOfSpace
from imagenet_tasks.prune import Rules, make_plan
from imagenet_tasks.store import local_disk
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run

FULL = Path("/dev/full")
# Each kind of write of a run, in its order: a file's key, or of a published folder its key and one of its files.
WRITES = [
    r"runs/.*/tasks/plan_run\.json", r"runs/.*/config\.json", r"images/.*\.png", r"images/.*/records\.jsonl",
    r"images/.*/selected-.*", r"arrays/.* (n\d+\.npy|looks\.npy|ids\.json)", r"datasets/.* split\.csv",
    r"datasets/.* dataset\.json", r"models/.* model\.keras", r"models/.* probabilities_test\.npy",
    r"models/.* training\.json", r"evaluations/.* metrics\.json", r"evaluations/.* predictions\.csv",
    r"runs/.*/decision\.json", r"plans/.* plan\.json", r"evaluations/.* comparison\.json", r"models/champion\.json",
    r"runs/.*/report/report\.html", r"runs/.*/report/report\.json", r"runs/.*/run\.json",
]  # fmt: skip
FILES = [  # of published folders
    *(f"{class_id}.npy" for class_id in ("n01747885", "n02403454", "n02510455")), "looks.npy", "ids.json", "split.csv",
    "dataset.json", "model.keras", "probabilities_test.npy", "training.json", "metrics.json", "predictions.csv",
    "plan.json", "comparison.json",
]  # fmt: skip


@contextlib.contextmanager
def full_for(pattern: str):
    """Lets the kernel refuse this write as a full disk does: what is written goes to a disk that is always full."""
    write, publish, now = Store.write_bytes, Store.publish, threading.local()

    def write_bytes(self, key, data, **options):
        now.key = key
        write(self, key, data, **options)

    def to_disk(name, mode):
        return FULL.open("wb") if re.fullmatch(pattern, now.key) else Path(name).open(mode)

    @contextlib.contextmanager
    def publish_there(self, folder):
        with publish(self, folder) as attempt:
            for name in FILES:
                if re.fullmatch(pattern, f"{folder} {name}"):
                    (attempt / name).symlink_to(FULL)
            yield attempt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write_bytes", write_bytes)
        patch.setattr(Store, "publish", publish_there)
        patch.setattr(local_disk, "open", to_disk, raising=False)
        yield


def leftovers(store: Store) -> list[str]:
    """What lies in a home that no run that ended leaves, or that `prune` does not know."""
    plan = make_plan(store, Rules())
    strange = [*(found.key for found in plan.unknown), *(piece.key for piece in plan.strange)]
    return strange + [piece.key for piece in plan.young if piece.kind == "leftovers"]


@pytest.mark.skipif(not FULL.exists(), reason="there is no disk that is always full")
def test_f31_a_disk_that_is_full_at_any_write_ends_the_run_with_its_path_and_the_next_run_goes_on(home, figures):
    for number, pattern in enumerate(WRITES):
        with full_for(pattern), pytest.raises(OutOfSpace) as caught:
            home.run(f"run {number}")
        said = rf"{home.store.root}/\S+: the disk ran full; expected .* found [\d,]+\. Free some, or .*IMAGENET_HOME.*"
        assert re.fullmatch(said, str(caught.value)), pattern
    assert home.run("the last") == figures
    assert leftovers(home.store) == []


@pytest.mark.skipif(not FULL.exists(), reason="there is no disk that is always full")
def test_f31_progress_that_cannot_be_written_costs_no_run(home, figures):
    with full_for(r"runs/.*/progress/.*"):
        assert home.run("run") == figures


@pytest.mark.parametrize("writable", ["", r".*/runs/.*"])
def test_f31_a_home_that_takes_no_writes_ends_the_run_with_the_path_and_the_cause(home, figures, monkeypatch, writable):
    """Of a disk that is mounted read-only, at once or but for its runs' records; permissions do not stop root."""
    assert home.run("first") == figures

    def refuses(function):
        def checked(path, *others, **options):
            if str(path).startswith(str(home.store.root)) and not re.fullmatch(writable, str(path)):
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
            return function(path, *others, **options)

        return checked

    with monkeypatch.context() as patch:
        patch.setattr(local_disk, "open", refuses(open), raising=False)
        patch.setattr(os, "mkdir", refuses(os.mkdir))
        with pytest.raises(OSError, match=rf"Read-only file system: '{home.store.root}/"):
            home.run("second", images_per_class=12)
    assert home.run("second") == figures


def test_a_clock_that_is_set_back_by_a_day_changes_no_figure_and_nothing_is_done_again(home, figures, monkeypatch):
    assert home.run("first") == figures
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 86_400)
    assert home.run("second") == figures
    records = Run(home.store, "dag", "second").task_records()
    assert [r["task"] for r in records if r["makes"] and not r["reused"]] == []
    assert make_plan(home.store, Rules(grace_days=0)).going == []
    assert leftovers(home.store) == []


def test_f32_two_runs_of_one_home_at_once_both_end_with_the_figures_of_one_alone(home, figures):
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(home.run, ("one", "other"))) == [figures, figures]
    assert leftovers(home.store) == []
    assert home.run("after") == figures
