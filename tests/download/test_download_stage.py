"""One class's pictures through real sockets: what is chosen, what is recorded, what is asked for again."""

import dataclasses
import hashlib
import json
import logging
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from urllib.parse import quote

import pytest
from fakes.pictures import COBRA, fill, picture, quiet
from fakes.web import FaultServer, answers, cuts, in_turn, redirects, resets, silent

from imagenet_tasks import images
from imagenet_tasks.artifacts.references import Selection, SelectionRef
from imagenet_tasks.download import fetch, stage
from imagenet_tasks.download.records import FINAL_UNDER, under_now
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.errors import ChecksumMismatch, ConfigError, RejectReason, SourceUnavailable
from imagenet_tasks.preprocess.stage import preprocess_class
from imagenet_tasks.settings.classes import find_class
from imagenet_tasks.settings.config import DownloadConfig, PreprocessConfig
from imagenet_tasks.settings.credentials import Credentials
from imagenet_tasks.store.storage import Store, fingerprint
from imagenet_tasks.workflow.progress import Progress

CLASS = find_class(COBRA)
PLACEHOLDER = "/images/photo_unavailable.png"


@pytest.fixture
def web():
    with FaultServer() as server:
        yield server


def settings(web, wanted, **others) -> DownloadConfig:
    bounds = {"read_timeout_s": 1.0, "total_timeout_s": 5, "attempts": 1, "download_threads": 4, "max_bytes": 100_000}
    return DownloadConfig(**{"source": "sample", "location": web.url, "images_per_class": wanted} | bounds | others)


def offer(web, behaviours: dict) -> None:
    web.offer(COBRA, list(behaviours))
    web.routes |= {f"/p/{name}": behaviour for name, behaviour in behaviours.items()}


def good(count: int, start: int = 0) -> dict:
    return {f"{i:03d}.jpg": answers(picture(i)) for i in range(start, start + count)}


@dataclass
class Chosen:
    """What a run uses of the class, and what it says of that."""

    files: tuple[str, ...]
    ref: SelectionRef


def get(home, web, wanted, *, force=False, accept="none", beyond=0, **others) -> tuple[Chosen, bool]:
    store = Store(home)
    ref, reused = download_class(
        store,
        settings(web, wanted, **others),
        CLASS,
        progress=quiet(),
        accept=accept,
        force_before_s=time.time() if force else 0.0,
        beyond=beyond,
    )
    selection = Selection.from_json(store.read_bytes(ref.key), where=ref.key)
    assert (selection.class_id, len(selection.files)) == (ref.class_id, ref.accepted) == (COBRA, ref.accepted)
    assert (ref.wanted, ref.asked) == (wanted, ref.accepted + sum(ref.rejected.values()))
    return Chosen(selection.files, ref), reused


def records(home) -> dict[str, dict]:
    lines = (home / "images" / COBRA / "records.jsonl").read_text().splitlines()
    return {r["candidate"].removeprefix("/p/"): r for r in map(json.loads, lines)}


def file_of(seed: int) -> str:
    return hashlib.sha256(picture(seed)).hexdigest() + ".jpg"


def test_pictures_are_stored_as_received_under_their_own_hash(web, tmp_path):
    offer(web, good(3))
    selection, reused = get(tmp_path, web, 3)
    assert not reused
    assert selection.files == tuple(file_of(i) for i in range(3))
    assert (selection.ref.listed, selection.ref.asked, selection.ref.rejected) == (3, 3, {})
    for seed in range(3):
        assert (tmp_path / "images" / COBRA / file_of(seed)).read_bytes() == picture(seed)


@pytest.mark.parametrize("threads", [1, 3, 16])
def test_never_more_than_wanted_are_accepted_nor_asked_for(web, tmp_path, threads):
    offer(web, good(20))
    selection, _ = get(tmp_path, web, 7, download_threads=threads)
    assert len(selection.files) == 7
    assert web.asked() == {f"{i:03d}.jpg": 1 for i in range(7)}
    assert sum(r["state"] == "accepted" for r in records(tmp_path).values()) == 7


def test_each_candidate_has_a_record_with_its_final_state_and_reason(web, tmp_path):
    web.routes[PLACEHOLDER] = answers(picture(99))
    offer(
        web,
        {
            "gone": answers(b"", status=404),
            "gone-too": answers(b"", status=410),
            "html": answers(b"<!DOCTYPE html><html>private</html>" * 9, kind="text/html"),
            "placeholder": redirects(PLACEHOLDER),
            "half": answers(picture(1, rows=300, columns=400)[:1500]),
            "huge": answers(b"x" * 100_001),
            "tiny": answers(picture(2, rows=5, columns=5)),
            "loop": redirects("/p/loop"),
            "scheme": redirects("file:///etc/passwd"),
            "good": answers(picture(3)),
        },
    )
    get(tmp_path, web, 100)
    found = {name: (r["state"], r["reason"]) for name, r in records(tmp_path).items()}
    assert found == {
        "gone": ("rejected", "gone"),
        "gone-too": ("rejected", "gone"),
        "html": ("rejected", "not_an_image"),
        "placeholder": ("rejected", "placeholder"),
        "half": ("rejected", "truncated_image"),
        "huge": ("rejected", "too_large"),
        "tiny": ("rejected", "too_small"),
        "loop": ("rejected", "too_many_redirects"),
        "scheme": ("rejected", "blocked_scheme"),
        "good": ("accepted", None),
    }


