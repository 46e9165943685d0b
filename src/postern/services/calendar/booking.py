"""Whether a room or a piece of equipment takes a booking, by the policy of Exchange's Set-CalendarProcessing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from enum import Enum

import msgspec

from postern.model.calendar.appointment import Appointment, Busy, Sensitivity
from postern.model.calendar.blocks import Block
from postern.model.calendar.series import last_day
from postern.model.calendar.views import Occurrence, occurrences
from postern.model.calendar.zones import Zone
from postern.services.calendar.freebusy import WorkingHours

MAX_INSTANCES = 1000
"""Occurrences of a series that are looked at."""


class Automation(Enum):
    """AutomateProcessing."""

    NONE = "none"
    UPDATE = "update"
    """Requests become tentative; a person decides."""
    ACCEPT = "accept"


class BookingPolicy(msgspec.Struct, frozen=True):
    """A room's policy with Exchange's names and defaults. People are lower-case addresses."""

    automation: Automation = Automation.ACCEPT
    allow_conflicts: bool = False
    allow_recurring: bool = True
    conflict_percentage_allowed: int = 0
    maximum_conflict_instances: int = 0
    booking_window_days: int = 180
    maximum_duration_minutes: int = 1440
    """0: any."""
    enforce_scheduling_horizon: bool = True
    """A series beyond the window is declined; else it is accepted up to there."""
    only_during_work_hours: bool = False
    hours: WorkingHours = WorkingHours()
    all_book_in_policy: bool = True
    all_request_in_policy: bool = False
    all_request_out_of_policy: bool = False
    book_in_policy: frozenset[str] = frozenset()
    request_in_policy: frozenset[str] = frozenset()
    request_out_of_policy: frozenset[str] = frozenset()
    delegates: frozenset[str] = frozenset()
    forward_to_delegates: bool = True
    tentative_pending_approval: bool = True
    process_external: bool = False
    add_organizer_to_subject: bool = True
    delete_subject: bool = True
    delete_comments: bool = True
    delete_attachments: bool = True
    remove_private: bool = True
    additional_response: str = ""


class Outcome(Enum):
    """What becomes of a request."""

    ACCEPT = "accept"
    DECLINE = "decline"
    PENDING = "pending"
    """Tentatively there; the delegates are asked."""
    IGNORE = "ignore"


class Cause(Enum):
    """Why; texts are in `wording`."""

    CONFLICT = "conflict"
    SOME_CONFLICTS = "some_conflicts"
    TOO_FAR = "too_far"
    ENDLESS = "endless"
    TOO_LONG = "too_long"
    OUTSIDE_HOURS = "outside_hours"
    RECURRING = "recurring"
    IN_THE_PAST = "in_the_past"
    NOT_ALLOWED = "not_allowed"
    EXTERNAL = "external"
    NEEDS_APPROVAL = "needs_approval"


class Decision(msgspec.Struct, frozen=True):
    """The answer, with its reasons."""

    outcome: Outcome
    causes: tuple[Cause, ...] = ()
    declined: tuple[Occurrence, ...] = ()
    """Occurrences of an accepted series that are taken already: each is declined by itself."""
    until: date | None = None
    """An accepted series ends here, because of the booking window."""
    forward_to: tuple[str, ...] = ()
    item: Appointment | None = None
    """As the room's calendar keeps it."""


def decide(
    policy: BookingPolicy,
    request: Appointment,
    busy: Callable[[datetime, datetime], Sequence[Block]],
    now: datetime,
    zone: Zone,
    *,
    internal: bool = True,
) -> Decision:
    """`busy`: what the room has in a window, without the request's own earlier version. `zone`: the room's."""
    if policy.automation is Automation.NONE:
        return Decision(Outcome.IGNORE)
    if not internal and not policy.process_external:
        return Decision(Outcome.DECLINE, (Cause.EXTERNAL,))
    if policy.automation is Automation.UPDATE:
        pending = msgspec.structs.replace(kept(policy, request), busy=Busy.TENTATIVE)
        return Decision(Outcome.PENDING, (Cause.NEEDS_APPROVAL,), item=pending)
    horizon = now + timedelta(days=policy.booking_window_days)
    found = occurrences(request, max(now, request.start), max(horizon, now) + timedelta(days=1), zone, MAX_INSTANCES)
    broken, until = _rules_broken(policy, request, found, (now, horizon))
    declined: tuple[Occurrence, ...] = ()
    if not policy.allow_conflicts:
        conflicting, declined = _conflicts(policy, request, found, busy)
        if conflicting:
            # a conflict is declined whoever asks: nobody may approve what does not fit into the room
            return Decision(Outcome.DECLINE, (Cause.CONFLICT, *broken), declined)
    causes = (*broken, *((Cause.SOME_CONFLICTS,) if declined else ()))
    return _by_person(policy, request, broken, Decision(Outcome.ACCEPT, causes, declined, until))


