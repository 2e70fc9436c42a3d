"""requirements.txt is one lock for every Python that pyproject.toml promises."""

import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def locked(environment: dict[str, str]) -> dict[str, str]:
    """Name -> version of what the lock holds for this Python."""
    lines = [
        Requirement(line.rstrip(" \\"))
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line[:1].isalnum()
    ]
    wanted = [r for r in lines if r.marker is None or r.marker.evaluate(environment)]
    return {canonicalize_name(r.name): str(r.specifier).removeprefix("==") for r in wanted}


def test_python_3_11_to_3_13_are_promised() -> None:
    versions = SpecifierSet(PROJECT["requires-python"])
    assert [minor for minor in range(8, 20) if f"3.{minor}" in versions] == [11, 12, 13]


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_the_lock_holds_all_that_is_required_on_each_python(version: str) -> None:
    """Follows what the installed packages say that they require there."""
    environment = {"python_version": version, "python_full_version": f"{version}.9"}
    lock = locked(environment)
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    missing, seen, ahead = [], set(), [Requirement(line) for line in (*PROJECT["dependencies"], *extras)]
    while ahead:
        requirement = ahead.pop()
        name = canonicalize_name(requirement.name)
        if lock.get(name) is None or not requirement.specifier.contains(lock[name], prereleases=True):
            missing.append(str(requirement))
        for extra in {"", *requirement.extras} - {e for n, e in seen if n == name}:
            seen.add((name, extra))
            try:
                further = [Requirement(line) for line in requires(name) or []]
            except PackageNotFoundError:  # needed on another Python only
                continue
            ahead += [r for r in further if r.marker is None or r.marker.evaluate(environment | {"extra": extra})]
    assert missing == []
