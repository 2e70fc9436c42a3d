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