def test_a_second_run_asks_for_nothing_and_gives_the_same_selection(web, tmp_path):
    offer(web, good(4) | {"gone": answers(b"", status=404), "html": answers(b"<html>", kind="text/html")})
    first, _ = get(tmp_path, web, 100)
    asked = web.asked()
    second, reused = get(tmp_path, web, 100)
    assert (second, reused, web.asked()) == (first, True, asked)


def test_a_second_run_that_wants_more_asks_only_for_more(web, tmp_path):
    offer(web, good(10))
    get(tmp_path, web, 3)
    selection, reused = get(tmp_path, web, 6)
    assert (len(selection.files), reused) == (6, False)
    assert web.asked() == {f"{i:03d}.jpg": 1 for i in range(6)}


def test_a_run_that_wants_fewer_uses_the_first_ones(web, tmp_path):
    offer(web, good(5))
    get(tmp_path, web, 5)
    selection, reused = get(tmp_path, web, 2)
    assert (selection.files, reused) == ((file_of(0), file_of(1)), True)


def delayed(seconds: dict[int, float]) -> dict:
    """Twelve candidates: 2 and 5 are gone, 7 has the bytes of 1, and each answers after its delay."""
    behaviours = {}
    for i in range(12):
        body = picture(1 if i == 7 else i)
        behaviours[f"{i:03d}.jpg"] = answers(body, status=404 if i in (2, 5) else 200, after_s=seconds.get(i, 0.0))
    return behaviours


@pytest.mark.parametrize(
    "slow", [{}, {0: 0.25, 1: 0.25}, {1: 0.5, 3: 0.1}, {4: 0.2, 6: 0.2, 9: 0.2}], ids=["none", "first", "twin", "last"]
)
def test_the_order_of_answers_does_not_change_the_selection(web, tmp_path, slow):
    offer(web, delayed(slow))
    selection, _ = get(tmp_path, web, 8, download_threads=12, read_timeout_s=5)
    assert selection.files == tuple(file_of(i) for i in (0, 1, 3, 4, 6, 8, 9, 10))
    assert selection.ref.rejected == {"gone": 2, "duplicate": 1}
    assert records(tmp_path)["007.jpg"]["reason"] == "duplicate"


def test_f25_the_same_bytes_twice_count_once(web, tmp_path):
    offer(web, {"a": answers(picture(1)), "b": answers(picture(1)), "c": answers(picture(2))})
    selection, _ = get(tmp_path, web, 3)
    assert selection.files == (file_of(1), file_of(2))
    assert records(tmp_path)["b"] | {"time_s": 0} == {
        "candidate": "/p/b",
        "basis": records(tmp_path)["a"]["basis"],
        "time_s": 0,
        "state": "rejected",
        "reason": "duplicate",
        "detail": f"same bytes as {file_of(1)}",
        "duplicate_of": file_of(1),
        "under": {"version": fingerprint(version=web.url)},
    }


def test_a_candidate_that_is_listed_twice_is_asked_for_once(web, tmp_path):
    offer(web, good(2))
    web.offer(COBRA, ["000.jpg", "000.jpg", "001.jpg"])
    selection, _ = get(tmp_path, web, 5)
    assert (selection.ref.listed, web.asked()) == (2, {"000.jpg": 1, "001.jpg": 1})


@pytest.mark.parametrize("fault", [resets, silent, answers(b"", status=503), cuts(b"x", said=99)])
def test_f15_an_interrupted_class_goes_on_where_it_was(web, tmp_path, fault):
    offer(web, good(4) | dict.fromkeys(good(6, start=4), fault))
    with pytest.raises(SourceUnavailable):
        get(tmp_path / "home", web, 10, download_threads=2)
    before = web.asked()
    assert sum(before.values()) == 10
    assert {r["state"] for name, r in records(tmp_path / "home").items() if name >= "004.jpg"} == {"open"}

    offer(web, good(10))
    continued, _ = get(tmp_path / "home", web, 10)
    assert web.asked() == before | dict.fromkeys(good(6, start=4), 2)
    uninterrupted, _ = get(tmp_path / "other", web, 10)
    assert continued == uninterrupted


