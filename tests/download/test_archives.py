"""The source `synset-archives`: archives that are judged while they arrive, over real sockets."""

import gzip
import io
import logging
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes.pictures import COBRA, add_member, picture, quiet
from fakes.web import FOREVER_S, FaultServer, answers, in_turn, redirects, resets, serves

from imagenet_tasks import images
from imagenet_tasks.artifacts.references import Selection
from imagenet_tasks.download import archives, stage
from imagenet_tasks.download.records import Records
from imagenet_tasks.download.sources import open_source
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.errors import ConfigError, DataError, SourceUnavailable
from imagenet_tasks.settings.classes import find_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.settings.credentials import Credentials
from imagenet_tasks.store.storage import Store

CLASS = find_class(COBRA)
PATH = f"/{COBRA}.tar"
BLOCK = tarfile.BLOCKSIZE


@pytest.fixture
def web():
    with FaultServer() as server:
        yield server


@pytest.fixture(autouse=True)
def naps(monkeypatch) -> list[float]:
    """The waits between requests: they are counted and take no time."""
    slept_s: list[float] = []
    monkeypatch.setattr(archives, "time", type("Naps", (), {"sleep": staticmethod(slept_s.append)}))
    return slept_s


@pytest.fixture
def judged(monkeypatch) -> list[bytes]:
    """What was judged, in its order."""
    seen: list[bytes] = []
    real = images.judge

    def judge(data, **limits):
        seen.append(data)
        return real(data, **limits)

    monkeypatch.setattr(stage.images, "judge", judge)
    return seen


def tar_of(fill: Callable[[tarfile.TarFile], None], **options) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", **options) as tar:
        fill(tar)
    return file.getvalue()


def pictures(*seeds: int, **options) -> bytes:
    """An archive with a picture per seed, `<wnid>_<seed>.JPEG`."""
    return tar_of(lambda tar: [add_member(tar, f"{COBRA}_{s}.JPEG", picture(s)) for s in seeds], **options)


