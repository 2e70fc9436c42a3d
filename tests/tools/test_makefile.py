"""How the Makefile sets up on machines that differ: no ensurepip, no pip, an index in pip's settings."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# A python3 and a uv that note how they are called. MISSING says what this python3 lacks.
PYTHON = """#!/bin/sh
echo "python3 $*" >> calls.txt
case "$MISSING $*" in
  *no-venv*"import ensurepip"*|*no-pip*"-m pip"*) exit 1 ;;
  *"-c print"*) cat ;;
  *"config get"*) [ -n "$PIP_SETTING" ] && echo "$PIP_SETTING" ;;
  *"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; touch .venv/bin/uv ;;
esac
"""
UV = """#!/bin/sh
echo "uv index=$UV_DEFAULT_INDEX" >> calls.txt
"""
INDEX_NAMES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")


def make(folder: Path, target: str, **settings: str) -> subprocess.CompletedProcess[str]:
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copy2(ROOT / name, folder)
    (folder / "fake-python3").write_text(PYTHON)
    (folder / "fake-python3").chmod(0o755)
    outer = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS")) and k not in INDEX_NAMES}
    return subprocess.run(
        ["make", "PYTHON=./fake-python3", target], cwd=folder, env=outer | settings, capture_output=True, text=True
    )


def calls(folder: Path) -> list[str]:
    return (folder / "calls.txt").read_text().splitlines()


def test_uv_is_installed_into_a_new_environment_in_the_locks_version(tmp_path: Path) -> None:
    assert make(tmp_path, ".venv/bin/uv", MISSING="").returncode == 0
    assert "python3 -m venv .venv" in calls(tmp_path)
    (version,) = [
        line.split()[0] for line in (ROOT / "requirements-dev.txt").read_text().splitlines() if line[:4] == "uv=="
    ]
    assert calls(tmp_path)[-1] == f"python3 -m pip install -q --disable-pip-version-check {version}"


def test_without_ensurepip_the_pip_of_python3_installs_uv(tmp_path: Path) -> None:
    assert make(tmp_path, ".venv/bin/uv", MISSING="no-venv").returncode == 0
    assert "python3 -m venv --without-pip .venv" in calls(tmp_path)
    assert calls(tmp_path)[-1].startswith("python3 -m pip --python .venv/bin/python install ")


def test_without_ensurepip_and_pip_it_says_what_to_install(tmp_path: Path) -> None:
    done = make(tmp_path, ".venv/bin/uv", MISSING="no-venv no-pip")
    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(
    ("settings", "index"),
    [
        ({}, ""),
        ({"PIP_SETTING": "https://a.example/simple"}, "https://a.example/simple"),
        ({"PIP_INDEX_URL": "https://b.example", "PIP_SETTING": "https://a.example"}, "https://b.example"),
        ({"UV_DEFAULT_INDEX": "https://c.example", "PIP_SETTING": "https://a.example"}, "https://c.example"),
    ],
    ids=["none", "pip's file", "pip's variable", "uv's own"],
)
def test_uv_is_told_the_index_of_pips_settings(tmp_path: Path, settings: dict[str, str], index: str) -> None:
    make(tmp_path, ".venv/bin/uv", MISSING="")
    (tmp_path / ".venv/bin/uv").write_text(UV)
    (tmp_path / ".venv/bin/uv").chmod(0o755)
    done = make(tmp_path, ".venv/installed", MISSING="", **settings)
    assert done.returncode == 0, done.stderr
    assert f"uv index={index}" in calls(tmp_path)
    assert index == "" or index not in done.stdout + done.stderr  # it may hold a password
