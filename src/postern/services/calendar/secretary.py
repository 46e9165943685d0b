"""The calendar assistant: what a meeting message does to its recipient's calendar, exactly once (MS-OXOCAL 3.1.4).

A message is trusted as far as it comes from whose business it is: a request or cancellation from the meeting's
organizer, an answer from the attendee who answers (RFC 6047 3). Doing the same message twice changes nothing: a known
sequence and stamp are no news, and what is sent goes under the key of the outbox entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import NamedTuple

import msgspec

from postern.directory.interface import Account
from postern.model.calendar.appointment import Appointment, Person, Response
from postern.model.calendar.blocks import Block
from postern.model.calendar.views import day_of_original, with_deleted
from postern.model.refusal import Reason, Refusal
from postern.model.sync import OutboxEntry
from postern.services.calendar import attendee, booking, meeting_mail, organizer, wording
from postern.services.calendar.agenda import NOTHING_MORE, Agenda, Agendas
from postern.services.calendar.attendee import Effect, Received
from postern.services.calendar.booking import Automation, BookingPolicy, Decision, Outcome
from postern.services.calendar.delegates import Delivery, copies
from postern.services.calendar.entries import Entry
from postern.services.calendar.freebusy import Detail, blocks
from postern.services.calendar.meeting_mail import MeetingMail
from postern.services.calendar.organizer import Tracked
from postern.services.calendar.outgoing import Outgoing
from postern.services.calendar.posting import numbered
from postern.services.calendar.settings import policy_of
from postern.services.item_access import Disposal
from postern.services.principal import Principal
from postern.store import failpoints
from postern.store.interface import ItemUpdate, Mailbox

_ATTEMPTS = 5
_DELEGATOR_COPY = 0x100000
"""PidLidMeetingType of what others answer for the owner (MS-OXOCAL 2.2.6.5)."""
_DELEGATES = 100
"""From which number on keys are those of copies to delegates."""
_RESPONSES = {Outcome.ACCEPT: Response.ACCEPTED, Outcome.DECLINE: Response.DECLINED}
_MEETING_TYPES = {
    Effect.NEW: 0x1,
    Effect.FULL_UPDATE: 0x10000,
    Effect.INFORMATIONAL_UPDATE: 0x20000,
    Effect.OUT_OF_DATE: 0x80000,
}
_FOR_INFORMATION = 0x100000
"""PidLidMeetingType (MS-OXOCAL 2.2.6.5)."""


class _Case(NamedTuple):
    """One message for one calendar."""

    agenda: Agenda
    account: Account
    policy: BookingPolicy
    mail: MeetingMail
    entry: OutboxEntry
    now: datetime
    internal: bool


class Secretary:
    """Handles outbox entries of kind `meeting`. One per worker."""

    def __init__(self, agendas: Agendas) -> None:
        self._agendas = agendas

    async def handle(self, mailbox: Mailbox, entry: OutboxEntry) -> None:
        """Raises Refusal, OSError."""
        mail = meeting_mail.decode(entry.payload)
        account = await self._agendas.directory.account_of(mailbox.id)
        found = meeting_mail.read(mail.calendar, mail.charset, mail.method)
        if account is None or found is None:
            return
        principal = Principal(account.id, account.address, mailbox.id, account.slot)
        agenda = await self._agendas.open(principal)
        policy = policy_of(agenda.settings, account)
        if policy.automation is Automation.NONE:
            return
        author = await self._agendas.directory.resolve(mail.author)
        now = datetime.fromtimestamp(entry.at, tz=self._agendas.clock.now().tzinfo)
        case = _Case(agenda, account, policy, mail, entry, now, author.account is not None)
        effects = [await self._one(case, each) for each in found.appointments]
        await self._tell_message(case, effects, found.appointments[0])
        about_others = mail.method in ("REQUEST", "CANCEL") and effects and effects[0] is not Effect.OWN
        if about_others or Effect.ANSWER in effects:
            await self._to_delegates(case, mailbox, found.appointments[0])

    async def _one(self, case: _Case, message: Appointment) -> Effect:
        """Raises Refusal(CONFLICT) if the calendar would not stand still."""
        for attempt in range(_ATTEMPTS):
            try:
                if case.mail.method == "REQUEST":
                    return await self._request(case, message)
                if case.mail.method == "CANCEL":
                    return await self._cancel(case, message)
                return await self._answer(case, message)
            except Refusal as refusal:
                # somebody has changed the meeting meanwhile: decide again
                if refusal.reason is not Reason.CONFLICT or attempt == _ATTEMPTS - 1:
                    raise
        return Effect.NOTHING

    # --- what others organize

    async def _request(self, case: _Case, message: Appointment) -> Effect:
        if not self._by_organizer(case, message):
            return Effect.NOTHING
        agenda = case.agenda
        owner = await agenda.owner_keys(message)
        entry = _concerned(await agenda.find(message.uid), message)
        if entry is not None and not _same_organizer(entry.item, message):
            return Effect.NOTHING
        existing = entry.item if entry is not None else None
        received = attendee.receive_request(existing, message, owner)
        if received.effect in (Effect.OWN, Effect.OUT_OF_DATE, Effect.NOTHING) or received.item is None:
            return received.effect
        if case.policy.automation is Automation.ACCEPT:
            await self._book(case, message, entry, received)
        else:
            await self._keep(agenda, entry, received.item)
        return received.effect

    def _by_organizer(self, case: _Case, message: Appointment) -> bool:
        return message.organizer is not None and message.organizer.key == case.mail.author

    async def _keep(self, agenda: Agenda, entry: Entry | None, item: Appointment) -> Entry:
        failpoints.hit("secretary.keeping")
        if entry is None:
            return await agenda.entries.add(item, await agenda.entries.calendar(), {})
        return await agenda.entries.put(entry, item, NOTHING_MORE, entry.change_key)

    async def _cancel(self, case: _Case, message: Appointment) -> Effect:
        agenda = case.agenda
        entry = _concerned(await agenda.find(message.uid), message)
        if entry is None or not self._by_organizer(case, message) or not _same_organizer(entry.item, message):
            return Effect.NOTHING
        received = attendee.receive_cancel(entry.item, message, await agenda.owner_keys(message))
        if received.effect is not Effect.CANCELED or received.item is None:
            return received.effect
        if case.policy.automation is Automation.ACCEPT:
            # nobody looks at a room's calendar to remove what was called off
            if message.instance_of is None or entry.item.recurrence is None:
                await agenda.entries.remove(entry, Disposal.HARD)
            else:
                day = day_of_original(entry.item, message.instance_of)
                await self._keep(agenda, entry, with_deleted(entry.item, day))
        elif received.item != entry.item:
            await self._keep(agenda, entry, received.item)
        return Effect.CANCELED

    # --- rooms

    async def _book(self, case: _Case, message: Appointment, entry: Entry | None, received: Received) -> None:
        agenda, policy = case.agenda, case.policy
        busy = await self._busy(case, message)
        zone = agenda.zone
        decision = booking.decide(policy, message, busy, case.now, zone, internal=case.internal)
        if decision.outcome is Outcome.IGNORE or received.item is None:
            return
        me = await agenda.person_in(message)
        response = _RESPONSES.get(decision.outcome, Response.TENTATIVE)
        comment = self._comment(case, decision)
        if message.instance_of is not None and received.item.recurrence is not None:
            day = day_of_original(received.item, message.instance_of)
            series = received.item if decision.item is None else _with_booked(received.item, day, decision.item)
            kept, answer = attendee.respond_occurrence(series, day, response, me, case.now, comment=comment)
            await self._answered(case, entry, kept, [] if answer is None else [_about(answer, message)])
            return
        series = received.item if decision.item is None else _as_booked(received.item, decision.item)
        if decision.until is not None and series.recurrence is not None:
            shorter = msgspec.structs.replace(series.recurrence, count=None, until=decision.until)
            series = msgspec.structs.replace(series, recurrence=shorter)
        whole: Appointment | None
        whole, answer = attendee.respond(series, response, me, case.now, comment=comment)
        messages = [] if answer is None else [_about(answer, message)]
        taken = wording.cause(booking.Cause.CONFLICT, agenda.settings.language)
        for each in decision.declined:
            if each.day is None or whole is None:
                continue
            whole, single = attendee.respond_occurrence(whole, each.day, Response.DECLINED, me, case.now, comment=taken)
            messages += [] if single is None else [_about(single, message)]
        await self._answered(case, entry, whole, messages)
        if decision.outcome is Outcome.PENDING and decision.forward_to:
            await self._forward(case, decision.forward_to)

    async def _answered(
        self, case: _Case, entry: Entry | None, kept: Appointment | None, messages: Sequence[Outgoing]
    ) -> None:
        agenda = case.agenda
        # told first, under a key that tells it once: if it is cut off here, the same is decided and written again
        await self._agendas.post.send_automatic(case.entry.key, case.account, messages, agenda.settings.language)
        failpoints.hit("secretary.answered")
        if kept is not None:
            await self._keep(agenda, entry, kept)
        elif entry is not None:
            await agenda.entries.remove(entry, Disposal.HARD)

    async def _busy(self, case: _Case, message: Appointment) -> Callable[[datetime, datetime], Sequence[Block]]:
        agenda = case.agenda
        mailbox = await self._agendas.store.mailbox(agenda.entries.items.id)
        book = await self._agendas.shelf.book(mailbox, await agenda.entries.calendar())
        others = [item for item in book.items() if item.uid != message.uid]
        zone = agenda.zone

        def busy(start: datetime, end: datetime) -> Sequence[Block]:
            return blocks(others, start, end, zone, Detail.TIMES)

        return busy

    def _comment(self, case: _Case, decision: Decision) -> str:
        language = case.agenda.settings.language
        lines = [wording.cause(cause, language) for cause in decision.causes]
        for each in decision.declined[:50]:
            single = msgspec.structs.replace(each.item, start=each.start, end=each.end)
            lines.append(f"- {wording.when(single, language)}")
        return "\n".join(filter(None, (*lines, case.policy.additional_response)))

    async def _forward(self, case: _Case, to: Sequence[str]) -> None:
        content = await self._content(case)
        if content is not None:
            head = f"{meeting_mail.REPRESENTING}: {case.account.address}\r\n".encode()
            await self._agendas.post.forward(numbered(case.entry.key, _DELEGATES), case.account, to, head + content)

    async def _content(self, case: _Case) -> bytes | None:
        items = case.agenda.entries.items
        where = (await items.locate([case.entry.item], case.entry.folder)).get(case.entry.item)
        if where is None:
            return None
        whole = await items.access.read(*where)
        # the mailbox's own Return-Path stays here
        return whole.partition(b"\r\n")[2] if whole[:12].lower() == b"return-path:" else whole

    # --- answers to what the owner organizes

    async def _answer(self, case: _Case, message: Appointment) -> Effect:
        agenda = case.agenda
        if len(message.attendees) != 1 or message.attendees[0].person.key != case.mail.author:
            return Effect.NOTHING
        entry = _concerned(await agenda.find(message.uid), message)
        if entry is None or not agenda.is_organizer(entry.item):
            return Effect.NOTHING
        reply = organizer.counter(message) if case.mail.method == "COUNTER" else message
        if case.mail.method == "COUNTER" and message.attendees[0].response is Response.NONE:
            who = msgspec.structs.replace(reply.attendees[0], response=Response.TENTATIVE)
            reply = msgspec.structs.replace(reply, attendees=(who,))
        changed, tracked = organizer.track(entry.item, reply, case.now)
        if tracked in (Tracked.APPLIED, Tracked.PARTY_CRASHER) and changed != entry.item:
            await self._keep(agenda, entry, changed)
        return Effect.ANSWER

    # --- the message itself, and those who act for its recipient

    async def _tell_message(self, case: _Case, effects: Sequence[Effect], message: Appointment) -> None:
        """What kind of news it was, as clients show it; a room's mail is done with."""
        items = case.agenda.entries.items
        where = (await items.locate([case.entry.item], case.entry.folder)).get(case.entry.item)
        if where is None:
            return
        folder, uid = where
        try:
            kind = next((_MEETING_TYPES[each] for each in effects if each in _MEETING_TYPES), None)
            if kind is not None and kind != _MEETING_TYPES[Effect.OUT_OF_DATE] and _informs(case, message):
                kind = _FOR_INFORMATION
            if kind is not None:
                await items.update(folder, uid, ItemUpdate({"PidLidMeetingType": kind}))
            if case.policy.automation is Automation.ACCEPT:
                await items.delete(folder, [uid], Disposal.TO_DELETED_ITEMS)
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_SUCH_ITEM:
                raise

    async def _to_delegates(self, case: _Case, mailbox: Mailbox, message: Appointment) -> None:
        settings = case.agenda.settings
        if not settings.delegates or case.policy.automation is Automation.ACCEPT:
            return
        me = Person(case.account.address, case.account.display_name)
        made = copies(message, me, settings.delegates, settings.delivery)
        to = [each.to.address for each in made if each.to.key != me.key]
        if not to:
            return
        await self._forward(case, to)
        items = case.agenda.entries.items
        where = (await items.locate([case.entry.item], case.entry.folder)).get(case.entry.item)
        if where is None:
            return
        folder, uid = where
        try:
            if settings.delivery is Delivery.DELEGATES_ONLY:
                await items.delete(folder, [uid], Disposal.TO_DELETED_ITEMS)
            elif any(each.informational for each in made):
                await items.update(folder, uid, ItemUpdate({"PidLidMeetingType": _DELEGATOR_COPY}))
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_SUCH_ITEM:
                raise


