"""Where pictures come from: folders, archives, and a server's lists."""

import gzip
import os
import tarfile
from contextlib import closing
from pathlib import Path

import pytest
from fakes.pictures import COBRA, COW, PANDA, add_member, fill, picture, quiet
from fakes.web import FaultServer, answers, redirects, resets, silent

from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.download.records import Records
from imagenet_tasks.download.sources import FolderSource, ListServerSource, open_source
from imagenet_tasks.download.stage import classes_of_run, download_class
from imagenet_tasks.errors import ConfigError, DataError, Rejected, RejectReason, SourceUnavailable, TransientError
from imagenet_tasks.settings.classes import STUDY_CLASSES, find_class, folder_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.store.storage import Store


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def archive(path: Path, seeds, names=None) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for place, seed in enumerate(seeds):
            add_member(tar, names[place] if names else f"{place:04d}.png", picture(seed, kind="PNG"))
    return path


def ids(source) -> list[str]:
    return [c.class_id for c in source.classes()]


def get_all(home: Path, data: Path, class_id: str, **others):
    """The class's selection reference and its records, by candidate."""
    store = Store(home)
    settings = DownloadConfig(source="folder", location=str(data), images_per_class=100, **others)
    ref, _ = download_class(store, settings, folder_class(class_id), progress=quiet())
    return ref, Records(store, ref.class_id)._records


def everything_below(folder: Path, *, without: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if without not in (p, *p.parents))


def test_folders_and_archives_name_their_classes_by_wnid_or_name(data):
    fill(data / "giant panda", [1])
    archive(data / f"{COBRA}.tar", [2])
    archive(data / "Motorbikes.tar", [3])
    assert sorted(ids(FolderSource(str(data), 10**6))) == ["Motorbikes", COBRA, PANDA]


def test_a_folder_and_an_archive_of_one_class_are_both_read(data):
    fill(data / PANDA, [1, 2])
    archive(data / "giant panda.tar", [3])
    source = FolderSource(str(data), 10**6)
    assert len(source.candidates(PANDA)) == 3
    assert sorted(source.fetch(c) for c in source.candidates(PANDA)) == sorted(
        [*(picture(s, rows=24, columns=32, kind="PNG") for s in (1, 2)), picture(3, kind="PNG")]
    )
    source.close()


def test_candidates_come_in_order_of_their_names(data):
    archive(data / f"{COBRA}.tar", range(3), names=["c.png", "a.png", "b.png"])
    source = FolderSource(str(data), 10**6)
    assert list(source.candidates(COBRA)) == [f"{data}/{COBRA}.tar#{n}.png" for n in "abc"]
    source.close()


def test_a_locator_is_the_whole_path_so_that_it_names_one_candidate_of_all_sources(data):
    archive(data / "a" / f"{COBRA}.tar", [1], names=["x.png"])
    archive(data / "b" / f"{COBRA}.tar", [2], names=["x.png"])
    fill(data / "a" / PANDA, [3])
    fill(data / "b" / PANDA, [4])
    sources = [FolderSource(str(data / name), 10**6) for name in "ab"]
    locators = [list(source.candidates(class_id)) for source in sources for class_id in (COBRA, PANDA)]
    assert locators == [[f"{data}/{n}/{rest}"] for n in "ab" for rest in (f"{COBRA}.tar#x.png", f"{PANDA}/0000.png")]
    for source in sources:
        source.close()


def test_a_location_is_the_same_however_it_is_written(data, monkeypatch):
    fill(data / PANDA, [1])
    monkeypatch.chdir(data.parent)
    monkeypatch.setenv("HOME", str(data.parent))
    texts = (str(data), f"{data}/", "data", "./data", "~/data")
    assert {tuple(FolderSource(text, 10**6).candidates(PANDA)) for text in texts} == {(f"{data}/{PANDA}/0000.png",)}


def test_a_file_has_a_version_that_changes_with_its_size_and_with_its_time(data):
    path = fill(data / PANDA, [1]) / "0000.png"
    os.utime(path, (1000, 1000))
    versions = [FolderSource(str(data), 10**6).candidates(PANDA)[str(path)]]
    versions += [FolderSource(str(data), 10**6).candidates(PANDA)[str(path)]]
    os.utime(path, (1000, 1001))
    versions += [FolderSource(str(data), 10**6).candidates(PANDA)[str(path)]]
    path.write_bytes(path.read_bytes() + b"x")
    os.utime(path, (1000, 1001))
    versions += [FolderSource(str(data), 10**6).candidates(PANDA)[str(path)]]
    assert versions[0] == versions[1] and len(set(versions)) == 3


