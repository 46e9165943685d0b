"""Somebody's calendar for every protocol: appointments, meetings with all that is sent for them, answers.

Changes are durable before anything is sent, and what may not be sent is refused before anything is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec

from postern.directory.interface import Account, Directory
from postern.formats.global_object_id import new_uid
from postern.model.calendar.appointment import Appointment, Attendee, Person, Response, State
from postern.model.calendar.series import day_of
from postern.model.calendar.views import day_of_original, occurrence_on, with_deleted, with_modified
from postern.model.calendar.zones import Zone
from postern.model.envelope import Peer
from postern.model.ids import ChangeNumber, FolderId, ItemId, MailboxId
from postern.model.items import Flag, SpecialUse
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal
from postern.model.rights import FolderRight
from postern.services.calendar import attendee, organizer
from postern.services.calendar.entries import Entries, Entry, Shown, streams
from postern.services.calendar.meeting_mail import described, message_class
from postern.services.calendar.outgoing import Method, Outgoing
from postern.services.calendar.posting import LOCAL, Post, Ready
from postern.services.calendar.reminders import Ring, of_calendar
from postern.services.calendar.settings import CalendarSettings, load_settings
from postern.services.calendar.shelf import Shelf
from postern.services.delegate_access import DelegateAccess
from postern.services.item_access import Disposal, ItemAccess
from postern.services.mailboxes import Mailboxes
from postern.services.principal import Principal
from postern.store.interface import ItemUpdate, Mailbox, Store


class Sending(NamedTuple):
    """Whether a change is told (EWS SendMeetingInvitations and its kin)."""

    send: bool = False
    save_copy: bool = False
    """Into Sent Items of who sends."""
    only_changed: bool = False
    """To added and removed attendees alone, unless the time changes."""


NOBODY = Sending()
TO_ALL = Sending(send=True)
TO_ALL_AND_SAVE = Sending(send=True, save_copy=True)
TO_CHANGED = Sending(send=True, only_changed=True)
TO_CHANGED_AND_SAVE = Sending(send=True, save_copy=True, only_changed=True)
NOTHING_MORE = ItemUpdate()
_ROWS = 200
"""Appointments whose reminders are looked for before others have their turn."""


class Agendas:
    """Opens calendars. One per worker."""

    def __init__(
        self,
        mailboxes: Mailboxes,
        store: Store,
        directory: Directory,
        post: Post,
        shelf: Shelf,
        clock: Clock,
        entropy: Entropy,
    ) -> None:
        self._mailboxes = mailboxes
        self.store = store
        self.directory = directory
        self.post = post
        self.shelf = shelf
        self.clock = clock
        self.entropy = entropy

    async def open(self, principal: Principal, owner: MailboxId | None = None, peer: Peer = LOCAL) -> Agenda:
        """The calendar of a mailbox, by default the principal's own. Raises as Mailboxes.open."""
        items = await self._mailboxes.items(principal, owner)
        account = await self.directory.account_of(items.id)
        if account is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, items.id)
        mailbox = await self.store.mailbox(items.id)
        settings = await load_settings(mailbox)
        return Agenda(self, principal, account, items, mailbox, settings, peer)

    async def own_items(self, principal: Principal) -> ItemAccess:
        """The principal's own mailbox."""
        return await self._mailboxes.items(principal)


