"""ArchiveItem, and what belongs to keeping mail: retention tags, mailboxes that can be searched."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import places
from postern.protocols.ews.places import AnyFolder, ItemRef
from postern.protocols.ews.reading import boolean_of, text_of


class ArchiveItem(msgspec.Struct, frozen=True):
    """ArchiveItem (MS-OXWSARCH 3.1.4.1)."""

    source: AnyFolder
    items: tuple[ItemRef, ...]


class GetSearchableMailboxes(msgspec.Struct, frozen=True):
    """GetSearchableMailboxes (MS-OXWSEDISC 3.1.4.3)."""

    filter: str


def archive_item(element: Element) -> ArchiveItem:
    """Raises EwsViolation, as all of these."""
    return ArchiveItem(places.target(element, "ArchiveSourceFolderId"), places.items(element))


def get_searchable_mailboxes(element: Element) -> GetSearchableMailboxes:
    """GetSearchableMailboxes; groups are not expanded: whoever is asked about has a mailbox of their own."""
    boolean_of(element, "ExpandGroupMembership")
    return GetSearchableMailboxes(text_of(element, "SearchFilter").strip())


def nothing(element: Element) -> None:
    """A request that says nothing, or nothing that matters."""
