"""Runs inside the mail network: a meeting among two people, a delegate, a room and somebody elsewhere.

    python meeting_steps.py PASSWORD

People use EWS by exchangelib; the outsider is a plain iTIP mailer that has nothing but SMTP: mail for its domain comes
to port 25 here by the MX record, and what it says goes to the server's port 25. Steps build on each other. Prints JSON:
`seconds` and `problems` by step.
"""

import datetime as dt
import email
import email.policy
import json
import smtplib
import sys
import time
import traceback
import uuid
from email.message import EmailMessage

import icalendar
from aiosmtpd.controller import Controller
from exchangelib import UTC, Account, CalendarItem, Configuration, Credentials, EWSDate, EWSDateTime
from exchangelib.folders import Calendar, SingleFolderQuerySet
from exchangelib.items import MeetingCancellation, MeetingRequest, MeetingResponse
from exchangelib.properties import Attendee, DistinguishedFolderId, Mailbox
from exchangelib.recurrence import Recurrence, WeeklyPattern

password = sys.argv[1]
FRIDA, GUSTAV, BORIS, ROOM, OLGA = (
    "frida@example.org", "gustav@example.org", "boris@example.org", "library@example.org", "olga@outside.test",
)  # fmt: skip
TOKEN = uuid.uuid4().hex
SEND, WAIT_S = "SendToAllAndSaveCopy", 20
HOUR, DAY, WEEK = dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(days=7)
today = dt.date.today()
monday = today + dt.timedelta(days=7 - today.weekday())
START = EWSDateTime(monday.year, monday.month, monday.day, 9, 0, tzinfo=UTC)
seconds: dict[str, float] = {}
problems: dict[str, str] = {}


def step(call):
    began = time.monotonic()
    try:
        call()
    except Exception:
        problems[call.__name__] = traceback.format_exc()[-3000:]
    seconds[call.__name__] = round(time.monotonic() - began, 2)


def wait(ask, wanted=None):
    """What is said as soon as it is what is wanted (or anything); else it fails with the last that was said."""
    end = time.monotonic() + WAIT_S
    while True:
        found = ask()
        if (found == wanted) if wanted is not None else found:
            return found
        assert time.monotonic() < end, f"{found!r}, not {wanted!r}"
        time.sleep(0.05)


# --- the outsider
class Outsider:
    def __init__(self):
        self.mail = []
        self.stamp = int(time.time())

    async def handle_DATA(self, server, session, envelope):
        self.mail.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return "250 OK"

    def got(self, method):
        """The first message of a kind that came and was not looked at yet: headers, and the one event in it."""

        def look():
            for number, (recipients, message) in enumerate(self.mail):
                for part in message.walk():
                    if part.get_content_type() == "text/calendar" and part.get_param("method") == method:
                        assert recipients == [OLGA], recipients
                        del self.mail[number]
                        calendar = icalendar.Calendar.from_ical(part.get_content())
                        assert calendar["METHOD"] == method
                        return message, calendar.walk("VEVENT")
            return None

        message, events = wait(look)
        return message, events

    def say(
        self, method, event, recipient, *, partstat="", start=None, sequence=None, day=None, organizer=FRIDA, more=""
    ):
        """By plain SMTP, as a calendar program that never heard of Exchange."""
        self.stamp += 1
        start = start or event["DTSTART"].dt
        lines = [
            "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Outside//Mailer 1.0//EN", f"METHOD:{method}", "BEGIN:VEVENT",
            f"UID:{event['UID']}", f"SEQUENCE:{event.get('SEQUENCE', 0) if sequence is None else sequence}",
            f"DTSTAMP:{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(self.stamp))}", f"DTSTART:{zulu(start)}",
            f"DTEND:{zulu(start + HOUR)}", f"SUMMARY:{event.get('SUMMARY', '')}", f"ORGANIZER:mailto:{organizer}",
        ]  # fmt: skip
        if day is not None:
            lines.append(f"RECURRENCE-ID:{zulu(day)}")
        if partstat:
            lines.append(f"ATTENDEE;PARTSTAT={partstat}:mailto:{OLGA}")
        lines += [*more.splitlines(), "END:VEVENT", "END:VCALENDAR", ""]
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = OLGA, recipient, f"{method}: {event.get('SUMMARY', '')}"
        message["Message-ID"], message["Date"] = f"<{uuid.uuid4().hex}@outside.test>", email.utils.localtime()
        message.set_content("\r\n".join(lines), subtype="calendar", params={"method": method}, cte="base64")
        with smtplib.SMTP("mail.example.org", 25, "mx.outside.test", timeout=30) as smtp:
            smtp.send_message(message, OLGA, [recipient])


def zulu(moment):
    return dt.datetime.fromtimestamp(moment.timestamp(), dt.UTC).strftime("%Y%m%dT%H%M%SZ")


