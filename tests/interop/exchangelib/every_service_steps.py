"""Runs inside the mail network: every service class that exchangelib has, for an account found by its address alone.

    python every_service_steps.py MECHANISM USER PASSWORD ADDRESS OTHER

MECHANISM is `basic` or `NTLM`. Prints JSON: `services` (all that the package has), `answered` (those that got a success
from the server), `seconds` and `problems` by step. A step that fails says why, and the others go on.
"""

import datetime as dt
import importlib
import json
import pkgutil
import sys
import threading
import time
import traceback
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer

from exchangelib import (
    UTC,
    Account,
    CalendarItem,
    Configuration,
    Contact,
    Credentials,
    EWSDateTime,
    FileAttachment,
    Folder,
    ItemAttachment,
    Message,
    OofSettings,
    services,
)  # fmt: skip
from exchangelib.autodiscover.protocol import AutodiscoverProtocol
from exchangelib.folders import Messages
from exchangelib.indexed_properties import EmailAddress
from exchangelib.properties import Actions, AlternateId, Conditions, FolderId, Mailbox, MoveToFolder, Rule, SendingAs
from exchangelib.services.common import EWSService

mechanism, user, password, address, other = sys.argv[1:]
seconds: dict[str, float] = {}
problems: dict[str, str] = {}
answered: set[str] = set()
TOKEN = uuid.uuid4().hex
WAIT_S = 20


# --- what the package has, and what of it was answered
BASES = {"Subscribe", "UpdateInboxRules"}
"""Have a service's name, and are called by way of their subclasses alone."""


def callable_services(kind):
    below = {one for each in kind.__subclasses__() for one in callable_services(each)}
    itself = "SERVICE_NAME" in vars(kind) and kind.SERVICE_NAME and kind.__name__ not in BASES
    return below | {kind} if itself or not below else below


for module in pkgutil.iter_modules(services.__path__):
    importlib.import_module(f"{services.__name__}.{module.name}")
SERVICES = callable_services(EWSService)


def watch(service):
    """Note each success that an answer's element says."""
    original = service._get_element_container

    def container(self, message, name=None):
        found = original(self, message, name)
        if not isinstance(found, Exception):
            answered.add(type(self).__name__)
        return found

    service._get_element_container = container


for each in SERVICES:
    watch(each)


def step(call):
    began = time.monotonic()
    try:
        call()
    except Exception:
        problems[call.__name__] = traceback.format_exc()[-3000:]
    seconds[call.__name__] = round(time.monotonic() - began, 2)


def wait(ask):
    end = time.monotonic() + WAIT_S
    while True:
        found = ask()
        if found or time.monotonic() > end:
            assert found, f"nothing within {WAIT_S} s"
            return found
        time.sleep(0.05)


def gone(folder, **what):
    return not folder.filter(**what).exists()


account: Account
folder: Folder


# --- where it is
@step
def autodiscover():
    global account, folder
    AutodiscoverProtocol.get_auth_type = lambda self: mechanism
    credentials = Credentials(user, password)
    account = Account(
        address, credentials=credentials, config=Configuration(auth_type=mechanism, credentials=credentials),
        autodiscover=True, access_type="delegate", default_timezone=UTC,
    )  # fmt: skip
    assert account.protocol.service_endpoint == "https://mail.example.org/EWS/Exchange.asmx"
    assert account.protocol.auth_type == mechanism
    assert account.version.api_version == "Exchange2013_SP1"
    assert account.primary_smtp_address == address


# --- folders
@step
def folders():
    global folder
    assert {"Inbox", "Drafts", "Calendar", "Contacts"} <= {one.name for one in account.msg_folder_root.walk()}
    list(account.inbox.sync_hierarchy())
    folder = Folder(parent=account.inbox, name=TOKEN)
    folder.save()
    assert [(kind, one.name) for kind, one in account.inbox.sync_hierarchy()] == [("create", TOKEN)]
    second = Messages(parent=account.inbox, name=f"{TOKEN} second")
    second.save()
    second.name = f"{TOKEN} renamed"
    second.save()
    second.move(to_folder=folder)
    second.refresh()
    assert second.name == f"{TOKEN} renamed" and second.parent_folder_id.id == folder.id
    Message(folder=second, subject="in it").save()
    second.empty()
    second.refresh()
    assert second.total_count == 0
    second.delete()


