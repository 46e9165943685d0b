"""A calendar for the public or for partners, as iCalendar and as a page, at a detail level (Exchange: sharing)."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from itertools import groupby

import msgspec

from postern.convert.ical.writing import write_calendar
from postern.model.calendar.appointment import Appointment, Busy, Sensitivity, State
from postern.model.calendar.views import Occurrence, bounds, occurrences
from postern.model.calendar.zones import Zone, to_wall
from postern.services.calendar import wording
from postern.services.calendar.delegates import bare
from postern.services.calendar.wording import known

MAX_OCCURRENCES = 2000
_BUSY = {
    "en": ("Free", "Tentative", "Busy", "Out of office", "Working elsewhere"),
    "ru": ("Свободно", "Под вопросом", "Занято", "Нет на месте", "Работает в другом месте"),
}
_NOTHING = {"en": "Nothing in this time.", "ru": "В это время ничего нет."}


class Level(Enum):
    """How much is published; Exchange's names."""

    AVAILABILITY = "AvailabilityOnly"
    LIMITED = "LimitedDetails"
    """Subject and place too."""
    FULL = "FullDetails"


def at_level(item: Appointment, level: Level, language: str = "en") -> Appointment:
    """An appointment as it is published. Nobody's address, nothing private, no attachment ever is."""
    private = item.sensitivity in (Sensitivity.PRIVATE, Sensitivity.CONFIDENTIAL)
    shown = msgspec.structs.replace(bare(item), sensitivity=Sensitivity.NORMAL, stamp=item.stamp or item.modified_at)
    if level is Level.AVAILABILITY or private:
        shown = msgspec.structs.replace(shown, subject=_BUSY[known(language)][item.busy])
    else:
        shown = msgspec.structs.replace(shown, subject=item.subject, location=item.location)
        if level is Level.FULL:
            shown = msgspec.structs.replace(shown, text=item.text, categories=item.categories, url=item.url)
    if item.is_canceled:
        shown = msgspec.structs.replace(shown, state=State.CANCELED, busy=Busy.FREE)
    return msgspec.structs.replace(
        shown,
        modified=tuple(
            msgspec.structs.replace(each, item=at_level(each.item, level, language)) for each in item.modified
        ),
    )


def published_ical(
    items: Iterable[Appointment],
    name: str,
    level: Level,
    window: tuple[datetime, datetime],
    zone: Zone,
    language: str = "en",
) -> bytes:
    """METHOD:PUBLISH, of everything that touches the window; series are whole."""
    low, high = window
    shown = [
        at_level(item, level, language)
        for item in items
        for begins, ends in [bounds(item, zone)]
        if begins < high and ends > low
    ]
    return write_calendar(shown, method="PUBLISH", name=name)


def published_page(
    items: Iterable[Appointment],
    name: str,
    level: Level,
    window: tuple[datetime, datetime],
    zone: Zone,
    language: str = "en",
) -> str:
    """A page without script: the occurrences in the window by day, in a zone's wall clock."""
    locale = known(language)
    found: list[Occurrence] = []
    for item in items:
        found += occurrences(at_level(item, level, language), *window, zone, MAX_OCCURRENCES)
    found.sort(key=lambda each: (each.start, each.end))
    days = "".join(
        f"<h2>{html.escape(wording.day(day, locale))}</h2><ul>{_rows(list(rows), zone, locale)}</ul>"
        for day, rows in groupby(found[:MAX_OCCURRENCES], key=lambda each: to_wall(each.start, zone).date())
    )
    title = html.escape(name)
    return (
        f'<!DOCTYPE html><html lang="{locale}"><head><meta charset="utf-8"><meta name="robots" content="noindex">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title></head>'
        f"<body><h1>{title}</h1>{days or f'<p>{_NOTHING[locale]}</p>'}</body></html>"
    )


def _rows(rows: Sequence[Occurrence], zone: Zone, locale: str) -> str:
    made = []
    for each in rows:
        start, end = (wording.clock(to_wall(at, zone), locale) for at in (each.start, each.end))
        clock = "" if each.item.all_day else f"<time>{start} – {end}</time> "
        place = f" <i>{html.escape(each.item.location)}</i>" if each.item.location else ""
        text = f"<p>{html.escape(each.item.text)}</p>" if each.item.text else ""
        made.append(f"<li>{clock}<b>{html.escape(each.item.subject)}</b>{place}{text}</li>")
    return "".join(made)
