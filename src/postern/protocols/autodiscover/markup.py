"""Small XML documents: read by the careful reader that SOAP uses, written from values."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from postern.protocols.soap.envelope import Limits
from postern.protocols.soap.envelope import document as parse
from postern.protocols.soap.writing import attribute, text

LIMITS = Limits(depth=32, elements=2000)
"""A request for settings has a dozen elements; one for a hundred users and every setting stays below."""


def read(document: bytes) -> etree._Element:
    """The root of a document. Raises ProtocolViolation for what is malformed, too large, or has a document type."""
    return parse(document, LIMITS)


def text_of(element: etree._Element, local: str) -> str:
    """Text of the first descendant of that local name, stripped; empty if there is none."""
    for one in element.iter(f"{{*}}{local}"):
        return (one.text or "").strip()
    return ""


def tag(name: str, content: str, attributes: Mapping[str, str] | None = None) -> str:
    """An element with a text."""
    return wrap(name, text(content), attributes)


def wrap(name: str, content: str, attributes: Mapping[str, str] | None = None) -> str:
    """An element around markup."""
    given = "".join(f' {key}="{attribute(value)}"' for key, value in (attributes or {}).items())
    return f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>"


def tags(**texts: str) -> str:
    """Elements for the texts that are not empty, in order."""
    return "".join(tag(name, content) for name, content in texts.items() if content)


def document(content: str) -> bytes:
    """With its declaration."""
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + content.encode()
