"""CreateAttachment, GetAttachment, DeleteAttachment; ResolveNames, ExpandDL, ConvertId, zones, password expiry."""

from __future__ import annotations

import base64
import email
import re

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_ews_hostile import fault
from test_ews_messages import MIME

FILE = "<t:FileAttachment><t:Name>{}</t:Name><t:Content>{}</t:Content></t:FileAttachment>"


def attach(item: tuple[str, str], *inner: str) -> str:
    return (
        f'<m:CreateAttachment><m:ParentItemId Id="{item[0]}" ChangeKey="{item[1]}"/><m:Attachments>{"".join(inner)}'
        "</m:Attachments></m:CreateAttachment>"
    )


def ids_of(*ids: str) -> str:
    inner = "".join(f'<t:AttachmentId Id="{one}"/>' for one in ids)
    return f"<m:AttachmentIds>{inner}</m:AttachmentIds>"


@pytest.mark.conformance(
    "MSOXWSATT_S01_TC01_ProcessFileAttachment", "MSOXWSATT_S01_TC07_ProcessMultipleAttachments",
    "MSOXWSATT_S01_TC13_GetAndDeleteUnsuccessful",
)  # fmt: skip
async def test_files_come_and_go(anna):
    item = await anna.save('<t:Subject>x</t:Subject><t:Body BodyType="HTML">&lt;b&gt;y&lt;/b&gt;</t:Body>')
    reply = await anna.ask(attach(item, FILE.format("отчёт.bin", "AAEC/w=="), FILE.format("b.txt", "aGVsbG8=")))
    made = [one.get("Id") for one in reply.ok().all("//t:AttachmentId")]
    root = reply.all("//t:AttachmentId")[0]
    assert root.get("RootItemId") == item[0] and root.get("RootItemChangeKey") != item[1]
    got = (await anna.ask(f"<m:GetAttachment>{ids_of(*made)}</m:GetAttachment>")).ok()
    assert [base64.b64decode(one) for one in got.texts("//t:Content")] == [b"\x00\x01\x02\xff", b"hello"]
    assert got.texts("//t:FileAttachment/t:Name") == ["отчёт.bin", "b.txt"]
    whole = (await anna.get(item[0])).ok()
    assert whole.text("//t:Body") == "<b>y</b>" and whole.text("//t:HasAttachments") == "true"
    gone = await anna.ask(f"<m:DeleteAttachment>{ids_of(made[0])}</m:DeleteAttachment>")
    assert gone.ok().one("//m:RootItemId").get("RootItemId") == item[0]
    left = (await anna.get(item[0])).ok()
    assert left.texts("//t:FileAttachment/t:Name") == ["b.txt"]
    again = await anna.ask(f"<m:DeleteAttachment>{ids_of(made[1], 'nonsense', item[0])}</m:DeleteAttachment>")
    assert again.codes[1:] == ["ErrorInvalidIdMalformed", "ErrorInvalidAttachmentId"]
    got = await anna.ask(f"<m:GetAttachment>{ids_of(made[1], 'nonsense')}</m:GetAttachment>")
    assert got.codes == ["ErrorItemNotFound", "ErrorInvalidIdMalformed"]


