"""Items of every kind are made, read, copied, moved, changed and deleted alike (MS-OXWSCORE 3.1.4)."""

from __future__ import annotations

import pytest
from ews_kinds import (
    CONTACT,
    ITEM,
    LIST,
    MEETING,
    POST,
    TASK,
    body,
    creating,
    deleting,
    found_in,
    get,
    item,
    make,
    marking,
    removing,
    setting,
    transferring,
    updating,
)

_PR_READ = '<t:ExtendedFieldURI PropertyTag="0x0E69" PropertyType="Boolean"/>'


@pytest.mark.parametrize("kind", [
    pytest.param(ITEM, id="item", marks=pytest.mark.conformance(
        "MSOXWSCORE_S01_TC01_CreateGetDeleteItemSuccessfully", "MSOXWSCORE_S01_TC02_CopyItemSuccessfully",
        "MSOXWSCORE_S01_TC03_MoveItemSuccessfully")),
    pytest.param(CONTACT, id="contact", marks=pytest.mark.conformance(
        "MSOXWSCORE_S02_TC01_CreateGetDeleteContactItemSuccessfully", "MSOXWSCORE_S02_TC02_CopyContactItemSuccessfully",
        "MSOXWSCORE_S02_TC03_MoveContactItemSuccessfully")),
    pytest.param(LIST, id="list", marks=pytest.mark.conformance(
        "MSOXWSCORE_S03_TC01_CreateGetDeleteDistributionListsItemSuccessfully",
        "MSOXWSCORE_S03_TC02_CopyDistributionListsItemSuccessfully",
        "MSOXWSCORE_S03_TC03_MoveDistributionListsItemSuccessfully")),
    pytest.param(MEETING, id="meeting", marks=pytest.mark.conformance(
        "MSOXWSCORE_S05_TC01_CreateGetDeleteMeetingItemSuccessfully", "MSOXWSCORE_S05_TC02_CopyMeetingItemSuccessfully",
        "MSOXWSCORE_S05_TC03_MoveMeetingItemSuccessfully")),
    pytest.param(POST, id="post", marks=pytest.mark.conformance("MSOXWSCORE_S06_TC01_CreateGetDeletePostItemSuccessfully", "MSOXWSCORE_S06_TC02_CopyPostItemSuccessfully", "MSOXWSCORE_S06_TC03_MovePostItemSuccessfully")),
    pytest.param(TASK, id="task", marks=pytest.mark.conformance(
        "MSOXWSCORE_S07_TC01_CreateGetDeleteTaskItemSuccessfully", "MSOXWSCORE_S07_TC02_CopyTaskItemSuccessfully",
        "MSOXWSCORE_S07_TC03_MoveTaskItemSuccessfully")),
])  # fmt: skip
async def test_made_read_copied_moved_and_deleted(anna, kind):
    first, _ = await make(anna, kind)
    reply = (await get(anna, first)).ok()
    assert reply.text("//m:Items/*/t:Subject") == "one" and reply.text("//t:ItemClass") == kind.item_class
    assert reply.text("//t:HasAttachments") == "false"
    ((copy, _),) = (await anna.ask(transferring("CopyItem", "drafts", first))).ok().ids()
    assert copy != first
    both = (await get(anna, first, copy)).ok()
    assert both.texts("//m:Items/*/t:Subject") == ["one", "one"] and "one" in await found_in(anna, "drafts")
    ((moved, _),) = (await anna.ask(transferring("MoveItem", kind.away, first))).ok().ids()
    assert (await get(anna, first)).codes == ["ErrorItemNotFound"]
    reply = (await get(anna, moved)).ok()
    assert reply.text("//m:Items/*/t:Subject") == "one" and reply.text("//t:ItemClass") == kind.item_class
    assert await found_in(anna, kind.away) == ["one"]
    (await anna.ask(deleting(moved, copy))).ok()
    assert (await get(anna, moved, copy)).codes == ["ErrorItemNotFound"] * 2


