"""The attendee's side of a meeting: what a message changes in a calendar (MS-OXOCAL 3.1.4.7, RFC 5546).

Messages may come in any order, twice, or from somebody who passed them on. A request counts if its sequence is above
the known one, or the same with a later stamp.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from enum import Enum

import msgspec

from postern.model.calendar.appointment import Appointment, Attendee, Busy, Person, Response, State
from postern.model.calendar.views import day_of_original, is_day_of, occurrence_on, with_deleted, with_modified
from postern.model.calendar.zones import UTC_ZONE
from postern.services.calendar.organizer import significant
from postern.services.calendar.outgoing import Method, Outgoing


class Effect(Enum):
    """What a message did (EWS MeetingRequestType and its kin)."""

    NEW = "new"
    FULL_UPDATE = "full_update"
    """To be answered: the time changed, or what was sent before has no answer yet."""
    INFORMATIONAL_UPDATE = "informational_update"
    CANCELED = "canceled"
    OUT_OF_DATE = "out_of_date"
    OWN = "own"
    """The owner of the calendar organized it; nothing to do."""
    ANSWER = "answer"
    """It answers what the owner organizes."""
    NOTHING = "nothing"


class Received(msgspec.Struct, frozen=True):
    """The calendar's item afterwards."""

    effect: Effect
    item: Appointment | None
    """As it is to be kept; None: there is none."""
    invited: bool = True
    """False: the owner is not among the attendees, so somebody passed it on, or a list was invited."""


def receive_request(existing: Appointment | None, request: Appointment, owner: Collection[str]) -> Received:
    """`existing`: what the calendar has of this UID, a series or one occurrence. `owner`: lower-case addresses."""
    invited = any(each.person.key in owner for each in request.attendees)
    if _is_own(existing, request, owner):
        return Received(Effect.OWN, existing, invited)
    if request.instance_of is not None and existing is not None and existing.recurrence is not None:
        return _receive_occurrence(existing, request, owner, invited=invited)
    if existing is None:
        return Received(Effect.NEW, _tentative(request, None), invited)
    if not _newer(request, existing):
        return Received(Effect.OUT_OF_DATE, existing, invited)
    if existing.is_canceled or _moved(existing, request):
        return Received(Effect.FULL_UPDATE, _tentative(request, existing), invited)
    return Received(_news(existing), _informed(request, existing), invited)


def _news(known: Appointment) -> Effect:
    """Of an update that voids no answer (MS-OXWSMTGS 2.2.5.8 MeetingRequestTypeType)."""
    waiting = known.response in (Response.NONE, Response.NOT_RESPONDED)
    return Effect.FULL_UPDATE if waiting else Effect.INFORMATIONAL_UPDATE


def receive_cancel(existing: Appointment | None, message: Appointment, owner: Collection[str]) -> Received:
    """A meeting or one occurrence is called off: it stays, free and marked, until its owner removes it."""
    if existing is None:
        return Received(Effect.NOTHING, None)
    if _is_own(existing, message, owner):
        return Received(Effect.OWN, existing)
    if message.instance_of is not None and existing.recurrence is not None:
        day = day_of_original(existing, message.instance_of)
        found = occurrence_on(existing, day, existing.zone if not existing.zone.floating else UTC_ZONE)
        if found is None:
            return Received(Effect.NOTHING, existing)
        if message.sequence < found.item.sequence:
            return Received(Effect.OUT_OF_DATE, existing)
        single = msgspec.structs.replace(
            found.item, start=found.start, end=found.end, recurrence=None, clock=None, deleted=(), modified=()
        )
        return Received(Effect.CANCELED, with_modified(existing, day, _canceled(single, message)))
    if message.sequence < existing.sequence:
        return Received(Effect.OUT_OF_DATE, existing)
    return Received(Effect.CANCELED, _canceled(existing, message))


def respond(
    item: Appointment,
    response: Response,
    owner: Person,
    now: datetime,
    *,
    comment: str = "",
    proposed: tuple[datetime, datetime] | None = None,
    send: bool = True,
) -> tuple[Appointment | None, Outgoing | None]:
    """Accept, accept tentatively or decline. The item to be kept (None: declined, remove it) and the message.

    A proposed time makes it a COUNTER, which is a REPLY too for those who know no counters. Nobody is told where the
    organizer asked for no answer, except of a refusal or a proposal.
    """
    busy = {Response.ACCEPTED: item.intended_busy, Response.TENTATIVE: Busy.TENTATIVE}.get(response, Busy.FREE)
    kept = msgspec.structs.replace(item, response=response, responded_at=now, busy=busy)
    kept = msgspec.structs.replace(kept, attendees=_answered(item, owner, response, now))
    wanted = send and item.organizer is not None and not item.is_canceled
    wanted = wanted and (item.response_requested or response is Response.DECLINED or proposed is not None)
    message = None
    if wanted and item.organizer is not None:
        me = next((each for each in kept.attendees if each.person.key == owner.key), Attendee(owner, response=response))
        answer = msgspec.structs.replace(
            kept, attendees=(me,), stamp=now, busy=item.intended_busy, text=comment, html="", attachments=()
        )
        method = Method.REPLY
        if proposed is not None and item.counter_allowed:
            method = Method.COUNTER
            answer = msgspec.structs.replace(answer, start=proposed[0], end=proposed[1])
        message = Outgoing(method, answer, (item.organizer,), response, comment, sender=owner)
    return (None if response is Response.DECLINED else kept), message


