"""Delegates: requests about who acts for somebody (MS-OXWSDLGM 3.1.4)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews.places import limited
from postern.protocols.ews.reading import (
    attribute,
    boolean,
    boolean_of,
    child,
    children,
    choice,
    local,
    need,
    some,
    text,
    text_of,
)
from postern.protocols.ews.violation import SchemaViolation

LEVELS = ("None", "Reviewer", "Author", "Editor", "Custom")
FOLDERS = ("Calendar", "Tasks", "Inbox", "Contacts", "Notes", "Journal")
"""In the order of the schema (MS-OXWSDLGM 2.2.4.4 DelegatePermissionsType)."""
DELIVERIES = ("DelegatesOnly", "DelegatesAndMe", "DelegatesAndSendInformationToMe", "NoForward")


class DelegateUser(msgspec.Struct, frozen=True):
    """As given; None: the request does not say."""

    address: str
    levels: dict[str, str]
    """By folder."""
    receives_copies: bool | None
    sees_private: bool | None


class GetDelegate(msgspec.Struct, frozen=True):
    """GetDelegate (MS-OXWSDLGM 3.1.4.2)."""

    owner: str
    addresses: tuple[str, ...] | None
    """None: all."""
    permissions: bool


class ChangeDelegates(msgspec.Struct, frozen=True):
    """AddDelegate and UpdateDelegate (MS-OXWSDLGM 3.1.4.1, 3.1.4.4)."""

    owner: str
    users: tuple[DelegateUser, ...]
    delivery: str
    """Empty: as it is."""


class RemoveDelegate(msgspec.Struct, frozen=True):
    """RemoveDelegate (MS-OXWSDLGM 3.1.4.3)."""

    owner: str
    addresses: tuple[str, ...]


def get_delegate(element: Element) -> GetDelegate:
    """Raises EwsViolation, as all of these."""
    listed = child(element, "UserIds")
    addresses = None if listed is None else _addresses(element)
    permissions = boolean(attribute(element, "IncludePermissions"), "IncludePermissions")
    return GetDelegate(_owner(element), addresses, permissions)


def add_delegate(element: Element) -> ChangeDelegates:
    """AddDelegate."""
    need(element, "DelegateUsers")
    return update_delegate(element)


def update_delegate(element: Element) -> ChangeDelegates:
    """UpdateDelegate."""
    users: tuple[DelegateUser, ...] = ()
    if child(element, "DelegateUsers") is not None:
        users = tuple(_user(one) for _, one in limited(some(element, "DelegateUsers")))
    delivery = child(element, "DeliverMeetingRequests")
    said = "" if delivery is None else choice(text(delivery), DELIVERIES, "DeliverMeetingRequests")
    return ChangeDelegates(_owner(element), users, said)


def remove_delegate(element: Element) -> RemoveDelegate:
    """RemoveDelegate."""
    return RemoveDelegate(_owner(element), _addresses(element))


def _owner(element: Element) -> str:
    return text_of(need(element, "Mailbox"), "EmailAddress").strip()


def _addresses(element: Element) -> tuple[str, ...]:
    return tuple(_address(one) for _, one in limited(some(element, "UserIds")))


def _address(element: Element) -> str:
    """Empty for who is named by anything else: nobody but an account with an address can be a delegate."""
    if local(element) != "UserId":
        raise SchemaViolation("UserId is expected.")
    return text_of(element, "PrimarySmtpAddress").strip()


def _user(element: Element) -> DelegateUser:
    if local(element) != "DelegateUser":
        raise SchemaViolation("DelegateUser is expected.")
    levels: dict[str, str] = {}
    permissions = child(element, "DelegatePermissions")
    for name, one in [] if permissions is None else children(permissions):
        folder = name.removesuffix("FolderPermissionLevel")
        choice(folder, FOLDERS, "A folder of DelegatePermissions")
        levels[folder] = choice(text(one), LEVELS, name)
    return DelegateUser(
        _address(need(element, "UserId")),
        levels,
        _said(element, "ReceiveCopiesOfMeetingMessages"),
        _said(element, "ViewPrivateItems"),
    )


def _said(element: Element, name: str) -> bool | None:
    return None if child(element, name) is None else boolean_of(element, name)
