"""HTML of mail as a reader wants it: without what acts, without what is fetched, with links that open elsewhere.

Read by libxml2 without network, in one pass and without a tree; what is written again has no comments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from itertools import islice
from typing import Any, cast

from lxml import etree

_META = re.compile(r"(<meta\b[^<>]{0,500}?\bcharset\s*=\s*[\"']?\s*)([A-Za-z0-9_.:-]{1,60})", re.IGNORECASE)
_META_WITHIN = 16_384
"""Characters in which a declaration counts (HTML 4.2.5.5 has 1024 octets; mail programs are less exact)."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_KEPT = _words(
    """
    html body a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd
    del details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main
    mark menu nav ol p pre q rp rt ruby s samp section small span strike strong sub summary sup table tbody td tfoot th
    thead time tr tt u ul var wbr
    """
)
"""Elements that only show something. Of others the content stays, without the element."""
_GONE = _words(
    """
    head title style script noscript template iframe frame frameset noframes object embed applet param audio video
    source track canvas svg math textarea select option datalist xmp plaintext listing noembed base link meta dialog
    """
)
"""Elements that go with all that is in them."""
_ATTRIBUTES = _words(
    """
    abbr align alt bgcolor border cellpadding cellspacing class clear color cols colspan datetime dir face headers
    height hspace lang nowrap reversed rowspan rows scope size span start style summary target title type valign value
    vspace width href src cite
    """
)
_LINKS = frozenset({"href", "src", "cite"})
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):").match
_HARMLESS = frozenset({"http", "https", "mailto", "tel", "sms", "ftp", "cid", "mid"})
_PICTURE = re.compile(r"data:image/(?:png|gif|jpe?g|webp|bmp)[;,]").match
_BLANK = re.compile(r"[\x00-\x20\x7f-\xa0\u2028\u2029]+")
_STYLE = re.compile(
    r"expression|javascript|vbscript|behaviou?r|binding|@import|url\s*\(|/\*|\\|position", re.IGNORECASE
)
_FETCHED = re.compile(r"url\(\s*+[\"']?+\s*+(?!cid:|data:|#)[^)]*\)?|@import[^;]*;?", re.IGNORECASE)
_HIDDEN = re.compile(r"\\|image-set|(?<![a-z-])src\s*\(", re.IGNORECASE)
"""What may fetch without saying so."""
_FETCHING = (
    "src", "srcset", "srcdoc", "background", "poster", "lowsrc", "dynsrc", "data", "code", "codebase", "archive",
)  # fmt: skip
_XLINK = "xlink:href"
_VOID = _words("area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr")
"""Elements without an end (HTML 13.1.2)."""
_RAW = _words("script style xmp iframe noembed noframes plaintext")
"""Elements whose text is no HTML, in which nothing is escaped."""
_NAME = re.compile(r"[a-z][-a-z0-9_.:]*", re.IGNORECASE | re.ASCII).fullmatch
_MAX_ATTRIBUTES = 100
_MAX_CHARACTERS = 32 << 20


def declares_utf8(html: str) -> str:
    """What is text already says in its head that it is UTF-8, whatever it was before it was decoded."""
    end = html.find("<body", 0, _META_WITHIN)
    head = html[: end if end >= 0 else _META_WITHIN]
    if "charset" not in head.lower():
        return html
    told = _META.sub(r"\1utf-8", head)
    return html if told == head else told + html[len(head) :]


def view(html: str, *, filtered: bool = False, no_images: bool = False, blank_targets: bool = False) -> str:
    """The same document, changed as asked.

    `filtered`: nothing is left that acts (scripts, handlers, frames, forms, styles with functions); `no_images`:
    nothing is fetched from elsewhere when it is shown, what was in `src` is in `blockedimagesrc`; `blank_targets`:
    links have target="_blank". What cannot be read as HTML is shown as plain text.
    """
    if not (filtered or no_images or blank_targets) or not html.strip():
        return html
    written = _written(html, filtered, no_images, blank_targets)
    return f"<html><body><pre>{escape(html)}</pre></body></html>" if written is None else written.html()


def fetches(html: str) -> bool:
    """Whether showing it would fetch something from elsewhere."""
    if not html.strip():
        return False
    written = _written(html, False, True, False)
    return written is None or written.fetched


