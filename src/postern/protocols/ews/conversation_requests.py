"""FindConversation, GetConversationItems, ApplyConversationAction (MS-OXWSCONV 3.1.4)."""

from __future__ import annotations

from datetime import datetime

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews.find_requests import MAX_SORT, Order, orders
from postern.protocols.ews.folder_requests import DISPOSAL, Page, page
from postern.protocols.ews.places import AnyFolder, folder, limited, listed, optional_target, target
from postern.protocols.ews.reading import (
    attribute,
    base64_of,
    boolean,
    child,
    children,
    choice,
    date_time,
    integer_of,
    need,
    some,
    text,
    text_of,
)
from postern.protocols.ews.shapes import ItemShape, item_shape
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

VIEW_FILTERS = ("All", "Flagged", "HasAttachment", "ToOrCcMe", "Unread", "TaskActive", "TaskOverdue", "TaskCompleted",
                "NoClutter", "Clutter")  # fmt: skip
NODE_ORDERS = ("TreeOrderAscending", "TreeOrderDescending", "DateOrderAscending", "DateOrderDescending")
ACTIONS = ("AlwaysCategorize", "AlwaysDelete", "AlwaysMove", "Delete", "Move", "Copy", "SetReadState",
           "SetRetentionPolicy", "Flag")  # fmt: skip
SCOPES = ("PrimaryOnly", "ArchiveOnly", "All")
MAX_ITEMS = 100
"""MaxItemsToReturn, and what a conversation has at most where it is not said."""
MAX_CATEGORIES = 100


class FindConversation(msgspec.Struct, frozen=True):
    """FindConversation."""

    parent: AnyFolder
    page: Page | None
    order: tuple[Order, ...]
    query: str
    """AQS; empty: none."""
    shape: ItemShape | None
    """None: everything, as before there were shapes."""
    deep: bool
    view_filter: str
    scope: str


class ConversationRequest(msgspec.Struct, frozen=True):
    """One conversation of GetConversationItems."""

    id: str
    state: bytes
    """SyncState; empty: none."""


class GetConversationItems(msgspec.Struct, frozen=True):
    """GetConversationItems."""

    shape: ItemShape
    ignored: tuple[AnyFolder, ...]
    limit: int
    order: str
    conversations: tuple[ConversationRequest, ...]
    scope: str


class ConversationAction(msgspec.Struct, frozen=True):
    """One action on one conversation."""

    action: str
    id: str
    context: AnyFolder | None
    """Items of this folder only."""
    last_sync: datetime | None
    """Items that came later are left alone."""
    destination: AnyFolder | None
    categories: tuple[str, ...]
    always_delete: bool
    read: bool | None
    delete_type: str
    """Empty: not said."""
    flag: Element | None


def find_conversation(element: Element) -> FindConversation:
    """FindConversation. Raises EwsViolation, as all of these."""
    found = dict(children(element))
    if "SeekToConditionPageItemView" in found:
        raise EwsViolation("ErrorUnsupportedQueryFilter", "Pages that begin at a condition are not supported.")
    order = orders(element)
    if len(order) > MAX_SORT:
        raise EwsViolation("ErrorUnsupportedPathForSortGroup", f"Up to {MAX_SORT} properties can be sorted by.")
    return FindConversation(
        target(element, "ParentFolderId"),
        page(found.get("IndexedPageItemView")),
        order,
        text(found["QueryString"]).strip() if "QueryString" in found else "",
        item_shape(found["ConversationShape"]) if "ConversationShape" in found else None,
        choice(element.get("Traversal", "Shallow"), ("Shallow", "Deep"), "Traversal") == "Deep",
        choice(element.get("ViewFilter", "All"), VIEW_FILTERS, "ViewFilter"),
        choice(text_of(element, "MailboxScope", "PrimaryOnly"), SCOPES, "MailboxScope"),
    )


def get_conversation_items(element: Element) -> GetConversationItems:
    """GetConversationItems."""
    wanted = []
    for name, one in limited(some(element, "Conversations")):
        if name != "Conversation":
            raise SchemaViolation(f"{name} is no conversation.")
        state = text_of(one, "SyncState").strip()
        id_ = attribute(need(one, "ConversationId"), "Id")
        wanted.append(ConversationRequest(id_, base64_of(state, "SyncState")))
    return GetConversationItems(
        item_shape(need(element, "ItemShape")),
        tuple(folder(one) for one in listed(element, "FoldersToIgnore")),
        integer_of(element, "MaxItemsToReturn", MAX_ITEMS, 1, MAX_ITEMS),
        choice(text_of(element, "SortOrder", NODE_ORDERS[1]), NODE_ORDERS, "SortOrder"),
        tuple(wanted),
        choice(text_of(element, "MailboxScope", "PrimaryOnly"), SCOPES, "MailboxScope"),
    )


def apply_conversation_action(element: Element) -> tuple[ConversationAction, ...]:
    """ApplyConversationAction."""
    return tuple(_action(one) for _, one in limited(some(element, "ConversationActions")))


def _action(element: Element) -> ConversationAction:
    found = dict(children(element))

    def truth(name: str) -> bool | None:
        return boolean(text(found[name]), name) if name in found else None

    named = [text(one).strip() for one in listed(element, "Categories")]
    if len(named) > MAX_CATEGORIES:
        raise EwsViolation("ErrorInvalidRequest", f"An action has {MAX_CATEGORIES} categories at most.")
    last = child(element, "ConversationLastSyncTime")
    return ConversationAction(
        choice(text(need(element, "Action")), ACTIONS, "Action"),
        attribute(need(element, "ConversationId"), "Id"),
        optional_target(element, "ContextFolderId"),
        None if last is None else date_time(text(last), "ConversationLastSyncTime"),
        optional_target(element, "DestinationFolderId"),
        tuple(dict.fromkeys(one for one in named if one)),
        truth("EnableAlwaysDelete") is True,
        truth("IsRead"),
        choice(text(found["DeleteType"]), DISPOSAL, "DeleteType") if "DeleteType" in found else "",
        found.get("Flag"),
    )
