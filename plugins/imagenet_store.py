"""Where the artifacts are, for Airflow's processes: IMAGENET_HOME, opened with what an Airflow connection holds.

It lies in plugins/ because Airflow puts that folder on the path of every process, those that run tasks too.
"""

import os
from typing import Any

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.storage import Store, default_home

VARIABLE = "IMAGENET_HOME_CONNECTION"
ADVICE = "Make it (Admin, Connections), correct the name, or leave the variable empty to take AWS's own settings."


def open_store() -> Store:
    """Returns the store that IMAGENET_HOME names.

    Raises:
        ConfigError: where IMAGENET_HOME_CONNECTION names a connection that Airflow does not have, or none of AWS.
    """
    connection = os.environ.get(VARIABLE, "").strip()
    return Store(default_home(), _options(connection) if connection else None)


def _options(connection: str) -> dict[str, Any]:
    """Returns what the driver of S3 takes: the keys, the endpoint and the region of a connection of type aws."""
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:  # asked for first: the hook takes one that is missing for one that is empty
        kind = Connection.get(connection).conn_type
    except AirflowNotFoundException as error:
        raise ConfigError(f"{VARIABLE}: Airflow has no connection called {connection!r}. {ADVICE}") from error
    if kind != "aws":
        raise ConfigError(f"{VARIABLE}: {connection!r} is a connection of the type {kind!r}, expected 'aws'. {ADVICE}")
    hook = S3Hook(aws_conn_id=connection)
    held, keys = hook.conn_config, hook.get_credentials()
    options: dict[str, Any] = {"key": keys.access_key, "secret": keys.secret_key, "token": keys.token}
    if endpoint := held.get_service_endpoint_url(service_name="s3"):
        options["endpoint_url"] = endpoint
    if held.region_name:
        options["client_kwargs"] = {"region_name": held.region_name}
    if held.verify is not None:
        options.setdefault("client_kwargs", {})["verify"] = held.verify
    return options