@pytest.mark.conformance(
    "MSOXWSATT_S01_TC02_ProcessMessageTypeItemAttachment", "MSOXWSATT_S01_TC09_AttachmentToAttachment",
    "MSOXWSATT_S01_TC08_ProcessItemTypeAttachment",
)  # fmt: skip
@pytest.mark.parametrize("element", ["Message", "Item"])
async def test_a_message_with_a_file_in_a_message(anna, element):
    item = await anna.save("<t:Subject>outer</t:Subject>")
    inner = (
        f"<t:ItemAttachment><t:Name>inner</t:Name><t:{element}><t:Subject>inner</t:Subject>"
        f'<t:Body BodyType="Text">deep</t:Body><t:Attachments>{FILE.format("x.bin", "AQID")}</t:Attachments></t:{element}>'
        "</t:ItemAttachment>"
    )
    made = (await anna.ask(attach(item, inner))).ok().one("//t:AttachmentId").get("Id")
    got = (await anna.ask(f"<m:GetAttachment>{ids_of(made)}</m:GetAttachment>")).ok()
    assert got.text("//t:Message/t:Subject") == "inner" and got.text("//t:Body") == "deep"
    deep = got.one("//t:FileAttachment/t:AttachmentId").get("Id")
    file = (await anna.ask(f"<m:GetAttachment>{ids_of(deep)}</m:GetAttachment>")).ok()
    assert base64.b64decode(file.text("//t:Content")) == b"\x01\x02\x03"


@pytest.mark.conformance(
    "MSOXWSATT_S01_TC10_CallErrorInvalidItemForOperationCreateItemAttachment",
    "MSOXWSATT_S01_TC12_ProcessNoneChildItemAttachment",
)
async def test_what_cannot_be_attached(anna):
    item = await anna.save("<t:Subject>x</t:Subject>")
    wrong = "<t:ItemAttachment><t:Name>x</t:Name><t:MeetingRequest><t:Subject>x</t:Subject></t:MeetingRequest></t:ItemAttachment>"
    reply = await anna.ask(attach(item, wrong, FILE.format("a", "AQID")))
    assert reply.codes == ["ErrorInvalidItemForOperationCreateItemAttachment", "NoError"]
    none = "<t:ItemAttachment><t:Name>x</t:Name></t:ItemAttachment>"
    assert await fault(anna, anna.envelope(attach(item, none))) == "ErrorMissingItemForCreateItemAttachment"
    assert await fault(anna, anna.envelope(attach(item, FILE.format("a", "%%%")))) == "ErrorSchemaValidation"
    gone = (item[0][:-8] + "AAAAAAAA", item[1])
    assert (await anna.ask(attach(gone, FILE.format("a", "AQID")))).codes == ["ErrorInvalidIdMalformed"]


def item_attachment(element: str, inner: str, name: str = "enclosed") -> str:
    return f"<t:ItemAttachment><t:Name>{name}</t:Name><t:{element}>{inner}</t:{element}></t:ItemAttachment>"


ITEMS = {
    "CalendarItem": (
        "<t:Subject>Dinner</t:Subject><t:Start>2026-11-02T19:00:00Z</t:Start><t:End>2026-11-02T21:00:00Z</t:End>"
        "<t:Location>Riga</t:Location>"
    ),
    "Contact": "<t:DisplayName>Olga Petrova</t:DisplayName><t:CompanyName>Acme</t:CompanyName>",
    "Task": "<t:Subject>Shop</t:Subject><t:DueDate>2026-11-03T00:00:00Z</t:DueDate><t:Status>InProgress</t:Status>",
    "PostItem": '<t:Subject>Notice</t:Subject><t:Body BodyType="Text">words</t:Body>',
}
TOLD = {
    "CalendarItem": {"t:Subject": "Dinner", "t:Start": "2026-11-02T19:00:00Z", "t:Location": "Riga"},
    "Contact": {"t:DisplayName": "Olga Petrova", "t:CompanyName": "Acme"},
    "Task": {"t:Subject": "Shop", "t:Status": "InProgress"},
    "PostItem": {"t:Subject": "Notice", "t:ItemClass": "IPM.Post", "t:Body": "words"},
}
CONTAINERS = {
    "message": "",
    "calendar": (
        '<m:CreateItem SendMeetingInvitations="SendToNone"><m:Items><t:CalendarItem><t:Subject>x</t:Subject>'
        "<t:Start>2026-11-02T09:00:00Z</t:Start><t:End>2026-11-02T10:00:00Z</t:End></t:CalendarItem></m:Items>"
        "</m:CreateItem>"
    ),
    "contact": "<m:CreateItem><m:Items><t:Contact><t:DisplayName>A</t:DisplayName></t:Contact></m:Items></m:CreateItem>",
    "task": "<m:CreateItem><m:Items><t:Task><t:Subject>T</t:Subject></t:Task></m:Items></m:CreateItem>",
}


