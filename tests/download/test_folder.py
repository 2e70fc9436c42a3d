"""The source `folder`: which classes a location has, and what of them is read."""

import bz2
import gzip
import lzma
import os
import tarfile
import zipfile
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import zstandard
from fakes.pictures import COBRA, PANDA, add_member, fill, picture, quiet

from imagenet_tasks.download.classes import told
from imagenet_tasks.download.folder import FolderSource
from imagenet_tasks.download.members import archive_suffix
from imagenet_tasks.download.records import Records
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.errors import ConfigError, DataError, Rejected, RejectReason, SourceUnavailable, TransientError
from imagenet_tasks.settings.classes import folder_class
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


def test_f27_what_at_the_location_is_no_class_is_told_by_its_reason(data):
    fill(data / PANDA, [1])
    fill(data / "..hidden", [1])
    fill(data / "__MACOSX", [1])
    (data / "README.md").write_text("x")
    (data / "notes" / "2024").mkdir(parents=True)
    (data / "notes" / "2024" / "a.pdf").write_text("x")
    (data / ".DS_Store").write_text("x")
    (data / "cat.JPG").write_bytes(picture(1))
    (data / "gone").symlink_to("nowhere")
    (data / "out").symlink_to(data.parent)
    source = FolderSource(str(data), 10**6)
    assert ids(source) == [PANDA]
    assert source.passed_over == {
        "hidden": ["..hidden", ".DS_Store", "__MACOSX"],
        "neither a folder nor an archive": ["README.md"],
        "a picture that lies in no class's folder": ["cat.JPG"],
        "a link that leads nowhere": ["gone"],
        "a link out of the location": ["out"],
        "no picture inside": ["notes"],
    }


@pytest.mark.parametrize(
    "name",
    ["猫", "vache (laiti\u00e8re)", "dog's & co, 2024", "\N{DOG FACE} dog", "<img onerror=x>", "a: b", "n123", "dog.",
     "x" * 200, "a\nb", "a\\b"],
)  # fmt: skip
def test_any_name_of_a_folder_is_a_class_whose_pictures_are_found(data, tmp_path, name):
    fill(data / name, [1, 2])
    (found,) = FolderSource(str(data), 10**6).classes()
    ref, _ = get_all(tmp_path / "home", data, name)
    assert (ref.accepted, ref.name, ref.class_id) == (2, found.name, found.class_id)
    assert found.name == name.replace("\n", "\N{REPLACEMENT CHARACTER}")


def test_names_that_are_alike_on_some_file_systems_are_classes_of_their_own(data):
    for name in ("Cat", "cat", "cat ", "CAT", "cat."):
        fill(data / name, [1])
    source = FolderSource(str(data), 10**6)
    assert {c.name for c in source.classes()} == {"Cat", "cat", "cat ", "CAT", "cat."}
    assert len({class_id.casefold() for class_id in ids(source)}) == 5
    assert [len(source.candidates(class_id)) for class_id in ids(source)] == [1] * 5


def test_names_of_bytes_that_are_no_text_are_read(data, tmp_path):
    name = os.fsdecode(b"caf\xe9")
    (fill(data / name, [1]) / "0000.png").rename(data / name / os.fsdecode(b"\xe9.png"))
    (found,) = FolderSource(str(data), 10**6).classes()
    assert found.name == "caf\N{REPLACEMENT CHARACTER}"
    for _ in range(2):  # the second reads the first one's records
        ref, _ = get_all(tmp_path / "home", data, name)
        assert ref.accepted == 1


def test_pictures_at_any_depth_below_a_class_are_its_own_and_hidden_ones_are_none(data):
    fill(data / PANDA, [1])
    fill(data / PANDA / "b" / "c", [2])
    fill(data / PANDA / "a", [3])
    fill(data / PANDA / ".thumbnails", [4])
    (data / PANDA / ".DS_Store").write_text("x")
    found = [name.removeprefix(f"{data}/{PANDA}/") for name in FolderSource(str(data), 10**6).candidates(PANDA)]
    assert found == ["0000.png", "a/0000.png", "b/c/0000.png"]


