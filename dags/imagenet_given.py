"""What a run is given: by the form, by the environment of who runs Airflow, by a connection."""

import os
from collections.abc import Mapping
from typing import Any

from airflow.sdk import get_current_context
from imagenet_store import find_connection

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.settings.credentials import Credentials, make_credentials
from imagenet_tasks.settings.profiles import find_profile, read_settings
from imagenet_tasks.settings.texts import assignments


def _environment(name: str) -> str | None:
    """Returns what the environment has for runs that name none, such as scheduled ones."""
    return os.environ.get(name) or None


def schedule(profile: str) -> str | None:
    """Returns when runs start by themselves, with this profile; None for never."""
    wanted = os.environ.get("IMAGENET_SCHEDULE", "").strip()
    if not wanted:  # nobody gains from training on drawn pictures every week
        is_folder = find_profile(profile).download.source == "folder"
        return "@weekly" if is_folder and _environment("IMAGENET_LOCATION") else None
    return None if wanted.lower() == "none" else wanted


def max_active_runs() -> int:
    """Returns how many runs may go on at a time."""
    wanted = os.environ.get("IMAGENET_MAX_ACTIVE_RUNS", "").strip() or "2"  # they share what they make
    if not wanted.isdecimal() or int(wanted) < 1:
        raise ConfigError(f"IMAGENET_MAX_ACTIVE_RUNS: expected a number of runs, 1 or more, received {wanted!r}")
    return int(wanted)


def _skip_if_holds() -> bool:
    wanted = (_environment("IMAGENET_SKIP_IF_HOLDS") or "yes").strip().lower()
    if wanted not in ("yes", "no"):
        raise ConfigError(f"IMAGENET_SKIP_IF_HOLDS: expected yes or no, received {wanted!r}")
    return wanted == "yes"


def credentials(connection: str) -> Credentials:
    """Returns the login of a connection of Airflow's, by its name."""
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        held = find_connection(connection)
    except AirflowNotFoundException as error:
        raise ConfigError(
            f"connection: Airflow has none called {connection!r}. Make it (Admin, Connections) or correct the name."
        ) from error
    return make_credentials(
        connection, host=held.host, scheme=held.schema, port=held.port, login=held.login, password=held.password
    )


def overrides(params: Mapping[str, Any], *, scheduled: bool = False) -> tuple[str, dict[str, Any]]:
    """Returns the profile and the settings of a run: of the form, of its last field, and of the environment.

    A scheduled run, which brings new pictures, asks the champion about them, and trains where it does not hold.
    """
    given = dict(params)
    profile, lines = given.pop("profile"), [line for line in given.pop("more_settings", None) or () if line.strip()]
    own = {name for name, value in given.items() if value is not None}
    if not given["accept_imagenet_terms"]:
        own.remove("accept_imagenet_terms")
    if lines and lines[0].lstrip().startswith("{"):  # another run's: what is filled in here is changed in it
        more = read_settings("\n".join(lines), where="more_settings")
        profile = more.pop("profile", profile)
        more = {name: value for name, value in more.items() if name not in own}
    else:
        more = assignments(lines, where="more_settings:")
        if twice := sorted(own & more.keys()):
            raise ConfigError(f"more_settings: {', '.join(twice)} stands in a field of its own, too; leave one out")
    given |= more
    if scheduled and given["drift_check"] is None:
        given["drift_check"] = True
        if given["skip_if_holds"] is None:
            given["skip_if_holds"] = _skip_if_holds()
    source = given["source"] or find_profile(profile).download.source
    if source == "folder":  # of the others, an address on the web is asked
        given["location"] = given["location"] or _environment("IMAGENET_LOCATION")
    if source != "sample":
        given["connection"] = given["connection"] or _environment("IMAGENET_CONNECTION")
    if given.get("allowed_private_hosts"):
        raise ConfigError(
            "allowed_private_hosts: for who runs Airflow to say, in the environment's IMAGENET_ALLOWED_PRIVATE_HOSTS, "
            "and not for who triggers a run; leave it out"
        )
    return profile, given | {"allowed_private_hosts": _environment("IMAGENET_ALLOWED_PRIVATE_HOSTS")}


def overrides_of_run() -> tuple[str, dict[str, Any]]:
    """Returns the profile and the settings of the run whose task this is."""
    context = get_current_context()
    return overrides(context["params"], scheduled=context["dag_run"].run_type == "scheduled")
