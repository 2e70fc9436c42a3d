"""Atomic writes, published folders, checksums and keys: on a real disk with real processes, and on an object store."""

import errno
import json
import re
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from imagenet_tasks.errors import ArtifactError, ChecksumMismatch, ConfigError, OutOfSpace
from imagenet_tasks.store import local_disk, storage
from imagenet_tasks.store.local_disk import room_for
from imagenet_tasks.store.storage import MARKER, Store, default_home, fingerprint, safe_key

PUBLISH = """
import os, signal, sys
from pathlib import Path
from imagenet_tasks.store.storage import Store
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
store = Store(sys.argv[1])
"""


@pytest.fixture
def remote(tmp_path, monkeypatch):
    monkeypatch.setenv("IMAGENET_CACHE", str(tmp_path / "cache"))
    return Store(f"memory://{uuid.uuid4().hex}")


def python(code: str, *arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True)


def publish(store: Store, folder: str, **files: str) -> None:
    with store.publish(folder) as attempt:
        for name, text in files.items():
            (attempt / name).write_text(text)


def text_of(store: Store, folder: str, name: str) -> str:
    return store.open_file(folder, name).read_text()


# Keys and fingerprints


@pytest.mark.parametrize("key", ["", ".", "..", "../x", "a/../../x", "a/..", "/etc/passwd", "a\0b", "//x"])
def test_f56_a_key_that_leaves_the_root_is_refused(tmp_path, key):
    with pytest.raises(ConfigError, match="not a key below"):
        Store(tmp_path).path(key)


@pytest.mark.parametrize("key", ["../x", "/x", "a/../.."])
def test_f56_a_key_that_leaves_the_root_is_refused_on_an_object_store_too(remote, key):
    with pytest.raises(ConfigError, match="not a key below"):
        remote.write_bytes(key, b"x")


AWKWARD = ["a", "A", "..", ".", "", "/", "a/b", "a_b", "a b", "x" * 250, "x" * 251, "é", "e", "CON", "con", "\ud800"]


def test_f35_safe_keys_differ_wherever_the_texts_differ_also_where_case_is_ignored():
    keys = [safe_key(text).casefold() for text in AWKWARD]
    assert len(set(keys)) == len(AWKWARD)


@pytest.mark.parametrize("text", AWKWARD)
def test_f35_a_safe_key_is_one_short_plain_name(text):
    key = safe_key(text)
    assert 1 <= len(key) <= 80
    assert set(key) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")


def test_a_fingerprint_is_the_same_in_every_process_and_for_every_order():
    code = (
        "from imagenet_tasks.store.storage import fingerprint as f; print(f(b=[1, 'x', None], a={'z': 1.5, 'y': True}))"
    )
    mark = fingerprint(a={"y": True, "z": 1.5}, b=[1, "x", None])
    assert python(code).stdout.strip() == mark == "790a2a6bbf0bf08a"


def test_any_other_input_has_another_fingerprint():
    values = [1, 2, "1", 1.5, None, True, [1], [1, 2], [2, 1], {"a": 1}]
    inputs = [{"b": 1}, *({"a": value} for value in values)]
    assert len({fingerprint(**i) for i in inputs}) == len(inputs)


def test_a_fingerprint_of_what_is_no_number_is_refused():
    with pytest.raises(ValueError):
        fingerprint(a=float("nan"))


def test_the_environment_names_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGENET_HOME", str(tmp_path))
    assert default_home() == str(tmp_path)
    monkeypatch.delenv("IMAGENET_HOME")
    assert default_home() == str(Path.home() / "imagenet")


def test_a_file_url_is_its_path(tmp_path):
    url = Store(tmp_path.as_uri())
    assert (url.is_local, str(url.root)) == (True, str(tmp_path))
    assert str(Store("file:///x").path("a/b")) == "/x/a/b"
    url.write_bytes("a", b"x")
    publish(url, "models/f", b="one")
    assert Store(tmp_path).read_bytes("a") == (tmp_path / "a").read_bytes() == b"x"
    assert text_of(Store(tmp_path), "models/f", "b") == "one"