def test_a_member_has_a_version_of_its_own_that_changes_with_its_archive(data):
    path = archive(data / f"{COBRA}.tar", [1, 2])

    def versions() -> list[str]:
        with closing(FolderSource(str(data), 10**6)) as source:
            return list(source.candidates(COBRA).values())

    first = versions()
    assert versions() == first and len(set(first)) == 2
    os.utime(path, (1000, 1000))
    assert not set(versions()) & set(first)


def test_f27_stray_files_name_no_class(data):
    fill(data / PANDA, [1])
    fill(data / "..hidden", [1])
    fill(data / "n123", [1])
    fill(data / "<img onerror=x>", [1])
    (data / "README.md").write_text("x")
    (data / ".DS_Store").write_text("x")
    assert ids(FolderSource(str(data), 10**6)) == [PANDA]


def test_f27_hidden_files_and_folders_within_a_class_are_no_candidates(data):
    fill(data / PANDA, [1])
    fill(data / PANDA / "thumbnails", [2])
    (data / PANDA / ".DS_Store").write_text("x")
    assert FolderSource(str(data), 10**6).candidates(PANDA).keys() == {f"{data}/{PANDA}/0000.png"}


def test_f27_a_stray_file_in_a_class_is_recorded_as_no_picture(data, tmp_path):
    fill(data / PANDA, [1])
    (data / PANDA / "notes.txt").write_text("x" * 100)
    ref, records = get_all(tmp_path / "home", data, PANDA)
    assert ref.accepted == 1
    assert records[f"{data}/{PANDA}/notes.txt"]["reason"] == "not_an_image"


def test_an_unknown_class_has_no_candidates(data):
    assert FolderSource(str(data), 10**6).candidates(PANDA) == {}


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_location_that_is_no_folder_is_refused_by_name(data, name):
    (data / "file").write_text("x")
    with pytest.raises(ConfigError, match=f"location.*{name}"):
        FolderSource(str(data / name), 10**6)


def test_a_location_may_be_any_fsspec_url():
    store = Store("memory://source-test")
    store.write_bytes(f"{PANDA}/a.png", picture(1, kind="PNG"))
    source = FolderSource("memory://source-test", 10**6)
    assert ids(source) == [PANDA]
    assert list(source.candidates(PANDA)) == [f"memory://source-test/{PANDA}/a.png"]
    assert source.fetch(f"memory://source-test/{PANDA}/a.png") == picture(1, kind="PNG")


def test_f13_f14_hostile_members_are_read_and_nothing_is_written_outside_the_home(data, tmp_path):
    names = ["/etc/absolute.png", "../../../escaped.png", "a/../../b.png", "x" * 300 + ".png", "C:\\windows\\x.png"]
    archive(data / f"{COBRA}.tar", range(5), names)
    before = everything_below(tmp_path, without=tmp_path / "home")
    ref, _ = get_all(tmp_path / "home", data, COBRA)
    assert ref.accepted == 5
    assert everything_below(tmp_path, without=tmp_path / "home") == before
    stored = {p.name for p in (tmp_path / "home" / "images" / COBRA).iterdir() if p.suffix == ".png"}
    assert len(stored) == 5 and all(len(name) == 68 for name in stored)
    assert not Path("/etc/absolute.png").exists()


def test_f14_links_and_devices_in_an_archive_are_no_candidates(data):
    with tarfile.open(data / f"{COBRA}.tar", "w") as tar:
        add_member(tar, "good.png", picture(1, kind="PNG"))
        add_member(tar, "symlink.png", kind=tarfile.SYMTYPE, link="/etc/passwd")
        add_member(tar, "hardlink.png", kind=tarfile.LNKTYPE, link="good.png")
        add_member(tar, "fifo.png", kind=tarfile.FIFOTYPE)
        add_member(tar, "device.png", kind=tarfile.CHRTYPE)
        add_member(tar, "block.png", kind=tarfile.BLKTYPE)
        add_member(tar, "folder.png", kind=tarfile.DIRTYPE)
    source = FolderSource(str(data), 10**6)
    assert list(source.candidates(COBRA)) == [f"{data}/{COBRA}.tar#good.png"]
    source.close()