def test_f15_a_killed_task_leaves_a_class_that_the_next_one_finishes(web, tmp_path):
    offer(web, good(3) | dict.fromkeys(good(5, start=3), silent))
    code = (
        "from imagenet_tasks.store.storage import Store; from imagenet_tasks.settings.config import DownloadConfig; "
        "from imagenet_tasks.download.stage import download_class; "
        "from imagenet_tasks.settings.classes import find_class; "
        "from imagenet_tasks.workflow.progress import Progress; "
        f"s = DownloadConfig(source='sample', location={web.url!r}, images_per_class=8, read_timeout_s=60); "
        "p = Progress(task='t', item='', label='', total=8, unit='u', interval_s=0, "
        "listeners=(lambda s: print(s.done, flush=True),)); "
        f"download_class(Store({str(tmp_path)!r}), s, find_class({COBRA!r}), progress=p)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line.strip() == "3":
                break
        child.kill()
    offer(web, good(8))
    selection, _ = get(tmp_path, web, 8)
    assert selection.files == tuple(file_of(i) for i in range(8))


def test_f16_most_candidates_failing_for_reasons_that_may_pass_is_no_shortage(web, tmp_path):
    offer(web, good(2) | {f"b{i}": answers(b"", status=503) for i in range(3)})
    with pytest.raises(SourceUnavailable, match=r"3 of 5 candidates.*http_error.*have 2 of 10"):
        get(tmp_path, web, 10)


def test_f16_a_few_of_a_host_that_gave_others_are_tried_again_later_and_are_a_shortage_in_the_end(web, tmp_path):
    offer(web, good(3) | {f"b{i}": answers(b"", status=503) for i in range(2)})
    with pytest.raises(SourceUnavailable, match=r"2 candidates of hosts that gave others.*have 3 of 10"):
        get(tmp_path, web, 10)
    selection, _ = get(tmp_path, web, 10, accept="late")
    assert (len(selection.files), selection.ref.rejected) == (3, {"http_error": 2})


def test_f16_a_class_that_is_short_for_a_dead_hosts_sake_is_no_less_when_run_again(web, tmp_path):
    offer(web, good(6))
    dead = [f"http://127.0.0.2:1/{i}" for i in range(4)]
    lines = "".join(f"{web.url}/p/{name}\n" for name in good(6)) + "".join(f"{url}\n" for url in dead)
    web.routes[f"/lists/{COBRA}.txt"] = answers(lines.encode(), kind="text/plain")
    allowed = {"allowed_private_hosts": ("127.0.0.1", "127.0.0.2")}
    first, _ = get(tmp_path, web, 10, **allowed)
    again, _ = get(tmp_path, web, 10, **allowed)
    assert first == again and (len(first.files), first.ref.rejected) == (6, {"connection": 4})


def test_force_asks_once_and_not_again_in_a_retry(web, tmp_path):
    offer(web, good(1) | {"gone": answers(b"", status=404)})
    get(tmp_path, web, 2)
    store, began_s = Store(tmp_path), time.time()
    for _ in range(2):
        download_class(store, settings(web, 2), CLASS, progress=quiet(), force_before_s=began_s)
    assert web.asked() == {"000.jpg": 1, "gone": 2}


def test_f30_force_asks_again_for_what_a_clock_that_was_set_back_put_into_the_future(web, tmp_path, monkeypatch):
    offer(web, good(1) | {"gone": answers(b"", status=404)})
    now_s = time.time
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda: now_s() + 86_400)
        get(tmp_path, web, 2)
    get(tmp_path, web, 2, force=True)
    assert web.asked() == {"000.jpg": 1, "gone": 2}


def test_f08_what_was_blocked_is_asked_for_once_the_location_lies_on_its_host(web, tmp_path):
    """Who starts a run names the host of its location, and so trusts it."""
    lines = f"{COBRA}_1\t{web.url}/x\n".encode()
    web.routes |= {"/x": answers(picture(50)), "/list.txt?key=hunter2": answers(lines, kind="text/plain")}
    (tmp_path / "list.txt").write_bytes(lines)
    url_list = {"source": "url-list", "accept_imagenet_terms": True}
    blocked, _ = get(tmp_path / "home", web, 1, **url_list, location=str(tmp_path / "list.txt"))
    assert (blocked.ref.rejected, web.hits()) == ({"blocked_address": 1}, 0)
    allowed, _ = get(tmp_path / "home", web, 1, **url_list, location=f"{web.url}/list.txt?key=hunter2")
    assert allowed.files == (file_of(50),)
    assert "hunter2" not in (tmp_path / "home" / "images" / COBRA / "records.jsonl").read_text()


def test_f08_what_was_blocked_is_asked_for_once_its_host_is_allowed_and_else_stays_blocked(web, tmp_path):
    with FaultServer() as other:
        other.routes["/x"] = answers(picture(50))
        web.routes[f"/lists/{COBRA}.txt"] = answers(f"{other.url}/x".encode(), kind="text/plain")
        blocked, _ = get(tmp_path, web, 1)
        again, reused = get(tmp_path, web, 1)
        assert (blocked.ref.rejected, again, reused, other.hits()) == ({"blocked_address": 1}, blocked, True, 0)
        allowed, _ = get(tmp_path, web, 1, allowed_private_hosts=(other.url.removeprefix("http://"),))
    assert allowed.files == (file_of(50),)


def test_f51_a_class_whose_source_never_answers_is_a_shortage_only_where_any_is_accepted(web, tmp_path, caplog):
    offer(web, good(1) | {f"b{i}": answers(b"", status=503) for i in range(4)})
    with pytest.raises(SourceUnavailable):
        get(tmp_path, web, 10, accept="late")
    selection, _ = get(tmp_path, web, 10, accept="any")
    assert (len(selection.files), selection.ref.rejected) == (1, {"http_error": 4})
    assert "4 of 5 candidates failed for reasons that may pass" in caplog.text


