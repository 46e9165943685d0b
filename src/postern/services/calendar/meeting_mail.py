"""Meeting messages among the mail that arrives: which they are, and what the assistant is told of them (RFC 6047).

The calendar travels in the outbox entry itself: whatever becomes of the message meanwhile, its effect is the same.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from postern.convert.ical.reading import CalendarText, read_calendar
from postern.formats import global_object_id
from postern.formats.mime import charset, header, parameters, transfer
from postern.formats.mime.header import first
from postern.formats.mime.parts import MESSAGE, PART_HEADER_LIMIT_BYTES, TEXT, PartMap
from postern.formats.mime.scan import Scan
from postern.model.calendar.appointment import Appointment, Response
from postern.model.items import NewItem
from postern.model.properties import MESSAGE_CLASS, changed
from postern.model.refusal import ProtocolViolation
from postern.model.sync import SetOff

SET_OFF = "meeting"
REPRESENTING = "x-postern-received-representing"
"""Header of a copy for a delegate: whose calendar it is about."""
MAX_CALENDAR_BYTES = 512 << 10
"""A larger one stays a mere message."""
_THREAD_BYTES = 8 << 10
_METHODS = frozenset({"REQUEST", "CANCEL", "REPLY", "COUNTER"})
_RESPONSES = {
    Response.ACCEPTED: "IPM.Schedule.Meeting.Resp.Pos",
    Response.DECLINED: "IPM.Schedule.Meeting.Resp.Neg",
    Response.TENTATIVE: "IPM.Schedule.Meeting.Resp.Tent",
}


class MeetingMail(msgspec.Struct, frozen=True, array_like=True):
    """A message about a meeting."""

    method: str
    author: str
    """Address in From, lower case."""
    reverse_path: str
    calendar: bytes
    charset: str = "utf-8"


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(MeetingMail).decode


def message_class(method: str, response: Response) -> str:
    """PidTagMessageClass (MS-OXOCAL 2.2.4 to 2.2.8); empty for what is no meeting message."""
    if method == "REQUEST":
        return "IPM.Schedule.Meeting.Request"
    if method == "CANCEL":
        return "IPM.Schedule.Meeting.Canceled"
    if method == "COUNTER":
        return "IPM.Schedule.Meeting.Resp.Tent"
    return _RESPONSES.get(response, "") if method == "REPLY" else ""


def calendar_part(content: bytes, scanned: Scan) -> tuple[str, bytes, str] | None:
    """Method (upper case, or empty), text and charset of a message's own text/calendar part."""
    if b'"calendar"' not in scanned.bodystructure.lower():
        return None
    enclosed = None
    for number, (kind, depth, start, body, end) in enumerate(PartMap.unpack(scanned.parts)):
        if enclosed is not None and depth > enclosed:
            continue  # of a message that is attached
        enclosed = depth if kind == MESSAGE and number else None
        if kind != TEXT or end - body > 2 * MAX_CALENDAR_BYTES:
            continue
        block = content[start : min(body, start + PART_HEADER_LIMIT_BYTES)]
        found = {name.lower(): value for name, value in reversed(header.values(block))}
        media, values = parameters.parse(found.get(b"content-type", b""))
        if media.lower() != b"text/calendar":
            continue
        text = transfer.decode(content[body:end], found.get(b"content-transfer-encoding", b""))
        if len(text) > MAX_CALENDAR_BYTES:
            return None
        named = parameters.get(values, b"charset") or b"utf-8"
        method = parameters.get(values, b"method") or b""
        return method.decode("ascii", "replace").upper(), text, named.decode("ascii", "replace")
    return None


def read(text: bytes, named: str, method: str) -> CalendarText | None:
    """What a calendar says; None if it is none."""
    try:
        return read_calendar(charset.text(text, named).encode(), method=method)
    except ProtocolViolation:
        return None


async def mark(
    item: NewItem, content: bytes, scanned: Scan, reverse_path: str, *, from_here: bool = True
) -> tuple[NewItem, tuple[SetOff, ...]]:
    """The item with the class and name of its meeting, and what it sets off; most messages as they are.

    `from_here`: no client or other server brought it; whose calendar it is about is not for them to say.
    """
    part = calendar_part(content, scanned)
    if part is None:
        return item, ()
    method, text, named = part
    if len(text) > _THREAD_BYTES:
        found = await asyncio.get_running_loop().run_in_executor(None, read, text, named, method)
    else:
        found = read(text, named, method)
    if found is None or found.method not in _METHODS or not found.appointments:
        return item, ()
    meeting = found.appointments[0]
    response = meeting.attendees[0].response if len(meeting.attendees) == 1 else Response.NONE
    kind = message_class(found.method, response)
    author = author_of(content[: scanned.header_end])
    if not kind or not author or not meeting.uid:
        return item, ()
    properties = described(kind, meeting)
    represented = first(content[: scanned.header_end], REPRESENTING.encode())
    if represented is not None and from_here:
        # somebody else's meeting, for a delegate to see: it is in that one's calendar already
        properties["PidTagReceivedRepresentingSmtpAddress"] = represented.strip().decode("utf-8", "replace")[:320]
        return msgspec.structs.replace(item, properties=changed(item.properties, properties)), ()
    mail = MeetingMail(found.method, author, reverse_path, text, named)
    marked = msgspec.structs.replace(item, properties=changed(item.properties, properties))
    return marked, (SetOff(SET_OFF, encode(mail)),)


def described(kind: str, meeting: Appointment) -> dict[str, Any]:
    """What is stored beside a meeting message: its class, and what lists show of the meeting."""
    return {
        MESSAGE_CLASS: kind,
        "PidLidGlobalObjectId": global_object_id.from_uid(meeting.uid),
        "PidLidAppointmentStartWhole": meeting.start,
        "PidLidAppointmentEndWhole": meeting.end,
        "PidLidLocation": meeting.location,
        "PidLidAppointmentSequence": meeting.sequence,
    }


def author_of(head: bytes) -> str:
    """The one address in From, lower case; empty if there are several or none."""
    found = [each for value in header.all_of(head, b"from") for each in header.addresses(value)]
    known = [each for each in found if each.mailbox and each.host]
    if len(known) != 1 or known[0].mailbox is None or known[0].host is None:
        return ""
    return f"{known[0].mailbox.decode('utf-8', 'replace')}@{known[0].host.decode('utf-8', 'replace')}".lower()
