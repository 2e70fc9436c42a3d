"""Where pictures come from: folders, archives, and a server's lists."""

from pathlib import Path

import pytest
from fakes.pictures import COBRA, COW, PANDA, fill, picture
from fakes.web import FaultServer, answers, redirects, resets, silent

from imagenet_tasks.download.classes import classes_of_run
from imagenet_tasks.download.fetch import Fetcher
from imagenet_tasks.download.sources import ListServerSource, open_source
from imagenet_tasks.errors import ConfigError, SourceUnavailable
from imagenet_tasks.settings.classes import STUDY_CLASSES, find_class
from imagenet_tasks.settings.config import DownloadConfig
from imagenet_tasks.settings.profiles import make_config
from imagenet_tasks.store.storage import Store


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


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
    [b"", b"<html>", b"\xff\xfe", b"7", b"null", b'["n02510455"]', b"[{}]", b'[{"class_id": 7}]', b"[" * 100_000],
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
    found = classes_of_run(Store(tmp_path), settings, wanted, named=False)
    assert found.classes == wanted
    others = ", ".join(c.name for c in sorted(STUDY_CLASSES[3:5], key=lambda c: c.class_id))
    assert found.passed_over == (f"not named by the run: 2 ({others})",)


def test_the_sources_own_classes_are_used_where_the_profiles_are_missing(data, tmp_path):
    settings = folder_settings(data, "dog", "cat", COBRA)
    found = classes_of_run(Store(tmp_path), settings, STUDY_CLASSES, named=False)
    assert sorted(c.class_id for c in found.classes) == ["cat", "dog", COBRA]


def test_a_class_that_the_user_named_and_the_source_lacks_is_an_error(data, tmp_path):
    settings = folder_settings(data, COBRA, COW)
    with pytest.raises(ConfigError, match=rf"no giant panda \({PANDA}\).*It has 2 classes.*cobra \({COBRA}\)"):
        classes_of_run(Store(tmp_path), settings, (find_class(COBRA), find_class(PANDA)), named=True)


def test_named_classes_keep_their_order(data, tmp_path):
    settings = folder_settings(data, COBRA, COW, PANDA)
    wanted = (find_class(PANDA), find_class(COBRA))
    assert classes_of_run(Store(tmp_path), settings, wanted, named=True)[0] == wanted


@pytest.mark.parametrize("names", [(), ("dog",)])
def test_a_source_with_fewer_than_two_classes_is_an_error(data, names, tmp_path):
    with pytest.raises(ConfigError, match="at least two classes"):
        classes_of_run(Store(tmp_path), folder_settings(data, *names), STUDY_CLASSES, named=False)


def test_a_flat_folder_is_refused_with_what_lies_there_and_the_layout_that_works(data, tmp_path):
    fill(data, [1, 2])
    with pytest.raises(ConfigError, match=r"no class's folder: 2 \(0000.png, 0001.png\).*A class is a folder of"):
        classes_of_run(Store(tmp_path), folder_settings(data), STUDY_CLASSES, named=False)


@pytest.mark.parametrize("text", ['["a, b", "CAT"]', "a, b\nCAT"])
def test_a_name_with_a_comma_is_given_in_a_json_list_or_on_a_line_of_its_own(data, tmp_path, text):
    settings = folder_settings(data, "a, b", "cat", "CAT", "other")
    wanted = make_config("best", {"source": "folder", "location": str(data), "classes": text}).classes
    found = classes_of_run(Store(tmp_path), settings, wanted, named=True)
    assert [c.name for c in found.classes] == ["a, b", "CAT"]
