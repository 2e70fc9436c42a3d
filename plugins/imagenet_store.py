"""Where the artifacts are, for Airflow's processes: IMAGENET_HOME, opened with what an Airflow connection holds.

It lies in plugins/ because Airflow puts that folder on the path of every process, those that run tasks too.
"""

import functools
import os
import time
from typing import Any

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.store.storage import Store, default_home

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


def find_connection(name: str) -> Any:
    """Returns a connection of Airflow.

    Airflow says that it has none also while its database is away. So a task asks for something that only the database
    knows, a request that Airflow repeats and that fails in the end, and then for the connection again.

    Raises:
        AirflowNotFoundException: where Airflow has none of that name.
        AirflowRuntimeError: where its database stays away; the task is then tried again.
    """
    from airflow.sdk import Connection, get_current_context
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return Connection.get(name)
    except AirflowNotFoundException as error:
        try:
            context = get_current_context()
        except RuntimeError:  # no task: whoever looks at a page asks for it again
            raise error from None
        context["ti"].get_dr_count(context["dag_run"].dag_id, run_ids=[context["run_id"]])
        return Connection.get(name)


@functools.lru_cache(maxsize=1)
def _options(connection: str, _period: int) -> dict[str, Any]:
    """Returns what the driver of S3 takes: the keys, the endpoint and the region of a connection of type aws.

    Of a connection that holds neither keys nor a role to assume, the driver looks for keys itself, and renews them. The
    API server asks at each request: so they are kept for a while.
    """
    from airflow.providers.amazon.aws.hooks.s3 import S3Hook
    from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found = find_connection(connection)
    except AirflowNotFoundException as error:
        raise ConfigError(f"{VARIABLE}: Airflow has no connection called {connection!r}. {ADVICE}") from error
    if found.conn_type != "aws":
        raise ConfigError(
            f"{VARIABLE}: {connection!r} is a connection of the type {found.conn_type!r}, expected 'aws'. {ADVICE}"
        )
    held, hook = AwsConnectionWrapper(found), S3Hook(aws_conn_id=connection)
    hook.conn_config = held  # else it asks again, and takes a connection that it does not get for an empty one
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
