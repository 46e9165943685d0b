"""Calendars in memory, kept up to date by their mailboxes' change numbers: what free/busy and meeting mail look into.

A calendar costs its whole length once, and from then on what has changed in it; one that has not changed costs a look
at shared memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from postern.convert.appointments import from_properties
from postern.model.calendar.appointment import Appointment
from postern.model.ids import ChangeNumber, FolderId, ItemId, MailboxId, Uid
from postern.model.items import Columns, ItemClass
from postern.model.ranges import merged
from postern.store.interface import Mailbox

MAX_ITEMS = 200_000
"""In memory, of all calendars together (about 300 MB at worst)."""
_COLUMNS = Columns.UID | Columns.ITEM_ID | Columns.CLASS | Columns.PROPERTIES | Columns.CHANGE_KEY


class Row(NamedTuple):
    """An item of a calendar."""

    uid: Uid
    id: ItemId
    change_key: ChangeNumber
    item: Appointment
    """Without texts and attachments."""


class Book:
    """One calendar folder."""

    def __init__(self) -> None:
        self.rows: dict[Uid, Row] = {}
        self._by_uid: dict[str, list[Uid]] = {}
        self.upto = ChangeNumber(0)
        self.seen = ChangeNumber(-1)
        """The mailbox's number when it was last looked at; everything up to it is here."""

    def put(self, row: Row) -> None:
        """Add or replace."""
        self.drop(row.uid)
        self.rows[row.uid] = row
        self._by_uid.setdefault(row.item.uid, []).append(row.uid)

    def drop(self, uid: Uid) -> None:
        """Remove, if it is there."""
        row = self.rows.pop(uid, None)
        if row is not None:
            same = self._by_uid[row.item.uid]
            same.remove(uid)
            if not same:
                del self._by_uid[row.item.uid]

    def find(self, uid: str) -> list[Row]:
        """Items of an iCalendar UID: the series or single one first, then occurrences that stand for themselves."""
        found = [self.rows[each] for each in self._by_uid.get(uid, ())]
        return sorted(found, key=lambda row: (row.item.instance_of is not None, row.uid))

    def items(self) -> Iterator[Appointment]:
        """All."""
        for row in self.rows.values():
            yield row.item


class Shelf:
    """Calendars of many mailboxes; those not asked for the longest go first. One per worker."""

    def __init__(self, max_items: int = MAX_ITEMS) -> None:
        self._max_items = max_items
        self._books: OrderedDict[tuple[MailboxId, FolderId], Book] = OrderedDict()

    async def book(self, mailbox: Mailbox, folder: FolderId) -> Book:
        """A calendar as it is now. Whose right that is, the caller has asked. Raises Refusal."""
        key = (mailbox.id, folder)
        now = await mailbox.change_number()
        book = self._books.get(key)
        if book is None:
            book = Book()
        if book.seen < now or book.seen < 0:
            book = await self._refreshed(mailbox, folder, book)
            book.seen = now
            self._books[key] = book
            self._tidy(key)
        self._books.move_to_end(key)
        return book

    async def _refreshed(self, mailbox: Mailbox, folder: FolderId, book: Book) -> Book:
        changes = await mailbox.changes(folder, book.upto) if book.upto else None
        if changes is None or not changes.complete:
            book = Book()
            book.upto = (await mailbox.folder(folder)).changed
            await self._load(mailbox, folder, book, None)
            return book
        for gone in changes.vanished:
            book.drop(gone)
        if changes.changed:
            await self._load(mailbox, folder, book, [each.uid for each in changes.changed])
        book.upto = changes.upto
        return book

    async def _load(self, mailbox: Mailbox, folder: FolderId, book: Book, uids: list[Uid] | None) -> None:
        ranges = None if uids is None else merged((uid, uid) for uid in uids)
        async for rows in mailbox.items(folder, _COLUMNS, ranges):
            for uid, item, item_class, stored, change_key in rows:
                if item_class == ItemClass.APPOINTMENT:
                    book.put(Row(uid, item, change_key, from_properties(stored or b"", brief=True)))

    def _tidy(self, keep: tuple[MailboxId, FolderId]) -> None:
        count = sum(len(book.rows) for book in self._books.values())
        while count > self._max_items and len(self._books) > 1:
            key = next(iter(self._books))
            if key == keep:
                self._books.move_to_end(key)
                key = next(iter(self._books))
            count -= len(self._books.pop(key).rows)
