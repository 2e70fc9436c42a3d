"""Whole runs of a small home, but for the training, which is made up: what harms a run, and what it comes to."""

from pathlib import Path

import pytest
from fakes import training
from fakes.pictures import COBRA, COW, PANDA, fill

from imagenet_tasks.store.storage import Store
from imagenet_tasks.tasks import runner
from imagenet_tasks.workflow.run import Run

SETTINGS = {
    "source": "folder", "images_per_class": 14, "rows_px": 16, "columns_px": 16, "validation_share": 0.3,
    "test_share": 0.3, "accuracy_goal": 1.0, "classes_to_augment": 1, "pictures_to_add": 4, "precision": "float32",
    "min_images_per_class": 1, "epochs": 2, "seeds": 1, "arms": "collect", "download_threads": 4,
}  # fmt: skip
OWN = ("report", "report_json", "champion", "unchanged_since")  # of a run, and not of what was measured


class Home:
    """A home, and the runs of one folder of pictures in it."""

    def __init__(self, root: Path, pictures: Path) -> None:
        self.store, self.settings = Store(root), SETTINGS | {"location": str(pictures)}

    def run(self, name: str, **settings) -> dict:
        """Runs the workflow; returns the figures of its report."""
        run = Run(self.store, "dag", name)
        result = runner.run_all(run, "best", self.settings | settings, listeners=())
        return {key: value for key, value in result.items() if key not in OWN}


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    where = tmp_path_factory.mktemp("drawn")
    for place, class_id in enumerate((COBRA, COW, PANDA)):
        fill(where / class_id, range(1000 * place, 1000 * place + 20))
    return where


@pytest.fixture
def home(tmp_path, drawn, monkeypatch):
    training.put_in_place(monkeypatch)
    return Home(tmp_path / "home", drawn)


@pytest.fixture(scope="session")
def figures(tmp_path_factory, drawn):
    """What a run comes to that nothing disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        training.put_in_place(patch)
        return Home(tmp_path_factory.mktemp("undisturbed"), drawn).run("undisturbed")
