"""Runs under Debian's Python with Evolution's libraries inside the mail network: calendar, contacts, tasks and notes.

    dbus-run-session -- python3 evolution_planner_steps.py HOME ADDRESS PASSWORD OTHER

Evolution's factories with its EWS back ends over D-Bus; what they did and what they must notice goes by plain EWS.
"""

import os
import sys

import gi

for name, version in (("ECal", "2.0"), ("EBook", "1.2"), ("EBookContacts", "1.2"), ("ICalGLib", "3.0")):
    gi.require_version(name, version)
from gi.repository import EBook, EBookContacts, ECal, ICalGLib  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from evolution_account import (  # noqa: E402
    address,
    authenticated,
    children,
    collection,
    other,
    password,
    step,
    tell,
    wait,
    write_sources,
)  # fmt: skip
from outside_ews import Ews  # noqa: E402

write_sources()
mine, theirs = Ews(address, password), Ews(other, password)
BERLIN = ICalGLib.Timezone.get_builtin_timezone("Europe/Berlin")
ALL, THIS = ECal.ObjModType.ALL, ECal.ObjModType.THIS
NO_FLAGS = ECal.OperationFlags.NONE

step(collection)


def opened(name, kind):
    """A calendar or list of the account, connected."""
    source = children()[name][1]
    client = ECal.Client.connect_sync(source, kind, 0xFFFFFFFF, None)
    authenticated(source)
    return client


def component(text):
    made = ICalGLib.Component.new_from_string(text.replace("\n", "\r\n"))
    assert made is not None, text
    return made


def event(summary, start, end, more="", uid=""):
    """An event by Berlin's clock."""
    zone = BERLIN.get_tzid()
    return component(
        f"BEGIN:VEVENT\n{uid and f'UID:{uid}'}{uid and chr(10)}DTSTAMP:20270101T000000Z\nSUMMARY:{summary}\n"
        f"DTSTART;TZID={zone}:{start}\nDTEND;TZID={zone}:{end}\n{more}END:VEVENT\n"
    )


def listed(client, summary):
    """All components with that summary, the series before its exceptions."""
    client.refresh_sync(None)
    _, found = client.get_object_list_sync(f'(contains? "summary" "{summary}")', None)
    return sorted(
        found, key=lambda one: one.get_first_property(ICalGLib.PropertyKind.RECURRENCEID_PROPERTY) is not None
    )


def shown(client, summary):
    """As soon as it is there."""
    found = wait(lambda: listed(client, summary))
    assert found, f"{summary} is not shown"
    return found[0]


def hidden(client, summary):
    return wait(lambda: not listed(client, summary))


def utc(time):
    return time.convert_to_zone(ICalGLib.Timezone.get_utc_timezone()).as_ical_string()


def starts(client, summary, first="20270301T000000Z", last="20270501T000000Z"):
    """When it takes place within a span (UTC)."""
    found = []
    begin, end = (ICalGLib.Time.new_from_string(one).as_timet() for one in (first, last))

    def one(instance, start, _end, *_):
        if instance.get_summary() == summary:
            found.append(utc(start))
        return True

    client.refresh_sync(None)
    client.generate_instances_sync(begin, end, None, one)
    return sorted(found)


def settled(ask, wanted):
    """What it is as soon as it is what is wanted, or in the end."""
    last = []

    def good():
        last[:] = [ask()]
        return last[0] == wanted

    wait(good)
    return last[0]


def prop(item, kind):
    found = item.get_first_property(kind)
    return None if found is None else found.get_value_as_string()


# --- events
calendar = None


@step
def event_made_here():
    global calendar
    calendar = opened("Calendar", ECal.ClientSourceType.EVENTS)
    calendar.add_timezone_sync(BERLIN, None)
    alarm = "BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:x\nTRIGGER;RELATED=START:-PT25M\nEND:VALARM\n"
    more = f"LOCATION:Room 5\nCATEGORIES:Red\nDESCRIPTION:Words\nTRANSP:OPAQUE\n{alarm}"
    calendar.create_object_sync(event("Made here", "20270302T100000", "20270302T113000", more), NO_FLAGS, None)
    names = ("Start", "End", "Location", "String", "ReminderMinutesBeforeStart", "LegacyFreeBusyStatus", "Body")
    return mine.facts("calendar", "Made here", *names)


@step
def event_changed_here():
    item = shown(calendar, "Made here")
    item.set_summary("Changed here")
    item.set_location("Room 6")
    start, end = item.get_dtstart(), item.get_dtend()
    start.adjust(0, 2, 0, 0)
    end.adjust(0, 2, 0, 0)
    item.set_dtstart(start)
    item.set_dtend(end)
    calendar.modify_object_sync(item, ALL, NO_FLAGS, None)
    return mine.facts("calendar", "Changed here", "Start", "End", "Location")