def test_what_cannot_be_read_within_a_class_is_a_candidate_with_its_reason(data, tmp_path):
    fill(data / PANDA, [1])
    fill(data / COBRA, [2])
    (data / PANDA / "gone.jpg").symlink_to("nowhere")
    (data / PANDA / "passwd").symlink_to("/etc/passwd")
    (data / PANDA / "loop").symlink_to(data / PANDA)
    (data / PANDA / "inside").symlink_to(data / COBRA)
    os.mkfifo(data / PANDA / "pipe")
    ref, records = get_all(tmp_path / "home", data, PANDA)
    assert ref.accepted == 2 and ref.rejected == {"unreadable": 4}
    said = {name.removeprefix(f"{data}/{PANDA}/"): r["detail"] for name, r in records.items() if r["reason"]}
    assert said == {
        "gone.jpg": "a link that leads nowhere", "passwd": "a link out of the location",
        "loop": "a link to a folder that it lies in", "pipe": "no regular file",
    }  # fmt: skip


def test_a_mended_link_is_read_by_the_next_run(data, tmp_path):
    fill(data / PANDA, [1])
    (data / PANDA / "late.png").symlink_to(data / "late.png")
    assert get_all(tmp_path / "home", data, PANDA)[0].accepted == 1
    (data / "late.png").write_bytes(picture(2, kind="PNG"))
    assert get_all(tmp_path / "home", data, PANDA)[0].accepted == 2


def test_a_persons_own_copies_are_duplicates_and_one_of_them_is_kept(data, tmp_path):
    """A class may have been balanced by copying its files; of a host on the web, three alike are a placeholder."""
    folder = fill(data / PANDA, [1, 2])
    for copy in ("a", "b", "c"):
        (folder / f"0000 {copy}.png").write_bytes((folder / "0000.png").read_bytes())
    ref, _ = get_all(tmp_path / "home", data, PANDA)
    assert ref.accepted == 2 and ref.rejected == {"duplicate": 3}


def test_a_shortfall_says_what_was_seen_of_one_candidate(data, tmp_path):
    (data / PANDA).mkdir()
    for number in range(3):
        (data / PANDA / f"{number}.jpg").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    ref, _ = get_all(tmp_path / "home", data, PANDA)
    assert ref.rejected == {"not_an_image": 3}
    assert ref.example.startswith(f"{data}/{PANDA}/0.jpg: a pointer of Git LFS")


# Archives


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("name", ["a.tar", "a.TAR.GZ", "a.b.tgz", "a.tar.bz2", "a.tar.xz", "a.zip", "n1.Zip"])
def test_an_archive_is_known_by_how_its_name_ends(name):
    assert name.removesuffix(archive_suffix(name)) == name.split(".tar")[0].split(".TAR")[0].removesuffix(
        ".tgz"
    ).removesuffix(".zip").removesuffix(".Zip")


def test_a_tar_whose_member_leads_back_is_read_up_to_there(data, caplog):
    """A size below 0 leads back to the member before, and so on without end."""
    tar = archive(data / "fox.tar", [1, 2])
    content = bytearray(tar.read_bytes())
    second = 512 + (int(content[124:135], 8) + 511) // 512 * 512
    content[second + 124 : second + 136] = (2**96 - 1024).to_bytes(12, "big")
    content[second + 148 : second + 156] = b" " * 8
    content[second + 148 : second + 156] = f"{sum(content[second : second + 512]):06o}\0 ".encode()
    tar.write_bytes(content)
    with closing(FolderSource(str(data), 10**6)) as source:
        assert list(source.candidates("fox")) == [f"{tar}#(damaged at byte {second})", f"{tar}#0000.png"]
    assert "damaged or cut" in caplog.text


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_of_a_zip_that_nothing_bounds_is_rejected(data, tmp_path, kind):
    with zipfile.ZipFile(data / "fox.zip", "w") as archive_:
        archive_.writestr("1.png", picture(1, kind="PNG"))
        archive_.writestr("2.png", picture(2, kind="PNG"), compress_type=kind)
    ref, _ = get_all(tmp_path / "home", data, "fox")
    assert (ref.accepted, ref.rejected) == (1, {"unreadable": 1})
    assert ref.example.endswith("it is compressed otherwise than by Deflate")