def test_what_failed_for_reasons_that_may_pass_is_asked_for_a_second_time_while_pictures_lack(web, tmp_path):
    offer(web, {"late": in_turn(answers(b"", status=503), answers(picture(50)))} | good(3))
    selection, _ = get(tmp_path, web, 4)
    assert (len(selection.files), web.asked()["late"]) == (4, 2)


def test_f16_candidates_that_are_gone_are_a_shortage(web, tmp_path):
    offer(web, good(1) | {f"b{i}": answers(b"", status=404) for i in range(9)})
    selection, _ = get(tmp_path, web, 10)
    assert (len(selection.files), selection.ref.rejected, selection.ref.listed) == (1, {"gone": 9}, 10)


def test_rejects_are_counted_up_to_the_last_picture_in_use_whatever_another_run_asked_for(web, tmp_path):
    gone = answers(b"", status=404)
    order = {"g0": gone, **good(2), "g1": gone, **good(1, start=2), "g2": gone, "g3": gone, **good(1, start=3)}
    offer(web, order)
    alone, _ = get(tmp_path / "alone", web, 3)
    assert (alone.ref.listed, alone.ref.asked, alone.ref.rejected) == (8, 5, {"gone": 2})
    all_of_them, _ = get(tmp_path / "shared", web, 4)
    assert (all_of_them.ref.asked, all_of_them.ref.rejected) == (8, {"gone": 4})
    after, reused = get(tmp_path / "shared", web, 3)
    assert (after, reused) == (alone, True)


def test_where_pictures_are_short_all_rejects_are_counted(web, tmp_path):
    gone = answers(b"", status=404)
    offer(web, {"g0": gone, **good(2), "g1": gone, "g2": gone})
    short, _ = get(tmp_path, web, 3)
    assert (short.ref.asked, short.ref.rejected) == (5, {"gone": 3})


@pytest.mark.parametrize(
    "limit", [{"max_bytes": 99_999}, {"max_pixels": 10**6}, {"min_side_px": 25}, {"max_aspect": 7}]
)
def test_other_limits_ask_anew_for_what_was_accepted_and_not_for_what_another_reason_rejected(web, tmp_path, limit):
    offer(web, good(2) | {"text": answers(b"no picture")})
    before, _ = get(tmp_path, web, 3)
    after, reused = get(tmp_path, web, 3, **limit)
    assert (after, reused) == (before, False)
    assert web.asked() == {"000.jpg": 2, "001.jpg": 2, "text": 1}


LARGE = picture(50, rows=60, columns=180)
LATER = {403: in_turn(answers(b"", status=403), answers(LARGE)), 404: in_turn(answers(b"", status=404), answers(LARGE))}
FINAL = {
    "too_large": (answers(LARGE), {"max_bytes": 1000}, {}),
    "too_many_pixels": (answers(LARGE), {"max_pixels": 5000}, {}),
    "too_small": (answers(LARGE), {"min_side_px": 61}, {}),
    "bad_aspect": (answers(LARGE), {"max_aspect": 2}, {}),
    "robots_tag": (answers(LARGE, X_Robots_Tag="noai"), {}, {"respect_robots_tag": False}),
    "too_many_redirects": (redirects("/there"), {"max_redirects": 0}, {}),
    "http_error": (LATER[403], {}, {"connection": "mine"}),
    "gone": (LATER[404], {}, {"connection": "mine"}),
}


@pytest.mark.parametrize("reason", FINAL)
def test_a_rejection_is_final_as_long_as_what_it_followed_from_is_as_it_was(web, tmp_path, reason):
    behaviour, then, now = FINAL[reason]
    offer(web, {"x": behaviour} | good(1))
    web.routes["/there"] = answers(LARGE)
    first, _ = get(tmp_path, web, 2, **then)
    assert (records(tmp_path)["x"]["state"], records(tmp_path)["x"]["reason"]) == ("rejected", reason)
    assert set(FINAL_UNDER[reason]) < records(tmp_path)["x"]["under"].keys()
    again, reused = get(tmp_path, web, 2, **then, read_timeout_s=2, download_threads=1)
    assert (again, reused, web.asked()["x"]) == (first, True, 1)
    after, _ = get(tmp_path, web, 2, **now)
    assert after.files == (hashlib.sha256(LARGE).hexdigest() + ".jpg", file_of(0))
    assert web.asked()["x"] == 2


def test_what_was_refused_for_a_format_that_is_read_now_is_asked_again(web, tmp_path, monkeypatch):
    offer(web, {"x": answers(picture(50, kind="GIF")), "text": answers(b"no picture")} | good(1))
    with monkeypatch.context() as without:
        without.delitem(images.FORMATS, "GIF")
        for _ in range(2):
            before, _ = get(tmp_path, web, 3)
    assert (before.ref.rejected, web.asked()["x"]) == ({"unsupported_format": 1, "not_an_image": 1}, 1)
    after, _ = get(tmp_path, web, 3)
    assert len(after.files) == 2 and web.asked() == {"x": 2, "text": 1, "000.jpg": 1}


