"""Bulk transfer: items as opaque octets out and in again (MS-OXWSBTRF)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import places
from postern.protocols.ews.places import AnyFolder, ItemRef, limited
from postern.protocols.ews.reading import attribute, base64_of, boolean, child, choice, local, need, some, text
from postern.protocols.ews.violation import SchemaViolation

ACTIONS = ("CreateNew", "Update", "UpdateOrCreate")


class Upload(msgspec.Struct, frozen=True):
    """One item to be put back."""

    action: str
    folder: AnyFolder
    item: ItemRef | None
    data: bytes
    associated: bool


def export_items(element: Element) -> tuple[ItemRef, ...]:
    """ExportItems (MS-OXWSBTRF 3.1.4.1). Raises EwsViolation, as the other."""
    return places.items(element)


def upload_items(element: Element) -> tuple[Upload, ...]:
    """UploadItems (MS-OXWSBTRF 3.1.4.2)."""
    return tuple(_upload(one) for _, one in limited(some(element, "Items")))


def _upload(element: Element) -> Upload:
    if local(element) != "Item":
        raise SchemaViolation("Items has other elements than Item.")
    item = child(element, "ItemId")
    return Upload(
        choice(attribute(element, "CreateAction"), ACTIONS, "CreateAction"),
        _parent(element),
        None if item is None else places.item(item),
        base64_of(text(need(element, "Data")), "Data"),
        boolean(element.get("IsAssociated", "false"), "IsAssociated"),
    )


def _parent(element: Element) -> AnyFolder:
    found = need(element, "ParentFolderId")
    return places.FolderRef(attribute(found, "Id"), found.get("ChangeKey", ""))