# --- messages
@step
def messages():
    assert list(folder.sync_items()) == []
    draft = Message(account=account, folder=folder, subject="first", body="hello", to_recipients=[other])
    draft.save()
    draft.subject = TOKEN
    draft.save(update_fields=["subject"])
    assert [(kind, one.subject) for kind, one in folder.sync_items()] == [("create", TOKEN)]
    draft.attach(FileAttachment(name="a.bin", content=bytes(range(256)) * 100))
    draft.attach(ItemAttachment(name="inner", item=Message(folder=folder, subject="inner", body="deep")))
    again = folder.get(id=draft.id)
    kinds = {type(one).__name__: one for one in again.attachments}
    assert kinds["FileAttachment"].content == bytes(range(256)) * 100
    assert kinds["ItemAttachment"].item.subject == "inner"
    again.detach(kinds["FileAttachment"])
    (only,) = folder.get(id=draft.id).attachments
    assert only.name == "inner"
    assert folder.filter(subject__startswith=TOKEN[:20], has_attachments=True).count() == 1
    copy_id, _ = draft.copy(to_folder=account.drafts)
    account.drafts.get(id=copy_id).move(to_folder=folder)
    assert folder.all().count() == 2
    for one in list(folder.all()):
        one.delete()
    assert [kind for kind, _ in folder.sync_items()] == ["delete"]


@step
def sending():
    draft = Message(account=account, folder=account.drafts, subject=f"{TOKEN} sent", body="x", to_recipients=[address])
    draft.save()
    draft.send()
    got = wait(lambda: list(account.inbox.filter(subject=f"{TOKEN} sent")))[0]
    assert got.sender.email_address == address
    assert account.sent.get(subject=f"{TOKEN} sent").is_read


@step
def junk():
    item = account.inbox.get(subject=f"{TOKEN} sent")
    (moved,) = account.bulk_mark_as_junk([item], is_junk=True, move_item=True)
    assert account.junk.get(id=moved[0]).subject == item.subject
    (back,) = account.bulk_mark_as_junk([moved], is_junk=False, move_item=True)
    assert account.inbox.get(id=back[0]).subject == item.subject


@step
def exporting():
    item = Message(account=account, folder=folder, subject=f"{TOKEN} exported", body="text")
    item.save()
    (data,) = list(account.export([item]))
    ((new, _),) = list(account.upload([(folder, data)]))
    assert new != item.id and folder.get(id=new).subject == item.subject


@step
def archiving():
    item = Message(account=account, folder=folder, subject=f"{TOKEN} archived", body="text")
    item.save()
    assert not isinstance(item.archive(to_folder=folder), Exception)
    assert gone(folder, subject=item.subject)


# --- calendar
@step
def free_busy():
    start = EWSDateTime(2027, 3, 1, 9, 0, tzinfo=UTC)
    item = CalendarItem(
        folder=account.calendar, subject=TOKEN, start=start, end=start + dt.timedelta(hours=1),
        legacy_free_busy_status="OOF",
    )  # fmt: skip
    item.save()
    mine, theirs = list(
        account.protocol.get_free_busy_info(
            accounts=[(account, "Required", False), (other, "Optional", False)], start=start - dt.timedelta(hours=1),
            end=start + dt.timedelta(hours=3), merged_free_busy_interval=60, requested_view="DetailedMerged",
        )
    )  # fmt: skip
    assert mine.merged == "0300" and theirs.merged == "0000"
    assert [one.busy_type for one in mine.calendar_events] == ["OOF"]
    item.delete()


@step
def zones():
    assert {"W. Europe Standard Time", "Russian Standard Time", "UTC"} <= {
        one.id for one in account.protocol.get_timezones()
    }


@step
def ids():
    one = AlternateId(id=account.inbox.id, format="EwsId", mailbox=address)
    (spelled,) = list(account.protocol.convert_ids([one], destination_format="HexEntryId"))
    assert bytes.fromhex(spelled.id)


# --- people
@step
def names():
    (found,) = account.protocol.resolve_names([other])
    assert found.email_address == other
    members = {one.email_address for one in account.protocol.expand_dl("team@example.org")}
    assert members == {address, other}


@step
def persons():
    contact = Contact(
        folder=account.contacts, given_name="Olga", surname=TOKEN, display_name=f"Olga {TOKEN}",
        email_addresses=[EmailAddress(email=f"{TOKEN}@example.net", label="EmailAddress1")],
    )  # fmt: skip
    contact.save()
    found = [one for one in account.contacts.people().filter(display_name=f"Olga {TOKEN}")]
    assert [one.display_name for one in found] == [f"Olga {TOKEN}"]
    (persona,) = list(account.fetch_personas(found))
    assert not isinstance(persona, Exception), persona
    assert f"{TOKEN}@example.net" in {one.email_address for one in persona.email_addresses}
    contact.delete()


@step
def rooms():
    (found,) = [one for one in account.protocol.get_roomlists() if one.email_address == "rooms@example.org"]
    rooms = list(account.protocol.get_rooms(found.email_address))
    assert [one.email_address for one in rooms] == ["library@example.org"]


@step
def mail_tips():
    assert not isinstance(account.mail_tips, Exception)
    tips = list(
        services.GetMailTips(protocol=account.protocol).call(
            sending_as=SendingAs(email_address=address), recipients=[Mailbox(email_address=other)],
            mail_tips_requested="All",
        )
    )  # fmt: skip
    assert [one.recipient_address.email_address for one in tips] == [other]
    assert tips[0].mailbox_full is False and tips[0].invalid_recipient is False


