"""`python -m imagenet_tasks prune` on the object store that the cluster's runs have filled."""

import os
import subprocess
import sys

import pytest
from conftest import HOME

from imagenet_tasks.artifacts import Run
from imagenet_tasks.storage import Store
from tools.local_airflow import DAG_ID, REPOSITORY
from tools.local_cluster import KEY, SECRET, LocalCluster

KEPT = 2


def files(store: Store, folder: str) -> set[str]:
    return {found.key for found in store.walk(folder)}


@pytest.fixture(scope="module")
def before(cluster: LocalCluster, store: Store, run: Run) -> dict[str, set[str]]:
    """What lay there; then all runs but the newest and those of champions are removed, and what they alone refer to."""
    there = {folder: files(store, folder) for folder in ("runs", "images")}
    aws = {"AWS_ENDPOINT_URL": cluster.s3_url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    command = [sys.executable, "-m", "imagenet_tasks", "prune", "--home", HOME]
    options = ["--keep-runs", str(KEPT), "--grace-days", "0"]
    for given in (options, [*options, "--delete"]):
        done = subprocess.run(
            [*command, *given], cwd=REPOSITORY, env=os.environ | aws, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        if "--delete" not in given:
            assert {folder: files(store, folder) for folder in there} == there
    return there


def test_runs_go_that_no_option_keeps(store: Store, before: dict[str, set[str]]) -> None:
    left = {key.split("/")[2] for key in files(store, f"runs/{DAG_ID}")}
    assert KEPT <= len(left) < len({key.split("/")[2] for key in before["runs"]})


def test_all_that_the_kept_runs_refer_to_is_there_and_whole(store: Store, before: dict[str, set[str]]) -> None:
    folders = set()
    for name in store.names(f"runs/{DAG_ID}"):
        folders |= set(store.read_json(f"runs/{DAG_ID}/{name}/run.json")["artifacts"])
    assert folders
    for folder in folders:
        for name in store.read_marker(folder)["files"]:
            store.open_file(folder, name)


def test_pictures_stay_unless_asked_for(store: Store, before: dict[str, set[str]]) -> None:
    assert {key for key in before["images"] if key.endswith(".jpg")} <= files(store, "images")
