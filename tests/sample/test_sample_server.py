"""The sample's server over real sockets: its routes, each fault, and that it ends when it should."""

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from io import BytesIO
from urllib.parse import urlsplit

import pytest
from PIL import Image

from imagenet_tasks.sample.drawings import picture_bytes
from imagenet_tasks.sample.faults import FAULT_SHARES, fault_of, picture_name, served_index
from imagenet_tasks.sample.server import sample_server
from imagenet_tasks.settings.classes import STUDY_CLASSES

COBRA = "n01747885"
SERVE = "from imagenet_tasks.sample.server import serve; serve(port=0, ready=lambda url: print(url, flush=True))"


@pytest.fixture(scope="module")
def server():
    with sample_server() as url:
        yield url


@pytest.fixture
def connection(server):
    opened = http.client.HTTPConnection(urlsplit(server).netloc, timeout=5)
    yield opened
    opened.close()


def get(connection, path, method="GET", **headers):
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    return response, response.read()


def candidate(fault: str | None, skip: int = 0) -> tuple[str, int]:
    """The class and the index of a candidate with the fault; `skip` others come before it."""
    found = ((c.class_id, i) for c in STUDY_CLASSES for i in range(1500) if fault_of(c.class_id, i) == fault)
    for _ in range(skip):
        next(found)
    return next(found)


def path_of(class_id: str, index: int) -> str:
    return f"/pictures/{class_id}/{picture_name(class_id, index)}"


def test_the_classes_are_listed_with_their_names(connection):
    response, body = get(connection, "/classes.json")
    assert response.status == 200
    assert json.loads(body) == [{"class_id": c.class_id, "name": c.name} for c in STUDY_CLASSES]


def test_a_list_holds_1500_distinct_urls_that_the_server_answers(connection, server):
    response, body = get(connection, f"/lists/{COBRA}.txt")
    urls = body.decode().splitlines()
    assert response.headers.get_content_type() == "text/plain"
    assert len(set(urls)) == 1500
    good = served = candidate(None)[1]
    assert urls[good] == server + path_of(COBRA, served)


def test_the_urls_of_a_list_use_the_name_under_which_it_was_asked(connection):
    _, body = get(connection, f"/lists/{COBRA}.txt", Host="sample.example:8080")
    assert body.startswith(f"http://sample.example:8080/pictures/{COBRA}/0000_".encode())


def test_a_host_header_that_is_no_host_does_not_enter_the_list(connection, server):
    _, body = get(connection, f"/lists/{COBRA}.txt", Host="a b<script>")
    assert body.startswith(server.encode())


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/lists/n00000000.txt",
        "/lists/../classes.json",
        "/pictures/n00000000/0000_000000.jpg",
        f"/pictures/{COBRA}/0001_000000.jpg",
        f"/pictures/{COBRA}/{picture_name(COBRA, 1500)}",
        f"/pictures/{COBRA}/",
    ],
)
def test_what_is_not_offered_is_404(connection, path):
    assert get(connection, path)[0].status == 404


def test_a_good_candidate_is_its_picture_with_length_and_type(connection):
    response, body = get(connection, path_of(*candidate(None)))
    class_id, index = candidate(None)
    assert body == picture_bytes(class_id, index)
    assert response.getheader("Content-Length") == str(len(body))
    assert response.getheader("Content-Type") == "image/jpeg"


def test_a_connection_serves_many_requests(connection):
    get(connection, "/classes.json")
    first = connection.sock
    get(connection, path_of(*candidate(None)))
    assert connection.sock is first


def test_head_has_the_headers_of_get_and_no_body(connection):
    path = path_of(*candidate(None))
    head, nothing = get(connection, path, "HEAD")
    whole, _ = get(connection, path)
    assert nothing == b""
    assert head.getheader("Content-Length") == whole.getheader("Content-Length")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_refused(connection, method):
    assert get(connection, "/classes.json", method)[0].status == 405


def test_gone_is_404_or_410(connection):
    statuses = {get(connection, path_of(*candidate("gone", skip)))[0].status for skip in range(20)}
    assert statuses == {404, 410}


def test_placeholder_redirects_to_the_picture_that_says_no_longer_available(connection, server):
    response, _ = get(connection, path_of(*candidate("placeholder")))
    assert response.status == 302
    assert response.getheader("Location") == f"{server}/images/photo_unavailable.png"
    _, body = get(connection, "/images/photo_unavailable.png")
    assert Image.open(BytesIO(body)).format == "PNG"


def test_html_is_a_page_with_status_200(connection):
    response, body = get(connection, path_of(*candidate("html")))
    assert (response.status, response.headers.get_content_type()) == (200, "text/html")
    assert body.startswith(b"<!DOCTYPE html>")


