"""GetUserAvailability (MS-OXWSAVAIL 3.1.4.1)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews.places import limited
from postern.protocols.ews.reading import child, choice, integer_of, need, some, text_of
from postern.protocols.ews.violation import EwsViolation

VIEWS = ("None", "MergedOnly", "FreeBusy", "FreeBusyMerged", "Detailed", "DetailedMerged")
KINDS = ("Organizer", "Required", "Optional", "Room", "Resource")
QUALITIES = ("Excellent", "Good", "Fair", "Poor")
MAX_PEOPLE = 100


class Asked(msgspec.Struct, frozen=True):
    """One of MailboxDataArray."""

    address: str
    kind: str


class Window(msgspec.Struct, frozen=True):
    """FreeBusyViewOptions."""

    start: str
    end: str
    interval: int
    view: str


class Suggesting(msgspec.Struct, frozen=True):
    """SuggestionsViewOptions."""

    good: int
    by_day: int
    outside_work: int
    minutes: int
    minimum: str
    start: str
    end: str
    current: str


class GetUserAvailability(msgspec.Struct, frozen=True):
    """GetUserAvailability."""

    zone: Element | None
    people: tuple[Asked, ...]
    window: Window | None
    suggestions: Suggesting | None


def get_user_availability(element: Element) -> GetUserAvailability:
    """Raises EwsViolation."""
    people = []
    for _, one in limited(some(element, "MailboxDataArray")):
        address = text_of(need(one, "Email"), "Address").strip()
        people.append(Asked(address, choice(text_of(one, "AttendeeType", "Required"), KINDS, "AttendeeType")))
    if len(people) > MAX_PEOPLE:
        raise EwsViolation("ErrorInvalidRequest", f"{MAX_PEOPLE} mailboxes at once are asked for at most.")
    window, suggestions = child(element, "FreeBusyViewOptions"), child(element, "SuggestionsViewOptions")
    if window is None and suggestions is None:
        raise EwsViolation("ErrorInvalidRequest", "Neither free/busy nor suggestions are asked for.")
    return GetUserAvailability(
        child(element, "TimeZone"),
        tuple(people),
        None if window is None else _window(window),
        None if suggestions is None else _suggesting(suggestions),
    )


def _window(element: Element) -> Window:
    times = need(element, "TimeWindow")
    return Window(
        text_of(times, "StartTime"),
        text_of(times, "EndTime"),
        integer_of(element, "MergedFreeBusyIntervalInMinutes", 30),
        choice(text_of(element, "RequestedView", "FreeBusyMerged").split(" ")[0], VIEWS, "RequestedView"),
    )


def _suggesting(element: Element) -> Suggesting:
    times = need(element, "DetailedSuggestionsWindow")
    return Suggesting(
        integer_of(element, "GoodThreshold", 25),
        integer_of(element, "MaximumResultsByDay", 10),
        integer_of(element, "MaximumNonWorkHourResultsByDay", 0),
        integer_of(element, "MeetingDurationInMinutes", 60),
        choice(text_of(element, "MinimumSuggestionQuality", "Fair"), QUALITIES, "MinimumSuggestionQuality"),
        text_of(times, "StartTime"),
        text_of(times, "EndTime"),
        text_of(element, "CurrentMeetingTime"),
    )