@pytest.mark.parametrize("name", [".tar", "tar", "a.tart", "a.gz", "README", ".zip"])
def test_what_ends_otherwise_is_no_archive(name):
    assert archive_suffix(name) == ""


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [
        (".tar.gz", gzip.compress),
        (".tar.bz2", bz2.compress),
        (".txz", lzma.compress),
        (".tar.zst", zstandard.compress),
    ],
)
def test_the_members_of_a_compressed_archive_are_read_in_any_order(data, tmp_path, suffix, compress):
    plain = archive(data / "fox.tar", range(30))
    (data / f"fox{suffix}").write_bytes(compress(plain.read_bytes()))
    plain.unlink()
    ref, _ = get_all(tmp_path / "home", data, "fox", download_threads=8)
    assert (ref.accepted, ref.listed, ref.rejected) == (30, 30, {})


def test_the_members_of_a_zip_are_read_and_nothing_is_written_outside_the_home(data, tmp_path):
    names = ["x/1.png", "../../up.png", "/etc/absolute.png", "C:\\x.png", "__MACOSX/x/._1.png", "x/.hidden.png", "x/"]
    zipped(data / "fox.zip", {name: picture(n, kind="PNG") for n, name in enumerate(names)})
    link = zipfile.ZipInfo("x/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(data / "fox.zip", "a") as archive_:
        archive_.writestr(link, "/etc/passwd")
    before = everything_below(tmp_path, without=tmp_path / "home")
    ref, _ = get_all(tmp_path / "home", data, "fox", download_threads=8)
    assert (ref.accepted, ref.listed) == (4, 4)
    assert everything_below(tmp_path, without=tmp_path / "home") == before


def test_a_member_of_a_zip_over_max_bytes_is_rejected_whatever_its_header_says(data):
    path = zipped(data / "fox.zip", {"a.png": b"x" * 5000})
    content = path.read_bytes()
    path.write_bytes(content.replace((5000).to_bytes(4, "little"), (50).to_bytes(4, "little")))
    with closing(FolderSource(str(data), 1000)) as source:
        (locator,) = source.candidates("fox")
        with pytest.raises(Rejected):
            source.fetch(locator)


def test_a_damaged_or_encrypted_member_of_a_zip_costs_none_of_the_others(data, tmp_path):
    path = zipped(data / "fox.zip", {f"{n}.png": picture(n, kind="PNG") for n in range(3)})
    content = bytearray(path.read_bytes())
    place = content.index(b"2.png") + 60
    content[place] ^= 0xFF
    content[content.index(b"PK\1\2") + 8] |= 1  # the first member's flags in the directory
    path.write_bytes(content)
    ref, records = get_all(tmp_path / "home", data, "fox")
    assert ref.accepted == 1 and ref.rejected == {"unreadable": 2}
    assert {r["detail"].split(":")[0] for r in records.values() if r["reason"]} == {
        "it is encrypted", "the archive's member cannot be read",
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"no archive" * 100, b"", b"PK\3\4 and no more"])
def test_a_file_that_is_no_zip_is_a_data_error_that_names_it(data, content):
    (data / "fox.zip").write_bytes(content)
    with closing(FolderSource(str(data), 10**6)) as source, pytest.raises(DataError, match=r"fox\.zip: expected a "):
        source.candidates("fox")


def test_an_archive_that_grows_without_bound_is_refused(data, monkeypatch):
    monkeypatch.setattr("imagenet_tasks.download.members.MOST_BYTES_MORE", 10**6)
    (data / "fox.tar.gz").write_bytes(gzip.compress(bytes(10**7)))
    refused = pytest.raises(DataError, match=r"fox\.tar\.gz: .*uncompresses to more than .* bytes")
    with closing(FolderSource(str(data), 10**6)) as source, refused:
        source.candidates("fox")


