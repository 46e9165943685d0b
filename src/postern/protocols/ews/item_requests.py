"""Requests about items (MS-OXWSCORE 3.1.4, MS-OXWSMSG 3.1.4)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import paths
from postern.protocols.ews.folder_requests import disposal
from postern.protocols.ews.paths import PATH_ELEMENTS, Path
from postern.protocols.ews.places import AnyFolder, ItemRef, item, items, limited, optional_target, target
from postern.protocols.ews.reading import (
    attribute,
    boolean,
    boolean_of,
    children,
    choice,
    local,
    need,
    some,
)
from postern.protocols.ews.shapes import ItemShape, item_shape
from postern.protocols.ews.violation import SchemaViolation

DISPOSITIONS = ("SaveOnly", "SendOnly", "SendAndSaveCopy")
RESOLUTIONS = ("NeverOverwrite", "AutoResolve", "AlwaysOverwrite")

PLAIN = ("Item", "Message", "SharingMessage")
"""Elements that make mail."""
ITEM_ELEMENTS = frozenset(
    [
        "Item",
        "Message",
        "SharingMessage",
        "CalendarItem",
        "Contact",
        "DistributionList",
        "MeetingMessage",
        "MeetingRequest",
        "MeetingResponse",
        "MeetingCancellation",
        "Task",
        "PostItem",
        "RoleMember",
        "Network",
        "Person",
    ]
)
RESPONSES = frozenset(
    [
        "ReplyToItem",
        "ReplyAllToItem",
        "ForwardItem",
        "CancelCalendarItem",
        "AcceptItem",
        "TentativelyAcceptItem",
        "DeclineItem",
        "RemoveItem",
        "SuppressReadReceipt",
        "PostReplyItem",
        "ProposeNewTime",
        "AcceptSharingInvitation",
        "AddItemToMyCalendar",
    ]
)
"""Response objects: what is made from an item that is there (MS-OXWSCDATA 2.2.4.67)."""


class GetItem(msgspec.Struct, frozen=True):
    """GetItem."""

    shape: ItemShape
    items: tuple[ItemRef, ...]


class NewItem(msgspec.Struct, frozen=True):
    """An item as CreateItem and SetItemField have it."""

    element: str
    values: tuple[tuple[str, Element], ...]
    """Properties as they came, by name."""

    def first(self, name: str) -> Element | None:
        """A property's element."""
        for found, element in self.values:
            if found == name:
                return element
        return None


class CreateItem(msgspec.Struct, frozen=True):
    """CreateItem."""

    items: tuple[NewItem, ...]
    disposition: str
    """Empty: not said."""
    saved_to: AnyFolder | None
    invitations: str = ""
    """SendMeetingInvitations; empty: not said."""


class FieldChange(msgspec.Struct, frozen=True):
    """One element of Updates."""

    action: str
    """Set, Append or Delete."""
    path: Path
    value: NewItem | None


class ItemChange(msgspec.Struct, frozen=True):
    """What is to become of one item."""

    item: ItemRef
    changes: tuple[FieldChange, ...]


class UpdateItem(msgspec.Struct, frozen=True):
    """UpdateItem."""

    changes: tuple[ItemChange, ...]
    conflicts: str
    disposition: str
    saved_to: AnyFolder | None
    invitations: str = ""
    receipts: bool = False
    """SuppressReadReceipts says no."""


class DeleteItem(msgspec.Struct, frozen=True):
    """DeleteItem."""

    items: tuple[ItemRef, ...]
    disposal: str
    cancellations: str = ""
    """SendMeetingCancellations."""
    occurrences: str = ""
    """AffectedTaskOccurrences."""
    receipts: bool = False
    """SuppressReadReceipts says no."""


class TransferItem(msgspec.Struct, frozen=True):
    """MoveItem, CopyItem."""

    target: AnyFolder
    items: tuple[ItemRef, ...]