@step
def delegates():
    (found,) = account.delegates
    assert found.user_id.primary_smtp_address == other
    assert found.delegate_permissions.calendar_folder_permission_level == "Editor"
    assert found.receive_copies_of_meeting_messages is True


@step
def searchable_mailboxes():
    found = account.protocol.get_searchable_mailboxes(search_filter=address)
    assert [one.primary_smtp_address for one in found] == [address]


# --- settings
@step
def user_configurations():
    name, values = f"Postern.{TOKEN}", {"a": "b", "n": 7}
    account.inbox.create_user_configuration(name=name, dictionary=values)
    assert account.inbox.get_user_configuration(name=name).dictionary == values
    account.inbox.update_user_configuration(name=name, xml_data=b"<a/>")
    assert account.inbox.get_user_configuration(name=name).xml_data == b"<a/>"
    account.inbox.delete_user_configuration(name=name)


@step
def out_of_office():
    start = EWSDateTime(2037, 1, 1, tzinfo=UTC)
    account.oof_settings = OofSettings(
        state="Scheduled", external_audience="Known", start=start, end=start + dt.timedelta(days=3),
        internal_reply="Away", external_reply="Away too",
    )  # fmt: skip
    found = account.oof_settings
    assert (found.state, found.start, found.internal_reply) == ("Scheduled", start, "Away")
    account.oof_settings = OofSettings(state="Disabled", internal_reply="", external_reply="")
    assert account.oof_settings.state == "Disabled"


@step
def inbox_rules():
    target = FolderId(id=folder.id, changekey=folder.changekey)
    rule = Rule(
        account=account, display_name=TOKEN, priority=1, is_enabled=True,
        conditions=Conditions(contains_subject_strings=[f"{TOKEN} ruled"]),
        actions=Actions(move_to_folder=MoveToFolder(folder_id=target), stop_processing_rules=True),
    )  # fmt: skip
    account.create_rule(rule)
    assert rule.id
    rule.display_name = f"{TOKEN} renamed"
    account.set_rule(rule)
    (found,) = [one for one in account.rules if one.id == rule.id]
    assert found.display_name == f"{TOKEN} renamed"
    assert found.conditions.contains_subject_strings == [f"{TOKEN} ruled"]
    assert found.actions.move_to_folder.folder_id.id == folder.id
    Message(account=account, subject=f"{TOKEN} ruled", body="x", to_recipients=[address]).send()
    wait(lambda: folder.filter(subject=f"{TOKEN} ruled").exists())
    account.delete_rule(rule)
    assert not [one for one in account.rules if one.display_name.startswith(TOKEN)]


# --- notifications
@step
def pulling():
    with folder.pull_subscription(event_types=["CreatedEvent"], timeout=10) as (subscription, mark):
        made = Message(account=account, folder=folder, subject=TOKEN)
        made.save()
        (told,) = list(folder.get_events(subscription, mark))
        assert made.id in {one.item_id.id for one in told.events if hasattr(one, "item_id") and one.item_id}


@step
def streaming():
    with folder.streaming_subscription(event_types=["CreatedEvent"]) as subscription:
        made = Message(account=account, folder=folder, subject=TOKEN)
        made.save()
        for told in folder.get_streaming_events(subscription, connection_timeout=1, max_notifications_returned=1):
            assert {one.item_id.id for one in told.events} == {made.id}


told_here = []


class Listener(BaseHTTPRequestHandler):
    """Where the server pushes to; exchangelib reads what comes and says what is answered."""

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        service = services.SendNotification(protocol=account.protocol)
        told_here.extend(service.parse(raw))
        events = {type(one).__name__ for note in told_here for one in note.events}
        answer = service.unsubscribe_payload() if "CreatedEvent" in events else service.ok_payload()
        self.send_response(200)
        self.send_header("content-type", "text/xml; charset=utf-8")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@step
def pushing():
    server = HTTPServer(("192.0.2.80", 8099), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with folder.push_subscription(callback_url="http://example.net:8099/told", event_types=["CreatedEvent"]) as (
        subscription, _,
    ):  # fmt: skip
        made = Message(account=account, folder=folder, subject=TOKEN)
        made.save()
        wait(lambda: [e for note in told_here for e in note.events if getattr(e, "item_id", None)])
        assert {note.subscription_id for note in told_here} == {subscription}
        told = [e.item_id.id for note in told_here for e in note.events if getattr(e, "item_id", None)]
        assert told == [made.id]
    server.shutdown()
    server.server_close()


@step
def clearing():
    folder.delete()


print(
    json.dumps(
        {
            "services": sorted(one.__name__ for one in SERVICES),
            "names": sorted({one.SERVICE_NAME for one in SERVICES}),
            "answered": sorted(answered),
            "seconds": seconds,
            "problems": problems,
        }
    )
)
