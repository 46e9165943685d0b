"""Requests about folders (MS-OXWSFOLD 3.1.4, MS-OXWSSRCH 3.1.4.1)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import paths
from postern.protocols.ews.paths import PATH_ELEMENTS, Extended, Path
from postern.protocols.ews.places import AnyFolder, folder, folders, limited, optional_target, target
from postern.protocols.ews.reading import (
    attribute,
    boolean,
    boolean_of,
    child,
    children,
    choice,
    integer,
    local,
    need,
    some,
    text,
    text_of,
)
from postern.protocols.ews.restrictions import Restriction, restriction
from postern.protocols.ews.shapes import FolderShape, folder_shape
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

FOLDER_ELEMENTS = ("Folder", "CalendarFolder", "ContactsFolder", "SearchFolder", "TasksFolder")
DISPOSAL = ("HardDelete", "SoftDelete", "MoveToDeletedItems")


class GetFolder(msgspec.Struct, frozen=True):
    """GetFolder."""

    shape: FolderShape
    folders: tuple[AnyFolder, ...]


class NewFolder(msgspec.Struct, frozen=True):
    """A folder as CreateFolder and SetFolderField have it."""

    element: str
    values: tuple[tuple[str, Element], ...]
    """Properties as they came, by name."""

    def text(self, name: str) -> str | None:
        """A property's text."""
        for found, element in self.values:
            if found == name:
                return text(element)
        return None


class CreateFolder(msgspec.Struct, frozen=True):
    """CreateFolder."""

    parent: AnyFolder
    folders: tuple[NewFolder, ...]


class FieldChange(msgspec.Struct, frozen=True):
    """One element of Updates."""

    action: str
    """Set, Append or Delete."""
    path: Path
    value: NewFolder | None


class FolderChange(msgspec.Struct, frozen=True):
    """What is to become of one folder."""

    folder: AnyFolder
    changes: tuple[FieldChange, ...]


class UpdateFolder(msgspec.Struct, frozen=True):
    """UpdateFolder."""

    changes: tuple[FolderChange, ...]


class DeleteFolder(msgspec.Struct, frozen=True):
    """DeleteFolder."""

    folders: tuple[AnyFolder, ...]
    disposal: str


class EmptyFolder(msgspec.Struct, frozen=True):
    """EmptyFolder."""

    folders: tuple[AnyFolder, ...]
    disposal: str
    subfolders: bool


class TransferFolder(msgspec.Struct, frozen=True):
    """MoveFolder, CopyFolder."""

    target: AnyFolder
    folders: tuple[AnyFolder, ...]