@pytest.mark.parametrize("damage", ["cut", "header"])
def test_what_is_behind_the_damage_of_an_archive_is_not_lost_without_a_word(data, tmp_path, caplog, damage):
    path = archive(data / "fox.tar", range(6))
    with tarfile.open(path) as tar:
        place = tar.getmembers()[3].offset
    content = bytearray(path.read_bytes())
    content[place + 148 : place + 156] = b"damaged!"  # its check sum
    path.write_bytes(content[: place + 100] if damage == "cut" else content)
    said = f"damaged or cut at byte {place}: its first 3 files are used, those behind are lost"
    ref, records = get_all(tmp_path / "home", data, "fox")
    assert (ref.accepted, ref.rejected, ref.asked) == (3, {"truncated_transfer": 1}, 4)
    assert [r["detail"] for r in records.values() if r["state"] == "rejected"] == [said]
    assert said in caplog.text and ref.example == f"{path}#(damaged at byte {place}): {said}"


def test_the_damage_of_an_archive_of_all_classes_is_passed_over_by_name(data):
    with tarfile.open(data / "all.tar", "w") as tar:
        for name in ("cat/1.png", "dog/1.png"):
            add_member(tar, name, picture(1, kind="PNG"))
    content = (data / "all.tar").read_bytes()
    (data / "all.tar").write_bytes(content.rstrip(b"\0") + b"no header" * 100)
    with closing(FolderSource(str(data / "all.tar"), 10**6)) as source:
        (said,) = source.passed_over["neither a folder nor an archive"]
    assert said.startswith("(damaged at byte ")


def test_nothing_is_said_of_a_whole_archive(data, caplog):
    archive(data / "fox.tar", range(6))
    with closing(FolderSource(str(data), 10**6)) as source:
        assert len(source.candidates("fox")) == 6
    assert caplog.text == ""


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


@pytest.mark.parametrize("line", [b"{", b"[]", b"null", b"[" * 100_000, b'{"candidate": "x"}', b"\xff\xfe"])
def test_a_damaged_line_of_the_records_costs_its_candidate_alone(data, tmp_path, caplog, line):
    fill(data / PANDA, [1, 2])
    get_all(tmp_path / "home", data, PANDA)
    records = tmp_path / "home" / "images" / PANDA / "records.jsonl"
    first, _ = records.read_bytes().splitlines()
    records.write_bytes(first + b"\n" + line + b"\n")
    ref, found = get_all(tmp_path / "home", data, PANDA)
    assert ref.accepted == 2 and len(found) == 2
    assert "line 2: expected a record" in caplog.text
    assert records.read_bytes().splitlines()[0] == first


def test_folders_behind_an_fsspec_url_are_read_at_any_depth():
    store = Store("memory://nested-test")
    store.write_bytes("cat/a/b/1.png", picture(1, kind="PNG"))
    store.write_bytes("cat/2.png", picture(2, kind="PNG"))
    source = FolderSource("memory://nested-test", 10**6)
    root = "memory://nested-test/cat"
    assert list(source.candidates("cat")) == [f"{root}/2.png", f"{root}/a/b/1.png"]
    assert source.fetch(f"{root}/a/b/1.png") == picture(1, kind="PNG")


def test_a_folder_of_blanks_is_a_class_too(data):
    fill(data / "  ", [1])
    (found,) = FolderSource(str(data), 10**6).classes()
    assert found.name == "  " and found.class_id.startswith("class-")


def test_an_id_does_not_follow_from_the_order_or_number_of_names_that_are_alike(data):
    fill(data / "cat", [1])
    assert ids(FolderSource(str(data), 10**6)) == ["cat"]
    fill(data / "Cat", [1])
    source = FolderSource(str(data), 10**6)
    assert {c.name: c.class_id for c in source.classes()}["cat"] == "cat"


