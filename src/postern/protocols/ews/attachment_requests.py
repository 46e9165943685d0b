"""Requests about attachments (MS-OXWSATT 3.1.4)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import references
from postern.protocols.ews.item_requests import ITEM_ELEMENTS, NewItem, new_item
from postern.protocols.ews.places import ItemRef, limited
from postern.protocols.ews.reading import attribute, base64_of, boolean_of, child, children, local, need, some, text_of
from postern.protocols.ews.references import Reference
from postern.protocols.ews.shapes import ItemShape, attachment_shape
from postern.protocols.ews.violation import EwsViolation, SchemaViolation


class NewAttachment(msgspec.Struct, frozen=True):
    """One of Attachments."""

    name: str
    content_type: str
    content_id: str
    content_location: str
    inline: bool
    content: bytes = b""
    item: NewItem | None = None
    """An item that is attached."""
    photo: bool = False
    """IsContactPhoto."""
    reference: Reference | None = None
    """It is only a link."""

    @property
    def element(self) -> str:
        """What it is called."""
        if self.reference is not None:
            return "ReferenceAttachment"
        return "FileAttachment" if self.item is None else "ItemAttachment"


class CreateAttachment(msgspec.Struct, frozen=True):
    """CreateAttachment."""

    parent: ItemRef
    attachments: tuple[NewAttachment, ...]


class GetAttachment(msgspec.Struct, frozen=True):
    """GetAttachment."""

    shape: ItemShape
    ids: tuple[str, ...]


class DeleteAttachment(msgspec.Struct, frozen=True):
    """DeleteAttachment."""

    ids: tuple[str, ...]


def new_attachment(element: Element) -> NewAttachment:
    """FileAttachment, ItemAttachment or ReferenceAttachment. Raises EwsViolation."""
    kind = local(element)
    if kind not in ("FileAttachment", "ItemAttachment", "ReferenceAttachment"):
        raise SchemaViolation(f"{kind} is no attachment.")
    content, attached, reference = b"", None, None
    if kind == "ReferenceAttachment":
        reference = references.read(element)
    elif kind == "FileAttachment":
        content = base64_of(need(element, "Content").text or "", "Content")
    else:
        for name, one in children(element):
            if name in ITEM_ELEMENTS:
                attached = new_item(one)
        if attached is None:
            raise EwsViolation("ErrorMissingItemForCreateItemAttachment", "ItemAttachment has no item in it.")
    return NewAttachment(
        text_of(element, "Name").strip(),
        text_of(element, "ContentType").strip(),
        text_of(element, "ContentId").strip(),
        text_of(element, "ContentLocation").strip(),
        boolean_of(element, "IsInline"),
        content,
        attached,
        boolean_of(element, "IsContactPhoto"),
        reference,
    )


def create_attachment(element: Element) -> CreateAttachment:
    """Raises EwsViolation."""
    parent = need(element, "ParentItemId")
    made = tuple(new_attachment(one) for _, one in limited(some(element, "Attachments")))
    return CreateAttachment(ItemRef(attribute(parent, "Id"), parent.get("ChangeKey", "")), made)


def _ids(element: Element) -> tuple[str, ...]:
    return tuple(attribute(one, "Id") for _, one in limited(some(element, "AttachmentIds")))


def get_attachment(element: Element) -> GetAttachment:
    """Raises EwsViolation."""
    return GetAttachment(attachment_shape(child(element, "AttachmentShape")), _ids(element))


def delete_attachment(element: Element) -> DeleteAttachment:
    """Raises EwsViolation."""
    return DeleteAttachment(_ids(element))