class Page(msgspec.Struct, frozen=True):
    """IndexedPageView or FractionalPageView."""

    limit: int
    """MaxEntriesReturned; 0: all."""
    offset: int = 0
    from_end: bool = False
    numerator: int = 0
    denominator: int = 0
    """0: an indexed page."""

    def start(self, total: int) -> int:
        """Where it begins among `total` entries in their order."""
        if self.denominator:
            return min(total, total * self.numerator // self.denominator)
        return min(self.offset, total)


class FindFolder(msgspec.Struct, frozen=True):
    """FindFolder."""

    shape: FolderShape
    parents: tuple[AnyFolder, ...]
    traversal: str
    page: Page | None
    restriction: Restriction | None


class SyncFolderHierarchy(msgspec.Struct, frozen=True):
    """SyncFolderHierarchy."""

    shape: FolderShape
    folder: AnyFolder | None
    state: str


class CreateManagedFolder(msgspec.Struct, frozen=True):
    """CreateManagedFolder."""

    names: tuple[str, ...]
    address: str
    """Whose mailbox; empty: one's own."""


class MarkAllItemsAsRead(msgspec.Struct, frozen=True):
    """MarkAllItemsAsRead."""

    read: bool
    folders: tuple[AnyFolder, ...]


def get_folder(element: Element) -> GetFolder:
    """Raises EwsViolation, as all of these."""
    return GetFolder(folder_shape(need(element, "FolderShape")), folders(element, "FolderIds"))


def new_folder(element: Element) -> NewFolder:
    """One of the folder elements."""
    name = local(element)
    if name not in FOLDER_ELEMENTS:
        raise SchemaViolation(f"{name} is no folder.")
    return NewFolder(name, tuple(children(element)))


def create_folder(element: Element) -> CreateFolder:
    """CreateFolder."""
    made = tuple(new_folder(one) for _, one in limited(some(element, "Folders")))
    return CreateFolder(target(element, "ParentFolderId"), made)


_ACTIONS = {"SetFolderField": "Set", "AppendToFolderField": "Append", "DeleteFolderField": "Delete"}


def update_folder(element: Element) -> UpdateFolder:
    """UpdateFolder."""
    changes = []
    for name, one in limited(some(element, "FolderChanges")):
        if name != "FolderChange":
            raise SchemaViolation(f"{name} is no change of a folder.")
        _, place = next(iter(children(one)), ("", None))
        if place is None:
            raise SchemaViolation("FolderChange names no folder.")
        changes.append(
            FolderChange(folder(place), tuple(_field_change(*each) for each in limited(some(one, "Updates"))))
        )
    return UpdateFolder(tuple(changes))


def _field_change(name: str, element: Element) -> FieldChange:
    action = _ACTIONS.get(name)
    if action is None:
        raise SchemaViolation(f"{name} is no change of a folder's property.")
    where: Path | None = None
    value: NewFolder | None = None
    for found, one in children(element):
        if found in PATH_ELEMENTS:
            where = paths.path(one)
        else:
            value = new_folder(one)
    if where is None or (value is None) != (action == "Delete"):
        raise SchemaViolation(f"{name} needs a path and a folder.")
    return FieldChange(action, where, value)


def disposal(element: Element) -> str:
    """DeleteType."""
    return choice(attribute(element, "DeleteType"), DISPOSAL, "DeleteType")


def delete_folder(element: Element) -> DeleteFolder:
    """DeleteFolder."""
    return DeleteFolder(folders(element, "FolderIds"), disposal(element))


def empty_folder(element: Element) -> EmptyFolder:
    """EmptyFolder."""
    subfolders = boolean(attribute(element, "DeleteSubFolders"), "DeleteSubFolders")
    return EmptyFolder(folders(element, "FolderIds"), disposal(element), subfolders)


def transfer_folder(element: Element) -> TransferFolder:
    """MoveFolder and CopyFolder."""
    return TransferFolder(target(element, "ToFolderId"), folders(element, "FolderIds"))


def max_entries(element: Element) -> int:
    """MaxEntriesReturned of a view; 0: not said. Raises EwsViolation(ErrorInvalidPagingMaxRows)."""
    limit = integer(element.get("MaxEntriesReturned", "0"), "MaxEntriesReturned")
    if limit < 0 or (limit == 0 and element.get("MaxEntriesReturned") is not None):
        raise EwsViolation("ErrorInvalidPagingMaxRows", "MaxEntriesReturned has to be above zero.")
    return limit


def page(element: Element | None) -> Page | None:
    """Read a page view. Raises SchemaViolation, EwsViolation(ErrorInvalidPagingMaxRows and the like)."""
    if element is None:
        return None
    limit = max_entries(element)
    if local(element).startswith("Fractional"):
        numerator = integer(attribute(element, "Numerator"), "Numerator")
        denominator = integer(attribute(element, "Denominator"), "Denominator")
        if denominator < 1 or not 0 <= numerator <= denominator:
            raise EwsViolation("ErrorInvalidFractionalPagingParameters", "The fraction is not between zero and one.")
        return Page(limit, numerator=numerator, denominator=denominator)
    offset = integer(attribute(element, "Offset"), "Offset")
    if offset < 0:
        raise EwsViolation("ErrorInvalidIndexedPagingParameters", "Offset is negative.")
    base = choice(attribute(element, "BasePoint"), ("Beginning", "End"), "BasePoint")
    return Page(limit, offset, base == "End")


def find_folder(element: Element) -> FindFolder:
    """FindFolder."""
    view = child(element, "IndexedPageFolderView")
    limits = child(element, "Restriction")
    return FindFolder(
        folder_shape(need(element, "FolderShape")),
        folders(element, "ParentFolderIds"),
        choice(attribute(element, "Traversal"), ("Shallow", "Deep", "SoftDeleted"), "Traversal"),
        page(view if view is not None else child(element, "FractionalPageFolderView")),
        None if limits is None else restriction(limits),
    )


def sync_folder_hierarchy(element: Element) -> SyncFolderHierarchy:
    """SyncFolderHierarchy."""
    state = child(element, "SyncState")
    return SyncFolderHierarchy(
        folder_shape(need(element, "FolderShape")),
        optional_target(element, "SyncFolderId"),
        "" if state is None else text(state).strip(),
    )


def create_managed_folder(element: Element) -> CreateManagedFolder:
    """CreateManagedFolder."""
    names = tuple(text(one).strip() for _, one in limited(some(element, "FolderNames")))
    box = child(element, "Mailbox")
    return CreateManagedFolder(names, "" if box is None else text_of(box, "EmailAddress").strip())


def mark_all_items_as_read(element: Element) -> MarkAllItemsAsRead:
    """MarkAllItemsAsRead."""
    return MarkAllItemsAsRead(boolean_of(element, "ReadFlag"), folders(element, "FolderIds"))


def extended_of(element: Element) -> tuple[Extended, tuple[str, ...], bool]:
    """An ExtendedProperty: which one, its values, and whether they are an array. Raises SchemaViolation."""
    found = list(children(element))
    if len(found) != 2 or found[0][0] != "ExtendedFieldURI" or found[1][0] not in ("Value", "Values"):
        raise SchemaViolation("ExtendedProperty needs ExtendedFieldURI and Value or Values.")
    where = paths.path(found[0][1])
    assert isinstance(where, Extended)
    if where.kind.endswith("Array") != (found[1][0] == "Values"):
        raise EwsViolation("ErrorInvalidExtendedPropertyValue", "An array has Values, everything else one Value.")
    if found[1][0] == "Value":
        return where, (text(found[1][1]),), False
    return where, tuple(text(one) for _, one in children(found[1][1])), True
