"""IMAGENET_HOME, opened with what a connection of Airflow holds."""

import json
from types import SimpleNamespace
from typing import Any

import imagenet_store
import pytest

from imagenet_tasks.errors import ConfigError

KEYS = {"login": "the-key-id", "password": "the-secret"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    imagenet_store._options.cache_clear()
    monkeypatch.setenv("IMAGENET_HOME", "s3://bucket/home")
    monkeypatch.setenv(imagenet_store.VARIABLE, "the_store")


def connect(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_THE_STORE", json.dumps({"conn_type": "aws"} | fields))


def test_keys_endpoint_and_region_of_the_connection_open_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, **KEYS, extra={"endpoint_url": "http://127.0.0.1:9", "region_name": "eu-west-1"})
    store = imagenet_store.open_store()
    assert str(store.root) == "s3://bucket/home"
    assert store.options == {
        "key": "the-key-id", "secret": "the-secret", "token": None, "endpoint_url": "http://127.0.0.1:9",
        "client_kwargs": {"region_name": "eu-west-1"},
    }  # fmt: skip


def test_a_connection_without_keys_leaves_them_to_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that the driver finds itself it also renews."""
    connect(monkeypatch, extra={"region_name": "eu-west-1"})
    assert not {"key", "secret", "token"} & set(imagenet_store.open_store().options)


def test_the_options_reach_a_child_process_by_its_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, **KEYS)
    store = imagenet_store.open_store()
    assert json.loads(store.environment()["FSSPEC_S3"])["secret"] == "the-secret"
    assert "the-secret" not in str(store.root)


def test_a_connection_that_airflow_does_not_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    def missing(name: str) -> None:
        raise AirflowNotFoundException(name)

    monkeypatch.setattr(Connection, "get", missing)
    with pytest.raises(ConfigError, match=r"IMAGENET_HOME_CONNECTION: Airflow has no connection called 'the_store'"):
        imagenet_store.open_store()


class Task:
    """What a task asks of Airflow when a connection is not there: something that the database alone knows."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: list[Any]) -> None:
        import airflow.sdk
        from airflow.sdk.exceptions import AirflowNotFoundException

        self.asked: list[str] = []

        def get(name: str) -> Any:
            self.asked.append("connection")
            answer = answers.pop(0)
            if answer is None:
                raise AirflowNotFoundException(name)
            return answer

        context = {"ti": self, "dag_run": SimpleNamespace(dag_id="a_dag"), "run_id": "a_run"}
        monkeypatch.setattr(airflow.sdk.Connection, "get", get)
        monkeypatch.setattr(airflow.sdk, "get_current_context", lambda: context)

    is_away = False

    def get_dr_count(self, dag_id: str, *, run_ids: list[str]) -> int:
        assert (dag_id, run_ids) == ("a_dag", ["a_run"])
        self.asked.append("database")
        if self.is_away:
            raise ConnectionError("the database is away")
        return 1


def test_f54_a_connection_that_is_not_there_while_the_database_is_away_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.sdk import Connection

    task = Task(monkeypatch, [None, Connection(conn_id="the_store", conn_type="aws", **KEYS)])
    assert imagenet_store.open_store().options["key"] == "the-key-id"
    assert task.asked == ["connection", "database", "connection"]


def test_f54_a_task_is_tried_again_where_the_database_stays_away(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(monkeypatch, [None, None])
    task.is_away = True
    with pytest.raises(ConnectionError):  # no ConfigError, which would end the run for good
        imagenet_store.open_store()


def test_a_connection_is_missing_where_the_database_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Task(monkeypatch, [None, None])
    with pytest.raises(ConfigError, match="Airflow has no connection called 'the_store'"):
        imagenet_store.open_store()
    assert task.asked == ["connection", "database", "connection"]


def test_a_connection_of_another_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, conn_type="http", host="127.0.0.1")
    with pytest.raises(ConfigError, match=r"of the type 'http', expected 'aws'"):
        imagenet_store.open_store()


def test_a_connection_for_a_home_that_lies_not_in_s3_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGENET_HOME", "/data/imagenet")
    with pytest.raises(ConfigError, match=r"opens a store in S3, and IMAGENET_HOME is '/data/imagenet'"):
        imagenet_store.open_store()


def test_without_a_connection_the_store_is_opened_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(imagenet_store.VARIABLE, "")
    assert imagenet_store.open_store().options == {}
