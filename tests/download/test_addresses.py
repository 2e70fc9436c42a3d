"""Which servers are reached: the address that a socket connects to is judged, over real sockets.

The resolver is replaced where a test says what a name's addresses are, and 127.0.0.2 passes for a public address where
a test needs a server at one; all else is real.
"""

import gc
import json
import socket
import threading

import pytest
from fakes.pictures import COBRA, picture, quiet
from fakes.web import FaultServer, answers, redirects

from imagenet_tasks.download import sockets
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.errors import ConfigError, Rejected, RejectReason
from imagenet_tasks.settings.classes import find_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import Store

PUBLIC = "127.0.0.2"


@pytest.fixture
def web():
    """A server that only this machine can reach."""
    with FaultServer() as server:
        server.routes["/x"] = answers(picture(1))
        yield server


@pytest.fixture
def public(web, monkeypatch):
    """A server that all can reach, at the same port as `web`."""
    real = sockets.is_public
    monkeypatch.setattr(sockets, "is_public", lambda address: address == PUBLIC or real(address))
    with FaultServer(host=PUBLIC, port=web.port) as server:
        server.routes["/x"] = answers(picture(2))
        yield server


def fetch(url: str, *allowed: str, **others) -> bytes:
    bounds = {"connect_timeout_s": 2, "read_timeout_s": 2, "total_timeout_s": 5, "attempts": 1}
    with Fetcher(DownloadConfig(allowed_private_hosts=allowed, **bounds | others)) as fetcher:
        return fetcher.fetch(url)


def is_blocked(url: str, *allowed: str) -> bool:
    with pytest.raises(Rejected) as caught:
        fetch(url, *allowed)
    return (caught.value.reason, caught.value.may_pass) == (RejectReason.BLOCKED_ADDRESS, False)


def names(monkeypatch, **addresses: list[list[str]]) -> list[str]:
    """Gives `<name>.test` these addresses, a list for each time that it is looked up; returns what was looked up."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def look_up(host, *args, **others):
        if not str(host).endswith(".test"):
            return real(host, *args, **others)
        asked.append(host)
        turns = addresses[host.removesuffix(".test")]
        return [found for address in turns[min(len(asked), len(turns)) - 1] for found in real(address, *args, **others)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


LOOPBACK = ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "localhost", "LocalHost", "0"]
LOOPBACK += ["0.0.0.0", "[::1]", "[::ffff:7f00:1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:0001]"]


@pytest.mark.parametrize("host", LOOPBACK)
def test_f08_loopback_is_blocked_in_every_spelling_and_its_server_sees_no_hit(web, host):
    assert is_blocked(f"http://{host}:{web.port}/x")
    assert web.hits() == 0


PRIVATE = {
    "private 10/8": "10.1.2.3",
    "private 172.16/12": "172.31.255.254",
    "private 192.168/16": "192.168.0.1",
    "link-local": "169.254.169.254",
    "CGNAT": "100.64.0.1",
    "multicast": "224.0.0.251",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "this network": "0.0.0.0",
    "benchmarks": "198.18.0.1",
    "unique local": "fc00::1",
    "unique local, locally assigned": "fd12:3456::1",
    "IPv6 link-local": "fe80::1",
    "IPv6 site-local": "fec0::1",
    "IPv6 multicast": "ff02::1",
    "IPv6 loopback": "::1",
    "unspecified": "::",
    "mapped": "::ffff:10.0.0.1",
    "compatible": "::127.0.0.1",
    "NAT64": "64:ff9b::7f00:1",
    "local NAT64": "64:ff9b:1::a00:1",
    "6to4": "2002:7f00:1::",
    "Teredo": "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "documentation": "2001:db8::1",
}


@pytest.mark.parametrize("address", PRIVATE.values(), ids=PRIVATE)
def test_f08_an_address_that_is_not_public_is_blocked_before_a_connection(monkeypatch, address):
    monkeypatch.setattr(sockets, "create_connection", None)  # would raise TypeError
    assert is_blocked(f"http://[{address}]/x" if ":" in address else f"http://{address}/x")


@pytest.mark.parametrize("address", [*PRIVATE.values(), "fe80::1%lo"], ids=[*PRIVATE, "link-local with its zone"])
def test_f08_a_name_at_an_address_that_is_not_public_is_blocked_before_a_connection(monkeypatch, address):
    monkeypatch.setattr(sockets, "create_connection", None)
    names(monkeypatch, host=[[address]])
    assert is_blocked("http://host.test/x")


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_address_is_public(address):
    assert sockets.is_public(address)


@pytest.mark.parametrize("order", [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC]], ids=["public first", "private first"])
def test_f08_a_name_with_public_and_private_addresses_is_blocked(web, public, monkeypatch, order):
    names(monkeypatch, mixed=[order])
    assert is_blocked(f"http://mixed.test:{web.port}/x")
    assert (web.hits(), public.hits()) == (0, 0)


def test_f08_the_address_that_was_judged_is_connected_to_when_the_name_changes_its_own(web, public, monkeypatch):
    asked = names(monkeypatch, rebound=[[PUBLIC], ["127.0.0.1"]])
    url = f"http://rebound.test:{web.port}/x"
    assert fetch(url) == picture(2)
    assert (asked, web.hits()) == (["rebound.test"], 0)
    assert is_blocked(url)
    assert (web.hits(), public.hits()) == (0, 1)


def test_f08_a_connection_that_is_kept_goes_on_to_the_address_that_was_judged(web, public, monkeypatch):
    asked = names(monkeypatch, rebound=[[PUBLIC], ["127.0.0.1"]])
    with Fetcher(DownloadConfig()) as fetcher:
        for _ in range(3):
            assert fetcher.fetch(f"http://rebound.test:{web.port}/x") == picture(2)
    assert (len(asked), web.hits()) == (1, 0)


def test_f08_a_peer_that_is_not_the_address_judged_is_blocked(web, public, monkeypatch):
    def led_elsewhere(address, *args, **others):  # as a rule of the network does
        return real((web._host, address[1]), *args, **others)

    real = sockets.create_connection
    monkeypatch.setattr(sockets, "create_connection", led_elsewhere)
    assert is_blocked(f"http://{PUBLIC}:{web.port}/x")
    assert (web.requests["/x"], public.hits()) == (0, 0)
    gc.collect()  # warns of a socket that was left open


def test_the_next_address_of_a_name_is_tried_where_one_does_not_answer(web, monkeypatch):
    names(monkeypatch, both=[["127.0.0.3", "127.0.0.1"]])  # nobody listens at the first
    assert fetch(f"http://both.test:{web.port}/x", "both.test") == picture(1)


@pytest.fixture
def hanging(monkeypatch):
    """A resolver that answers nobody before the test's end; yields what it was asked."""
    asked, end, real = [], threading.Event(), socket.getaddrinfo

    def look_up(host, *args, **others):
        if not str(host).endswith(".test"):
            return real(host, *args, **others)
        asked.append(threading.current_thread())
        end.wait(60)
        raise socket.gaierror("nothing found")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(sockets, "_LOOKUPS", threading.BoundedSemaphore(2))
    yield asked
    end.set()
    for thread in asked:
        thread.join()


