"""What is owed to a host: slots over all threads and processes, pauses, and to leave one be that does not answer."""

import email.utils
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fakes.pictures import COBRA, picture, quiet
from fakes.web import FaultServer, answers, in_turn, resets

from imagenet_tasks.download import fetch, hosts
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.download.hosts import DOWN_AFTER, Hosts
from imagenet_tasks.download.records import Records
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.errors import Rejected, RejectReason, SourceUnavailable
from imagenet_tasks.settings.classes import find_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import Store

CLASS = find_class(COBRA)
CAP_S = 30.0


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now_s, self.slept_s = 1000.0, []

    def monotonic(self) -> float:
        return self.now_s

    def time(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.now_s += seconds


class Naps:
    """Real time, whose sleeps are counted and take none."""

    monotonic = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(hosts, "time", clock)
    return clock


@pytest.fixture
def naps(monkeypatch):
    naps = Naps()
    monkeypatch.setattr(fetch, "time", naps)
    return naps


@pytest.fixture
def web():
    with FaultServer() as server:
        yield server


def settings(**others) -> DownloadConfig:
    bounds = {"read_timeout_s": 5, "total_timeout_s": 5, "attempts": 2, "retry_after_cap_s": CAP_S}
    return DownloadConfig(allowed_private_hosts=("127.0.0.1",), **bounds | others)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def slots(folder: Path, count: int = 3) -> Hosts:
    return Hosts(count, pause_cap_s=CAP_S, folder=folder)


# Slots


CHILD = """
import sys, threading
from pathlib import Path
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.download.fetch import Fetcher
bounds = dict(allowed_private_hosts=("127.0.0.1",), max_requests_per_host=3, download_threads=8, attempts=1)
with Fetcher(DownloadConfig(total_timeout_s=60, read_timeout_s=60, **bounds)) as fetcher:
    print("ready", flush=True)
    sys.stdin.readline()
    def ask(thread):
        for place in range(4):
            fetcher.fetch(f"{sys.argv[1]}/x")
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
"""


def child(web: FaultServer, folder: Path) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, web.url],
        env=os.environ | {"TMPDIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def test_two_processes_of_eight_threads_share_a_hosts_slots(web, tmp_path):
    web.routes["/x"] = answers(b"x", after_s=0.03)
    children = [child(web, tmp_path / "tmp") for _ in range(2)]
    for process in children:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in children:
        process.communicate(timeout=60)
    assert [process.returncode for process in children] == [0, 0]
    assert (web.requests["/x"], web.most_at_once) == (64, 3)


def test_a_killed_process_gives_its_slots_back(web, tmp_path):
    def holds(handler):
        handler.close_connection = True
        killed.wait(60)

    killed = threading.Event()
    web.routes["/x"] = in_turn(holds, holds, holds, answers(b"x", after_s=0.01))
    first, second = child(web, tmp_path / "tmp"), child(web, tmp_path / "tmp")
    first.stdin.write("go\n")
    first.stdin.flush()
    while web.requests["/x"] < 3:
        time.sleep(0.01)
    second.stdin.write("go\n")
    second.stdin.flush()
    time.sleep(0.3)
    assert web.requests["/x"] == 3
    first.kill()
    first.communicate()
    second.communicate(timeout=60)
    killed.set()
    assert (second.returncode, web.requests["/x"]) == (0, 3 + 32)


def test_another_host_is_not_waited_for(tmp_path):
    here = slots(tmp_path, 1)
    with here.slot("a:80"), slots(tmp_path, 1).slot("b:80"), here.slot("c:80"):
        pass


def test_a_slot_is_waited_for_until_it_is_free(tmp_path):
    entered = threading.Event()

    def wait():
        with slots(tmp_path, 1).slot("a:80"):
            entered.set()

    waiting = threading.Thread(target=wait)
    with slots(tmp_path, 1).slot("a:80"):
        waiting.start()
        assert not entered.wait(0.2)
    waiting.join()
    assert entered.is_set()


def test_five_hundred_hosts_leave_no_descriptor_and_no_file(tmp_path):
    here = slots(tmp_path / "slots")
    before = descriptors()
    with here.slot("first:80"):
        for i in range(500):
            with here.slot(f"h{i}:80"):
                pass
    assert descriptors() == before
    assert list((tmp_path / "slots").iterdir()) == []


def test_five_hundred_hosts_leave_no_connection(tmp_path):
    with FaultServer(host="0.0.0.0") as server:
        server.routes["/x"] = answers(b"x")
        addresses = [f"127.1.{i // 250}.{i % 250 + 1}" for i in range(500)]
        bounds = settings(download_threads=4).__dict__ | {"allowed_private_hosts": tuple(addresses)}
        before = descriptors()
        with Fetcher(DownloadConfig(**bounds)) as fetcher:
            for address in addresses:
                fetcher.fetch(f"http://{address}:{server.port}/x")
            assert descriptors() < before + 100
    assert descriptors() < before


def test_the_folder_of_slots_may_be_cleaned_away(tmp_path):
    here = slots(tmp_path / "slots")
    with here.slot("a:80"):
        for file in (tmp_path / "slots").iterdir():
            file.unlink()
        (tmp_path / "slots").rmdir()
    with here.slot("a:80"):
        pass


def test_a_slots_file_that_is_deleted_while_it_is_locked_is_no_slot(tmp_path, monkeypatch):
    def opens(path, *args):
        descriptor = real(path, *args)
        if not opened:
            Path(path).unlink()  # as its holder does at its end
        opened.append(path)
        return descriptor

    opened, real = [], os.open
    monkeypatch.setattr(hosts.os, "open", opens)
    with slots(tmp_path, 1).slot("a:80"):
        assert len(opened) == 2 and list(tmp_path.iterdir()) == opened[1:]


def test_a_slot_is_not_opened_through_a_link(tmp_path):
    (tmp_path / "slots").mkdir()
    with slots(tmp_path / "slots", 1).slot("a:80"):
        name = next((tmp_path / "slots").iterdir()).name
    (tmp_path / "slots" / name).symlink_to(tmp_path / "planted")
    with pytest.raises(OSError), slots(tmp_path / "slots", 1).slot("a:80"):
        pass
    assert not (tmp_path / "planted").exists()


# Pauses


def in_s(seconds: float) -> str:
    return email.utils.formatdate(time.time() + seconds, usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "least_s", "most_s"),
    [
        ("2", 2, 2),
        ("0", 0, 0),
        ("999999999", CAP_S, CAP_S),
        ("9" * 400, CAP_S, CAP_S),
        ("date", 18, 20),
        ("far date", CAP_S, CAP_S),
        ("past date", 0, 0),
    ],
)
def test_f10_retry_after_is_waited_for_with_jitter_up_to_the_cap(web, clock, naps, status, value, least_s, most_s):
    value = {"date": in_s(20), "far date": in_s(10**6), "past date": in_s(-100)}.get(value, value)
    web.routes["/x"] = in_turn(answers(b"", status=status, Retry_After=value), answers(picture(1)))
    with Fetcher(settings()) as fetcher:
        assert fetcher.fetch(f"{web.url}/x") == picture(1)
    assert least_s <= sum(clock.slept_s) <= 1.1 * most_s + 1e-9
    assert naps.slept_s == []


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["banana", "-5", "", "2.5.2", "1e9", "NaN", "inf", "9" * 5000, "Wed, 99 Foo 10000 x"])
def test_f10_a_retry_after_that_says_nothing_is_as_none(web, clock, naps, status, value):
    web.routes["/x"] = in_turn(answers(b"", status=status, Retry_After=value), answers(picture(1)))
    with Fetcher(settings()) as fetcher:
        assert fetcher.fetch(f"{web.url}/x") == picture(1)
    assert clock.slept_s == []
    assert len(naps.slept_s) == 1 and 0 <= naps.slept_s[0] <= 1


