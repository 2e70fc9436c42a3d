"""F54: what dies in mid-run, on a real cluster, is survived, and the run ends as an undisturbed one would."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TABLE, ended, wait_for
from fakes.waiting import PATIENCE_S

from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from tests.end_to_end.real_runs import SETTINGS
from tools.local_airflow import DAG_ID, REPOSITORY
from tools.local_cluster import LocalCluster

CLASSES = ["n00451635", "n02685082", "n09438940", "n12582231"]
LONGER = SETTINGS | {"classes": CLASSES, "images_per_class": 120, "epochs": 20, "retrain_epochs": 10}
LONGER |= {"arms": ["targeted"]}  # and the control: a third training would show nothing more of a fault
pytestmark = pytest.mark.timeout(2400)  # the first test waits for the disturbed run, and another beside it
DOWN_S = 3.0  # so long a part is away


class Disturbed:
    """A run, and what was done to it: each fault with the tries that its tasks then took."""

    def __init__(self, cluster: LocalCluster, store: Store) -> None:
        self.cluster, self.faults = cluster, list[str]()
        self.run = Run(store, DAG_ID, cluster.trigger(**LONGER))

    def instances(self, task: str) -> list[dict[str, Any]]:
        return [i for i in self.cluster.task_instances(self.run.run_id) if i["task_id"] == task]

    def progress(self, task: str) -> list[dict[str, Any]]:
        folder = self.run.key("progress")
        names = [name for name in self.run.store.names(folder) if name.startswith(f"{task}.")]
        return [self.run.store.read_json(f"{folder}/{name}") for name in names]

    def wait(self, what: str, happened: Callable[[], Any]) -> float:
        return wait_for(self.cluster, what, happened, run_id=self.run.run_id)

    def restart(self, part: str, when: str, recovered: Callable[[], Any]) -> None:
        """Kills a part in mid-work, starts it again, waits until its loss is got over."""
        assert not recovered()
        pid = self.cluster.kill(part)
        time.sleep(DOWN_S)
        self.cluster.launch(part)
        seconds = self.wait(f"the run to get over the death of {part}", recovered)
        self.faults.append(part)
        ended = ", ".join(dict.fromkeys(self.cluster.restarted)) or "nothing else"
        self.cluster.restarted.clear()
        TABLE.append(
            f"SIGKILL {part:<10} (pid {pid}) {when}: got over {seconds:.0f} s after its restart; "
            f"ended for want of it and started again: {ended}"
        )


@pytest.fixture(scope="module")
def disturbed(cluster: LocalCluster, store: Store, run: Run, in_one_process: tuple[Path, Any]) -> Disturbed:
    """A run in whose course everything dies once: workers, scheduler, broker, database."""
    one = Disturbed(cluster, store)

    def downloading() -> bool:
        return any(0 < p["done"] < p["total"] for p in one.progress("download_class"))

    def tries(task: str) -> list[int]:
        return [i["try_number"] for i in one.instances(task) if i["state"] in ("running", "success")]

    def done(task: str) -> bool:
        states = [i["state"] for i in one.instances(task)]
        return bool(states) and set(states) == {"success"}

    one.wait("a download", downloading)
    one.restart("worker", "in mid-download", lambda: any(number > 1 for number in tries("download_class")))
    # Two downloads run, the others' messages lie in the broker, which keeps nothing.
    one.restart("redis", "in mid-download, with messages waiting", lambda: done("download_class"))
    one.restart("scheduler", "between the stages", lambda: done("build_dataset"))

    def trained(task: str, epochs: int) -> bool:
        return max((len(p["history"]) for p in one.progress(task)), default=0) >= epochs

    one.wait("three epochs", lambda: trained("train_baseline", 3))
    one.restart("worker-gpu", "in mid-training", lambda: any(number > 1 for number in tries("train_baseline")))
    one.wait("training again", lambda: any(i["state"] == "running" for i in one.instances("train_baseline")))
    one.restart("postgres", "as a training starts", lambda: done("train_baseline"))
    one.wait("two epochs of the repair", lambda: trained("train_augmented", 2))
    one.restart("postgres", "in mid-training", lambda: done("train_augmented"))
    one.wait("the run to end", lambda: ended(cluster, one.run.run_id))
    several = {i["task_id"]: i["try_number"] for i in cluster.task_instances(one.run.run_id) if i["try_number"] > 1}
    TABLE.append(f"tries of what was tried again: {several}")
    return one


@pytest.fixture(scope="module")
def in_one_process(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Any]]:
    """The same run in one process and on a disk, without Airflow: its home, and the process, which works meanwhile."""
    home = tmp_path_factory.mktemp("undisturbed")
    command = [sys.executable, "-m", "imagenet_tasks", "run", "--profile", "sample", "--home", str(home)]
    for name, value in LONGER.items():
        if name != "profile":
            command += ["--set", f"{name}={','.join(value) if isinstance(value, list) else value}"]
    environment = cluster.environment() | {"IMAGENET_HOME": str(home)}
    with (home / "log.txt").open("w") as log:
        process = subprocess.Popen(command, env=environment, cwd=REPOSITORY, stdout=log, stderr=subprocess.STDOUT)
    yield home, process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def undisturbed(disturbed: Disturbed, in_one_process: tuple[Path, Any]) -> Run:
    """That run, ended."""
    home, process = in_one_process
    assert process.wait(timeout=PATIENCE_S) == 0, (home / "log.txt").read_text()
    (dag,) = Path(home, "runs").iterdir()
    (folder,) = dag.iterdir()
    index = json.loads((folder / "run.json").read_text())
    return Run(Store(home), dag.name, index["run_id"])


def test_f54_the_run_succeeds_although_every_part_died_once(cluster: LocalCluster, disturbed: Disturbed) -> None:
    assert disturbed.faults == ["worker", "redis", "scheduler", "worker-gpu", "postgres", "postgres"]
    assert cluster.run_state(disturbed.run.run_id) == "success"


def test_f54_the_pictures_and_the_split_are_those_of_an_undisturbed_run(disturbed: Disturbed, undisturbed: Run) -> None:
    assert disturbed.run.result_of("build_dataset") == undisturbed.result_of("build_dataset")


def test_f54_the_same_models_were_trained_to_the_same_accuracy(disturbed: Disturbed, undisturbed: Run) -> None:
    trained = [
        {r["item"]: r["result"]["fingerprint"] for r in run.task_records() if r["task"].startswith("train_")}
        for run in (disturbed.run, undisturbed)
    ]
    assert trained[0] == trained[1] and len(trained[0]) == 3  # the baseline and two arms
    for task in ("evaluate_baseline", "evaluate_augmented"):
        one, other = disturbed.run.result_of(task), undisturbed.result_of(task)
        assert one and other
        for figure in ("validation_accuracy", "test_accuracy"):
            TABLE.append(f"{task} {figure}: disturbed {one[figure]:.3f}, undisturbed {other[figure]:.3f}")
            assert one[figure] == pytest.approx(other[figure], abs=0.1)


def test_f54_the_killed_training_went_on_from_a_checkpoint(cluster: LocalCluster, disturbed: Disturbed) -> None:
    logs = [path.read_text() for path in (cluster.home / "logs").rglob("*task_id=train_baseline*/**/*.log")]
    assert any("Going on after epoch" in text for text in logs)