@step
def event_deleted_here():
    item = shown(calendar, "Changed here")
    calendar.remove_object_sync(item.get_uid(), None, ALL, NO_FLAGS, None)
    return mine.find("calendar", "Changed here") is None


def ews_event(subject, start, end, more=""):
    return (
        f"<t:CalendarItem><t:Subject>{subject}</t:Subject><t:Start>{start}</t:Start><t:End>{end}</t:End>{more}"
        "</t:CalendarItem>"
    )


@step
def event_from_elsewhere():
    item = mine.create("calendar", ews_event("Made there", "2027-03-03T09:00:00Z", "2027-03-03T10:00:00Z",
                                             "<t:Location>Hall</t:Location>"))  # fmt: skip
    found = shown(calendar, "Made there")
    first = [utc(found.get_dtstart()), utc(found.get_dtend()), found.get_location()]
    mine.update(item, "CalendarItem", "item:Subject", "<t:Subject>Changed there</t:Subject>")
    second = shown(calendar, "Changed there").get_location()
    mine.delete(item)
    return [*first, second, hidden(calendar, "Changed there")]


# --- series
@step
def series_made_here():
    rule = "RRULE:FREQ=WEEKLY;COUNT=4;BYDAY=MO\n"
    calendar.create_object_sync(event("Weekly here", "20270308T090000", "20270308T100000", rule), NO_FLAGS, None)
    span = "2027-03-01T00:00:00Z", "2027-05-01T00:00:00Z"

    def there():
        return [start for subject, start in mine.view(*span) if subject.startswith("Weekly here")]

    made = there()
    item = shown(calendar, "Weekly here")
    zone = BERLIN.get_tzid()
    moved = event("Weekly here moved", "20270316T140000", "20270316T150000",
                  f"RECURRENCE-ID;TZID={zone}:20270315T090000\n", item.get_uid())  # fmt: skip
    for x in ("X-EVOLUTION-ITEMID", "X-EVOLUTION-CHANGEKEY"):
        value = ECal.util_component_dup_x_property(item, x)
        if value:
            ECal.util_component_set_x_property(moved, x, value)
    calendar.modify_object_sync(moved, THIS, NO_FLAGS, None)
    changed = there()
    calendar.remove_object_sync(item.get_uid(), "20270322T090000", THIS, NO_FLAGS, None)
    left = there()
    calendar.remove_object_sync(item.get_uid(), None, ALL, NO_FLAGS, None)
    return [made, changed, left, there()]


@step
def series_from_elsewhere():
    pattern = (
        "<t:Recurrence><t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Tuesday</t:DaysOfWeek>"
        "</t:WeeklyRecurrence><t:NumberedRecurrence><t:StartDate>2027-03-09</t:StartDate>"
        "<t:NumberOfOccurrences>3</t:NumberOfOccurrences></t:NumberedRecurrence></t:Recurrence>"
        '<t:StartTimeZone Id="W. Europe Standard Time"/><t:EndTimeZone Id="W. Europe Standard Time"/>'
    )
    series = mine.create("calendar", ews_event("Weekly there", "2027-03-09T08:00:00Z", "2027-03-09T09:00:00Z", pattern))
    shown(calendar, "Weekly there")

    def settle(wanted):
        return settled(lambda: starts(calendar, "Weekly there"), wanted)

    made = settle(["20270309T080000Z", "20270316T080000Z", "20270323T080000Z"])
    second = mine.occurrence(series, 2)
    mine.update(second, "CalendarItem", "calendar:End", "<t:End>2027-03-17T14:00:00Z</t:End>")
    mine.update(second, "CalendarItem", "calendar:Start", "<t:Start>2027-03-17T13:00:00Z</t:Start>")
    moved = settle(["20270309T080000Z", "20270317T130000Z", "20270323T080000Z"])
    mine.delete(mine.occurrence(series, 3))
    left = settle(["20270309T080000Z", "20270317T130000Z"])
    mine.delete(series)
    return [made, moved, left, hidden(calendar, "Weekly there")]


# --- meetings
def attendee(item, who):
    """How somebody takes part."""
    found = item.get_first_property(ICalGLib.PropertyKind.ATTENDEE_PROPERTY)
    while found is not None:
        if found.get_attendee().lower() == f"mailto:{who}":
            return found.get_parameter_as_string("PARTSTAT")
        found = item.get_next_property(ICalGLib.PropertyKind.ATTENDEE_PROPERTY)
    return None


