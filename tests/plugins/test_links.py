"""The links of a report that is shown in Airflow; in its file they are plain text."""

import re
from urllib.parse import urlsplit

import pytest
from report_runs import address

from imagenet_tasks.pages.links import with_links


def linked(kind: str, what: str, run_id: str = "a run") -> str:
    placeholder = f'<p><span class="out" data-to="{kind} {what}">a &amp; b</span></p>'
    return with_links(placeholder, root="/imagenet", dag_id="dag", run_id=run_id)


@pytest.mark.parametrize(
    ("kind", "what", "leads_to"),
    [
        ("pictures", "3 n01747885", "report/dag/a%20run/pictures/download_class/3?class=n01747885"),
        ("compare", "b/c", "runs/dag/compare?a=a%20run&amp;b=b%2Fc"),
        ("file", "models/x/model.keras", "report/dag/a%20run/artifacts?file=models%2Fx%2Fmodel.keras"),
    ],
)
def test_a_placeholder_is_a_link_to_a_page_of_its_run(kind, what, leads_to):
    download = " download" if kind == "file" else ""
    assert linked(kind, what) == f'<p><a href="/imagenet/{leads_to}"{download}>a &amp; b</a></p>'


def test_what_leads_nowhere_stays_text():
    assert linked("elsewhere", "x") == "<p>a &amp; b</p>"


def test_no_name_breaks_out_of_its_link():
    assert linked("pictures", "0 &#34;&gt;&lt;b&gt;").count(">") == 4


def test_the_report_that_is_shown_has_its_links(viewer, report, airflow_state):
    airflow_state("success")
    page = b'<span class="out" data-to="file models/x/model.keras">Download</span>'
    report.store.write_bytes(report.key("report/report.html"), page)
    for shown in (address(), address(file="report.html")):
        html = viewer.get(shown).text
        download = re.search(r'href="([^"]+)" download', html)
        assert download and urlsplit(download[1]).path == address(file="artifacts")
