"""FindItem and SyncFolderItems (MS-OXWSSRCH 3.1.4.2, MS-OXWSSYNC 3.1.4.2)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import paths
from postern.protocols.ews.folder_requests import Page, max_entries, page
from postern.protocols.ews.paths import PATH_ELEMENTS, Field, Path
from postern.protocols.ews.places import AnyFolder, ItemRef, folders, item, listed, target
from postern.protocols.ews.reading import (
    attribute,
    child,
    children,
    choice,
    integer,
    integer_of,
    local,
    need,
    text,
    text_of,
)
from postern.protocols.ews.restrictions import Restriction, restriction
from postern.protocols.ews.shapes import ItemShape, item_shape
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

MAX_CHANGES = 512
"""MS-OXWSSYNC 2.2.4.2: what MaxChangesReturned may be."""
MAX_SORT = 10


class Order(msgspec.Struct, frozen=True):
    """One element of SortOrder."""

    path: Path
    descending: bool


class Grouping(msgspec.Struct, frozen=True):
    """GroupBy: items of one value together, groups in the order of one of their items."""

    path: Path
    descending: bool
    on: Path
    maximum: bool
    """The representative of a group is the item with the largest value of `on`; else with the smallest."""


class Seek(msgspec.Struct, frozen=True):
    """SeekToConditionPageItemView: a page that begins at the first item that fits."""

    condition: Restriction
    limit: int
    """0: not said."""
    from_end: bool


class FindItem(msgspec.Struct, frozen=True):
    """FindItem."""

    shape: ItemShape
    parents: tuple[AnyFolder, ...]
    traversal: str
    page: Page | None
    restriction: Restriction | None
    order: tuple[Order, ...]
    group: Grouping | None
    query: str
    """AQS; empty: none."""
    calendar: tuple[str, str] | None = None
    """StartDate and EndDate of a CalendarView."""
    calendar_limit: int = 0
    """MaxEntriesReturned of it or of a ContactsView; 0: not said."""
    names: tuple[str, str] | None = None
    """InitialName and FinalName of a ContactsView."""
    seek: Seek | None = None


class SyncFolderItems(msgspec.Struct, frozen=True):
    """SyncFolderItems."""

    shape: ItemShape
    folder: AnyFolder
    state: str
    ignore: frozenset[str]
    """Ids."""
    limit: int
    associated: bool


def _direction(element: Element) -> bool:
    return choice(attribute(element, "Order"), ("Ascending", "Descending"), "Order") == "Descending"


def orders(element: Element) -> tuple[Order, ...]:
    """SortOrder, if it is there. Raises EwsViolation."""
    return tuple(Order(_path(one), _direction(one)) for one in listed(element, "SortOrder"))


def _path(element: Element) -> Path:
    for name, one in children(element):
        if name in PATH_ELEMENTS:
            return paths.path(one)
    raise SchemaViolation(f"{local(element)} names no property.")


def _group(element: Element) -> Grouping:
    aggregate = need(element, "AggregateOn")
    which = choice(attribute(aggregate, "Aggregate"), ("Minimum", "Maximum"), "Aggregate")
    return Grouping(_path(element), _direction(element), _path(aggregate), which == "Maximum")


def _standard(element: Element) -> Grouping:
    """DistinguishedGroupBy: by conversation topic, the one with the latest message counts (MS-OXWSSRCH 2.2.4.5)."""
    choice(text(need(element, "StandardGroupBy")), ("ConversationTopic",), "StandardGroupBy")
    return Grouping(Field("message:ConversationTopic"), _direction(element), Field("item:DateTimeReceived"), True)


def _seek(element: Element) -> Seek:
    limit = max_entries(element)
    base = choice(attribute(element, "BasePoint"), ("Beginning", "End"), "BasePoint")
    return Seek(restriction(need(element, "Condition")), limit, base == "End")


def find_item(element: Element) -> FindItem:
    """Raises EwsViolation."""
    found = dict(children(element))
    view = None
    for name in ("IndexedPageItemView", "FractionalPageItemView"):
        view = found.get(name, view)
    group = None
    if "GroupBy" in found:
        group = _group(found["GroupBy"])
    elif "DistinguishedGroupBy" in found:
        group = _standard(found["DistinguishedGroupBy"])
    calendar = None
    if "CalendarView" in found:
        calendar = (attribute(found["CalendarView"], "StartDate"), attribute(found["CalendarView"], "EndDate"))
    limit, names = 0, None
    for name in ("CalendarView", "ContactsView"):
        if name in found and found[name].get("MaxEntriesReturned") is not None:
            limit = integer(found[name].get("MaxEntriesReturned", ""), "MaxEntriesReturned")
            if limit < 1:
                raise EwsViolation("ErrorInvalidPagingMaxRows", "MaxEntriesReturned is at least 1.")
    if "ContactsView" in found:
        names = (found["ContactsView"].get("InitialName", ""), found["ContactsView"].get("FinalName", ""))
    order = orders(element)
    if len(order) > MAX_SORT:
        raise EwsViolation("ErrorUnsupportedPathForSortGroup", f"Up to {MAX_SORT} properties can be sorted by.")
    return FindItem(
        item_shape(need(element, "ItemShape")),
        folders(element, "ParentFolderIds"),
        choice(attribute(element, "Traversal"), ("Shallow", "SoftDeleted", "Associated"), "Traversal"),
        page(view) if calendar is None else None,
        restriction(found["Restriction"]) if "Restriction" in found else None,
        order,
        group,
        text(found["QueryString"]).strip() if "QueryString" in found else "",
        calendar,
        limit,
        names,
        _seek(found["SeekToConditionPageItemView"]) if "SeekToConditionPageItemView" in found else None,
    )


def sync_folder_items(element: Element) -> SyncFolderItems:
    """Raises EwsViolation."""
    need(element, "MaxChangesReturned")
    ignored = [item(one) for one in listed(element, "Ignore")]
    scope = text_of(element, "SyncScope", "NormalItems")
    choice(scope, ("NormalItems", "NormalAndAssociatedItems"), "SyncScope")
    state = child(element, "SyncState")
    return SyncFolderItems(
        item_shape(need(element, "ItemShape")),
        target(element, "SyncFolderId"),
        "" if state is None else text(state).strip(),
        frozenset(one.id for one in ignored if isinstance(one, ItemRef)),
        integer_of(element, "MaxChangesReturned", 0, 1, MAX_CHANGES),
        scope == "NormalAndAssociatedItems",
    )