class Agenda:
    """One mailbox's calendars for one principal."""

    def __init__(
        self,
        agendas: Agendas,
        principal: Principal,
        account: Account,
        items: ItemAccess,
        mailbox: Mailbox,
        settings: CalendarSettings,
        peer: Peer = LOCAL,
    ) -> None:
        self._agendas = agendas
        self.principal = principal
        self.account = account
        self.settings = settings
        self._mailbox = mailbox
        self._peer = peer
        self.owner = Person(account.address, account.display_name)
        full = not isinstance(items.access, DelegateAccess)
        delegate = next((each for each in settings.delegates if each.person.key == principal.address.lower()), None)
        self.entries = Entries(items, settings.zone, owner=full, delegate=delegate)

    @property
    def zone(self) -> Zone:
        """The owner's."""
        return self.settings.zone

    # --- reading

    async def get(self, ids: Sequence[ItemId], near: FolderId | None = None) -> dict[ItemId, Entry]:
        """Calendar items that are there and may be read."""
        return await self.entries.get(ids, near)

    async def view(
        self, start: datetime, end: datetime, folder: FolderId | None = None, limit: int | None = None
    ) -> list[Shown]:
        """What touches [start, end), by start; a series by its occurrences."""
        return await self.entries.view(start, end, folder, limit)

    def occurrence(self, entry: Entry, day: date) -> Shown:
        """One occurrence of a series by its original day. Raises Refusal(NO_SUCH_ITEM)."""
        found = occurrence_on(entry.item, day, self.zone)
        if found is None:
            raise Refusal(Reason.NO_SUCH_ITEM, f"no occurrence on {day}")
        return Shown(entry, *found)

    def occurrence_number(self, entry: Entry, number: int) -> Shown:
        """One occurrence by its number from 1 (EWS InstanceIndex). Raises Refusal(NO_SUCH_ITEM, BAD_VALUE)."""
        series = entry.item.recurrence
        if series is None:
            raise Refusal(Reason.BAD_VALUE, "the item does not recur")
        day = day_of(series, number - 1) if 0 < number < 1 << 24 else None
        beyond = day is None or (series.count is not None and number > series.count)
        if day is None or beyond or (series.until is not None and day > series.until):
            raise Refusal(Reason.NO_SUCH_ITEM, f"no occurrence has the number {number}")
        return self.occurrence(entry, day)

    async def find(self, uid: str) -> list[Entry]:
        """The default calendar's items of an iCalendar UID: the series or single one first, then lone occurrences."""
        folder = await self.entries.calendar()
        await self.entries.items.access.need(FolderRight.READ_ANY, folder)
        book = await self._agendas.shelf.book(self._mailbox, folder)
        rows = book.find(uid)
        found = await self.entries.get([row.id for row in rows], folder)
        return [found[row.id] for row in rows if row.id in found]

    async def rings(self, begin: datetime, end: datetime) -> list[Ring]:
        """Reminders of the default calendar that ring in [begin, end], by time."""
        folder = await self.entries.calendar()
        await self.entries.items.access.need(FolderRight.READ_ANY, folder)
        book = await self._agendas.shelf.book(self._mailbox, folder)
        rows = list(book.rows.values())
        found: list[Ring] = []
        for first in range(0, len(rows), _ROWS):
            found += of_calendar(rows[first : first + _ROWS], begin, end, self.zone)
            await asyncio.sleep(0)
        return sorted(found, key=lambda each: (each.at, each.item))

    async def keep(self, entry: Entry, item: Appointment) -> Entry:
        """Write what concerns the calendar's owner alone, and tells nobody. Raises Refusal(CONFLICT)."""
        return await self.entries.put(entry, item, NOTHING_MORE, entry.change_key)

    # --- appointments and meetings of one's own

    async def create(
        self,
        item: Appointment,
        sending: Sending = NOBODY,
        *,
        folder: FolderId | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> Entry:
        """Make an appointment, or a meeting if it has attendees; durable on return, then sent.

        Raises Refusal(BAD_VALUE, SENDER_NOT_ALLOWED, NOT_PERMITTED, OVER_QUOTA ...).
        """
        now = self._now()
        if not item.uid:
            item = msgspec.structs.replace(item, uid=new_uid(now, self._agendas.entropy.token(16)))
        item = msgspec.structs.replace(item, created_at=item.created_at or now, modified_at=now)
        messages: Sequence[Outgoing] = ()
        if item.attendees and not item.state & State.RECEIVED:
            item, messages = self._organized(item, None, sending, now)
        target = await self.entries.calendar() if folder is None else folder
        ready = await self._prepare(messages, sending)
        made = await self.entries.add(item, target, extra or {})
        await self._send(ready, sending)
        return made

    def _organized(
        self, item: Appointment, old: Appointment | None, sending: Sending, now: datetime
    ) -> tuple[Appointment, Sequence[Outgoing]]:
        item = msgspec.structs.replace(item, organizer=item.organizer or self.owner, response=Response.ORGANIZED)
        if sending.send:
            change = organizer.send(item, now, old, only_changed=sending.only_changed)
            return change.item, change.messages
        known = {each.person.key for each in old.attendees} if old is not None else set()
        attendees = tuple(
            each if each.person.key in known else Attendee(each.person, each.role, each.response)
            for each in item.attendees
        )
        state = item.state | State.MEETING if attendees else item.state
        return msgspec.structs.replace(item, state=state, attendees=attendees), ()

    async def update(
        self,
        entry: Entry,
        item: Appointment,
        sending: Sending = NOBODY,
        *,
        extra: ItemUpdate = NOTHING_MORE,
        unchanged_since: ChangeNumber | None = None,
    ) -> Entry:
        """Change an item; a series as a whole. `extra`: properties of its client's own, attachments to be removed.

        `item.attachments` are added to those that are there. Raises Refusal(CONFLICT) if the item has changed since
        `unchanged_since`, by default since `entry` was read, and as `create`.
        """
        now = self._now()
        item = msgspec.structs.replace(item, modified_at=now)
        messages: Sequence[Outgoing] = ()
        if self.is_organizer(entry.item) and (item.attendees or entry.item.attendees):
            item, messages = self._organized(item, entry.item, sending, now)
        return await self._write(entry, item, messages, sending, extra, unchanged_since)

    async def update_occurrence(
        self,
        entry: Entry,
        day: date,
        item: Appointment,
        sending: Sending = NOBODY,
        *,
        unchanged_since: ChangeNumber | None = None,
    ) -> Entry:
        """Change one occurrence of a series: complete, with its own start and end. Raises as `update`."""
        self.occurrence(entry, day)
        now = self._now()
        item = msgspec.structs.replace(item, modified_at=now)
        messages: Sequence[Outgoing] = ()
        if sending.send and self.is_organizer(entry.item) and item.attendees:
            change = organizer.send_occurrence(entry.item, day, item, now)
            series, messages = change.item, change.messages
        else:
            series = with_modified(entry.item, day, item)
        return await self._write(entry, series, messages, sending, NOTHING_MORE, unchanged_since)

    async def delete(
        self,
        entry: Entry,
        disposal: Disposal = Disposal.TO_DELETED_ITEMS,
        sending: Sending = NOBODY,
        *,
        comment: str = "",
    ) -> None:
        """Delete an item; who organized it calls it off, if that is to be told."""
        messages: Sequence[Outgoing] = ()
        if sending.send and self.is_organizer(entry.item) and not entry.item.is_canceled:
            messages = organizer.cancel(entry.item, self._now(), comment).messages
        ready = await self._prepare(messages, sending)
        await self.entries.remove(entry, disposal)
        await self._send(ready, sending)

    async def delete_occurrence(
        self,
        entry: Entry,
        day: date,
        sending: Sending = NOBODY,
        *,
        comment: str = "",
        unchanged_since: ChangeNumber | None = None,
    ) -> Entry:
        """Delete one occurrence of a series. Raises Refusal(NO_SUCH_ITEM, CONFLICT)."""
        self.occurrence(entry, day)
        messages: Sequence[Outgoing] = ()
        if sending.send and self.is_organizer(entry.item):
            change = organizer.cancel_occurrence(entry.item, day, self._now(), comment)
            series, messages = change.item, change.messages
        else:
            series = with_deleted(entry.item, day)
        return await self._write(entry, series, messages, sending, NOTHING_MORE, unchanged_since)

    async def cancel(self, entry: Entry, sending: Sending = TO_ALL, *, comment: str = "") -> None:
        """Call a meeting off and remove it (EWS CancelCalendarItem). Raises Refusal(NOT_PERMITTED) for others'."""
        if not self.is_organizer(entry.item):
            raise Refusal(Reason.NOT_PERMITTED, "only who organized a meeting calls it off")
        await self.delete(entry, Disposal.TO_DELETED_ITEMS, sending, comment=comment)

    async def accept_proposal(self, entry: Entry, who: Person, sending: Sending = TO_ALL) -> Entry:
        """Move a meeting to the time that an attendee has proposed. Raises Refusal(BAD_VALUE) if there is none."""
        found = next((each for each in entry.item.attendees if each.person.key == who.key), None)
        if found is None or found.proposed_start is None or found.proposed_end is None:
            raise Refusal(Reason.BAD_VALUE, f"{who.address} has proposed no other time")
        moved = msgspec.structs.replace(entry.item, start=found.proposed_start, end=found.proposed_end)
        return await self.update(entry, moved, sending)

    # --- meetings of others

    async def respond(
        self,
        entry: Entry,
        response: Response,
        sending: Sending = TO_ALL,
        *,
        day: date | None = None,
        comment: str = "",
        proposed: tuple[datetime, datetime] | None = None,
    ) -> Entry | None:
        """Accept, accept tentatively or decline, one occurrence if `day` is given; a proposed time is a counter.

        None: declined, the item is in Deleted Items. Raises Refusal(BAD_VALUE) for a meeting of one's own.
        """
        if not entry.item.is_meeting or self.is_organizer(entry.item):
            raise Refusal(Reason.BAD_VALUE, "there is no invitation to answer")
        me = await self.person_in(entry.item)
        now = self._now()
        kept: Appointment | None
        if day is not None:
            self.occurrence(entry, day)
            kept, message = attendee.respond_occurrence(entry.item, day, response, me, now, comment=comment)
        else:
            kept, message = attendee.respond(entry.item, response, me, now, comment=comment, proposed=proposed)
        messages = (message,) if message is not None and sending.send else ()
        if kept is not None:
            return await self._write(entry, kept, messages, sending, NOTHING_MORE, None)
        ready = await self._prepare(messages, sending)
        await self.entries.remove(entry, Disposal.TO_DELETED_ITEMS)
        await self._send(ready, sending)
        return None

    async def forward(
        self, item: Appointment, to: Sequence[Person], sending: Sending = TO_ALL, *, comment: str = ""
    ) -> None:
        """Pass somebody's request on; who organizes the meeting is told (RFC 5546 3.2.2.6, MS-OXOCAL 2.2.8).

        It goes out in the name of who passes it on, so a calendar takes it only when its owner does.
        Raises Refusal as `create`.
        """
        messages = [Outgoing(Method.REQUEST, item, tuple(to), comment=comment, sender=self.owner, forwarded=True)]
        if item.organizer is not None:
            notice = Outgoing(Method.REQUEST, item, (item.organizer,), sender=self.owner, forwarded_to=tuple(to))
            messages.append(notice)
        await self._send(await self._prepare(messages, sending), sending)

    async def take(self, item: Appointment) -> Entry:
        """Put a request that the owner was not sent by its organizer into the calendar, to be answered.

        Raises Refusal(BAD_VALUE) for one of the owner's own.
        """
        received = attendee.receive_request(None, item, await self.owner_keys(item))
        if received.item is None or received.effect is not attendee.Effect.NEW:
            raise Refusal(Reason.BAD_VALUE, "there is no invitation to answer")
        return await self.entries.add(received.item, await self.entries.calendar(), {})

    async def owner_keys(self, item: Appointment) -> frozenset[str]:
        """The owner's addresses among those that an item names, aliases too."""
        people = [each.person for each in item.attendees]
        if item.organizer is not None:
            people.append(item.organizer)
        own = {self.account.address.lower()}
        for person in people:
            found = await self._agendas.directory.resolve(person.address)
            if found.account is not None and found.account.id == self.account.id:
                own.add(person.key)
        return frozenset(own)

    async def person_in(self, item: Appointment) -> Person:
        """The owner as a meeting names them."""
        keys = await self.owner_keys(item)
        return next((each.person for each in item.attendees if each.person.key in keys), self.owner)

    def is_organizer(self, item: Appointment) -> bool:
        """Whether it is the owner's own meeting or appointment."""
        return not item.state & State.RECEIVED

    async def organizes(self, item: Appointment) -> bool:
        """Whether the owner is who a message names as organizer, by any of their addresses."""
        if item.organizer is None:
            return False
        if item.organizer.key == self.account.address.lower():
            return True
        found = await self._agendas.directory.resolve(item.organizer.address)
        return found.account is not None and found.account.id == self.account.id

    def occurrence_day(self, entry: Entry, original_start: datetime) -> date:
        """Which occurrence an original start means."""
        return day_of_original(entry.item, original_start)

    # --- behind them

    def _now(self) -> datetime:
        return self._agendas.clock.now().replace(microsecond=0)

    async def _write(
        self,
        entry: Entry,
        item: Appointment,
        messages: Sequence[Outgoing],
        sending: Sending,
        extra: ItemUpdate,
        unchanged_since: ChangeNumber | None,
    ) -> Entry:
        if messages:
            # what was attached before goes out with what is new
            kept = (await self.entries.with_attachments(entry)).attachments
            messages = [
                msgspec.structs.replace(
                    each, item=msgspec.structs.replace(each.item, attachments=(*kept, *each.item.attachments))
                )
                for each in messages
            ]
        ready = await self._prepare(messages, sending)
        since = entry.change_key if unchanged_since is None else unchanged_since
        done = await self.entries.put(entry, item, extra, since, [each for each in streams(item) if each.content])
        await self._send(ready, sending)
        return done

    async def _prepare(self, messages: Sequence[Outgoing], sending: Sending) -> list[Ready]:
        if not sending.send or not messages:
            return []
        return await self._agendas.post.prepare(self.principal, self.account, messages, self.settings.language)

    async def _send(self, ready: Sequence[Ready], sending: Sending) -> None:
        await self._agendas.post.send(ready, self._peer)
        if not sending.save_copy or not ready:
            return
        own = await self._agendas.own_items(self.principal)
        sent = (await own.special(SpecialUse.SENT)).id
        for message, _envelope, _routes, content in ready:
            if message.forwarded_to:
                continue  # nobody wrote it
            kind = message_class(message.method.value, message.response)
            await own.create_message(sent, content, Flag.SEEN, properties=described(kind, message.item))


__all__ = [
    "NOBODY",
    "TO_ALL",
    "TO_ALL_AND_SAVE",
    "TO_CHANGED",
    "TO_CHANGED_AND_SAVE",
    "Agenda",
    "Agendas",
    "Sending",
]