@pytest.mark.conformance(
    "MSOXWSATT_S01_TC03_ProcessCalendarItemTypeItemAttachment", "MSOXWSATT_S01_TC04_ProcessContactItemTypeItemAttachment",
    "MSOXWSATT_S01_TC05_ProcessTaskTypeItemAttachmentWithoutMIMEContent",
    "MSOXWSATT_S01_TC06_ProcessPostItemTypeItemAttachment",
)  # fmt: skip
@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("element", sorted(TOLD))
async def test_items_on_every_item(anna, element, container):
    if container == "message":
        parent = await anna.save("<t:Subject>outer</t:Subject>")
    else:
        parent = (await anna.ask(CONTAINERS[container])).ok().ids()[0]
    reply = (await anna.ask(attach(parent, item_attachment(element, ITEMS[element]), FILE.format("a", "AQID")))).ok()
    made = [one.get("Id") for one in reply.all("//t:AttachmentId")]
    assert len(reply.all("//t:ItemAttachment")) == 1 == len(reply.all("//t:FileAttachment"))
    got = (await anna.ask(f"<m:GetAttachment>{ids_of(made[0])}</m:GetAttachment>")).ok()
    assert got.text("//t:ItemAttachment/t:Name") == "enclosed"
    for path, value in TOLD[element].items():
        assert got.text(f"//t:ItemAttachment/t:{element}/{path}") == value
    assert not got.all(f"//t:{element}/t:Attachments")
    whole = (await anna.get(parent[0])).ok()
    assert len(whole.all("//t:Attachments/t:ItemAttachment")) == 1 == len(whole.all("//t:Attachments/t:FileAttachment"))
    (await anna.ask(f"<m:DeleteAttachment>{ids_of(made[0])}</m:DeleteAttachment>")).ok()
    assert not (await anna.get(parent[0])).ok().all("//t:Attachments/t:ItemAttachment")


WITH_MIME = "<t:IncludeMimeContent>true</t:IncludeMimeContent>"


async def test_an_attached_item_survives_being_sent(anna, boris):
    item = await anna.save(
        "<t:Subject>outer</t:Subject><t:ToRecipients><t:Mailbox><t:EmailAddress>boris@example.org</t:EmailAddress>"
        "</t:Mailbox></t:ToRecipients>"
    )
    ordered = (
        "<t:Subject>Dinner</t:Subject>"
        f"<t:Attachments>{FILE.format('menu', 'AQID')}</t:Attachments>"
        "<t:Start>2026-11-02T19:00:00Z</t:Start><t:End>2026-11-02T21:00:00Z</t:End>"
    )
    reply = (await anna.ask(attach(item, item_attachment("CalendarItem", ordered)))).ok()
    root = reply.one("//t:AttachmentId")
    sent = (
        f'<m:SendItem SaveItemToFolder="true"><m:ItemIds><t:ItemId Id="{root.get("RootItemId")}" '
        f'ChangeKey="{root.get("RootItemChangeKey")}"/></m:ItemIds></m:SendItem>'
    )
    (await anna.ask(sent)).ok()
    await anna.world.settled()
    ((arrived, _),) = (await boris.find()).ids()
    (attached,) = (await boris.get(arrived)).ok().all("//t:ItemAttachment/t:AttachmentId")
    got = (await boris.ask(f"<m:GetAttachment>{ids_of(attached.get('Id'))}</m:GetAttachment>")).ok()
    assert got.text("//t:CalendarItem/t:Subject") == "Dinner"
    # who knows no EWS opens the file that lies beside it, and calendars tell events by their UID
    message = email.message_from_bytes(
        base64.b64decode((await boris.get(arrived, extra=WITH_MIME)).text("//t:MimeContent"))
    )
    (file,) = [one for one in message.walk() if one.get_content_type() == "text/calendar"]
    uid = re.search(rb"^UID:(.*)\r$", file.get_payload(decode=True).replace(b"\r\n ", b""), re.M)
    assert uid is not None and uid[1].decode() == got.text("//t:CalendarItem/t:UID") != ""
    file = got.one("//t:CalendarItem//t:FileAttachment/t:AttachmentId").get("Id")
    deep = (await boris.ask(f"<m:GetAttachment>{ids_of(file)}</m:GetAttachment>")).ok()
    assert deep.text("//t:Content") == "AQID"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(element=st.sampled_from(["CalendarItem", "Contact", "Task", "DistributionList", "Other"]), data=st.data())
