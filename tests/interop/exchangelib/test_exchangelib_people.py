"""exchangelib and whom people work with: rules, delegates, mail tips, rooms, personas, push notifications."""

from __future__ import annotations

import http.server
import threading
import uuid

import pytest
import requests
from exchangelib import Contact, Message
from exchangelib.folders import Messages
from exchangelib.properties import (
    Actions,
    Conditions,
    FolderId,
    Mailbox,
    MoveToFolder,
    Rule,
    SendingAs,
)
from exchangelib.services import GetMailTips, GetPersona, SendNotification
from test_exchangelib import account, wait_for

pytestmark = [
    pytest.mark.interop,
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def owner(demo):
    one = account(demo, 8)
    yield one
    one.protocol.close()


@pytest.fixture(scope="module")
def other(demo):
    one = account(demo, 9)
    yield one
    one.protocol.close()


def test_rules_are_made_changed_followed_and_deleted(owner, other):
    name = uuid.uuid4().hex
    folder = Messages(parent=owner.inbox, name=name)
    folder.save()
    target = MoveToFolder(folder_id=FolderId(id=folder.id))
    rule = Rule(
        account=owner,
        display_name=name,
        priority=1,
        is_enabled=True,
        conditions=Conditions(contains_subject_strings=["bill"]),
        actions=Actions(move_to_folder=target, mark_as_read=True),
    )
    rule.save()
    assert rule.id
    (found,) = [one for one in owner.rules if one.display_name == name]
    assert found.conditions.contains_subject_strings == ["bill"] and found.actions.mark_as_read
    Message(account=other, subject=f"bill {name}", to_recipients=[owner.primary_smtp_address]).send()
    assert wait_for(folder, f"bill {name}").is_read
    found.conditions.contains_subject_strings = ["invoice"]
    found.save()
    (again,) = [one for one in owner.rules if one.display_name == name]
    assert again.id == found.id and again.conditions.contains_subject_strings == ["invoice"]
    again.is_enabled = False
    again.save()
    (again,) = [one for one in owner.rules if one.display_name == name]
    again.delete()
    assert name not in [one.display_name for one in owner.rules]


DELEGATE = """<?xml version="1.0"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types">
<s:Header><t:RequestServerVersion Version="Exchange2013_SP1"/></s:Header><s:Body><m:AddDelegate>
<m:Mailbox><t:EmailAddress>{owner}</t:EmailAddress></m:Mailbox><m:DelegateUsers><t:DelegateUser>
<t:UserId><t:PrimarySmtpAddress>{other}</t:PrimarySmtpAddress></t:UserId><t:DelegatePermissions>
<t:CalendarFolderPermissionLevel>Editor</t:CalendarFolderPermissionLevel></t:DelegatePermissions>
<t:ReceiveCopiesOfMeetingMessages>true</t:ReceiveCopiesOfMeetingMessages></t:DelegateUser></m:DelegateUsers>
</m:AddDelegate></s:Body></s:Envelope>"""


def test_delegates_are_read(demo, owner, other):
    assert list(owner.delegates) == []
    # exchangelib reads delegates and has no way to name one
    given = DELEGATE.format(owner=owner.primary_smtp_address, other=other.primary_smtp_address)
    answer = requests.post(
        owner.protocol.service_endpoint,
        given.encode(),
        headers={"Content-Type": "text/xml"},
        auth=demo.user(8),
        verify=False,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    (found,) = owner.delegates
    assert found.user_id.primary_smtp_address == other.primary_smtp_address
    assert found.delegate_permissions.calendar_folder_permission_level == "Editor"
    assert found.receive_copies_of_meeting_messages is True and found.view_private_items is False


def test_mail_tips(owner, other):
    asked = GetMailTips(protocol=owner.protocol).call(
        sending_as=SendingAs(email_address=owner.primary_smtp_address),
        recipients=[
            Mailbox(email_address=other.primary_smtp_address),
            Mailbox(email_address=f"nobody@{owner.domain}"),
        ],
        mail_tips_requested="All",
    )
    tips = list(asked)
    assert [one.invalid_recipient for one in tips] == [False, True]
    assert tips[0].recipient_address.email_address == other.primary_smtp_address
    assert tips[0].mailbox_full is False and tips[0].is_moderated is False


def test_rooms_and_people(owner):
    assert list(owner.protocol.get_roomlists()) == []
    name = uuid.uuid4().hex
    Contact(folder=owner.contacts, display_name=name, given_name="Olga", email_addresses=[]).save()
    found = [one for one in owner.contacts.people() if one.display_name == name]
    assert [one.given_name for one in found] == ["Olga"]
    (whole,) = GetPersona(account=owner).call(personas=found)
    assert whole.display_name == name and whole.display_names[0].value == name


def test_push_notifications(owner, other):
    told = []
    came = threading.Event()
    reader = SendNotification(protocol=None)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.extend(event for one in reader.parse(body) for event in one.events)
            answer = reader.ok_payload()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)
            came.set()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        id_, watermark = owner.inbox.subscribe_to_push(url, event_types=["NewMailEvent"], status_frequency=1)
        assert id_ and watermark
        Message(account=other, subject="news", to_recipients=[owner.primary_smtp_address]).send()
        for _ in range(300):
            if any(type(one).__name__ == "NewMailEvent" for one in told):
                break
            came.wait(0.1)
            came.clear()
        came.wait(2)  # the next worker would have sent it by now
        assert [type(one).__name__ for one in told].count("NewMailEvent") == 1
        owner.inbox.unsubscribe(id_)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
