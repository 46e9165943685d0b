"""CreateItem, GetItem, UpdateItem, DeleteItem, MoveItem, CopyItem, SendItem for messages."""

from __future__ import annotations

import base64

import pytest
from test_ews_folders import get as get_folder
from test_ews_folders import named

from postern.model.items import SpecialUse

TO = "<t:ToRecipients><t:Mailbox><t:EmailAddress>boris@example.org</t:EmailAddress></t:Mailbox></t:ToRecipients>"
MIME = (
    b"From: Chen <chen@example.org>\r\nTo: =?utf-8?B?0JDQvdC90LA=?= <anna@example.org>, b@example.net\r\n"
    b"Cc: c@example.net\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nDate: Mon, 23 Nov 2026 11:12:34 +0100\r\n"
    b"Message-ID: <one@example.net>\r\nImportance: high\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="m"\r\n\r\n--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
    b"--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello <you> & me\r\n--a\r\nContent-Type: text/html\r\n\r\n"
    b"<html><body><p>Hello <b>you</b></p><script>x()</script></body></html>\r\n--a--\r\n--m\r\n"
    b'Content-Type: application/pdf; name="report.pdf"\r\nContent-Disposition: attachment; filename="report.pdf"\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERi0=\r\n--m--\r\n"
)


def create(inner: str, disposition: str = "SaveOnly", folder: str = "", element: str = "Message") -> str:
    said = f' MessageDisposition="{disposition}"' if disposition else ""
    where = f"<m:SavedItemFolderId>{folder}</m:SavedItemFolderId>" if folder else ""
    return f"<m:CreateItem{said}>{where}<m:Items><t:{element}>{inner}</t:{element}></m:Items></m:CreateItem>"


def update(item: tuple[str, str], *changes: str, conflicts: str = "AutoResolve", more: str = "") -> str:
    id_, key = item
    spelled = f' ChangeKey="{key}"' if key else ""
    return (
        f'<m:UpdateItem ConflictResolution="{conflicts}" MessageDisposition="SaveOnly"{more}><m:ItemChanges>'
        f'<t:ItemChange><t:ItemId Id="{id_}"{spelled}/><t:Updates>{"".join(changes)}</t:Updates></t:ItemChange>'
        "</m:ItemChanges></m:UpdateItem>"
    )


def set_(uri: str, inner: str, action: str = "SetItemField") -> str:
    return f'<t:{action}><t:FieldURI FieldURI="{uri}"/><t:Message>{inner}</t:Message></t:{action}>'


def delete_(uri: str) -> str:
    return f'<t:DeleteItemField><t:FieldURI FieldURI="{uri}"/></t:DeleteItemField>'


async def arrived(client) -> str:
    await client.deliver(MIME)
    return (await client.find()).ok().ids()[0][0]


async def test_a_delivered_message_with_all_properties(anna):
    item = await arrived(anna)
    reply = (await anna.get(item)).ok()
    assert reply.text("//t:Message/t:Subject") == "Grüße"
    assert reply.text("//t:Body") == "<html><body><p>Hello <b>you</b></p><script>x()</script></body></html>"
    assert reply.one("//t:Body").get("BodyType") == "HTML"
    assert reply.texts("//t:ToRecipients//t:Name") == ["Анна", "b@example.net"]
    assert reply.texts("//t:CcRecipients//t:EmailAddress") == ["c@example.net"]
    assert reply.text("//t:From//t:EmailAddress") == "chen@example.org"
    assert reply.text("//t:DateTimeSent") == "2026-11-23T10:12:34Z"
    assert reply.text("//t:Importance") == "High"
    assert reply.text("//t:HasAttachments") == "true"
    assert reply.text("//t:IsRead") == "false"
    assert reply.text("//t:InternetMessageId") == "<one@example.net>"
    assert reply.text("//t:DisplayTo") == "Анна; b@example.net"
    assert reply.texts("//t:FileAttachment/t:Name") == ["report.pdf"]
    assert [one.tag.rpartition("}")[2] for one in reply.all("//t:ResponseObjects/*")] == [
        "ReplyToItem", "ReplyAllToItem", "ForwardItem"
    ]  # fmt: skip
    gone = f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:DeleteItem>'
    (await anna.ask(gone)).ok()
    assert (await anna.get(item)).codes == ["ErrorItemNotFound"]