def test_f03_a_resolver_that_hangs_holds_a_request_no_longer_than_its_deadline(hanging):
    with pytest.raises(Rejected) as caught:
        fetch("http://slow.test/x", total_timeout_s=0.2, connect_timeout_s=50, attempts=2)
    assert (caught.value.reason, caught.value.may_pass) == (RejectReason.TIMEOUT, True)
    assert len(hanging) == 1 and hanging[0].is_alive() and hanging[0].daemon


def test_f03_look_ups_that_hang_are_bounded_in_number(hanging):
    for name in "abc":  # the third finds no free place, and waits for one until its deadline
        with pytest.raises(Rejected) as caught:
            fetch(f"http://{name}.test/x", total_timeout_s=0.2)
        assert caught.value.reason == RejectReason.TIMEOUT
    assert len(hanging) == 2


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/x",
        "http://localhost:{port}/x",
        "//127.1:{port}/x",
        "http://[::1]:{port}/x",
        "http://[::ffff:7f00:1]:{port}/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://a@127.0.0.1:{port}/x",
    ],
)
def test_f08_a_redirect_from_an_allowed_host_to_a_blocked_one_is_blocked(web, target):
    with FaultServer() as allowed:
        allowed.routes["/r"] = redirects(target.format(port=web.port))
        assert is_blocked(f"{allowed.url}/r", allowed.netloc)
    assert (allowed.requests["/r"], web.hits()) == (1, 0)


def test_an_allowed_host_is_reached_at_any_port(web):
    assert fetch(f"{web.url}/x", "127.0.0.1") == picture(1)
    assert fetch(f"http://LocalHost:{web.port}/x", "localhost") == picture(1)


def test_a_host_allowed_with_its_port_is_reached_at_that_port_alone(web):
    assert fetch(f"{web.url}/x", web.netloc) == picture(1)
    with FaultServer() as other:
        assert is_blocked(f"{other.url}/x", web.netloc)
        assert other.hits() == 0


def test_a_host_is_allowed_by_the_name_that_its_url_has(web):
    assert is_blocked(f"{web.url}/x", "localhost")
    assert web.hits() == 0