@step
def invited():
    """By somebody else: shown, accepted, seen by who invited, called off."""
    people = (
        f"<t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>{address}</t:EmailAddress></t:Mailbox>"
        "</t:Attendee></t:RequiredAttendees>"
    )
    meeting = theirs.create(
        "calendar", ews_event("Invitation", "2027-03-04T09:00:00Z", "2027-03-04T10:00:00Z", people),
        send="SendToAllAndSaveCopy",
    )  # fmt: skip
    item = shown(calendar, "Invitation")
    first = [prop(item, ICalGLib.PropertyKind.ORGANIZER_PROPERTY).lower(), attendee(item, address)]
    # as its window for invitations does: the request, with one's own answer in it
    answer = item.clone()
    one = answer.get_first_property(ICalGLib.PropertyKind.ATTENDEE_PROPERTY)
    while one is not None:
        if one.get_attendee().lower() == f"mailto:{address}":
            one.set_parameter_from_string("PARTSTAT", "ACCEPTED")
            one.set_parameter_from_string("RSVP", "TRUE")
        one = answer.get_next_property(ICalGLib.PropertyKind.ATTENDEE_PROPERTY)
    whole = ICalGLib.Component.new_vcalendar()
    whole.set_method(ICalGLib.PropertyMethod.REQUEST)
    whole.add_component(answer)
    calendar.receive_objects_sync(whole, NO_FLAGS, None)
    second = theirs.wait(
        lambda: theirs.facts("calendar", "Invitation", "ResponseType"), lambda found: found == ["Accept"]
    )
    third = settled(lambda: attendee(shown(calendar, "Invitation"), address), "ACCEPTED")
    theirs.delete(meeting, send="SendToAllAndSaveCopy")

    def called_off():
        found = listed(calendar, "Invitation")
        return not found or prop(found[0], ICalGLib.PropertyKind.STATUS_PROPERTY) == "CANCELLED"

    return [*first, second, third, wait(called_off)]


@step
def inviting():
    """Somebody else, by making it here; and calling it off."""
    people = (
        f"ORGANIZER:mailto:{address}\nATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{other}\n"
    )
    calendar.create_object_sync(event("Inviting", "20270305T100000", "20270305T110000", people), NO_FLAGS, None)

    def there(*names):
        return lambda: theirs.facts("calendar", "Inviting", *names)

    got = theirs.wait(there("Start", "MyResponseType", "EmailAddress"), bool)
    item = shown(calendar, "Inviting")
    calendar.remove_object_sync(item.get_uid(), None, ALL, NO_FLAGS, None)
    off = theirs.wait(
        lambda: theirs.find("calendar", "Canceled: Inviting") is not None or there("IsCancelled")() == ["true"],
        bool,
    )
    return [got, mine.find("calendar", "Inviting") is None, off]


@step
def free_busy():
    busy = theirs.create(
        "calendar", ews_event("Secret", "2027-03-06T09:00:00Z", "2027-03-06T10:00:00Z",
                              "<t:LegacyFreeBusyStatus>OOF</t:LegacyFreeBusyStatus>"),
    )  # fmt: skip
    begin, end = (ICalGLib.Time.new_from_string(f"202703{day}T000000Z").as_timet() for day in ("06", "07"))
    _, found = calendar.get_free_busy_sync(begin, end, [other], None)
    theirs.delete(busy)
    text = "\n".join(one.get_as_string() for one in found).replace("\r\n ", "")
    return [line for line in text.splitlines() if line.startswith("FREEBUSY")]


# --- tasks and notes
@step
def tasks():
    client = opened("Tasks", ECal.ClientSourceType.TASKS)
    client.create_object_sync(
        component("BEGIN:VTODO\nDTSTAMP:20270101T000000Z\nSUMMARY:Task here\nDUE;VALUE=DATE:20270310\nPRIORITY:1\n"
                  "DESCRIPTION:Words\nEND:VTODO\n"), NO_FLAGS, None)  # fmt: skip
    made = mine.facts("tasks", "Task here", "Status", "DueDate", "Importance", "Body")
    item = shown(client, "Task here")
    item.set_status(ICalGLib.PropertyStatus.COMPLETED)
    item.add_property(ICalGLib.Property.new_percentcomplete(100))
    item.add_property(ICalGLib.Property.new_completed(ICalGLib.Time.new_from_string("20270309T120000Z")))
    client.modify_object_sync(item, ALL, NO_FLAGS, None)
    done = mine.facts("tasks", "Task here", "Status", "IsComplete")
    client.remove_object_sync(shown(client, "Task here").get_uid(), None, ALL, NO_FLAGS, None)
    gone = mine.find("tasks", "Task here") is None
    task = mine.create(
        "tasks", "<t:Task><t:Subject>Task there</t:Subject><t:DueDate>2027-03-11T00:00:00Z</t:DueDate></t:Task>"
    )
    found = shown(client, "Task there")
    due = prop(found, ICalGLib.PropertyKind.DUE_PROPERTY)[:8]
    mine.update(task, "Task", "task:Status", "<t:Status>Completed</t:Status>")
    state = settled(lambda: prop(shown(client, "Task there"), ICalGLib.PropertyKind.STATUS_PROPERTY), "COMPLETED")
    mine.delete(task)
    return [made, done, gone, due, state, hidden(client, "Task there")]


