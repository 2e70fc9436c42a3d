"""One URL within bounds, over real sockets."""

import datetime
import gzip
import ipaddress
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
import traceback
import zlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fakes.pictures import picture
from fakes.web import FaultServer, answers, cuts, drips, drips_headers, endless, in_turn, redirects, resets, silent

from imagenet_tasks import __version__
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.download.sockets import AllowedHosts, Bounds
from imagenet_tasks.errors import ConfigError, Rejected, RejectReason
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.settings.credentials import Credentials

MAX_BYTES = 100_000


@pytest.fixture
def web():
    with FaultServer() as server:
        yield server


def settings(**others) -> DownloadConfig:
    bounds = {"connect_timeout_s": 2, "read_timeout_s": 2, "total_timeout_s": 1.2, "max_bytes": MAX_BYTES}
    bounds |= {"allowed_private_hosts": ("127.0.0.1",)}
    return DownloadConfig(**bounds | {"attempts": 2, "max_redirects": 3} | others)


def rejected(web, path="/x", **others) -> Rejected:
    with Fetcher(settings(**others)) as fetcher, pytest.raises(Rejected) as caught:
        fetcher.fetch(web.url + path)
    return caught.value


def fetched(web, path="/x", **others) -> bytes:
    with Fetcher(settings(**others)) as fetcher:
        return fetcher.fetch(web.url + path)


def test_a_good_answer_is_its_bytes(web):
    web.routes["/x"] = answers(picture(1))
    assert fetched(web) == picture(1)


@pytest.mark.parametrize("status", [404, 410])
def test_f01_what_is_gone_is_asked_for_once(web, status):
    web.routes["/x"] = answers(b"", status=status)
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass, web.requests["/x"]) == (RejectReason.GONE, False, 1)


def test_f02_a_redirect_to_a_placeholder_is_no_picture(web):
    web.routes["/x"] = redirects("/images/photo_unavailable.png")
    web.routes["/images/photo_unavailable.png"] = answers(picture(1))
    assert rejected(web).reason == RejectReason.PLACEHOLDER


def test_f03_a_dripping_body_is_cut_at_the_total_deadline_and_not_asked_for_again(web):
    web.routes["/x"] = drips(picture(1))
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass, web.requests["/x"]) == (RejectReason.TIMEOUT, True, 1)
    assert web.sent["/x"] < 10


def test_f03_a_dripping_header_is_cut_at_the_total_deadline(web):
    web.routes["/x"] = drips_headers()
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass, web.requests["/x"]) == (RejectReason.TIMEOUT, True, 1)
    assert web.sent["/x"] < 10


def test_f03_a_body_that_stops_is_cut_at_the_total_deadline_and_not_at_the_longer_read_timeout(web):
    def stops(handler):
        handler.head(200, 1000)
        handler.body(b"x")
        silent(handler)

    web.routes["/x"] = stops
    began_s = time.monotonic()
    assert rejected(web, total_timeout_s=0.5, read_timeout_s=50).reason == RejectReason.TIMEOUT
    assert time.monotonic() - began_s < 20


def test_f03_nothing_is_begun_after_the_total_deadline():
    passed = Bounds(deadline_s=time.monotonic() - 0.001, allowed=AllowedHosts(()))
    with pytest.raises(TimeoutError):
        passed.left_s()


def test_f04_a_server_that_never_answers_is_given_up_after_the_attempts(web):
    web.routes["/x"] = silent
    refusal = rejected(web, read_timeout_s=0.2)
    assert (refusal.reason, refusal.may_pass, web.requests["/x"]) == (RejectReason.TIMEOUT, True, 2)


def test_f04_no_thread_is_left_after_the_last_answer(web):
    web.routes["/x"] = drips_headers()
    before = {t for t in threading.enumerate() if t not in web._threads}
    rejected(web, total_timeout_s=0.3)
    assert {t for t in threading.enumerate() if t not in web._threads} <= before


def test_f05_a_short_body_is_asked_for_again_and_then_rejected(web):
    web.routes["/x"] = cuts(picture(1)[:100], said=len(picture(1)))
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass) == (RejectReason.TRUNCATED_TRANSFER, True)
    assert web.requests["/x"] == 2


def test_f05_the_second_answer_counts_where_it_is_whole(web):
    web.routes["/x"] = in_turn(cuts(picture(1)[:100], said=len(picture(1))), answers(picture(1)))
    assert fetched(web) == picture(1)