def test_a_certificate_is_judged_anew_by_other_certificates(tmp_path, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    record = {"candidate": "x", "state": "rejected", "reason": "tls"}
    then = under_now(record, DownloadConfig(), version="", on_web=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ours.pem"))
    assert under_now(record, DownloadConfig(), version="", on_web=True) != then


def test_what_a_rejection_follows_from_are_settings_or_properties():
    names = {name for named in FINAL_UNDER.values() for name in named}
    fields = {field.name for field in dataclasses.fields(DownloadConfig)}
    assert names - fields == {"is_read", "is_on_web", "certificates", "own_host"}
    assert FINAL_UNDER.keys() <= set(RejectReason)


def as_of_an_earlier_version(home) -> None:
    """Takes out of the records what earlier versions did not write."""
    old = [{k: v for k, v in r.items() if k != "under"} for r in records(home).values()]
    for record in old:
        if record["reason"] == "blocked_address":
            record["allowed"] = []
    (home / "images" / COBRA / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in old))


def test_records_of_an_earlier_version_stay_final_until_a_limit_changes(web, tmp_path):
    offer(
        web,
        {
            "small": answers(picture(50, rows=30, columns=30)),
            "gone": answers(b"", status=404),
            "tag": answers(picture(51), X_Robots_Tag="noai"),
            "blocked": redirects("http://127.0.0.2:1/x"),
            "text": answers(b"no picture"),
            "twin": answers(picture(0)),
        }
        | good(1),
    )
    before, _ = get(tmp_path, web, 9, min_side_px=40)
    as_of_an_earlier_version(tmp_path)
    assert get(tmp_path, web, 9, min_side_px=40) == (before, True)
    assert set(web.asked().values()) == {1}
    after, _ = get(tmp_path, web, 9)
    assert len(after.files) == 2 and set(web.asked().values()) == {2}
    assert all("under" in r for r in records(tmp_path).values() if r["state"] == "rejected")


def test_f36_a_login_that_is_refused_is_no_verdict_on_the_candidates(web, tmp_path):
    def asks_for_a_login(handler):
        is_known = handler.headers.get("Authorization") == "Bearer right"
        answers(picture(1), status=200 if is_known else 401)(handler)

    offer(web, {"x": asks_for_a_login})
    config = settings(web, 1, connection="mine")
    for word, state in (("wrong", "open"), ("right", "accepted")):
        credentials = Credentials(host=web.netloc, authorization=f"Bearer {word}")
        download_class(Store(tmp_path), config, CLASS, progress=quiet(), credentials=credentials, accept="any")
        assert records(tmp_path)["x"]["state"] == state


def test_other_settings_than_the_limits_ask_for_nothing_again(web, tmp_path):
    offer(web, good(2) | {"text": answers(b"no picture")})
    before, _ = get(tmp_path, web, 3)
    others = {"read_timeout_s": 9, "total_timeout_s": 9, "connect_timeout_s": 9, "attempts": 2, "max_redirects": 1}
    after, reused = get(tmp_path, web, 3, download_threads=1, **others)
    assert (after, reused) == (before, True)
    assert set(web.asked().values()) == {1}


def test_stricter_limits_take_pictures_away_and_looser_ones_bring_them_back(web, tmp_path):
    offer(web, {"s": answers(picture(1, rows=30, columns=30)), "l": answers(picture(2, rows=60, columns=60))})
    both = tuple(hashlib.sha256(picture(s, rows=n, columns=n)).hexdigest() + ".jpg" for s, n in ((1, 30), (2, 60)))
    assert get(tmp_path, web, 2)[0].files == both
    strict, _ = get(tmp_path, web, 2, min_side_px=50)
    assert (strict.files, strict.ref.rejected) == (both[1:], {"too_small": 1})
    assert get(tmp_path, web, 2)[0].files == both


def test_a_record_without_a_basis_is_asked_for_anew(web, tmp_path):
    offer(web, good(2))
    before, _ = get(tmp_path, web, 2)
    old = [{k: v for k, v in r.items() if k != "basis"} for r in records(tmp_path).values()]
    (tmp_path / "images" / COBRA / "records.jsonl").write_text("".join(json.dumps(r) + "\n" for r in old))
    assert get(tmp_path, web, 2) == (before, False)
    assert web.asked() == {"000.jpg": 2, "001.jpg": 2}


def test_the_selections_name_follows_from_its_pictures_alone(web, tmp_path):
    offer(web, good(3))
    few, _ = get(tmp_path / "a", web, 3)
    offer(web, {"gone": answers(b"", status=404)} | good(3))
    same, _ = get(tmp_path / "b", web, 50, max_aspect=7)
    assert same.ref.fingerprint == few.ref.fingerprint and same.ref.rejected != few.ref.rejected
    offer(web, dict(reversed(good(3).items())))
    assert get(tmp_path / "c", web, 3)[0].ref.fingerprint != few.ref.fingerprint


def test_what_may_pass_is_asked_for_again_by_the_next_run(web, tmp_path):
    unavailable = answers(b"", status=503)
    offer(web, good(3) | {"late": in_turn(unavailable, unavailable, answers(picture(50)))})
    get(tmp_path, web, 4, accept="late")
    selection, reused = get(tmp_path, web, 4)
    assert (len(selection.files), reused, web.asked()["late"]) == (4, False, 3)
    assert web.asked()["000.jpg"] == 1


def test_force_asks_again_for_what_was_rejected_and_not_for_what_is_here(web, tmp_path):
    offer(web, good(2) | {"back": in_turn(answers(b"", status=404), answers(picture(50)))})
    get(tmp_path, web, 3)
    assert get(tmp_path, web, 3)[1]
    selection, reused = get(tmp_path, web, 3, force=True)
    assert (len(selection.files), reused) == (3, False)
    assert web.asked() == {"000.jpg": 1, "001.jpg": 1, "back": 2}


def test_a_stored_picture_that_was_deleted_is_asked_for_again(web, tmp_path):
    offer(web, good(3))
    first, _ = get(tmp_path, web, 3)
    (tmp_path / "images" / COBRA / file_of(1)).unlink()
    second, _ = get(tmp_path, web, 3)
    assert second == first
    assert web.asked() == {"000.jpg": 1, "001.jpg": 2, "002.jpg": 1}
    assert (tmp_path / "images" / COBRA / file_of(1)).read_bytes() == picture(1)


@pytest.mark.parametrize("left", [0, 100])
def test_a_stored_picture_that_a_power_loss_cut_is_found_and_asked_for_again(web, tmp_path, left):
    """Its record was synced and its bytes were not: preparing it fails, and the next download mends it."""
    offer(web, good(3) | {"twin": answers(picture(1))})
    first, _ = get(tmp_path, web, 4)
    (tmp_path / "images" / COBRA / file_of(1)).write_bytes(picture(1)[:left])
    with pytest.raises(ChecksumMismatch, match=f"{file_of(1)}: .*Delete the file and run again"):
        preprocess_class(Store(tmp_path), PreprocessConfig(), first.ref, progress=quiet())
    second, reused = get(tmp_path, web, 4)
    assert (second, reused) == (first, False)
    assert web.asked() == {"000.jpg": 1, "001.jpg": 2, "002.jpg": 1, "twin": 2}
    array, _ = preprocess_class(Store(tmp_path), PreprocessConfig(), second.ref, progress=quiet())
    assert array.count == 3


def test_f04_no_thread_is_left_after_a_class(web, tmp_path):
    offer(web, good(5) | {f"s{i}": silent for i in range(3)})
    before = set(threading.enumerate()) - set(web._threads)
    get(tmp_path, web, 10, accept="late")
    assert set(threading.enumerate()) - set(web._threads) <= before


def test_f32_two_downloads_of_one_class_at_once_give_one_complete_set(tmp_path):
    fill(tmp_path / "data" / COBRA, range(60))
    code = (
        "import sys, time; from pathlib import Path; "
        "from imagenet_tasks.store.storage import Store; from imagenet_tasks.settings.config import DownloadConfig; "
        "from imagenet_tasks.download.stage import download_class; "
        "from imagenet_tasks.settings.classes import find_class; "
        "from imagenet_tasks.workflow.progress import Progress; "
        f"s = DownloadConfig(source='folder', location={str(tmp_path / 'data')!r}, images_per_class=50); "
        "p = Progress(task='t', item='', label='', total=50, unit='u', listeners=()); "
        f"here = Path({str(tmp_path)!r}); "
        "(here / ('ready' + sys.argv[1])).touch()\n"
        "while len(list(here.glob('ready*'))) < 2: time.sleep(0.001)\n"
        f"ref, reused = download_class(Store({str(tmp_path / 'home')!r}), s, find_class({COBRA!r}), progress=p); "
        "print(ref.fingerprint, ref.accepted, reused)"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, name], stdout=subprocess.PIPE, text=True) for name in "ab"
    ]
    said = sorted(child.communicate()[0].split() for child in children)
    assert [s[1:] for s in said] == [["50", "False"], ["50", "True"]]
    assert said[0][0] == said[1][0]
    assert len(records(tmp_path / "home")) == 50
    assert len(list((tmp_path / "home" / "images" / COBRA).glob("*.png"))) == 50


