"""Reports and pictures in a real browser: filtered, sorted, allowed by their own policy, and readable."""

from __future__ import annotations

import pytest
from tests.interop.browser.chromium import Chromium
from tests.unit.topology.organisations import migration

from postern.topology.drawing import draw
from postern.topology.report import BAD, GOOD, html_page

pytestmark = pytest.mark.interop

COLUMNS = {"source": "From", "destination": "To", "port": "Port", "encryption": "Encryption", "nothing": "Notes"}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    import shutil

    program = shutil.which("chromium")
    if not program:
        pytest.skip("chromium is not installed: run scripts/install-test-parts as root")
    one = Chromium(program, tmp_path_factory.mktemp("profile"))
    yield one
    one.close()


@pytest.fixture
def page(tmp_path):
    def make(language: str = "en"):
        made = migration()
        rows = [
            {
                "source": flow.source.name,
                "destination": flow.destination.name,
                "port": flow.port_text,
                "encryption": flow.encryption,
                "nothing": "<img src=x onerror=alert(1)>" if flow.first == 50636 else None,
            }
            for flow in made.flows
            if not flow.unfiltered
        ]
        text = html_page(
            "Example & Co <b>",
            draw(made.topology, made.flows, language),
            COLUMNS,
            rows,
            language,
            intro="What must be open.",
            tones={"required": GOOD, "none": BAD},
        )
        path = tmp_path / "report.html"
        path.write_text(text, "utf-8")
        return path, rows

    return make


VISIBLE = "Array.from(document.querySelectorAll('#rows tbody tr')).filter(r => !r.hidden)"


def visible(browser) -> list[list[str]]:
    return browser.run(f"{VISIBLE}.map(r => Array.from(r.cells, c => c.textContent))")


def test_the_table_is_filtered_by_words_by_port_and_by_column(browser, page):
    path, rows = page()
    browser.open(path)
    assert len(visible(browser)) == len(rows)
    browser.type("#search", "25")
    assert {row[2] for row in visible(browser)} == {"25/tcp"}, "25 is the port, not a part of another number"
    browser.type("#search", "edge1 optional")
    assert [row[:4] for row in visible(browser)] == [
        ["Internet", "edge1", "25/tcp", "optional"],
        ["edge1", "Internet", "25/tcp", "optional"],
    ]
    browser.type("#search", "")
    browser.run(
        "(() => { const s = document.querySelector('select[data-column=\"3\"]'); s.value = 'none';"
        " s.dispatchEvent(new Event('input', {bubbles: true})); })()"
    )
    assert {row[3] for row in visible(browser)} == {"none"}
    expected = sum(row["encryption"] == "none" for row in rows)
    assert browser.run("document.querySelector('#count').textContent") == f"{expected} of {len(rows)} rows"
    browser.click("button[type=reset]")
    browser.run("new Promise(done => setTimeout(done, 20))")
    assert len(visible(browser)) == len(rows)
    assert browser.complaints() == []


def test_a_column_is_sorted_by_numbers_and_back(browser, page):
    path, _ = page()
    browser.open(path)
    browser.click("#rows th:nth-child(3) button")
    ports = [int(row[2].split("/")[0].split("-")[0]) for row in visible(browser)]
    assert ports == sorted(ports)
    browser.click("#rows th:nth-child(3) button")
    assert [int(row[2].split("/")[0].split("-")[0]) for row in visible(browser)] == sorted(ports, reverse=True)
    assert browser.run("document.querySelector('#rows th:nth-child(3)').getAttribute('aria-sort')") == "descending"


def test_text_from_hosts_is_text_and_the_policy_lets_nothing_else_run(browser, page):
    path, _ = page()
    browser.open(path)
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.run("document.title") == "Example & Co <b>"
    assert browser.complaints() == []
    browser.run(
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\" id=planted onclick=\"a()\">x</p>')"
    )
    browser.run("new Promise(done => setTimeout(done, 50))")
    assert any("Content Security Policy" in text for text in browser.complaints()), "the policy is not in force"


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("dark", [False, True])
def test_the_picture_as_drawn_by_a_browser_has_no_text_over_another_and_none_outside_its_box(
    browser, page, language, dark
):
    path, _ = page(language)
    browser.open(path, width=2000, height=1500, dark=dark)
    facts = browser.run(
        """(() => {
          const box = (e) => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
          const svg = document.querySelector('svg');
          return {
            whole: box(svg),
            texts: Array.from(svg.querySelectorAll('text'), (e) => [e.textContent, ...box(e)]),
            cards: Array.from(svg.querySelectorAll('g[data-card]'), (g) =>
              [box(g.querySelector('rect')), Array.from(g.querySelectorAll('text'), box)]),
            page: getComputedStyle(svg.querySelector('.pp-page')).fill,
          };
        })()"""
    )
    texts = [(text, left, top + 2, right, bottom - 2) for text, left, top, right, bottom in facts["texts"]]
    assert len(texts) > 60
    for place, (text, left, top, right, bottom) in enumerate(texts):
        assert facts["whole"][0] <= left and right <= facts["whole"][2], text
        for other, o_left, o_top, o_right, o_bottom in texts[:place]:
            assert right <= o_left or o_right <= left or bottom <= o_top or o_bottom <= top, (text, other)
    assert len(facts["cards"]) == 9
    for (left, top, right, bottom), inside in facts["cards"]:
        for t_left, t_top, t_right, t_bottom in inside:
            assert left < t_left and t_right < right and top <= t_top and t_bottom <= bottom
    assert facts["page"] == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")
    assert browser.complaints() == []


def test_the_picture_can_be_seen_in_full_size(browser, page):
    path, _ = page()
    browser.open(path, width=900)
    small = browser.run("document.querySelector('svg').getBoundingClientRect().width")
    browser.click("#size")
    assert browser.run("document.querySelector('svg').getBoundingClientRect().width") > small * 1.5


def test_without_its_script_the_whole_table_is_there(browser, page):
    path, rows = page()
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(path)
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
        assert len(visible(browser)) == len(rows)
        assert browser.run("getComputedStyle(document.querySelector('form')).display") == "none"
    finally:
        browser.call("Emulation.setScriptExecutionDisabled", value=False)
