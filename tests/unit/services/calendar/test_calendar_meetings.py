"""Meetings from both sides, through the mail that goes between them."""

from __future__ import annotations

import email
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest

from postern.convert.ical.reading import read_calendar
from postern.model.calendar.appointment import (
    Appointment,
    Attachment,
    Attendee,
    Busy,
    Person,
    Response,
    Role,
    Sensitivity,
    State,
)
from postern.model.calendar.recurrence import Kind, Pattern, Recurrence, Weekday
from postern.model.calendar.views import occurrence_on
from postern.model.calendar.zones import Zone
from postern.services.calendar.attendee import Effect, receive_cancel, receive_request, respond, respond_occurrence
from postern.services.calendar.delegates import Delegate, Delivery, copies, visible
from postern.services.calendar.imip import compose
from postern.services.calendar.organizer import (
    Tracked,
    accept_proposal,
    cancel,
    cancel_occurrence,
    counter,
    send,
    send_occurrence,
    track,
)
from postern.services.calendar.outgoing import Method, Outgoing
from postern.services.calendar.publishing import Level, published_ical, published_page

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
START = datetime(2026, 11, 30, 9, tzinfo=UTC)
BERLIN = Zone("Europe/Berlin")
BOSS, ALICE, BORIS = (
    Person("boss@example.org", "Boss"),
    Person("alice@example.org", "Alice"),
    Person("boris@example.com", "Борис"),
)
CRASHER = Person("eve@example.net", "Eve")
OWNER = {"alice@example.org"}


def meeting(**more: object) -> Appointment:
    return Appointment(
        uid="meeting-1",
        start=START,
        end=START + timedelta(hours=1),
        zone=BERLIN,
        subject="Plan",
        text="Bring figures",
        organizer=BOSS,
        attendees=(Attendee(ALICE), Attendee(BORIS, Role.OPTIONAL)),
        **more,  # type: ignore[arg-type]
    )


def weekly() -> Appointment:
    return meeting(recurrence=Recurrence(Pattern(Kind.WEEKLY, days=Weekday.MONDAY), START.date(), 8))


def change(item: Appointment, **more: object) -> Appointment:
    return msgspec.structs.replace(item, **more)


def by_mail(message: Outgoing, language: str = "en") -> Appointment:
    """What the other side reads of it."""
    raw = compose(message, NOW, "id@example.org", "boundary-of-twenty-letters", language)
    parsed = email.message_from_bytes(raw)
    part = next(each for each in parsed.walk() if each.get_content_type() == "text/calendar")
    assert part.get_param("method") == message.method.value
    found = read_calendar(part.get_payload(decode=True))
    assert found.method == message.method.value
    assert not found.problems
    (item,) = found.appointments
    return item


def test_a_new_meeting_is_answered_by_mail_and_counted() -> None:
    sent = send(meeting(), NOW)
    (request,) = sent.messages
    assert {each.address for each in request.recipients} == {ALICE.address, BORIS.address}
    received = receive_request(None, by_mail(request), OWNER)
    assert received.effect is Effect.NEW and received.invited and received.item is not None
    assert (received.item.busy, received.item.intended_busy) == (Busy.TENTATIVE, Busy.BUSY)
    assert received.item.response is Response.NOT_RESPONDED
    kept, reply = respond(received.item, Response.ACCEPTED, ALICE, NOW, comment="Gladly")
    assert kept is not None and kept.busy is Busy.BUSY
    assert reply is not None and reply.method is Method.REPLY
    counted, outcome = track(sent.item, by_mail(reply), NOW)
    assert outcome is Tracked.APPLIED
    assert [each.response for each in counted.attendees] == [Response.ACCEPTED, Response.NOT_RESPONDED]