@pytest.mark.conformance(
    "MSOXWSMSG_S01_TC06_GetMessageWithIncludeMimeContent", "MSOXWSCORE_S04_TC11_GetEmailItemWithIncludeMimeContent"
)
async def test_the_mime_comes_back_as_it_came(anna):
    item = await arrived(anna)
    reply = await anna.get(item, shape="IdOnly", extra="<t:IncludeMimeContent>true</t:IncludeMimeContent>")
    assert base64.b64decode(reply.ok().text("//t:MimeContent")) == MIME


@pytest.mark.conformance(
    "MSOXWSCORE_S04_TC16_GetEmailItemWithBodyTypeResponseTypeEnum", "MSOXWSCORE_S01_TC12_VerifyItemWithBodyEnums"
)
@pytest.mark.parametrize(
    ("wanted", "kind", "text"),
    [("Text", "Text", "Hello <you> & me"), ("HTML", "HTML", "<html>"), ("Best", "HTML", "<html>")],
)
async def test_body_types(anna, wanted, kind, text):
    item = await arrived(anna)
    reply = await anna.get(item, shape="Default", extra=f"<t:BodyType>{wanted}</t:BodyType>")
    body = reply.ok().one("//t:Body")
    assert body.get("BodyType") == kind and body.text.startswith(text)


@pytest.mark.conformance("MSOXWSCORE_S04_TC15_GetEmailItemWithDefaultShapeNamesTypeEnum")
async def test_shapes_grow(anna):
    item = await arrived(anna)
    sizes = [
        len((await anna.get(item, shape=shape)).ok().all("//t:Message/*"))
        for shape in ("IdOnly", "Default", "AllProperties")
    ]
    assert sizes[0] == 1 and sizes == sorted(sizes) and sizes[1] > 10


@pytest.mark.parametrize(
    "version", ["Exchange2007", "Exchange2007_SP1", "Exchange2010", "Exchange2013", "Exchange2016", ""]
)
async def test_each_version_gets_what_it_knows(anna, version):
    anna.version = version
    item = await arrived(anna)
    reply = (await anna.get(item)).ok()
    assert bool(reply.all("//t:Flag")) == (version in ("Exchange2013", "Exchange2016"))
    assert bool(reply.all("//t:ConversationId")) == (version not in ("Exchange2007", "Exchange2007_SP1", ""))
    assert reply.version == "Exchange2013_SP1"


@pytest.mark.conformance(
    "MSOXWSMSG_S01_TC02_CreateMessageWithMessageDispositionTypeSaveOnly",
    "MSOXWSMSG_S07_TC01_VerifyMessageWithAllOptionalElements",
    "MSOXWSCORE_S01_TC10_VerifyItemWithImportanceChoicesTypeEnums",
    "MSOXWSCORE_S01_TC11_VerifyItemWithSensitivityChoicesTypeEnums",
    "MSOXWSCORE_S04_TC21_VerifyItemWithIsDraftAndIsUnmodified",
)
@pytest.mark.parametrize("importance", ["Low", "Normal", "High"])
@pytest.mark.parametrize("sensitivity", ["Normal", "Personal", "Private", "Confidential"])
async def test_a_draft_says_what_it_was_told(anna, importance, sensitivity):
    item, _ = await anna.save(
        f"<t:Subject>Тема &amp; more</t:Subject><t:Sensitivity>{sensitivity}</t:Sensitivity>"
        '<t:Body BodyType="HTML">&lt;p&gt;Grüße&lt;/p&gt;</t:Body>'
        "<t:Categories><t:String>Red, really</t:String><t:String>Синий</t:String></t:Categories>"
        f"<t:Importance>{importance}</t:Importance>{TO}"
        "<t:IsReadReceiptRequested>true</t:IsReadReceiptRequested><t:IsRead>false</t:IsRead>"
    )
    reply = (await anna.get(item)).ok()
    assert reply.text("//t:Message/t:Subject") == "Тема & more"
    assert reply.text("//t:Body") == "<p>Grüße</p>"
    assert reply.text("//t:Importance") == importance
    assert reply.text("//t:Sensitivity") == sensitivity
    assert set(reply.texts("//t:Categories/t:String")) == {"Red, really", "Синий"}
    assert reply.text("//t:IsDraft") == "true" and reply.text("//t:IsUnmodified") == "false"
    assert reply.text("//t:IsRead") == "false"
    assert reply.text("//t:IsReadReceiptRequested") == "true"
    assert reply.text("//t:From//t:EmailAddress") == "anna@example.org"
    drafts = (await anna.ask(get_folder(named("drafts"), shape="IdOnly"))).ids("FolderId")[0][0]
    assert reply.one("//t:ParentFolderId").get("Id") == drafts


