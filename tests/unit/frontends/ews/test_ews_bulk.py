"""ExportItems and UploadItems (MS-OXWSBTRF)."""

from __future__ import annotations

import base64

import msgspec
import pytest
from ews_kinds import CONTACT, LIST, MEETING, TASK, body, make, removing, setting, updating
from test_ews_core_series import DAILY
from test_ews_messages import MIME, set_, update


def export(*ids: str) -> str:
    inner = "".join(f'<t:ItemId Id="{one}"/>' for one in ids)
    return f"<m:ExportItems><m:ItemIds>{inner}</m:ItemIds></m:ExportItems>"


def upload(folder: str, data: str, action: str = "CreateNew", item: str = "") -> str:
    named = f'<t:ItemId Id="{item}"/>' if item else ""
    return (
        f'<m:UploadItems><m:Items><t:Item CreateAction="{action}"><t:ParentFolderId Id="{folder}"/>{named}'
        f"<t:Data>{data}</t:Data></t:Item></m:Items></m:UploadItems>"
    )


@pytest.mark.conformance(
    "MSOXWSBTRF_S01_TC01_ExportAndUploadItems_CreateNew_Success",
    "MSOXWSBTRF_S01_TC02_ExportAndUploadItems_Update_Success",
    "MSOXWSBTRF_S01_TC03_ExportAndUploadItems_UpdateOrCreate_Success",
)
async def test_a_message_goes_out_and_comes_back(anna):
    await anna.deliver(MIME)
    (named,) = (await anna.find()).ids()
    red = "<t:Categories><t:String>Red</t:String></t:Categories>"
    (await anna.ask(update(named, set_("item:Categories", red)))).ok()
    data = (await anna.ask(export(named[0]))).ok().text("//m:Data")
    folder = await anna.folder("Restored")
    made = (await anna.ask(upload(folder, data))).ok().one("//m:ItemId").get("Id")
    before, after = (await anna.get(named[0])).ok(), (await anna.get(made)).ok()
    for what in ("t:Subject", "t:DateTimeReceived", "t:Categories/t:String", "t:InternetMessageId"):
        assert before.texts(f"//{what}") == after.texts(f"//{what}")
    key = after.one("//t:ItemId").get("ChangeKey")
    (await anna.ask(update((made, key), set_("item:Subject", "<t:Subject>other</t:Subject>")))).ok()
    assert (await anna.get(made)).ok().text("//t:Subject") == "other"
    again = (await anna.ask(upload(folder, data, "Update", made))).ok()
    assert again.one("//m:ItemId").get("Id") == made
    assert (await anna.get(made)).ok().texts("//t:Subject") == before.texts("//t:Subject")
    (
        await anna.ask(
            f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{made}"/></m:ItemIds></m:DeleteItem>'
        )
    ).ok()
    assert (await anna.ask(upload(folder, data, "Update", made))).codes == ["ErrorItemNotFound"]
    (await anna.ask(upload(folder, data, "UpdateOrCreate", made))).ok()


@pytest.mark.conformance("MSOXWSBTRF_S01_TC04_ExportItems_Fail")
async def test_what_cannot_be_exported(anna):
    await anna.deliver(MIME)
    ((item, _),) = (await anna.find()).ids()
    ids = f'<t:ItemId Id=""/><t:ItemId Id="{item}" ChangeKey="rubbish"/><t:ItemId Id="rubbish"/>'
    reply = await anna.ask(f"<m:ExportItems><m:ItemIds>{ids}</m:ItemIds></m:ExportItems>")
    assert reply.codes == ["ErrorInvalidIdEmpty", "ErrorInvalidChangeKey", "ErrorInvalidIdMalformed"]


