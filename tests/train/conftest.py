"""What the tests that train share."""

import pytest
from fakes.pictures import small_dataset
from trainings import TINY

from imagenet_tasks.store.storage import Store
from imagenet_tasks.train.models import RECIPES


@pytest.fixture
def tiny(monkeypatch):
    """Models small enough to be trained in a moment, beside the real ones."""
    for name, recipe in TINY.items():
        monkeypatch.setitem(RECIPES, name, recipe)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A store with a small dataset."""
    where = tmp_path_factory.mktemp("train")
    store = Store(where / "home")
    return store, small_dataset(store, where / "data")