READ_ONLY = {
    "DisplayTo": "x", "Size": "5", "DateTimeReceived": "2026-01-01T00:00:00Z", "HasAttachments": "true",
    "LastModifiedName": "x", "IsDraft": "true", "DateTimeSent": "2026-01-01T00:00:00Z", "InstanceKey": "AAAA",
    "DateTimeCreated": "2026-01-01T00:00:00Z", "ConversationTopic": "x", "Preview": "x",
    "TextBody": "x", "NormalizedBody": "x", "ReceivedBy": "x", "ReceivedRepresenting": "x",
    "ApprovalRequestData": "", "VotingInformation": "", "ReminderMessageData": "", "EffectiveRights": "",
    "ItemId": "", "ParentFolderId": "", "WebClientReadFormQueryString": "x",
}  # fmt: skip
OF_MESSAGES = {
    "ReceivedBy", "ReceivedRepresenting", "ConversationTopic", "ApprovalRequestData", "VotingInformation",
    "ReminderMessageData",
}  # fmt: skip


@pytest.mark.conformance(
    "MSOXWSCORE_S01_TC23_WebClientReadFormQueryStringIsReadOnly", "MSOXWSCORE_S01_TC29_ItemIdIsReadOnly",
    "MSOXWSCORE_S01_TC30_ParentFolderIdIsReadOnly", "MSOXWSCORE_S01_TC31_DateTimeReceivedIsReadOnly",
    "MSOXWSCORE_S01_TC32_SizeIsReadOnly", "MSOXWSCORE_S01_TC33_DateTimeSentIsReadOnly",
    "MSOXWSCORE_S01_TC34_DateTimeCreatedIsReadOnly", "MSOXWSCORE_S01_TC35_DisplayToIsReadOnly",
    "MSOXWSCORE_S01_TC36_EffectiveRightsIsReadOnly", "MSOXWSCORE_S01_TC37_LastModifiedNameIsReadOnly",
    "MSOXWSCORE_S01_TC38_InstanceKeyIsReadOnly", "MSOXWSCORE_S01_TC39_NormalizedBodyIsReadOnly",
    "MSOXWSCORE_S01_TC40_PreviewIsReadOnly", "MSOXWSCORE_S01_TC41_TextBodyIsReadOnly",
    "MSOXWSMSG_S07_TC04_VerifyConversationTopicIsReadOnly", "MSOXWSMSG_S07_TC06_VerifyReceivedByIsReadOnly",
    "MSOXWSMSG_S07_TC07_VerifyReceivedRepresentingIsReadOnly",
    "MSOXWSMSG_S07_TC08_VerifyApprovalRequestDataIsReadOnly", "MSOXWSMSG_S07_TC09_VerifyVotingInformationIsReadOnly",
    "MSOXWSMSG_S07_TC10_VerifyReminderMessageDataIsReadOnly",
)  # fmt: skip
async def test_what_follows_cannot_be_set(anna):
    for name, value in READ_ONLY.items():
        reply = await anna.ask(create(f"<t:{name}>{value}</t:{name}>"))
        assert reply.codes == ["ErrorInvalidPropertySet"], name
    item = await anna.save("<t:Subject>x</t:Subject>")
    for name, value in READ_ONLY.items():
        family = "message" if name in OF_MESSAGES else "item"
        reply = await anna.ask(update(item, set_(f"{family}:{name}", f"<t:{name}>{value}</t:{name}>")))
        assert reply.codes == ["ErrorInvalidPropertySet"], name