def test_an_allowed_ipv6_address_is_reached():
    try:
        server = FaultServer(host="::1").__enter__()
    except OSError:
        pytest.skip("this machine has no IPv6")
    try:
        server.routes["/x"] = answers(picture(3))
        for allowed in ("::1", "[::1]", server.netloc):
            assert fetch(f"{server.url}/x", allowed) == picture(3)
        hits = server.hits()
        assert is_blocked(f"{server.url}/x", "[::1]:1")
        assert is_blocked(f"{server.url}/x", "::2")
        assert server.hits() == hits
    finally:
        server.__exit__()


def test_the_host_of_an_ipv6_location_is_trusted(tmp_path):
    try:
        server = FaultServer(host="::1").__enter__()
    except OSError:
        pytest.skip("this machine has no IPv6")
    try:
        server.offer(COBRA, ["a"])
        server.routes["/p/a"] = answers(picture(1))
        assert downloaded(tmp_path, location=server.url)["/p/a"]["state"] == "accepted"
    finally:
        server.__exit__()


@pytest.mark.parametrize("entry", ["http://intern", "host:port", "[::1", "", "host/path", "::1::2"])
def test_an_entry_that_is_no_host_is_a_config_error(entry):
    with pytest.raises(ConfigError, match="allowed_private_hosts: expected each as `host` or `host:port`"):
        Fetcher(DownloadConfig(allowed_private_hosts=(entry,)))


def downloaded(home, **settings) -> dict[str, dict]:
    bounds = {"images_per_class": 3, "attempts": 1, "source": "sample"}
    config = DownloadConfig(**bounds | settings)
    download_class(Store(home), config, find_class(COBRA), progress=quiet(), accept="any")
    lines = (home / "images" / COBRA / "records.jsonl").read_text().splitlines()
    return {record["candidate"]: record for record in map(json.loads, lines)}


def test_f08_the_locations_host_is_trusted_and_what_it_leads_to_is_not(web, tmp_path):
    with FaultServer() as server:
        server.offer(COBRA, ["here", "there", "redirected"])
        server.routes[f"/lists/{COBRA}.txt"] = answers(
            f"{server.url}/p/here\n{web.url}/x\n{server.url}/p/redirected\n".encode()
        )
        server.routes |= {"/p/here": answers(picture(1)), "/p/redirected": redirects(f"{web.url}/x")}
        found = downloaded(tmp_path, location=server.url)
    assert {name: (r["state"], r["reason"]) for name, r in found.items()} == {
        "/p/here": ("accepted", None),
        f"{web.url}/x": ("rejected", "blocked_address"),
        "/p/redirected": ("rejected", "blocked_address"),
    }
    assert web.hits() == 0


def test_f08_an_archives_server_that_leads_to_a_blocked_one_is_a_config_error(web, tmp_path):
    with FaultServer() as server:
        server.routes[f"/{COBRA}.tar"] = redirects(f"{web.url}/x")
        archives = {"source": "synset-archives", "location": f"{server.url}/{{wnid}}.tar"}
        with pytest.raises(ConfigError, match="blocked_address"):
            downloaded(tmp_path, **archives, accept_imagenet_terms=True)
    assert web.hits() == 0


# Behind a proxy


@pytest.fixture
def proxy(monkeypatch):
    """A proxy that the environment names."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "NO_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with FaultServer() as server:
        monkeypatch.setenv("HTTP_PROXY", server.url)
        yield server


def test_a_proxy_of_the_environment_is_reached_and_asked(proxy):
    proxy.routes["http://host.test/x"] = answers(picture(1))
    assert fetch("http://host.test/x") == picture(1)


BEHIND_PROXY = [*LOOPBACK, "a.localhost", "localhost.", "169.254.169.254", "[fc00::1]", "10.0.0.1"]


@pytest.mark.parametrize("host", [*BEHIND_PROXY, "127.0.0.1\\@8.8.8.8"])
def test_f08_behind_a_proxy_an_address_that_is_not_public_is_blocked(proxy, host):
    assert is_blocked(f"http://{host}/x")
    assert proxy.hits() == 0


def test_f08_behind_a_proxy_a_redirect_to_an_address_that_is_not_public_is_blocked(proxy):
    proxy.routes["http://host.test/x"] = redirects("http://169.254.169.254/latest/meta-data/")
    assert is_blocked("http://host.test/x")
    assert sum(proxy.requests.values()) == 1


def test_behind_a_proxy_an_allowed_address_is_asked_of_the_proxy(proxy):
    proxy.routes["http://10.0.0.1/x"] = answers(picture(1))
    assert fetch("http://10.0.0.1/x", "10.0.0.1") == picture(1)


def test_f08_what_is_asked_without_the_proxy_is_judged_where_it_connects(proxy, web, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "inside.test")
    names(monkeypatch, inside=[["127.0.0.1"]])
    assert is_blocked(f"http://inside.test:{web.port}/x")
    assert (web.hits(), proxy.hits()) == (0, 0)
