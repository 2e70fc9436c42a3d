"""A headless Chromium on a running Airflow: for the tests and for the README's pictures."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import BrowserContext, sync_playwright

from tools.local_airflow import LocalAirflow

TIMEOUT_MS = 180_000.0  # Airflow's pages take long on a busy machine


def find_chromium() -> str | None:
    """Returns the path of the system's Chromium, None where there is none."""
    return shutil.which("chromium") or shutil.which("google-chrome")


@contextlib.contextmanager
def launch(airflow: LocalAirflow, **options: Any) -> Iterator[BrowserContext]:
    """Yields a browser's context.

    Without an own say in light and dark: then a page in a frame follows the page around it, as in a person's browser.

    Args:
        airflow: it need not be logged in to.
        options: of the context.
    """
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-proxy-server"]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        try:
            context = browser.new_context(**{"color_scheme": "null", "base_url": airflow.url} | options)
            context.set_default_timeout(TIMEOUT_MS)
            yield context
        finally:
            browser.close()


def log_in(context: BrowserContext, airflow: LocalAirflow) -> None:
    """Logs the context's pages in as the user admin."""
    page = context.new_page()
    page.goto(f"{airflow.url}/auth/login")
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", airflow.password)
    page.click("button[type=submit]")
    page.wait_for_url(f"{airflow.url}/")
    page.close()