@pytest.mark.conformance(
    "MSOXWSMSG_S01_TC03_CreateMessageWithMessageDispositionTypeSendOnly",
    "MSOXWSMSG_S01_TC04_CreateMessageWithMessageDispositionTypeSendAndSaveCopy",
    "MSOXWSMSG_S07_TC02_VerifyMessageWithoutOptionalElements",
)
@pytest.mark.parametrize(("disposition", "kept"), [("SendOnly", 0), ("SendAndSaveCopy", 1)])
async def test_sending_at_once(world, anna, boris, disposition, kept):
    bcc = "<t:BccRecipients><t:Mailbox><t:EmailAddress>chen@example.org</t:EmailAddress></t:Mailbox></t:BccRecipients>"
    reply = await anna.ask(
        create(f'<t:Subject>news</t:Subject><t:Body BodyType="Text">hi</t:Body>{TO}{bcc}', disposition)
    )
    reply.ok()
    await world.settled()
    for client in (boris, world.client("chen")):
        (item,) = (await client.find()).ok().ids()
        got = (await client.get(item[0], extra="<t:IncludeMimeContent>true</t:IncludeMimeContent>")).ok()
        assert got.text("//t:Message/t:Subject") == "news" and got.text("//t:Body") == "hi"
        assert got.text("//t:From//t:Name") == "Anna" and got.text("//t:IsDraft") == "false"
        assert b"chen@example.org" not in base64.b64decode(got.text("//t:MimeContent")).partition(b"From:")[2]
    sent = (await anna.find("sentitems", "Default")).ok()
    assert len(sent.ids()) == kept
    if kept:
        whole = (await anna.get(sent.ids()[0][0])).ok()
        assert whole.text("//t:BccRecipients//t:EmailAddress") == "chen@example.org"
        assert whole.text("//t:IsRead") == "true" and whole.text("//t:IsDraft") == "false"
    assert not (await anna.find("drafts")).ids()


async def test_nobody_and_unknown_people(anna):
    nobody = create("<t:Subject>x</t:Subject>", "SendAndSaveCopy")
    assert (await anna.ask(nobody)).codes == ["ErrorInvalidRecipients"]
    unknown = create(TO.replace("boris", "nobody"), "SendAndSaveCopy")
    reply = await anna.ask(unknown)
    assert reply.codes == ["ErrorInvalidRecipients"] and "nobody@example.org" in reply.text("//m:MessageText")
    assert not (await anna.find("sentitems")).ids()
    assert (await anna.ask(create("<t:Subject>x</t:Subject>", ""))).codes == ["ErrorMessageDispositionRequired"]


async def test_another_name_needs_the_right_to_it(anna):
    other = "<t:From><t:Mailbox><t:EmailAddress>boris@example.org</t:EmailAddress></t:Mailbox></t:From>"
    assert (await anna.ask(create(TO + other, "SendOnly"))).codes == ["ErrorSendAsDenied"]


@pytest.mark.conformance(
    "MSOXWSMSG_S05_TC01_SendMessage",
    "MSOXWSCORE_S04_TC04_SendEmailItemSuccessfully",
    "MSOXWSCORE_S04_TC19_SendItemWithSaveItemToFolder",
)
@pytest.mark.parametrize("save", ["true", "false"])
async def test_a_draft_is_sent(world, anna, boris, save):
    id_, key = await anna.save(f"<t:Subject>later</t:Subject>{TO}")
    spelled = f'<m:ItemIds><t:ItemId Id="{id_}" ChangeKey="{key}"/></m:ItemIds>'
    assert (await anna.ask(f'<m:SendItem SaveItemToFolder="{save}">{spelled.replace(key, "")}</m:SendItem>')).codes == [
        "ErrorChangeKeyRequired"
    ]
    (await anna.ask(f'<m:SendItem SaveItemToFolder="{save}">{spelled}</m:SendItem>')).ok()
    await world.settled()
    assert (await boris.find(shape="Default")).text("//t:Subject") == "later"
    assert not (await anna.find("drafts")).ids()
    assert len((await anna.find("sentitems")).ids()) == (save == "true")
    wrong = f'<m:SendItem SaveItemToFolder="false">{spelled}<m:SavedItemFolderId>{named("inbox")}</m:SavedItemFolderId></m:SendItem>'
    assert (await anna.ask(wrong)).codes == ["ErrorInvalidSendItemSaveSettings"]


