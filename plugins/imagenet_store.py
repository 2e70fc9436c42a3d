"""Where the artifacts are, for Airflow's processes: IMAGENET_HOME, opened with what an Airflow connection holds.

It lies in plugins/ because Airflow puts that folder on the path of every process, those that run tasks too.
"""

import functools
import os
import time
from typing import Any

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.storage import Store, default_home

VARIABLE = "IMAGENET_HOME_CONNECTION"
KEPT_S = 600.0  # so long keys are used before the connection is looked up again
ADVICE = "Make it (Admin, Connections), correct the name, or leave the variable empty to take AWS's own settings."


def open_store() -> Store:
    """Returns the store that IMAGENET_HOME names.

    Raises:
        ConfigError: where IMAGENET_HOME_CONNECTION names a connection that Airflow does not have, or none of AWS, or
            IMAGENET_HOME does not lie in S3.
    """
    home, connection = default_home(), os.environ.get(VARIABLE, "").strip()
    if not connection:
        return Store(home)
    if not home.startswith(("s3://", "s3a://")):
        raise ConfigError(f"{VARIABLE}: {connection!r} opens a store in S3, and IMAGENET_HOME is {home!r}. {ADVICE}")
    return Store(home, _options(connection, int(time.monotonic() / KEPT_S)))


@functools.lru_cache(maxsize=1)
def _options(connection: str, _period: int) -> dict[str, Any]:
    """Returns what the driver of S3 takes: the keys, the endpoint and the region of a connection of type aws.

    Of a connection that holds neither keys nor a role to assume, the driver looks for keys itself, and renews them. The
    API server asks at each request: so they are kept for a while.
    """
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
    held = hook.conn_config
    options: dict[str, Any] = {}
    if held.aws_access_key_id or held.role_arn:
        keys = hook.get_credentials()
        options |= {"key": keys.access_key, "secret": keys.secret_key, "token": keys.token}
    if held.profile_name:
        options["profile"] = held.profile_name
    if endpoint := held.get_service_endpoint_url(service_name="s3"):
        options["endpoint_url"] = endpoint
    client = {"region_name": held.region_name, "verify": held.verify}
    return options | {"client_kwargs": {name: value for name, value in client.items() if value is not None}}