def test_the_progress_counts_accepted_pictures_and_rejected_candidates(web, tmp_path):
    offer(web, good(3) | {"gone": answers(b"", status=404)})
    heard = []
    progress = Progress(task="t", item="", label="", total=4, unit="u", listeners=(heard.append,), interval_s=0)
    download_class(Store(tmp_path), settings(web, 4), CLASS, progress=progress)
    assert (heard[-1].done, heard[-1].figures) == (3, {"rejected": 1})


@pytest.mark.parametrize("wanted", [3, 4, 10, 20])
def test_the_progress_ends_with_the_counts_of_the_selection_whatever_another_run_asked_for(web, tmp_path, wanted):
    gone, passing = answers(b"", status=404), answers(b"", status=500)
    behaviours = {
        f"{i:03d}.jpg": gone if i % 4 == 1 else passing if i % 4 == 2 else answers(picture(i)) for i in range(20)
    }
    offer(web, behaviours)
    store = Store(tmp_path / "home")
    for count in (6, wanted):
        heard = []
        progress = Progress(task="t", item="", label="l", total=count, unit="u", listeners=(heard.append,))
        ref, _ = download_class(store, settings(web, count), CLASS, progress=progress, accept="any")
        rejected = sum(ref.rejected.values())
        assert (heard[-1].done, heard[-1].figures["rejected"]) == (ref.accepted, rejected)
        assert ref.asked == ref.accepted + rejected


