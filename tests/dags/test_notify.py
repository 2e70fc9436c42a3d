"""Whom Airflow tells of a run: IMAGENET_NOTIFY, with real notifiers and servers on loopback."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagenet_notify
import pytest
from fakes.mail import MailServer
from fakes.web import FaultServer, answers

from imagenet_tasks.errors import ConfigError
from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run

SMTP = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
HTTP = "airflow.providers.http.notifications.HttpNotifier"
MAIL = {"notifier": SMTP, "smtp_conn_id": "mail", "from_email": "airflow@example.org", "to": "team@example.org"}
CHAT = {"notifier": HTTP, "http_conn_id": "chat", "endpoint": "hook"}
REPORT = {
    "branch": "augment", "verdict": "helped", "test_before": 0.31, "test_after": 0.384, "headline": "It helped.",
}  # fmt: skip
RUN_ID = 'by hand <b>"&'


@pytest.fixture
def run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("IMAGENET_HOME", str(tmp_path))
    return Run(Store(tmp_path), "imagenet_targeted_augmentation", RUN_ID)


@pytest.fixture
def context(run: Run, dag: Any) -> dict[str, Any]:
    """What Airflow gives a callback of a run: no task is running there."""
    return {"dag": dag, "run_id": run.run_id}


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    with MailServer() as server:
        extra = {"disable_ssl": True, "disable_tls": True}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": server.port, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(connection))
        yield server.mails


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    with FaultServer() as server:
        server.routes["/hook"] = answers(b"ok", kind="text/plain")
        monkeypatch.setenv("AIRFLOW_CONN_CHAT", server.url)
        yield server


def ask_for(monkeypatch: pytest.MonkeyPatch, *rules: dict[str, Any]) -> None:
    monkeypatch.setenv(imagenet_notify.VARIABLE, json.dumps(rules))


def reported(run: Run, **figures: Any) -> None:
    with run.task("write_report") as record:
        record["result"] = REPORT | figures


def failed(run: Run, message: str) -> None:
    with pytest.raises(ConfigError), run.task("plan_run"):
        raise ConfigError(message)


def test_a_mail_says_verdict_accuracies_and_the_way_to_the_report(
    run: Run, context: Any, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(monkeypatch, MAIL | {"on": ["verdict"]})
    reported(run)
    imagenet_notify.tell_of_report(context)
    assert [mail["Subject"] for mail in mails] == ["ImageNet: 31.0 % → 38.4 % on test: helped"]
    body = mails[0].get_body(("html",)).get_content()
    tab = "dags/imagenet_targeted_augmentation/runs/by%20hand%20%3Cb%3E%22%26/plugin/imagenet-report"
    assert re.search(rf'<a href="http://[^/"]+/{re.escape(tab)}">', body)
    assert "It helped." in body and mails[0]["To"] == "team@example.org"


def test_a_chat_is_told_in_json_that_a_run_failed_and_why(
    run: Run, context: Any, chat: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(monkeypatch, CHAT | {"on": ["failure"]})
    failed(run, "location: [all](http://evil) <!channel> @all\nis no folder")
    imagenet_notify.tell_of_failure(context)
    said = json.loads(chat.bodies["/hook"][-1])["text"]
    assert said.splitlines()[0] == "ImageNet: a run failed: Check the settings"
    assert "ConfigError: location: [all] (http://evil) ‹!channel> ＠all is no folder" in said.splitlines()[1]


def test_names_and_run_ids_are_no_markup_in_a_mail(
    run: Run, context: Any, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(monkeypatch, MAIL | {"on": ["failure"], "subject": "{{ imagenet.subject }}, {{ 6 * 7 }}"})
    failed(run, "<script>alert(1)</script>\r\nBcc: other@example.org {{ 6 * 7 }}")
    imagenet_notify.tell_of_failure(context)
    body = mails[0].get_body(("html",)).get_content()
    assert mails[0]["Subject"].endswith(", 42") and "{{ 6 * 7 }}" in body
    assert "<script" not in body and "<b>" not in body and mails[0]["Bcc"] is None


@pytest.mark.parametrize(
    ("asked", "branch", "told"),
    [
        (["success"], "augment", True), (["success"], "report", True), (["verdict"], "report", False),
        (["failure"], "augment", False), (["verdict", "success"], "augment", True),
    ],
)  # fmt: skip
def test_each_is_told_once_of_what_it_asks_for(
    run: Run, context: Any, chat: FaultServer, monkeypatch: pytest.MonkeyPatch, asked: Any, branch: str, told: bool
) -> None:
    ask_for(monkeypatch, CHAT | {"on": asked})
    reported(run, branch=branch)
    imagenet_notify.tell_of_report(context)
    assert chat.requests["/hook"] == told


def test_who_asks_for_it_is_told_first_of_a_champion_that_declines(
    run: Run, context: Any, chat: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(monkeypatch, CHAT | {"on": ["success", "stale_champion"]})
    for verdict in ("holds", "declines"):
        with run.task("score_champion") as record:
            record["result"] = {"verdict": verdict, "trial": "baseline", "sentence": f"{verdict}: 40.0 % of 90"}
        reported(run)
        imagenet_notify.tell_of_report(context)
    holds, declines = (json.loads(body)["text"].splitlines() for body in chat.bodies["/hook"])
    assert holds[0] == "ImageNet: 31.0 % → 38.4 % on test: helped"
    assert declines[:2] == ["ImageNet: the champion declines on new pictures", "baseline: declines: 40.0 % of 90."]


def test_a_mail_says_what_got_worse_and_by_how_much(
    run: Run, context: Any, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(monkeypatch, MAIL | {"on": ["failure", "worse"]})
    reported(run, verdict="hurt", test_after=0.216, test_control=0.336)
    imagenet_notify.tell_of_report(context)
    assert [mail["Subject"] for mail in mails] == ["ImageNet: the repair hurt"]
    assert "test accuracy is 21.6 % with it, and 33.6 % after" in mails[0].get_body(("html",)).get_content()


def test_who_asks_for_what_is_worse_is_not_told_of_a_run_in_which_nothing_is(
    run: Run, context: Any, chat: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(monkeypatch, CHAT | {"on": ["failure", "worse"]})
    reported(run)
    imagenet_notify.tell_of_report(context)
    assert chat.requests["/hook"] == 0


def test_who_asks_for_both_is_told_once_of_a_champion_that_declines(
    run: Run, context: Any, chat: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_for(monkeypatch, CHAT | {"on": ["worse", "stale_champion"]})
    with run.task("score_champion") as record:
        record["result"] = {"verdict": "declines", "trial": "baseline", "sentence": "declines: 40.0 % of 90"}
    reported(run)
    imagenet_notify.tell_of_report(context)
    assert chat.requests["/hook"] == 1


def test_one_that_cannot_be_reached_keeps_no_other_from_being_told(
    run: Run, context: Any, chat: FaultServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_NOBODY", json.dumps({"conn_type": "http", "host": "127.0.0.1", "port": 9}))
    ask_for(monkeypatch, CHAT | {"on": ["success"], "http_conn_id": "nobody"}, CHAT | {"on": ["success"]})
    reported(run)
    with caplog.at_level(logging.INFO):
        imagenet_notify.tell_of_report(context)
    assert chat.requests["/hook"] == 1 and f"Not notified of success: {HTTP}" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("helped", "IMAGENET_NOTIFY: Invalid JSON"),
        ("{}", "IMAGENET_NOTIFY: Input should be a valid array"),
        ('[{"on": ["helped"], "notifier": "x"}]', "IMAGENET_NOTIFY[0]['on'][0]: Input should be 'success'"),
        ('[{"on": [], "notifier": "x"}]', "IMAGENET_NOTIFY[0]['on']: Tuple should have at least 1 item"),
        ('[{"on": ["success"]}]', "IMAGENET_NOTIFY[0]['notifier']: Field required"),
    ],
)
def test_a_mistake_is_said_above_the_graph_and_keeps_nobody_from_running(
    monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    monkeypatch.setenv(imagenet_notify.VARIABLE, text)
    assert imagenet_notify.find_mistake().startswith(said)
    assert f"**Nobody is notified**: {said}" in imagenet_notify.told_for_doc()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"notifier": "airflow.providers.absent.Notifier"}, "'airflow.providers.absent.Notifier' cannot be imported"),
        ({"notifier": "json.dumps"}, "expected a notifier of Airflow, received 'json.dumps'"),
        ({"notifier": SMTP, "too": "x"}, f"{SMTP}: "),
    ],
)
def test_a_notifier_that_cannot_be_made_is_found_when_a_run_starts(
    monkeypatch: pytest.MonkeyPatch, rule: dict[str, Any], said: str
) -> None:
    ask_for(monkeypatch, {"on": ["success"]} | rule)
    assert imagenet_notify.find_mistake().startswith(f"IMAGENET_NOTIFY: {said}")


def test_a_notifier_whose_module_fails_in_its_own_way_keeps_no_run_from_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "broken_notifier.py").write_text("raise RuntimeError('open-sesame')")
    monkeypatch.syspath_prepend(str(tmp_path))
    ask_for(monkeypatch, {"on": ["success"], "notifier": "broken_notifier.Notifier"})
    assert imagenet_notify.find_mistake() == "IMAGENET_NOTIFY: a notifier cannot be made (RuntimeError)"


def test_a_secret_in_the_variable_is_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(imagenet_notify.VARIABLE, '[{"on": "open-sesame", "notifier": 7, "headers": "open-sesame"}]')
    assert "sesame" not in imagenet_notify.find_mistake()


def test_the_text_above_the_graph_says_who_is_told_without_addresses_or_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = CHAT | {"endpoint": "hooks/open-sesame", "headers": {"Authorization": "open-sesame"}}
    ask_for(monkeypatch, MAIL | {"on": ["failure", "worse"]}, secret | {"on": ["success"]})
    assert imagenet_notify.told_for_doc().split("\n\n") == [
        "\n**Told of failure, worse**: SmtpNotifier by connection mail",
        "**Told of success**: HttpNotifier by connection chat\n",
    ]  # fmt: skip


@pytest.mark.parametrize("connection", ["https://user:open-sesame@host", "a b", 7, None])
def test_what_cannot_name_a_connection_is_not_shown_as_one(monkeypatch: pytest.MonkeyPatch, connection: Any) -> None:
    ask_for(monkeypatch, CHAT | {"on": ["success"], "http_conn_id": connection})
    assert imagenet_notify.told_for_doc() == "\n**Told of success**: HttpNotifier\n"


def test_the_text_above_the_graph_says_that_nobody_is_told_and_where_to_change_that() -> None:
    assert "nobody is told of a run. IMAGENET_NOTIFY says whom" in imagenet_notify.told_for_doc()


def test_by_default_nobody_is_told_and_nothing_is_called(dag: Any) -> None:
    assert not dag.on_failure_callback
    assert not dag.get_task("write_report").on_success_callback
