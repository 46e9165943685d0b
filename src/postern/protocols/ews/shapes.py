"""Which properties an answer has to have (MS-OXWSCDATA 2.2.4.44 ItemResponseShapeType, MS-OXWSFOLD)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import paths
from postern.protocols.ews.paths import Path
from postern.protocols.ews.reading import (
    boolean,
    boolean_of,
    child,
    children,
    choice,
    integer_of,
    named,
    need,
    text,
    text_of,
)

BASE = ("IdOnly", "Default", "AllProperties", "PcxPeopleSearch")
BODY_TYPES = ("Best", "HTML", "Text")
MAX_ADDITIONAL = 500
_COMMON = frozenset({"BaseShape", "IncludeMimeContent", "AdditionalProperties"})
"""What most shapes have no more than."""


class FolderShape(msgspec.Struct, frozen=True):
    """Of folders."""

    base: str = "IdOnly"
    additional: tuple[Path, ...] = ()


class ItemShape(msgspec.Struct, frozen=True):
    """Of items."""

    base: str = "IdOnly"
    additional: tuple[Path, ...] = ()
    mime: bool = False
    """IncludeMimeContent."""
    body: str = "Best"
    unique_body: str = "Best"
    normalized_body: str = "Best"
    filter_html: bool = False
    to_utf8: bool = True
    """ConvertHtmlCodePageToUTF8: HTML says of itself that it is UTF-8."""
    block_images: bool = False
    blank_targets: bool = False
    max_body: int = 0
    """MaximumBodySize in characters; 0: all of it."""


def folder_shape(element: Element) -> FolderShape:
    """FolderShape. Raises EwsViolation."""
    return FolderShape(_base(element), _additional(element))


def item_shape(element: Element) -> ItemShape:
    """ItemShape. Raises EwsViolation."""
    given = named(element)
    if "BaseShape" in given and not given.keys() - _COMMON:
        mime = given.get("IncludeMimeContent")
        wanted = mime is not None and boolean(text(mime), "IncludeMimeContent")
        return ItemShape(_base(element), _additional(element), wanted)
    body = _body(element, "BodyType")
    return ItemShape(
        _base(element),
        _additional(element),
        boolean_of(element, "IncludeMimeContent"),
        body,
        _body(element, "UniqueBodyType", body),
        _body(element, "NormalizedBodyType", body),
        boolean_of(element, "FilterHtmlContent"),
        boolean_of(element, "ConvertHtmlCodePageToUTF8", default=True),
        boolean_of(element, "BlockExternalImages"),
        boolean_of(element, "AddBlankTargetToLinks"),
        integer_of(element, "MaximumBodySize", 0, 0),
    )


def attachment_shape(element: Element | None) -> ItemShape:
    """AttachmentShape: what is shown of attached items. Raises EwsViolation."""
    if element is None:
        return ItemShape("AllProperties")
    return ItemShape(
        "AllProperties",
        _additional(element),
        boolean_of(element, "IncludeMimeContent"),
        _body(element, "BodyType"),
        filter_html=boolean_of(element, "FilterHtmlContent"),
    )


def _base(element: Element) -> str:
    return choice(text(need(element, "BaseShape")), BASE, "BaseShape")


def _body(element: Element, name: str, default: str = "Best") -> str:
    return choice(text_of(element, name, default), BODY_TYPES, name)


def _additional(element: Element) -> tuple[Path, ...]:
    listed = child(element, "AdditionalProperties")
    if listed is None:
        return ()
    return tuple(dict.fromkeys(paths.path(one) for _, one in list(children(listed))[:MAX_ADDITIONAL]))
