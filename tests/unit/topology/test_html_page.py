"""The HTML report: escaped, self-contained, with a policy that names its own parts."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.topology.organisations import migration

from postern.topology.drawing import draw
from postern.topology.report import GOOD, html_page


class Elements(HTMLParser):
    """All tags with their attributes, all text by its tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.open = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.open = tag
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data):
        if self.open == "td":
            self.cells[-1] += data

    def handle_endtag(self, tag):
        self.open = ""


def test_everything_the_page_runs_or_styles_is_named_in_its_policy_and_nothing_is_loaded():
    made = migration()
    page = html_page("x", draw(made.topology, made.flows, "en"), {"a": "A"}, [{"a": 1}], "en")
    policy = next(
        a["content"] for tag, a in Elements(page).tags if tag == "meta" and "content" in a and "http-equiv" in a
    )
    for tag in ("style", "script"):
        found = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.S)
        assert found
        for text in found:
            assert base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() in policy
    assert "unsafe" not in policy
    for tag, attributes in Elements(page).tags:
        assert not {"src", "href", "style", "action"} & set(attributes), tag
        assert not any(name.startswith("on") for name in attributes)


@given(st.lists(st.text(), min_size=1, max_size=5), st.text())
def test_any_text_comes_back_as_text(texts, title):
    page = html_page(title, "", {"a": "A"}, [{"a": text} for text in texts], "en", intro=title)
    parsed = Elements(page)
    plain = [" ".join(text.replace("\x00", "\ufffd").split()) for text in texts]
    assert [cell.replace("\x00", "\ufffd") for cell in parsed.cells] == plain
    assert {tag for tag, _ in parsed.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "h1", "p", "form", "label", "input", "select", "option"),
        *("button", "output", "div", "table", "thead", "tbody", "tr", "th", "td", "script"),
    }


def test_values_are_shown_in_words_and_tones_are_known_ones():
    rows = [{"a": True, "b": ["x", "y"]}, {"a": False, "b": None}]
    page = html_page("Порты", "", {"a": "А", "b": "Б"}, rows, "ru", tones={"да": GOOD, "нет": '"><script>'})
    assert '<td class="good">да</td><td>x, y</td>' in page
    assert "<td>нет</td><td></td>" in page
    assert '<html lang="ru">' in page
    assert "Поиск" in page
