"""A meeting message consists of its calendar: that is no attachment, however it is asked for."""

from __future__ import annotations

import pytest
from test_ews_following import sync

CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//x//y//EN
METHOD:REQUEST
BEGIN:VEVENT
UID:{0}
DTSTAMP:20261101T080000Z
DTSTART:20261102T080000Z
DTEND:20261102T090000Z
SUMMARY:{0}
ORGANIZER:mailto:outside@example.net
ATTENDEE;RSVP=TRUE:mailto:anna@example.org
END:VEVENT
END:VCALENDAR
"""
HEAD = """From: outside@example.net
To: anna@example.org
Subject: {0}
Message-ID: <{0}@example.net>
MIME-Version: 1.0
"""
PART = 'Content-Type: text/calendar; charset=utf-8; method=REQUEST; name="plan.ics"\n'
TEXTS = "--i\nContent-Type: text/plain\n\nCome\n--i\nContent-Type: text/html\n\n<p>Come</p>\n"
INNER = "Content-Type: multipart/alternative; boundary=i\n\n"
OUTER = "Content-Type: multipart/mixed; boundary=o\n\n"
FILE = "--o\nContent-Type: application/pdf\nContent-Disposition: attachment; filename=way.pdf\n\nx\n--o--\n"
SHAPES = {
    "alone": (PART + "\n{calendar}", []),
    "alternative": (INNER + TEXTS + "--i\n" + PART + "\n{calendar}--i--\n", []),
    "attached": (
        OUTER + "--o\nContent-Type: text/plain\n\nCome\n--o\n" + PART
        + "Content-Disposition: attachment; filename=plan.ics\n\n{calendar}--o--\n",
        [],
    ),
    "filed": (OUTER + "--o\n" + INNER + TEXTS + "--i\n" + PART + "\n{calendar}--i--\n" + FILE, ["way.pdf"]),
    "twice": (
        OUTER + "--o\n" + INNER + TEXTS + "--i\n" + PART + "\n{calendar}--i--\n"
        "--o\nContent-Type: application/ics; name=invite.ics\n\n{calendar}--o--\n",
        ["invite.ics"],
    ),
}  # fmt: skip
WITH_FLAG = (
    '<t:AdditionalProperties><t:FieldURI FieldURI="item:HasAttachments"/>'
    '<t:FieldURI FieldURI="item:Subject"/></t:AdditionalProperties>'
)


def told(reply, kind: str) -> dict[str, bool]:
    return {
        one.findtext("{*}Subject"): one.findtext("{*}HasAttachments") == "true"
        for one in reply.ok().all(f"//t:{kind}")
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["MeetingRequest", "Message"])
async def test_a_calendar_is_no_attachment_of_a_meeting(anna, kind):
    # with no method it is a file that came by mail
    files: dict[str, list[str]] = {}
    for name, (form, others) in SHAPES.items():
        calendar = CALENDAR.format(name)
        content = HEAD.format(name) + form.format(calendar=calendar)
        if kind == "Message":
            content = content.replace("; method=REQUEST", "").replace("METHOD:REQUEST\n", "")
        await anna.mailed(content)
        files[name] = sorted(others if kind == "MeetingRequest" else [*others, "plan.ics"])
    flags = {name: bool(shown) for name, shown in files.items()}
    assert told(await anna.find(shape="Default"), kind) == flags
    assert told(await anna.find(extra=WITH_FLAG), kind) == flags
    assert told(await anna.ask(sync(shape="AllProperties")), kind) == flags
    ids = [one.get("Id") for one in (await anna.find()).ok().all("//t:ItemId")]
    assert told(await anna.get(*ids, shape="IdOnly", extra=WITH_FLAG), kind) == flags
    whole = (await anna.get(*ids)).ok()
    assert told(whole, kind) == flags
    for one in whole.all(f"//t:{kind}"):
        shown = one.xpath("t:Attachments/*/t:Name/text()", namespaces=one.nsmap)
        assert sorted(shown) == files[one.findtext("{*}Subject")]