def test_a_declined_meeting_goes_and_the_organizer_is_told() -> None:
    received = receive_request(None, by_mail(send(meeting(response_requested=False), NOW).messages[0]), OWNER)
    assert received.item is not None
    kept, reply = respond(received.item, Response.DECLINED, ALICE, NOW)
    assert kept is None and reply is not None
    silent, nothing = respond(change(received.item, response_requested=False), Response.ACCEPTED, ALICE, NOW)
    assert silent is not None and nothing is None


def test_another_time_voids_the_answers_another_place_does_not() -> None:
    sent = send(meeting(), NOW).item
    answered = change(sent, attendees=tuple(change(each, response=Response.ACCEPTED) for each in sent.attendees))  # type: ignore[type-var]
    placed = send(change(answered, location="Room 2"), NOW + timedelta(minutes=1), answered)
    assert placed.item.sequence == 0
    assert all(each.response is Response.ACCEPTED for each in placed.item.attendees)
    assert [each.update for each in placed.messages] == [True]
    moved = send(change(answered, start=START + timedelta(hours=2), end=START + timedelta(hours=3)), NOW, answered)
    assert moved.item.sequence == 1
    assert all(each.response is Response.NOT_RESPONDED for each in moved.item.attendees)


def test_those_who_come_and_go_are_told_what_concerns_them() -> None:
    old = send(meeting(), NOW).item
    new = change(old, attendees=(old.attendees[0], Attendee(CRASHER)))
    messages = send(new, NOW, old, only_changed=True).messages
    assert [(each.method, [who.address for who in each.recipients]) for each in messages] == [
        (Method.REQUEST, [CRASHER.address]),
        (Method.CANCEL, [BORIS.address]),
    ]


def test_answers_that_are_late_stale_foreign_or_uninvited() -> None:
    sent = send(meeting(), NOW)
    received = receive_request(None, by_mail(sent.messages[0]), OWNER).item
    assert received is not None
    _kept, reply = respond(received, Response.ACCEPTED, ALICE, NOW)
    assert reply is not None
    answer = by_mail(reply)
    moved = send(
        change(sent.item, start=START + timedelta(days=1), end=START + timedelta(days=1, hours=1)), NOW, sent.item
    )
    again = send(change(moved.item, start=START, end=START + timedelta(hours=2)), NOW, moved.item)
    stale = change(answer, sequence=1)
    assert track(again.item, stale, NOW)[1] is Tracked.STALE
    known, _applied = track(sent.item, change(answer, stamp=NOW + timedelta(hours=1)), NOW)
    assert track(known, answer, NOW)[1] is Tracked.OLDER
    assert track(sent.item, change(answer, uid="other"), NOW)[1] is Tracked.NOT_OURS
    eve, outcome = track(sent.item, change(answer, attendees=(Attendee(CRASHER, response=Response.ACCEPTED),)), NOW)
    assert outcome is Tracked.PARTY_CRASHER
    assert eve.attendees[-1].person == CRASHER and eve.attendees[-1].role is Role.OPTIONAL


GMAIL_REPLY = b"""BEGIN:VCALENDAR
PRODID:-//Google Inc//Google Calendar 70.9054//EN
VERSION:2.0
CALSCALE:GREGORIAN
METHOD:REPLY
BEGIN:VEVENT
DTSTART:20261130T090000Z
DTEND:20261130T100000Z
DTSTAMP:20261128T130000Z
ORGANIZER;CN=Boss:mailto:boss@example.org
UID:meeting-1
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=TENTATIVE;CN=A
 lice;X-NUM-GUESTS=0:mailto:ALICE@example.org
SEQUENCE:0
STATUS:CONFIRMED
SUMMARY:Plan
TRANSP:OPAQUE
END:VEVENT
END:VCALENDAR
"""


def test_a_reply_from_gmail_counts() -> None:
    (reply,) = read_calendar(GMAIL_REPLY).appointments
    item, outcome = track(send(meeting(), NOW).item, reply, NOW)
    assert outcome is Tracked.APPLIED
    assert item.attendees[0].response is Response.TENTATIVE


