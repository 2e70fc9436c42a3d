"""The package that `pip wheel` builds: what is in it, and that an Airflow finds its DAG and its plugin."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from imagenet_tasks import __version__

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DAG = "# an Airflow DAG\nfrom imagenet_targeted_augmentation import workflow  # noqa: F401\n"
FOREIGN = "from airflow.sdk import DAG\n\nforeign = DAG('foreign')\n"
LOOK = """
import importlib.metadata, json, sys
import imagenet_targeted_augmentation, imagenet_tasks
from airflow.dag_processing.dagbag import DagBag
from imagenet_tasks.pages.wording import templates
from imagenet_tasks.settings.classes import find_class

bag = DagBag(sys.argv[1])
plugins = importlib.metadata.entry_points(group="airflow.plugins")
print(json.dumps({
    "dags": sorted(bag.dags), "errors": bag.import_errors, "class": find_class("n02510455").name,
    "version": importlib.metadata.version("imagenet-targeted-augmentation"),
    "from": [imagenet_tasks.__file__, imagenet_targeted_augmentation.__file__],
    "plugin": [each.load().name for each in plugins if each.name == "imagenet_report"],
    "page": bool(templates().get_template("runs.html")),
}))
"""


def test_all_modules_of_dags_and_plugins_are_in_the_package() -> None:
    """But for the one that Airflow imports by its name, of which a person's Airflow may have its own."""
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    there = {str(path.relative_to(ROOT)) for folder in ("dags", "plugins") for path in (ROOT / folder).glob("*.py")}
    assert included.keys() == there - {"plugins/airflow_local_settings.py"}
    assert all(Path(inside).name == outside for inside, outside in included.items())


def test_the_package_is_built_by_what_the_tests_build_it_with() -> None:
    assert set(PROJECT["build-system"]["requires"]) <= set(PROJECT["dependency-groups"]["dev"])


@pytest.mark.slow
def test_an_airflow_finds_the_dag_and_the_plugin_of_the_package_beside_its_own_dag(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed, dags = tmp_path / "installed", tmp_path / "dags"
    install = ["uv", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(installed), str(wheel)]
    subprocess.run([sys.executable, "-m", *install], check=True, capture_output=True)
    dags.mkdir()
    (dags / "imagenet.py").write_text(DAG)
    (dags / "foreign.py").write_text(FOREIGN)
    environment = os.environ | {"PYTHONPATH": str(installed), "AIRFLOW_HOME": str(tmp_path / "airflow")}
    ran = subprocess.run(
        [sys.executable, "-c", LOOK, str(dags)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["errors"] == {} and found["dags"] == ["foreign", "imagenet_targeted_augmentation"]
    assert found["plugin"] == ["imagenet_report"] and found["page"] and found["class"] == "giant panda"
    assert found["version"] == __version__ and all(each.startswith(str(installed)) for each in found["from"])
