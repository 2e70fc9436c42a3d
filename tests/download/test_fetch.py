"""One URL within bounds, over real sockets."""

import datetime
import gzip
import ipaddress
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fakes.pictures import picture
from fakes.web import FaultServer, answers, cuts, drips, drips_headers, endless, in_turn, redirects, resets, silent

from imagenet_tasks.config import DownloadConfig
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.errors import Rejected, RejectReason

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


def test_f07_identity_is_asked_for_and_a_compressed_body_is_not_unfolded(web):
    bomb = gzip.compress(bytes(10_000_000))
    web.routes["/x"] = answers(bomb, Content_Encoding="gzip")
    assert fetched(web) == bomb
    assert web.headers["/x"]["accept-encoding"] == "identity"


def test_f09_a_redirect_loop_ends_after_max_redirects(web):
    web.routes["/x"] = redirects("/x")
    refusal = rejected(web)
    assert (refusal.reason, refusal.may_pass) == (RejectReason.TOO_MANY_REDIRECTS, False)
    assert web.requests["/x"] == 4


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


def test_f11_a_certificate_that_nobody_vouches_for_is_refused(tls_web):
    refusal = rejected(tls_web)
    assert (refusal.reason, refusal.may_pass, tls_web.requests["/x"]) == (RejectReason.TLS, False, 0)


def test_f11_a_certificate_that_the_system_trusts_is_accepted(tls_web, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    assert fetched(tls_web) == picture(1)


def test_f03_a_header_that_drips_over_tls_is_cut_at_the_total_deadline(tls_web, tmp_path, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "certificate.pem"))
    tls_web.routes["/x"] = drips_headers()
    assert (rejected(tls_web).reason, tls_web.requests["/x"]) == (RejectReason.TIMEOUT, 1)