def test_messages_out_of_order() -> None:
    first = send(meeting(), NOW)
    second = send(
        change(first.item, start=START + timedelta(hours=4), end=START + timedelta(hours=5)),
        NOW + timedelta(minutes=5),
        first.item,
    )
    newer = receive_request(None, by_mail(second.messages[0]), OWNER).item
    late = receive_request(newer, by_mail(first.messages[0]), OWNER)
    assert late.effect is Effect.OUT_OF_DATE and late.item == newer
    twice = receive_request(newer, by_mail(second.messages[0]), OWNER)
    assert twice.effect is Effect.OUT_OF_DATE
    old = receive_request(None, by_mail(first.messages[0]), OWNER).item
    assert old is not None
    kept, _reply = respond(old, Response.ACCEPTED, ALICE, NOW)
    assert kept is not None
    kept = change(kept, reminder_minutes=42, categories=("Mine",))
    updated = receive_request(kept, by_mail(second.messages[0]), OWNER)
    assert updated.effect is Effect.FULL_UPDATE and updated.item is not None
    assert updated.item.response is Response.NOT_RESPONDED
    assert (updated.item.reminder_minutes, updated.item.categories) == (42, ("Mine",))
    gone = cancel(second.item, NOW)
    over = receive_cancel(updated.item, by_mail(gone.messages[0]), OWNER)
    assert over.effect is Effect.CANCELED and over.item is not None
    assert over.item.is_canceled and over.item.busy is Busy.FREE
    assert receive_request(over.item, by_mail(second.messages[0]), OWNER).effect is Effect.OUT_OF_DATE
    assert receive_cancel(None, by_mail(gone.messages[0]), OWNER).effect is Effect.NOTHING


def test_one_who_was_not_invited_and_ones_own_meeting() -> None:
    request = by_mail(send(meeting(), NOW).messages[0])
    assert not receive_request(None, request, {"eve@example.net"}).invited
    assert receive_request(None, request, {"boss@example.org"}).effect is Effect.OWN


def test_one_occurrence_is_changed_answered_and_called_off() -> None:
    sent = send(weekly(), NOW)
    theirs = receive_request(None, by_mail(sent.messages[0]), OWNER).item
    assert theirs is not None and theirs.recurrence == sent.item.recurrence
    day = date(2026, 12, 7)
    found = occurrence_on(sent.item, day, BERLIN)
    assert found is not None
    later = change(
        sent.item, start=found.start + timedelta(hours=3), end=found.end + timedelta(hours=3), location="Hall"
    )
    changed = send_occurrence(sent.item, day, later, NOW + timedelta(minutes=1))
    assert [each.day for each in changed.item.modified] == [day]
    got = receive_request(theirs, by_mail(changed.messages[0]), OWNER)
    assert got.effect is Effect.FULL_UPDATE and got.item is not None
    mine = occurrence_on(got.item, day, BERLIN)
    assert mine is not None and mine.start == found.start + timedelta(hours=3)
    answered, reply = respond_occurrence(got.item, day, Response.ACCEPTED, ALICE, NOW + timedelta(minutes=2))
    assert reply is not None
    tracked, outcome = track(changed.item, by_mail(reply), NOW)
    assert outcome is Tracked.APPLIED
    assert tracked.modified[0].item.attendees[0].response is Response.ACCEPTED
    assert tracked.attendees[0].response is Response.NOT_RESPONDED
    off = cancel_occurrence(tracked, day, NOW + timedelta(minutes=3))
    assert off.item.deleted == (day,)
    told = receive_cancel(answered, by_mail(off.messages[0]), OWNER)
    assert told.effect is Effect.CANCELED and told.item is not None
    assert told.item.modified[0].item.is_canceled
    whole = receive_cancel(answered, by_mail(cancel(tracked, NOW + timedelta(minutes=4)).messages[0]), OWNER)
    assert whole.item is not None and whole.item.is_canceled
    assert whole.item.modified[0].item.is_canceled, "what was changed goes with its series"
    without, _reply = respond_occurrence(theirs, date(2026, 12, 14), Response.DECLINED, ALICE, NOW)
    assert without.deleted == (date(2026, 12, 14),)


