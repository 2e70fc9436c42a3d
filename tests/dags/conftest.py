"""The DAG as Airflow reads it."""

import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def dag() -> Any:
    """The DAG, read by Airflow from the dags folder without an import error."""
    from airflow.dag_processing.dagbag import BundleDagBag

    folder = Path(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    bag = BundleDagBag(folder, bundle_path=folder, bundle_name="dags-folder")
    assert bag.import_errors == {}
    return bag.dags["imagenet_targeted_augmentation"]


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 30 drawn pictures, in folders named by their wnids."""
    from imagenet_tasks.sample.drawings import picture_bytes

    root = tmp_path_factory.mktemp("pictures")
    for class_id in ("n02510455", "n01910747", "n02676938"):
        (root / class_id).mkdir()
        for index in range(30):
            (root / class_id / f"{index:03}.jpg").write_bytes(picture_bytes(class_id, index))
    return root
