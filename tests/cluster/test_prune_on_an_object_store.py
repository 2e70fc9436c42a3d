"""`python -m imagenet_tasks prune` on the object store that the cluster's runs have filled."""

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from conftest import HOME, ended, wait_for

from imagenet_tasks.artifacts.champions import champion_of, read_entries
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run
from tests.end_to_end.real_runs import SETTINGS
from tools.local_airflow import DAG_ID, REPOSITORY
from tools.local_cluster import KEY, SECRET, LocalCluster


def runs_of(store: Store) -> set[str]:
    return set(store.names(f"runs/{DAG_ID}"))


def champions_of(store: Store) -> set[str]:
    entries = read_entries(store)
    return {champion.run_key for key in entries if (champion := champion_of(store, entries, key))}


def pictures_of(store: Store) -> set[str]:
    return {found.key for found in store.walk("images") if found.key.endswith(".jpg")}


@dataclass(frozen=True)
class Before:
    runs: set[str]
    pictures: set[str]
    newest: str


@pytest.fixture(scope="module")
def before(cluster: LocalCluster, store: Store, rerun: Run) -> Before:
    """What lay there, two reruns among it; then all runs go but the newest and those that champions come from."""
    newest = cluster.trigger(**SETTINGS)
    wait_for(cluster, "the last rerun", lambda: ended(cluster, newest))
    there = Before(runs_of(store), pictures_of(store), Run(store, DAG_ID, newest).run_key)
    assert rerun.run_key in there.runs
    aws = {"AWS_ENDPOINT_URL": cluster.s3_url, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    command = [sys.executable, "-m", "imagenet_tasks", "prune", "--home", HOME, "--keep-runs", "1", "--grace-days", "0"]
    for more in ([], ["--delete"]):
        assert runs_of(store) == there.runs
        done = subprocess.run(
            [*command, *more], cwd=REPOSITORY, env=os.environ | aws, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
    return there


def test_the_newest_run_stays_and_those_that_champions_come_from(store: Store, before: Before) -> None:
    champions, left = champions_of(store), runs_of(store)
    assert champions and champions <= left < before.runs
    assert left - champions == {before.newest}


def test_all_that_the_kept_runs_refer_to_is_there_and_whole(store: Store, before: Before) -> None:
    folders = set()
    for name in store.names(f"runs/{DAG_ID}"):
        folders |= set(store.read_json(f"runs/{DAG_ID}/{name}/run.json")["artifacts"])
    assert folders
    for folder in folders:
        for name in store.read_marker(folder)["files"]:
            store.open_file(folder, name)


def test_pictures_stay_unless_asked_for(store: Store, before: Before) -> None:
    assert before.pictures and pictures_of(store) == before.pictures
