"""oab.xml: which lists there are, and in which files (MS-OXWOAB 2.2)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

DETAILS_VERSION, TEMPLATE_VERSION = 32, 7


class Published(msgspec.Struct, frozen=True):
    """A file to be fetched."""

    name: str
    sequence: int
    size: int
    """As it is sent."""
    uncompressed: int
    sha: str
    """SHA-1 of what is sent, hexadecimal: what the format asks for, no protection."""


class Template(msgspec.Struct, frozen=True):
    """How a client shows a recipient, in one language."""

    file: Published
    language: str
    """`0409`."""
    kind: str
    """`windows` or `mac`."""


class PublishedList(msgspec.Struct, frozen=True):
    """One address list."""

    guid: str
    dn: str
    name: str
    full: Published
    differences: tuple[Published, ...] = ()
    """Each leads from the sequence before its own to its own; oldest first, without a gap, up to that of `full`."""
    templates: tuple[Template, ...] = ()


def render(lists: Iterable[PublishedList]) -> bytes:
    """The document."""
    content = "".join(_list(one) for one in lists)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<OAB>{content}</OAB>\n'.encode()


def _list(one: PublishedList) -> str:
    found = _file("Full", one.full, DETAILS_VERSION)
    for template in one.templates:
        more = f' langid="{_escaped(template.language)}" type="{_escaped(template.kind)}"'
        found += _file("Template", template.file, TEMPLATE_VERSION, more)
    found += "".join(_file("Diff", difference, DETAILS_VERSION) for difference in one.differences)
    return f'<OAL id="{_escaped(one.guid)}" dn="{_escaped(one.dn)}" name="{_escaped(one.name)}">{found}</OAL>'


def _file(element: str, file: Published, version: int, more: str = "") -> str:
    return (
        f'<{element} seq="{file.sequence}" ver="{version}" size="{file.size}"'
        f' uncompressedsize="{file.uncompressed}" SHA="{file.sha}"{more}>{_escaped(file.name)}</{element}>'
    )


def _escaped(text: str) -> str:
    clean = "".join(char for char in text if char >= " " and not "\ud800" <= char <= "\udfff" and char < "\ufffe")
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
