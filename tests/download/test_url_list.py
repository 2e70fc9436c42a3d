"""Lists of URLs: what a line is worth, the index of a long list, and a list per class."""

import gzip
import io
import json
import logging
import os
import subprocess
import sys
import tarfile
import traceback
import tracemalloc
import uuid
from pathlib import Path

import pytest
from fakes.pictures import COBRA, COW, PANDA
from fakes.web import FaultServer, answers, cuts, redirects, resets

from imagenet_tasks.download import list_index, list_lines
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.download.url_list import UrlListSource, host_kind
from imagenet_tasks.errors import (
    ArtifactError,
    ChecksumMismatch,
    ConfigError,
    DataError,
    Rejected,
    RejectReason,
    SourceUnavailable,
)
from imagenet_tasks.settings.classes import find_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import Store

A, B, C = (f"http://farm4.static.flickr.com/1/{name}.jpg" for name in "abc")
SECRET = "hunter2"


class Echo(Fetcher):
    """Asks for lists, and answers with the URL of a picture."""

    def fetch(self, url: str) -> bytes:
        return url.encode()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "home")


def source(store: Store, location: object, **bounds) -> UrlListSource:
    settings = DownloadConfig(allowed_private_hosts=("127.0.0.1",), **bounds)
    return UrlListSource(str(location), store, Echo(settings))


def listed(*lines: str | bytes, class_id: str = COBRA) -> bytes:
    """Lines of the fall11 list, one per URL."""
    raw = (line.encode() if isinstance(line, str) else line for line in lines)
    return b"".join(b"%b_%d\t%b\n" % (class_id.encode(), number, line) for number, line in enumerate(raw, 7))


def write(path: Path, text: bytes) -> Path:
    path.write_bytes(text)
    return path


def tarred(text: bytes, mode: str = "w:gz", names: tuple[str, ...] = ("fall11_urls.txt",)) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tar:
        folder = tarfile.TarInfo("lists")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    return buffer.getvalue()


def rejection(source: UrlListSource, locator: str) -> str:
    with pytest.raises(Rejected) as caught:
        source.fetch(locator)
    assert caught.value.reason is RejectReason.INVALID_URL and not caught.value.may_pass
    return caught.value.detail


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def indexes(store: Store) -> list[str]:
    return store.names("lists")


# A list of all classes


def test_the_indexes_of_a_list_and_of_its_newer_version_are_known_by_their_first_part(store, tmp_path):
    for name, text in (("one", listed(A)), ("one", listed(A, B)), ("two", listed(A))):
        source(store, write(tmp_path / f"{name}.txt", text)).classes()
    lists = [name.partition("-")[0] for name in indexes(store)]
    assert (len(lists), len(set(lists))) == (3, 2)


def test_a_list_names_its_classes_and_the_urls_of_each_in_order(store, tmp_path):
    text = listed(B, A, class_id=PANDA) + listed(C) + listed(C, class_id=PANDA)
    found = source(store, write(tmp_path / "list.txt", text))
    assert found.classes() == (find_class(COBRA), find_class(PANDA))
    assert found.candidates(PANDA) == {B: "", A: "", C: ""}
    assert list(found.candidates(PANDA)) == [B, A, C]
    assert found.candidates(COW) == {}
    assert found.fetch(B) == B.encode()


PACKED = {
    "plain": lambda text: text,
    "gz": gzip.compress,
    "gz twice": lambda text: gzip.compress(gzip.compress(text)),
    "gz in two members": lambda text: gzip.compress(text[:50]) + gzip.compress(text[50:]),
    "tar": lambda text: tarred(text, "w"),
    "tgz": tarred,
    "tgz with more files": lambda text: tarred(text, names=("._list.txt", "list.txt", "readme.txt")),
}


@pytest.mark.parametrize("packing", PACKED)
def test_a_packed_list_is_read_as_it_is_whatever_its_name(store, tmp_path, packing):
    packed = write(tmp_path / "list.txt", PACKED[packing](listed(A, B)))
    assert list(source(store, packed).candidates(COBRA)) == [A, B]


