"""exchangelib against a started server: TLS, Basic, every service of mail it has. The EWS URL is given by hand."""

from __future__ import annotations

import uuid

import pytest
from exchangelib import (
    DELEGATE,
    Account,
    CalendarItem,
    Configuration,
    Credentials,
    EWSDateTime,
    EWSTimeZone,
    ExtendedProperty,
    FileAttachment,
    Folder,
    ItemAttachment,
    Message,
)
from exchangelib.errors import ErrorInvalidSyncStateData, ErrorItemNotFound
from exchangelib.folders import FolderCollection, Messages
from exchangelib.protocol import BaseProtocol
from exchangelib.queryset import Q
from exchangelib.services import ConvertId
from held_adapter import HeldAdapter

pytestmark = [
    pytest.mark.interop,
    # exchangelib's own habits: unverified TLS on purpose, sessions that live as long as the process
    pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def account(demo, number: int) -> Account:
    address, password = demo.user(number)
    BaseProtocol.HTTP_ADAPTER_CLS = HeldAdapter
    config = Configuration(
        service_endpoint=f"https://{demo.host}:{demo.ports['https']}/EWS/Exchange.asmx",
        credentials=Credentials(address, password),
        auth_type="basic",
    )
    made = Account(address, config=config, autodiscover=False, access_type=DELEGATE)
    assert made.version.api_version == "Exchange2013_SP1"  # asks the server
    return made


@pytest.fixture(scope="module")
def sender(demo):
    one = account(demo, 6)
    yield one
    one.protocol.close()


@pytest.fixture(scope="module")
def reader(demo):
    one = account(demo, 7)
    yield one
    one.protocol.close()


def wait_for(folder, subject: str):
    for _ in range(300):
        found = list(folder.filter(subject=subject))
        if found:
            return found[0]
    raise AssertionError(f"{subject} did not arrive")


def test_version_and_tree(sender):
    assert sender.version.api_version == "Exchange2013_SP1"
    assert sender.inbox.name == "Inbox" and sender.inbox.folder_class == "IPF.Note"
    names = {one.name for one in sender.msg_folder_root.walk()}
    assert {"Inbox", "Drafts", "Sent Items", "Deleted Items", "Calendar", "Contacts"} <= names
    assert sender.sent.absolute.endswith("/Top of Information Store/Sent Items")


def test_folders_made_renamed_moved_emptied_deleted(sender):
    name = uuid.uuid4().hex
    folder = Messages(parent=sender.inbox, name=name)
    folder.save()
    assert folder in list(sender.inbox.children)
    folder.name = f"{name} renamed"
    folder.save()
    folder.refresh()
    assert folder.name == f"{name} renamed"
    Message(folder=folder, subject="in it").save()
    folder.move(to_folder=sender.drafts)
    folder.refresh()
    assert folder.total_count == 1 and folder.parent_folder_id.id == sender.drafts.id
    folder.empty()
    folder.refresh()
    assert folder.total_count == 0
    folder.delete()
    sender.root.clear_cache()
    left = FolderCollection(account=sender, folders=[sender.drafts]).find_folders()
    assert name not in " ".join(one.name for one in left)


def test_a_message_is_written_changed_and_sent(sender, reader):
    token = uuid.uuid4().hex
    draft = Message(
        account=sender, folder=sender.drafts, subject="first", body="hello", to_recipients=[reader.primary_smtp_address]
    )
    draft.save()
    draft.subject = token
    draft.categories = ["Red", "Дело № 5"]
    draft.importance = "High"
    draft.save(update_fields=["subject", "categories", "importance"])
    draft.attach(FileAttachment(name="report.txt", content=b"numbers \x00\xff"))
    again = sender.drafts.get(subject=token)
    assert set(again.categories) == {"Red", "Дело № 5"} and again.importance == "High"
    assert [one.name for one in again.attachments] == ["report.txt"]
    again.send_and_save()
    got = wait_for(reader.inbox, token)
    assert got.sender.email_address == sender.primary_smtp_address
    assert got.text_body.strip() == "hello" and not got.is_read
    assert got.attachments[0].content == b"numbers \x00\xff"
    assert sender.sent.get(subject=token).is_read
    assert b"numbers" not in got.mime_content and token.encode() in got.mime_content
    got.is_read = True
    got.save(update_fields=["is_read"])
    reader.inbox.refresh()
    assert reader.inbox.get(subject=token).is_read


def test_replying_and_forwarding(sender, reader):
    token = uuid.uuid4().hex
    Message(account=sender, subject=token, body="question", to_recipients=[reader.primary_smtp_address]).send()
    got = wait_for(reader.inbox, token)
    got.reply(f"RE: {token}", "answer")
    back = wait_for(sender.inbox, f"RE: {token}")
    assert "answer" in back.text_body and "question" in back.text_body
    got.forward(f"FW: {token}", "see below", to_recipients=[sender.primary_smtp_address])
    assert "see below" in wait_for(sender.inbox, f"FW: {token}").text_body


def test_moving_copying_deleting(sender):
    token = uuid.uuid4().hex
    item = Message(folder=sender.drafts, subject=token)
    item.save()
    copy_id, _ = item.copy(to_folder=sender.inbox)
    assert copy_id != item.id
    item.move(to_folder=sender.inbox)
    assert sender.inbox.filter(subject=token).count() == 2
    item.move_to_trash()
    assert sender.trash.filter(subject=token).count() == 1
    copy, same = sender.inbox.get(subject=token), sender.inbox.get(subject=token)
    copy.soft_delete()
    sender.trash.get(subject=token).delete()
    with pytest.raises(ErrorItemNotFound):
        same.refresh()


def test_queries(sender):
    token = uuid.uuid4().hex
    folder = Folder(parent=sender.inbox, name=token)
    folder.save()
    sender.bulk_create(
        folder, [Message(subject=f"{token} {n:02}", importance=("Low", "High")[n % 2], body="x" * n) for n in range(25)]
    )
    assert folder.all().count() == 25
    assert folder.filter(subject__startswith=token, importance="High").count() == 12
    assert folder.filter(Q(subject__contains=" 01") | Q(subject__contains=" 02")).count() == 2
    assert folder.exclude(subject__icontains=" 1").count() == 15
    ordered = [one.subject for one in folder.all().order_by("-subject").only("subject")[:3]]
    assert ordered == [f"{token} 24", f"{token} 23", f"{token} 22"]
    paged = folder.all().only("subject")
    paged.page_size = 10
    assert len({one.id for one in paged}) == 25
    assert folder.filter(is_read=False).count() == 25
    assert not folder.filter(has_attachments=True).exists()
    folder.all().delete()
    folder.delete()


def test_following_a_folder(sender):
    folder = Folder(parent=sender.inbox, name=uuid.uuid4().hex)
    folder.save()
    assert list(folder.sync_items()) == []
    item = Message(folder=folder, subject="one")
    item.save()
    changes = list(folder.sync_items())
    assert [(kind, one.subject) for kind, one in changes] == [("create", "one")]
    item.is_read = True
    item.save(update_fields=["is_read"])
    ((kind, what),) = list(folder.sync_items())
    assert kind == "read_flag_change" and what[1] is True
    item.subject = "two"
    item.save(update_fields=["subject"])
    assert [(kind, one.subject) for kind, one in folder.sync_items()] == [("update", "two")]
    item.delete()
    assert [kind for kind, _ in folder.sync_items()] == ["delete"]
    folder.delete()
    list(sender.inbox.sync_hierarchy())
    made = Folder(parent=sender.inbox, name=uuid.uuid4().hex)
    made.save()
    assert ("create", made.name) in [
        (kind, one.name) for kind, one in sender.inbox.sync_hierarchy() if kind != "delete"
    ]
    made.delete()


def test_attachments_of_both_kinds(sender):
    item = Message(folder=sender.drafts, subject="outer", body="x")
    item.save()
    item.attach(ItemAttachment(name="inner", item=Message(folder=sender.drafts, subject="inner", body="deep")))
    item.attach(FileAttachment(name="a.bin", content=bytes(range(256)) * 40))
    again = sender.drafts.get(id=item.id, changekey=item.changekey)
    kinds = {type(one).__name__: one for one in again.attachments}
    assert kinds["ItemAttachment"].item.subject == "inner"
    assert kinds["FileAttachment"].content == bytes(range(256)) * 40
    again.detach(kinds["FileAttachment"])
    assert [type(one).__name__ for one in sender.drafts.get(id=again.id, changekey=again.changekey).attachments] == [
        "ItemAttachment"
    ]
    again.delete()


def test_people_zones_and_ids(sender, reader):
    found = sender.protocol.resolve_names([reader.primary_smtp_address])
    assert [one.email_address for one in found] == [reader.primary_smtp_address]
    zones = {one.id for one in sender.protocol.get_timezones()}
    assert {"W. Europe Standard Time", "Russian Standard Time", "UTC"} <= zones
    from exchangelib.properties import AlternateId

    one = AlternateId(id=sender.inbox.id, format="EwsId", mailbox=sender.primary_smtp_address)
    (spelled,) = list(ConvertId(protocol=sender.protocol).call(items=[one], destination_format="HexEntryId"))
    assert bytes.fromhex(spelled.id)
    assert FolderCollection(account=sender, folders=[sender.inbox]).find_folders() is not None


def test_pull_notifications(reader):
    with reader.inbox.pull_subscription(event_types=["CreatedEvent"], timeout=10) as (subscription, mark):
        subject = uuid.uuid4().hex
        Message(account=reader, folder=reader.inbox, subject=subject).save()
        (told,) = list(reader.inbox.get_events(subscription, mark))
        assert "CreatedEvent" in {type(one).__name__ for one in told.events}


def test_streaming_notifications(reader):
    with reader.inbox.streaming_subscription(event_types=["CreatedEvent", "DeletedEvent"]) as subscription:
        made = Message(account=reader, folder=reader.inbox, subject=uuid.uuid4().hex)
        made.save()
        for told in reader.inbox.get_streaming_events(subscription, connection_timeout=1, max_notifications_returned=1):
            assert told.subscription_id == subscription
            assert {one.item_id.id for one in told.events} == {made.id}


def test_user_configurations(reader):
    name, values = "Postern.Test", {"a": "b", "n": 7}
    reader.inbox.create_user_configuration(name=name, dictionary=values)
    try:
        assert reader.inbox.get_user_configuration(name=name).dictionary == values
        reader.inbox.update_user_configuration(name=name, xml_data=b"<a/>")
        found = reader.inbox.get_user_configuration(name=name)
        assert found.xml_data == b"<a/>" and found.dictionary == values
    finally:
        reader.inbox.delete_user_configuration(name=name)


def test_items_exported_and_uploaded(reader):
    made = Message(account=reader, folder=reader.drafts, subject=uuid.uuid4().hex, body="text")
    made.save()
    (data,) = list(reader.export([made]))
    ((new, _),) = list(reader.upload([(reader.drafts, data)]))
    assert new != made.id and reader.drafts.get(id=new).subject == made.subject


class Several(ExtendedProperty):
    """A property of its own that has several values."""

    property_set_id = "c11ff724-aa03-4555-9952-8fa248a11c3e"
    property_name = "several"
    property_type = "StringArray"


def test_one_of_several_values(sender):
    token = uuid.uuid4().hex
    Message.register("several", Several)
    try:
        Message(folder=sender.drafts, subject=token, several=["a", "b"]).save()
        assert sender.drafts.filter(subject=token, several__contains=["a"]).count() == 1
        assert sender.drafts.filter(subject=token, several__contains=["a", "b"]).count() == 1
        assert sender.drafts.filter(subject=token, several__contains=["c"]).count() == 0
        assert sender.drafts.get(subject=token).several == ["a", "b"]
    finally:
        Message.deregister("several")


def test_from_the_root_down_and_states_of_nothing(sender):
    sender.root.clear_cache()
    assert (sender.root // "Top of Information Store" // "Inbox").id == sender.inbox.id
    assert not list(sender.msg_folder_root.all())
    for follow in (sender.inbox.sync_items, sender.inbox.sync_hierarchy):
        with pytest.raises(ErrorInvalidSyncStateData):
            list(follow(sync_state="rubbish"))


def test_an_appointment_attached_to_a_message(sender):
    start = EWSDateTime(2026, 11, 2, 9, 0, tzinfo=EWSTimeZone("Europe/Berlin"))
    inner = CalendarItem(subject="inner", start=start, end=start, location="Riga")
    item = Message(folder=sender.drafts, subject=uuid.uuid4().hex)
    item.attach(ItemAttachment(name="inner", item=inner))
    item.save()
    (found,) = sender.drafts.get(id=item.id, changekey=item.changekey).attachments
    assert (found.item.subject, found.item.start, found.item.location) == ("inner", start, "Riga")
