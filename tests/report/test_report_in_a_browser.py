"""The page in a real browser: what an accessibility checker finds, and whether anything hangs over the side."""

import itertools

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright
from report_page import report

from tools.browser import find_chromium

NAMES = (
    "cow",
    "an <i>unusual</i> class name that goes on and on, for as long as a name ever can, and then a bit",
    "猫",
)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def repaired(browser, build_run):
    inputs = build_run(
        names=NAMES,
        before=0.4,
        rounds=(0.7, 0.3),
        arms=(("collect", 0.5),),
        suspects=3,
        copies=3,
        conflicts=3,
        losing=1,
    )
    yield from _opened(browser, inputs)


@pytest.fixture(scope="module")
def not_tried(browser, build_run):
    yield from _opened(browser, build_run(names=NAMES, before=0.6, after=None, curve=(0.2, 0.4), seeds=2))


def _opened(browser, inputs):
    result, _, _ = report(inputs)
    page = browser.new_page()
    page.set_content(inputs.run.store.read_bytes(result["report"]).decode())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    yield page
    page.close()


def look(page, scheme: str, width: int):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    return page


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [
        (name, scheme, width)
        for name in ("repaired", "not_tried")
        for scheme in ("light", "dark")
        for width in (318, 1400)
    ],
)
def test_axe_finds_nothing_and_nothing_hangs_over_the_side(request, name, scheme, width):
    opened = look(request.getfixturevalue(name), scheme, width)
    found = [
        (each["id"], [node["html"][:160] + node["failureSummary"] for node in each["nodes"][:3]])
        for each in Axe().run(opened).response["violations"]
    ]
    assert found == []
    assert opened.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.parametrize("name", ["repaired", "not_tried"])
def test_on_a_phone_only_a_matrix_is_scrolled_sideways(request, name):
    opened = look(request.getfixturevalue(name), "light", 318)
    wide = opened.evaluate("""[...document.querySelectorAll('.scroll:not(.matrix)')].filter(
        each => each.scrollWidth > each.clientWidth
    ).map(each => each.ariaLabel)""")
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_in_charts_has_enough_contrast(repaired, scheme):
    opened = look(repaired, scheme, 1400)
    # axe does not look into SVG. The count of a cell lies on the cell's colour, all else on the page's.
    least = opened.evaluate("""() => {
        const number = text => text.match(/[\\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(
            c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4
        ).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const page = number(getComputedStyle(document.body).backgroundColor).slice(0, 3);
        const least = {};
        for (const chart of document.querySelectorAll('svg.chart')) {
            const name = chart.getAttribute('aria-labelledby').split('-')[0];
            let below = [page];
            if (name === 'confusion')
                for (const cell of chart.querySelectorAll('path[style*="opacity"]')) {
                    const style = getComputedStyle(cell), alpha = Number(style.opacity);
                    if (!style.fill.startsWith('rgb')) continue;
                    below.push(number(style.fill).slice(0, 3).map((c, i) => c * alpha + page[i] * (1 - alpha)));
                }
            for (const text of chart.querySelectorAll('text')) {
                const onCell = name === 'confusion' && /^[+−]?\\d+$/.test(text.textContent.trim());
                const ink = light(number(getComputedStyle(text).fill));
                for (const ground of (onCell ? below : [page]).map(light)) {
                    const ratio = (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
                    least[name] = Math.min(least[name] ?? 21, ratio);
                }
            }
        }
        return least;
    }""")
    assert {"curves", "classes", "confusion", "funnel"} <= least.keys()
    assert {name: ratio for name, ratio in least.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("name", ["repaired", "not_tried"])
def test_headings_are_in_order_and_wide_regions_are_reached_by_the_keyboard(request, name):
    opened = look(request.getfixturevalue(name), "light", 318)
    levels = opened.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5')].map(h => Number(h.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    unreachable = opened.evaluate("""[...document.querySelectorAll('div')].filter(
        each => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX !== 'visible'
            && !(each.tabIndex === 0 && each.getAttribute('role') === 'region' && each.ariaLabel)
    ).length""")
    assert unreachable == 0
