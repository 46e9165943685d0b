"""Who gets a meeting message of somebody with delegates (MS-OXODLGT, EWS DeliverMeetingRequests)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import msgspec

from postern.model.calendar.appointment import Appointment, Person, Sensitivity


class Delivery(Enum):
    """EWS's names."""

    DELEGATES_ONLY = "DelegatesOnly"
    DELEGATES_AND_ME = "DelegatesAndMe"
    DELEGATES_AND_SEND_INFORMATION_TO_ME = "DelegatesAndSendInformationToMe"
    NO_FORWARD = "NoForward"


class Delegate(msgspec.Struct, frozen=True):
    """Somebody who acts for somebody else."""

    person: Person
    receives_copies: bool = True
    sees_private: bool = False


class Copy(msgspec.Struct, frozen=True):
    """One copy of a meeting message."""

    to: Person
    informational: bool = False
    """Not to be answered by this one: somebody else does."""
    received_for: Person | None = None
    """PidTagReceivedRepresenting: in whose calendar it belongs."""


def copies(item: Appointment, principal: Person, delegates: Sequence[Delegate], delivery: Delivery) -> list[Copy]:
    """Each copy of a message to the principal.

    What is private goes to those alone who may see it; with nobody to take it, the principal has it after all.
    """
    private = item.sensitivity in (Sensitivity.PRIVATE, Sensitivity.CONFIDENTIAL)
    chosen = [
        each.person
        for each in delegates
        if each.receives_copies and (each.sees_private or not private) and each.person.key != principal.key
    ]
    if item.organizer is not None:
        # a delegate who sent it has no need of a copy
        chosen = [person for person in chosen if person.key != item.organizer.key]
    if not chosen or delivery is Delivery.NO_FORWARD:
        return [Copy(principal)]
    made = [Copy(person, received_for=principal) for person in chosen]
    if delivery is Delivery.DELEGATES_AND_ME:
        made.append(Copy(principal))
    elif delivery is Delivery.DELEGATES_AND_SEND_INFORMATION_TO_ME:
        made.append(Copy(principal, informational=True))
    return made


def visible(item: Appointment, *, owner: bool, delegate: Delegate | None) -> Appointment:
    """As somebody sees it in another one's calendar: what is private is a time and no more, unless they may see it."""
    if owner or item.sensitivity not in (Sensitivity.PRIVATE, Sensitivity.CONFIDENTIAL):
        return _exceptions(item, owner=owner, delegate=delegate)
    if delegate is not None and delegate.sees_private:
        return item
    return _exceptions(bare(item), owner=owner, delegate=delegate)


def bare(item: Appointment) -> Appointment:
    """Its times and whether it is busy, nothing else."""
    return Appointment(
        uid=item.uid,
        start=item.start,
        end=item.end,
        zone=item.zone,
        all_day=item.all_day,
        busy=item.busy,
        sensitivity=item.sensitivity,
        instance_of=item.instance_of,
        recurrence=item.recurrence,
        deleted=item.deleted,
        modified=item.modified,
        stamp=item.stamp,
    )


def _exceptions(item: Appointment, *, owner: bool, delegate: Delegate | None) -> Appointment:
    if owner or not item.modified:
        return item
    shown = tuple(
        msgspec.structs.replace(each, item=visible(each.item, owner=False, delegate=delegate)) for each in item.modified
    )
    return msgspec.structs.replace(item, modified=shown)
