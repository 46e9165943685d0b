"""The base item: all its elements, its flag, its kinds together in one request (MS-OXWSCORE 2.2.4.24, 2.2.4.20)."""

from __future__ import annotations

import base64

import pytest
from ews_kinds import (
    CONTACT,
    ITEM,
    LIST,
    MEETING,
    MESSAGE,
    POST,
    TASK,
    body,
    creating,
    deleting,
    get,
    item,
    make,
    path,
    setting,
    transferring,
    updating,
)

_START, _DUE, _DONE = (
    f"<t:{name}>2026-11-0{day}T09:00:00Z</t:{name}>"
    for name, day in (("StartDate", 2), ("DueDate", 3), ("CompleteDate", 4))
)


def flagged(status: str, dates: str = "") -> str:
    return f"<t:Subject>x</t:Subject><t:Flag><t:FlagStatus>{status}</t:FlagStatus>{dates}</t:Flag>"


@pytest.mark.conformance(
    "MSOXWSCORE_S01_TC26_CreateItemWithFlagStatusFlagged", "MSOXWSCORE_S01_TC27_CreateItemWithFlagStatusNotFlagged"
)
async def test_flags_with_their_dates(anna):
    right = (
        ("Flagged", _START + _DUE), ("Flagged", ""), ("NotFlagged", ""), ("Complete", _DONE), ("Complete", ""),
    )  # fmt: skip
    made = (await anna.ask(creating("".join(item(ITEM, flagged(*one)) for one in right)))).ok().ids()
    reply = (await get(anna, *(one for one, _ in made))).ok()
    told = []
    for flag in reply.all("//t:Message/t:Flag"):
        status, *dates = [(one.tag.rpartition("}")[2], one.text) for one in flag]
        told.append((status[1], "".join(f"<t:{name}>{when}</t:{name}>" for name, when in dates)))
    assert tuple(told) == right


@pytest.mark.conformance("MSOXWSCORE_S01_TC28_CreateItemWithFlagStatusFailed")
async def test_flags_with_dates_that_do_not_go_with_them(anna):
    wrong = (
        ("Flagged", _DONE), ("Flagged", _START), ("Flagged", _DUE), ("Complete", _START + _DUE + _DONE),
        ("Complete", _START + _DUE), ("NotFlagged", _DONE), ("NotFlagged", _START + _DUE),
    )  # fmt: skip
    reply = await anna.ask(creating("".join(item(ITEM, flagged(*one)) for one in wrong)))
    assert reply.codes == ["ErrorInvalidArgument"] * len(wrong)


@pytest.mark.parametrize("minutes", ["²", "9" * 5000, "-1", "soon"])
async def test_a_reminder_that_is_no_number_is_refused(anna, minutes):
    reminder = f"<t:Subject>x</t:Subject><t:ReminderMinutesBeforeStart>{minutes}</t:ReminderMinutesBeforeStart>"
    assert (await anna.ask(creating(item(ITEM, reminder)))).codes == ["ErrorSchemaValidation"]