@pytest.mark.parametrize("kind", [
    pytest.param(ITEM, id="item", marks=pytest.mark.conformance("MSOXWSCORE_S01_TC04_UpdateItemSuccessfully")),
    pytest.param(CONTACT, id="contact", marks=pytest.mark.conformance(
        "MSOXWSCORE_S02_TC04_UpdateContactItemSuccessfully", "MSOXWSCORE_S02_TC06_UpdateContactItemFailed")),
    pytest.param(LIST, id="list", marks=pytest.mark.conformance(
        "MSOXWSCORE_S03_TC04_UpdateDistributionListsItemSuccessfully",
        "MSOXWSCORE_S03_TC08_UpdateDistributionListsItemFailed")),
    pytest.param(MEETING, id="meeting", marks=pytest.mark.conformance(
        "MSOXWSCORE_S05_TC04_UpdateMeetingItemSuccessfully", "MSOXWSCORE_S05_TC06_UpdateMeetingItemFailed")),
    pytest.param(POST, id="post", marks=pytest.mark.conformance("MSOXWSCORE_S06_TC04_UpdatePostItemSuccessfully", "MSOXWSCORE_S06_TC07_UpdatePostItemFailed")),
    pytest.param(TASK, id="task", marks=pytest.mark.conformance(
        "MSOXWSCORE_S07_TC04_UpdateTaskItemSuccessfully", "MSOXWSCORE_S07_TC07_UpdateTaskItemFailed")),
])  # fmt: skip
async def test_appended_to_set_and_emptied(anna, kind):
    """Each change has one property, else ErrorIncorrectUpdatePropertyCount (MS-OXWSCDATA 2.2.5.24)."""
    made = await make(anna, kind)
    append = setting(kind, "item:Body", body("Grüße"), "AppendToItemField")
    changed = (await anna.ask(updating((made, append)))).ok().ids()[0]
    assert changed[0] == made[0] and changed[1] != made[1]
    reply = (await get(anna, made[0])).ok()
    assert reply.text("//t:Body") == "Grüße" and reply.one("//t:Body").get("BodyType") == "Text"
    changed = (await anna.ask(updating((changed, append)))).ok().ids()[0]
    assert (await get(anna, made[0])).ok().text("//t:Body") == "GrüßeGrüße"
    two = setting(kind, "item:Subject", f"<t:Subject>two</t:Subject>{body('')}")
    assert (await anna.ask(updating((changed, two)))).codes == ["ErrorIncorrectUpdatePropertyCount"]
    wrong = setting(kind, "item:Subject", body("x"))
    assert (await anna.ask(updating((changed, wrong)))).codes == ["ErrorUpdatePropertyMismatch"]
    several = setting(kind, "item:Subject", "<t:Subject>two</t:Subject>") + removing("item:Body")
    (await anna.ask(updating((changed, several)))).ok()
    reply = (await get(anna, made[0])).ok()
    assert reply.text("//m:Items/*/t:Subject") == "two" and not reply.text("//t:Body")


@pytest.mark.parametrize("kind", [
    pytest.param(CONTACT, id="contact", marks=pytest.mark.conformance(
        "MSOXWSCORE_S02_TC05_MarkAllContactItemsAsReadSuccessfully",
        "MSOXWSCORE_S02_TC09_OperateMultipleContactItemsSuccessfully")),
    pytest.param(LIST, id="list", marks=pytest.mark.conformance(
        "MSOXWSCORE_S03_TC05_MarkAllDistributionListsItemsAsReadSuccessfully",
        "MSOXWSCORE_S03_TC09_OperateMultipleDistributionListsItemsSuccessfully")),
    pytest.param(MEETING, id="meeting", marks=pytest.mark.conformance(
        "MSOXWSCORE_S05_TC05_MarkAllMeetingItemsAsReadSuccessfully",
        "MSOXWSCORE_S05_TC09_OperateMultipleMeetingItemsSuccessfully")),
    pytest.param(POST, id="post", marks=pytest.mark.conformance("MSOXWSCORE_S06_TC05_MarkAllPostItemsAsReadSuccessfully", "MSOXWSCORE_S06_TC09_OperateMultiplePostItemsSuccessfully")),
    pytest.param(TASK, id="task", marks=pytest.mark.conformance(
        "MSOXWSCORE_S07_TC05_MarkAllTaskItemsAsReadSuccessfully",
        "MSOXWSCORE_S07_TC09_OperateMultipleTaskItemsSuccessfully")),
])  # fmt: skip
async def test_two_at_a_time(anna, kind):
    """Each of a batch has its own answer; MarkAllItemsAsRead is for a folder of any kind (MS-OXWSCORE 3.1.4.5)."""
    both = [item(kind, f"<t:Subject>{one}</t:Subject>") for one in ("one", "two")]
    made = (await anna.ask(creating("".join(both)))).ok().ids()
    assert len({id_ for id_, _ in made}) == 2
    for read in (False, True):
        (await anna.ask(marking(kind.folder, read=read))).ok()
        reply = (await get(anna, *(id_ for id_, _ in made), paths=_PR_READ)).ok()
        assert reply.texts("//t:ExtendedProperty/t:Value") == [str(read).lower()] * 2
    keys = (await get(anna, *(id_ for id_, _ in made), shape="IdOnly")).ok().ids()
    renamed = [
        (one, setting(kind, "item:Subject", f"<t:Subject>{new}</t:Subject>"))
        for one, new in zip(keys, ("uno", "due"), strict=True)
    ]
    (await anna.ask(updating(*renamed))).ok()
    moved = (await anna.ask(transferring("MoveItem", kind.away, *(id_ for id_, _ in made)))).ok().ids()
    reply = (await get(anna, *(id_ for id_, _ in moved))).ok()
    assert reply.texts("//m:Items/*/t:Subject") == ["uno", "due"]
    assert len((await anna.ask(transferring("CopyItem", "drafts", *(id_ for id_, _ in moved)))).ok().ids()) == 2
    assert sorted(await found_in(anna, "drafts")) == sorted(await found_in(anna, kind.away)) == ["due", "uno"]


@pytest.mark.conformance("MSOXWSCORE_S01_TC22_ReturnNewItemIdsIsIgnored")
@pytest.mark.parametrize("operation", ["CopyItem", "MoveItem"])
async def test_new_ids_are_told_whatever_is_asked(anna, operation):
    """MS-OXWSCORE 2.2.4.16."""
    for wish in ("", "<m:ReturnNewItemIds>true</m:ReturnNewItemIds>", "<m:ReturnNewItemIds>false</m:ReturnNewItemIds>"):
        made, _ = await make(anna, ITEM)
        ((new, _),) = (await anna.ask(transferring(operation, "inbox", made, more=wish))).ok().ids()
        assert new != made
