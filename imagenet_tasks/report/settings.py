"""The settings of a run beside its profile's, the command that repeats it, and the versions of what it ran on."""

import importlib.metadata
import shlex
from typing import Any

from imagenet_tasks.errors import without_secrets
from imagenet_tasks.settings.config import RunConfig
from imagenet_tasks.settings.profiles import PROFILES, setting_names

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "scipy", "pillow", "matplotlib", "jinja2")
OWN_OPTIONS = ("source", "location")  # the command line has options of their own for these


def setting_rows(config: RunConfig) -> list[dict[str, Any]]:
    """Returns each setting with its stage, value, and the value of the profile that the run started from."""
    profile = PROFILES.get(config.profile)
    rows = []
    for name, stage in setting_names().items():
        if stage:
            value = getattr(getattr(config, stage), name)
            if name == "location":
                value = without_secrets(value)
            usual = getattr(getattr(profile, stage), name) if profile else None
            rows.append({"stage": stage, "name": name, "value": value, "profile": usual, "differs": value != usual})
    return rows


def command(config: RunConfig) -> str:
    """Returns the shell command that repeats the run.

    The address of the built-in sample source is left out: it is another one each time, with the same pictures.
    """
    words = ["python", "-m", "imagenet_tasks", "run", "--profile", config.profile]
    words += ["--source", config.download.source]
    if config.download.source != "sample" and config.download.location:
        words += ["--location", without_secrets(config.download.location)]
    profile = PROFILES.get(config.profile)
    ids = [c.class_id for c in config.classes]
    if not profile or ids != [c.class_id for c in profile.classes]:
        words += ["--set", f"classes={','.join(ids)}"]
    for row in setting_rows(config):
        if row["differs"] and row["name"] not in OWN_OPTIONS:
            words += ["--set", f"{row['name']}={said(row['value'])}"]
    return shlex.join(words)


def said(value: Any) -> str:
    """Returns a setting's value as it is typed; '' for none."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def versions() -> dict[str, str | None]:
    """Returns the versions of the main packages of the process that writes the report."""
    found: dict[str, str | None] = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = None
    return found


def settings_by_stage(config: RunConfig) -> dict[str, dict[str, Any]]:
    """Returns all settings as plain JSON, by stage."""
    stages: dict[str, dict[str, Any]] = {}
    for row in setting_rows(config):
        stages.setdefault(row["stage"], {})[row["name"]] = row["value"]
    return stages | {"classes": {c.class_id: c.name for c in config.classes}, "force": {"from": config.force}}
