"""A scheduling message to be sent, as a value (RFC 5546)."""

from __future__ import annotations

from enum import Enum

import msgspec

from postern.model.calendar.appointment import Appointment, Person, Response


class Method(Enum):
    """iTIP's methods, as far as they are sent."""

    REQUEST = "REQUEST"
    REPLY = "REPLY"
    CANCEL = "CANCEL"
    COUNTER = "COUNTER"
    DECLINE_COUNTER = "DECLINECOUNTER"
    PUBLISH = "PUBLISH"


class Outgoing(msgspec.Struct, frozen=True):
    """What `imip` makes a mail of."""

    method: Method
    item: Appointment
    recipients: tuple[Person, ...]
    response: Response = Response.NONE
    """Of a REPLY or COUNTER."""
    comment: str = ""
    update: bool = False
    """The recipients have an earlier version."""
    sender: Person | None = None
    """From: None is the organizer, or for replies the attendee in `item`."""
    on_behalf_of: Person | None = None
    forwarded: bool = False
    """A REQUEST that somebody else than the organizer passes on (RFC 5546 3.2.2.6)."""
    forwarded_to: tuple[Person, ...] = ()
    """It brings no calendar: it tells the organizer that the request was passed on to these."""