def test_f10_waits_differ(tmp_path, clock):
    here = slots(tmp_path)
    for i in range(20):
        here.pause(f"h{i}:80", 10)
        before = clock.now_s
        with here.slot(f"h{i}:80"):
            assert clock.now_s >= before + 10
    assert len({round(seconds, 3) for seconds in clock.slept_s}) > 10


def test_f10_all_threads_wait_where_their_host_asked_one(tmp_path):
    here, entered_s = slots(tmp_path), []
    asked_s = time.monotonic()
    here.pause("a:80", 0.3)

    def enter():
        with here.slot("a:80"):
            entered_s.append(time.monotonic())

    threads = [threading.Thread(target=enter) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(entered_s) == 6 and min(entered_s) >= asked_s + 0.3


def test_f10_another_host_does_not_wait(tmp_path, clock):
    here = slots(tmp_path)
    here.pause("a:80", 10)
    with here.slot("b:80"):
        assert clock.slept_s == []


def test_f10_a_shorter_pause_does_not_end_a_longer_one(tmp_path, clock):
    here = slots(tmp_path)
    here.pause("a:80", 10)
    here.pause("a:80", 1)
    with here.slot("a:80"):
        assert clock.now_s >= 1010


def test_f10_one_refusal_in_a_fetch_of_many_attempts_costs_one_pause(web, clock, naps):
    refuses = answers(b"", status=429, Retry_After="5")
    web.routes["/x"] = in_turn(refuses, refuses, answers(picture(1)))
    with Fetcher(settings(attempts=3)) as fetcher:
        assert fetcher.fetch(f"{web.url}/x") == picture(1)
    assert 10 <= clock.now_s - 1000 <= 11
    assert web.requests["/x"] == 3


REFUSED_OR_NOT = """
import sys
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.errors import Rejected
with Fetcher(DownloadConfig(allowed_private_hosts=("127.0.0.1",), attempts=1)) as fetcher:
    try:
        fetcher.fetch(sys.argv[1])
    except Rejected as rejected:
        print(rejected.reason.value)
"""


def test_f10_a_pause_that_one_process_was_asked_for_holds_for_another(web, tmp_path):
    asked_s = []

    def refuses(handler):
        asked_s.append(time.monotonic())
        answers(b"", status=429, Retry_After="2")(handler)

    def notes(handler):
        asked_s.append(time.monotonic())
        answers(picture(1))(handler)

    web.routes |= {"/refuses": refuses, "/x": notes}
    said = [
        subprocess.run(
            [sys.executable, "-c", REFUSED_OR_NOT, f"{web.url}/{path}"],
            env=os.environ | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for path in ("refuses", "x")
    ]
    assert said == ["rate_limited\n", ""]
    assert asked_s[1] - asked_s[0] >= 1.99
    assert list(tmp_path.glob("imagenet-hosts-*/*")) == []


def pause_file(folder: Path, name: str = "a:80") -> Path:
    return slots(folder)._host(name).pause


@pytest.mark.parametrize("ahead_s", [10**9, float("inf")])
def test_f10_a_pause_of_a_wrong_clock_is_waited_for_once_and_up_to_the_cap(tmp_path, clock, ahead_s):
    pause_file(tmp_path).write_text(f"{clock.now_s + ahead_s}")
    here = slots(tmp_path)
    for _ in range(3):
        with here.slot("a:80"):
            pass
    assert CAP_S <= clock.now_s - 1000 <= 1.1 * CAP_S


@pytest.mark.parametrize("content", [b"", b"banana", b"\xff" * 100, b"nan", b"-1e9", b"5"])
def test_f10_a_file_that_holds_no_pause_is_as_none(tmp_path, clock, content):
    pause_file(tmp_path).write_bytes(content)
    here = slots(tmp_path)
    with here.slot("a:80"):
        assert clock.slept_s == []
    here.pause("a:80", 10)
    with slots(tmp_path).slot("a:80"):
        assert clock.now_s >= 1010


@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_f10_what_is_no_file_is_neither_read_nor_written_as_a_pause(tmp_path, clock, kind):
    planted, pause = tmp_path / "planted", pause_file(tmp_path / "slots")
    pause.parent.mkdir()
    planted.write_text("2000")
    {"link": lambda: pause.symlink_to(planted), "folder": pause.mkdir, "pipe": lambda: os.mkfifo(pause)}[kind]()
    here = slots(tmp_path / "slots")
    here.pause("a:80", 10)
    with here.slot("a:80"):
        assert 1010 <= clock.now_s <= 1011.1
    assert planted.read_text() == "2000"


def test_f10_of_two_processes_pauses_the_longer_one_holds(tmp_path, clock):
    slots(tmp_path).pause("a:80", 20)
    slots(tmp_path).pause("a:80", 5)
    with slots(tmp_path).slot("a:80"):
        assert clock.now_s >= 1020
    assert not pause_file(tmp_path).exists()


# A class of pictures


def offer(web, behaviours: dict) -> None:
    web.offer(COBRA, list(behaviours))
    web.routes |= {f"/p/{name}": behaviour for name, behaviour in behaviours.items()}


def good(count: int, start: int = 0) -> dict:
    return {f"{i:03d}.jpg": answers(picture(i)) for i in range(start, start + count)}


def get(home, web, wanted: int, **others):
    bounds = {"attempts": 1, "download_threads": 1, "retry_after_cap_s": 0.05, "read_timeout_s": 5}
    accept = others.pop("accept", "none")
    config = DownloadConfig(source="sample", location=web.url, images_per_class=wanted, **bounds | others)
    ref, _ = download_class(Store(home), config, CLASS, progress=quiet(wanted), accept=accept)
    return ref


def reasons(home) -> dict[str, tuple[str, str | None]]:
    found = Records(Store(home), COBRA)._records
    return {name.removeprefix("/p/"): (record["state"], record["reason"]) for name, record in found.items()}


def test_f10_refused_candidates_stay_open_and_come_when_the_class_is_tried_again(web, tmp_path):
    refuses = answers(b"", status=429, Retry_After="1")
    offer(web, good(2) | {f"b{i}": in_turn(refuses, refuses, answers(picture(50 + i))) for i in range(4)})
    with pytest.raises(SourceUnavailable, match="rate_limited 4"):
        get(tmp_path, web, 6, attempts=2)
    assert reasons(tmp_path) == {
        "000.jpg": ("accepted", None),
        "001.jpg": ("accepted", None),
        **{f"b{i}": ("open", "rate_limited") for i in range(4)},
    }
    assert get(tmp_path, web, 6, attempts=2).accepted == 6


@pytest.mark.parametrize("threads", [1, 4])
def test_f10_a_host_that_keeps_refusing_is_given_up(web, tmp_path, threads):
    offer(web, dict.fromkeys((f"b{i}" for i in range(40)), answers(b"", status=429, Retry_After="1")))
    with pytest.raises(SourceUnavailable, match="rate_limited"):
        get(tmp_path, web, 40, attempts=2, download_threads=threads, retry_after_cap_s=0.01)
    assert DOWN_AFTER <= sum(web.asked().values()) <= DOWN_AFTER * threads
    assert {state for state, _ in reasons(tmp_path).values()} == {"open"}


def test_f10_refusals_that_always_overlap_are_counted_too(tmp_path):
    asked = slots(tmp_path, 2)
    under_way = [time.monotonic()]
    with pytest.raises(Rejected) as given_up:
        for _ in range(2 * DOWN_AFTER + 1):
            with asked.slot("a") as began_s:
                under_way.append(began_s)
            asked.refused("a", under_way.pop(0))
    assert given_up.value.reason == RejectReason.RATE_LIMITED


def test_f10_refusals_that_come_together_are_one_and_the_rest_is_asked_after_the_pause(web, tmp_path):
    refuses = answers(b"", status=429, Retry_After="1", after_s=0.1)
    offer(web, {f"b{i:02d}": in_turn(refuses, answers(picture(i))) for i in range(8)} | good(10, start=20))
    bounds = {"attempts": 2, "download_threads": 8, "max_requests_per_host": 8}
    assert get(tmp_path, web, 18, **bounds).accepted == 18
    assert {web.asked()[f"b{i:02d}"] for i in range(8)} == {2}


def test_the_rest_of_a_host_that_left_eight_requests_in_a_row_is_not_asked_for(web, tmp_path):
    offer(web, dict.fromkeys((f"{i:02d}" for i in range(20)), resets))
    get(tmp_path, web, 20, accept="any")
    assert web.asked() == {f"{i:02d}": 1 for i in range(8)}
    found = [reasons(tmp_path)[f"{i:02d}"] for i in range(20)]
    assert found == [("open", "connection")] * 8 + [("open", "host_down")] * 12


@pytest.mark.parametrize("answer", [answers(picture(1)), answers(b"", status=404), answers(b"<html>")])
def test_an_answer_in_between_shows_that_the_host_is_there(web, tmp_path, answer):
    offer(web, {f"{i:02d}": answer if i in (7, 15) else resets for i in range(22)})
    get(tmp_path, web, 22, accept="any")
    assert set(web.asked().values()) == {1} and len(web.asked()) == 22
    assert "host_down" not in {reason for _, reason in reasons(tmp_path).values()}


def test_another_host_is_asked_while_one_is_given_up(web, tmp_path):
    with FaultServer(host="127.0.0.2") as other:
        down = [f"{other.url}/{i}" for i in range(12)]
        other.routes |= {f"/{i}": resets for i in range(12)}
        web.routes |= {f"/p/{name}": behaviour for name, behaviour in good(13).items()}
        lines = [*down, *(f"{web.url}/p/{name}" for name in good(13))]
        web.routes[f"/lists/{COBRA}.txt"] = answers("\n".join(lines).encode())
        ref = get(tmp_path, web, 20, allowed_private_hosts=("127.0.0.2",))
    assert (ref.accepted, ref.rejected["host_down"]) == (13, 4)


def test_the_second_pass_asks_a_host_again_that_was_given_up(web, tmp_path):
    late = {f"late{i}": in_turn(resets, answers(picture(100 + i))) for i in range(8)}
    offer(web, good(16) | late | {f"z{i}": answers(picture(200 + i)) for i in range(4)})
    assert get(tmp_path, web, 28).accepted == 28
    assert {web.asked()[name] for name in late} == {2}
    assert {web.asked()[f"z{i}"] for i in range(4)} == {1}


def test_a_host_that_is_down_is_not_asked_once_more_within_a_fetch(web, naps):
    web.routes["/x"] = resets
    with Fetcher(settings(attempts=10)) as fetcher, pytest.raises(Rejected) as caught:
        fetcher.fetch(f"{web.url}/x")
    assert len(naps.slept_s) == DOWN_AFTER
    assert (caught.value.reason, caught.value.may_pass, web.requests["/x"]) == (RejectReason.HOST_DOWN, True, 8)
