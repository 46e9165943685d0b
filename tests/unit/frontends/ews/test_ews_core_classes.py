"""What a new item may not be: of another's class, or have properties that follow from others (MS-OXWSCORE 2.2.4.24)."""

from __future__ import annotations

import pytest
from ews_kinds import CONTACT, ITEM, LIST, MEETING, MESSAGE, POST, TASK, creating, item, make, setting, updating

_CLASSES = ("IPM.Appointment", "IPM.Contact", "IPM.DistList", "IPM.Task", "IPM.Note", "IPM.Post", "Nonsense")


@pytest.mark.parametrize("kind", [
    pytest.param(ITEM, id="item", marks=pytest.mark.conformance("MSOXWSCORE_S01_TC07_CreateItemFailed")),
    pytest.param(CONTACT, id="contact", marks=pytest.mark.conformance(
        "MSOXWSCORE_S02_TC07_CreateContactItemFailed", "MSOXWSCORE_S02_TC16_CreateContactItemWithInvalidItemClass")),
    pytest.param(LIST, id="list", marks=pytest.mark.conformance(
        "MSOXWSCORE_S03_TC07_CreateDistributionListsItemFailed",
        "MSOXWSCORE_S03_TC16_CreateDistributionListsItemWithInvalidItemClass")),
    pytest.param(MESSAGE, id="message"),
    pytest.param(MEETING, id="meeting", marks=pytest.mark.conformance(
        "MSOXWSCORE_S05_TC07_CreateMeetingItemFailed", "MSOXWSCORE_S05_TC20_CreateMeetingItemWithInvalidItemClass")),
    pytest.param(POST, id="post", marks=pytest.mark.conformance("MSOXWSCORE_S06_TC06_CreatePostItemFailed", "MSOXWSCORE_S06_TC17_CreatePostItemWithInvalidItemClass")),
    pytest.param(TASK, id="task", marks=pytest.mark.conformance(
        "MSOXWSCORE_S07_TC06_CreateTaskItemFailed", "MSOXWSCORE_S07_TC18_CreateTaskItemWithInvalidItemClass")),
])  # fmt: skip
async def test_a_class_of_another_kind_is_refused(anna, kind):
    def called(name: str) -> str:
        return item(kind, f"<t:ItemClass>{name}</t:ItemClass><t:Subject>x</t:Subject>")

    others = [one for one in _CLASSES if one not in (kind.item_class, "IPM.Post" if kind.told == "Message" else "")]
    reply = await anna.ask(creating("".join(map(called, others))))
    assert reply.codes == ["ErrorObjectTypeChanged"] * len(others)
    (await anna.ask(creating(called(kind.item_class) + called(f"{kind.item_class}.Custom")))).ok()


@pytest.mark.conformance(
    "MSOXWSCORE_S01_TC42_IconIndexIsReadOnly", "MSOXWSCORE_S01_TC43_RightsManagementLicenseDataIsReadOnly",
    "MSOXWSCORE_S01_TC46_VerifyBlockStatusIsSetInCreateItem", "MSOXWSMSG_S07_TC03_VerifyConversationIndexIsReadOnly",
)  # fmt: skip
async def test_what_follows_from_others_is_read_only(anna):
    made = await make(anna, MESSAGE)
    for family, name, value in (
        ("item", "IconIndex", "MailRead"),
        ("item", "RightsManagementLicenseData", "<t:EditAllowed>true</t:EditAllowed>"),
        ("item", "BlockStatus", "true"),
        ("message", "ConversationIndex", "AQIDBAU="),
    ):
        inner = f"<t:{name}>{value}</t:{name}>"
        assert (await anna.ask(creating(item(MESSAGE, inner)))).codes == ["ErrorInvalidPropertySet"], name
        change = setting(MESSAGE, f"{family}:{name}", inner)
        assert (await anna.ask(updating((made, change)))).codes == ["ErrorInvalidPropertySet"], name


@pytest.mark.conformance("MSOXWSCORE_S01_TC45_VerifyStoreEntryIdIsReadOnly")
async def test_a_store_entry_id_is_passed_over_in_a_new_item_only(anna):
    """MS-OXWSCORE appendix C: since Exchange 2013."""
    inner = "<t:StoreEntryId>AQIDBAU=</t:StoreEntryId>"
    made = await make(anna, ITEM, f"<t:Subject>x</t:Subject>{inner}")
    assert (await anna.ask(updating((made, setting(ITEM, "item:StoreEntryId", inner))))).codes == [
        "ErrorInvalidPropertySet"
    ]