def test_f14_a_member_or_file_over_max_bytes_is_rejected_unread(data):
    archive(data / f"{COBRA}.tar", [1])
    fill(data / PANDA, [2])
    source = FolderSource(str(data), 100)
    for class_id in (COBRA, PANDA):
        with pytest.raises(Rejected) as caught:
            source.fetch(next(iter(source.candidates(class_id))))
        assert caught.value.reason == RejectReason.TOO_LARGE
    source.close()


@pytest.mark.parametrize("share", [0.45, 0.55, 0.7, 0.98])
def test_f14_of_a_cut_archive_the_whole_members_are_used(data, tmp_path, share):
    path = archive(data / f"{COBRA}.tar", range(6))
    whole = path.read_bytes()
    length = len(whole.rstrip(b"\0"))
    path.write_bytes(whole[: int(length * share)])
    ref, records = get_all(tmp_path / "home", data, COBRA)
    assert 1 < ref.accepted < 6
    assert {r["reason"] for r in records.values()} <= {None, "truncated_transfer"}


@pytest.mark.parametrize("content", [b"no archive" * 100, b"", gzip.compress(b"x" * 5000)], ids=["text", "empty", "gz"])
def test_a_file_that_is_no_archive_is_a_data_error_that_names_it(data, content):
    (data / f"{COBRA}.tar").write_bytes(content)
    with closing(FolderSource(str(data), 10**6)) as source:
        with pytest.raises(DataError, match=rf"{data}/{COBRA}\.tar: expected a tar archive") as caught:
            source.candidates(COBRA)
        assert not isinstance(caught.value, TransientError)


def test_an_archive_that_cannot_be_read_now_makes_its_class_unavailable(data, monkeypatch):
    archive(data / f"{COBRA}.tar", [1])

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    with closing(FolderSource(str(data), 10**6)) as source:
        monkeypatch.setattr(tarfile, "open", fail)
        with pytest.raises(SourceUnavailable, match=rf"{COBRA}\.tar: could not be read: .*Input/output error"):
            source.candidates(COBRA)


def test_no_file_is_left_open_when_a_source_is_closed(data):
    path = archive(data / f"{COBRA}.tar", [1])
    source = FolderSource(str(data), 10**6)
    source.candidates(COBRA)
    open_files = {link.resolve() for link in Path("/proc/self/fd").iterdir()}
    assert path.resolve() in open_files
    source.close()
    assert path.resolve() not in {link.resolve() for link in Path("/proc/self/fd").iterdir()}


def test_members_are_read_right_from_many_threads(data, tmp_path):
    archive(data / f"{COBRA}.tar", range(60))
    ref, records = get_all(tmp_path / "home", data, COBRA, download_threads=16)
    assert ref.accepted == 60
    assert {r["reason"] for r in records.values()} == {None}


def on_loopback(**bounds) -> DownloadConfig:
    return DownloadConfig(allowed_private_hosts=("127.0.0.1",), **bounds)


def test_the_folder_source_needs_a_location(tmp_path):
    with pytest.raises(ConfigError, match="location"), open_source(DownloadConfig(source="folder"), Store(tmp_path)):
        pass


def test_the_sample_source_needs_the_address_of_its_server(monkeypatch, tmp_path):
    monkeypatch.delenv("IMAGENET_SAMPLE_URL", raising=False)
    with (
        pytest.raises(ConfigError, match="IMAGENET_SAMPLE_URL"),
        open_source(DownloadConfig(source="sample"), Store(tmp_path)),
    ):
        pass


def test_the_environment_names_the_sample_server(monkeypatch, tmp_path):
    with FaultServer() as web:
        web.routes["/classes.json"] = answers(b'[{"class_id": "n02510455", "name": "x"}]', kind="application/json")
        monkeypatch.setenv("IMAGENET_SAMPLE_URL", web.url)
        with open_source(DownloadConfig(source="sample"), Store(tmp_path)) as source:
            assert source.classes() == (find_class(PANDA),)


def test_a_record_stays_that_of_its_picture_when_the_server_moves():
    with FaultServer() as web, Fetcher(on_loopback()) as fetcher:
        web.offer(COBRA, ["a.jpg"])
        web.routes["/p/a.jpg"] = answers(picture(1))
        source = ListServerSource(web.url + "/", fetcher)
        assert source.candidates(COBRA) == {"/p/a.jpg": ""}
        assert source.fetch("/p/a.jpg") == picture(1)