@pytest.mark.conformance(
    "MSOXWSBTRF_S01_TC05_ExportAndUploadItems_Update_Fail",
    "MSOXWSBTRF_S01_TC06_ExportAndUploadItems_UpdateOrCreate_Fail",
)
@pytest.mark.parametrize("action", ["Update", "UpdateOrCreate"])
async def test_what_cannot_be_put_in_the_place_of_something(anna, action):
    """MS-OXWSBTRF 2.2.5.1: from another folder it is not updated, but may be made anew."""
    await anna.deliver(MIME)
    ((item, _),) = (await anna.find()).ids()
    data = (await anna.ask(export(item))).ok().text("//m:Data")
    folder, inbox = await anna.folder("New"), (await anna.get(item)).one("//t:ParentFolderId").get("Id")
    for wrong, code in (("", "ErrorInvalidIdEmpty"), ("rubbish", "ErrorInvalidIdMalformed")):
        request = upload(inbox, data, action, "x").replace('<t:ItemId Id="x"/>', f'<t:ItemId Id="{wrong}"/>')
        assert (await anna.ask(request)).codes == [code]
    stale = upload(inbox, data, action, item).replace(
        f'<t:ItemId Id="{item}"/>', f'<t:ItemId Id="{item}" ChangeKey="x"/>'
    )
    assert (await anna.ask(stale)).codes == ["ErrorInvalidChangeKey"]
    reply = await anna.ask(upload(folder, data, action, item))
    if action == "Update":
        assert reply.codes == ["ErrorItemNotFound"]
    else:
        assert reply.ok().one("//m:ItemId").get("Id") != item


async def test_what_was_not_exported_here(anna):
    folder = await anna.folder("New")
    parcel = ["postern-item-1", MIME, 1, ["a b\r\n"], 0, {}]
    for raw in (b"x", b"", msgspec.msgpack.encode(parcel), msgspec.msgpack.encode([*parcel[:3], [], 0, {"a": {}}])):
        data = base64.b64encode(raw).decode()
        assert (await anna.ask(upload(folder, data))).codes == ["ErrorInvalidRequest"]


@pytest.mark.parametrize("kind", [
    pytest.param(MEETING, id="meeting"), pytest.param(CONTACT, id="contact"), pytest.param(LIST, id="list"),
    pytest.param(TASK, id="task"),
])  # fmt: skip
async def test_items_of_every_kind_go_out_and_come_back(anna, kind):
    file = "<t:FileAttachment><t:Name>a.bin</t:Name><t:Content>AQID</t:Content></t:FileAttachment>"
    inner = (
        f"<t:Subject>one</t:Subject>{body('text')}<t:Attachments>{file}</t:Attachments>"
        "<t:Categories><t:String>Red</t:String></t:Categories>"
    )
    if kind is LIST:
        box = "<t:Mailbox><t:EmailAddress>a@example.net</t:EmailAddress></t:Mailbox>"
        inner += f"<t:Members><t:Member>{box}</t:Member></t:Members>"
    item, _ = await make(anna, kind, inner + (DAILY if kind in (MEETING, TASK) else ""))
    data = (await anna.ask(export(item))).ok().text("//m:Data")
    before = (await anna.get(item)).ok()
    folder = before.one("//t:ParentFolderId").get("Id")
    two = setting(kind, "item:Subject", "<t:Subject>two</t:Subject>")
    (await anna.ask(updating((before.ids()[0], two + removing("item:Body"))))).ok()
    (await anna.ask(upload(folder, data, "Update", item))).ok()
    made = (await anna.ask(upload(folder, data))).ok().one("//m:ItemId").get("Id")
    assert made != item
    for one in (item, made):
        after = (await anna.get(one)).ok()
        for name in ("Subject", "Body", "Categories/t:String", "Attachments//t:Name", "Member//t:EmailAddress",
                     "NumberOfOccurrences", "Start", "LastOccurrence/t:Start"):  # fmt: skip
            assert after.texts(f"//t:{name}") == before.texts(f"//t:{name}"), name
    if kind is MEETING:
        view = '<m:CalendarView StartDate="2026-11-03T00:00:00Z" EndDate="2026-11-04T00:00:00Z"/>'
        assert len((await anna.find("calendar", more=view)).ok().all("//t:CalendarItem")) == 2


async def test_what_is_uploaded_stays_what_it_is(anna):
    task, _ = await make(anna, TASK)
    contact, _ = await make(anna, CONTACT)
    data = (await anna.ask(export(task))).ok().text("//m:Data")
    contacts = (await anna.get(contact)).one("//t:ParentFolderId").get("Id")
    assert (await anna.ask(upload(contacts, data, "Update", contact))).codes == ["ErrorObjectTypeChanged"]
    backwards = ["postern-item-1", b"", 1, [], 0, {"PosternRecurrence": [[[[[[1]]]]]]}, 4, []]
    assert (await anna.ask(upload(contacts, base64.b64encode(msgspec.msgpack.encode(backwards)).decode()))).codes == [
        "ErrorInvalidRequest"
    ]
