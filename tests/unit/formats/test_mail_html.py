"""HTML of mail: what acts or is fetched is gone, what is read is there."""

from __future__ import annotations

import time
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postern.formats import mail_html
from postern.formats.mail_html import declares_utf8, fetches, view


@pytest.mark.parametrize(("html", "gone"), [
    ("<p>a<script>x()</script>b</p>", "x()"),
    ("<p onclick='x()'>a b</p>", "onclick"),
    ("<a href='javascript:x()'>a b</a>", "javascript"),
    ("<a href=' java\tscript:x()'>a b</a>", "script:"),
    ("<a href='&#106;avascript:x()'>a b</a>", "avascript"),
    ("<a href='vbscript:x'>a b</a>", "vbscript"),
    ("<img src='data:image/svg+xml,<svg onload=x()>'>a b", "svg"),
    ("<svg><script>x()</script></svg>a b", "x()"),
    ("<math><mtext><script>x()</script></mtext></math>a b", "x()"),
    ("<iframe src='http://example.net'></iframe>a b", "iframe"),
    ("<object data='x.swf'>a b</object><p>a b", "object"),
    ("<form action='http://example.net'>a b<input name=q></form>", "form"),
    ("<base href='http://example.net'>a b", "base"),
    ("<link rel=stylesheet href='http://example.net/x.css'>a b", "stylesheet"),
    ("<meta http-equiv=refresh content='0;url=http://example.net'>a b", "refresh"),
    ("<style>@import 'http://example.net/x.css'</style>a b", "@import"),
    ("<p style='width: expression(x())'>a b", "expression"),
    ("<p style='background: url(javascript:x())'>a b", "javascript"),
    ("<!--[if IE]><script>x()</script><![endif]-->a b", "x()"),
    ("<noscript><p title='</noscript><img src=x onerror=x()>'></noscript>a b", "onerror"),
    ("<template><img src=x onerror=x()></template>a b", "onerror"),
    ("<x-thing onfoo=1>a b</x-thing>", "x-thing"),
    ("<o:p onfoo=1>a b</o:p>", "o:p"),
])  # fmt: skip
def test_what_acts_is_gone(html, gone):
    shown = view(f"<html><body>{html}</body></html>", filtered=True)
    assert gone not in shown.lower() and "a" in shown and "b" in shown


def test_what_is_read_stays():
    html = (
        '<html><body><h1>Привет</h1><p style="color:red">one <b>two</b> <x>three</x> four</p>tail<table border="1"><tr>'
        '<td align="left">5</td></tr></table><a href="https://example.net/?a=1&amp;b=2">link</a>'
        '<img src="cid:logo@x" alt="logo"><img src="data:image/png;base64,AAAA"></body></html>'
    )
    shown = view(html, filtered=True)
    for part in (
        "<h1>Привет</h1>", '<p style="color:red">one <b>two</b> three four</p>tail', '<td align="left">5</td>',
        'href="https://example.net/?a=1&amp;b=2"', 'src="cid:logo@x"', 'src="data:image/png;base64,AAAA"',
    ):  # fmt: skip
        assert part in shown


@pytest.mark.parametrize("html", [
    "<img src='http://example.net/a.png'>", "<img src=//example.net/a.png>", "<img src='\\\\example.net\\a'>",
    "<img srcset='http://example.net/a.png 2x'>", "<table background=http://example.net/a.png>",
    "<p style='background:url( http://example.net/a.png )'>", "<p style=\"background:URL('http://example.net/a')\">",
    "<style>p { background: url(http://example.net/a.png) }</style>", "<style>@import 'http://example.net/a';</style>",
    "<link rel=stylesheet href=http://example.net/a.css>", "<video poster=http://example.net/a.png>",
    "<svg><image xlink:href='http://example.net/a'/></svg>", "<input type=image src=http://example.net/a>",
    "<iframe srcdoc='&lt;img src=http://example.net/a>'></iframe>", "<img src=' ht\ntp://example.net/a'>",
    "<p style='background:u/**/rl(http://example.net/a)'>",
])  # fmt: skip
def test_what_would_be_fetched_is_blocked(html):
    html = f"<html><head></head><body>{html}<p>text</p></body></html>"
    shown = view(html, no_images=True)
    assert fetches(html) and not fetches(shown) and "text" in shown
    assert "example.net" not in shown.replace("blockedimagesrc", "\0").split("\0")[0]


