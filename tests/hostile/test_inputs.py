"""Thousands of pictures, archives, lines and settings that do harm: each is refused by an error of ours, or used."""

import shutil
import socket

import pytest
from fakes import hostile
from fakes.pictures import quiet

from imagenet_tasks import images
from imagenet_tasks.download import members, sockets
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.download.stage import download_class
from imagenet_tasks.download.url_list import UrlListSource
from imagenet_tasks.errors import ConfigError, ImagenetTasksError, Rejected
from imagenet_tasks.settings.classes import folder_class
from imagenet_tasks.settings.config import DownloadConfig, from_json, to_json
from imagenet_tasks.settings.profiles import PROFILES, make_config, setting_names
from imagenet_tasks.store.storage import Store

pytestmark = pytest.mark.hostile
LIMITS = DownloadConfig()


def test_a_mutated_picture_is_rejected_with_a_reason_or_decoded():
    for number, data in enumerate(hostile.pictures(hostile.count(200, 10_000))):
        with hostile.within_bound("mutated picture", number) as ended:
            try:
                images.judge(
                    data, max_pixels=LIMITS.max_pixels, min_side_px=LIMITS.min_side_px, max_aspect=LIMITS.max_aspect
                )
            except Rejected as rejected:
                ended[rejected.reason.value] += 1
                continue
            try:
                pixels = images.to_array(data, rows_px=16, columns_px=12)
                images.look(pixels)
            except Rejected as rejected:
                ended[f"judged good, and then {rejected.reason.value}"] += 1
                continue
            assert pixels.shape == (16, 12, 3)
            ended["used"] += 1


def test_f14_of_a_hostile_archive_pictures_are_used_or_it_is_refused_and_nothing_is_written_elsewhere(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(members, "MOST_BYTES_MORE", 2**20)  # a bomb of megabytes is one
    (tmp_path / "data").mkdir()
    outside = tmp_path / "outside"
    for number, (suffix, data) in enumerate(hostile.archives(hostile.count(60, 2_000), outside)):
        home, path = tmp_path / "home", tmp_path / "data" / f"fox{suffix}"
        path.write_bytes(data)
        settings = DownloadConfig(
            source="folder", location=str(tmp_path / "data"), images_per_class=20, download_threads=2,
            max_bytes=1_000_000,
        )  # fmt: skip
        with hostile.within_bound("archive", number) as ended:
            try:
                ref, _ = download_class(Store(home), settings, folder_class("fox"), progress=quiet())
            except ImagenetTasksError as error:
                ended[type(error).__name__] += 1
            else:
                ended["pictures" if ref.accepted else "no picture in it"] += 1
                written = {p.name for p in (home / "images" / "fox").iterdir() if not p.name.startswith((".", "sel"))}
                assert len(written - {"records.jsonl"}) >= ref.accepted
                assert all(len(name.partition(".")[0]) == 64 for name in written - {"records.jsonl"})
        assert {p.name for p in tmp_path.iterdir()} <= {"home", "data"}
        shutil.rmtree(home, ignore_errors=True)
        path.unlink()


def test_f12_a_hostile_line_of_a_list_is_a_rejected_candidate_and_none_leads_into_this_machine(tmp_path, monkeypatch):
    def refused(*_, **__):
        raise ConnectionRefusedError("nobody is connected to here")

    loopback = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: loopback)
    monkeypatch.setattr(sockets, "create_connection", refused)
    path = tmp_path / "list.txt"
    path.write_bytes(b"\n".join(hostile.lines(hostile.count(100, 5_000))))
    settings = DownloadConfig(attempts=1, connect_timeout_s=1, read_timeout_s=1, total_timeout_s=2)
    with Fetcher(settings) as fetcher, hostile.within_bound("list", 0) as read:
        source = UrlListSource(str(path), Store(tmp_path / "home"), fetcher)
        found = [locator for c in source.classes() for locator in source.candidates(c.class_id)]
        assert len(found) > hostile.count(20, 1_000)
        read["candidates"] = len(found)
        read["lines of no class, or of a candidate before"] = hostile.count(100, 5_000) - len(found)
    for number, locator in enumerate(found):
        with hostile.within_bound("line of a list", number) as ended, pytest.raises(Rejected) as caught:
            source.fetch(locator)
        ended[caught.value.reason.value] += 1
    assert {p.name for p in tmp_path.iterdir()} == {"home", "list.txt"}


def test_f52_hostile_settings_of_a_run_are_refused_by_a_config_error_or_are_settings():
    names = sorted(setting_names())
    for number, conf in enumerate(hostile.confs(hostile.count(100, 1_000), names)):
        with hostile.within_bound("run conf", number) as ended:
            try:
                config = make_config(sorted(PROFILES)[number % len(PROFILES)], conf)
            except ConfigError as error:
                ended["refused"] += 1
                assert str(error)
                continue
            assert from_json(to_json(config)) == config
            ended["settings"] += 1