@step
def notes():
    client = opened("Notes", ECal.ClientSourceType.MEMOS)
    client.create_object_sync(
        component("BEGIN:VJOURNAL\nDTSTAMP:20270101T000000Z\nSUMMARY:Note here\nDESCRIPTION:Words\nEND:VJOURNAL\n"),
        NO_FLAGS, None,
    )  # fmt: skip
    made = mine.facts("notes", "Note here", "ItemClass", "Body")
    item = shown(client, "Note here")
    item.set_description("Other words")
    client.modify_object_sync(item, ALL, NO_FLAGS, None)
    changed = mine.facts("notes", "Note here", "Body")
    client.remove_object_sync(shown(client, "Note here").get_uid(), None, ALL, NO_FLAGS, None)
    gone = mine.find("notes", "Note here") is None
    note = mine.create(
        "notes",
        "<t:Message><t:ItemClass>IPM.StickyNote</t:ItemClass><t:Subject>Note there</t:Subject>"
        '<t:Body BodyType="Text">Words</t:Body></t:Message>',
    )
    there = shown(client, "Note there").get_description()
    mine.delete(note)
    return [made, changed, gone, there.strip(), hidden(client, "Note there")]


# --- contacts
@step
def contacts():
    source = children()["Contacts"][1]
    client = EBook.BookClient.connect_sync(source, 0xFFFFFFFF, None)
    authenticated(source)

    def named(name):
        client.refresh_sync(None)
        _, found = client.get_contacts_sync(f'(contains "full_name" "{name}")', None)
        return found

    contact = EBookContacts.Contact.new_from_vcard(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Olga Petrova\r\nN:Petrova;Olga;;;\r\nEMAIL;TYPE=WORK:olga@example.net\r\n"
        "TEL;TYPE=CELL:+371 1\r\nORG:Acme\r\nBDAY:1980-02-29\r\nEND:VCARD\r\n"
    )
    client.add_contact_sync(contact, EBookContacts.BookOperationFlags.NONE, None)
    made = mine.facts("contacts", "Petrova, Olga", "GivenName", "Surname", "CompanyName", "Birthday")
    (found,) = wait(lambda: named("Olga"))
    found.set_property("nickname", "Olja")
    found.set_property("email-1", "petrova@example.net")
    client.modify_contact_sync(found, EBookContacts.BookOperationFlags.NONE, None)
    item = mine.find("contacts", "Petrova, Olga")
    assert item is not None, mine.named("contacts")
    changed = (
        sorted(one.text for one in item.iter() if one.text and "petrova@" in one.text)[:1],
        next(one.text for one in item.iter() if one.tag.endswith("Nickname")),
    )
    searched = [
        one.get_property("full-name") for one in client.get_contacts_sync('(contains "email" "petrova@")', None)[1]
    ]
    client.remove_contact_sync(found, EBookContacts.BookOperationFlags.NONE, None)
    gone = mine.find("contacts", "Petrova, Olga") is None
    there = mine.create(
        "contacts",
        "<t:Contact><t:DisplayName>Ivan There</t:DisplayName><t:GivenName>Ivan</t:GivenName><t:EmailAddresses>"
        '<t:Entry Key="EmailAddress1">ivan@example.net</t:Entry></t:EmailAddresses><t:Surname>There</t:Surname>'
        "</t:Contact>",
    )
    (shown_one,) = wait(lambda: named("Ivan"))
    facts = [shown_one.get_property("full-name"), shown_one.get_property("email-1")]
    mine.update(there, "Contact", "contacts:JobTitle", "<t:JobTitle>Baker</t:JobTitle>")
    title = settled(lambda: named("Ivan")[0].get_property("title"), "Baker")
    mine.delete(there)
    return [made, changed, searched, gone, facts, title, wait(lambda: not named("Ivan"))]


tell()