@pytest.mark.conformance("MSOXWSMSG_S02_TC01_UpdateMessage", "MSOXWSCORE_S04_TC06_UpdateEmailItemSuccessfully")
async def test_flags_and_categories_change_in_place(anna):
    item = await arrived(anna)
    key = (await anna.get(item)).ids()[0][1]
    reply = await anna.ask(
        update(
            (item, key),
            set_("message:IsRead", "<t:IsRead>true</t:IsRead>"),
            set_("item:Categories", "<t:Categories><t:String>Blue</t:String></t:Categories>"),
            set_("item:Importance", "<t:Importance>Low</t:Importance>"),
            set_("item:Flag", "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus><t:StartDate>2026-11-01T00:00:00Z"
                 "</t:StartDate><t:DueDate>2026-11-05T00:00:00Z</t:DueDate></t:Flag>"),
        )
    )  # fmt: skip
    ((same, after),) = reply.ok().ids()
    assert same == item and after != key
    assert reply.text("//m:ConflictResults/t:Count") == "0"
    got = (await anna.get(item, extra="<t:IncludeMimeContent>true</t:IncludeMimeContent>")).ok()
    assert got.text("//t:IsRead") == "true" and got.texts("//t:Categories/t:String") == ["Blue"]
    assert got.text("//t:Importance") == "Low" and got.text("//t:FlagStatus") == "Flagged"
    assert got.text("//t:DueDate") == "2026-11-05T00:00:00Z"
    assert base64.b64decode(got.text("//t:MimeContent")) == MIME
    done = set_("item:Flag", "<t:Flag><t:FlagStatus>Complete</t:FlagStatus></t:Flag>")
    (await anna.ask(update((item, after), done, delete_("item:Categories"), conflicts="AlwaysOverwrite"))).ok()
    got = (await anna.get(item)).ok()
    assert got.text("//t:FlagStatus") == "Complete" and not got.all("//t:Categories")


async def test_a_draft_is_written_anew(anna):
    item = await anna.save(f'<t:Subject>one</t:Subject><t:Body BodyType="Text">hello</t:Body>{TO}')
    cc = "<t:CcRecipients><t:Mailbox><t:EmailAddress>chen@example.org</t:EmailAddress></t:Mailbox></t:CcRecipients>"
    more = TO.replace("boris", "anna")
    reply = await anna.ask(
        update(
            item,
            set_("item:Subject", "<t:Subject>two</t:Subject>"),
            set_("item:Body", '<t:Body BodyType="Text"> world</t:Body>', "AppendToItemField"),
            set_("message:ToRecipients", more, "AppendToItemField"),
            set_("message:CcRecipients", cc),
        )
    )
    ((id_, key),) = reply.ok().ids()
    assert id_ == item[0] and key != item[1]
    got = (await anna.get(id_)).ok()
    assert got.text("//t:Message/t:Subject") == "two" and got.text("//t:Body") == "hello world"
    assert got.texts("//t:ToRecipients//t:EmailAddress") == ["boris@example.org", "anna@example.org"]
    assert got.texts("//t:CcRecipients//t:EmailAddress") == ["chen@example.org"]
    assert len((await anna.find("drafts")).ids()) == 1


