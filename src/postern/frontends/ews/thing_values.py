"""What a loader knows of items without MIME: calendar items as appointments, attachments by number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

import msgspec

from postern.convert.appointments import EXCEPTION_DAY, from_properties, to_properties
from postern.frontends.ews import zone_xml
from postern.model import properties
from postern.model.calendar.appointment import Appointment
from postern.model.calendar.views import occurrence_on
from postern.model.calendar.zones import UTC_ZONE, Zone
from postern.model.ids import FolderId, ItemId, MailboxId
from postern.model.items import Attachment
from postern.protocols.ews import ids
from postern.protocols.ews.calendar_xml import CalendarFacts
from postern.protocols.ews.ids import AttachmentKey, ItemKey
from postern.protocols.ews.message_facts import Kept, MessageFacts
from postern.protocols.ews.violation import EwsViolation
from postern.services.calendar.delegates import visible

NAME, TYPE, CONTENT_ID = "PidTagAttachLongFilename", "PidTagAttachMimeTag", "PidTagAttachContentId"
INLINE, PHOTO, ENCLOSED = "PosternAttachmentInline", "PidTagAttachmentContactPhoto", "PosternAttachedItem"


def with_calendar(facts: MessageFacts, mailbox: MailboxId, folder: FolderId, item: int, *, private: bool) -> None:
    """Give a calendar item's facts what it is; what is private only for who sees `private` items."""
    whole = from_properties(facts.properties)
    seen = whole if private else visible(whole, owner=False, delegate=None)
    if seen is not whole:
        facts.properties = to_properties(seen)
        facts.subject = seen.subject
    facts.calendar = _facts(seen, UTC_ZONE, facts.change_key, mailbox, folder, ItemId(item))


def _facts(
    item: Appointment, viewer: Zone, change_key: str, mailbox: MailboxId, folder: FolderId, number: ItemId
) -> CalendarFacts:
    return CalendarFacts(
        item=item,
        start=item.start,
        end=item.end,
        viewer=viewer,
        zone_name=zone_xml.shown_name(item.zone),
        zone_xml=zone_xml.attributes_and_content(item.zone, item.start.year),
        id_of_day=partial(_id_of_day, mailbox, folder, number),
        change_key=change_key,
    )


def _id_of_day(mailbox: MailboxId, folder: FolderId, item: ItemId, day: date) -> str:
    return ids.item_id(ItemKey(mailbox, folder, item, day.toordinal()))


def occurrence(facts: MessageFacts, day: date) -> MessageFacts:
    """Of a series, what is told of one occurrence. Raises EwsViolation."""
    series: CalendarFacts = facts.calendar
    found = occurrence_on(series.item, day, series.viewer)
    if found is None:
        if day in series.item.deleted:
            raise EwsViolation(
                "ErrorCalendarOccurrenceIsDeletedFromRecurrence", "That occurrence of the series was deleted."
            )
        raise EwsViolation("ErrorItemNotFound", "There is no such occurrence.")
    exception = found.item is not series.item
    stored = facts.properties
    if exception:
        own = to_properties(msgspec.structs.replace(found.item, uid=series.item.uid))
        stored = {**{key: value for key, value in stored.items() if "/" in key}, **own}
    subject = found.item.subject if exception else facts.subject
    made = msgspec.structs.replace(facts, id=series.id_of_day(day), properties=stored, subject=subject)
    made.categories = found.item.categories
    made.calendar = msgspec.structs.replace(
        series,
        item=found.item if exception else msgspec.structs.replace(series.item, recurrence=None),
        series=series.item,
        start=found.start,
        end=found.end,
        day=day,
        exception=exception,
    )
    return made


def kept(
    attachments: Sequence[Attachment], mailbox: MailboxId, folder: FolderId, item: ItemId, day: date | None = None
) -> tuple[Kept, ...]:
    """The attachments of an item, or of its exception of a day."""
    found = []
    for one in attachments:
        values = properties.unpack(one.properties)
        belongs = values.get(EXCEPTION_DAY)
        if belongs is not None and (day is None or belongs != day.toordinal()):
            continue
        key = AttachmentKey(mailbox, folder, item, str(one.id))
        found.append(
            Kept(
                ids.attachment_id(key),
                str(values.get(NAME) or ""),
                str(values.get(TYPE) or ""),
                str(values.get(CONTENT_ID) or ""),
                one.size,
                bool(values.get(INLINE)),
                bool(values.get(PHOTO)),
                bool(values.get(ENCLOSED)),
            )
        )
    return tuple(found)
