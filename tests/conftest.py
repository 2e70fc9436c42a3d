"""What holds for all tests: Airflow's home, which of them are slow, and what is said of those that did not run."""

import atexit
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fakes import hostile
from xdist.scheduler import LoadFileScheduling

# Airflow reads its home once, when it is first imported: it is set here, before any test module is.
_REPOSITORY = Path(__file__).parent.parent
_HOME = Path(tempfile.mkdtemp(prefix="imagenet-tests-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ |= {
    "AIRFLOW_HOME": str(_HOME / "airflow"),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(_REPOSITORY / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(_REPOSITORY / "plugins"),
    "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,vera:viewer",
    "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 80,
    "IMAGENET_HOME": str(_HOME / "imagenet"),
}

# What trains, simulates, draws whole reports, or starts Airflow, a browser or programs: not for `make test-fast`.
SLOW = (
    "artifacts/test_golden.py", "artifacts/test_settings_walk.py", "augment/test_preview.py", "commands/", "dags/",
    "deploy/", "download/test_download_stage.py", "download/test_hosts.py", "download/test_url_list.py", "end_to_end/",
    "evaluate/test_champion.py", "faults/", "plugins/", "prune/test_prune.py", "report/", "sample/",
    "statistics/test_significance.py", "tasks/test_child.py", "test_planted_truths.py", "train/",
    "workflow/test_run_index.py",
)  # fmt: skip


# Whose tests share what is dear to set up: they run in one of the processes. Elsewhere a file's tests do.
TOGETHER = ("end_to_end/", "plugins/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets the slow ones begin: the processes that share the work then end at about the same time."""
    for item in items:
        if item.path.relative_to(_REPOSITORY / "tests").as_posix().startswith(SLOW):
            item.add_marker(pytest.mark.slow)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(1800))  # the first of a file waits for servers and whole runs
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


class _Together(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((folder for folder in TOGETHER if file.startswith(f"tests/{folder}")), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keeps a file's tests, and those of some folders, in one process (`--dist loadgroup` does not with pytest 9.2)."""
    return _Together(config, log)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says loudly what could not be tested on this machine."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", []))
    for reason, count in reasons.items():
        terminalreporter.write_line(f"NOT TESTED HERE: {count} tests. {reason}", yellow=True, bold=True)
    for what, ended in hostile.COUNTS.items():  # of this process
        said = ", ".join(f"{how} {count:,}" for how, count in ended.most_common())
        terminalreporter.write_line(f"{what}: {ended.total():,} tried: {said}")


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