@pytest.mark.conformance("MSOXWSCORE_S04_TC07_UpdateEmailItemFailed", "MSOXWSCORE_S01_TC06_UpdateItemFailed")
async def test_updates_that_cannot_be(anna):
    item = await anna.save("<t:Subject>x</t:Subject>")
    subject = set_("item:Subject", "<t:Subject>y</t:Subject>")
    assert (await anna.ask(update((item[0], ""), subject))).codes == ["ErrorChangeKeyRequiredForWriteOperations"]
    assert (await anna.ask(update((item[0], "AAAA"), subject))).codes == ["ErrorInvalidChangeKey"]
    wrong = set_("item:Subject", "<t:Importance>Low</t:Importance>")
    assert (await anna.ask(update(item, wrong))).codes == ["ErrorUpdatePropertyMismatch"]
    two = set_("item:Subject", "<t:Subject>y</t:Subject><t:Importance>Low</t:Importance>")
    assert (await anna.ask(update(item, two))).codes == ["ErrorIncorrectUpdatePropertyCount"]
    assert (await anna.ask(update(item, delete_("message:IsRead")))).codes == ["ErrorInvalidPropertyDelete"]
    append = set_("item:Subject", "<t:Subject>y</t:Subject>", "AppendToItemField")
    assert (await anna.ask(update(item, append))).codes == ["ErrorInvalidPropertyAppend"]
    flag = set_("item:Flag", "<t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>")
    (await anna.ask(update(item, flag))).ok()
    stale = update(item, set_("item:Importance", "<t:Importance>Low</t:Importance>"), conflicts="NeverOverwrite")
    assert (await anna.ask(stale)).codes == ["ErrorIrresolvableConflict"]


@pytest.mark.conformance("MSOXWSMSG_S03_TC01_CopyMessage", "MSOXWSMSG_S04_TC01_MoveMessage",
                         "MSOXWSCORE_S04_TC02_CopyEmailItemSuccessfully", "MSOXWSCORE_S04_TC03_MoveEmailItemSuccessfully")  # fmt: skip
@pytest.mark.parametrize(("operation", "left"), [("MoveItem", 0), ("CopyItem", 1)])
async def test_to_another_folder(anna, operation, left):
    item = await arrived(anna)
    reply = await anna.ask(
        f'<m:{operation}><m:ToFolderId>{named("archive")}</m:ToFolderId><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds>'
        f"</m:{operation}>"
    )
    ((new, _),) = reply.ok().ids()
    assert new != item
    assert (await anna.get(new)).ok().text("//t:Message/t:Subject") == "Grüße"
    assert len((await anna.find()).ids()) == left


@pytest.mark.conformance("MSOXWSMSG_S03_TC02_CopyMessageUnsuccessful", "MSOXWSMSG_S04_TC02_MoveMessageUnsuccessful",
                         "MSOXWSMSG_S01_TC05_GetAndDeleteMessageUnsuccessful",
)  # fmt: skip
async def test_a_batch_is_done_but_for_what_is_wrong(anna, boris):
    first, second = await arrived(anna), await arrived(boris)
    gone = await anna.save("<t:Subject>x</t:Subject>")
    ids = f'<m:ItemIds><t:ItemId Id="{gone[0]}"/></m:ItemIds>'
    (await anna.ask(f'<m:DeleteItem DeleteType="HardDelete">{ids}</m:DeleteItem>')).ok()
    folder = (await anna.ask(get_folder(named("inbox"), shape="IdOnly"))).ids("FolderId")[0][0]
    wanted = [
        "ErrorAccessDenied",
        "ErrorItemNotFound",
        "ErrorCannotUseFolderIdForItemId",
        "ErrorInvalidIdMalformed",
        "NoError",
    ]
    batch = (second, gone[0], folder, "nonsense", first)
    assert (await anna.get(*batch)).codes == wanted
    inner = "".join(f'<t:ItemId Id="{one}"/>' for one in batch)
    for operation in ("CopyItem", "MoveItem"):
        body = f"<m:ToFolderId>{named('archive')}</m:ToFolderId><m:ItemIds>{inner}</m:ItemIds>"
        assert (await anna.ask(f"<m:{operation}>{body}</m:{operation}>")).codes == wanted
    wanted[-1] = "ErrorItemNotFound"
    reply = await anna.ask(f'<m:DeleteItem DeleteType="SoftDelete"><m:ItemIds>{inner}</m:ItemIds></m:DeleteItem>')
    assert reply.codes == wanted