@pytest.mark.parametrize("name", ["../../escaped.txt", "/tmp/escaped-by-url-list.txt"])
def test_f13_nothing_is_extracted_from_an_archive(store, tmp_path, name):
    packed = write(tmp_path / "list.tgz", tarred(listed(A), names=(name,)))
    before = set(tmp_path.rglob("*"))
    assert list(source(store, packed).candidates(COBRA)) == [A]
    assert all("home" in path.parts for path in set(tmp_path.rglob("*")) - before)
    assert not Path("/tmp/escaped-by-url-list.txt").exists()


def test_f13_a_urls_name_is_no_path(store, tmp_path):
    urls = [f"http://h/../../dags/{n}.py" for n in "ab"] + ["http://h/" + "x" * 300]
    found = source(store, write(tmp_path / "list.txt", listed(*urls)))
    assert list(found.candidates(COBRA)) == urls
    assert not list(tmp_path.rglob("*.py"))


@pytest.mark.parametrize("class_id", ["../../secret", "/etc/passwd", "a/b", "..", "", f"{COBRA}\n"])
def test_f13_a_class_that_is_no_name_has_no_list(store, tmp_path, class_id):
    write(tmp_path / "secret.txt", A.encode())
    (tmp_path / "lists" / "deep").mkdir(parents=True)
    assert source(store, tmp_path / "lists/deep/{wnid}.txt").candidates(class_id) == {}


def test_a_list_is_the_same_however_its_path_is_written(store, tmp_path, monkeypatch):
    write(tmp_path / "list.txt", listed(A))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in ("list.txt", "./list.txt", "~/list.txt", tmp_path / "list.txt"):
        source(store, text).classes()
    assert len(indexes(store)) == 1


