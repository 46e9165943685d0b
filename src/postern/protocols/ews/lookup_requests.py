"""Requests about people, ids, zones and the server itself."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews.places import ItemRef, item, limited
from postern.protocols.ews.reading import (
    attribute,
    boolean,
    child,
    children,
    choice,
    need,
    some,
    text,
    text_of,
)
from postern.protocols.ews.violation import SchemaViolation

FORMATS = ("EwsLegacyId", "EwsId", "EntryId", "HexEntryId", "StoreId", "OwaId")
PHOTO_SIZES = (
    *(f"HR{side}x{side}" for side in (48, 64, 96, 120, 240, 360, 432, 504, 648)),
    "HR1024xN",
    "HR1920xN",
)
SCOPES = ("ActiveDirectory", "ActiveDirectoryContacts", "Contacts", "ContactsActiveDirectory")


class ResolveNames(msgspec.Struct, frozen=True):
    """ResolveNames (MS-OXWSRSLNM 3.1.4.1)."""

    entry: str
    full: bool
    """ReturnFullContactData."""
    scope: str


class ExpandDL(msgspec.Struct, frozen=True):
    """ExpandDL (MS-OXWSDLIST 3.1.4.1)."""

    address: str
    item: ItemRef | None = None
    """A private list."""


class AlternateId(msgspec.Struct, frozen=True):
    """An id in a format of the past."""

    format: str
    id: str
    mailbox: str
    element: str
    """AlternateId, AlternatePublicFolderId, AlternatePublicFolderItemId."""


class ConvertId(msgspec.Struct, frozen=True):
    """ConvertId (MS-OXWSCVTID 3.1.4.1)."""

    to: str
    ids: tuple[AlternateId, ...]


class GetServerTimeZones(msgspec.Struct, frozen=True):
    """GetServerTimeZones (MS-OXWSGTZ 3.1.4.1)."""

    ids: tuple[str, ...] | None
    """None: all."""
    full: bool


class GetPasswordExpirationDate(msgspec.Struct, frozen=True):
    """GetPasswordExpirationDate (MS-OXWSPED 3.1.4.1)."""

    address: str


class GetUserPhoto(msgspec.Struct, frozen=True):
    """GetUserPhoto (MS-OXWSCONT 3.1.4); the size is only read, pictures have one."""

    address: str


def resolve_names(element: Element) -> ResolveNames:
    """Raises EwsViolation, as all of these."""
    return ResolveNames(
        text(need(element, "UnresolvedEntry")).strip(),
        boolean(attribute(element, "ReturnFullContactData"), "ReturnFullContactData"),
        choice(element.get("SearchScope", "ActiveDirectoryContacts"), SCOPES, "SearchScope"),
    )


def expand_dl(element: Element) -> ExpandDL:
    """ExpandDL."""
    box = need(element, "Mailbox")
    named = child(box, "ItemId")
    return ExpandDL(text_of(box, "EmailAddress").strip(), None if named is None else item(named))


def convert_id(element: Element) -> ConvertId:
    """ConvertId."""
    to = choice(attribute(element, "DestinationFormat"), FORMATS, "DestinationFormat")
    found = []
    for name, one in limited(some(element, "SourceIds")):
        if not name.startswith("Alternate"):
            raise SchemaViolation(f"{name} is no id.")
        id_ = one.get("Id") or one.get("FolderId") or ""
        kind = choice(attribute(one, "Format"), FORMATS, "Format")
        found.append(AlternateId(kind, id_, one.get("Mailbox", ""), name))
    return ConvertId(to, tuple(found))


def get_server_time_zones(element: Element) -> GetServerTimeZones:
    """GetServerTimeZones."""
    wanted = child(element, "Ids")
    names = None if wanted is None else tuple(text(one).strip() for _, one in limited(list(children(wanted))))
    full = boolean(element.get("ReturnFullTimeZoneData", "true"), "ReturnFullTimeZoneData")
    return GetServerTimeZones(names, full)


def get_password_expiration_date(element: Element) -> GetPasswordExpirationDate:
    """GetPasswordExpirationDate."""
    return GetPasswordExpirationDate(text_of(element, "MailboxSmtpAddress").strip())


def get_user_photo(element: Element) -> GetUserPhoto:
    """GetUserPhoto."""
    choice(text(need(element, "SizeRequested")).strip(), PHOTO_SIZES, "SizeRequested")
    return GetUserPhoto(text(need(element, "Email")).strip())