@pytest.mark.conformance("MSOXWSCORE_S01_TC20_VerifyItemWithDisposalTypeEnum")
@pytest.mark.parametrize("kind", ["HardDelete", "SoftDelete", "MoveToDeletedItems"])
async def test_where_deleted_items_go(anna, kind):
    item = await arrived(anna)
    (
        await anna.ask(
            f'<m:DeleteItem DeleteType="{kind}"><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:DeleteItem>'
        )
    ).ok()
    assert not (await anna.find()).ids()
    assert len((await anna.find("deleteditems")).ids()) == (kind == "MoveToDeletedItems")
    assert len((await anna.find("recoverableitemsdeletions")).ids()) == (kind == "SoftDelete")


@pytest.mark.conformance("MSOXWSCORE_S04_TC18_MarkAsJunkSuccessfully")
async def test_junk_and_back(anna):
    item = await arrived(anna)
    ask = '<m:MarkAsJunk IsJunk="{}" MoveItem="true"><m:ItemIds><t:ItemId Id="{}"/></m:ItemIds></m:MarkAsJunk>'
    moved = (await anna.ask(ask.format("true", item))).ok().one("//m:MovedItemId").get("Id")
    assert len((await anna.find("junkemail")).ids()) == 1
    (await anna.ask(ask.format("false", moved))).ok()
    assert len((await anna.find()).ids()) == 1


@pytest.mark.conformance(
    "MSOXWSCORE_S04_TC05_MarkAllEmailItemsAsReadSuccessfully", "MSOXWSCORE_S01_TC05_MarkAllItemsAsReadSuccessfully"
)
async def test_all_read_and_unread(anna):
    for _ in range(3):
        await anna.deliver(MIME)
    for read, unread in (("true", "0"), ("false", "3")):
        (
            await anna.ask(
                f"<m:MarkAllItemsAsRead><m:ReadFlag>{read}</m:ReadFlag><m:SuppressReadReceipts>true"
                f"</m:SuppressReadReceipts><m:FolderIds>{named('inbox')}</m:FolderIds></m:MarkAllItemsAsRead>"
            )
        ).ok()
        assert (await anna.ask(get_folder(named("inbox")))).text("//t:UnreadCount") == unread


@pytest.mark.conformance("MSOXWSCORE_S04_TC17_VerifyEmailWithResponseObjects")
@pytest.mark.parametrize("kind", ["ReplyToItem", "ReplyAllToItem", "ForwardItem"])
async def test_answers(world, anna, boris, kind):
    item = await arrived(anna)
    to = TO if kind == "ForwardItem" else ""
    new = '<t:NewBodyContent BodyType="Text">my words</t:NewBodyContent>'
    inner = f'{to}<t:ReferenceItemId Id="{item}"/>{new}'
    (await anna.ask(create(inner, "SaveOnly", element=kind))).ok()
    (draft,) = (await anna.find("drafts")).ids()
    got = (await anna.get(draft[0])).ok()
    assert got.text("//t:Message/t:Subject") == ("FW: Grüße" if kind == "ForwardItem" else "RE: Grüße")
    assert got.text("//t:Body").startswith("my words") and "Hello <you> & me" in got.text("//t:Body")
    assert got.text("//t:InReplyTo") == "<one@example.net>"
    people = got.texts("//t:ToRecipients//t:EmailAddress")
    assert (
        people
        == {
            "ReplyToItem": ["chen@example.org"],
            "ReplyAllToItem": ["chen@example.org", "b@example.net"],
            "ForwardItem": ["boris@example.org"],
        }[kind]
    )
    assert got.text("//t:HasAttachments") == ("true" if kind == "ForwardItem" else "false")
    if kind == "ReplyAllToItem":
        return
    (await anna.ask(create(inner, "SendAndSaveCopy", element=kind))).ok()
    verb = '<t:AdditionalProperties><t:ExtendedFieldURI PropertyTag="0x1081" PropertyType="Integer"/></t:AdditionalProperties>'
    got = (await anna.get(item, shape="IdOnly", extra=verb)).ok()
    assert got.text("//t:ExtendedProperty/t:Value") == ("104" if kind == "ForwardItem" else "102")