def test_a_class_without_candidates_has_an_empty_selection(web, tmp_path):
    offer(web, {})
    selection, _ = get(tmp_path, web, 5)
    assert (selection.files, selection.ref.listed, selection.ref.rejected) == ((), 0, {})


def test_a_missing_location_is_a_config_error(tmp_path):
    missing = DownloadConfig(source="folder", location=str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="nowhere"):
        download_class(Store(tmp_path), missing, CLASS, progress=quiet())


# Placeholders


def md5_of(seed: int) -> str:
    return hashlib.md5(picture(seed)).hexdigest()


def test_f02_the_picture_of_a_host_that_has_none_is_known_by_its_md5(web, tmp_path, monkeypatch):
    monkeypatch.setattr(stage, "PLACEHOLDERS_MD5", {md5_of(99)})
    offer(web, {"a": answers(picture(99)), "b": answers(picture(99))} | good(2))
    selection, _ = get(tmp_path, web, 2)
    assert selection.files == (file_of(0), file_of(1))
    assert [records(tmp_path)[name]["reason"] for name in "ab"] == ["placeholder"] * 2
    assert not (tmp_path / "images" / COBRA / file_of(99)).exists()


def test_f02_the_known_placeholders_are_md5_sums():
    assert stage.PLACEHOLDERS_MD5 and all(re.fullmatch("[0-9a-f]{32}", known) for known in stage.PLACEHOLDERS_MD5)


def with_placeholders(seconds: dict[int, float]) -> dict:
    """Fourteen candidates: 1, 4, 6 and 9 have the same bytes, 3 those of 2, and each answers after its delay."""
    return {
        f"{i:03d}.jpg": answers(picture({1: 99, 4: 99, 6: 99, 9: 99, 3: 2}.get(i, i)), after_s=seconds.get(i, 0.0))
        for i in range(14)
    }


@pytest.mark.parametrize(
    "slow",
    [{}, {1: 0.4}, {4: 0.4}, {6: 0.4}, {0: 0.3, 2: 0.3, 9: 0.1}],
    ids=["none", "first", "second", "third", "all"],
)
@pytest.mark.parametrize("threads", [1, 4, 12])
def test_f02_the_same_bytes_of_three_candidates_are_no_picture_whatever_order_they_came_in(
    web, tmp_path, slow, threads
):
    offer(web, with_placeholders(slow))
    selection, _ = get(tmp_path, web, 8, download_threads=threads, read_timeout_s=5)
    assert selection.files == tuple(file_of(i) for i in (0, 2, 5, 7, 8, 10, 11, 12))
    assert selection.ref.rejected == {"placeholder": 4, "duplicate": 1}
    assert sum(web.asked().values()) == 13


def test_f02_three_sightings_are_remembered_by_the_next_run(web, tmp_path):
    offer(web, with_placeholders({}))
    first, _ = get(tmp_path, web, 8)
    assert get(tmp_path, web, 8) == (first, True)
    offer(web, with_placeholders({}) | {"x": answers(picture(99)), "y": answers(picture(50))})
    more, _ = get(tmp_path, web, 10)
    assert more.files == (*first.files, file_of(13), file_of(50))
    assert records(tmp_path)["x"]["reason"] == "placeholder"


def test_f02_the_third_sighting_in_a_later_run_takes_the_picture_away(web, tmp_path):
    offer(web, {"a": answers(picture(99)), "b": answers(picture(99))} | good(2))
    assert file_of(99) in get(tmp_path, web, 3)[0].files
    offer(web, {"a": answers(b""), "b": answers(b"")} | good(2) | {"c": answers(picture(99))} | good(2, start=5))
    selection, _ = get(tmp_path, web, 4)
    assert selection.files == tuple(file_of(i) for i in (0, 1, 5, 6))
    assert [records(tmp_path)[name]["reason"] for name in "abc"] == ["placeholder"] * 3


def test_f02_two_sightings_are_a_duplicate(web, tmp_path):
    offer(web, {"a": answers(picture(99)), "b": answers(picture(99))} | good(1))
    selection, _ = get(tmp_path, web, 3)
    assert (selection.files, selection.ref.rejected) == ((file_of(99), file_of(0)), {"duplicate": 1})


# Time, names, and what is recorded


