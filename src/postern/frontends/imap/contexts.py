"""Searches whose results are kept up while a folder is selected (CONTEXT=SEARCH, RFC 5267 4)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

from postern.frontends.imap.ports import Mailbox
from postern.model.ids import FolderId
from postern.model.items import ItemFlags
from postern.model.query import Query
from postern.model.ranges import merged
from postern.protocols.imap import render, sequence

MAX_CONTEXTS = 8
"""A session keeps up; more are refused with NOUPDATE."""


class Folder(Protocol):
    """frontends.imap.selected.SelectedFolder, as it is used here."""

    mailbox: Mailbox
    folder: FolderId
    contexts: dict[bytes, Context] | None

    def number(self, uid: int) -> int:
        """Message sequence number of a UID, 0 if it is not in the view."""
        ...


class Context(NamedTuple):
    """One search."""

    query: Query
    """In the store's terms; what it says of message numbers is true of the moment of the search."""
    found: set[int]
    """UIDs that match as far as the client was told."""
    uid: bool
    """Told by UID, else by sequence number."""


async def update(selected: Folder, changed: Sequence[ItemFlags]) -> list[bytes]:
    """What changes of messages mean for the contexts: ADDTO and REMOVEFROM."""
    assert selected.contexts is not None
    within = merged((item.uid, item.uid) for item in changed)
    out: list[bytes] = []
    for tag, context in selected.contexts.items():
        matching = set(await selected.mailbox.search(selected.folder, context.query, within))
        looked_at = {item.uid for item in changed}
        gone = (context.found & looked_at) - matching
        come = (matching & looked_at) - context.found
        out += _tell(selected, tag, context, b"REMOVEFROM", gone)
        out += _tell(selected, tag, context, b"ADDTO", come)
        context.found.difference_update(gone)
        context.found.update(come)
    return out


def removals(selected: Folder, vanished: Collection[int]) -> list[bytes]:
    """Before messages are told as expunged: they leave the contexts, by the numbers they still have."""
    assert selected.contexts is not None
    out: list[bytes] = []
    for tag, context in selected.contexts.items():
        gone = context.found.intersection(vanished)
        out += _tell(selected, tag, context, b"REMOVEFROM", gone)
        context.found.difference_update(gone)
    return out


def _tell(selected: Folder, tag: bytes, context: Context, what: bytes, uids: Collection[int]) -> list[bytes]:
    """Position 0: the client puts them where they belong (RFC 5267 4.3.2)."""
    if not uids:
        return []
    numbers = sorted(uids) if context.uid else [n for n in map(selected.number, sorted(uids)) if n]
    if not numbers:
        return []
    return [
        b"* ESEARCH (TAG %b)%b %b (0 %b)\r\n"
        % (render.string(tag), b" UID" if context.uid else b"", what, sequence.render(numbers))
    ]
