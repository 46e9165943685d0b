"""Calendar items of a mailbox, read and written as appointments; meetings are `agenda`'s business."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from postern.convert import appointments
from postern.convert.appointments import EXCEPTION_DAY, from_properties, span_of, to_properties
from postern.model.calendar import recurrence
from postern.model.calendar.appointment import Appointment, Attachment
from postern.model.calendar.views import MAX_SPAN, occurrences, seconds
from postern.model.calendar.zones import UTC_ZONE, Zone
from postern.model.ids import ChangeNumber, FolderId, ItemId, Uid
from postern.model.items import Columns, ItemClass, SpecialUse
from postern.model.properties import Properties, unpack
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.services.calendar.delegates import Delegate, visible
from postern.services.item_access import Disposal, ItemAccess, NewThing, Stream, render
from postern.store.interface import ItemUpdate

MAX_SHOWN = 2000
"""Occurrences of one view."""
MAX_ATTACHED_BYTES = 25 << 20
"""Of attachments that go out with an invitation."""
_COLUMNS = Columns.UID | Columns.ITEM_ID | Columns.CLASS | Columns.PROPERTIES | Columns.CHANGE_KEY
_NAME, _TYPE = "PidTagAttachLongFilename", "PidTagAttachMimeTag"


class Entry(NamedTuple):
    """A calendar item."""

    folder: FolderId
    uid: Uid
    id: ItemId
    change_key: ChangeNumber
    item: Appointment
    """Without the contents of attachments."""
    properties: Properties
    """The stored map, with what clients keep of their own."""


class Shown(NamedTuple):
    """One occurrence in a view; (entry.id, day) names it as long as the series is there."""

    entry: Entry
    start: datetime
    end: datetime
    item: Appointment
    """The exception where there is one, else the series or the single item; times are those above."""
    day: date | None
    """Which occurrence; None for what does not recur."""


class Entries:
    """Of one mailbox for one principal."""

    def __init__(self, items: ItemAccess, viewer: Zone = UTC_ZONE, *, owner: bool, delegate: Delegate | None) -> None:
        """`viewer`: where floating times are; `owner`, `delegate`: as whom private items are seen."""
        self.items = items
        self.viewer = viewer
        self._owner = owner
        self._delegate = delegate

    async def calendar(self) -> FolderId:
        """The default calendar."""
        return (await self.items.special(SpecialUse.CALENDAR)).id

    # --- reading

    async def get(self, ids: Sequence[ItemId], near: FolderId | None = None) -> dict[ItemId, Entry]:
        """Calendar items that are there and may be read."""
        found = await self.items.get(ids, _COLUMNS, near)
        return {
            item: self._entry(folder, row) for item, (folder, row) in found.items() if row[2] == ItemClass.APPOINTMENT
        }

    async def one(self, item: ItemId, near: FolderId | None = None) -> Entry:
        """Raises Refusal(NO_SUCH_ITEM)."""
        found = (await self.get([item], near)).get(item)
        if found is None:
            raise Refusal(Reason.NO_SUCH_ITEM, str(item))
        return found

    async def view(
        self, start: datetime, end: datetime, folder: FolderId | None = None, limit: int | None = None
    ) -> list[Shown]:
        """What touches [start, end), by start: single items and occurrences; at most `limit`, and MAX_SHOWN."""
        if not start < end:
            raise Refusal(Reason.BAD_VALUE, "a calendar view ends before it begins")
        folder = await self.calendar() if folder is None else folder
        uids = await self.items.overlapping(folder, seconds(start), max(seconds(end), seconds(start) + 1))
        most = MAX_SHOWN if limit is None else min(limit, MAX_SHOWN)
        shown: list[Shown] = []
        async for rows in self.items.access.items(folder, _COLUMNS, merged((uid, uid) for uid in uids)):
            for row in rows:
                if row[2] != ItemClass.APPOINTMENT:
                    continue
                entry = self._entry(folder, row)
                shown += [Shown(entry, *each) for each in occurrences(entry.item, start, end, self.viewer, most)]
        shown.sort(key=lambda each: (each.start, each.end, each.entry.id))
        return shown[:most]

    def _entry(self, folder: FolderId, row: tuple[Any, ...]) -> Entry:
        uid, item, _class, stored, change_key = row
        whole = from_properties(stored or b"")
        seen = visible(whole, owner=self._owner, delegate=self._delegate)
        properties = unpack(stored or b"") if seen is whole or self._owner else to_properties(seen)
        return Entry(folder, uid, item, change_key, seen, properties)

    async def with_attachments(self, entry: Entry, day: date | None = None) -> Appointment:
        """The item, or its exception of a day, with the contents of its attachments. Raises Refusal(TOO_LARGE)."""
        wanted = None if day is None else day.toordinal()
        made, total = [], 0
        for each in await self.items.attachments(entry.folder, entry.uid):
            properties = unpack(each.properties)
            if properties.get(EXCEPTION_DAY) not in (None, wanted):
                continue
            total += each.size
            if total > MAX_ATTACHED_BYTES:
                raise Refusal(Reason.TOO_LARGE, "the attachments are too large to be sent")
            content = await self.items.access.read_body(each.blob)
            kind = str(properties.get(_TYPE) or "application/octet-stream")
            made.append(Attachment(str(properties.get(_NAME) or "attachment"), kind, content))
        return msgspec.structs.replace(entry.item, attachments=tuple(made))

    # --- writing

    async def add(self, item: Appointment, folder: FolderId, extra: Mapping[str, Any], flags: int = 1) -> Entry:
        """Put an appointment into a calendar; durable on return. `extra`: properties of its client's own."""
        check(item)
        properties = {**extra, **to_properties(item)}
        placed = await self.items.create(
            folder,
            NewThing(
                ItemClass.APPOINTMENT,
                item.subject,
                properties,
                flags,
                span=span_of(item, self.viewer),
                attachments=streams(item),
            ),
        )
        try:
            return await self.one(placed.item, folder)
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_SUCH_ITEM:
                raise
            # who may put things there and not look: an error would make it put it there again
            return Entry(folder, placed.uid, placed.item, ChangeNumber(0), item, properties)

    async def put(
        self,
        entry: Entry,
        item: Appointment,
        extra: ItemUpdate,
        unchanged_since: ChangeNumber | None,
        attach: Sequence[Stream] = (),
    ) -> Entry:
        """Write an entry's item anew; durable on return. Raises Refusal(CONFLICT, NO_SUCH_ITEM)."""
        check(item)
        set_, delete = appointments.changes(entry.properties, item)
        set_.update(extra.set)
        rendering = render(item.subject, None) if item.subject != entry.item.subject else None
        update = extra._replace(
            set=set_,
            delete=(*delete, *extra.delete),
            rendering=rendering,
            span=span_of(item, self.viewer),
        )
        await self.items.update(entry.folder, entry.uid, update, unchanged_since, attach)
        await self.items.durable()
        return await self.one(entry.id, entry.folder)

    async def remove(self, entry: Entry, disposal: Disposal) -> None:
        """Delete an entry; durable on return."""
        await self.items.delete(entry.folder, [entry.uid], disposal)
        await self.items.durable()