async def test_somebody_elses_properties_are_shown_or_are_a_message(anna, element, data):
    """What claims to be an item of ours may have been written by anybody."""
    plain = st.one_of(st.none(), st.booleans(), st.integers(-5, 2**40), st.text(max_size=5), st.binary(max_size=20))
    value = st.one_of(plain, st.lists(plain, max_size=3), st.just([["a", 1], ["b"]]))
    known = ["PidTagSubject", "PidTagBody", "PidTagImportance", "PidTagSensitivity", "PidNameKeywords",
             "PidLidTaskDueDate", "PidLidTaskStatus", "PidLidPercentComplete", "PidLidDistributionListMembers",
             "PidLidAppointmentStartWhole", "PidLidAppointmentEndWhole", "PidLidAppointmentRecur", "PidTagDisplayName",
             "PidLidTimeZoneStruct", "PidLidAppointmentStateFlags", "PidLidResponseStatus", "PosternAttendees",
             "PidTagMessageClass", "PidLidReminderDelta", "PidLidBusyStatus"]  # fmt: skip
    values = data.draw(st.dictionaries(st.sampled_from(known), value, max_size=6))
    parcel = base64.b64encode(msgspec.msgpack.encode([element, values])).decode()
    mail = (
        "From: x@example.net\r\nSubject: outer\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: text/plain\r\n\r\ntext\r\n--c\r\n"
        f"Content-Type: application/x-postern-item\r\nContent-Transfer-Encoding: base64\r\n\r\n{parcel}\r\n--c--\r\n"
        "--b--\r\n"
    )
    await anna.deliver(mail.encode())
    (newest, _), *_ = (await anna.find()).ids()
    (attached,) = (await anna.get(newest)).ok().all("//t:ItemAttachment/t:AttachmentId")
    got = (await anna.ask(f"<m:GetAttachment>{ids_of(attached.get('Id'))}</m:GetAttachment>")).ok()
    shown = got.one("//t:ItemAttachment/*[last()]").tag.rpartition("}")[2]
    assert shown in (element, "Message")


def resolve(entry: str, full: str = "false") -> str:
    return (
        f'<m:ResolveNames ReturnFullContactData="{full}"><m:UnresolvedEntry>{entry}</m:UnresolvedEntry>'
        "</m:ResolveNames>"
    )


async def test_names_are_resolved(world, anna):
    reply = (await anna.ask(resolve("bor"))).ok()
    assert reply.texts("//t:EmailAddress") == ["boris@example.org"] and reply.text("//t:MailboxType") == "Mailbox"
    assert (await anna.ask(resolve("boris@example.org", "true"))).ok().text("//t:DisplayName") == "Boris"
    assert (await anna.ask(resolve("zzz"))).codes == ["ErrorNameResolutionNoResults"]
    assert (await anna.ask(resolve(""))).codes == ["ErrorInvalidNameForNameResolution"]
    await world.parts.directory.put_group("team@example.org", display_name="Team")
    await world.parts.directory.set_members("team@example.org", add=["anna@example.org", "boris@example.org"])
    expand = "<m:ExpandDL><m:Mailbox><t:EmailAddress>{}</t:EmailAddress></m:Mailbox></m:ExpandDL>"
    reply = (await anna.ask(expand.format("team@example.org"))).ok()
    assert reply.texts("//t:EmailAddress") == ["anna@example.org", "boris@example.org"]
    assert (await anna.ask(expand.format("none@example.org"))).codes == ["ErrorNameResolutionNoResults"]


