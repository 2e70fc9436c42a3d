"""Where pictures come from: folders, archives, and a server's lists."""

import tarfile
from pathlib import Path

import pytest
from fakes.pictures import COBRA, COW, PANDA, add_member, fill, picture, quiet
from fakes.web import FaultServer, answers

from imagenet_tasks.classes import STUDY_CLASSES, find_class
from imagenet_tasks.config import DownloadConfig
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.download.records import Records
from imagenet_tasks.download.sources import FolderSource, ListServerSource, open_source
from imagenet_tasks.download.stage import classes_of_run, download_class
from imagenet_tasks.errors import ConfigError, Rejected, RejectReason, SourceUnavailable
from imagenet_tasks.storage import Store


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def archive(path: Path, seeds, names=None) -> Path:
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
    ref, _ = download_class(store, settings, find_class(class_id), progress=quiet())
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
    assert source.candidates(COBRA) == [f"{COBRA}.tar#{n}.png" for n in "abc"]
    source.close()


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
    assert FolderSource(str(data), 10**6).candidates(PANDA) == [f"{PANDA}/0000.png"]


def test_f27_a_stray_file_in_a_class_is_recorded_as_no_picture(data, tmp_path):
    fill(data / PANDA, [1])
    (data / PANDA / "notes.txt").write_text("x" * 100)
    ref, records = get_all(tmp_path / "home", data, PANDA)
    assert ref.accepted == 1
    assert records[f"{PANDA}/notes.txt"]["reason"] == "not_an_image"


def test_an_unknown_class_has_no_candidates(data):
    assert FolderSource(str(data), 10**6).candidates(PANDA) == []


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
    assert source.fetch(source.candidates(PANDA)[0]) == picture(1, kind="PNG")


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
    assert source.candidates(COBRA) == [f"{COBRA}.tar#good.png"]
    source.close()


def test_f14_a_member_or_file_over_max_bytes_is_rejected_unread(data):
    archive(data / f"{COBRA}.tar", [1])
    fill(data / PANDA, [2])
    source = FolderSource(str(data), 100)
    for class_id in (COBRA, PANDA):
        with pytest.raises(Rejected) as caught:
            source.fetch(source.candidates(class_id)[0])
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


def test_a_file_that_is_no_archive_makes_its_class_unavailable(data):
    (data / f"{COBRA}.tar").write_bytes(b"no archive" * 100)
    source = FolderSource(str(data), 10**6)
    with pytest.raises(SourceUnavailable, match=f"{COBRA}.tar"):
        source.candidates(COBRA)
    source.close()


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


def test_the_folder_source_needs_a_location():
    with pytest.raises(ConfigError, match="location"), open_source(DownloadConfig(source="folder")):
        pass


def test_the_sample_source_needs_the_address_of_its_server(monkeypatch):
    monkeypatch.delenv("IMAGENET_SAMPLE_URL", raising=False)
    with pytest.raises(ConfigError, match="IMAGENET_SAMPLE_URL"), open_source(DownloadConfig(source="sample")):
        pass


def test_the_environment_names_the_sample_server(monkeypatch):
    with FaultServer() as web:
        web.routes["/classes.json"] = answers(b'[{"class_id": "n02510455", "name": "x"}]', kind="application/json")
        monkeypatch.setenv("IMAGENET_SAMPLE_URL", web.url)
        with open_source(DownloadConfig(source="sample")) as source:
            assert source.classes() == (find_class(PANDA),)


def test_a_record_stays_that_of_its_picture_when_the_server_moves():
    with FaultServer() as web, Fetcher(DownloadConfig()) as fetcher:
        web.offer(COBRA, ["a.jpg"])
        web.routes["/p/a.jpg"] = answers(picture(1))
        source = ListServerSource(web.url + "/", fetcher)
        assert source.candidates(COBRA) == ["/p/a.jpg"]
        assert source.fetch("/p/a.jpg") == picture(1)


def test_f16_a_server_without_its_list_is_unavailable():
    settings = DownloadConfig(attempts=1)
    with FaultServer() as web, Fetcher(settings) as fetcher, pytest.raises(SourceUnavailable, match="/lists/"):
        ListServerSource(web.url, fetcher).candidates(COBRA)


# Which classes a run uses


def folder_settings(data: Path, *names: str) -> DownloadConfig:
    for name in names:
        (data / name).mkdir()
    return DownloadConfig(source="folder", location=str(data))


def test_the_profiles_classes_are_used_where_the_source_has_them_all(data):
    wanted = STUDY_CLASSES[:3]
    settings = folder_settings(data, *(c.class_id for c in STUDY_CLASSES[:5]))
    assert classes_of_run(settings, wanted, named=False) == wanted


def test_the_sources_own_classes_are_used_where_the_profiles_are_missing(data):
    settings = folder_settings(data, "dog", "cat", COBRA)
    found = classes_of_run(settings, STUDY_CLASSES, named=False)
    assert sorted(c.class_id for c in found) == ["cat", "dog", COBRA]


def test_a_class_that_the_user_named_and_the_source_lacks_is_an_error(data):
    settings = folder_settings(data, COBRA, COW)
    with pytest.raises(ConfigError, match=f"no {PANDA}.*It has 2 classes.*{COBRA}"):
        classes_of_run(settings, (find_class(COBRA), find_class(PANDA)), named=True)


def test_named_classes_keep_their_order(data):
    settings = folder_settings(data, COBRA, COW, PANDA)
    wanted = (find_class(PANDA), find_class(COBRA))
    assert classes_of_run(settings, wanted, named=True) == wanted


@pytest.mark.parametrize("names", [(), ("dog",)])
def test_a_source_with_fewer_than_two_classes_is_an_error(data, names):
    with pytest.raises(ConfigError, match="at least two classes"):
        classes_of_run(folder_settings(data, *names), STUDY_CLASSES, named=False)
