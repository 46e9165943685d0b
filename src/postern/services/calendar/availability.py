"""Who is free when: many people's calendars by what each of them shows to who asks (MS-OXWAVLS 3.1.4.1).

Times are found by what the store keeps of each item beside its span; items are read only where somebody may see what
they are about. A mailbox that has not changed since it was last looked at is not looked at again for the same weeks.
The work for many is done in slices between which the loop goes on.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from datetime import date, datetime
from itertools import chain
from time import monotonic
from typing import NamedTuple

from postern.convert.appointments import from_properties
from postern.directory.interface import DEFAULT_MEMBER, Account, Directory
from postern.model import ranges
from postern.model.calendar.appointment import Role
from postern.model.calendar.blocks import Block
from postern.model.calendar.views import seconds
from postern.model.calendar.zones import Zone
from postern.model.ids import ChangeNumber, FolderId, MailboxId, Uid
from postern.model.items import Columns, ItemClass
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
from postern.services.calendar.freebusy import (
    MAX_BLOCKS,
    MAX_WINDOW_DAYS,
    Detail,
    WorkingHours,
    blocks,
    check_window,
    detail_of,
    in_order,
    merged,
    no_data,
    times,
    view_of,
)
from postern.services.calendar.settings import KIND as SETTINGS
from postern.services.calendar.settings import CalendarSettings, settings_of
from postern.services.calendar.suggestions import Day, Invited, Options, suggest
from postern.services.permissions import Permissions
from postern.services.principal import Principal
from postern.store.interface import Store

MAX_PEOPLE = 100
"""EWS: ErrorTooManyObjects... above it (Exchange's limit of mailboxes in one request)."""
_SLICE_S = 0.002
_TOGETHER = 25
"""Who is looked up in the directory at once."""
_COLUMNS = Columns.CLASS | Columns.PROPERTIES
_KEPT_BLOCKS = 200_000
"""Of all windows that are remembered (about 25 MB, more with subjects)."""
_KEPT = 4000
"""Calendars whose settings are remembered, and windows."""
_KEPT_SPANS = 40_000
"""Of all calendars that are remembered (about 10 MB); those of calendars that have many in a window are not."""
_MANY_SPANS = 1000
_AROUND_S = 7 * 86_400
"""Who is shown some weeks often asks for the next ones: a look goes so far beyond the window."""


class Availability(NamedTuple):
    """Of one mailbox."""

    address: str
    refusal: Refusal | None
    """Why nothing is known: NO_SUCH_RECIPIENT, NOT_PERMITTED, or what the store said."""
    detail: Detail
    blocks: Sequence[Block]
    merged: str
    """A digit for each interval; all `4` where nothing is known."""
    hours: WorkingHours | None


class _Key(NamedTuple):
    mailbox: MailboxId
    start: datetime
    end: datetime
    detail: Detail
    interval: int


class _Known(NamedTuple):
    seen: ChangeNumber
    blocks: list[Block]
    merged: str
    hours: WorkingHours


class _Facts(NamedTuple):
    """Which folder is the calendar, its settings, and what was seen from one second to another."""

    seen: ChangeNumber
    folder: FolderId
    settings: CalendarSettings
    low: int
    high: int
    spans: Sequence[tuple[Uid, int, int, bytes]]


class FreeBusy:
    """One per worker."""

    def __init__(self, store: Store, directory: Directory) -> None:
        self._store = store
        self._directory = directory
        self._permissions = Permissions(directory)
        self._kept: OrderedDict[_Key, _Known] = OrderedDict()
        self._kept_blocks = 0
        self._facts: OrderedDict[MailboxId, _Facts] = OrderedDict()
        self._kept_spans = 0

    async def ask(
        self, principal: Principal, addresses: Sequence[str], start: datetime, end: datetime, interval_minutes: int = 30
    ) -> list[Availability]:
        """In the order of the addresses. Raises Refusal(BAD_VALUE, TOO_MANY) for what is asked as a whole."""
        check_window(start, end, interval_minutes)
        if len(addresses) > MAX_PEOPLE:
            raise Refusal(Reason.TOO_MANY, f"free/busy is asked for {MAX_PEOPLE} mailboxes at once at most")
        found = []
        since = monotonic()
        for place, address in enumerate(addresses):
            if place % _TOGETHER == 0:
                await self._directory.read_ahead(addresses[place : place + _TOGETHER])
            found.append(await self._one(principal, address, start, end, interval_minutes))
            if monotonic() - since > _SLICE_S:
                await asyncio.sleep(0)
                since = monotonic()
        return found

    async def suggestions(
        self,
        principal: Principal,
        attendees: Sequence[tuple[str, Role]],
        first: date,
        days: int,
        zone: Zone,
        options: Options,
        window: tuple[datetime, datetime],
    ) -> list[Day]:
        """Times to meet, in a thread: hundreds of half hours for each attendee. Raises as `ask`."""
        if not 0 < days <= MAX_WINDOW_DAYS:
            raise Refusal(Reason.BAD_VALUE, f"suggestions are made for 1 to {MAX_WINDOW_DAYS} days")
        found = await self.ask(principal, [address for address, _role in attendees], *window)
        invited = [
            Invited(each.blocks if each.detail is not Detail.NOTHING else None, role)
            for each, (_address, role) in zip(found, attendees, strict=True)
        ]
        hours = found[0].hours if found and found[0].hours is not None else WorkingHours(zone)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, suggest, invited, first, days, hours, zone, options)

    async def _one(
        self, principal: Principal, address: str, start: datetime, end: datetime, interval: int
    ) -> Availability:
        try:
            resolved = await self._directory.resolve(address)
            account = resolved.account
            if account is None or account.mailbox is None:
                raise Refusal(Reason.NO_SUCH_RECIPIENT, address)
            facts = await self._holding(account.mailbox) or await self._look(account.mailbox, start, end)
            detail = await self.detail(principal, account, facts.folder)
            if detail is Detail.NOTHING:
                raise Refusal(Reason.NOT_PERMITTED, f"{principal.address} may not see when {address} is busy")
            key = _Key(account.mailbox, start, end, detail, interval)
            known = self._kept.get(key)
            if known is None or known.seen != facts.seen:
                low, high = _searched(start, end)
                if not facts.low <= low < high <= facts.high:
                    facts = await self._look(account.mailbox, start, end)
                spans = [row for row in facts.spans if row[2] > low and row[1] < high]
                known = _Known(facts.seen, *await self._shown(key, facts, spans), facts.settings.working_hours)
                self._keep(key, known)
            self._kept.move_to_end(key)
        except Refusal as refusal:
            return Availability(address, refusal, Detail.NOTHING, (), no_data(start, end, interval), None)
        return Availability(address, None, detail, known.blocks, known.merged, known.hours)

    async def _holding(self, mailbox: MailboxId) -> _Facts | None:
        """What is known of a mailbox, if it has not changed since."""
        known = self._facts.get(mailbox)
        if known is None or known.seen != await (await self._store.mailbox(mailbox)).change_number():
            return None
        return known

    async def _look(self, mailbox: MailboxId, start: datetime, end: datetime) -> _Facts:
        """At a window and somewhat around it."""
        low, high = _searched(start, end)
        low, high = low - _AROUND_S, high + _AROUND_S
        look = await self._store.calendar(mailbox, SETTINGS, low, high)
        facts = _Facts(look.seen, look.folder, settings_of(mailbox, look.settings), low, high, look.spans)
        self._forget(mailbox)
        many = len(facts.spans) > _MANY_SPANS
        self._facts[mailbox] = facts._replace(low=0, high=0, spans=()) if many else facts
        self._kept_spans += len(self._facts[mailbox].spans)
        while len(self._facts) > _KEPT or self._kept_spans > _KEPT_SPANS:
            self._forget(next(iter(self._facts)))
        return facts

    def _forget(self, mailbox: MailboxId) -> None:
        known = self._facts.pop(mailbox, None)
        if known is not None:
            self._kept_spans -= len(known.spans)

    async def _shown(
        self, key: _Key, facts: _Facts, spans: Sequence[tuple[Uid, int, int, bytes]]
    ) -> tuple[list[Block], str]:
        """Blocks and their merged view."""
        mailbox, start, end, detail, interval = key
        zone = facts.settings.zone
        kept_whole = detail is not Detail.TIMES
        found = [] if kept_whole else times(spans, start, end, zone)
        made = [each.blocks for each in found]
        wanted = ranges.merged((row[0], row[0]) for row in spans if kept_whole or not row[3])
        if wanted:
            async for rows in (await self._store.mailbox(mailbox)).items(facts.folder, _COLUMNS, wanted):
                items = [
                    from_properties(stored or b"", brief=True) for kind, stored in rows if kind == ItemClass.APPOINTMENT
                ]
                made.append(blocks(items, start, end, zone, detail))
        ordered = in_order(chain.from_iterable(made))
        if wanted or len(ordered) >= MAX_BLOCKS:
            return ordered, merged(ordered, start, end, interval)
        return ordered, view_of(found, start, end, interval)

    def _keep(self, key: _Key, known: _Known) -> None:
        old = self._kept.pop(key, None)
        self._kept[key] = known
        self._kept_blocks += len(known.blocks) - (len(old.blocks) if old is not None else 0)
        while len(self._kept) > 1 and (len(self._kept) > _KEPT or self._kept_blocks > _KEPT_BLOCKS):
            self._kept_blocks -= len(self._kept.popitem(last=False)[1].blocks)

    async def detail(self, principal: Principal, account: Account, folder: FolderId) -> Detail:
        """What an account's calendar shows to somebody: by its rights, and times alone where nobody has set Default."""
        assert account.mailbox is not None
        detail = detail_of(await self._permissions.folder_rights(principal, account.mailbox, folder))
        if detail is not Detail.NOTHING:
            return detail
        table = await self._directory.folder_permissions(account.mailbox)
        if not table:
            return Detail.TIMES
        said = any(row.grantee == DEFAULT_MEMBER and row.folder in (0, folder) for row in table)
        held = await self._directory.folder_rights(account.mailbox, principal.account)
        own = FolderRight(held.get(folder, held.get(0, 0)))
        return Detail.NOTHING if said or own else Detail.TIMES


def _searched(start: datetime, end: datetime) -> tuple[int, int]:
    """A window for the store."""
    return seconds(start), max(seconds(end), seconds(start) + 1)