@pytest.mark.conformance("MSOXWSCORE_S01_TC08_VerifyExtendPropertyType", "MSOXWSCORE_S04_TC08_VerifyExtendPropertyType")
async def test_extended_properties_of_every_type(anna):
    guid = "f7f4ab2c-1f1d-4b1f-9a06-6c3f9c2d0a11"
    values = {
        "Short": "-5", "Integer": "70000", "Long": "5000000000", "Double": "1.5", "Float": "2.5", "Boolean": "true",
        "String": "tëxt & <more>", "SystemTime": "2026-11-23T10:12:34Z", "Binary": "AQIDBA==",
        "Currency": "12345",
    }  # fmt: skip
    uris = {
        kind: f'<t:ExtendedFieldURI PropertySetId="{guid}" PropertyName="p{kind}" PropertyType="{kind}"/>'
        for kind in values
    }
    array = f'<t:ExtendedFieldURI PropertySetId="{guid}" PropertyId="7" PropertyType="StringArray"/>'
    escaped = values["String"].replace("&", "&amp;").replace("<", "&lt;")
    inner = "".join(
        f"<t:ExtendedProperty>{uris[kind]}<t:Value>{escaped if kind == 'String' else value}</t:Value></t:ExtendedProperty>"
        for kind, value in values.items()
    )
    inner += (
        f"<t:ExtendedProperty>{array}<t:Values><t:Value>a</t:Value><t:Value>b</t:Value></t:Values></t:ExtendedProperty>"
    )
    item = await anna.save(f"<t:Subject>x</t:Subject>{inner}")
    extra = f"<t:AdditionalProperties>{''.join(uris.values())}{array}</t:AdditionalProperties>"
    got = (await anna.get(item[0], shape="IdOnly", extra=extra)).ok()
    found = {one[0].get("PropertyType"): one[1].text for one in got.all("//t:ExtendedProperty[t:Value]")}
    assert found == values
    assert got.texts("//t:Values/t:Value") == ["a", "b"]
    drop = f"<t:DeleteItemField>{uris['String']}</t:DeleteItemField>"
    (await anna.ask(update(item, drop))).ok()
    got = (await anna.get(item[0], shape="IdOnly", extra=extra)).ok()
    assert "String" not in {one[0].get("PropertyType") for one in got.all("//t:ExtendedProperty[t:Value]")}


async def test_thunderbird_copies_a_message_up(anna):
    """MimeContent with flags in PidTagMessageFlags: read and sent, not a draft."""
    flags = '<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/><t:Value>1</t:Value></t:ExtendedProperty>'
    content = base64.b64encode(MIME).decode()
    item = await anna.save(f"<t:MimeContent>{content}</t:MimeContent>{flags}", named("inbox"))
    got = (await anna.get(item[0], extra="<t:IncludeMimeContent>true</t:IncludeMimeContent>")).ok()
    assert base64.b64decode(got.text("//t:MimeContent")) == MIME
    assert got.text("//t:IsDraft") == "false" and got.text("//t:IsRead") == "true"


async def test_mime_that_is_none(anna):
    for content, code in (("%%%", "ErrorMimeContentInvalidBase64String"), ("", "ErrorMimeContentInvalid")):
        assert (await anna.ask(create(f"<t:MimeContent>{content}</t:MimeContent>"))).codes == [code]


async def test_a_message_for_somebody_else_is_not_read(anna, boris):
    item = await arrived(boris)
    assert (await anna.get(item)).codes == ["ErrorAccessDenied"]
    mailbox = await anna.world.parts.store.mailbox(boris.principal.mailbox)
    assert (await mailbox.special(SpecialUse.INBOX)).messages == 1