def end_of(*seeds: int) -> int:
    """Where the last of the pictures' members ends."""
    return sum(BLOCK + -(-len(picture(seed)) // BLOCK) * BLOCK for seed in seeds)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


def settings(web, wanted: int, **others) -> DownloadConfig:
    given = {"source": "synset-archives", "location": f"{web.url}/{{wnid}}.tar", "accept_imagenet_terms": True}
    bounds = {"images_per_class": wanted, "read_timeout_s": 5, "max_bytes": 100_000, "download_threads": 4}
    return DownloadConfig(**given | bounds | others)


def get(home: Path, web, wanted: int, *, accept: str = "none", credentials=None, **others) -> tuple[str, ...]:
    """Returns the files of the class's pictures."""
    store, config = Store(home), settings(web, wanted, **others)
    ref, _ = download_class(store, config, CLASS, progress=quiet(wanted), credentials=credentials, accept=accept)
    return Selection.from_json(store.read_bytes(ref.key), where=ref.key).files


def records(home: Path) -> list[dict]:
    found = Records(Store(home), COBRA)._records.values()
    return sorted((r for r in found if r["candidate"].partition("#")[2]), key=lambda record: record["start"])


def verdicts(home: Path) -> dict[str, str | None]:
    """The reason for which each member was rejected, None for a picture, by its name."""
    return {record["candidate"].rpartition(":")[2]: record["reason"] for record in records(home)}


def stored(home: Path) -> list[str]:
    """The names of the files that lie in the class's folder, without the records' own."""
    names = {path.name for path in (home / "images" / COBRA).iterdir()} - {"records.jsonl", ".lock"}
    return sorted(name for name in names if not name.startswith("selected-"))


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_an_archives_pictures_are_those_of_the_class(web, tmp_path):
    web.routes[PATH] = serves(pictures(1, 2, 3))
    files = get(tmp_path, web, 3)
    assert [(tmp_path / "images" / COBRA / file).read_bytes() for file in files] == [picture(s) for s in (1, 2, 3)]
    assert verdicts(tmp_path) == dict.fromkeys(f"{COBRA}_{s}.JPEG" for s in (1, 2, 3))


def test_of_a_short_archive_all_pictures_are_used_and_the_shortage_is_said(web, tmp_path, caplog):
    web.routes[PATH] = serves(pictures(1, 2, 3))
    assert len(get(tmp_path, web, 10)) == 3
    assert "3 of 10 pictures: 7 short after all 3 candidates" in caplog.text


def test_the_transfer_stops_as_soon_as_enough_are_accepted(web, tmp_path):
    web.routes[PATH] = serves(pictures(*range(5)) + bytes(64_000_000))
    assert len(get(tmp_path, web, 4)) == 4
    assert web.sent[PATH] < 20_000_000  # what the sockets' buffers took


def test_a_slot_is_given_back_when_a_class_is_done(web, tmp_path):
    web.routes[PATH] = serves(pictures(*range(9)))
    for number in range(3):
        get(tmp_path / str(number), web, 2, max_requests_per_host=1)


def test_a_transfer_is_closed_when_its_class_fails_for_another_reason(web, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OSError("disk")

    web.routes[PATH] = serves(pictures(*range(9)) + bytes(64_000_000))
    with monkeypatch.context() as broken:
        broken.setattr(Store, "write_bytes", fails)
        with pytest.raises(OSError, match="disk") as caught:  # its traceback holds what the stage held
            get(tmp_path, web, 9, max_requests_per_host=1)
    assert len(get(tmp_path, web, 2, max_requests_per_host=1)) == 2 and caught


@pytest.mark.parametrize("threads", [1, 4, 16])
def test_the_number_of_threads_does_not_change_the_pictures(web, tmp_path, threads):
    web.routes[PATH] = serves(pictures(1, 2, 1, 3, 4, 5, 6))
    assert get(tmp_path / "a", web, 5, download_threads=threads) == get(tmp_path / "b", web, 5)
    assert verdicts(tmp_path / "a") == verdicts(tmp_path / "b")


# Transfers that stop


WHOLE = pictures(*range(6))
END = BLOCK + -(-len(picture(0)) // BLOCK) * BLOCK  # of the first member
PLACES = {
    "within the first header": 100,
    "within a member": BLOCK + 200,
    "between two members": END,
    "within a later header": END + 100,
    "within a later member": END + BLOCK + 300,
    "within what fills a member up": END - 1,
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_f15_a_transfer_that_is_cut_goes_on_there(web, tmp_path, judged, place):
    web.routes[PATH] = serves(WHOLE)
    uninterrupted = get(tmp_path / "whole", web, 6)
    del judged[:]
    web.ranges.clear()
    web.routes[PATH] = serves(WHOLE, cut_after=(place,))
    assert get(tmp_path / "cut", web, 6) == uninterrupted
    assert web.ranges[PATH] == ["", f"bytes={place}-"]
    assert sorted(judged) == sorted(picture(s) for s in range(6))
    assert verdicts(tmp_path / "cut") == verdicts(tmp_path / "whole")


def test_f15_a_transfer_may_be_cut_many_times(web, tmp_path):
    web.routes[PATH] = serves(WHOLE, cut_after=(700,) * 10)
    assert len(get(tmp_path, web, 6)) == 6
    assert web.ranges[PATH][:4] == ["", "bytes=700-", "bytes=1400-", "bytes=2100-"]


def test_f15_a_transfer_that_stalls_goes_on_there(web, tmp_path):
    def stalls(handler):
        handler.head(200, len(WHOLE), ETag='"v1"')
        handler.body(WHOLE[:3000])
        handler.close_connection = True
        handler.server.web.stopping.wait(FOREVER_S)

    web.routes[PATH] = in_turn(stalls, serves(WHOLE))
    assert len(get(tmp_path, web, 6, read_timeout_s=0.2)) == 6
    assert web.ranges[PATH] == ["", "bytes=3000-"]


@pytest.mark.parametrize("said", [True, False], ids=["with its length", "without"])
@pytest.mark.parametrize("fault", ["resets", "stalls"])
def test_f15_a_connection_that_breaks_is_not_the_archives_end(web, tmp_path, said, fault):
    def breaks(handler):
        handler.head(200, len(WHOLE) if said else None, ETag='"v1"')
        handler.body(WHOLE[:3000])
        handler.wfile.flush()
        handler.server.web.stopping.wait(0.2)
        (resets if fault == "resets" else handler.server.web.stopping.wait)(handler if fault == "resets" else 60)

    web.routes[PATH] = in_turn(breaks, serves(WHOLE))
    assert len(get(tmp_path, web, 6, read_timeout_s=0.4)) == 6


def test_f15_a_body_in_chunks_that_is_cut_is_not_the_archives_end(web, tmp_path):
    def chunked(handler):
        handler.close_connection = True
        handler.head(200, None, ETag='"v1"', Transfer_Encoding="chunked")
        handler.body(b"%x\r\n" % 3000 + WHOLE[:3000] + b"\r\n")

    web.routes[PATH] = in_turn(chunked, serves(WHOLE))
    assert len(get(tmp_path, web, 6)) == 6
    assert web.ranges[PATH] == ["", "bytes=3000-"]


def test_an_archive_whose_server_does_not_say_its_length_is_read_to_its_end(web, tmp_path):
    web.routes[PATH] = serves(WHOLE, said=False, version=None)
    assert len(get(tmp_path, web, 10)) == 6
    assert web.requests[PATH] == 1


@pytest.mark.parametrize("version", ['"v1"', None])
def test_f15_a_server_without_ranges_is_read_anew_and_each_member_is_judged_once(web, tmp_path, judged, version):
    web.routes[PATH] = serves(WHOLE, ranges=False, version=version, cut_after=(3000,))
    assert len(get(tmp_path, web, 6)) == 6
    assert web.ranges[PATH] == ["", "bytes=3000-"]
    assert sorted(judged) == sorted(picture(s) for s in range(6))


def test_f15_a_server_that_fails_for_a_moment_is_asked_again(web, tmp_path, naps):
    unavailable = answers(b"", status=503)
    web.routes[PATH] = in_turn(unavailable, resets, unavailable, serves(WHOLE))
    assert len(get(tmp_path, web, 6)) == 6
    assert len(naps) == 3 and all(0 <= wait_s <= 4 for wait_s in naps)


def test_f10_an_archives_server_that_asks_to_wait_is_waited_for(web, tmp_path):
    web.routes[PATH] = in_turn(answers(b"", status=429, Retry_After="1"), serves(WHOLE))
    assert len(get(tmp_path, web, 6, retry_after_cap_s=0.05)) == 6


@pytest.mark.parametrize("fault", [resets, answers(b"", status=503), answers(b"", status=429)])
def test_f16_a_server_that_keeps_failing_makes_the_class_unavailable(web, tmp_path, fault):
    web.routes[PATH] = fault
    with pytest.raises(SourceUnavailable, match=rf"{PATH}: stopped at byte 0 .* The next attempt goes on from there"):
        get(tmp_path, web, 6)
    assert web.requests[PATH] == archives.TRIES


def test_f15_a_server_that_dies_is_gone_on_with_behind_the_last_recorded_member(web, tmp_path, judged):
    whole = pictures(*range(20))
    web.routes[PATH] = serves(whole)
    uninterrupted = get(tmp_path / "whole", web, 20)
    web.routes[PATH] = in_turn(serves(whole, cut_after=(len(whole) * 2 // 5,)), resets)
    with pytest.raises(SourceUnavailable, match="The next attempt goes on from there"):
        get(tmp_path / "died", web, 20, download_threads=1)
    known = records(tmp_path / "died")
    assert 5 < len(known) < 12 and {r["state"] for r in known} == {"accepted"}

    del judged[:]
    web.ranges.clear()
    web.routes[PATH] = serves(whole)
    assert get(tmp_path / "died", web, 20) == uninterrupted
    assert web.ranges[PATH] == [f"bytes={known[-1]['end']}-"]
    assert len(judged) == 20 - len(known)


KILLED = """
import sys
from imagenet_tasks.settings.classes import find_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.download import stage
from imagenet_tasks.workflow.progress import Progress
from imagenet_tasks.store.storage import Store
stage.SAVE_EVERY_S = 0
settings = DownloadConfig(source="synset-archives", location=sys.argv[1] + "/{wnid}.tar", images_per_class=20,
                          accept_imagenet_terms=True, download_threads=2, read_timeout_s=60, max_bytes=100_000)
listeners = (lambda snapshot: print(snapshot.done, flush=True),)
progress = Progress(task="t", item="", label="", total=20, unit="u", interval_s=0, listeners=listeners)
stage.download_class(Store(sys.argv[2]), settings, find_class(sys.argv[3]), progress=progress)
"""


def test_f15_a_killed_task_is_gone_on_with_behind_the_last_recorded_member(web, tmp_path):
    def stalls(handler):
        handler.head(200, len(whole), ETag='"v1"')
        handler.body(whole[: len(whole) // 2])
        handler.server.web.stopping.wait(FOREVER_S)

    whole = pictures(*range(20))
    web.routes[PATH] = stalls
    command = [sys.executable, "-c", KILLED, web.url, str(tmp_path / "home"), COBRA]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            if line.strip() == "8":
                break
        child.kill()
    web.ranges.clear()
    web.routes[PATH] = serves(whole)
    files = get(tmp_path / "home", web, 20)
    assert int(web.ranges[PATH][0].removeprefix("bytes=").removesuffix("-")) > 5 * BLOCK
    assert files == get(tmp_path / "whole", web, 20)


# Runs after runs


def test_a_second_run_with_enough_pictures_makes_no_request(web, tmp_path):
    web.routes[PATH] = serves(WHOLE)
    files = get(tmp_path, web, 4)
    hits = web.requests.total()
    assert get(tmp_path, web, 4) == files
    assert web.requests.total() == hits


def test_a_run_that_wants_more_goes_on_from_the_last_member(web, tmp_path, judged):
    web.routes[PATH] = serves(WHOLE)
    few = get(tmp_path, web, 3)
    end = records(tmp_path)[-1]["end"]
    web.ranges.clear()
    more = get(tmp_path, web, 5)
    assert (more[:3], len(more), web.ranges[PATH]) == (few, 5, [f"bytes={end}-"])
    assert len(judged) == 5


def test_a_run_that_wants_fewer_uses_the_first(web, tmp_path):
    web.routes[PATH] = serves(WHOLE)
    files = get(tmp_path, web, 5)
    assert get(tmp_path, web, 2) == files[:2]
    assert web.requests[PATH] == 1


def test_a_class_that_is_short_asks_only_for_what_is_behind_the_last_member(web, tmp_path, judged):
    web.routes[PATH] = serves(WHOLE)
    files = get(tmp_path, web, 10)
    web.sent.clear()
    assert get(tmp_path, web, 10) == files
    assert len(judged) == 6 and web.sent[PATH] < tarfile.RECORDSIZE


def test_a_stored_picture_that_was_deleted_is_read_again_from_its_place(web, tmp_path):
    web.routes[PATH] = serves(pictures(1, 2, 3, 2, 4))
    files = get(tmp_path, web, 4)
    before = verdicts(tmp_path)
    (tmp_path / "images" / COBRA / files[2]).unlink()
    web.ranges.clear()
    assert get(tmp_path, web, 4) == files
    assert web.ranges[PATH] == [f"bytes={records(tmp_path)[2]['start']}-"]
    assert (tmp_path / "images" / COBRA / files[2]).read_bytes() == picture(3)
    assert verdicts(tmp_path) == before


def test_members_that_are_read_once_more_keep_their_verdicts(web, tmp_path):
    whole = tar_of(lambda tar: [add_member(tar, f"{i}.JPEG", picture(s)) for i, s in enumerate((1, 2, 3, 2, 9, 9, 9))])
    web.routes[PATH] = serves(whole)
    files = get(tmp_path, web, 10)
    before = verdicts(tmp_path)
    assert list(before.values()) == [None, None, None, "duplicate", *["placeholder"] * 3]
    (tmp_path / "images" / COBRA / files[0]).unlink()
    assert get(tmp_path, web, 10) == files
    assert verdicts(tmp_path) == before


def test_other_limits_read_the_archive_anew(web, tmp_path, judged):
    web.routes[PATH] = serves(WHOLE)
    get(tmp_path, web, 6)
    assert len(get(tmp_path, web, 6, min_side_px=30)) == 6
    assert (len(judged), web.ranges[PATH]) == (12, ["", ""])


@pytest.mark.parametrize("seeds", [range(50, 59), range(3, 12), range(2), [5, 4, 3, 2, 1, 0, 7]])
def test_an_archive_that_changed_between_runs_is_read_anew(web, tmp_path, seeds):
    web.routes[PATH] = serves(WHOLE)
    get(tmp_path / "home", web, 4)
    web.routes[PATH] = serves(pictures(*seeds), version='"v2"')
    changed = get(tmp_path / "home", web, 7)
    assert changed == get(tmp_path / "fresh", web, 7)


def test_an_archive_that_became_shorter_than_what_is_known_of_it_is_read_anew(web, tmp_path):
    web.routes[PATH] = serves(pictures(*range(20)))
    get(tmp_path / "home", web, 15)
    known_to = records(tmp_path / "home")[-1]["end"]
    web.ranges.clear()
    web.routes[PATH] = serves(pictures(50, 51), version='"v2"')
    assert get(tmp_path / "home", web, 16) == get(tmp_path / "fresh", web, 16)
    assert web.ranges[PATH] == [f"bytes={known_to}-", "", ""]


def test_an_archive_that_ends_with_its_last_member_is_read_once(web, tmp_path, judged):
    web.routes[PATH] = serves(pictures(1, 2)[: end_of(1, 2)])
    files = get(tmp_path, web, 5)
    assert (get(tmp_path, web, 5), len(files), len(judged)) == (files, 2, 2)
    assert web.ranges[PATH] == ["", f"bytes={end_of(1, 2)}-"]


def test_a_member_that_changed_in_its_place_is_counted_once(web, tmp_path):
    def archive(*seeds: int) -> bytes:  # whose members are all as long
        members = [picture(seed, rows=24, columns=24).ljust(1000, b"\0") for seed in seeds]
        return tar_of(lambda tar: [add_member(tar, f"{i}", data) for i, data in enumerate(members)])

    web.routes[PATH] = serves(archive(1, 2))
    assert len(get(tmp_path / "home", web, 3)) == 2
    web.routes[PATH] = serves(archive(3, 4, 5, 6), version='"v2"')
    changed = get(tmp_path / "home", web, 3, download_threads=1)
    assert changed == get(tmp_path / "fresh", web, 3) and len(changed) == 3


def test_an_archive_that_changed_while_it_was_read_is_tried_again_and_then_right(web, tmp_path):
    other = pictures(*range(50, 60))
    web.routes[PATH] = in_turn(serves(WHOLE, cut_after=(3000,)), serves(other, version='"v2"'))
    with pytest.raises(SourceUnavailable, match="it changed while it was read"):
        get(tmp_path / "home", web, 8)
    files = get(tmp_path / "home", web, 8)
    assert files == get(tmp_path / "fresh", web, 8)


def test_an_archive_without_length_that_changed_while_it_was_read_is_tried_again(web, tmp_path):
    def breaks(handler):
        handler.head(200, None, ETag='"v1"', Transfer_Encoding="chunked")
        handler.body(b"%x\r\n" % 3000 + WHOLE[:3000] + b"\r\n")

    web.routes[PATH] = in_turn(breaks, serves(pictures(*range(50, 60)), version='"v2"'))
    with pytest.raises(SourceUnavailable, match="it changed while it was read"):
        get(tmp_path, web, 8)


def test_an_answer_from_another_place_than_was_asked_for_is_a_data_error(web, tmp_path):
    wrong = answers(WHOLE[100:], status=206, ETag='"v1"', Content_Range=f"bytes 100-{len(WHOLE) - 1}/{len(WHOLE)}")
    web.routes[PATH] = in_turn(serves(WHOLE, cut_after=(3000,)), wrong)
    with pytest.raises(DataError, match="asked from byte 3000, received"):
        get(tmp_path, web, 6)


# Archives that are none


def test_f14_a_login_page_instead_of_an_archive_is_a_data_error_that_names_the_connection(web, tmp_path):
    web.routes[PATH] = answers(b"<!DOCTYPE html><title>Log in</title>" * 40, kind="text/html")
    with pytest.raises(DataError, match=r"received b'<!DOCTYPE ht'.*`connection`"):
        get(tmp_path, web, 6)


@pytest.mark.parametrize("body", [b"", b"x", gzip.compress(bytes(20_000_000)), gzip.compress(WHOLE)])
def test_f14_what_is_no_tar_archive_is_a_data_error(web, tmp_path, body):
    web.routes[PATH] = serves(body)
    with pytest.raises(DataError, match="expected a tar archive"):
        get(tmp_path, web, 6)


def test_f14_a_gzipped_answer_is_not_unfolded(web, tmp_path):
    web.routes[PATH] = answers(gzip.compress(bytes(20_000_000)), Content_Encoding="gzip")
    with pytest.raises(DataError, match="expected a tar archive"):
        get(tmp_path, web, 6)


def test_an_empty_archive_is_a_class_without_pictures(web, tmp_path, caplog):
    web.routes[PATH] = serves(tar_of(lambda tar: None))
    assert get(tmp_path, web, 6) == ()
    assert "0 of 6 pictures" in caplog.text


@pytest.mark.parametrize("status", [404, 410])
def test_f01_a_class_whose_archive_is_gone_is_a_data_error_that_says_what_to_do(web, tmp_path, status):
    web.routes[PATH] = answers(b"", status=status)
    with pytest.raises(DataError, match=f"{PATH}: the server has no such archive. Leave the class out"):
        get(tmp_path, web, 6)
    assert web.requests[PATH] == 1


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_server_that_refuses_is_a_config_error_that_says_what_to_check(web, tmp_path, status):
    web.routes[PATH] = answers(b"", status=status)
    with pytest.raises(ConfigError, match=f"HTTP {status}.*Check `location`, and `connection`"):
        get(tmp_path, web, 6)
    assert web.requests[PATH] == 1


# Hostile members


PLANTED = ["../../planted", "/tmp/planted-absolute", "n\ud8ff\n", "a" * 300 + ".jpg", "../" * 90 + "planted", "CON"]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_f13_f14_whatever_members_are_called_only_their_hashes_name_files(web, tmp_path, format):
    names = [name.encode("utf-8", "replace").decode() for name in PLANTED]
    web.routes[PATH] = serves(
        tar_of(lambda tar: [add_member(tar, n, picture(i)) for i, n in enumerate(names)], format=format)
    )
    home = tmp_path / "a" / "b" / "home"
    files = get(home, web, len(names))
    assert len(files) == len(names)
    outside = [path for path in tree(tmp_path) if not path.startswith("a/b/home") and path not in ("a", "a/b")]
    assert outside == [] and not Path("/tmp/planted-absolute").exists()
    assert stored(home) == sorted(files)


def test_f13_a_name_with_nul_and_bytes_that_are_no_text_is_only_a_record(web, tmp_path):
    raw = bytearray(pictures(1, 2))
    raw[:10] = b"\x00\xff../..\xff\x00x"
    checksum = 256 + sum(raw[:148]) + sum(raw[156:BLOCK])
    raw[148:156] = b"%06o\0 " % checksum
    web.routes[PATH] = serves(bytes(raw))
    files = get(tmp_path, web, 2)
    assert get(tmp_path, web, 2) == files and len(files) == 2


SPECIAL = {
    "hard link": tarfile.LNKTYPE,
    "symbolic link": tarfile.SYMTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
    "directory": tarfile.DIRTYPE,
}


@pytest.mark.parametrize("kind", SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize("size", [0, 10**9], ids=["", "that says a size"])
def test_f14_links_devices_and_folders_are_no_candidates(web, tmp_path, kind, size):
    special = header("special", size, kind)
    web.routes[PATH] = serves(pictures(1)[: end_of(1)] + special + pictures(2))
    assert len(get(tmp_path, web, 5)) == 2
    assert list(verdicts(tmp_path)) == [f"{COBRA}_1.JPEG", f"{COBRA}_2.JPEG"]


def test_f14_an_old_sparse_member_is_passed_over_with_the_blocks_of_its_map(web, tmp_path):
    sparse = bytearray(header("sparse", 1000, tarfile.GNUTYPE_SPARSE))
    sparse[482] = 1
    sparse[148:156] = b" " * 8
    sparse[148:156] = b"%06o\0 " % sum(sparse)
    goes_on, last = bytearray(BLOCK), bytearray(BLOCK)
    goes_on[504] = 1
    web.routes[PATH] = serves(bytes(sparse + goes_on + last) + bytes(2 * BLOCK) + pictures(1, 2))
    assert len(get(tmp_path, web, 2)) == 2


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK])
def test_f14_a_header_that_claims_gigabytes_is_not_read_into_memory(web, tmp_path, kind):
    web.routes[PATH] = serves(pictures(1)[: end_of(1)] + header("x", 5 * 10**9, kind) + pictures(2))
    assert len(get(tmp_path, web, 5)) == 1


@pytest.mark.parametrize("size", [10 * 10**12, 2**80])
def test_f14_a_member_that_claims_terabytes_is_too_large(web, tmp_path, size):
    web.routes[PATH] = serves(pictures(1)[: end_of(1)] + header("huge", size) + pictures(2))
    assert len(get(tmp_path, web, 5)) == 1
    assert verdicts(tmp_path) == {f"{COBRA}_1.JPEG": None, "huge": "too_large"}


def test_f14_a_negative_size_ends_the_archive(web, tmp_path, caplog):
    bad = bytearray(header("bad", 0))
    bad[124:136] = b"\xff" * 11 + b"\x00"  # -256
    bad[148:156] = b" " * 8
    bad[148:156] = b"%06o\0 " % sum(bad)
    web.routes[PATH] = serves(pictures(1)[: end_of(1)] + bytes(bad) + pictures(2))
    assert len(get(tmp_path, web, 5)) == 1
    assert f"damaged at byte {end_of(1)}" in caplog.text


def test_f14_what_is_too_large_is_passed_over_by_a_range(web, tmp_path):
    huge = header("huge", 30_000_000) + bytes(-(-30_000_000 // BLOCK) * BLOCK)
    web.routes[PATH] = serves(pictures(1)[: end_of(1)] + huge + pictures(2))
    assert len(get(tmp_path, web, 2)) == 2
    assert verdicts(tmp_path)["huge"] == "too_large"
    assert web.ranges[PATH] == ["", f"bytes={end_of(1) + len(huge)}-"]


def test_f14_of_an_archive_that_ends_early_the_whole_members_are_used(web, tmp_path):
    web.routes[PATH] = serves(pictures(1, 2)[: end_of(1) + BLOCK + 100])
    assert len(get(tmp_path, web, 2)) == 1
    assert verdicts(tmp_path) == {f"{COBRA}_1.JPEG": None, f"{COBRA}_2.JPEG": "truncated_transfer"}


def test_f14_of_an_archive_with_garbage_in_it_what_came_before_is_used(web, tmp_path, caplog):
    web.routes[PATH] = serves(pictures(1, 2)[: end_of(1, 2)] + b"garbage!" * 640 + pictures(3))
    for _ in range(2):  # a later run says it, too
        assert len(get(tmp_path, web, 3)) == 2
        assert verdicts(tmp_path)["damaged"] == "truncated_transfer"
    assert f"damaged at byte {end_of(1, 2)}: what came before it is used" in caplog.text


def test_f14_an_empty_member_and_one_that_is_no_picture_are_rejected(web, tmp_path):
    def fill(tar):
        add_member(tar, "empty")
        add_member(tar, "text", b"no picture")
        add_member(tar, "good", picture(1))

    web.routes[PATH] = serves(tar_of(fill))
    assert len(get(tmp_path, web, 3)) == 1
    assert verdicts(tmp_path) == {"empty": "not_an_image", "text": "not_an_image", "good": None}
    assert len(stored(tmp_path)) == 1


MEMORY = """
import resource, sys
from imagenet_tasks.settings.classes import find_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.workflow.progress import Progress
from imagenet_tasks.store.storage import Store
peak_mb = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
settings = DownloadConfig(source="synset-archives", location=sys.argv[1] + "/{wnid}.tar", images_per_class=3,
                          accept_imagenet_terms=True, max_bytes=1_000_000)
progress = Progress(task="t", item="", label="", total=3, unit="u", listeners=())
before_mb = peak_mb()
ref, _ = download_class(Store(sys.argv[2]), settings, find_class(sys.argv[3]), progress=progress)
print(ref.accepted, round(peak_mb() - before_mb))
"""


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE], ids=["a member", "a pax header"])
def test_f14_three_hundred_megabytes_that_are_really_sent_need_little_memory(web, tmp_path, kind):
    def sends(handler):
        size = 2300 * 256 * BLOCK
        first, last = pictures(1)[: end_of(1)] + header("huge", size, kind), pictures(2)
        handler.head(200, len(first) + size + len(last))
        handler.body(first)
        for _ in range(0, size, 256 * BLOCK):
            handler.body(bytes(256 * BLOCK))
        handler.body(last)

    web.routes[PATH] = sends
    command = [sys.executable, "-c", MEMORY, web.url, str(tmp_path), COBRA]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert int(said[1]) < 60
    assert web.sent[PATH] > 280_000_000


# Secrets and terms


def test_f36_credentials_and_a_locations_query_are_in_no_record_and_no_log(web, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    web.routes |= {f"{PATH}?sig=hunter2": serves(WHOLE + b"garbage!" * 64)}
    credentials = Credentials(host=web.netloc, authorization="Bearer hunter3")
    get(tmp_path, web, 9, location=f"{web.url}/{{wnid}}.tar?sig=hunter2", credentials=credentials)
    assert web.headers[f"{PATH}?sig=hunter2"]["authorization"] == "Bearer hunter3"
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"hunter" not in written and "hunter" not in caplog.text
    assert len(verdicts(tmp_path)) == 6


def test_f36_credentials_are_not_sent_where_the_archives_server_redirects_to(web, tmp_path):
    with FaultServer() as mirror:
        mirror.routes["/m"] = serves(WHOLE)
        web.routes[PATH] = redirects(f"{mirror.url}/m")
        credentials = Credentials(host=web.netloc, authorization="Bearer hunter3")
        get(tmp_path, web, 6, credentials=credentials, allowed_private_hosts=(mirror.netloc,))
        assert "authorization" not in mirror.headers["/m"]
        assert web.headers[PATH]["authorization"] == "Bearer hunter3"


@pytest.mark.parametrize("source", ["synset-archives", "url-list"])
def test_a_source_that_reaches_imagenet_needs_its_terms_accepted(web, tmp_path, source):
    config = DownloadConfig(source=source, location=f"{web.url}/{{wnid}}.tar")
    with (
        pytest.raises(ConfigError, match=r"accept_imagenet_terms.*non-commercial.*Set it to true to accept"),
        open_source(config, Store(tmp_path)),
    ):
        pass
    assert web.hits() == 0


@pytest.mark.parametrize("location", ["/data/{wnid}.tar", "http://h/all.tar", "file:///data/{wnid}.tar"])
def test_a_location_that_leads_to_no_archives_is_a_config_error(tmp_path, location):
    config = DownloadConfig(source="synset-archives", location=location, accept_imagenet_terms=True)
    with (
        pytest.raises(ConfigError, match=r"expected an http\(s\) URL with \{wnid\}"),
        open_source(config, Store(tmp_path)),
    ):
        pass