def _informs(case: _Case, message: Appointment) -> bool:
    """Whether delegates answer the message, and its recipient only reads it."""
    settings = case.agenda.settings
    me = Person(case.account.address, case.account.display_name)
    return any(each.informational for each in copies(message, me, settings.delegates, settings.delivery))


def _concerned(found: Sequence[Entry], message: Appointment) -> Entry | None:
    """The item that a message is about: the series or single one, else the lone occurrence it names."""
    for entry in found:
        if entry.item.instance_of is None:
            if message.instance_of is None or entry.item.recurrence is not None:
                return entry
        elif entry.item.instance_of == message.instance_of:
            return entry
    return None


def _same_organizer(known: Appointment, message: Appointment) -> bool:
    return known.organizer is None or message.organizer is None or known.organizer.key == message.organizer.key


def _as_booked(received: Appointment, booked: Appointment) -> Appointment:
    """The times and state of what came in, the texts as a room keeps them; what it kept before stays."""
    exceptions = {each.day: each.item for each in booked.modified}
    return msgspec.structs.replace(
        received,
        subject=booked.subject,
        text=booked.text,
        html=booked.html,
        attachments=booked.attachments,
        sensitivity=booked.sensitivity,
        reminder_minutes=None,
        modified=tuple(
            msgspec.structs.replace(each, item=_as_booked(each.item, exceptions[each.day]))
            if each.day in exceptions
            else each
            for each in received.modified
        ),
    )


def _with_booked(series: Appointment, day: date, booked: Appointment) -> Appointment:
    """The series with the exception of a day as a room keeps it."""
    return msgspec.structs.replace(
        series,
        modified=tuple(
            msgspec.structs.replace(each, item=_as_booked(each.item, booked)) if each.day == day else each
            for each in series.modified
        ),
    )


def _about(answer: Outgoing, message: Appointment) -> Outgoing:
    """An answer names the meeting as its organizer knows it."""
    return msgspec.structs.replace(answer, item=msgspec.structs.replace(answer.item, subject=message.subject))