def test_a_list_is_read_from_an_object_store_and_indexed_in_one(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGENET_CACHE", str(tmp_path / "cache"))
    root = f"memory://{uuid.uuid4().hex}"
    Store(root).write_bytes("list.txt", listed(A, B))
    for _ in range(2):
        assert list(source(Store(f"{root}/home"), f"{root}/list.txt").candidates(COBRA)) == [A, B]
    assert len(indexes(Store(f"{root}/home"))) == 1


def test_a_changed_list_is_indexed_anew(store, tmp_path):
    path = write(tmp_path / "list.txt", listed(A))
    os.utime(path, (1000, 1000))
    assert list(source(store, path).candidates(COBRA)) == [A]
    write(path, listed(B))
    assert list(source(store, path).candidates(COBRA)) == [B]
    assert len(indexes(store)) == 2


def test_a_list_that_is_as_it_was_is_not_read_again(store, tmp_path, monkeypatch):
    path = write(tmp_path / "list.txt", listed(A))
    source(store, path).classes()
    monkeypatch.setattr("imagenet_tasks.download.url_list.build_index", None)
    assert list(source(store, path).candidates(COBRA)) == [A]


INDEXING = """
import logging, sys
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.download.url_list import UrlListSource
from imagenet_tasks.store.storage import Store
logging.basicConfig(level=logging.INFO)
fetcher = Fetcher(DownloadConfig(allowed_private_hosts=("127.0.0.1",)))
print(len(UrlListSource(sys.argv[1], Store(sys.argv[2]), fetcher).candidates(sys.argv[3])))
"""


def test_four_tasks_at_once_index_once(store):
    def after_all_have_asked(handler):
        handler.head(200, len(text))
        while web.requests["/list"] < 5 and not web.stopping.wait(0.02):
            pass  # four found no index, and one began to read the list
        handler.body(text)

    text = listed(A, B)
    with FaultServer() as web:
        web.routes["/list"] = after_all_have_asked
        command = [sys.executable, "-c", INDEXING, f"{web.url}/list", str(store.root), COBRA]
        tasks = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
        outputs = [task.communicate(timeout=60) for task in tasks]
    assert [out for out, _ in outputs] == ["2\n"] * 4, outputs
    assert sum(log.count("Indexed 1 classes in 2 lines") for _, log in outputs) == 1


def test_a_long_list_needs_little_memory_in_any_order(store, tmp_path, monkeypatch):
    monkeypatch.setattr(list_index, "BUFFER_BYTES", 2**19)
    monkeypatch.setattr(list_index, "PART_BYTES", 2**21)
    path = tmp_path / "list.txt"
    with path.open("w") as file:
        for number in range(200_000):
            file.write(f"n{number * 7 % 200:08d}_{number}\thttp://farm4.static.flickr.com/3175/{number:030d}.jpg\n")
    tracemalloc.start()
    try:
        found = source(store, path)
        assert len(found.candidates("n00000000")) == 1000
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 15_000_000 and peak_bytes < 4_000_000
    assert len(found.classes()) == 200
    for class_id in ("n00000000", "n00000007", "n00000199"):
        numbers = [int(locator[-34:-4]) for locator in found.candidates(class_id)]
        assert numbers == [n for n in range(200_000) if n * 7 % 200 == int(class_id[1:])]


@pytest.mark.parametrize("fault", ["changed", "cut", "gone"])
def test_a_damaged_index_is_never_used(store, tmp_path, fault):
    path = write(tmp_path / "list.txt", listed(A, B))
    source(store, path).classes()
    (part,) = Path(str(store.root)).rglob("urls-*.txt")
    if fault == "gone":
        part.unlink()
    else:
        part.write_bytes(part.read_bytes().replace(b"a.jpg", b"z.jpg") if fault == "changed" else part.read_bytes()[:9])
    with pytest.raises(ArtifactError if fault == "gone" else ChecksumMismatch, match=r"urls-000.txt: .*Delete "):
        source(store, path).candidates(COBRA)


@pytest.mark.parametrize(
    "text", [b"", b"\n\n", b"<html>\n<body>no list</body>", b"\x00" * 10_000, bytes(range(256)) * 9]
)
def test_what_is_no_list_is_a_config_error_that_says_what_was_expected(store, tmp_path, text):
    with pytest.raises(ConfigError, match="expected lines like 'n00004475_6590<TAB>http://"):
        source(store, write(tmp_path / "list.txt", text)).classes()
    assert indexes(store) == []


def test_an_archive_without_a_file_is_a_config_error(store, tmp_path):
    with pytest.raises(ConfigError, match="an archive without a file"):
        source(store, write(tmp_path / "list.tgz", tarred(b"", names=()))).classes()


@pytest.mark.parametrize("packing", ["gz", "tgz"])
@pytest.mark.parametrize("fault", ["cut", "damaged"])
def test_a_damaged_archive_is_a_data_error_and_no_index(store, tmp_path, packing, fault):
    packed = PACKED[packing](listed(*(f"http://h/{n * 7919 % 10**6}.jpg" for n in range(50_000))))
    half = len(packed) // 2
    path = write(tmp_path / "list", packed[:half] + (b"" if fault == "cut" else b"\xff" * 99 + packed[half + 99 :]))
    with pytest.raises(DataError, match=f"{path}: expected a whole archive.*Replace it"):
        source(store, path).classes()
    assert indexes(store) == []


def test_a_missing_list_is_a_config_error_that_says_what_to_do(store, tmp_path):
    with pytest.raises(
        ConfigError, match=r"expected a list of URLs at .*/no.txt, received nothing there. Give the path"
    ):
        source(store, tmp_path / "no.txt").classes()
    with pytest.raises(ConfigError, match="IsADirectoryError"):
        source(store, tmp_path).classes()


# Lines


def test_f12_blanks_and_comments_are_skipped_and_a_url_is_one_candidate_however_often_it_stands(store, tmp_path):
    text = (
        b"\xef\xbb\xbf# a comment\n\n   \n" + listed(A, B, A) + b"  \r\n#" + listed(C) + b"n01747885_1\t  " + C.encode()
    )
    found = source(store, write(tmp_path / "list.txt", text))
    assert list(found.candidates(COBRA)) == [A, B, C]


TIDIED = {
    " http://h/a.jpg \r": "http://h/a.jpg",
    "HTTP://H/A.jpg": "http://H/A.jpg",
    "http://h/a b.jpg": "http://h/a%20b.jpg",
    "http://h/a%20b%zz.jpg": "http://h/a%20b%zz.jpg",
    b"http://h/caf\xe9.jpg": "http://h/caf%E9.jpg",
    "http://h/café.jpg": "http://h/caf%C3%A9.jpg",
    "http://bücher.example:80/a": "http://xn--bcher-kva.example:80/a",
    "http://h/a.jpg#part": "http://h/a.jpg",
    "http://h/photos/12@N00/a.jpg": "http://h/photos/12@N00/a.jpg",
    "https://[::1]:8080/a": "https://[::1]:8080/a",
    "http://h": "http://h",
}


@pytest.mark.parametrize("url", TIDIED)
def test_f12_a_url_is_asked_for_in_ascii_and_otherwise_as_it_stands(store, tmp_path, url):
    found = source(store, write(tmp_path / "list.txt", listed(url)))
    assert found.candidates(COBRA) == {TIDIED[url]: ""}
    assert found.fetch(TIDIED[url]) == TIDIED[url].encode()


CREDENTIALS = "user name and password in the URL"
BAD_URLS = {
    f"http://user:{SECRET}@h/a.jpg": CREDENTIALS,
    f"http://{SECRET}@h/a.jpg": CREDENTIALS,
    f"ftp://user:{SECRET}@h/a.jpg": CREDENTIALS,
    f"http://h\\@{SECRET}@x/a.jpg": CREDENTIALS,
    f"http://archive/2010/http://user:{SECRET}@h/a.jpg": CREDENTIALS,
    f"user:{SECRET}@h/a.jpg": "the scheme is not http or https",
    f"http:/user:{SECRET}@h/a.jpg": "no host in the URL",
    f"http:\\\\user:{SECRET}@h/a.jpg": "no host in the URL",
    f"file:///{SECRET}": "the scheme is not http or https",
    f"/{SECRET}/a.jpg": "the scheme is not http or https",
    f"http:///{SECRET}/a.jpg": "no host in the URL",
    f"http://[::1/{SECRET}": "the URL cannot be read",
    f"http://h:99999/{SECRET}": "the URL cannot be read",
    f"http://h h/{SECRET}": "no usable host in the URL",
    f"http://h%00/{SECRET}": "no usable host in the URL",
    b"http://\xff\xfe/" + SECRET.encode(): "the URL cannot be read",
    f"http://h/\x00{SECRET}": "control characters in the URL",
    f"http://h/a\t{SECRET}": "control characters in the URL",
    f"http://h/a\r{SECRET}": "control characters in the URL",
    "http://h/" + SECRET * 1500: "more than 4096 bytes",
    "http://h/" + SECRET * 40_000: "more than 4096 bytes",
}


@pytest.mark.parametrize("url", BAD_URLS, ids=lambda url: repr(url[:40]))
def test_f12_f36_a_bad_url_is_a_rejected_line_and_what_it_holds_is_written_nowhere(store, tmp_path, caplog, url):
    caplog.set_level(logging.DEBUG)
    found = source(store, write(tmp_path / "list.txt", listed(A, url, B)))
    assert found.candidates(COBRA) == {A: "", "line 2": BAD_URLS[url], B: ""}
    assert rejection(found, "line 2") == f"line 2: {BAD_URLS[url]}"
    assert SECRET.encode() not in everything_in(tmp_path / "home")
    assert SECRET not in caplog.text


BAD_LINES = {
    f"{COBRA}_2": "no tab and URL after the name",
    f"{COBRA}_2\t": "no tab and URL after the name",
    f"{COBRA}_2 {A}": "no tab and URL after the name",
    f"{COBRA} no 2\t{A}": "the name is not a wnid and a number",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_f12_a_bad_line_whose_class_can_be_told_is_a_rejected_line_of_it(store, tmp_path, line):
    found = source(store, write(tmp_path / "list.txt", listed(A) + line.encode() + b"\n" + listed(B)))
    assert list(found.candidates(COBRA)) == [A, "line 2", B]
    assert rejection(found, "line 2") == f"line 2: {BAD_LINES[line]}"


def test_f12_lines_whose_class_cannot_be_told_are_counted_once_and_not_quoted(store, tmp_path, caplog):
    bad = f"http://u:{SECRET}@h/a\nn123_1\t{A}\nn017478851\t{A}\nN01747885_1\t{A}\n" + " " * 5000 + f"{COBRA}_1\t{A}\n"
    path = write(tmp_path / "list.txt", listed(A) + bad.encode() + b"\xff\xfe\x00\n" + listed(B))
    for _ in range(2):
        assert list(source(store, path).candidates(COBRA)) == [A, B]
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [f"6 of 8 lines of {path} were left out: they do not begin with a wnid"]
    assert SECRET not in caplog.text


def test_f12_a_line_may_be_as_long_as_allowed_and_no_longer(store, tmp_path):
    urls = ["http://h/" + "x" * (list_lines.MAX_LINE_BYTES - len(f"{COBRA}_7\thttp://h/") + more) for more in (0, 1)]
    for ending in (b"\n", b"\r\n", b""):
        text = ending.join(f"{COBRA}_{place}\t{url}".encode() for place, url in enumerate(urls)) if ending else None
        text = text or f"{COBRA}_0\t{urls[1]}".encode()
        found = source(store, write(tmp_path / "list.txt", text + ending)).candidates(COBRA)
        assert list(found) == ([urls[0], "line 2"] if ending else ["line 1"])


def test_f12_the_line_after_a_long_one_is_read_and_a_long_comment_is_skipped(store, tmp_path):
    text = listed(A) + b"#" + b"x" * 10_000 + b"\n" + listed("x" * 3_000_000) + listed(B)
    found = source(store, write(tmp_path / "list.txt", text)).candidates(COBRA)
    assert list(found) == [A, "line 3", B]


def test_a_bomb_is_never_held_whole(store, tmp_path):
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as file:
        for _ in range(30):
            file.write(b"\0" * 2**20)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="without an end of line in line 1"):
            source(store, path).classes()
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8_000_000


def test_a_list_larger_than_any_is_a_data_error(store, tmp_path, monkeypatch):
    path = write(tmp_path / "list.txt", listed(A) * 1000)
    monkeypatch.setattr(list_lines, "MAX_LIST_BYTES", 10_000)
    with pytest.raises(DataError, match=f"{path}: expected at most 10000 bytes unpacked"):
        source(store, path).classes()
    monkeypatch.undo()
    monkeypatch.setattr(list_index, "MAX_LISTED_CLASSES", 2)
    write(path, b"".join(listed(A, class_id=f"n{n:08d}") for n in range(3)))
    with pytest.raises(DataError, match="expected at most 2 classes in the list"):
        source(store, path).classes()


def test_a_class_with_more_urls_than_fit_in_memory_is_a_data_error(store, tmp_path, monkeypatch):
    path = write(tmp_path / "list.txt", listed(A) * 1000 + listed(A, class_id=COW))
    monkeypatch.setattr(list_index, "MAX_CLASS_BYTES", 1000)
    assert list(source(store, path).candidates(COW)) == [A]
    with pytest.raises(DataError, match=f"{COBRA}: expected at most 1000 bytes of URLs"):
        source(store, path).candidates(COBRA)


# Queries


def test_f36_a_query_is_in_no_locator_and_is_asked_for(store, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    urls = [f"http://h/a.jpg?sig={SECRET}&n={n}" for n in range(2)]
    found = source(store, write(tmp_path / "list.txt", listed(*urls, urls[0], "http://h/a.jpg", "http://h/a.jpg?")))
    locators = list(found.candidates(COBRA))
    assert len(locators) == 4
    assert [locator[:15] for locator in locators] == [
        "http://h/a.jpg?",
        "http://h/a.jpg?",
        "http://h/a.jpg",
        "http://h/a.jpg?",
    ]
    assert not any(SECRET in locator for locator in locators) and SECRET not in caplog.text
    assert [found.fetch(locator).decode() for locator in locators[:2]] == urls
    assert list(source(store, tmp_path / "list.txt").candidates(COBRA)) == locators


UNANSWERED = {
    "resets": (resets, SourceUnavailable),
    "503": (answers(b"", status=503), SourceUnavailable),
    "403": (answers(b"", status=403), ConfigError),
    "404": (answers(b"", status=404), ConfigError),
    "sent to a file": (redirects("file:///etc/passwd"), ConfigError),
    "cut": (cuts(b"n0", said=99), SourceUnavailable),
    "no list": (answers(b"<html>"), ConfigError),
    "an archive cut short": (answers(gzip.compress(b"n0" * 99)[:-9]), SourceUnavailable),
}


@pytest.mark.parametrize("fault", UNANSWERED)
def test_f36_a_locations_query_is_in_no_error_log_or_file(store, tmp_path, caplog, fault):
    caplog.set_level(logging.INFO)
    with FaultServer() as web:
        found = source(store, f"{web.url}/list?sig={SECRET}")
        web.routes[f"/list?sig={SECRET}"], expected = UNANSWERED[fault]
        with pytest.raises(expected) as caught:
            found.classes()
        assert f"{web.url}/list?***" in str(caught.value)
        assert SECRET not in "".join(traceback.format_exception(caught.value))
        web.routes[f"/list?sig={SECRET}"] = answers(listed(A))
        assert list(found.candidates(COBRA)) == [A]
    assert SECRET not in caplog.text and "/list?***" in caplog.text
    assert SECRET.encode() not in everything_in(tmp_path)


def test_f36_a_refused_connections_error_does_not_say_the_locations_query(store):
    with FaultServer() as web:
        url = web.url
    with pytest.raises(SourceUnavailable, match="ConnectionError") as caught:
        source(store, f"{url}/list?sig={SECRET}").classes()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


# Over HTTP


@pytest.mark.parametrize(
    ("packing", "encoding"), [*((packing, "") for packing in PACKED), ("gz", "gzip"), ("tgz", "gzip")]
)
def test_a_list_on_a_server_is_unpacked_once_whatever_the_server_says_of_it(store, packing, encoding):
    headers = {"Content-Encoding": encoding} if encoding else {}
    with FaultServer() as web:
        web.routes["/list"] = answers(PACKED[packing](listed(A, B)), **headers)
        assert list(source(store, f"{web.url}/list").candidates(COBRA)) == [A, B]
        assert web.headers["/list"]["accept-encoding"] == "identity"


def test_a_list_behind_a_redirect_is_found(store):
    with FaultServer() as web:
        web.routes |= {"/list": redirects("/there"), "/there": answers(listed(A))}
        assert list(source(store, f"{web.url}/list").candidates(COBRA)) == [A]


@pytest.mark.parametrize("header", ["ETag", "Last_Modified"])
def test_a_list_on_a_server_is_indexed_anew_when_its_answer_says_that_it_changed(store, header):
    with FaultServer() as web:
        for text, version in ((listed(A), "1"), (listed(A), "1"), (listed(B), "2")):
            web.routes["/list"] = answers(text, **{header: version})
            found = list(source(store, f"{web.url}/list").candidates(COBRA))
            assert found == ([A] if version == "1" else [B])
    assert len(indexes(store)) == 2


def test_a_list_without_any_version_is_good_for_a_day(store):
    def unversioned(handler):
        handler.head(200, None)
        handler.body(listed(A))

    with FaultServer() as web:
        web.routes["/list"] = unversioned
        for _ in range(2):
            assert list(source(store, f"{web.url}/list").candidates(COBRA)) == [A]
    assert len(indexes(store)) == 1


@pytest.mark.parametrize("status", [404, 410, 403, 401])
def test_a_server_without_the_list_is_a_config_error_that_says_what_to_do(store, status):
    with FaultServer() as web:
        web.routes["/list"] = answers(b"", status=status)
        with pytest.raises(ConfigError, match=rf"location: .*{web.url}/list, received HTTP {status}\. Give the path"):
            source(store, f"{web.url}/list").classes()


def test_a_server_that_sends_elsewhere_than_to_the_web_is_a_config_error(store):
    with FaultServer() as web:
        web.routes["/list"] = redirects("file:///etc/passwd")
        with pytest.raises(ConfigError, match="only http and https"):
            source(store, f"{web.url}/list").classes()


FAULTS = {
    "resets": lambda text: resets,
    "503": lambda text: answers(b"", status=503),
    "cut": lambda text: cuts(text[: len(text) // 2], said=len(text)),
    "cut gz": lambda text: answers(gzip.compress(text)[:-20]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_f15_a_list_that_fails_on_its_way_is_unavailable_and_whole_when_tried_again(store, fault):
    text = listed(*(f"http://h/{n}.jpg" for n in range(50_000)))
    with FaultServer() as web:
        web.routes["/list"] = FAULTS[fault](text)
        with pytest.raises(SourceUnavailable, match=f"{web.url}/list"):
            source(store, f"{web.url}/list").classes()
        assert indexes(store) == []
        web.routes["/list"] = answers(text)
        assert len(source(store, f"{web.url}/list").candidates(COBRA)) == 50_000


def test_a_silent_server_is_unavailable(store):
    def half(handler):
        handler.head(200, 999)
        handler.body(b"n0")
        handler.server.web.stopping.wait(20)

    with FaultServer() as web:
        web.routes["/list"] = half
        with pytest.raises(SourceUnavailable, match="Timeout"):
            source(store, f"{web.url}/list", read_timeout_s=0.2).classes()


# A list per class


def test_a_list_per_class_has_its_urls_with_or_without_names(store, tmp_path):
    write(tmp_path / f"{COBRA}.txt", f"# cobra\n{A}\n\n{COBRA}_7\t{B}\n{A}\n  {C}  ".encode())
    found = source(store, tmp_path / "{wnid}.txt")
    assert found.classes() is None
    assert found.candidates(COBRA) == {A: "", B: "", C: ""}
    assert found.fetch(C) == C.encode()
    assert indexes(store) == []


def test_f12_a_bad_line_of_a_class_names_its_list(store, tmp_path):
    lines = [A, f"http://u:{SECRET}@h/", f"{COW}_1\t{B}", "x" * 5000, f"{COBRA}_1\t", B]
    for class_id in (COBRA, PANDA):
        write(tmp_path / f"{class_id}.txt", "\n".join(lines[: 2 if class_id == PANDA else None]).encode())
    found = source(store, tmp_path / "{wnid}.txt")
    assert list(found.candidates(COBRA)) == [A, *(f"line {n} of {COBRA}" for n in (2, 3, 4, 5)), B]
    assert list(found.candidates(PANDA)) == [A, f"line 2 of {PANDA}"]
    assert [rejection(found, f"line {n} of {COBRA}") for n in (2, 3, 4)] == [
        f"line 2 of {COBRA}: {CREDENTIALS}",
        f"line 3 of {COBRA}: the line names another class",
        f"line 4 of {COBRA}: more than 4096 bytes",
    ]


def test_a_class_without_a_list_is_a_data_error_that_says_what_to_do(store, tmp_path):
    with pytest.raises(DataError, match=f"{COBRA}: there is no list of this class's URLs"):
        source(store, tmp_path / "{wnid}").candidates(COBRA)
    with FaultServer() as web, pytest.raises(DataError, match=f"{web.url}/{COBRA}: there is no list"):
        source(store, web.url + "/{wnid}").candidates(COBRA)


def test_a_class_whose_list_may_come_later_is_unavailable(store):
    with FaultServer() as web:
        web.routes[f"/{COBRA}"] = answers(b"", status=503)
        with pytest.raises(SourceUnavailable, match="HTTP 503"):
            source(store, web.url + "/{wnid}").candidates(COBRA)


def test_a_class_id_is_quoted_in_a_url(store):
    with FaultServer() as web:
        web.routes["/delivery%20truck.txt"] = answers(gzip.compress(A.encode()))
        assert list(source(store, web.url + "/{wnid}.txt").candidates("delivery truck")) == [A]


def test_a_class_list_larger_than_memory_is_a_data_error(store, tmp_path, monkeypatch):
    monkeypatch.setattr("imagenet_tasks.download.url_list.MAX_CLASS_BYTES", 1000)
    path = write(tmp_path / f"{COBRA}.txt", b"\n".join([A.encode()] * 100))
    with pytest.raises(DataError, match=f"{path}: expected at most 1000 bytes"):
        source(store, tmp_path / "{wnid}.txt").candidates(COBRA)


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("farm4.static.flickr.com", "flickr"),
        ("live.staticflickr.com", "flickr"),
        ("FLICKR.com.", "flickr"),
        ("notflickr.com", "other"),
        ("flickr.com.example", "other"),
    ],
)
def test_a_host_is_flickrs_or_another(host, kind):
    assert host_kind(host) == kind


def test_a_locator_has_the_host_of_its_url_and_a_bad_line_has_none(store, tmp_path):
    found = source(store, write(tmp_path / "list.txt", listed(A, "ftp://h/x")))
    assert [found.host(locator) for locator in found.candidates(COBRA)] == ["farm4.static.flickr.com", ""]


def test_the_index_holds_one_entry_per_class(store, tmp_path):
    source(store, write(tmp_path / "list.txt", listed(A, class_id=COW) + listed(B) + listed(C, class_id=COW))).classes()
    (folder,) = indexes(store)
    index = json.loads(store.open_file(f"lists/{folder}", "index.json").read_text())
    assert list(index["classes"]) == [COBRA, COW] and index["lines"] == 3
