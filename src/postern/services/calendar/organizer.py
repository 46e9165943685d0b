"""The organizer's side: what a change sends to whom, what an answer changes (RFC 5546, MS-OXOCAL 3.1.4).

A change of the time is significant: the sequence goes up, what was answered is void, everybody is asked anew. Other
changes are told to everybody, and old answers stand.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from enum import Enum

import msgspec

from postern.model.calendar.appointment import Appointment, Attendee, Busy, Person, Response, Role, State
from postern.model.calendar.views import day_of_original, occurrence_on, with_deleted, with_modified
from postern.model.calendar.zones import UTC_ZONE, Zone
from postern.services.calendar.outgoing import Method, Outgoing

_TIME_FIELDS = ("start", "end", "zone", "all_day", "recurrence", "deleted")
_TOLD_FIELDS = (
    "subject", "location", "text", "html", "busy", "importance", "sensitivity", "attachments", "url", "conferencing",
)  # fmt: skip


class Change(msgspec.Struct, frozen=True):
    """The item to be kept, and what goes out."""

    item: Appointment
    messages: tuple[Outgoing, ...] = ()


class Tracked(Enum):
    """What became of an answer."""

    APPLIED = "applied"
    STALE = "stale"
    """It answers an older request; the time has changed since."""
    OLDER = "older"
    """A later answer of the same attendee is known."""
    PARTY_CRASHER = "party_crasher"
    """Nobody invited them: the invitation was passed on. They are attendees now."""
    NOT_OURS = "not_ours"


def significant(old: Appointment, new: Appointment) -> bool:
    """Whether attendees have to answer again."""
    return any(getattr(old, name) != getattr(new, name) for name in _TIME_FIELDS)


def send(new: Appointment, now: datetime, old: Appointment | None = None, *, only_changed: bool = False) -> Change:
    """A meeting is sent for the first time, or after a change.

    `only_changed`: to those who are new or removed alone (EWS SendToChangedAndSaveCopy); a change of the time is told
    to everybody all the same.
    """
    now = _stamp(now, old)
    new = msgspec.structs.replace(
        new, state=new.state | State.MEETING, response=Response.ORGANIZED, intended_busy=new.busy, stamp=now
    )
    if old is None or not old.is_meeting:
        fresh = msgspec.structs.replace(new, attendees=tuple(_unanswered(each) for each in new.attendees))
        return Change(fresh, _request(fresh, fresh.attendees, update=False))
    moved = significant(old, new) or _exceptions_moved(old, new)
    attendees = _merge_answers(old, new, void=significant(old, new))
    sequence = max(new.sequence, old.sequence) + (1 if moved else 0)
    new = msgspec.structs.replace(new, attendees=attendees, sequence=sequence)
    before = {each.person.key for each in old.attendees}
    after = {each.person.key for each in attendees}
    added = [each for each in attendees if each.person.key not in before]
    stayed = [each for each in attendees if each.person.key in before]
    removed = [each for each in old.attendees if each.person.key not in after]
    messages = list(_request(new, added, update=False))
    told = any(getattr(old, name) != getattr(new, name) for name in _TOLD_FIELDS) or old.modified != new.modified
    if moved or (told and not only_changed):
        messages += _request(new, stayed, update=True)
    messages += _cancel(msgspec.structs.replace(old, sequence=sequence, stamp=now), removed)
    return Change(new, tuple(messages))


def cancel(item: Appointment, now: datetime, comment: str = "") -> Change:
    """The whole meeting is called off; the item may then be deleted."""
    gone = msgspec.structs.replace(
        item, state=item.state | State.CANCELED, sequence=item.sequence + 1, stamp=_stamp(now, item), busy=Busy.FREE
    )
    return Change(gone, _cancel(gone, gone.attendees, comment) if item.is_meeting else ())


def cancel_occurrence(series: Appointment, day: date, now: datetime, comment: str = "") -> Change:
    """One occurrence is called off. There is nothing to do if there is none that day."""
    found = occurrence_on(series, day, series.zone if not series.zone.floating else UTC_ZONE)
    if found is None:
        return Change(series)
    now = _stamp(now, series)
    kept = msgspec.structs.replace(with_deleted(series, day), sequence=series.sequence + 1, stamp=now)
    if not series.is_meeting:
        return Change(kept)
    gone = _single(series, found.item, (found.start, found.end), kept.sequence)
    gone = msgspec.structs.replace(gone, instance_of=_original(series, day), stamp=now)
    return Change(kept, _cancel(gone, gone.attendees, comment))


def send_occurrence(series: Appointment, day: date, changed: Appointment, now: datetime) -> Change:
    """One occurrence is changed and told to its attendees; the series stays as it is for all other days."""
    zone = series.zone if not series.zone.floating else UTC_ZONE
    found = occurrence_on(series, day, zone)
    if found is None:
        return Change(series)
    old = _single(series, found.item, (found.start, found.end), found.item.sequence)
    change = send(msgspec.structs.replace(changed, recurrence=None, clock=None, deleted=(), modified=()), now, old)
    # one sequence for the series and its occurrences: a later change of the series is above all of them
    sequence = max(change.item.sequence, series.sequence)
    single = msgspec.structs.replace(change.item, sequence=sequence, instance_of=None)
    instance = _original(series, day)
    messages = tuple(
        msgspec.structs.replace(
            each, item=msgspec.structs.replace(each.item, instance_of=instance, sequence=sequence, uid=series.uid)
        )
        for each in change.messages
    )
    return Change(with_modified(series, day, single), messages)


def track(item: Appointment, reply: Appointment, received_at: datetime) -> tuple[Appointment, Tracked]:
    """An answer, from any client, comes in: a REPLY, or a COUNTER if its time differs.

    An answer to an older request than the present one is not counted, unless the time is still the same; one without
    a sequence (Gmail leaves out what it does not know) counts for the present one.
    """
    if reply.uid != item.uid or len(reply.attendees) != 1:
        return item, Tracked.NOT_OURS
    if reply.instance_of is not None and item.recurrence is not None:
        return _track_occurrence(item, reply, received_at)
    target = item
    answer = reply.attendees[0]
    if reply.sequence and reply.sequence < target.sequence and (reply.start, reply.end) != (target.start, target.end):
        return item, Tracked.STALE
    answered_at = reply.stamp or received_at
    known = next((each for each in target.attendees if each.person.key == answer.person.key), None)
    if known is not None and known.responded_at is not None and known.responded_at > answered_at:
        return item, Tracked.OLDER
    base = known or Attendee(answer.person, Role.OPTIONAL)
    made = msgspec.structs.replace(
        base,
        response=answer.response,
        responded_at=answered_at,
        sequence=reply.sequence or target.sequence,
        proposed_start=answer.proposed_start,
        proposed_end=answer.proposed_end,
    )
    if known is None:
        return msgspec.structs.replace(target, attendees=(*target.attendees, made)), Tracked.PARTY_CRASHER
    attendees = tuple(made if each is known else each for each in target.attendees)
    return msgspec.structs.replace(target, attendees=attendees), Tracked.APPLIED


def counter(reply: Appointment) -> Appointment:
    """A COUNTER as `track` takes it: the time in it is what its attendee proposes (MS-OXOCAL 2.2.7)."""
    return msgspec.structs.replace(
        reply,
        attendees=tuple(
            msgspec.structs.replace(each, proposed_start=reply.start, proposed_end=reply.end)
            for each in reply.attendees
        ),
    )


def accept_proposal(item: Appointment, who: Person, now: datetime) -> Change:
    """The meeting moves to the time that an attendee proposed."""
    found = next((each for each in item.attendees if each.person.key == who.key and each.proposed_start), None)
    if found is None or found.proposed_start is None or found.proposed_end is None:
        return Change(item)
    moved = msgspec.structs.replace(item, start=found.proposed_start, end=found.proposed_end)
    return send(moved, now, item)


def _track_occurrence(series: Appointment, reply: Appointment, received_at: datetime) -> tuple[Appointment, Tracked]:
    assert reply.instance_of is not None
    day = day_of_original(series, reply.instance_of)
    found = occurrence_on(series, day, UTC_ZONE if series.zone.floating else series.zone)
    if found is None:
        return series, Tracked.STALE
    single = _single(series, found.item, (found.start, found.end), found.item.sequence)
    changed, outcome = track(single, msgspec.structs.replace(reply, instance_of=None), received_at)
    if outcome not in (Tracked.APPLIED, Tracked.PARTY_CRASHER):
        return series, outcome
    return with_modified(series, day, changed), outcome


def _single(series: Appointment, item: Appointment, times: tuple[datetime, datetime], sequence: int) -> Appointment:
    return msgspec.structs.replace(
        item,
        uid=series.uid,
        start=times[0],
        end=times[1],
        recurrence=None,
        clock=None,
        deleted=(),
        modified=(),
        sequence=sequence,
    )


def _original(series: Appointment, day: date) -> datetime:
    plain = msgspec.structs.replace(series, deleted=(), modified=())
    zone: Zone = series.zone if not series.zone.floating else UTC_ZONE
    found = occurrence_on(plain, day, zone)
    return found.start if found is not None else series.start


def _exceptions_moved(old: Appointment, new: Appointment) -> bool:
    before = {each.day: (each.item.start, each.item.end) for each in old.modified}
    return before != {each.day: (each.item.start, each.item.end) for each in new.modified}


def _stamp(now: datetime, known: Appointment | None) -> datetime:
    """Later than what was sent before, also within its second: attendees take what is not later for no news."""
    if known is None or known.stamp is None or now > known.stamp:
        return now
    return known.stamp + timedelta(seconds=1)


def _unanswered(each: Attendee) -> Attendee:
    return Attendee(each.person, each.role, Response.NOT_RESPONDED)


def _merge_answers(old: Appointment, new: Appointment, *, void: bool) -> tuple[Attendee, ...]:
    known = {each.person.key: each for each in old.attendees}
    made = []
    for each in new.attendees:
        before = known.get(each.person.key)
        if before is None or void:
            made.append(_unanswered(each))
        else:
            made.append(msgspec.structs.replace(before, person=each.person, role=each.role))
    return tuple(made)


def _request(item: Appointment, attendees: Iterable[Attendee], *, update: bool) -> tuple[Outgoing, ...]:
    people = tuple(each.person for each in attendees)
    return (Outgoing(Method.REQUEST, item, people, update=update),) if people else ()


def _cancel(item: Appointment, attendees: Iterable[Attendee], comment: str = "") -> tuple[Outgoing, ...]:
    attendees = tuple(attendees)
    if not attendees:
        return ()
    gone = msgspec.structs.replace(
        item, state=item.state | State.CANCELED, attendees=attendees, busy=Busy.FREE, recurrence=item.recurrence
    )
    return (Outgoing(Method.CANCEL, gone, tuple(each.person for each in attendees), comment=comment, update=True),)
