"""Folders and items as requests name them (MS-OXWSCDATA 2.2.4.8 and 2.2.4.6)."""

from __future__ import annotations

from typing import Union

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews.reading import (
    attribute,
    boolean,
    child,
    children,
    integer,
    local,
    need,
    only,
    some,
    text_of,
)
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

MAX_BATCH = 1000
"""Folders or items in one request."""


class FolderRef(msgspec.Struct, frozen=True):
    """By id."""

    id: str
    change_key: str = ""


class DistinguishedRef(msgspec.Struct, frozen=True):
    """By use: `inbox`, in one's own mailbox or in somebody's."""

    name: str
    mailbox: str = ""
    """SMTP address; empty: the mailbox of whoever asks."""
    change_key: str = ""


class Range(msgspec.Struct, frozen=True):
    """Some occurrences of a series (MS-OXWSCORE 2.2.4.34 OccurrencesRangeType)."""

    start: str
    """As it was written; empty: from the first on."""
    end: str
    count: int
    """0: all of them."""
    original: bool
    """Counted by when they were to begin, not by when they are."""


class ItemRef(msgspec.Struct, frozen=True):
    """By id."""

    id: str
    change_key: str = ""
    occurrence: int | None = None
    """Of a recurring master: InstanceIndex, from 1."""
    master_of: bool = False
    """The recurring master of the occurrence that `id` names."""
    ranges: tuple[Range, ...] = ()
    """Occurrences that are told with their master."""


AnyFolder = Union[FolderRef, DistinguishedRef]  # noqa: UP007 - msgspec's form

DISTINGUISHED = frozenset(
    [
        "calendar",
        "contacts",
        "deleteditems",
        "drafts",
        "inbox",
        "journal",
        "notes",
        "outbox",
        "sentitems",
        "tasks",
        "msgfolderroot",
        "publicfoldersroot",
        "root",
        "junkemail",
        "searchfolders",
        "voicemail",
        "recoverableitemsroot",
        "recoverableitemsdeletions",
        "recoverableitemsversions",
        "recoverableitemspurges",
        "recoverableitemsdiscoveryholds",
        "archiveroot",
        "archivemsgfolderroot",
        "archivedeleteditems",
        "archiveinbox",
        "archiverecoverableitemsroot",
        "archiverecoverableitemsdeletions",
        "archiverecoverableitemsversions",
        "archiverecoverableitemspurges",
        "archiverecoverableitemsdiscoveryholds",
        "syncissues",
        "conflicts",
        "localfailures",
        "serverfailures",
        "recipientcache",
        "quickcontacts",
        "conversationhistory",
        "adminauditlogs",
        "todosearch",
        "mycontacts",
        "directory",
        "imcontactlist",
        "peopleconnect",
        "favorites",
        "mecontact",
        "personmetadata",
        "teamspaceactivity",
        "teamspacemessaging",
        "teamspaceworkitems",
        "scheduled",
        "orionnotes",
        "tagitems",
        "alltaggeditems",
        "externalcontacts",
        "teamchat",
        "teamchathistory",
        "yammerroot",
        "yammerinbound",
        "yammeroutbound",
        "yammerfeeds",
        "onedriveroot",
        "onedriverecylebin",
        "onedrivesystem",
        "onedrivevolume",
        "important",
        "starred",
        "archive",
    ]
)
"""DistinguishedFolderIdNameType, as published."""


def folder(element: Element) -> AnyFolder:
    """FolderId or DistinguishedFolderId. Raises SchemaViolation."""
    name = local(element)
    if name == "FolderId":
        return FolderRef(attribute(element, "Id"), element.get("ChangeKey", ""))
    if name == "DistinguishedFolderId":
        wanted = attribute(element, "Id")
        if wanted not in DISTINGUISHED:
            raise SchemaViolation(f"{wanted[:60]} is no distinguished folder.")
        box = child(element, "Mailbox")
        address = "" if box is None else text_of(box, "EmailAddress").strip()
        return DistinguishedRef(wanted, address, element.get("ChangeKey", ""))
    raise SchemaViolation(f"{name} names no folder.")


def target(element: Element, name: str) -> AnyFolder:
    """The one folder in a child such as ToFolderId. Raises SchemaViolation."""
    return folder(only(need(element, name))[1])


def optional_target(element: Element, name: str) -> AnyFolder | None:
    """The same, where it may be left out."""
    found = child(element, name)
    return None if found is None else folder(only(found)[1])


def folders(element: Element, name: str) -> tuple[AnyFolder, ...]:
    """Several. Raises SchemaViolation, EwsViolation(ErrorExceededFindCountLimit) for too many."""
    return tuple(folder(one) for _, one in limited(some(element, name)))


def item(element: Element) -> ItemRef:
    """ItemId, OccurrenceItemId or RecurringMasterItemId. Raises SchemaViolation."""
    name = local(element)
    if name == "ItemId":
        return ItemRef(attribute(element, "Id"), element.get("ChangeKey", ""))
    if name == "OccurrenceItemId":
        index = attribute(element, "InstanceIndex")
        if not index.isdecimal() or len(index) > 9:
            raise SchemaViolation("InstanceIndex is no number.")
        return ItemRef(attribute(element, "RecurringMasterId"), element.get("ChangeKey", ""), int(index))
    if name == "RecurringMasterItemId":
        return ItemRef(attribute(element, "OccurrenceId"), element.get("ChangeKey", ""), master_of=True)
    if name == "RecurringMasterItemIdRanges":
        ranges = tuple(_range(one) for one in listed(element, "Ranges"))
        return ItemRef(attribute(element, "Id"), element.get("ChangeKey", ""), ranges=ranges)
    raise SchemaViolation(f"{name} names no item.")


def _range(element: Element) -> Range:
    return Range(
        element.get("Start", "").strip(),
        element.get("End", "").strip(),
        integer(element.get("Count", "0"), "Count", 0),
        boolean(element.get("CompareOriginalStartTime", "false"), "CompareOriginalStartTime"),
    )


def items(element: Element, name: str = "ItemIds") -> tuple[ItemRef, ...]:
    """Several. Raises SchemaViolation, EwsViolation."""
    return tuple(item(one) for _, one in limited(some(element, name)))


def limited(found: list[tuple[str, Element]]) -> list[tuple[str, Element]]:
    """What may be asked at once. Raises EwsViolation."""
    if len(found) > MAX_BATCH:
        raise EwsViolation("ErrorInvalidRequest", f"One request may name {MAX_BATCH} things at most.")
    return found


def listed(element: Element, name: str) -> list[Element]:
    """The elements in a child that may be left out."""
    found = child(element, name)
    return [] if found is None else [one for _, one in limited(list(children(found)))]
