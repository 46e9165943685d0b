"""Reading envelopes: XML without any of the features that attacks are made of, and within limits.

A document type is refused before a parser sees it (that ends entities, external or recursive), other encodings than
UTF-8 likewise, so that the text that was looked at is the text that is parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec
from lxml import etree

from postern.model.refusal import ProtocolViolation

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"

_PROLOG = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml(?=[\s?])([^>]{0,200}+)>)?+(?:\s++|<!--(?:[^-]|-[^-])*+-->)*+<(?![!?])", re.DOTALL
).match
_ENCODING = re.compile(rb"encoding\s*=\s*[\"']([^\"']+)[\"']").search
_ENCODINGS = frozenset({b"utf-8", b"utf8", b"us-ascii"})
_SMALL_BYTES = 8 << 20
"""libxml2 takes no text of 10 MB unless told that the tree may be huge; then it nests deeper too, hence `Limits`."""


class Limits(msgspec.Struct, frozen=True):
    """Of one document. Octets are limited by the host."""

    depth: int = 64
    """Elements within each other."""
    elements: int = 200_000
    attributes: int = 16
    """Of one element."""


class SoapViolation(ProtocolViolation):
    """What is no envelope, or is over a limit; the text is for the client."""


class Envelope(msgspec.Struct, frozen=True):
    """A request."""

    headers: tuple[etree._Element, ...]
    """Children of Header, if there is one."""
    body: etree._Element
    """The first element in Body: which operation, and what."""


def parse(data: bytes, limits: Limits = Limits()) -> Envelope:  # noqa: B008 - frozen
    """Read an envelope. Raises SoapViolation."""
    root = document(data, limits)
    if root.tag != f"{{{SOAP}}}Envelope":
        raise SoapViolation("The document is no SOAP 1.1 envelope.")
    headers: tuple[etree._Element, ...] = ()
    body: etree._Element | None = None
    for child in root:
        if child.tag == f"{{{SOAP}}}Header" and body is None:
            headers = tuple(child)
        elif child.tag == f"{{{SOAP}}}Body" and body is None:
            body = child
    if body is None:
        raise SoapViolation("The envelope has no body.")
    if len(body) == 0:
        raise SoapViolation("The body of the envelope is empty.")
    return Envelope(headers, body[0])


def document(data: bytes, limits: Limits) -> etree._Element:
    """The root element of any document. Raises SoapViolation."""
    prolog = _PROLOG(data)
    if prolog is None:
        raise SoapViolation("The request is no XML, or has a document type, which is not allowed.")
    named = _ENCODING(prolog[1]) if prolog[1] else None
    if named is not None and named[1].lower() not in _ENCODINGS:
        raise SoapViolation("The request has to be in UTF-8.")
    try:
        root = etree.fromstring(data, _parser(len(data) > _SMALL_BYTES))
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SoapViolation("The request is no well-formed XML, or nests too deeply.") from error
    # elements and attributes there can be no more of than these octets: most requests need no look at each of them
    elements = data.count(b"<") - data.count(b"</")
    if elements > min(limits.depth, limits.elements) or data.count(b"=") > limits.attributes:
        _check(root, limits, elements)
    return root


@lru_cache(maxsize=2)
def _parser(huge: bool) -> etree.XMLParser:
    """Making one costs as much as a small document. Threads that use it at once wait for each other (lxml's lock)."""
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
        huge_tree=huge,
    )


@lru_cache(maxsize=8)
def _wrong(depth: int, attributes: int) -> tuple[etree.XPath, etree.XPath]:
    """What finds an element that is too deep, and one with too many attributes."""
    return etree.XPath(f"boolean({'/*' * (depth + 1)})"), etree.XPath(f"boolean(//*[@*[{attributes + 1}]])")


def _check(root: etree._Element, limits: Limits, at_most: int) -> None:
    """`at_most`: there are no more elements than these."""
    if at_most <= limits.elements:
        deep, many = _wrong(limits.depth, limits.attributes)
        if deep(root):
            raise SoapViolation(f"Elements nest deeper than {limits.depth}.")
        if many(root):
            raise SoapViolation(f"An element has more than {limits.attributes} attributes.")
        return
    depth = count = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            depth -= 1
            continue
        depth += 1
        count += 1
        if depth > limits.depth:
            raise SoapViolation(f"Elements nest deeper than {limits.depth}.")
        if count > limits.elements:
            raise SoapViolation(f"The request has more than {limits.elements} elements.")
        if len(element.attrib) > limits.attributes:
            raise SoapViolation(f"An element has more than {limits.attributes} attributes.")