@pytest.mark.parametrize("root", ["~/x", "file:///x/../x"])
def test_a_local_root_is_absolute(root, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert Path(str(Store(root).root)).is_absolute()
    assert Store("~/x").root.path == "/home/me/x"


# Single files


@pytest.fixture(params=["local", "remote"])
def store(request, tmp_path, remote):
    return Store(tmp_path) if request.param == "local" else remote


def test_bytes_and_json_are_read_as_they_were_written(store):
    store.write_bytes("a/b", b"\0\xff")
    store.write_json("a/c.json", {"x": [1, None, "é"]})
    assert (store.read_bytes("a/b"), store.read_json("a/c.json")) == (b"\0\xff", {"x": [1, None, "é"]})
    assert (store.exists("a/b"), store.exists("a/z"), store.names("a"), store.names("z")) == (
        True,
        False,
        ["b", "c.json"],
        [],
    )


def test_a_file_is_replaced_by_the_next_write(store):
    store.write_bytes("a", b"first, and longer")
    store.write_bytes("a", b"second")
    assert store.read_bytes("a") == b"second"


def test_a_missing_file_is_an_artifact_error_with_its_path(store):
    with pytest.raises(ArtifactError, match="a/missing"):
        store.read_bytes("a/missing")


def test_what_is_not_json_is_an_artifact_error_with_its_path(store):
    store.write_bytes("a/x.json", b"{")
    with pytest.raises(ArtifactError, match=r"a/x\.json"):
        store.read_json("a/x.json")


def test_json_that_is_nested_without_end_is_an_artifact_error_with_its_path(store):
    store.write_bytes("a.json", b"[" * 100_000)
    with pytest.raises(ArtifactError, match=r"a\.json: expected JSON"):
        store.read_json("a.json")


@pytest.mark.parametrize("read", [lambda s: s.read_json("a.json"), lambda s: s.read_all_json(["a.json"])])
def test_json_that_is_larger_than_any_of_ours_is_an_artifact_error_with_its_path(store, monkeypatch, read):
    monkeypatch.setattr("imagenet_tasks.store.json_text.MOST_JSON_BYTES", 10)
    monkeypatch.setattr("imagenet_tasks.store.storage.MOST_JSON_BYTES", 10)
    store.write_bytes("a.json", b'"12345678"')
    assert read(store) in ("12345678", ["12345678"])
    store.write_bytes("a.json", b'"123456789"')
    with pytest.raises(ArtifactError, match=r"a\.json: expected JSON of at most 10 bytes"):
        read(store)


SHA = "0" * 64


@pytest.mark.parametrize(
    "marker",
    [
        [], None, {}, {"files": []}, {"files": {"a": 7}}, {"files": {"a": {"bytes": 1}}},
        {"files": {"a": {"bytes": 1, "sha256": "../../x"}}}, {"files": {"a": {"bytes": None, "sha256": SHA}}},
        {"files": {"a": {"bytes": 1, "sha256": SHA}}, "inner": "../../"},
    ],
)  # fmt: skip
def test_a_marker_that_no_run_wrote_is_an_artifact_error_that_says_what_to_do(store, marker):
    store.write_json("models/x/complete.json", marker)
    with pytest.raises(ArtifactError, match=r"models/x/complete\.json: expected .*Delete .*models/x and run again"):
        store.read_marker("models/x")


def test_json_that_may_be_missing_is_none_where_it_is_and_an_error_where_it_is_damaged(store):
    assert store.read_json_if_there("a/missing.json") is None
    store.write_json("a/there.json", [1])
    store.write_bytes("a/damaged.json", b"{")
    assert store.read_json_if_there("a/there.json") == [1]
    with pytest.raises(ArtifactError, match=r"a/damaged\.json"):
        store.read_json_if_there("a/damaged.json")


def test_no_json_is_written_that_other_readers_refuse(store):
    with pytest.raises(ValueError):
        store.write_json("x", {"loss": float("nan")})
    assert not store.exists("x")


def test_unfinished_and_hidden_files_are_not_named(tmp_path):
    store = Store(tmp_path)
    store.write_bytes("a/x", b"")
    (tmp_path / "a" / ".writing-1").write_bytes(b"half")
    assert store.names("a") == ["x"]


def test_a_write_that_fails_leaves_the_old_bytes_and_no_litter(tmp_path):
    store = Store(tmp_path)
    store.write_bytes("a/x", b"old")
    with pytest.raises(TypeError):
        store.write_bytes("a/x", "text")
    assert (store.read_bytes("a/x"), [p.name for p in (tmp_path / "a").iterdir()]) == (b"old", ["x"])


@pytest.mark.parametrize("old", [None, b"old"])
def test_f30_a_process_killed_before_the_rename_leaves_the_old_file_or_none(tmp_path, old):
    store = Store(tmp_path)
    if old:
        store.write_bytes("a/x", old)
    ended = python(PUBLISH + "os.replace = die; store.write_bytes('a/x', b'new' * 9999)", tmp_path)
    assert ended.returncode == -signal.SIGKILL
    assert (store.read_bytes("a/x") if old else store.exists("a/x")) == (old or False)
    store.write_bytes("a/x", b"new")
    assert (store.read_bytes("a/x"), store.names("a")) == (b"new", ["x"])


def test_f32_a_reader_never_sees_a_part_of_what_two_processes_write_at_once(tmp_path):
    store = Store(tmp_path)
    store.write_bytes("x", b"a" * 300_000)
    code = PUBLISH + "for _ in range(150): store.write_bytes('x', sys.argv[2].encode() * 300_000, sync=False)"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), letter]) for letter in "bc"]
    seen = set()
    while any(w.poll() is None for w in writers):
        data = store.read_bytes("x")
        seen.add((data[:1], len(data), len(set(data))))
    assert all(w.returncode == 0 for w in writers)
    assert {(length, letters) for _, length, letters in seen} == {(300_000, 1)}