LISTS = {"/classes.json": lambda s: s.classes(), f"/lists/{COBRA}.txt": lambda s: s.candidates(COBRA)}


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("status", [404, 410, 403, 301])
def test_a_server_that_has_no_list_is_a_config_error_that_says_what_to_do(path, status):
    with FaultServer() as web, Fetcher(on_loopback(attempts=2)) as fetcher:
        web.routes[path] = redirects("file:///etc/passwd", status) if status == 301 else answers(b"", status=status)
        with pytest.raises(ConfigError, match=r"set source to 'folder'") as caught:
            LISTS[path](ListServerSource(web.url, fetcher))
        assert f"location: expected a list of pictures at {web.url}{path}, received " in str(caught.value)
        assert web.requests[path] == 1


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("location", ["s3://bucket/pictures", "file:///data", "ftp://host/x", "/data/pictures"])
def test_a_location_that_no_web_server_has_is_a_config_error_that_says_what_to_do(path, location):
    with Fetcher(on_loopback(attempts=2)) as fetcher, pytest.raises(ConfigError, match="set source to 'folder'"):
        LISTS[path](ListServerSource(location, fetcher))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"\xff\xfe", b"7", b"null", b'["n02510455"]', b"[{}]", b'[{"class_id": 7}]'],
)
def test_what_is_no_list_of_classes_is_a_config_error_that_says_what_to_do(body):
    with FaultServer() as web, Fetcher(on_loopback()) as fetcher:
        web.routes["/classes.json"] = answers(body, kind="application/json")
        with pytest.raises(ConfigError, match="set source to 'folder'"):
            ListServerSource(web.url, fetcher).classes()


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("fault", [resets, silent, answers(b"", status=503), answers(b"", status=429)])
def test_f16_a_server_whose_list_may_come_later_is_unavailable(path, fault):
    settings = on_loopback(attempts=1, read_timeout_s=0.3)
    with FaultServer() as web, Fetcher(settings) as fetcher:
        web.routes[path] = fault
        with pytest.raises(SourceUnavailable, match=path):
            LISTS[path](ListServerSource(web.url, fetcher))


def test_a_lists_address_is_said_without_its_secrets():
    with Fetcher(on_loopback(attempts=1)) as fetcher, pytest.raises(ConfigError) as caught:
        ListServerSource("s3://bucket/x?sig=abc", fetcher).classes()
    assert "s3://bucket/x?***" in str(caught.value) and "abc" not in str(caught.value)


# Which classes a run uses


def folder_settings(data: Path, *names: str) -> DownloadConfig:
    for name in names:
        (data / name).mkdir()
    return DownloadConfig(source="folder", location=str(data))


def test_the_profiles_classes_are_used_where_the_source_has_them_all(data, tmp_path):
    wanted = STUDY_CLASSES[:3]
    settings = folder_settings(data, *(c.class_id for c in STUDY_CLASSES[:5]))
    assert classes_of_run(Store(tmp_path), settings, wanted, named=False) == wanted


def test_the_sources_own_classes_are_used_where_the_profiles_are_missing(data, tmp_path):
    settings = folder_settings(data, "dog", "cat", COBRA)
    found = classes_of_run(Store(tmp_path), settings, STUDY_CLASSES, named=False)
    assert sorted(c.class_id for c in found) == ["cat", "dog", COBRA]


def test_a_class_that_the_user_named_and_the_source_lacks_is_an_error(data, tmp_path):
    settings = folder_settings(data, COBRA, COW)
    with pytest.raises(ConfigError, match=f"no {PANDA}.*It has 2 classes.*{COBRA}"):
        classes_of_run(Store(tmp_path), settings, (find_class(COBRA), find_class(PANDA)), named=True)


def test_named_classes_keep_their_order(data, tmp_path):
    settings = folder_settings(data, COBRA, COW, PANDA)
    wanted = (find_class(PANDA), find_class(COBRA))
    assert classes_of_run(Store(tmp_path), settings, wanted, named=True) == wanted


@pytest.mark.parametrize("names", [(), ("dog",)])
def test_a_source_with_fewer_than_two_classes_is_an_error(data, names, tmp_path):
    with pytest.raises(ConfigError, match="at least two classes"):
        classes_of_run(Store(tmp_path), folder_settings(data, *names), STUDY_CLASSES, named=False)