class SendItem(msgspec.Struct, frozen=True):
    """SendItem."""

    items: tuple[ItemRef, ...]
    save: bool
    saved_to: AnyFolder | None


class MarkAsJunk(msgspec.Struct, frozen=True):
    """MarkAsJunk."""

    items: tuple[ItemRef, ...]
    junk: bool
    move: bool


def get_item(element: Element) -> GetItem:
    """Raises EwsViolation, as all of these."""
    return GetItem(item_shape(need(element, "ItemShape")), items(element))


def new_item(element: Element) -> NewItem:
    """An item's or response object's element."""
    name = local(element)
    if name not in ITEM_ELEMENTS and name not in RESPONSES:
        raise SchemaViolation(f"{name} is no item.")
    return NewItem(name, tuple(children(element)))


def _disposition(element: Element) -> str:
    given = element.get("MessageDisposition")
    return "" if given is None else choice(given, DISPOSITIONS, "MessageDisposition")


def create_item(element: Element) -> CreateItem:
    """CreateItem."""
    made = tuple(new_item(one) for _, one in limited(some(element, "Items")))
    return CreateItem(
        made,
        _disposition(element),
        optional_target(element, "SavedItemFolderId"),
        element.get("SendMeetingInvitations", ""),
    )


_ACTIONS = {"SetItemField": "Set", "AppendToItemField": "Append", "DeleteItemField": "Delete"}


def update_item(element: Element) -> UpdateItem:
    """UpdateItem."""
    changes = []
    for name, one in limited(some(element, "ItemChanges")):
        if name != "ItemChange":
            raise SchemaViolation(f"{name} is no change of an item.")
        _, first = next(iter(children(one)), ("", None))
        if first is None:
            raise SchemaViolation("ItemChange names no item.")
        updates = tuple(_field_change(*each) for each in limited(some(one, "Updates")))
        changes.append(ItemChange(item(first), updates))
    return UpdateItem(
        tuple(changes),
        choice(attribute(element, "ConflictResolution"), RESOLUTIONS, "ConflictResolution"),
        _disposition(element),
        optional_target(element, "SavedItemFolderId"),
        element.get("SendMeetingInvitationsOrCancellations", ""),
        _receipts(element),
    )


def _field_change(name: str, element: Element) -> FieldChange:
    action = _ACTIONS.get(name)
    if action is None:
        raise SchemaViolation(f"{name} is no change of an item's property.")
    where: Path | None = None
    value: NewItem | None = None
    for found, one in children(element):
        if found in PATH_ELEMENTS:
            where = paths.path(one)
        else:
            value = new_item(one)
    if where is None or (value is None) != (action == "Delete"):
        raise SchemaViolation(f"{name} needs a path and an item.")
    return FieldChange(action, where, value)


def delete_item(element: Element) -> DeleteItem:
    """DeleteItem."""
    return DeleteItem(
        items(element),
        disposal(element),
        element.get("SendMeetingCancellations", ""),
        element.get("AffectedTaskOccurrences", ""),
        _receipts(element),
    )


def _receipts(element: Element) -> bool:
    return not boolean(element.get("SuppressReadReceipts", "true"), "SuppressReadReceipts")


def transfer_item(element: Element) -> TransferItem:
    """MoveItem and CopyItem."""
    boolean_of(element, "ReturnNewItemIds")  # the ids are told whatever it says (MS-OXWSCORE 2.2.4.16)
    return TransferItem(target(element, "ToFolderId"), items(element))


def send_item(element: Element) -> SendItem:
    """SendItem."""
    save = boolean(attribute(element, "SaveItemToFolder"), "SaveItemToFolder")
    return SendItem(items(element), save, optional_target(element, "SavedItemFolderId"))


def mark_as_junk(element: Element) -> MarkAsJunk:
    """MarkAsJunk."""
    return MarkAsJunk(
        items(element),
        boolean(attribute(element, "IsJunk"), "IsJunk"),
        boolean(attribute(element, "MoveItem"), "MoveItem"),
    )