def test_a_folder_that_is_called_like_an_own_id_is_a_class_of_its_own(data):
    fill(data / "caf\u00e9", [1])
    (cafe,) = ids(FolderSource(str(data), 10**6))
    fill(data / cafe, [2])
    source = FolderSource(str(data), 10**6)
    assert {c.name for c in source.classes()} == {"caf\u00e9", cafe} and len(set(ids(source))) == 2


def test_f27_names_that_are_no_text_or_end_a_line_are_told_without_harm(data):
    fill(data / PANDA, [1])
    (data / os.fsdecode(b"LISEZ-\xe9.txt")).write_text("x")
    (data / "a\nINFO b").write_text("x")
    (said,) = told(FolderSource(str(data), 10**6).passed_over)
    assert said.encode() and "\n" not in said
    assert (
        said
        == "neither a folder nor an archive: 2 (LISEZ-\N{REPLACEMENT CHARACTER}.txt, a\N{REPLACEMENT CHARACTER}INFO b)"
    )


@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
def test_f14_links_out_and_up_are_not_followed_however_the_location_is_written(data, scheme):
    fill(data / "cat", [1])
    fill(data / "dog", [2])
    (data / "all").symlink_to(data)
    (data / "out").symlink_to("/etc")
    for name in ("cat", "dog"):
        (data / name / "up").symlink_to("..")
    (data / "cat" / "x").symlink_to(data / "dog")
    (data / "dog" / "y").symlink_to(data / "cat")
    source = FolderSource(f"{scheme}{data}", 10**6)
    assert ids(source) == ["cat", "dog"]
    assert source.passed_over["a link out of the location"] == ["out"]
    assert source.passed_over["a link to a folder that it lies in"] == ["all"]
    assert len(source.candidates("cat")) < 10


@pytest.mark.parametrize("first", ["PK_1.png", "BZh_1.png", "BZh91.png"])
def test_a_tar_is_a_tar_whatever_its_first_file_is_called(data, first):
    archive(data / "fox.tar", [1, 2], names=[first, "z.png"])
    with closing(FolderSource(str(data), 10**6)) as source:
        assert len(source.candidates("fox")) == 2


def test_a_folder_that_is_called_like_an_archive_is_a_folder(data):
    fill(data / "fox.zip", [1])
    with closing(FolderSource(str(data), 10**6)) as source:
        (fox,) = source.classes()
        assert fox.name == "fox.zip" and len(source.candidates(fox.class_id)) == 1


@pytest.mark.parametrize("share", [0.5, 0.9])
@pytest.mark.parametrize(
    ("suffix", "compress"), [(".tar.gz", gzip.compress), (".tar.bz2", lambda data: bz2.compress(data, 1))]
)
def test_of_a_cut_compressed_archive_most_files_before_the_end_are_used(data, suffix, compress, share):
    plain = archive(data / "fox.tar", range(200))
    content = compress(plain.read_bytes())
    plain.unlink()
    (data / f"fox{suffix}").write_bytes(content[: int(share * len(content))])
    with closing(FolderSource(str(data), 10**6)) as source:
        assert len(source.candidates("fox")) > 40


def test_a_damaged_zip_ends_in_an_error_of_ours_or_costs_its_damaged_files_alone(data):
    path = zipped(data / "fox.zip", {f"{n} é.png": picture(n, kind="PNG") for n in range(3)})
    whole, random = path.read_bytes(), np.random.default_rng(1)
    ended = Counter()
    for _ in range(300):
        content = bytearray(whole)
        for place in random.integers(len(content) - 400, len(content), 3):
            content[place] = random.integers(256)
        path.write_bytes(content)
        with closing(FolderSource(str(data), 10**6)) as source:
            try:
                found = source.candidates("fox")
            except (DataError, SourceUnavailable):
                ended["refused"] += 1
                continue
            for locator in found:
                try:
                    ended["read"] += bool(source.fetch(locator))
                except Rejected:
                    ended["rejected"] += 1
    assert set(ended) == {"refused", "read", "rejected"}