def test_f04_a_class_with_silent_urls_ends_within_its_bound_and_leaves_no_thread(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "BACKOFF_CAP_S", 0.05)
    threads, attempts, total_timeout_s = 8, 2, 0.5
    rounds = -(-40 // threads)
    bound_s = stage.PASSES * rounds * attempts * (total_timeout_s + fetch.BACKOFF_CAP_S)
    hosts = [f"127.0.1.{i}" for i in range(1, 41)]  # each URL is of another host, so that none is given up
    with FaultServer(host="0.0.0.0") as everywhere, FaultServer() as web:
        urls = [f"http://{host}:{everywhere.port}/{i}" for i, host in enumerate(hosts)]
        web.routes[f"/lists/{COBRA}.txt"] = answers("\n".join(urls).encode())
        everywhere.routes |= {f"/{i}": silent if i % 2 else answers(picture(i)) for i in range(40)}
        before = set(threading.enumerate())
        began_s = time.monotonic()
        bounds = {"download_threads": threads, "attempts": attempts, "total_timeout_s": total_timeout_s}
        bounds |= {"allowed_private_hosts": tuple(hosts), "read_timeout_s": 0.2}
        selection, _ = get(tmp_path, web, 40, **bounds, accept="late")
        assert time.monotonic() - began_s < bound_s
        assert set(threading.enumerate()) - {*everywhere._threads, *web._threads} <= before
    assert (len(selection.files), selection.ref.rejected) == (20, {"timeout": 20})
    assert {everywhere.requests[f"/{i}"] for i in range(1, 40, 2)} == {stage.PASSES * attempts}


NAMES = ["..%2F..%2Fdags%2Fx.py", "%00", "a" * 300, "..;/..;/x.jpg", "%252e%252e%252fx", "CON", "x.jpg%0D%0AX:y"]


def test_f13_whatever_urls_and_redirects_are_called_only_their_hashes_name_files(web, tmp_path):
    home = tmp_path / "a" / "b" / "home"
    web.routes |= {f"/p/{name}": answers(picture(i)) for i, name in enumerate(NAMES)}
    web.routes |= {f"/r/{i}": redirects(f"/p/{name}") for i, name in enumerate(NAMES)}
    dotted = "/../../dags/x.py"
    web.routes["/dags/x.py"] = web.routes[dotted] = answers(picture(90), Content_Disposition="filename=../../x.py")
    lines = [f"{web.url}{dotted}", *(f"{web.url}/p/{name}" for name in NAMES)]
    lines += [f"{web.url}/r/{i}" for i in range(len(NAMES))]
    web.routes[f"/lists/{COBRA}.txt"] = answers("\n".join(lines).encode())
    selection, _ = get(home, web, 99)
    assert set(selection.files) == {file_of(90), *(file_of(i) for i in range(len(NAMES)))}
    outside = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if home not in path.parents)
    assert outside == ["a", "a/b", "a/b/home"]
    found = {path.name for path in (home / "images" / COBRA).iterdir()} - {"records.jsonl", ".lock"}
    assert {name for name in found if not name.startswith("selected-")} == set(selection.files)


def test_a_picture_whose_host_refuses_this_use_is_rejected_for_good(web, tmp_path):
    offer(web, {"no": answers(picture(50), X_Robots_Tag="noai")} | good(1))
    get(tmp_path, web, 2)
    get(tmp_path, web, 2)
    assert (records(tmp_path)["no"]["state"], records(tmp_path)["no"]["reason"]) == ("rejected", "robots_tag")
    assert web.asked()["no"] == 1


def test_f36_credentials_are_in_no_file_of_a_class_and_in_no_log(web, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    offer(web, good(2) | {"gone": answers(b"", status=404)})
    credentials = Credentials(host=web.netloc, authorization="Bearer hunter2")
    config = settings(web, 3)
    download_class(Store(tmp_path), config, CLASS, progress=quiet(), credentials=credentials)
    assert web.headers["/p/000.jpg"]["authorization"] == "Bearer hunter2"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"hunter2" not in written and "hunter2" not in caplog.text


def test_f36_a_server_that_repeats_the_password_puts_it_in_no_record(web, tmp_path, caplog):
    """Also not a part of it: the first bytes of what is no picture are said."""
    password = "it's hunter2's \"word\""
    behaviours = {"body": answers(f"it is {password}".encode()), "header": answers(b"", X_Robots_Tag="none")}
    behaviours["name"] = redirects(f"/photo_unavailable_{quote(password)}.png")
    web.routes[f"/photo_unavailable_{quote(password)}.png"] = answers(picture(1))
    offer(web, behaviours)
    credentials = Credentials(host=web.netloc, authorization=f"Bearer {password}")
    download_class(Store(tmp_path), settings(web, 3), CLASS, progress=quiet(), credentials=credentials)
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert records(tmp_path)["body"]["detail"] == "begins with b'it is ***'"
    assert b"hunter" not in written and b"it's" not in written and "hunter" not in caplog.text


def test_more_pictures_beyond_the_first_ones_leave_these_as_they_are(web, tmp_path):
    """A candidate among the first that was late would else come now, and take the place of another in the next run."""
    late = in_turn(answers(b"", status=503), answers(picture(50)))
    offer(web, {"late": late} | good(5))
    first, _ = get(tmp_path, web, 2, accept="any")
    assert first.files == (file_of(0), file_of(1))
    more, _ = get(tmp_path, web, 4, beyond=2, accept="any")
    assert more.files == tuple(file_of(i) for i in range(4)) and web.asked()["late"] == 1
    assert get(tmp_path, web, 2, accept="any")[0].files == first.files


def test_beyond_all_that_there_are_nothing_is_asked_for(web, tmp_path):
    offer(web, {"late": answers(b"", status=503)} | good(2))
    get(tmp_path, web, 2, accept="any")
    asked = web.asked()
    more, reused = get(tmp_path, web, 9, beyond=2, accept="any")
    assert len(more.files) == 2 and reused and web.asked() == asked
