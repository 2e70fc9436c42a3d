"""What is shown of a URL to people who may not have its secrets."""

import base64
import json
import re
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from imagenet_tasks import errors
from imagenet_tasks.errors import (
    AcceleratorMissing,
    NonFiniteLoss,
    Rejected,
    RejectReason,
    TrainingError,
    TrainingTimeout,
    without_secrets,
)
from imagenet_tasks.settings.credentials import Credentials, make_credentials
from imagenet_tasks.store.storage import Store


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch):
    monkeypatch.setattr(errors, "_known", set())


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://host/x", "https://host/x"),
        ("/data/me@home/what?.jpg", "/data/me@home/what?.jpg"),
        ("mail me@host about 3 pictures?", "mail me@host about 3 pictures?"),
        ("https://me@host/x", "https://***@host/x"),
        ("https://me:word@host/x", "https://***@host/x"),
        ("https://me:it's a\"word@host/x".replace(" ", ""), "https://***@host/x"),
        ("'https://a/x', 'https://me:word@host/x'", "'https://a/x', 'https://***@host/x'"),
        ("postgresql+psycopg2://me:word@host:5432/db", "postgresql+psycopg2://***@host:5432/db"),
        ("https://host/x?sig=word&se=1", "https://host/x?***"),
        ("https://host/x?", "https://host/x?***"),
        ("https://me:word@host/x?sig=word", "https://***@host/x?***"),
        ("'https://host/a?sig=word' and \"s3://b/c?x=word\"", "'https://host/a?***' and \"s3://b/c?***\""),
        ("https://h/a?sig=word\nhttps://me:word@h/b", "https://h/a?***\nhttps://***@h/b"),
        ("https://host/me@home/x", "https://host/me@home/x"),
    ],
)
def test_user_names_passwords_and_queries_are_taken_out_of_urls_alone(said, shown):
    assert without_secrets(said) == shown


@pytest.mark.parametrize("text", ["https://me:wo@rd@host/x", "https://host/p q?sig=rd"])
def test_no_part_of_a_secret_is_left(text):
    assert "rd" not in without_secrets(text)


SECRETS = ["it's-a-word", 'a"quoted"word', "with spaces & more?=", "pa/ss@word:#%", "Größe\\n-wörd", "p*a+s(s"]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_known_secret_is_taken_out_by_its_value_whatever_characters_it_has(secret):
    make_credentials("c", host="host", scheme="https", port=None, login="me", password=secret)
    held = Credentials(host="host:443", authorization=f"Bearer {secret}")
    ways = [secret, repr(secret), json.dumps(secret), quote(secret), quote(secret, safe=""), quote_plus(secret)]
    ways += [repr(secret.encode()), base64.b64encode(f"me:{secret}".encode()).decode(), held.authorization]
    for way in ways:
        shown = without_secrets(f"received {way} here")
        assert re.fullmatch(r"received b?['\"]?(\w+ )?\*\*\*['\"]? here", shown), way
    rejected = Rejected(RejectReason.NOT_AN_IMAGE, detail=f"begins with {secret}")
    assert (rejected.detail, str(rejected)) == ("begins with ***", "not_an_image: begins with ***")


@pytest.mark.parametrize("secret", SECRETS)
def test_the_keys_of_a_store_are_known_secrets(secret):
    Store("memory://x", {"secret": secret, "endpoint_url": "http://host"})
    assert without_secrets(f"http://host said {secret}") == "http://host said ***"


def test_words_are_not_spoilt_by_a_secret_of_a_letter_or_two():
    make_credentials("c", host="host", scheme=None, port=None, login=None, password="ed")
    assert without_secrets("received") == "received"


@pytest.mark.parametrize("kind", [NonFiniteLoss, AcceleratorMissing, TrainingTimeout])
def test_a_training_that_ended_for_a_known_reason_is_a_training_error(kind):
    assert issubclass(kind, TrainingError) and getattr(errors, kind.__name__) is kind


def test_every_reason_for_a_rejection_is_explained_to_people():
    guide = Path(__file__).parents[1] / "docs" / "downloading.md"
    first_cells = [line.split("|")[1] for line in guide.read_text().splitlines() if line.startswith("| `")]
    assert {reason for cell in first_cells for reason in re.findall(r"`(\w+)`", cell)} >= set(RejectReason)
