"""FindItem with a CalendarView: what a calendar has between two times, series by their occurrences.

MS-OXWSMTGS 2.2.4.11, MS-OXWSSRCH 3.1.4.2.
"""

from __future__ import annotations

from datetime import timedelta

from postern.frontends.ews import calendar_reading, places, slices, thing_values
from postern.frontends.ews.calendar_making import zone_for
from postern.frontends.ews.call import Call
from postern.frontends.ews.item_reading import wanted
from postern.frontends.ews.loading import Loader
from postern.model.items import FolderClass
from postern.protocols.ews import responses
from postern.protocols.ews.find_requests import FindItem
from postern.protocols.ews.message_facts import MessageFacts
from postern.protocols.ews.places import AnyFolder
from postern.protocols.ews.values import BOOL
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.writers import writer_of
from postern.services.calendar.entries import MAX_SHOWN, Shown

MAX_RANGE = timedelta(days=2 * 366)


async def view(call: Call, request: FindItem) -> str:
    """FindItem with CalendarView."""
    if request.restriction is not None or request.order or request.group is not None or request.query:
        raise EwsViolation(
            "ErrorRestrictionTooComplex" if request.restriction is not None else "ErrorUnsupportedPathForSortGroup",
            "A calendar view goes with no restriction, order or group.",
        )
    writer = writer_of(request.shape, call.version, listing=True, strict=True)
    assert request.calendar is not None
    since, until = request.calendar

    async def one(ref: AnyFolder) -> str:
        place = await places.stored(call, ref, searches=True)
        if (await place.box.folder(place.folder)).folder_class is not FolderClass.CALENDAR:
            raise EwsViolation("ErrorCalendarFolderIsInvalidForCalendarView", "The folder is no calendar.")
        agenda = await call.agenda(place.box)
        zone = zone_for(call, agenda)
        start = calendar_reading.moment(since, "StartDate", zone)
        end = calendar_reading.moment(until, "EndDate", zone)
        if end < start:
            raise EwsViolation("ErrorCalendarEndDateIsEarlierThanStartDate", "The view ends before it starts.")
        if end - start > MAX_RANGE:
            raise EwsViolation("ErrorCalendarViewRangeTooBig", "A calendar view covers two years at most.")
        if end == start:
            end += timedelta(seconds=1)
        limit = min(request.calendar_limit or MAX_SHOWN, MAX_SHOWN)
        shown = await agenda.view(start, end, place.folder, limit + 1 if limit < MAX_SHOWN else limit)
        whole, shown = len(shown) <= limit and len(shown) < MAX_SHOWN, shown[:limit]
        loader = await Loader.open(place.box, place.folder, wanted(writer)._replace(wide=True))
        facts = await loader.by_uid(list({each.entry.uid for each in shown}))
        found = [_facts(facts[each.entry.uid], each) for each in shown if each.entry.uid in facts]
        inner = "".join(await slices.each(found, writer.write))
        attributes = f'TotalItemsInView="{len(found)}" IncludesLastItemInRange="{BOOL[whole]}"'
        return f"<m:RootFolder {attributes}><t:Items>{inner}</t:Items></m:RootFolder>"

    return responses.response("FindItem", await call.each("FindItemResponseMessage", request.parents, one))


def _facts(facts: MessageFacts, shown: Shown) -> MessageFacts:
    return facts if shown.day is None else thing_values.occurrence(facts, shown.day)
