"""`make screenshots`: the README's pictures, from a run of the profile `sample` in real Airflow."""

import shutil
import sys
import time
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page, sync_playwright

from tools.demo import LOCAL
from tools.local_airflow import DAG_ID, REPOSITORY, LocalAirflow

PICTURES = REPOSITORY / "docs" / "pictures"


def main() -> int:
    """Makes the pictures; returns the exit status."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("no browser found; on Debian: apt-get install chromium", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with LocalAirflow(LOCAL / "airflow", LOCAL / "imagenet") as airflow, sync_playwright() as playwright:
        run_id = _run(airflow)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1500, "height": 1000})
        _log_in(page, airflow)
        page.goto(f"{airflow.url}/dags/{DAG_ID}/runs/{quote(run_id)}")
        page.get_by_text("Report", exact=True).first.click()
        _shoot(page, PICTURES / "report.png")
        page.goto(f"{airflow.url}/dags/{DAG_ID}")
        page.get_by_role("button", name="Trigger").first.click()
        page.get_by_text("What to run", exact=True).click()
        _shoot(page, PICTURES / "form.png")
        page.set_viewport_size({"width": 1500, "height": 1500})
        page.evaluate("id => localStorage.setItem(`direction-${id}`, JSON.stringify('DOWN'))", DAG_ID)
        page.goto(f"{airflow.url}/dags/{DAG_ID}/runs/{quote(run_id)}")
        page.locator('button[aria-label*="raph"], button[title*="raph"]').first.click()
        page.wait_for_timeout(4000)
        page.locator(".react-flow__minimap").evaluate("element => element.remove()")
        page.locator(".react-flow").screenshot(path=PICTURES / "graph.png")
        browser.close()
    return 0


def _run(airflow: LocalAirflow) -> str:
    """Returns a successful run, triggering one where there is none."""
    runs = [run for run in airflow.pages(f"/dags/{DAG_ID}/dagRuns", "dag_runs") if run["state"] == "success"]
    if runs:
        return str(runs[-1]["dag_run_id"])
    run_id = airflow.trigger(profile="sample")
    while airflow.run_state(run_id) not in ("success", "failed"):
        time.sleep(2)
    return run_id


def _log_in(page: Page, airflow: LocalAirflow) -> None:
    page.goto(f"{airflow.url}/auth/login")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", airflow.password)
    page.click("button[type=submit]")
    page.wait_for_url(f"{airflow.url}/")


def _shoot(page: Page, path: Path) -> None:
    page.wait_for_timeout(4000)  # charts and the graph move into place
    page.screenshot(path=path)


if __name__ == "__main__":
    sys.exit(main())
