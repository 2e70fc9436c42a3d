"""Who may see what, by which method, and that no address leads out of a run's own folder."""

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from report_runs import DAG_ID, RUN_ID, address, all_addresses, runs_address, write_record

from imagenet_tasks.store.storage import Store
from imagenet_tasks.workflow.run import Run

FILES = ("", "report.html", "report.json", "artifacts", "pictures/download_class/0")
PAGES = all_addresses()
PLANTED = "planted-0451"


def our_app(airflow_app: Any) -> Any:
    return next(route.app for route in airflow_app.routes if route.path == "/imagenet")


def test_airflow_finds_one_plugin_and_nothing_else_in_the_folder(airflow_app):
    from airflow import plugins_manager

    plugins, errors = plugins_manager._get_plugins()
    ours = [plugin for plugin in plugins if "PLUGINS_FOLDER" in str(plugin.source)]
    assert [plugin.name for plugin in ours] == ["imagenet_report"]
    assert errors == {}


def test_the_application_has_these_routes_and_no_documentation(airflow_app):
    app = our_app(airflow_app)
    one = "/report/{dag_id}/{run_id}"
    assert [route.path for route in app.routes] == [
        "/runs/{dag_id}", "/runs/{dag_id}/compare", one, f"{one}/report.html", f"{one}/report.json",
        f"{one}/artifacts", f"{one}/pictures/{{task_id}}/{{map_index}}",
    ]  # fmt: skip
    assert all(route.methods == {"GET", "HEAD"} for route in app.routes)
    assert (app.openapi_url, app.docs_url, app.redoc_url) == (None, None, None)


def test_f55_each_route_is_among_the_addresses_that_these_tests_ask_for(airflow_app):
    for route in our_app(airflow_app).routes:
        assert any(route.path_regex.match(page.partition("?")[0].removeprefix("/imagenet")) for page in PAGES)


@pytest.mark.parametrize(
    ("name", "destination"),
    [("ImageNet", "nav"), ("Report", "dag_run"), ("Files", "dag_run"), ("Pictures", "task_instance")],
)
def test_each_tab_leads_to_the_application(viewer, report, name, destination):
    listed = viewer.get("/api/v2/plugins").json()["plugins"]
    views = next(plugin for plugin in listed if plugin["name"] == "imagenet_report")["external_views"]
    (view,) = [view for view in views if view["name"] == name]
    assert view["destination"] == destination
    values = {"DAG_ID": DAG_ID, "RUN_ID": RUN_ID, "TASK_ID": "download_class", "MAP_INDEX": "0"}
    href = view["href"]
    for placeholder, value in values.items():
        href = href.replace(f"{{{placeholder}}}", quote(value, safe=""))
    assert viewer.get(f"/{href}").status_code == 200


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_f55_every_route_asks_airflow_who_is_there(anonymous, tokens, report, other_report, page, method):
    def status(**how: Any) -> int:
        return anonymous.request(method, page, **how).status_code

    assert status() == 401
    assert status(headers={"authorization": "Bearer not.a.token"}) == 403
    assert status(headers={"authorization": f"Bearer {tokens['none']}"}) == 403
    assert status(headers={"authorization": f"Bearer {tokens['viewer']}"}) == 200
    assert status(headers={"cookie": f"_token={tokens['viewer']}"}) == 200
    assert status(headers={"cookie": f"_token={tokens['none']}"}) == 403
    assert status(headers={"cookie": "_token=not.a.token"}) == 403