def respond_occurrence(
    series: Appointment, day: date, response: Response, owner: Person, now: datetime, *, comment: str = ""
) -> tuple[Appointment, Outgoing | None]:
    """The same for one occurrence of a series; one that is declined goes."""
    found = occurrence_on(series, day, series.zone if not series.zone.floating else UTC_ZONE)
    if found is None:
        return series, None
    original = occurrence_on(
        msgspec.structs.replace(series, deleted=(), modified=()), day, UTC_ZONE if series.zone.floating else series.zone
    )
    single = msgspec.structs.replace(
        found.item, start=found.start, end=found.end, recurrence=None, clock=None, deleted=(), modified=()
    )
    kept, message = respond(single, response, owner, now, comment=comment)
    if message is not None:
        instance = original.start if original is not None else found.start
        message = msgspec.structs.replace(message, item=msgspec.structs.replace(message.item, instance_of=instance))
    return (with_deleted(series, day) if kept is None else with_modified(series, day, kept)), message


def _is_own(existing: Appointment | None, message: Appointment, owner: Collection[str]) -> bool:
    if message.organizer is not None and message.organizer.key in owner:
        return True
    return existing is not None and existing.response is Response.ORGANIZED


def _newer(message: Appointment, known: Appointment) -> bool:
    if message.sequence != known.sequence:
        return message.sequence > known.sequence
    if message.stamp is None or known.stamp is None:
        return message.stamp is not None
    return message.stamp > known.stamp


def _moved(known: Appointment, request: Appointment) -> bool:
    """Whether the time is another one; deletions alone need no new answer for the rest."""
    return significant(
        msgspec.structs.replace(known, deleted=()), msgspec.structs.replace(request, deleted=(), zone=known.zone)
    )


def intended(request: Appointment) -> Busy:
    """What the organizer wants an accepted meeting to be shown as.

    Outlook writes what it is to be until then, tentative, beside it (MS-OXCICAL 2.1.3.1.1.20.31).
    """
    return request.intended_busy if request.busy is Busy.TENTATIVE else request.busy


def _tentative(request: Appointment, known: Appointment | None) -> Appointment:
    """As it comes into the calendar before it is answered (MS-OXOCAL 3.1.4.7.2)."""
    made = msgspec.structs.replace(
        request,
        state=State.MEETING | State.RECEIVED,
        response=Response.NOT_RESPONDED,
        responded_at=None,
        intended_busy=intended(request),
        busy=Busy.FREE if intended(request) is Busy.FREE else Busy.TENTATIVE,
        modified=tuple(msgspec.structs.replace(each, item=_tentative(each.item, None)) for each in request.modified),
    )
    return _personal(made, known)


def _informed(request: Appointment, known: Appointment) -> Appointment:
    """The answer stands, and the exceptions that the organizer's message does not speak of."""
    spoken = {each.day for each in request.modified} | set(request.deleted)
    kept = tuple(each for each in known.modified if each.day not in spoken and is_day_of(request, each.day))
    told = tuple(msgspec.structs.replace(each, item=_tentative(each.item, None)) for each in request.modified)
    made = msgspec.structs.replace(
        request,
        state=known.state,
        response=known.response,
        responded_at=known.responded_at,
        intended_busy=intended(request),
        busy=known.busy if known.response is not Response.ACCEPTED else intended(request),
        modified=tuple(sorted((*kept, *told), key=lambda each: each.day)),
        deleted=tuple(sorted({*known.deleted, *request.deleted} - {each.day for each in request.modified})),
    )
    return _personal(made, known)


def _personal(made: Appointment, known: Appointment | None) -> Appointment:
    """What is the owner's own business stays through every update."""
    if known is None:
        return made
    return msgspec.structs.replace(
        made,
        reminder_minutes=known.reminder_minutes,
        reminded=known.reminded,
        categories=known.categories or made.categories,
        created_at=known.created_at or made.created_at,
    )


def _receive_occurrence(
    series: Appointment, request: Appointment, owner: Collection[str], *, invited: bool
) -> Received:
    assert request.instance_of is not None
    day = day_of_original(series, request.instance_of)
    if not is_day_of(series, day):
        return Received(Effect.NOTHING, series, invited)
    found = occurrence_on(series, day, series.zone if not series.zone.floating else UTC_ZONE)
    exception = next((each.item for each in series.modified if each.day == day), None)
    if request.sequence < series.sequence or (exception is not None and not _newer(request, exception)):
        return Received(Effect.OUT_OF_DATE, series, invited)
    known = series
    if found is not None:
        known = msgspec.structs.replace(
            found.item, start=found.start, end=found.end, recurrence=None, clock=None, deleted=(), modified=()
        )
    single = msgspec.structs.replace(request, instance_of=None)
    if found is None or known.is_canceled or _moved(known, single):
        return Received(Effect.FULL_UPDATE, with_modified(series, day, _tentative(single, known)), invited)
    return Received(_news(known), with_modified(series, day, _informed(single, known)), invited)


def _canceled(item: Appointment, message: Appointment) -> Appointment:
    return msgspec.structs.replace(
        item,
        state=item.state | State.CANCELED,
        busy=Busy.FREE,
        sequence=max(item.sequence, message.sequence),
        stamp=message.stamp or item.stamp,
        reminder_minutes=None,
        # whatever was agreed for one occurrence goes with its series
        modified=tuple(msgspec.structs.replace(each, item=_canceled(each.item, message)) for each in item.modified),
    )


def _answered(item: Appointment, owner: Person, response: Response, now: datetime) -> tuple[Attendee, ...]:
    return tuple(
        msgspec.structs.replace(each, response=response, responded_at=now, sequence=item.sequence)
        if each.person.key == owner.key
        else each
        for each in item.attendees
    )
