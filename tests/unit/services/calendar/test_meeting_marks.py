"""What a message says of its meeting, and what others' messages may not say."""

from __future__ import annotations

import pytest

from postern.formats.mime.scan import scan
from postern.model.items import NewItem
from postern.services.calendar import meeting_mail
from postern.services.local_delivery import new_item

MEETING = (
    b"X-Postern-Received-Representing: boss@example.org\r\nFrom: anna@example.org\r\nSubject: x\r\n"
    b"Content-Type: text/calendar; method=REQUEST\r\n\r\n"
    b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nUID:one\r\nDTSTAMP:20260101T000000Z\r\n"
    b"DTSTART:20260102T100000Z\r\nDTEND:20260102T110000Z\r\nSUMMARY:x\r\nORGANIZER:mailto:anna@example.org\r\n"
    b"ATTENDEE:mailto:boris@example.org\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


@pytest.mark.parametrize("from_here", [True, False])
async def test_only_this_server_says_whose_meeting_a_copy_is_about(from_here) -> None:
    scanned = scan(MEETING)
    item: NewItem = new_item(scanned, (0, 0, 0), len(MEETING), b"", 0)
    marked, sets_off = await meeting_mail.mark(item, MEETING, scanned, "anna@example.org", from_here=from_here)
    assert ("boss@example.org" in repr(marked.properties)) is from_here
    assert bool(sets_off) is not from_here
