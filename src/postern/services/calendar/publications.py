"""Calendars that their owners let anybody read who has the address (Exchange: calendar sharing, off by default)."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from postern.convert.appointments import from_properties
from postern.directory.interface import Directory
from postern.model.calendar.appointment import Appointment
from postern.model.calendar.views import seconds
from postern.model.ids import FolderId, Uid
from postern.model.items import Columns, ItemClass, SpecialUse
from postern.model.ports import Clock
from postern.model.ranges import merged
from postern.model.refusal import Refusal
from postern.services.calendar.publishing import published_ical, published_page
from postern.services.calendar.settings import CalendarSettings, load_settings
from postern.store.interface import Mailbox, Store

PUBLIC_NAME = "calendar"
"""Of a calendar whose address can be guessed."""
MAX_ITEMS = 5000


class Publication(NamedTuple):
    """What is served."""

    content: bytes
    version: str
    """Changes when the mailbox does; for an entity tag."""


class Publications:
    """One per process."""

    def __init__(self, store: Store, directory: Directory, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._clock = clock

    async def get(self, owner: str, name: str, *, page: bool, language: str = "en") -> Publication | None:
        """A calendar as iCalendar or as a page; None whatever the reason: nobody learns who is here."""
        try:
            found = await self._directory.resolve(owner)
            if found.account is None or found.account.mailbox is None:
                return None
            mailbox = await self._store.mailbox(found.account.mailbox)
            settings = await load_settings(mailbox)
            wanted = settings.published.secret or PUBLIC_NAME
            if not settings.published.enabled or not hmac.compare_digest(name.encode(), wanted.encode()):
                return None
            return await self._made(mailbox, settings, found.account.display_name or owner, language, page=page)
        except Refusal:
            return None

    async def _made(
        self, mailbox: Mailbox, settings: CalendarSettings, title: str, language: str, *, page: bool
    ) -> Publication:
        published = settings.published
        now = self._clock.now()
        window = now - timedelta(days=published.days_before), now + timedelta(days=published.days_after)
        version = f"{await mailbox.change_number()}-{now:%Y%m%d}-{language}"
        folder = (await mailbox.special(SpecialUse.CALENDAR)).id
        uids = await mailbox.overlapping(folder, seconds(window[0]), seconds(window[1]))
        items = await _items(mailbox, folder, uids[:MAX_ITEMS])
        if page:
            text = published_page(items, title, published.level, window, settings.zone, language)
            return Publication(text.encode(), version)
        return Publication(published_ical(items, title, published.level, window, settings.zone, language), version)


async def _items(mailbox: Mailbox, folder: FolderId, uids: Sequence[Uid]) -> list[Appointment]:
    found = []
    ranges = merged((uid, uid) for uid in uids)
    async for rows in mailbox.items(folder, Columns.CLASS | Columns.PROPERTIES, ranges):
        found += [from_properties(stored or b"") for kind, stored in rows if kind == ItemClass.APPOINTMENT]
    return found