def check(item: Appointment) -> None:
    """Raises Refusal(BAD_VALUE) for what no calendar can hold."""
    if item.end < item.start:
        raise Refusal(Reason.BAD_VALUE, "the appointment ends before it begins")
    if item.end - item.start > MAX_SPAN:
        raise Refusal(Reason.BAD_VALUE, f"an appointment lasts {MAX_SPAN.days} days at most")
    if item.recurrence is not None:
        recurrence.check(item.recurrence)
        if item.recurrence.pattern.kind.regeneration:
            raise Refusal(Reason.BAD_VALUE, "only tasks are made anew when they are done")
        if item.end - item.start > timedelta(days=366):
            raise Refusal(Reason.BAD_VALUE, "an occurrence lasts a year at most")
    for each in item.modified:
        check(each.item)


def streams(item: Appointment) -> list[Stream]:
    """The attachments of an appointment and of its exceptions, as the store takes them."""
    made = [_stream(each, {}) for each in item.attachments]
    for modified in item.modified:
        day = modified.day.toordinal()
        made += [_stream(each, {EXCEPTION_DAY: day}) for each in modified.item.attachments]
    return made


def _stream(attachment: Attachment, beside: Mapping[str, Any]) -> Stream:
    return Stream(
        attachment.content,
        {**dict(attachment.more), **beside, _NAME: attachment.name, _TYPE: attachment.content_type},
    )
