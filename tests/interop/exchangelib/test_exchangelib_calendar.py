"""exchangelib against a started server: calendars, meetings, contacts, tasks, free/busy."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pytest
from exchangelib import CalendarItem, Contact, DistributionList, EWSDate, EWSDateTime, EWSTimeZone, FileAttachment, Task
from exchangelib.errors import ErrorItemNotFound
from exchangelib.indexed_properties import EmailAddress, PhoneNumber, PhysicalAddress
from exchangelib.properties import Attendee, Mailbox, Member
from exchangelib.recurrence import Recurrence, WeeklyPattern
from test_exchangelib import pytestmark, reader, sender

__all__ = ["pytestmark", "reader", "sender"]

ZONE = EWSTimeZone("Europe/Berlin")
START = EWSDateTime(2026, 11, 2, 9, 0, tzinfo=ZONE)
HOUR = dt.timedelta(hours=1)


def wait(ask):
    for _ in range(300):
        found = ask()
        if found:
            return found
    raise AssertionError("it did not come")


def test_appointments_and_views(sender):
    token = uuid.uuid4().hex
    item = CalendarItem(
        folder=sender.calendar, subject=token, start=START, end=START + HOUR, location="Room", categories=["Red"],
        reminder_minutes_before_start=20, legacy_free_busy_status="OOF", body="text",
    )  # fmt: skip
    item.save()
    item.start += HOUR
    item.end += HOUR
    item.save(update_fields=["start", "end"])
    item.attach(FileAttachment(name="a.txt", content=b"abc"))
    got = sender.calendar.get(subject=token)
    assert (got.start, got.end) == (START + HOUR, START + 2 * HOUR)
    assert (got.location, got.categories, got.legacy_free_busy_status) == ("Room", ["Red"], "OOF")
    assert got.attachments[0].content == b"abc"
    seen = [one for one in sender.calendar.view(start=START, end=START + 3 * HOUR) if one.subject == token]
    assert [one.id for one in seen] == [item.id]
    day = CalendarItem(
        folder=sender.calendar, subject=f"{token} day", start=EWSDate(2026, 12, 24), end=EWSDate(2026, 12, 24),
        is_all_day=True,
    )  # fmt: skip
    day.save()
    again = sender.calendar.get(id=day.id, changekey=day.changekey)
    assert again.is_all_day and again.start == EWSDate(2026, 12, 24)
    for one in (got, again):
        one.delete()
    with pytest.raises(ErrorItemNotFound):
        item.refresh()


def test_series_and_their_occurrences(sender):
    token = uuid.uuid4().hex
    series = CalendarItem(
        folder=sender.calendar, subject=token, start=START, end=START + HOUR,
        recurrence=Recurrence(
            pattern=WeeklyPattern(interval=1, weekdays=["Monday", "Wednesday"], first_day_of_week="Monday"),
            start=EWSDate(2026, 11, 2), number=5,
        ),
    )  # fmt: skip
    series.save()
    end = START + dt.timedelta(days=60)
    shown = [one for one in sender.calendar.view(start=START, end=end) if one.subject == token]
    assert [one.type for one in shown] == ["Occurrence"] * 5
    second = sender.calendar.get(id=series.id, changekey=series.changekey).occurrence(index=2)
    second = next(iter(sender.fetch([second])))
    assert second.start == START + dt.timedelta(days=2)
    second.subject = f"{token} moved"
    second.save(update_fields=["subject"])
    third = next(iter(sender.fetch([series.occurrence(index=3)])))
    third.delete()
    master = sender.calendar.get(id=series.id)
    assert len(master.modified_occurrences) == 1 and len(master.deleted_occurrences) == 1
    assert master.recurrence.boundary.number == 5
    assert [one.subject for one in sender.calendar.view(start=START, end=end) if token in one.subject].count(token) == 3
    master.delete()


def test_a_meeting_is_sent_accepted_and_called_off(sender, reader):
    token = uuid.uuid4().hex
    meeting = CalendarItem(
        account=sender, folder=sender.calendar, subject=token, start=START, end=START + HOUR,
        required_attendees=[Attendee(mailbox=Mailbox(email_address=reader.primary_smtp_address))],
    )  # fmt: skip
    meeting.save(send_meeting_invitations="SendToAllAndSaveCopy")
    copy = wait(lambda: list(reader.calendar.filter(subject=token)))[0]
    assert copy.organizer.email_address == sender.primary_smtp_address
    copy.accept(message_disposition="SendAndSaveCopy")
    assert wait(
        lambda: [one for one in sender.calendar.get(subject=token).required_attendees if one.response_type == "Accept"]
    )
    sender.calendar.get(subject=token).cancel()
    assert wait(lambda: [one for one in reader.calendar.filter(subject__contains=token) if one.is_cancelled])


def test_contacts_and_lists(sender):
    token = uuid.uuid4().hex
    item = Contact(
        folder=sender.contacts, display_name=f"Olga {token}", given_name=f"Olga{token}", surname="Petrova",
        email_addresses=[EmailAddress(email=f"{token}@example.net", label="EmailAddress1")],
        phone_numbers=[PhoneNumber(label="MobilePhone", phone_number="+371 1")],
        physical_addresses=[PhysicalAddress(label="Home", street="1 Main", city="Riga", country="LV")],
        birthday=EWSDate(1980, 2, 29), companies=["Acme"], file_as_mapping="LastCommaFirst",
    )  # fmt: skip
    item.save()
    got = sender.contacts.get(id=item.id, changekey=item.changekey)
    assert got.file_as == f"Petrova, Olga{token}" and got.birthday == EWSDate(1980, 2, 29)
    assert got.physical_addresses[0].city == "Riga"
    got.phone_numbers = [PhoneNumber(label="HomePhone", phone_number="5")]
    got.save(update_fields=["phone_numbers"])
    again = sender.contacts.get(id=item.id)
    assert {one.label for one in again.phone_numbers} >= {"HomePhone"}
    people = DistributionList(
        folder=sender.contacts, display_name=f"list {token}",
        members=[Member(mailbox=Mailbox(email_address=f"{token}@example.net"), status="Normal")],
    )  # fmt: skip
    people.save()
    assert sender.contacts.get(id=people.id).members[0].mailbox.email_address == f"{token}@example.net"
    found = sender.protocol.resolve_names([f"Olga{token}"], search_scope="Contacts")
    assert [one.email_address for one in found] == [f"{token}@example.net"]
    again.delete()


def test_tasks(sender):
    token = uuid.uuid4().hex
    item = Task(
        folder=sender.tasks,
        subject=token,
        due_date=EWSDate(2026, 12, 2),
        status="InProgress",
        percent_complete=Decimal(25),
    )
    item.save()
    got = sender.tasks.get(subject=token)
    assert (got.status, got.due_date) == ("InProgress", EWSDate(2026, 12, 2))
    got.complete()
    assert sender.tasks.get(subject=token).is_complete
    sender.tasks.get(subject=token).delete(affected_task_occurrences="AllOccurrences")


def test_free_busy(sender, reader):
    item = CalendarItem(
        folder=sender.calendar, subject="busy", start=START + 6 * HOUR, end=START + 7 * HOUR,
    )  # fmt: skip
    item.save()
    (view,) = list(
        reader.protocol.get_free_busy_info(
            accounts=[(sender, "Required", False)], start=START, end=START + dt.timedelta(hours=10),
            merged_free_busy_interval=60, requested_view="DetailedMerged",
        )
    )  # fmt: skip
    assert view.merged[6] == "2"
    assert [one.busy_type for one in view.calendar_events if one.start == START + 6 * HOUR] == ["Busy"]
    item.delete()