@pytest.mark.parametrize("said", [None, 10**12], ids=["no length", "a lying length"])
def test_f06_an_endless_body_stops_at_max_bytes(web, said):
    web.routes["/x"] = endless(said=said)
    refusal = rejected(web, total_timeout_s=30)
    assert (refusal.reason, web.requests["/x"]) == (RejectReason.TOO_LARGE, 1)
    assert web.sent["/x"] < 16 * 2**20  # what the sockets' buffers took, not a gigabyte


def test_f06_a_body_of_max_bytes_is_not_too_large(web):
    web.routes["/x"] = answers(b"x" * MAX_BYTES)
    assert len(fetched(web)) == MAX_BYTES


def test_f06_the_endless_body_of_a_redirect_is_not_read(web):
    web.routes["/x"] = endless(status=302, Location="/y")
    web.routes["/y"] = answers(picture(1))
    assert fetched(web, total_timeout_s=30) == picture(1)
    assert web.sent["/x"] < 16 * 2**20


def test_f07_identity_is_asked_for_and_a_compressed_body_is_not_unfolded_beyond_its_bounds(web):
    web.routes["/x"] = answers(gzip.compress(bytes(10_000_000)), Content_Encoding="gzip")
    assert rejected(web).reason == RejectReason.TOO_LARGE
    assert web.headers["/x"]["accept-encoding"] == "identity"


@pytest.mark.parametrize("back", ["/x", "/y"])
def test_f09_a_redirect_to_where_it_was_ends_at_once(web, back):
    web.routes |= {"/x": redirects(back), "/y": redirects("/x")}
    assert rejected(web).reason == RejectReason.TOO_MANY_REDIRECTS
    assert web.requests == Counter({"/x"} | {back})


def test_f09_a_host_that_sets_a_cookie_and_leads_to_itself_gets_it_back(web, other):
    """And no other host does, nor the next request."""
    seen = []

    def asks(handler):
        seen.append(handler.headers.get("Cookie"))
        if seen[-1]:
            return answers(picture(1))(handler)
        handler.send_response(302)
        for name, value in (("Location", "/x"), ("Set-Cookie", "sess=1; Path=/"), ("Content-Length", "0")):
            handler.send_header(name, value)
        handler.end_headers()

    web.routes["/x"] = asks
    with Fetcher(settings()) as fetcher:
        assert [fetcher.fetch(f"{web.url}/x"), fetcher.fetch(f"{web.url}/x")] == [picture(1)] * 2
    assert seen == [None, "sess=1", None, "sess=1"]


@pytest.mark.parametrize("compress", [gzip.compress, zlib.compress])
def test_a_body_that_is_compressed_unasked_is_uncompressed_within_its_bounds(web, compress):
    encoding = {"Content-Encoding": "gzip" if compress is gzip.compress else "deflate"}
    web.routes["/x"] = answers(compress(picture(1)), **encoding)
    assert fetched(web) == picture(1)
    web.routes["/x"] = answers(compress(bytes(MAX_BYTES + 1)), **encoding)
    assert rejected(web).reason == RejectReason.TOO_LARGE
    web.routes["/x"] = answers(compress(picture(1))[:-9], **encoding)
    assert rejected(web).reason == RejectReason.TRUNCATED_TRANSFER
    web.routes["/x"] = answers(picture(1), **encoding)  # it is only called so
    assert fetched(web) == picture(1)


def test_a_compressed_body_of_several_parts_is_uncompressed_whole(web):
    halves = picture(1)[:500], picture(1)[500:]
    web.routes["/x"] = answers(b"".join(map(gzip.compress, halves)), **{"Content-Encoding": "gzip"})
    assert fetched(web) == picture(1)


def test_f09_redirects_end_after_max_redirects(web):
    web.routes |= {f"/x{'y' * n}": redirects(f"/x{'y' * (n + 1)}") for n in range(9)}
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass) == (RejectReason.TOO_MANY_REDIRECTS, False)
    assert web.requests.total() == 4


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_f09_a_redirect_to_another_scheme_is_blocked(web, target):
    web.routes["/x"] = redirects(target)
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass) == (RejectReason.BLOCKED_SCHEME, False)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_relative_redirect_is_followed(web, status):
    web.routes["/x"] = redirects("deep/y", status)
    web.routes["/deep/y"] = answers(picture(2))
    assert fetched(web) == picture(2)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_may_pass_is_asked_for_again(web, status):
    web.routes["/x"] = in_turn(answers(b"", status=status), answers(picture(1)))
    assert fetched(web) == picture(1)


