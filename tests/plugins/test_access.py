"""Who may see what, by which method, and that no address leads out of a run's own folder."""

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from report_runs import DAG_ID, RUN_ID, address

from imagenet_tasks.artifacts import Run
from imagenet_tasks.storage import Store

FILES = ("", "report.html", "report.json")
PLANTED = "planted-0451"


def our_app(airflow_app: Any) -> Any:
    return next(route.app for route in airflow_app.routes if route.path == "/imagenet")


def test_airflow_finds_one_plugin_and_nothing_else_in_the_folder(airflow_app):
    from airflow import plugins_manager

    plugins, errors = plugins_manager._get_plugins()
    ours = [plugin for plugin in plugins if "PLUGINS_FOLDER" in str(plugin.source)]
    assert [plugin.name for plugin in ours] == ["imagenet_report"]
    assert errors == {}


def test_the_application_has_three_routes_and_no_documentation(airflow_app):
    app = our_app(airflow_app)
    assert {route.path.removeprefix("/report/{dag_id}/{run_id}") for route in app.routes} == {
        "", "/report.html", "/report.json",
    }  # fmt: skip
    assert all(route.methods == {"GET", "HEAD"} for route in app.routes)
    assert (app.openapi_url, app.docs_url, app.redoc_url) == (None, None, None)


def test_the_tab_leads_to_the_application(airflow_app, viewer, report):
    listed = viewer.get("/api/v2/plugins").json()["plugins"]
    view = next(plugin for plugin in listed if plugin["name"] == "imagenet_report")["external_views"][0]
    assert (view["destination"], view["name"]) == ("dag_run", "Report")
    href = view["href"].replace("{DAG_ID}", quote(DAG_ID, safe="")).replace("{RUN_ID}", quote(RUN_ID, safe=""))
    assert viewer.get(f"/{href}").status_code == 200


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_route_asks_airflow_who_is_there(anonymous, tokens, report, file, method):
    def status(**how: Any) -> int:
        return anonymous.request(method, address(file=file), **how).status_code

    assert status() == 401
    assert status(headers={"authorization": "Bearer not.a.token"}) == 403
    assert status(headers={"authorization": f"Bearer {tokens['none']}"}) == 403
    assert status(headers={"authorization": f"Bearer {tokens['viewer']}"}) == 200
    assert status(headers={"cookie": f"_token={tokens['viewer']}"}) == 200
    assert status(headers={"cookie": f"_token={tokens['none']}"}) == 403
    assert status(headers={"cookie": "_token=not.a.token"}) == 403


@pytest.mark.parametrize("file", FILES)
def test_rights_are_those_of_the_workflow_in_the_path(viewer, report, monkeypatch, file):
    from airflow.api_fastapi.app import get_auth_manager

    asked = []

    def is_authorized_dag(*, method: str, access_entity: Any, details: Any, user: Any) -> bool:
        asked.append((method, access_entity.value, details.id))
        return details.id == DAG_ID

    monkeypatch.setattr(get_auth_manager(), "is_authorized_dag", is_authorized_dag)
    Run(Store(report.store.root), "another_dag", RUN_ID).store.write_bytes(
        f"runs/another_dag/{report.run_key}/report/{file or 'report.html'}", b'"secret"'
    )
    assert viewer.get(address(file=file)).status_code == 200
    assert asked == [("GET", "RUN", DAG_ID)]
    for query in ("", f"?dag_id={DAG_ID}"):
        answer = viewer.get(address(dag_id="another_dag", file=file) + query)
        assert answer.status_code == 403
        assert "secret" not in answer.text


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(viewer, anonymous, report, file, method):
    assert viewer.request(method, address(file=file)).status_code == 405
    assert anonymous.request(method, address(file=file)).status_code == 405


def test_asking_for_everything_changes_no_file(viewer, report):
    def contents() -> dict[str, str]:
        files = (path for path in Path(str(report.store.root)).rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = contents()
    for file in FILES:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            for run_id in (RUN_ID, "unknown", "..", "a/b"):
                viewer.request(method, address(run_id, file=file))
    assert contents() == before


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/", "/report", "/report/", "/static/x", "/auth"])
def test_no_other_address_answers(viewer, path):
    answer = viewer.get(f"/imagenet{path}")
    assert answer.status_code == 404
    assert "Nothing here" in answer.text or answer.json() == {"detail": "Not Found"}


@pytest.mark.parametrize("file", [*FILES, "other.html"])
@pytest.mark.parametrize("who", ["viewer", "anonymous"])
def test_every_answer_carries_the_headers(request, report, who, file):
    answer = request.getfixturevalue(who).get(address(file=file))
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'self'" in policy
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


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize(
    "segment",
    [
        "..", ".", "%2e%2e", "..%2f", "..%2f..", "%2e%2e%2f%2e%2e", "%252e%252e", "..%252f..", "%2Fetc%2Fpasswd",
        "%2F", "..%5c..", "%00", f"{RUN_ID}%00", "..%00", "%c0%ae%c0%ae", "%ff", "~", "%0a", "x" * 5000,
    ],
)  # fmt: skip
def test_no_run_id_leads_elsewhere(viewer, planted, segment, file):
    path = f"/imagenet/report/{DAG_ID}/{segment}{file and '/' + file}"
    answer = viewer.get(path)
    assert answer.status_code in (400, 404)
    assert PLANTED not in answer.text
    assert str(planted.store.root) not in answer.text


@pytest.mark.parametrize("dag_id", ["..", ".", "~", "%2e%2e", "..%2f..", "a%00", "a%2fb", "%252e%252e", "%20", "-a"])
def test_no_dag_id_leads_elsewhere(viewer, planted, dag_id):
    for file in FILES:
        answer = viewer.get(f"/imagenet/report/{dag_id}/{quote(RUN_ID)}{file and '/' + file}")
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
@pytest.mark.parametrize("name", ["report/report.html", "report/report.json", "tasks/plan_run.json", "config.json"])
def test_what_is_no_plain_file_is_not_read(viewer, planted, plant, name):
    path = Path(str(planted.store.path(planted.key(name))))
    path.unlink()
    plant(path, planted)
    for file in FILES:
        answer = viewer.get(address(file=file))
        assert answer.status_code in (200, 404)
        assert PLANTED not in answer.text
    if name == "report/report.html":
        assert "Cannot be read" in viewer.get(address()).text
