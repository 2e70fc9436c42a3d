"""`make screenshots`: the README's pictures, from runs of the profile `sample` in real Airflow."""

import sys
import time
from urllib.parse import quote

from playwright.sync_api import Page

from tools.browser import find_chromium, launch, log_in
from tools.demo import LOCAL
from tools.local_airflow import DAG_ID, REPOSITORY, LocalAirflow

PICTURES = REPOSITORY / "docs" / "pictures"
SIZE = {"width": 1400, "height": 1000}


def main() -> int:
    """Makes the pictures; returns the exit status."""
    if find_chromium() is None:
        print("no browser found; on Debian: apt-get install chromium", file=sys.stderr)
        return 1
    PICTURES.mkdir(parents=True, exist_ok=True)
    with LocalAirflow(LOCAL / "airflow", LOCAL / "imagenet") as airflow, launch(airflow, viewport=SIZE) as context:
        log_in(context, airflow)
        page = context.new_page()
        # One setting differs from that of any run before, so that there is training to watch.
        run_id = airflow.trigger(profile="sample", seed=int(time.time()) % 1000)
        page.goto(_of_run(run_id, "/plugin/imagenet-report"))
        _shoot_training(page, airflow, run_id)
        while airflow.run_state(run_id) not in ("success", "failed"):
            time.sleep(2)
        for theme in ("light", "dark"):
            page.evaluate("theme => localStorage.setItem('theme', theme)", theme)
            suffix = "" if theme == "light" else "_dark"
            page.goto(_of_run(run_id, "/plugin/imagenet-report"))
            _shoot(page, f"report{suffix}")
            page.goto("/plugin/imagenet-runs")
            _shoot(page, f"runs{suffix}")
        page.evaluate("localStorage.setItem('theme', 'light')")
        page.goto(_of_run(run_id, "/tasks/download_class/mapped/17/plugin/imagenet-pictures"))
        _shoot(page, "pictures")
        page.goto(f"/dags/{DAG_ID}")
        page.get_by_role("button", name="Trigger").first.click()
        _shoot(page, "form")
        page.set_viewport_size({"width": 1500, "height": 1500})
        page.evaluate(
            "id => [[`direction-${id}`, 'DOWN'], [`${id}/open-groups`, ['repair']]]"
            ".forEach(([name, value]) => localStorage.setItem(name, JSON.stringify(value)))",
            DAG_ID,
        )
        page.goto(_of_run(run_id))
        page.locator('button[aria-label*="raph"], button[title*="raph"]').first.click()
        page.wait_for_timeout(4000)
        page.locator(".react-flow__minimap").evaluate("element => element.remove()")
        page.locator(".react-flow").screenshot(path=PICTURES / "graph.png")
    return 0


def _shoot_training(page: Page, airflow: LocalAirflow, run_id: str) -> None:
    """Takes the live page while the retrained model has some epochs to show."""
    while airflow.run_state(run_id) not in ("success", "failed"):
        if page.locator("iframe").content_frame.locator("polyline").count() >= 4:
            _shoot(page, "live")
            return
        page.wait_for_timeout(1000)


def _of_run(run_id: str, rest: str = "") -> str:
    return f"/dags/{DAG_ID}/runs/{quote(run_id, safe='')}{rest}"


def _shoot(page: Page, name: str) -> None:
    page.wait_for_timeout(4000)  # charts and the graph move into place
    page.screenshot(path=PICTURES / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
