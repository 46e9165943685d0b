"""Conversations: their numbers in files of older layouts, where their items are, and the list of a folder's.

A number is in the row of each item. Where a conversation's items are is noted in the table `conversations`, but only
when somebody asks: what has come into a folder since its place in `conversed` is added first, which is the end of the
folder (and what of the index tells that it came elsewhere). Rows of what has left stay until they are tidied; a seek
into `items` passes over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import apsw
import msgspec

from postern.formats.mime import conversation, header
from postern.formats.mime.scan import conversation_of
from postern.model.ids import AccountId, BlobRef, FolderId, Uid
from postern.model.items import Conversation
from postern.store.sqlite import reading
from postern.store.sqlite.connection import rows
from postern.store.sqlite.schema import LATER
from postern.store.sqlite.selection import uid_validity
from postern.store.sqlite.txn import Txn

NUMBERED_AT_A_TIME = 500
NOTED_AT_A_TIME = 5000
HEADER_BYTES = 262_144
"""Of a header that is not in its row."""

_UNNUMBERED = (
    "SELECT i.folder, i.uid, i.segment, i.record, c.header FROM items i CROSS JOIN contents c ON c.id = i.content"
    " WHERE (i.folder, i.uid) > (?, ?) AND i.conversation = 0 AND i.segment ORDER BY i.folder, i.uid LIMIT ?"
)
_BEHIND = (
    "SELECT c.id, coalesce(k.upto, 0) FROM counters c LEFT JOIN conversed k ON k.folder = c.id"
    " WHERE c.id > 0 AND c.changed > coalesce(k.upto, 0)"
)
_LAST_COME = (
    "SELECT created FROM items WHERE folder = ? AND uid > ? AND created > ? AND placed = 0"
    " ORDER BY uid LIMIT 1 OFFSET ?"
)
_LAST_CHANGED = (
    f"SELECT modseq FROM items INDEXED BY items_changed WHERE folder = ? AND modseq > ? AND {LATER}"
    " ORDER BY modseq LIMIT 1 OFFSET ?"
)
# ?2: the last UID of what is noted already
_NOTE_COME = (
    "INSERT OR IGNORE INTO conversations SELECT conversation, folder, uid FROM items"
    " WHERE folder = ?1 AND uid > ?2 AND created <= ?3 AND conversation != 0 AND uid <"
    " coalesce((SELECT uid FROM items WHERE folder = ?1 AND uid > ?2 AND created > ?3 AND placed = 0"
    " ORDER BY uid LIMIT 1), 1 << 32)"
)
# edited mail, and what has a UID taken before its commit; what has only changed its flags is noted already
_NOTE_CHANGED = (
    "INSERT OR IGNORE INTO conversations SELECT conversation, folder, uid FROM items INDEXED BY items_changed"
    f" WHERE folder = ?1 AND modseq > ?2 AND modseq <= ?3 AND {LATER} AND placed != 0 AND conversation != 0"
)
_PLACES = (
    "SELECT k.conversation, i.folder, i.uid FROM json_each(?) r"
    " CROSS JOIN conversations k ON k.conversation = r.value"
    " CROSS JOIN items i ON i.folder = k.folder AND i.uid = k.uid WHERE i.conversation = k.conversation"
    " ORDER BY i.folder, i.uid"
)
_SCANNED = (
    "SELECT conversation, folder, uid FROM items WHERE folder > 0"
    " AND conversation IN (SELECT value FROM json_each(?)) ORDER BY folder, uid"
)
_TIDY = (
    "DELETE FROM conversations WHERE NOT EXISTS"
    " (SELECT 1 FROM items i WHERE i.folder = conversations.folder AND i.uid = conversations.uid)"
)
_LISTED = (
    "SELECT json_group_array(json_array(conversation, latest, messages, unread, octets, flagged)) FROM"
    " (SELECT conversation, max(received_at) latest, count(*) messages, sum({unread}) unread, sum(size) octets,"
    " sum(flags & 4 != 0) flagged FROM items i WHERE folder = ?1 AND conversation != 0 GROUP BY conversation"
    " ORDER BY latest DESC, conversation)"
)
_LISTED_FOR_ALL = _LISTED.format(unread="flags & 1 = 0")
_LISTED_FOR_READER = _LISTED.format(
    unread="NOT EXISTS (SELECT 1 FROM reads r WHERE r.reader = ?2 AND r.folder = ?1 AND r.item = i.item)"
)
_decode = msgspec.json.Decoder(list[Conversation]).decode
_encode = msgspec.json.Encoder().encode


class Unnumbered(NamedTuple):
    """An item of an older layout."""

    folder: int
    uid: int
    segment: int
    record: int
    header: bytes | None
    """None: too long for the row, it has to be read from the body."""

    @property
    def blob(self) -> BlobRef:
        """Its body."""
        return BlobRef(self.segment, self.record)


# --- numbers in files of older layouts


def numbered(db: apsw.Connection) -> bool:
    """Whether all items have their numbers."""
    return bool(rows(db, "SELECT conversed FROM state WHERE id = 1")[0][0])


def unnumbered(db: apsw.Connection, after: tuple[int, int]) -> list[Unnumbered]:
    """The next items (by folder and UID) without a number."""
    return [Unnumbered._make(row) for row in rows(db, _UNNUMBERED, (*after, NUMBERED_AT_A_TIME))]


def numbers_of(items: Sequence[tuple[Unnumbered, bytes]]) -> list[tuple[int, int, int]]:
    """(number, folder, uid) of items with their header blocks."""
    found = []
    for item, block in items:
        fields: dict[bytes, bytes] = {}
        for name, value in header.values(block):
            fields.setdefault(name.lower(), value)
        found.append((conversation.number(conversation_of(fields)), item.folder, item.uid))
    return found


def put_numbers(txn: Txn, numbers: Sequence[tuple[int, int, int]], *, last: bool) -> None:
    """Write numbers; `last`: there are no others."""
    txn.executemany("UPDATE items SET conversation = ? WHERE folder = ? AND uid = ? AND conversation = 0", numbers)
    if last:
        txn.execute("UPDATE state SET conversed = 1 WHERE id = 1")


# --- places


def behind(db: apsw.Connection) -> list[tuple[int, int]]:
    """Folders in which something has happened since their places were noted, and since when."""
    return rows(db, _BEHIND)


def note(txn: Txn) -> bool:
    """Note places of what has come, in slices of about `NOTED_AT_A_TIME` items; whether there is more."""
    left = NOTED_AT_A_TIME
    for folder, upto in rows(txn.db, _BEHIND):
        if left <= 0:
            return True
        # a whole commit at a time: its items have one number
        first = reading.edge(txn.db, FolderId(folder), upto)
        ends = rows(txn.db, _LAST_COME, (folder, first, upto, left - 1))
        ends += rows(txn.db, _LAST_CHANGED, (folder, upto, left - 1))
        (until,) = min(ends) if ends else rows(txn.db, "SELECT changed FROM counters WHERE id = ?", (folder,))[0]
        txn.execute(_NOTE_COME, (folder, first, until))
        noted = txn.db.changes()
        txn.execute(_NOTE_CHANGED, (folder, upto, until))
        left = 0 if ends else left - 1 - noted - txn.db.changes()
        txn.execute("INSERT OR REPLACE INTO conversed VALUES (?, ?)", (folder, until))
    return left <= 0


def places(db: apsw.Connection, wanted: Sequence[int], *, scan: bool = False) -> list[tuple[int, FolderId, Uid]]:
    """Conversation, folder, UID of the items of conversations, by folder and UID; associated items are left out.

    `scan`: by looking at every item, where places could not be noted.
    """
    return rows(db, _SCANNED if scan else _PLACES, (_encode(list(wanted)).decode(),))


def tidy(txn: Txn) -> None:
    """Forget places of what has left, and folders that are gone."""
    txn.execute(_TIDY)
    txn.execute("DELETE FROM conversed WHERE folder NOT IN (SELECT id FROM counters)")


def listed(db: apsw.Connection, folder: FolderId, reader: AccountId | None = None) -> list[Conversation]:
    """A folder's conversations, the one with the latest item first. Raises Refusal(NO_SUCH_FOLDER).

    `reader`: what is unread is so for one reader (the table `reads`), whatever the items' flags say.
    """
    uid_validity(db, folder)
    if reader is None:
        ((text,),) = rows(db, _LISTED_FOR_ALL, (folder,))
    else:
        ((text,),) = rows(db, _LISTED_FOR_READER, (folder, reader))
    return _decode(text)


__all__ = ["Unnumbered", "behind", "listed", "note", "numbered", "places", "tidy", "unnumbered"]