@pytest.mark.parametrize("html", [
    "<img src='cid:a@b'>", "<img src='data:image/png;base64,AA'>", "<img src='logo.png'>", "<p style='color:red'>x",
    "<a href='http://example.net'>x</a>", "<p style='background:url(cid:a@b)'>",
    "<p style='background:url( cid:a@b )'>",
])  # fmt: skip
def test_what_comes_with_the_message_is_not_blocked(html):
    html = f"<html><body>{html}</body></html>"
    assert not fetches(html)
    assert "blockedimagesrc" not in view(html, no_images=True) and "none" not in view(html, no_images=True)


def test_relative_pictures_have_no_base():
    html = "<html><head><base href='http://example.net/'></head><body><img src='a.png'></body></html>"
    assert "example.net" not in view(html, no_images=True)


def test_links_open_elsewhere():
    shown = view('<p><a href="http://a">a</a><a href="#b" target="x">b</a><a name="c">c</a></p>', blank_targets=True)
    assert shown.count('target="_blank"') == 2 and '<a href="#b" target="x">' in shown


@pytest.mark.parametrize(("html", "then"), [
    ('<meta charset="koi8-r">', '<meta charset="utf-8">'),
    ("<META http-equiv=Content-Type content='text/html; CHARSET=windows-1251'>",
     "<META http-equiv=Content-Type content='text/html; CHARSET=utf-8'>"),
    ("<p>charset=koi8-r</p>", "<p>charset=koi8-r</p>"),
    ("", ""),
])  # fmt: skip
def test_what_a_head_says_of_its_characters(html, then):
    assert declares_utf8(html) == then


@pytest.mark.parametrize("html", ["", " ", "\0", "<", "<!--", "plain", "<p>\ud800</p>"])
def test_what_is_hardly_html(html):
    for how in ({"filtered": True}, {"no_images": True}, {"blank_targets": True}):
        assert isinstance(view(html, **how), str)
    assert not fetches(html)


@given(st.text(alphabet="<>/ab='\" &#;:-!scriptonjavurl()", max_size=80))
@settings(max_examples=60, deadline=None)
def test_nothing_that_is_filtered_twice_changes_again(html):
    once = view(f"<html><body>{html}</body></html>", filtered=True)
    assert "<script" not in once.lower() and "javascript:" not in once.lower().split(">")[0]
    assert view(once, filtered=True) == once


@pytest.mark.parametrize(
    "piece",
    [
        "<meta ",
        "/*",
        "url(   ",
        "<b>",
        "<meta aaaaaaaaaaaaaaaaaaaaaaa",
        "url(\"' '",
        "<x>a</x>",
        "<o:p>a</o:p>b",
        "<script>a</script>b",
        "<x>",
        "<img src=http://a>",
        "<p onclick=x style='a:url(b)'>",
    ],
)
def test_hostile_html_costs_no_more_than_its_length(piece):
    html = f"<html><head><style>{piece * 20_000}</style></head><body>{piece * 20_000}</body></html>"
    began = time.process_time()
    declares_utf8(html)
    view(html, filtered=True, no_images=True, blank_targets=True)
    assert time.process_time() - began < 4


@pytest.mark.parametrize("filling", [
    "a" * 11_000_000,  # libxml2 takes no text of 10 MB unless told so
    "<div>" * 3000,  # nor elements within 256 others
    "<p " + " ".join(f"a{number}=1" for number in range(50_000)) + ">",  # a tree looks at each attribute for each other
    "<" + "a" * 60_000 + ">",
])  # fmt: skip
def test_no_size_gets_past_the_filter(filling):
    began = time.process_time()
    shown = view(filling + "<img src=x onerror=x()><script>x()</script>end", filtered=True)
    assert "x()" not in shown and "onerror" not in shown and "end" in shown
    assert time.process_time() - began < 4


def test_what_is_too_long_is_shown_as_text(monkeypatch):
    monkeypatch.setattr(mail_html, "_MAX_CHARACTERS", 10)
    html = "<p>a &amp; b</p><script>x()</script>"
    for how in ({"filtered": True}, {"no_images": True}):
        assert view(html, **how) == f"<html><body><pre>{escape(html)}</pre></body></html>"
    assert fetches(html)


def test_what_is_written_twice_is_read_once():
    assert view("<html><body>a</body></html><p>b</html>c", filtered=True) == "<html><body>a</body><p>b</p>c</html>"


def test_text_that_is_no_html_stays_as_it_is():
    html = "<html><head><style>a > b { color: red }</style></head><body><p>1 &lt; 2</p></body></html>"
    assert view(html, no_images=True) == html