async def test_zones(anna):
    every = (await anna.ask("<m:GetServerTimeZones/>")).ok()
    assert len(every.all("//t:TimeZoneDefinition")) > 100
    ids = (
        "<m:Ids><t:Id>W. Europe Standard Time</t:Id><t:Id>Russian Standard Time</t:Id><t:Id>No Such Time</t:Id></m:Ids>"
    )
    two = (await anna.ask(f'<m:GetServerTimeZones ReturnFullTimeZoneData="true">{ids}</m:GetServerTimeZones>')).ok()
    assert [one.get("Id") for one in two.all("//t:TimeZoneDefinition")] == [
        "W. Europe Standard Time",
        "Russian Standard Time",
    ]
    berlin = two.all("//t:TimeZoneDefinition")[0]
    assert [one.get("Bias") for one in berlin.iter("{*}Period")] == ["-PT1H", "-PT2H"]
    assert [one.findtext("{*}Month") for one in berlin.iter("{*}RecurringDayTransition")] == ["3", "10"]
    assert [one.findtext("{*}TimeOffset") for one in berlin.iter("{*}RecurringDayTransition")] == ["PT2H", "PT3H"]


async def test_ids_in_other_spellings(anna):
    await anna.deliver(MIME)
    ((item, _),) = (await anna.find()).ids()
    spelled = item
    for source, to in (("EwsId", "HexEntryId"), ("HexEntryId", "OwaId"), ("OwaId", "StoreId"), ("StoreId", "EwsId")):
        reply = await anna.ask(
            f'<m:ConvertId DestinationFormat="{to}"><m:SourceIds><t:AlternateId Format="{source}" Id="{spelled}"'
            ' Mailbox="anna@example.org"/></m:SourceIds></m:ConvertId>'
        )
        spelled = reply.ok().one("//m:AlternateId").get("Id")
    assert spelled == item


async def test_when_a_password_ends(anna):
    reply = await anna.ask("<m:GetPasswordExpirationDate/>")
    assert reply.status == 200 and reply.text("//m:PasswordExpirationDate").startswith("9999")
    other = "<m:GetPasswordExpirationDate><m:MailboxSmtpAddress>boris@example.org</m:MailboxSmtpAddress></m:GetPasswordExpirationDate>"
    assert await fault(anna, anna.envelope(other)) == "ErrorNonExistentMailbox"


async def test_an_attached_appointment_keeps_its_zone(anna):
    """exchangelib and Outlook for Mac name one with each appointment."""
    item = await anna.save("<t:Subject>outer</t:Subject>")
    inner = (
        "<t:Subject>Dinner</t:Subject><t:Start>2026-05-06T07:00:00+02:00</t:Start><t:End>2026-05-06T08:00:00+02:00"
        '</t:End><t:StartTimeZone Id="W. Europe Standard Time"/><t:EndTimeZone Id="W. Europe Standard Time"/>'
    )
    reply = (await anna.ask(attach(item, item_attachment("CalendarItem", inner)))).ok()
    made = reply.one("//t:AttachmentId").get("Id")
    got = (await anna.ask(f"<m:GetAttachment>{ids_of(made)}</m:GetAttachment>")).ok()
    assert got.text("//t:CalendarItem/t:Start") == "2026-05-06T05:00:00Z"
    assert got.texts("//t:CalendarItem/t:Subject") == ["Dinner"]
