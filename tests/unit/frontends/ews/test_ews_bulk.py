"""ExportItems and UploadItems (MS-OXWSBTRF)."""

from __future__ import annotations

import base64

import msgspec
import pytest
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
    again = (await anna.ask(upload(folder, data, "Update", made))).ok()
    assert again.one("//m:ItemId").get("Id") == made
    (
        await anna.ask(
            f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{made}"/></m:ItemIds></m:DeleteItem>'
        )
    ).ok()
    assert (await anna.ask(upload(folder, data, "Update", made))).codes == ["ErrorItemNotFound"]
    (await anna.ask(upload(folder, data, "UpdateOrCreate", made))).ok()


@pytest.mark.conformance("MSOXWSBTRF_S01_TC04_ExportItems_Fail", "MSOXWSBTRF_S01_TC05_ExportAndUploadItems_Update_Fail")
async def test_what_was_not_exported_here(anna):
    assert (await anna.ask(export("rubbish"))).codes == ["ErrorInvalidIdMalformed"]
    folder = await anna.folder("New")
    parcel = ["postern-item-1", MIME, 1, ["a b\r\n"], 0, {}]
    for raw in (b"x", b"", msgspec.msgpack.encode(parcel), msgspec.msgpack.encode([*parcel[:3], [], 0, {"a": {}}])):
        data = base64.b64encode(raw).decode()
        assert (await anna.ask(upload(folder, data))).codes == ["ErrorInvalidRequest"]
