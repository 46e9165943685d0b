"""CreateAttachment, GetAttachment, DeleteAttachment; ResolveNames, ExpandDL, ConvertId, zones, password expiry."""

from __future__ import annotations

import base64

import pytest
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
    wrong = "<t:ItemAttachment><t:Name>x</t:Name><t:CalendarItem><t:Subject>x</t:Subject></t:CalendarItem></t:ItemAttachment>"
    reply = await anna.ask(attach(item, wrong, FILE.format("a", "AQID")))
    assert reply.codes == ["ErrorInvalidItemForOperationCreateItemAttachment", "NoError"]
    none = "<t:ItemAttachment><t:Name>x</t:Name></t:ItemAttachment>"
    assert await fault(anna, anna.envelope(attach(item, none))) == "ErrorMissingItemForCreateItemAttachment"
    assert await fault(anna, anna.envelope(attach(item, FILE.format("a", "%%%")))) == "ErrorSchemaValidation"
    gone = (item[0][:-8] + "AAAAAAAA", item[1])
    assert (await anna.ask(attach(gone, FILE.format("a", "AQID")))).codes == ["ErrorInvalidIdMalformed"]


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