@pytest.mark.parametrize("place", range(len(PAGES)))
def test_f55_rights_are_those_of_the_workflow_in_the_path(viewer, report, other_report, monkeypatch, place):
    from airflow.api_fastapi.app import get_auth_manager

    asked = []

    def is_authorized_dag(*, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        asked.append((method, access_entity.value, details.id))
        return details.id == DAG_ID

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", is_authorized_dag)
    other = Run(Store(report.store.root), "another_dag", RUN_ID)
    for name in ("report/report.html", "report/report.json", "run.json", "config.json"):
        other.store.write_bytes(other.key(name), b'"secret"')
    assert viewer.get(PAGES[place]).status_code == 200
    assert asked == [("GET", "RUN", DAG_ID)]
    refused = all_addresses("another_dag")[place]
    for page in (refused, refused + ("&" if "?" in refused else "?") + f"dag_id={DAG_ID}"):
        answer = viewer.get(page)
        assert answer.status_code == 403
        assert "secret" not in answer.text


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_f58_nothing_can_be_written(viewer, anonymous, report, page, method):
    assert viewer.request(method, page).status_code == 405
    assert anonymous.request(method, page).status_code == 405


def test_f58_asking_for_everything_changes_no_file(viewer, report, other_report):
    def contents() -> dict[str, str]:
        files = (path for path in Path(str(report.store.root)).rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = contents()
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        for run_id in (RUN_ID, "unknown", "..", "a/b"):
            for page in all_addresses(run_id=run_id):
                viewer.request(method, page)
    assert contents() == before


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/", "/report", "/report/", "/static/x", "/auth"])
def test_no_other_address_answers(viewer, path):
    answer = viewer.get(f"/imagenet{path}")
    assert answer.status_code == 404
    assert "Nothing here" in answer.text or answer.json() == {"detail": "Not Found"}


@pytest.mark.parametrize("page", [*PAGES, address(file="other.html")])
@pytest.mark.parametrize("who", ["viewer", "anonymous"])
def test_every_answer_carries_the_headers(request, report, other_report, who, page):
    answer = request.getfixturevalue(who).get(page)
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        "frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert "x-frame-options" not in answer.headers


@pytest.fixture
def planted(report: Run) -> Run:
    """Files all around the run's folder, which no address may bring back."""
    root = Path(str(report.store.root))
    for folder in (root.parent, root, root / "runs", root / "runs" / DAG_ID, root.with_name("home-sibling")):
        for name in ("report.html", "report.json", "report/report.html", "report/report.json"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(f'"{PLANTED}"')
    return report


SEGMENTS = [
        "..", ".", "%2e%2e", "..%2f", "..%2f..", "%2e%2e%2f%2e%2e", "%252e%252e", "..%252f..", "%2Fetc%2Fpasswd",
        "%2F", "..%5c..", "%00", f"{RUN_ID}%00", "..%00", "%c0%ae%c0%ae", "%ff", "~", "%0a", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("segment", SEGMENTS)
def test_f56_no_run_id_leads_elsewhere(viewer, planted, segment, file):
    path = f"/imagenet/report/{DAG_ID}/{segment}{file and '/' + file}"
    answer = viewer.get(path)
    # A run that is not there has no files and no pictures: those pages say so.
    assert answer.status_code in ((200, 400, 404) if file.startswith(("artifacts", "pictures")) else (400, 404))
    assert PLANTED not in answer.text
    assert str(planted.store.root) not in answer.text


@pytest.mark.parametrize("dag_id", ["..", ".", "~", "%2e%2e", "..%2f..", "a%00", "a%2fb", "%252e%252e", "%20", "-a"])
def test_f56_no_dag_id_leads_elsewhere(viewer, planted, dag_id):
    pages = [f"/imagenet/report/{dag_id}/{quote(RUN_ID)}{file and '/' + file}" for file in FILES]
    if dag_id not in ("..", "."):  # the client itself makes other addresses of these
        pages += [f"/imagenet/runs/{dag_id}", f"/imagenet/runs/{dag_id}/compare?a=1&b=2"]
    for page in pages:
        answer = viewer.get(page)
        assert answer.status_code in (400, 404)
        assert PLANTED not in answer.text


def plant_link(path: Path, planted: Run) -> None:
    path.symlink_to(Path(str(planted.store.root)).parent / "report.html")


def plant_link_to_sibling(path: Path, planted: Run) -> None:
    path.symlink_to(Path(str(planted.store.root)).with_name("home-sibling") / "report.html")


def plant_dangling_link(path: Path, planted: Run) -> None:
    path.symlink_to("nowhere")


def plant_pipe(path: Path, planted: Run) -> None:
    os.mkfifo(path)


def plant_folder(path: Path, planted: Run) -> None:
    path.mkdir()


def plant_nothing(path: Path, planted: Run) -> None:
    path.touch()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "plant", [plant_link, plant_link_to_sibling, plant_dangling_link, plant_pipe, plant_folder, plant_nothing]
)
@pytest.mark.parametrize(
    "name", ["report/report.html", "report/report.json", "tasks/plan_run.json", "config.json", "run.json"]
)
def test_f56_what_is_no_plain_file_is_not_read(viewer, planted, plant, name):
    path = Path(str(planted.store.path(planted.key(name))))
    path.unlink()
    plant(path, planted)
    for page in PAGES:
        answer = viewer.get(page)
        assert answer.status_code in (200, 404)
        assert PLANTED not in answer.text
    if name == "report/report.html":
        assert "Cannot be read" in viewer.get(address()).text


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "plant", [plant_link, plant_link_to_sibling, plant_dangling_link, plant_pipe, plant_folder, plant_nothing]
)
@pytest.mark.parametrize("name", ["complete.json", "split.csv"])
def test_f56_what_is_no_plain_file_of_an_artifact_is_not_downloaded(viewer, planted, plant, name):
    folder = "datasets/0123456789abcdef"
    with planted.store.publish(folder) as attempt:
        (attempt / "split.csv").write_text("image_id\n")
    write_record(planted, "build_dataset", result={"fingerprint": "0123456789abcdef"})
    download = address(file=f"artifacts?file={quote(folder, safe='')}%2Fsplit.csv")
    assert viewer.get(download).text == "image_id\n"
    path = Path(str(planted.store.path(f"{folder}/{name}")))
    path.unlink()
    plant(path, planted)
    for page in (download, address(file="artifacts")):
        answer = viewer.get(page)
        assert answer.status_code == (404 if page == download else 200)
        assert PLANTED not in answer.text


@pytest.mark.parametrize(
    "file",
    [
        "../../report.html", "..", "/etc/passwd", "runs/../report.html", "report/../../../report.html",
        "datasets/0123456789abcdef/../../report.html", "%2e%2e/report.html", "report.html\0", "report/report.html",
        f"runs/{DAG_ID}/report.html", "models/champion.json", "C:\\x", "file:///etc/passwd",
    ],
)  # fmt: skip
def test_f56_only_listed_files_are_downloaded(viewer, planted, file):
    for text in (file, quote(file, safe="")):
        answer = viewer.get(address(file=f"artifacts?file={quote(text, safe='')}"))
        assert answer.status_code == 404
        assert PLANTED not in answer.text


def test_f56_the_list_of_runs_shows_nothing_of_what_lies_around_it(viewer, planted):
    answer = viewer.get(runs_address())
    assert answer.status_code == 200 and PLANTED not in answer.text
