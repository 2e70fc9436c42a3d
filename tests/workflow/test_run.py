"""A run's folder."""

import pytest

from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run


@pytest.fixture
def reads(monkeypatch):
    """The keys that are read, in order."""
    keys, read = [], Store.read_bytes
    monkeypatch.setattr(Store, "read_bytes", lambda self, key: keys.append(key) or read(self, key))
    return keys


def test_the_settings_are_read_and_parsed_once(tmp_path, reads):
    Run(Store(tmp_path), "dag", "r").write_config(make_config("sample", {"epochs": 3}))
    run = Run(Store(tmp_path), "dag", "r")
    assert run.config.train.epochs == 3
    assert run.config is run.config
    assert reads == [run.key("config.json")]


def test_settings_that_are_written_again_are_those_of_the_run(tmp_path):
    run = Run(Store(tmp_path), "dag", "r")
    for epochs in (3, 4):
        run.write_config(make_config("sample", {"epochs": epochs}))
        assert run.config.train.epochs == epochs