# Published folders


def test_a_published_folder_has_a_marker_with_the_size_and_hash_of_each_file(store):
    publish(store, "models/f", a="one", b="two")
    assert store.is_complete("models/f")
    files = store.read_marker("models/f")["files"]
    assert {name: file["bytes"] for name, file in files.items()} == {"a": 3, "b": 3}
    assert files["a"]["sha256"] == "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert (text_of(store, "models/f", "a"), text_of(store, "models/f", "b")) == ("one", "two")


def test_a_folder_is_not_there_before_the_work_is_done(store):
    with store.publish("models/f") as attempt:
        (attempt / "a").write_text("one")
        assert not store.is_complete("models/f")
        assert store.names("models") == []
    assert store.is_complete("models/f")


def test_work_that_fails_publishes_nothing_and_leaves_no_litter(store):
    store.write_bytes("models/other", b"")
    with pytest.raises(ZeroDivisionError), store.publish("models/f") as attempt:
        (attempt / "a").write_text("one")
        raise ZeroDivisionError
    assert not store.is_complete("models/f")
    assert [p.name for p in store.path("models").iterdir()] == ["other"]


def test_the_first_of_two_publishers_wins(store):
    publish(store, "models/f", a="first")
    publish(store, "models/f", a="second", b="more")
    assert text_of(store, "models/f", "a") == "first"
    assert list(store.read_marker("models/f")["files"]) == ["a"]
    assert [p.name for p in store.path("models").iterdir()] == ["f"]


def test_the_first_of_two_publishers_at_once_wins(store):
    with store.publish("models/f") as slow:
        (slow / "a").write_text("slow")
        publish(store, "models/f", a="fast")
    assert text_of(store, "models/f", "a") == "fast"


def test_on_an_object_store_the_marker_comes_last(remote, monkeypatch):
    written = []
    kind = type(remote.root.fs)
    put = kind.put_file

    def noted(self, local, target, **options):
        written.append(Path(target).name)
        put(self, local, target, **options)

    monkeypatch.setattr(kind, "put_file", noted)
    publish(remote, "models/f", z="last by name", a="first by name")
    assert sorted(written) == ["a", MARKER, "z"]
    assert written[-1] == MARKER


def test_on_an_object_store_the_files_lie_in_an_inner_folder_that_the_marker_names(remote):
    publish(remote, "models/f", a="one", b="two")
    inner = remote.read_marker("models/f")["inner"]
    assert inner.endswith("/") and len(inner) > 8
    assert set(remote.names("models/f")) == {MARKER, inner.rstrip("/")}
    assert sorted(remote.names(f"models/f/{inner}")) == ["a", "b"]
    assert text_of(remote, "models/f", "a") == "one"