def test_another_time_is_proposed_and_taken() -> None:
    sent = send(meeting(), NOW)
    theirs = receive_request(None, by_mail(sent.messages[0]), OWNER).item
    assert theirs is not None
    proposed = (START + timedelta(days=1), START + timedelta(days=1, hours=1))
    _kept, message = respond(theirs, Response.TENTATIVE, ALICE, NOW, proposed=proposed)
    assert message is not None and message.method is Method.COUNTER
    tracked, outcome = track(sent.item, counter(by_mail(message)), NOW)
    assert outcome is Tracked.APPLIED
    assert tracked.attendees[0].proposed_start == proposed[0]
    moved = accept_proposal(tracked, ALICE, NOW)
    assert (moved.item.start, moved.item.sequence) == (proposed[0], 1)
    _kept, no = respond(change(theirs, counter_allowed=False), Response.TENTATIVE, ALICE, NOW, proposed=proposed)
    assert no is not None and no.method is Method.REPLY


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_mail_is_what_mail_programs_expect(language: str) -> None:
    item = meeting(attachments=(Attachment("план.txt", "text/plain", b"x" * 200),))
    item = change(
        item,
        subject="Собрание\r\nBcc: victim@example.org",
        attendees=(Attendee(BORIS), Attendee(Person("a b@c\r\nX: y"))),
    )
    (request,) = send(item, NOW).messages
    raw = compose(request, NOW, "id@example.org", "boundary-of-twenty-letters", language)
    raw.decode("ascii")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    parsed = email.message_from_bytes(raw)
    assert parsed["Bcc"] is None and parsed["X"] is None
    kinds = [each.get_content_type() for each in parsed.walk()]
    assert kinds == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "text/calendar",
        "text/plain",
    ]
    text = next(each for each in parsed.walk() if each.get_content_type() == "text/plain").get_payload(decode=True)
    assert ("Когда" if language == "ru" else "When") in text.decode()


def test_delegates_get_copies_but_not_of_what_is_private() -> None:
    item, delegate = meeting(), Delegate(CRASHER)
    both = copies(item, ALICE, [delegate], Delivery.DELEGATES_AND_SEND_INFORMATION_TO_ME)
    assert [(each.to, each.informational) for each in both] == [(CRASHER, False), (ALICE, True)]
    private = change(item, sensitivity=Sensitivity.PRIVATE)
    assert [each.to for each in copies(private, ALICE, [delegate], Delivery.DELEGATES_ONLY)] == [ALICE]
    assert visible(private, owner=False, delegate=delegate).subject == ""
    assert visible(private, owner=True, delegate=None).subject == "Plan"


def test_a_published_calendar_tells_no_more_than_its_level() -> None:
    items = [weekly(), change(meeting(), uid="p", subject="<Doctor>", sensitivity=Sensitivity.PRIVATE)]
    window = (NOW, NOW + timedelta(days=30))
    for level in Level:
        text = published_ical(items, "Alice", level, window, BERLIN).decode()
        page = published_page(items, "A<b>", level, window, BERLIN, "ru")
        for shown in (text, page):
            assert "example.org" not in shown and "Doctor" not in shown
            assert ("Plan" in shown) is (level is not Level.AVAILABILITY)
            assert ("Bring figures" in shown) is (level is Level.FULL)
        assert "A&lt;b&gt;" in page and "<script" not in page
        assert page.count("<li>") == 6
        assert len(read_calendar(text.encode()).appointments) == 2
    assert State.MEETING not in read_calendar(text.encode()).appointments[0].state