def test_what_keeps_failing_has_as_many_requests_as_attempts(web):
    web.routes["/x"] = answers(b"", status=503)
    refusal = rejected(web, attempts=3)
    assert (refusal.reason, refusal.may_pass, web.requests["/x"]) == (RejectReason.HTTP_ERROR, True, 3)


@pytest.mark.parametrize("status", [204, 400, 401, 403, 418])
def test_another_refusal_is_final(web, status):
    web.routes["/x"] = answers(b"", status=status)
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass, web.requests["/x"]) == (RejectReason.HTTP_ERROR, False, 1)


def test_a_broken_connection_may_pass(web):
    web.routes["/x"] = resets
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass, web.requests["/x"]) == (RejectReason.CONNECTION, True, 2)


@pytest.mark.parametrize("url", ["http://", "no scheme", "http://[::1", "http://exa mple/", f"http://{'a' * 300}/"])
def test_f12_what_is_no_url_is_rejected_for_good(url):
    with Fetcher(settings()) as fetcher, pytest.raises(Rejected) as caught:
        fetcher.fetch(url)
    assert (caught.value.reason, caught.value.may_pass) == (RejectReason.INVALID_URL, False)


def test_f12_an_answer_that_is_no_http_is_the_servers_fault_and_may_pass(web):
    def contradicts_itself(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!")
        handler.close_connection = True

    def babbles(handler):
        handler.wfile.write(b"HTTP/1.1 2x0 OK\r\n\r\n")
        handler.close_connection = True

    def has_no_chunks(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n")
        handler.close_connection = True

    for wrong in (contradicts_itself, babbles, has_no_chunks):
        web.routes["/x"] = in_turn(wrong, wrong, answers(picture(1)))
        refusal = rejected(web)
        assert (refusal.reason != RejectReason.INVALID_URL, refusal.may_pass) == (True, True), wrong
        assert fetched(web) == picture(1)


@pytest.mark.parametrize("target", ["http://[::1", "http://host:port/", f"http://{'a' * 300}.org/"])
def test_f12_a_redirect_to_what_is_no_url_is_the_servers_fault_and_may_pass(web, target):
    web.routes["/x"] = in_turn(redirects(target), redirects(target), answers(picture(1)))
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass) == (RejectReason.HTTP_ERROR, True)
    assert fetched(web) == picture(1)


def test_a_url_of_another_scheme_is_not_asked():
    with Fetcher(settings()) as fetcher, pytest.raises(Rejected) as caught:
        fetcher.fetch("file:///etc/passwd")
    assert caught.value.reason == RejectReason.BLOCKED_SCHEME


def test_connections_are_used_again(web):
    web.routes["/x"] = answers(picture(1))
    with Fetcher(settings()) as fetcher:
        for _ in range(5):
            fetcher.fetch(web.url + "/x")
    assert (web.requests["/x"], len(web._connections)) == (5, 1)


@pytest.fixture
def tls_web(tmp_path):
    """A server whose certificate nobody vouches for; the certificate lies in `tmp_path`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with FaultServer(tls=context) as server:
        server.routes["/x"] = answers(picture(1))
        yield server


def test_f11_a_certificate_that_nobody_vouches_for_is_refused(tls_web, monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    refusal = rejected(tls_web)
    assert (refusal.reason, refusal.may_pass, tls_web.requests["/x"]) == (RejectReason.TLS, False, 0)


def test_f11_a_certificate_that_the_system_trusts_is_accepted(tls_web, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    assert fetched(tls_web) == picture(1)


def test_f03_a_header_that_drips_over_tls_is_cut_at_the_total_deadline(tls_web, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    tls_web.routes["/x"] = drips_headers()
    assert (rejected(tls_web).reason, tls_web.requests["/x"]) == (RejectReason.TIMEOUT, 1)


# Who does not want it


@pytest.mark.parametrize(
    "tag",
    [
        "noindex",
        "NoImageAI",
        "noai",
        "none",
        "noimageindex",
        "max-snippet: 5, noindex",
        "*: noindex",
        "imagenet-targeted-augmentation: noindex",
        "otherbot: nofollow, imagenet-targeted-augmentation: noai",
        "unavailable_after: Wed, 25 Jun 2030 15:00:00 GMT, noindex",
        ["otherbot: noindex", "noimageai"],
    ],
)
def test_a_picture_whose_host_refuses_this_use_is_not_taken(web, tag):
    web.routes["/x"] = answers(picture(1), X_Robots_Tag=tag)
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass, web.requests["/x"]) == (RejectReason.ROBOTS_TAG, False, 1)


@pytest.mark.parametrize(
    "tag",
    [
        "",
        "nofollow",
        "noarchive, nosnippet",
        "otherbot: noindex",
        "otherbot: noindex, noai",
        "max-image-preview: none",
        "unavailable_after: 25 Jun 2030 15:00:00 PST",
        "indexifembedded",
    ],
)
def test_a_tag_that_refuses_something_else_or_somebody_else_is_no_refusal(web, tag):
    web.routes["/x"] = answers(picture(1), X_Robots_Tag=tag)
    assert fetched(web) == picture(1)


def test_the_tag_is_not_looked_at_where_the_settings_say_so(web):
    web.routes["/x"] = answers(picture(1), X_Robots_Tag="noindex")
    assert fetched(web, respect_robots_tag=False) == picture(1)


# Secrets

SECRET = "Bearer hunter2"


@pytest.fixture
def other():
    with FaultServer() as server:
        server.routes["/x"] = answers(picture(2))
        yield server


def fetched_as(web, url: str) -> bytes:
    credentials = Credentials(host=web.netloc, authorization=SECRET)
    with Fetcher(settings(), credentials=credentials) as fetcher:
        return fetcher.fetch(url)


def test_f36_credentials_are_sent_to_their_own_host_alone(web, other):
    web.routes["/x"] = answers(picture(1))
    assert fetched_as(web, f"{web.url}/x") == picture(1)
    assert fetched_as(web, f"{other.url}/x") == picture(2)
    assert web.headers["/x"]["authorization"] == SECRET
    assert "authorization" not in other.headers["/x"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_f36_credentials_are_not_sent_after_a_redirect_to_another_port(web, other, status):
    web.routes["/x"] = redirects(f"{other.url}/x", status)
    assert fetched_as(web, f"{web.url}/x") == picture(2)
    assert "authorization" not in other.headers["/x"]


def test_f36_credentials_are_sent_after_a_redirect_within_their_host(web):
    web.routes |= {"/x": redirects("/y"), "/y": answers(picture(1))}
    assert fetched_as(web, f"{web.url}/x") == picture(1)
    assert web.headers["/y"]["authorization"] == SECRET


def test_f36_another_host_that_leads_to_the_credentials_host_does_not_get_them_sent(web, other):
    web.routes["/secret"] = answers(picture(1))
    other.routes["/x"] = redirects(f"{web.url}/secret")
    assert fetched_as(web, f"{other.url}/x") == picture(1)  # both are let in by the settings
    assert "authorization" not in web.headers["/secret"]


@pytest.mark.parametrize("first", [[], ["/own"]], ids=["a new connection", "a connection that is open"])
def test_f08_another_host_that_leads_to_the_locations_private_host_is_not_followed(web, other, first):
    web.routes |= {"/secret": answers(picture(1)), "/own": redirects("/kept"), "/kept": answers(picture(3))}
    other.routes["/x"] = redirects(f"{web.url}/secret")
    credentials = Credentials(host=web.netloc, authorization=SECRET)
    allowed = settings(attempts=1, allowed_private_hosts=(other.netloc,))
    with Fetcher(allowed, trusted=(web.netloc,), credentials=credentials) as fetcher:
        assert [fetcher.fetch(web.url + path) for path in first] == [picture(3)] * len(first)
        with pytest.raises(Rejected) as caught:
            fetcher.fetch(f"{other.url}/x")
    assert caught.value.reason == RejectReason.BLOCKED_ADDRESS
    assert "/secret" not in web.requests


@pytest.mark.parametrize("url", ["http://{other}\\@{web}/x", "http://{web}@{other}/x", "http://{other}#@{web}/x"])
def test_f36_a_url_that_parsers_read_differently_gets_no_credentials_to_another_host(web, other, url):
    other.routes |= {f"/%5C@{web.netloc}/x": answers(picture(2)), "/": answers(picture(2))}
    assert fetched_as(web, url.format(web=web.netloc, other=other.netloc)) == picture(2)
    assert SECRET not in [headers.get("authorization") for headers in other.headers.values()]


def test_f36_credentials_and_queries_are_in_no_message_and_no_log(web, caplog):
    caplog.set_level(logging.DEBUG)
    unavailable = "/photo_unavailable.png?sig=hunter2"
    web.routes |= {"/x": redirects(unavailable), unavailable: answers(picture(1)), "/y": resets}
    credentials = Credentials(host=web.netloc, authorization=SECRET)
    with Fetcher(settings(attempts=1), credentials=credentials) as fetcher:
        for path in ("/x", "/y?sig=hunter2", "/z?sig=hunter2"):
            with pytest.raises(Rejected) as caught:
                fetcher.fetch(web.url + path)
            assert "hunter2" not in f"{caught.value} {caught.value.detail}"
    assert "hunter2" not in repr(credentials)
    assert "hunter2" not in "".join(r.getMessage() for r in caplog.records if r.name.startswith("imagenet_tasks"))


MANY_ENDLESS = """
import resource, sys, threading
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.errors import Rejected
peak_mb = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
found = []
def ask():
    try:
        fetcher.fetch(sys.argv[1])
    except Rejected as rejected:
        found.append(rejected.reason.value)
bounds = dict(allowed_private_hosts=("127.0.0.1",), total_timeout_s=60, max_bytes=10_000_000, attempts=1)
with Fetcher(DownloadConfig(**bounds)) as fetcher:
    before_mb = peak_mb()
    threads = [threading.Thread(target=ask) for _ in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
print(round(peak_mb() - before_mb), *found)
"""


def test_f06_eight_endless_bodies_need_the_memory_of_eight_bodies_of_max_bytes(web):
    web.routes["/x"] = endless()
    command = [sys.executable, "-c", MANY_ENDLESS, f"{web.url}/x"]
    grown_mb, *found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert found == ["too_large"] * 8
    assert int(grown_mb) < 8 * 10 * 1.3 + 30


def test_the_wait_for_a_slot_behind_a_redirect_is_no_failure_of_its_host(web):
    for number in range(12):
        web.routes[f"/old/{number}"] = redirects(f"http://localhost:{web.url.rpartition(':')[2]}/new/{number}")
        web.routes[f"/new/{number}"] = answers(picture(number), after_s=0.3)
    bounds = settings(
        max_requests_per_host=1,
        download_threads=12,
        total_timeout_s=1.0,
        allowed_private_hosts=("127.0.0.1", "localhost"),
    )
    with Fetcher(bounds) as fetcher, ThreadPoolExecutor(12) as pool:
        bodies = list(pool.map(lambda number: fetcher.fetch(f"{web.url}/old/{number}"), range(12)))
    assert bodies == [picture(number) for number in range(12)]


def test_f06_a_body_that_is_announced_as_too_large_is_not_read(web):
    web.routes["/x"] = endless(said=MAX_BYTES + 1)
    refusal = rejected(web)
    assert (refusal.reason, refusal.detail) == (RejectReason.TOO_LARGE, "100001 bytes are announced, at most 100000")


def test_f11_a_server_that_hangs_up_in_the_handshake_may_come_back():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            for _ in range(2):
                connection, _ = server.accept()
                connection.recv(1000)
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with Fetcher(settings()) as fetcher, pytest.raises(Rejected) as caught:
            fetcher.fetch(f"https://127.0.0.1:{server.getsockname()[1]}/x")
        thread.join()
    assert (caught.value.reason, caught.value.may_pass) == (RejectReason.CONNECTION, True)


def test_f36_no_traceback_of_a_failed_request_holds_the_urls_query():
    secret = "".join(("hunt", "er2"))  # not as a word in this file, whose lines a traceback quotes
    with Fetcher(settings(attempts=1)) as fetcher, pytest.raises(Rejected) as caught:
        fetcher.fetch(f"http://127.0.0.1:1/x.jpg?token={secret}")
    assert secret not in "".join(traceback.format_exception(caught.value))


def test_a_proxy_that_is_none_of_the_web_is_a_config_error_and_no_verdict_on_pictures(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5h://user:hunter2@127.0.0.1:1080")
    with pytest.raises(
        ConfigError, match=r"expected http:// or https:// addresses, received socks5h://\*\*\*@127"
    ) as caught:
        Fetcher(settings())
    assert "hunter2" not in str(caught.value)


def test_the_user_agent_names_the_program_and_whom_to_write_to(web, monkeypatch):
    web.routes["/x"] = answers(picture(1))
    monkeypatch.setenv("IMAGENET_CONTACT", "mailto:pictures@example.org")
    fetched(web)
    named = f"imagenet-targeted-augmentation/{__version__} (+mailto:pictures@example.org)"
    assert web.headers["/x"]["user-agent"] == named


def test_a_contact_that_no_header_can_hold_is_a_config_error_and_no_verdict_on_pictures(monkeypatch):
    monkeypatch.setenv("IMAGENET_CONTACT", "me@example.org\nX-Other: 1")
    with pytest.raises(ConfigError, match="IMAGENET_CONTACT: expected an address"):
        Fetcher(settings())