def test_on_a_disk_the_files_lie_in_the_folder_itself(tmp_path):
    publish(Store(tmp_path), "models/f", a="one")
    assert Store(tmp_path).read_marker("models/f")["inner"] == ""
    assert sorted(p.name for p in (tmp_path / "models" / "f").iterdir()) == ["a", MARKER]


@pytest.mark.parametrize("stopped_at", [0, 1, 2])
@pytest.mark.parametrize("last", ["first attempt", "second attempt"])
def test_f32_two_attempts_that_interleave_on_an_object_store_leave_one_of_them_whole(
    remote, monkeypatch, stopped_at, last
):
    """While the first attempt is about to write its n-th file (the marker is the last), a second one publishes."""
    kind = type(remote.root.fs)
    put, written, second = kind.put_file, [], []

    def interleaved(self, local, target, **options):
        if not second and len(written) == stopped_at:
            second.append(True)
            publish(remote, "models/f", a="second", b="second")
            if last == "second attempt":  # ... whose marker arrives after that of the first
                marker = remote.read_bytes(f"models/f/{MARKER}")
                second.append(lambda: remote.write_bytes(f"models/f/{MARKER}", marker))
        written.append(Path(target).name)
        put(self, local, target, **options)

    monkeypatch.setattr(kind, "put_file", interleaved)
    publish(remote, "models/f", a="first", b="first")
    for late in second[1:]:
        late()
    assert sorted(written) == ["a", "a", "b", "b", MARKER, MARKER]
    expected = "second" if last == "second attempt" else "first"
    assert [text_of(remote, "models/f", name) for name in "ab"] == [expected] * 2


def test_f32_a_reader_that_has_read_the_marker_of_one_attempt_still_finds_its_files_after_another(remote, monkeypatch):
    kind = type(remote.root.fs)
    put = kind.put_file
    markers = []

    def then_second(self, local, target, **options):
        if Path(target).name == MARKER and not markers:
            markers.append(None)
            publish(remote, "models/f", a="second")
            markers[0] = remote.read_marker("models/f")
        put(self, local, target, **options)

    monkeypatch.setattr(kind, "put_file", then_second)
    publish(remote, "models/f", a="first")
    monkeypatch.setattr(remote, "read_marker", lambda folder: markers[0])
    assert text_of(remote, "models/f", "a") == "second"


def test_f30_an_object_store_whose_writer_died_half_way_has_no_folder_and_the_next_attempt_finishes(remote):
    remote.write_bytes("models/f/a", b"half")  # what a killed publisher leaves: files without a marker
    assert not remote.is_complete("models/f")
    with pytest.raises(ArtifactError):
        remote.open_file("models/f", "a")
    publish(remote, "models/f", a="whole")
    assert text_of(remote, "models/f", "a") == "whole"


def test_f30_a_publisher_killed_before_the_rename_leaves_nothing_and_the_next_attempt_finishes(tmp_path):
    store = Store(tmp_path)
    work = "with store.publish('models/f') as folder: (folder / 'a').write_text('one')"
    ended = python(PUBLISH + f"Path.rename = die\n{work}", tmp_path)
    assert ended.returncode == -signal.SIGKILL
    assert not store.is_complete("models/f") and store.names("models") == []
    publish(store, "models/f", a="one")
    assert text_of(store, "models/f", "a") == "one"


def test_f30_a_publisher_killed_after_the_rename_has_published(tmp_path):
    code = PUBLISH + (
        "rename = Path.rename\nPath.rename = lambda self, to: (rename(self, to), die())\n"
        "with store.publish('models/f') as folder: (folder / 'a').write_text('one')"
    )
    assert python(code, tmp_path).returncode == -signal.SIGKILL
    assert text_of(Store(tmp_path), "models/f", "a") == "one"


