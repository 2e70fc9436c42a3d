"""Addresses that lead elsewhere, are no text, or have no end: each has an answer, and nothing else shows."""

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from fakes import hostile
from report_runs import all_addresses

from imagenet_tasks.workflow.run import Run

pytestmark = pytest.mark.hostile
PLANTED = "planted-0451"


def files_below(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_f56_a_hostile_address_is_refused_or_shows_a_page_and_nothing_of_what_lies_around_the_home(
    viewer: Any, report: Run, other_report: Run
) -> None:
    above = Path(str(report.store.root)).parent
    for name in ("planted.html", "planted.json", "complete.json"):
        (above / name).write_text(f'"{PLANTED}"')
    before = files_below(above)
    for number, address in enumerate(hostile.addresses(hostile.count(60, 5_000), all_addresses())):
        with hostile.within_bound("page address", number) as ended:
            try:
                answer = viewer.get(address)
            except httpx.InvalidURL:
                ended["no address"] += 1
                continue
            assert answer.status_code < 500, address
            assert PLANTED not in answer.text and str(above) not in answer.text and "root:" not in answer.text, address
            ended[str(answer.status_code)] += 1
    assert files_below(above) == before