def test_a_truncated_transfer_ends_before_its_length_each_time(server):
    for _ in range(2):
        opened = http.client.HTTPConnection(urlsplit(server).netloc, timeout=5)
        with pytest.raises(http.client.IncompleteRead):
            get(opened, path_of(*candidate("truncated_transfer")))
        opened.close()


def test_half_a_picture_has_a_true_length_and_does_not_decode(connection):
    response, body = get(connection, path_of(*candidate("half_picture")))
    assert response.getheader("Content-Length") == str(len(body))
    with Image.open(BytesIO(body)) as picture, pytest.raises(OSError, match=r"truncated|incomplete|broken"):
        picture.load()


def test_a_slow_candidate_takes_half_a_second_and_is_good(connection):
    class_id, index = candidate("slow")
    start = time.monotonic()
    _, body = get(connection, path_of(class_id, index))
    assert 0.5 <= time.monotonic() - start < 4
    assert body == picture_bytes(class_id, index)


def test_a_stalled_candidate_sends_a_byte_every_half_second(server):
    netloc = urlsplit(server)
    with socket.create_connection((netloc.hostname, netloc.port), timeout=5) as raw:
        raw.sendall(f"GET {path_of(*candidate('stalled'))} HTTP/1.1\r\nHost: {netloc.netloc}\r\n\r\n".encode())
        start, received = time.monotonic(), b""
        while time.monotonic() - start < 1.3:
            received += raw.recv(65536)
    body = received.partition(b"\r\n\r\n")[2]
    assert received.startswith(b"HTTP/1.1 200")
    assert 1 <= len(body) <= 6


def test_unavailable_once_is_503_and_then_good(connection):
    class_id, index = candidate("unavailable_once")
    first, _ = get(connection, path_of(class_id, index))
    assert (first.status, first.getheader("Retry-After")) == (503, "1")
    for _ in range(2):
        response, body = get(connection, path_of(class_id, index))
        assert (response.status, body) == (200, picture_bytes(class_id, index))


def test_a_duplicate_has_the_bytes_of_another_candidate(connection):
    class_id, index = candidate("duplicate")
    _, body = get(connection, path_of(class_id, index))
    _, twin = get(connection, path_of(class_id, served_index(class_id, index)))
    assert body == twin


def test_every_fault_of_the_table_is_among_the_candidates():
    assert {fault_of(*candidate(fault)) for fault in FAULT_SHARES} == set(FAULT_SHARES)


def test_clients_that_hang_up_are_no_warning_and_no_traceback_and_the_server_goes_on(capfd, caplog):
    with sample_server() as server:
        netloc = urlsplit(server)
        for fault in ("slow", "stalled", None):
            request = f"GET {path_of(*candidate(fault))} HTTP/1.1\r\nHost: {netloc.netloc}\r\n\r\n".encode()
            with socket.create_connection((netloc.hostname, netloc.port), timeout=5) as raw:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close() sends RST
                raw.sendall(request)
        time.sleep(0.8)
        opened = http.client.HTTPConnection(netloc.netloc, timeout=5)
        assert get(opened, "/classes.json")[0].status == 200
        opened.close()
    assert capfd.readouterr().err == ""
    assert [r.getMessage() for r in caplog.records if r.levelname not in {"DEBUG", "INFO"}] == []


def test_leaving_the_block_ends_stalled_and_idle_connections_and_leaves_no_thread():
    before = set(threading.enumerate())
    with sample_server() as server:
        netloc = urlsplit(server)
        idle = socket.create_connection((netloc.hostname, netloc.port), timeout=5)
        stalled = socket.create_connection((netloc.hostname, netloc.port), timeout=5)
        stalled.sendall(f"GET {path_of(*candidate('stalled'))} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        stalled.recv(1)
        start = time.monotonic()
    assert time.monotonic() - start < 3
    assert not set(threading.enumerate()) - before
    with pytest.raises(OSError):
        socket.create_connection((netloc.hostname, netloc.port), timeout=1)
    idle.close()
    stalled.close()


def test_a_process_ends_on_sigterm_with_nothing_on_stderr():
    process = subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline().startswith("http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (0, "")


def test_a_process_ends_when_its_parent_is_gone():
    parent = (
        "import subprocess, sys; "
        f"child = subprocess.Popen([sys.executable, '-c', {SERVE!r}], stdout=subprocess.PIPE, text=True); "
        "print(child.stdout.readline(), flush=True); sys.stdin.read(); import os; os._exit(0)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    netloc = urlsplit(process.stdout.readline().strip())
    socket.create_connection((netloc.hostname, netloc.port), timeout=5).close()
    process.communicate(timeout=10)
    deadline = time.monotonic() + 8
    while time.monotonic() < deadline:
        try:
            socket.create_connection((netloc.hostname, netloc.port), timeout=1).close()
        except OSError:
            return
        time.sleep(0.1)
    pytest.fail("the server outlived its parent by 8 s")
