"""Attachments that are only a link."""

from __future__ import annotations

import pytest
from test_ews_attachments import FILE, attach, ids_of

LINK = (
    "<t:ReferenceAttachment><t:Name>отчёт</t:Name><t:AttachLongPathName>https://files.example.net/a?b=%20c&amp;d=1"
    "</t:AttachLongPathName><t:ProviderType>OneDrivePro</t:ProviderType><t:AttachmentThumbnailUrl>https://files.example.net/t"
    "</t:AttachmentThumbnailUrl><t:AttachmentPreviewUrl>https://files.example.net/Просмотр</t:AttachmentPreviewUrl>"
    "<t:PermissionType>2</t:PermissionType><t:AttachmentIsFolder>true</t:AttachmentIsFolder></t:ReferenceAttachment>"
)


@pytest.mark.conformance("MSOXWSATT_S01_TC11_ProcessReferenceAttachment")
@pytest.mark.parametrize("element", ["Message", "Task"])
async def test_a_link_as_an_attachment(anna, element):
    """MS-OXWSATT 2.2.4.7; in a message it is a part of the type message/external-body (RFC 2017)."""
    request = f'<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:{element}><t:Subject>x</t:Subject></t:{element}></m:Items></m:CreateItem>'
    item = (await anna.ask(request)).ok().ids()[0]
    made = (await anna.ask(attach(item, LINK, FILE.format("a", "AQID")))).ok()
    link, _ = (one.get("Id") for one in made.all("//t:AttachmentId"))
    assert len(made.all("//m:Attachments/t:ReferenceAttachment")) == 1
    for reply in (await anna.ask(f"<m:GetAttachment>{ids_of(link)}</m:GetAttachment>"), await anna.get(item[0])):
        reply.ok()
        assert {name: reply.text(f"//t:ReferenceAttachment/t:{name}") for name in (
            "Name", "AttachLongPathName", "ProviderType", "AttachmentThumbnailUrl", "AttachmentPreviewUrl",
            "PermissionType", "AttachmentIsFolder",
        )} == {
            "Name": "отчёт", "AttachLongPathName": "https://files.example.net/a?b=%20c&d=1",
            "ProviderType": "OneDrivePro", "AttachmentThumbnailUrl": "https://files.example.net/t",
            "AttachmentPreviewUrl": "https://files.example.net/Просмотр", "PermissionType": "2",
            "AttachmentIsFolder": "true",
        }  # fmt: skip
    anna.version = "Exchange2010"
    assert len((await anna.get(item[0])).ok().all("//t:FileAttachment")) == 2
    anna.version = "Exchange2013_SP1"
    (await anna.ask(f"<m:DeleteAttachment>{ids_of(link)}</m:DeleteAttachment>")).ok()
    left = (await anna.get(item[0])).ok()
    assert not left.all("//t:ReferenceAttachment") and left.texts("//t:FileAttachment/t:Name") == ["a"]


async def test_a_link_to_nothing(anna):
    item = await anna.save("<t:Subject>x</t:Subject>")
    wrong = "<t:ReferenceAttachment><t:Name>x</t:Name></t:ReferenceAttachment>"
    assert (await anna.ask(attach(item, wrong))).codes == ["ErrorSchemaValidation"]