def test_f32_publishers_in_many_processes_at_once_give_one_complete_set(tmp_path):
    code = PUBLISH + (
        "import time\nPath(sys.argv[1], 'ready' + sys.argv[2]).touch()\n"
        "while len(list(Path(sys.argv[1]).glob('ready*'))) < 3: time.sleep(0.001)\n"
        "for i in range(25):\n"
        "    with store.publish(f'models/{i}') as folder:\n"
        "        for name in 'abc': (folder / name).write_text(sys.argv[2])\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(n)]) for n in range(3)]
    assert [w.wait() for w in writers] == [0, 0, 0]
    store = Store(tmp_path)
    assert sorted(p.name for p in (tmp_path / "models").iterdir()) == sorted(map(str, range(25)))
    for i in range(25):
        assert len({text_of(store, f"models/{i}", name) for name in "abc"}) == 1


def test_f30_on_an_object_store_the_marker_of_a_folder_that_is_removed_goes_first(remote, monkeypatch):
    publish(remote, "models/f", a="one", b="two")
    kind, seen = type(remote.root.fs), []
    rm = kind.rm

    def told(self, names, **options):
        rm(self, names, **options)
        seen.append((remote.is_complete("models/f"), len(list(remote.walk("models/f")))))

    monkeypatch.setattr(kind, "rm", told)
    remote.remove("models/f")
    assert (seen[0], seen[-1]) == ((False, 2), (False, 0))


def test_f32_on_an_object_store_what_is_published_while_a_folder_is_removed_stays(remote, monkeypatch):
    publish(remote, "models/f", a="old")
    kind = type(remote.root.fs)
    rm = kind.rm

    def then_publish(self, names, **options):
        rm(self, names, **options)
        publish(remote, "models/f", a="new")

    monkeypatch.setattr(kind, "rm", then_publish)
    remote.remove("models/f")
    assert text_of(remote, "models/f", "a") == "new"


def flip_a_bit(path: Path, place: int) -> None:
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("place", [0, 500, 999])
def test_f33_a_flipped_bit_is_found_before_use(tmp_path, place):
    store = Store(tmp_path)
    publish(store, "models/f", a="x" * 1000)
    expected = store.read_marker("models/f")["files"]["a"]["sha256"]
    flip_a_bit(tmp_path / "models" / "f" / "a", place)
    with pytest.raises(ChecksumMismatch) as caught:
        store.open_file("models/f", "a")
    said = str(caught.value)
    assert str(tmp_path / "models" / "f" / "a") in said and expected in said
    assert len({word.strip(".,") for word in said.split() if len(word.strip(".,")) == 64}) == 2


def test_f33_a_flipped_bit_is_found_on_an_object_store(remote):
    publish(remote, "models/f", a="one")
    remote.write_bytes(f"models/f/{remote.read_marker('models/f')['inner']}a", b"onf")
    with pytest.raises(ChecksumMismatch):
        remote.open_file("models/f", "a")


def test_f33_a_damaged_copy_in_the_cache_is_fetched_again(remote, tmp_path):
    publish(remote, "models/f", a="one")
    copy = remote.open_file("models/f", "a")
    assert (tmp_path / "cache") in copy.parents
    flip_a_bit(copy, 0)
    assert text_of(remote, "models/f", "a") == "one"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_f31_a_cache_on_a_full_disk_is_an_error_with_path_and_bytes_and_leaves_no_copy(remote, tmp_path, monkeypatch):
    publish(remote, "models/f", a="one")
    digest = remote.read_marker("models/f")["files"]["a"]["sha256"]
    folder = tmp_path / "cache" / digest[:2]
    folder.mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(storage.uuid, "uuid4", lambda: SimpleNamespace(hex="full"))
        (folder / ".writing-full").symlink_to("/dev/full")
        with pytest.raises(OutOfSpace, match=rf"{tmp_path / 'cache'}: .* expected 3 bytes .* found [\d,]+\. .*CACHE"):
            remote.open_file("models/f", "a")
    assert list(folder.iterdir()) == []
    assert text_of(remote, "models/f", "a") == "one"


@pytest.mark.parametrize("said", [(errno.ENOSPC, "No space left on device"), ("300000 requested and 204672 written",)])
def test_a_disk_too_full_for_the_cache_folder_itself_is_told_as_that(tmp_path, said):
    """Also by NumPy, which does not hand on why not all of an array was written."""
    with pytest.raises(OutOfSpace, match="no-such/folder: the disk ran full"), room_for(3, tmp_path / "no-such/folder"):
        raise OSError(*said)


@pytest.mark.parametrize("name", ["b", "../f/a", MARKER])
def test_only_files_of_the_marker_are_opened(store, name):
    publish(store, "models/f", a="one")
    with pytest.raises((ArtifactError, ConfigError)):
        store.open_file("models/f", name)


def test_a_folder_that_was_not_published_is_an_artifact_error(store):
    with pytest.raises(ArtifactError, match=f"models/f/{MARKER}"):
        store.open_file("models/f", "a")


def test_a_file_that_was_deleted_is_an_artifact_error(tmp_path):
    store = Store(tmp_path)
    publish(store, "models/f", a="one")
    (tmp_path / "models" / "f" / "a").unlink()
    with pytest.raises(ArtifactError, match="models/f/a"):
        store.open_file("models/f", "a")


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_lock_that_is_waited_for_says_on_what_since_when_and_on_which_process(tmp_path, kind, monkeypatch, caplog):
    root = str(tmp_path) if kind == "local" else f"memory://{tmp_path.name}"
    code = PUBLISH + "import time\nwith store.lock('images/n1'):\n print('held', flush=True)\n time.sleep(1.5)"
    monkeypatch.setattr(local_disk, "QUIET_S", 0.1)
    with subprocess.Popen([sys.executable, "-c", code, root], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with Store(root).lock("images/n1"):
            pass
    waits, goes_on = caplog.messages
    assert re.fullmatch(rf"Waits since \d\d:\d\d:\d\d for images/n1, which process {holder.pid} is using; .*", waits)
    assert re.fullmatch(r"Goes on with images/n1 after \d s", goes_on)


def test_a_lock_that_is_free_or_is_given_up_is_waited_for_without_a_word(tmp_path, caplog):
    store = Store(tmp_path)
    with store.lock("images/n1"), pytest.raises(TimeoutError), Store(tmp_path).lock("images/n1", timeout_s=0.1):
        pass
    assert caplog.messages == []


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_the_lock_of_a_key_keeps_other_processes_out(tmp_path, kind):
    root = str(tmp_path) if kind == "local" else "memory://lock-test"
    code = PUBLISH + (
        "import time\nhere = Path(sys.argv[2])\n(here / ('ready' + sys.argv[3])).touch()\n"
        "while len(list(here.glob('ready*'))) < 2: time.sleep(0.001)\n"
        "for _ in range(20):\n"
        "    with store.lock('images/n1'):\n"
        "        with open(here / 'log', 'a') as f: f.write('in ')\n"
        "        time.sleep(0.002)\n"
        "        with open(here / 'log', 'a') as f: f.write('out ')\n"
    )
    holders = [subprocess.Popen([sys.executable, "-c", code, root, str(tmp_path), str(n)]) for n in range(2)]
    assert [h.wait() for h in holders] == [0, 0]
    assert (tmp_path / "log").read_text().split() == ["in", "out"] * 40


def test_a_marker_is_plain_json_beside_its_files(tmp_path):
    publish(Store(tmp_path), "models/f", a="one")
    assert json.loads((tmp_path / "models" / "f" / MARKER).read_text())["files"].keys() == {"a"}


@pytest.mark.filterwarnings("ignore:UPath 'listing' filesystem not explicitly implemented")
def test_a_long_lived_process_sees_what_others_put_into_an_object_store():
    """As s3fs does, this file system keeps its listings for as long as the process lives, unless told not to."""
    import fsspec
    from fsspec.implementations.memory import MemoryFileSystem

    class Listing(MemoryFileSystem):
        protocol = "listing"

        @classmethod
        def _strip_protocol(cls, path):
            return super()._strip_protocol(str(path).replace("listing://", "memory://"))

        def ls(self, path, detail=True, **others):
            if path not in self.dircache:
                self.dircache[path] = super().ls(path, detail=True, **others)
            listed = self.dircache[path] if path in self.dircache else super().ls(path, detail=True, **others)
            return listed if detail else [entry["name"] for entry in listed]

    fsspec.register_implementation("listing", Listing, clobber=True)
    store = Store("listing://bucket/home")
    store.write_bytes("tasks/one.json", b"1")
    assert store.names("tasks") == ["one.json"]
    MemoryFileSystem().pipe("/bucket/home/tasks/two.json", b"2")
    assert Store("listing://bucket/home").names("tasks") == ["one.json", "two.json"]