@pytest.mark.conformance("MSOXWSCORE_S01_TC09_VerifyItemWithWithAllElement")
async def test_all_that_can_be_set_on_an_item(anna):
    file = base64.b64encode(b"picture").decode()
    made, _ = await make(
        anna,
        ITEM,
        "<t:ItemClass>IPM.Note</t:ItemClass><t:Subject>whole</t:Subject><t:Sensitivity>Normal</t:Sensitivity>"
        f"{body('text for all')}<t:Attachments><t:FileAttachment><t:Name>a.jpg</t:Name><t:Content>{file}</t:Content>"
        "</t:FileAttachment><t:ItemAttachment><t:Name>inner</t:Name><t:Item><t:Subject>inner</t:Subject></t:Item>"
        "</t:ItemAttachment></t:Attachments><t:Categories><t:String>Red</t:String></t:Categories>"
        "<t:Importance>Normal</t:Importance><t:InReplyTo>&lt;one@example.net&gt;</t:InReplyTo>"
        "<t:ReminderDueBy>2026-11-05T08:00:00Z</t:ReminderDueBy><t:ReminderIsSet>true</t:ReminderIsSet>"
        "<t:ReminderNextTime>2026-11-05T07:30:00Z</t:ReminderNextTime>"
        "<t:ReminderMinutesBeforeStart>10</t:ReminderMinutesBeforeStart><t:ExtendedProperty><t:ExtendedFieldURI "
        'DistinguishedPropertySetId="Common" PropertyId="123" PropertyType="String"/><t:Value>v</t:Value>'
        f"</t:ExtendedProperty><t:Culture>en-GB</t:Culture><t:Flag><t:FlagStatus>Flagged</t:FlagStatus>{_START}{_DUE}"
        "</t:Flag><t:RetentionDate>2027-11-05T08:00:00Z</t:RetentionDate>",
    )
    paths = path("item:Preview") + path("item:TextBody") + path("item:IconIndex") + path("item:BlockStatus")
    reply = (await get(anna, made, paths=paths)).ok()
    assert {name: reply.text(f"//t:Message/t:{name}") for name in (
        "ItemClass", "Subject", "Sensitivity", "Body", "Importance", "InReplyTo", "ReminderDueBy", "ReminderIsSet",
        "ReminderNextTime", "ReminderMinutesBeforeStart", "Culture", "RetentionDate", "Preview", "TextBody",
        "HasAttachments", "IsSubmitted", "IsDraft", "IsFromMe", "IsResend", "IsUnmodified", "IsAssociated",
        "DisplayTo", "DisplayCc", "IconIndex", "BlockStatus", "LastModifiedName",
    )} == {
        "ItemClass": "IPM.Note", "Subject": "whole", "Sensitivity": "Normal", "Body": "text for all",
        "Importance": "Normal", "InReplyTo": "<one@example.net>", "ReminderDueBy": "2026-11-05T08:00:00Z",
        "ReminderIsSet": "true", "ReminderNextTime": "2026-11-05T07:30:00Z", "ReminderMinutesBeforeStart": "10",
        "Culture": "en-GB", "RetentionDate": "2027-11-05T08:00:00Z", "Preview": "text for all",
        "TextBody": "text for all", "HasAttachments": "true", "IsSubmitted": "false", "IsDraft": "true",
        "IsFromMe": "false", "IsResend": "false", "IsUnmodified": "false", "IsAssociated": "false", "DisplayTo": "",
        "DisplayCc": "", "IconIndex": "MailRead", "BlockStatus": "false", "LastModifiedName": "anna@example.org",
    }  # fmt: skip
    assert reply.one("//t:Message/t:ItemId").get("Id") == made
    assert reply.texts("//t:Categories/t:String") == ["Red"] and int(reply.text("//t:Message/t:Size")) > 100
    for name in ("DateTimeReceived", "DateTimeSent", "DateTimeCreated", "LastModifiedTime", "InstanceKey"):
        assert reply.text(f"//t:Message/t:{name}"), name
    assert reply.one("//t:ConversationId").get("Id") and reply.text("//t:EffectiveRights/t:Read") == "true"
    assert sorted(reply.texts("//t:Attachments/*/t:Name")) == ["a.jpg", "inner"]
    assert reply.text("//t:Flag/t:DueDate") == "2026-11-03T09:00:00Z"


_KINDS = (ITEM, MESSAGE, CONTACT, LIST, TASK, MEETING, POST)


async def of_every_kind(anna) -> list[tuple[str, str]]:
    request = creating("".join(item(one, f"<t:Subject>{one.element}</t:Subject>{body('text')}") for one in _KINDS))
    return (await anna.ask(request)).ok().ids()


@pytest.mark.conformance(
    "MSOXWSCORE_S08_TC01_CreateGetDeleteTypesOfItemsSuccessfully", "MSOXWSCORE_S08_TC02_CopyTypesOfItemsSuccessfully",
    "MSOXWSCORE_S08_TC03_MoveTypesOfItemsSuccessfully",
)  # fmt: skip
async def test_all_kinds_in_one_request(anna):
    made = [one for one, _ in await of_every_kind(anna)]
    reply = (await get(anna, *made)).ok()
    assert [one.tag.rpartition("}")[2] for one in reply.all("//m:Items/*")] == [one.told for one in _KINDS]
    assert reply.texts("//m:Items/*/t:ItemClass") == [one.item_class for one in _KINDS]
    copies = [one for one, _ in (await anna.ask(transferring("CopyItem", "drafts", *made))).ok().ids()]
    moved = [one for one, _ in (await anna.ask(transferring("MoveItem", "inbox", *made))).ok().ids()]
    subjects = [one.element for one in _KINDS]
    assert (await get(anna, *copies)).ok().texts("//m:Items/*/t:Subject") == subjects
    assert (await get(anna, *moved)).ok().texts("//m:Items/*/t:Subject") == subjects
    assert len(set(made + copies + moved)) == 3 * len(_KINDS)
    (await anna.ask(deleting(*moved, *copies))).ok()
    assert set((await get(anna, *made, *moved, *copies)).codes) == {"ErrorItemNotFound"}


@pytest.mark.conformance(
    "MSOXWSCORE_S08_TC04_UpdateTypesOfItemsSuccessfully", "MSOXWSCORE_S08_TC05_UpdateTypesOfItemsFailed"
)
async def test_all_kinds_changed_in_one_request(anna):
    made = await of_every_kind(anna)
    two = "<t:Subject>new</t:Subject><t:Importance>High</t:Importance>"
    wrong = [(one, setting(kind, "item:Subject", two)) for one, kind in zip(made, _KINDS, strict=True)]
    assert (await anna.ask(updating(*wrong))).codes == ["ErrorIncorrectUpdatePropertyCount"] * len(_KINDS)
    assert (await get(anna, *(one for one, _ in made))).ok().texts("//m:Items/*/t:Subject")[0] == "Item"
    right = [
        (one, setting(kind, "item:Subject", "<t:Subject>new</t:Subject>"))
        for one, kind in zip(made, _KINDS, strict=True)
    ]
    (await anna.ask(updating(*right))).ok()
    assert (await get(anna, *(one for one, _ in made))).ok().texts("//m:Items/*/t:Subject") == ["new"] * len(_KINDS)
