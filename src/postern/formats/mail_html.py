"""HTML of mail as a reader wants it: without what acts, without what is fetched, with links that open elsewhere.

Trees are built by libxml2 without network, entities or huge nodes; what is written again has no comments.
"""

from __future__ import annotations

import re

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
    links have target="_blank".
    """
    root = _parse(html) if filtered or no_images or blank_targets else None
    if root is None:
        return html
    if filtered:
        _filter(root)
    if no_images:
        _block(root)
    if blank_targets:
        for link in root.iter("a", "area"):
            if not link.get("href", "").strip().startswith("#"):
                link.set("target", "_blank")
                link.set("rel", "noopener noreferrer")
    return etree.tostring(root, method="html", encoding="unicode")


def fetches(html: str) -> bool:
    """Whether showing it would fetch something from elsewhere."""
    root = _parse(html)
    return root is not None and _block(root)


def _parse(html: str) -> etree._Element | None:
    parser = etree.HTMLParser(
        encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, huge_tree=False, recover=True
    )
    try:
        return etree.fromstring(html.replace("\0", "").encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def _filter(root: etree._Element) -> None:
    etree.strip_elements(root, *_GONE, with_tail=False)
    unknown = {str(element.tag) for element in root.iter(etree.Element)} - _KEPT
    if unknown:
        etree.strip_tags(root, *sorted(unknown))
    for element in root.iter(etree.Element):
        name = str(element.tag)
        for key, value in list(element.attrib.items()):
            if not _harmless(name, str(key), str(value)):
                del element.attrib[key]


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


def _block(root: etree._Element) -> bool:
    """Take away what would be fetched; whether there was anything."""
    found = False
    for element in list(root.iter(etree.Element)):
        name = str(element.tag).lower()
        for key in (*_FETCHING, *(() if name in ("a", "area") else ("href", _XLINK))):
            value = element.get(key)
            if value is not None and (name == "base" or key == "srcdoc" or _elsewhere(value)):
                found = found or name != "base"
                del element.attrib[key]
                if key == "src":
                    element.set("blockedimagesrc", value)
        style = element.get("style")
        if style is not None:
            kept, fetched = _without_fetching(style)
            found = found or fetched
            element.set("style", kept)
        if name == "style" and element.text:
            element.text, fetched = _without_fetching(element.text)
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