# --- people and their calendars
def account(address, user=None):
    credentials = Credentials(user or address, password)
    config = Configuration(
        service_endpoint="https://mail.example.org/EWS/Exchange.asmx", credentials=credentials, auth_type="basic"
    )
    return Account(address, config=config, autodiscover=False, access_type="delegate", default_timezone=UTC)


def calendar_of(address, by):
    """Somebody else's."""
    known = DistinguishedFolderId(id="calendar", mailbox=Mailbox(email_address=address))
    return SingleFolderQuerySet(account=by, folder=Calendar(root=by.root, _distinguished_id=known)).resolve()


def person(address):
    return Attendee(mailbox=Mailbox(email_address=address))


def answers(item):
    people = [*(item.required_attendees or []), *(item.optional_attendees or []), *(item.resources or [])]
    return {one.mailbox.email_address: one.response_type for one in people}


def times(calendar, subject=TOKEN):
    """Of the series in a calendar; an empty subject: of all that is there."""
    found = calendar.view(start=START - HOUR, end=START + 5 * WEEK).only("start", "subject", "is_cancelled")
    return sorted(one.start for one in found if subject in (one.subject or "") and not one.is_cancelled)


def all_agree(wanted):
    calendars = {"own": frida.calendar, "by delegate": hers, "attendee": boris.calendar, "room": room}
    shown = {name: wanted for name in calendars}
    wait(lambda: {name: times(one, "" if name == "room" else TOKEN) for name, one in calendars.items()}, shown)


def master(calendar):
    return next(iter(calendar.filter(subject__contains=TOKEN)), None)


def occurrence(number):
    """Of the meeting in frida's calendar, by its number in the pattern."""
    return next(iter(frida.fetch([master(frida.calendar).occurrence(index=number)])))


outsider = Outsider()
sink = Controller(outsider, hostname="192.0.2.80", port=25)
sink.start()
frida, gustav, boris = account(FRIDA), account(GUSTAV), account(BORIS)
hers, room = calendar_of(FRIDA, gustav), calendar_of(ROOM, frida)
invitation = None
WEEKS = [START + n * WEEK for n in range(4)]


# --- the steps
@step
def the_delegate_invites():
    global invitation
    meeting = CalendarItem(
        folder=hers, subject=f"Plan {TOKEN}", start=START, end=START + HOUR, location="Upstairs",
        required_attendees=[person(BORIS), person(OLGA)], resources=[person(ROOM)],
        recurrence=Recurrence(
            pattern=WeeklyPattern(interval=1, weekdays=["Monday"], first_day_of_week="Monday"),
            start=EWSDate(monday.year, monday.month, monday.day), number=4,
        ),
    )  # fmt: skip
    meeting.save(send_meeting_invitations=SEND)
    message, (invitation,) = outsider.got("REQUEST")
    assert FRIDA in message["From"] or FRIDA in message["Sender"], message["From"]
    assert invitation["ORGANIZER"].lower() == f"mailto:{FRIDA}"
    assert f"mailto:{OLGA}" in [one.lower() for one in invitation["ATTENDEE"]]
    assert invitation["RRULE"]["FREQ"] == ["WEEKLY"] and invitation["RRULE"]["COUNT"] == [4]
    assert zulu(invitation["DTSTART"].dt) == zulu(START) and invitation["SUMMARY"] == f"Plan {TOKEN}"
    all_agree(WEEKS)
    copy = master(boris.calendar)
    assert copy.organizer.email_address == FRIDA and copy.my_response_type == "NoResponseReceived"
    request = wait(lambda: list(boris.inbox.filter(subject__contains=TOKEN)))[0]
    assert isinstance(request, MeetingRequest) and request.meeting_request_type == "NewMeetingRequest"


@step
def everybody_answers():
    master(boris.calendar).accept(message_disposition="SendAndSaveCopy")
    outsider.say("REPLY", invitation, FRIDA, partstat="ACCEPTED")
    wait(lambda: answers(master(frida.calendar)), {BORIS: "Accept", OLGA: "Accept", ROOM: "Accept"})
    # every answer is also there to be read, by the delegate too
    for reader in (frida, gustav):
        wait(
            lambda inbox=reader.inbox: {
                (one.sender.email_address, one.response_type)
                for one in inbox.filter(subject__contains=TOKEN)
                if isinstance(one, MeetingResponse)
            },
            {(BORIS, "Accept"), (OLGA, "Accept"), (ROOM, "Accept")},
        )


@step
def counter_proposals():
    outsider.say("COUNTER", invitation, FRIDA, partstat="TENTATIVE", start=START + 2 * HOUR)
    master(boris.calendar).tentatively_accept(
        message_disposition="SendAndSaveCopy", proposed_start=START + 3 * HOUR, proposed_end=START + 4 * HOUR
    )

    def proposed():
        item = master(frida.calendar)
        return {one.mailbox.email_address: (one.response_type, one.proposed_start) for one in item.required_attendees}

    wait(proposed, {OLGA: ("Tentative", START + 2 * HOUR), BORIS: ("Tentative", START + 3 * HOUR)})
    wait(
        lambda: {
            (one.sender.email_address, one.proposed_start)
            for one in frida.inbox.filter(subject__contains=TOKEN)
            if isinstance(one, MeetingResponse) and one.proposed_start
        },
        {(OLGA, START + 2 * HOUR), (BORIS, START + 3 * HOUR)},
    )
    all_agree(WEEKS)  # nothing has moved