def _written(html: str, filtered: bool, no_images: bool, blank_targets: bool) -> _Writer | None:
    """None: libxml2 could not read it."""
    if len(html) > _MAX_CHARACTERS:
        return None
    writer = _Writer(filtered, no_images, blank_targets)
    # lxml's types want a target that takes comments too; without that method they are left out
    target = cast("Any", writer)
    parser = etree.HTMLParser(target=target, encoding="utf-8", no_network=True, huge_tree=True, recover=True)
    try:
        etree.fromstring(html.replace("\0", "").encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None
    return writer


class _Writer:
    """Takes what libxml2 reads and writes what is to be shown.

    Without a tree: a tree's attributes are a list, so that each further one of an element costs more than the last.
    """

    def __init__(self, filtered: bool, no_images: bool, blank_targets: bool) -> None:
        self._filtered, self._no_images, self._blank_targets = filtered, no_images, blank_targets
        self._out: list[str] = []
        self._gone = 0
        """Elements within each other of which nothing is written."""
        self._raw = ""
        """The element whose text is not escaped, while it is open."""
        self._text: list[str] = []
        """Its text."""
        self._open_html = False
        self.fetched = False

    def html(self) -> str:
        """What was written."""
        return "".join([*self._out, "</html>"]) if self._open_html else "".join(self._out)

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if self._gone or (self._filtered and tag in _GONE):
            self._gone += 1
            return
        if not self._written(tag) or (tag == "html" and self._open_html):
            return
        self._open_html = self._open_html or tag == "html"
        kept = self._kept(tag, attributes)
        self._out.append(f"<{tag}{''.join(f' {key}={_quoted(value)}' for key, value in kept.items())}>")
        if tag in _RAW:
            self._raw = tag

    def data(self, text: str) -> None:
        if self._gone:
            return
        if self._raw:
            self._text.append(text)
        else:
            self._out.append(escape(text, quote=False))

    def end(self, tag: str) -> None:
        if self._gone:
            self._gone -= 1
            return
        if tag == self._raw:
            text = "".join(self._text)
            if tag == "style" and self._no_images:
                text, fetched = _without_fetching(text)
                self.fetched = self.fetched or fetched
            self._out.append(text)
            self._raw, self._text = "", []
        # libxml2 ends the document as often as it finds something after its end
        if self._written(tag) and tag not in _VOID and tag != "html":
            self._out.append(f"</{tag}>")

    def close(self) -> None:
        """Nothing more comes."""

    def _written(self, tag: str) -> bool:
        return tag in _KEPT or (not self._filtered and _NAME(tag) is not None)

    def _kept(self, tag: str, attributes: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in islice(attributes.items(), _MAX_ATTRIBUTES) if _NAME(key) is not None}
        if self._filtered:
            kept = {key: value for key, value in kept.items() if _harmless(tag, key, value)}
        if self._no_images and _block(tag, kept):
            self.fetched = True
        if self._blank_targets and tag in ("a", "area") and not kept.get("href", "").strip().startswith("#"):
            kept |= {"target": "_blank", "rel": "noopener noreferrer"}
        return kept


def _quoted(value: str) -> str:
    return f'"{escape(value)}"'


def _harmless(element: str, name: str, value: str) -> bool:
    if name not in _ATTRIBUTES:
        return False
    if name == "style":
        return not _STYLE.search(value)
    if name not in _LINKS:
        return True
    link = _BLANK.sub("", value).lower()
    scheme = _SCHEME(link)
    if scheme is None or scheme[1] in _HARMLESS:
        return True
    return element == "img" and _PICTURE(link) is not None


def _block(element: str, attributes: dict[str, str]) -> bool:
    """Take away what would be fetched; whether there was anything."""
    found = False
    for key in (*_FETCHING, *(() if element in ("a", "area") else ("href", _XLINK))):
        value = attributes.get(key)
        if value is not None and (element == "base" or key == "srcdoc" or _elsewhere(value)):
            found = found or element != "base"
            del attributes[key]
            if key == "src":
                attributes["blockedimagesrc"] = value
    if "style" in attributes:
        attributes["style"], fetched = _without_fetching(attributes["style"])
        found = found or fetched
    return found


def _without_fetching(style: str) -> tuple[str, bool]:
    """A style that fetches nothing, and whether it did; one that may hide something is left out whole."""
    pieces, at = [], 0
    while (opening := style.find("/*", at)) >= 0:
        pieces.append(style[at:opening])
        closing = style.find("*/", opening + 2)
        at = len(style) if closing < 0 else closing + 2
    plain = "".join([*pieces, style[at:]])
    fetched = _FETCHED.search(plain) is not None
    return ("" if _HIDDEN.search(plain) else _FETCHED.sub("none", plain)), fetched


def _elsewhere(link: str) -> bool:
    """Whether a link leads out: not to a part of the same message, which has no address of its own."""
    link = _BLANK.sub("", link).lower().replace("\\", "/")
    scheme = _SCHEME(link)
    if scheme is None:
        return link.startswith("//") or "," in link  # the second: of srcset
    return scheme[1] not in ("cid", "mid", "data", "about")
