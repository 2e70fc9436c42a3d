"""What a run made that other workflows may wait for."""

import pytest

from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks.news import new_champion, new_dataset
from imagenet_tasks.workflow.run import Run


@pytest.mark.parametrize("reused", [False, True])
def test_a_dataset_is_news_only_where_it_was_made(tmp_path, reused):
    run = Run(Store(tmp_path / "home"), "dag", "run")
    with run.task("build_dataset") as record:
        record["result"], record["reused"] = {"fingerprint": "ab", "classes": 2}, reused
    assert new_dataset(run) == (None if reused else {"fingerprint": "ab", "classes": 2})


@pytest.mark.parametrize("settled", [None, {"outcome": "kept"}, {"outcome": "not eligible", "champion": None}])
def test_a_champion_that_was_not_promoted_is_no_news(settled):
    assert new_champion(settled) is None