def _rules_broken(
    policy: BookingPolicy, request: Appointment, found: Sequence[Occurrence], times: tuple[datetime, datetime]
) -> tuple[tuple[Cause, ...], date | None]:
    now, horizon = times
    causes = []
    until = None
    recurrence = request.recurrence
    if recurrence is None:
        if request.end <= now:
            causes.append(Cause.IN_THE_PAST)
        if request.start > horizon:
            causes.append(Cause.TOO_FAR)
    else:
        last = last_day(recurrence)
        if not policy.allow_recurring:
            causes.append(Cause.RECURRING)
        elif last is None or last > horizon.date():
            if policy.enforce_scheduling_horizon:
                causes.append(Cause.ENDLESS if last is None else Cause.TOO_FAR)
            else:
                until = horizon.date()
        elif not found:
            causes.append(Cause.IN_THE_PAST)
    limit = policy.maximum_duration_minutes
    lengths = [request.end - request.start, *(each.end - each.start for each in found)]
    if limit and max(lengths) > timedelta(minutes=limit):
        causes.append(Cause.TOO_LONG)
    if policy.only_during_work_hours and not all(
        policy.hours.covers(int(each.start.timestamp()), int(each.end.timestamp())) for each in found
    ):
        causes.append(Cause.OUTSIDE_HOURS)
    return tuple(causes), until


def _conflicts(
    policy: BookingPolicy,
    request: Appointment,
    found: Sequence[Occurrence],
    busy: Callable[[datetime, datetime], Sequence[Block]],
) -> tuple[bool, tuple[Occurrence, ...]]:
    """Whether there are too many, and else which occurrences have one."""
    if not found:
        return False, ()
    taken = [
        block
        for block in busy(found[0].start, max(each.end for each in found))
        if block.busy not in (Busy.FREE, Busy.WORKING_ELSEWHERE)
    ]
    taken.sort(key=lambda block: block.start)
    conflicts = []
    first = 0
    longest = max((block.end - block.start for block in taken), default=0)
    for each in found:
        start, end = int(each.start.timestamp()), int(each.end.timestamp())
        while first < len(taken) and taken[first].start + longest <= start:
            first += 1
        for block in taken[first:]:
            if block.start >= end:
                break
            if block.end > start:
                conflicts.append(each)
                break
    if not conflicts:
        return False, ()
    if request.recurrence is None:
        return True, ()
    percent = 100 * len(conflicts) / len(found)
    allowed = percent <= policy.conflict_percentage_allowed and len(conflicts) <= policy.maximum_conflict_instances
    return not allowed, tuple(conflicts)


def _by_person(policy: BookingPolicy, request: Appointment, broken: tuple[Cause, ...], fits: Decision) -> Decision:
    """Who may book at once, who may only ask, and who not even that."""
    who = request.organizer.key if request.organizer is not None else ""
    item = kept(policy, request)
    if who in policy.delegates or (not broken and (policy.all_book_in_policy or who in policy.book_in_policy)):
        return msgspec.structs.replace(fits, item=item)
    if broken:
        may_ask = policy.all_request_out_of_policy or who in policy.request_out_of_policy
    else:
        may_ask = policy.all_request_in_policy or who in policy.request_in_policy | policy.request_out_of_policy
    if not may_ask:
        return Decision(Outcome.DECLINE, broken or (Cause.NOT_ALLOWED,))
    busy = Busy.TENTATIVE if policy.tentative_pending_approval else Busy.FREE
    return msgspec.structs.replace(
        fits,
        outcome=Outcome.PENDING,
        causes=(*fits.causes, Cause.NEEDS_APPROVAL),
        forward_to=tuple(sorted(policy.delegates)) if policy.forward_to_delegates else (),
        item=msgspec.structs.replace(item, busy=busy),
    )


def kept(policy: BookingPolicy, request: Appointment) -> Appointment:
    """The request as a room keeps it: no subject, no text, the organizer's name in front, as the policy says."""
    subject = "" if policy.delete_subject else request.subject
    if policy.add_organizer_to_subject and request.organizer is not None:
        subject = " ".join(filter(None, (request.organizer.name or request.organizer.address, subject)))
    changed = msgspec.structs.replace(
        request,
        subject=subject,
        text="" if policy.delete_comments else request.text,
        html="" if policy.delete_comments else request.html,
        attachments=() if policy.delete_attachments else request.attachments,
        sensitivity=Sensitivity.NORMAL if policy.remove_private else request.sensitivity,
        reminder_minutes=None,
    )
    return msgspec.structs.replace(
        changed,
        modified=tuple(
            msgspec.structs.replace(each, item=kept(policy, msgspec.structs.replace(each.item, modified=())))
            for each in request.modified
        ),
    )