@step
def one_occurrence_moves():
    second = occurrence(2)
    second.start, second.end = WEEKS[1] + DAY, WEEKS[1] + DAY + HOUR
    second.save(update_fields=["start", "end"], send_meeting_invitations=SEND)
    WEEKS_NOW = [WEEKS[0], WEEKS[1] + DAY, *WEEKS[2:]]
    all_agree(WEEKS_NOW)
    _, (update,) = outsider.got("REQUEST")
    assert update["UID"] == invitation["UID"] and "RRULE" not in update
    assert zulu(update["RECURRENCE-ID"].dt) == zulu(WEEKS[1])
    assert zulu(update["DTSTART"].dt) == zulu(WEEKS[1] + DAY)
    assert update["SEQUENCE"] > invitation["SEQUENCE"]
    # answers to it are answers to that one alone
    outsider.say("REPLY", update, FRIDA, partstat="DECLINED", day=WEEKS[1])
    wait(lambda: answers(occurrence(2))[OLGA], "Decline")
    theirs = next(
        one for one in boris.calendar.view(start=WEEKS_NOW[1], end=WEEKS_NOW[1] + HOUR) if TOKEN in one.subject
    )
    boris.calendar.get(id=theirs.id).accept(message_disposition="SendAndSaveCopy")
    wait(lambda: answers(occurrence(2)), {BORIS: "Accept", OLGA: "Decline", ROOM: "Accept"})
    assert answers(occurrence(3))[OLGA] != "Decline"


@step
def the_room_is_taken():
    """By policy: who comes later does not get it."""
    late = CalendarItem(
        folder=boris.calendar, subject=f"Late {uuid.uuid4().hex}", start=WEEKS[2], end=WEEKS[2] + HOUR,
        resources=[person(ROOM)],
    )  # fmt: skip
    late.save(send_meeting_invitations=SEND)
    wait(lambda: answers(boris.calendar.get(id=late.id)), {ROOM: "Decline"})
    assert len([one for one in times(room, "") if one == WEEKS[2]]) == 1
    boris.calendar.get(id=late.id).delete()


@step
def one_occurrence_is_called_off():
    third = occurrence(3)
    third.delete(send_meeting_cancellations=SEND)
    all_agree([WEEKS[0], WEEKS[1] + DAY, WEEKS[3]])
    _, (gone,) = outsider.got("CANCEL")
    assert zulu(gone["RECURRENCE-ID"].dt) == zulu(WEEKS[2]) and gone["UID"] == invitation["UID"]


@step
def all_is_called_off():
    master(frida.calendar).delete(send_meeting_cancellations=SEND)
    all_agree([])
    _, events = outsider.got("CANCEL")
    assert any("RECURRENCE-ID" not in one and one["UID"] == invitation["UID"] for one in events)
    assert any(isinstance(one, MeetingCancellation) for one in boris.inbox.filter(subject__contains=TOKEN))


@step
def the_outsider_invites():
    """By plain iTIP mail; moved, answered and called off the same way."""
    event = {"UID": f"{TOKEN}@outside.test", "SUMMARY": f"Elsewhere {TOKEN}", "DTSTART": None}
    asked = f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{BORIS}\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{OLGA}"

    def say(method, **what):
        outsider.say(method, event, BORIS, organizer=OLGA, more=asked, **what)

    def here():
        return next(iter(boris.calendar.filter(subject__contains=f"Elsewhere {TOKEN}")), None)

    when = START + 2 * DAY
    say("REQUEST", start=when, sequence=0)
    item = wait(here)
    assert (item.start, item.my_response_type, item.organizer.email_address) == (when, "NoResponseReceived", OLGA)
    item.accept(message_disposition="SendAndSaveCopy")
    message, (reply,) = outsider.got("REPLY")
    assert BORIS in message["From"] and reply["UID"] == event["UID"]
    assert reply["ATTENDEE"].lower() == f"mailto:{BORIS}" and reply["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"
    say("REQUEST", start=when + HOUR, sequence=1)
    wait(lambda: (here().start, here().my_response_type), (when + HOUR, "NoResponseReceived"))
    say("CANCEL", start=when + HOUR, sequence=2)
    wait(lambda: here().is_cancelled)
    here().delete()


sink.stop()
left = [message["Subject"] for _, message in outsider.mail]
if left and not problems:
    problems["nothing else was sent"] = repr(left)
print(json.dumps({"seconds": seconds, "problems": problems}))
