"""Search folders that are followed: SyncFolderItems, notifications, conversations, and counts that are kept."""

from __future__ import annotations

import base64

import pytest
from test_ews_conversations import mail as talk
from test_ews_folders import by_id, get, named
from test_ews_following import sync
from test_ews_messages import set_, update
from test_ews_notifications import get_events, kinds, subscribe
from test_ews_search_folders import UNREAD, contains, create, find, made, mail, parameters

from postern.frontends.ews import search_following, search_sync
from postern.frontends.ews.search_following import Standing
from postern.model.items import SpecialUse
from postern.model.rights import ROLES, FolderRight, MailboxRight


def following(folder: str, state: str = "", **how) -> str:
    return sync(state, **how).replace(named("inbox"), by_id(folder))


async def followed(client, folder: str, state: str = "", **how) -> tuple[list[tuple[str, str]], str]:
    """Kinds of changes with the items' ids, and the next state."""
    reply = (await client.ask(following(folder, state, **how))).ok()
    told = [(one.tag.rpartition("}")[2], one.find(".//{*}ItemId").get("Id")) for one in reply.all("//m:Changes/*")]
    return told, reply.text("//m:SyncState")


async def items(client, use: str = "inbox") -> dict[str, tuple[str, str]]:
    reply = (await client.find(use, shape="Default")).ok()
    return dict(zip(reply.texts("//t:Subject"), reply.ids(), strict=True))


def read(*, seen: bool) -> str:
    return set_("message:IsRead", f"<t:IsRead>{str(seen).lower()}</t:IsRead>")


def delete(*ids: str) -> str:
    inner = "".join(f'<t:ItemId Id="{one}"/>' for one in ids)
    return f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds>{inner}</m:ItemIds></m:DeleteItem>'


def drop(folder: str) -> str:
    return f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{by_id(folder)}</m:FolderIds></m:DeleteFolder>'


async def test_what_comes_changes_and_goes(anna):
    for subject in ("plan one", "plan two", "other"):
        await mail(anna, subject)
    folder = await made(anna, UNREAD, named("inbox"))
    there = await items(anna)
    told, state = await followed(anna, folder)
    assert sorted(told) == sorted(("Create", id_) for id_, _ in there.values())
    assert await followed(anna, folder, state) == ([], state)
    # read: it fits no more; nothing else is told of it, until it fits again
    (await anna.ask(update(there["plan one"], read(seen=True)))).ok()
    told, state = await followed(anna, folder, state)
    assert told == [("Delete", there["plan one"][0])]
    categories = set_("item:Categories", "<t:Categories><t:String>Red</t:String></t:Categories>")
    (await anna.ask(update((await items(anna))["plan one"], categories))).ok()
    assert (await followed(anna, folder, state))[0] == []
    (await anna.ask(update((await items(anna))["plan one"], read(seen=False)))).ok()
    (await anna.ask(update(there["other"], categories))).ok()
    told, state = await followed(anna, folder, state)
    assert sorted(told) == sorted([("Create", there["plan one"][0]), ("Update", there["other"][0])])
    (await anna.ask(delete(there["plan two"][0]))).ok()
    await mail(anna, "new")
    told, state = await followed(anna, folder, state)
    assert sorted(told) == sorted([("Create", (await items(anna))["new"][0]), ("Delete", there["plan two"][0])])


async def test_of_an_item_that_fits_before_and_after_only_the_flag_is_told(anna):
    await mail(anna, "plan")
    folder = await made(anna, contains("plan"), named("inbox"))
    ((_, id_),), state = await followed(anna, folder)
    (await anna.ask(update((await items(anna))["plan"], read(seen=True)))).ok()
    assert (await followed(anna, folder, state))[0] == [("ReadFlagChange", id_)]
    anna.version = "Exchange2007"
    assert (await followed(anna, folder, state))[0] == [("Update", id_)]


async def test_pages_over_several_folders(anna, monkeypatch):
    monkeypatch.setattr(search_following, "PAGE", 4)
    below = await anna.folder("Below", named("inbox"))
    for number in range(9):
        await mail(anna, f"plan {number}", SpecialUse.INBOX if number % 2 else SpecialUse.DRAFTS)
        await mail(anna, "other")
        await anna.save("<t:Subject>plan</t:Subject>", by_id(below))
    folder = await made(anna, contains("plan"), named("msgfolderroot"))
    found: list[tuple[str, str]] = []
    state = ""
    for page in range(100):
        monkeypatch.setattr(search_sync, "MAX_LOOKED_AT", 1 + page % 3)
        reply = (await anna.ask(following(folder, state, limit=5))).ok()
        told = [(one.tag.rpartition("}")[2], one.find(".//{*}ItemId").get("Id")) for one in reply.all("//m:Changes/*")]
        assert len(told) <= 5
        found += told
        state = reply.text("//m:SyncState")
        if reply.text("//m:IncludesLastItemInRange") == "true":
            break
    assert len(found) == len(set(found)) == 18 and {kind for kind, _ in found} == {"Create"}
    # a folder that goes takes what was told of it with it, in pages too
    (await anna.ask(drop(below))).ok()
    gone, state = await followed(anna, folder, state, limit=5)
    assert len(gone) == 5
    rest, state = await followed(anna, folder, state)
    assert len({*gone, *rest}) == 9 and {kind for kind, _ in gone + rest} == {"Delete"}
    assert (await followed(anna, folder, state))[0] == []
    # one that is new is looked into
    await anna.save("<t:Subject>plan</t:Subject>", by_id(await anna.folder("Later")))
    assert [kind for kind, _ in (await followed(anna, folder, state))[0]] == ["Create"]


async def test_states_that_are_none(anna, monkeypatch):
    await mail(anna, "plan")
    folder = await made(anna, contains("plan"), named("inbox"))
    other = await made(anna, contains("plan"), named("inbox"), name="Other")
    _, state = await followed(anna, folder)
    raw = base64.b64decode(state)
    ordinary = (await anna.ask(sync())).ok().text("//m:SyncState")
    for wrong in (
        "AAAA", "%", base64.b64encode(raw[:-1]).decode(), base64.b64encode(raw[:41]).decode(),
        base64.b64encode(raw[:60] + bytes([raw[60] ^ 1]) + raw[61:]).decode(), ordinary,
    ):  # fmt: skip
        assert (await anna.ask(following(folder, wrong))).codes == ["ErrorInvalidSyncStateData"], wrong
    assert (await anna.ask(sync(state))).codes == ["ErrorInvalidSyncStateData"]
    assert (await anna.ask(following(other, state))).codes == ["ErrorInvalidSyncStateData"]
    # another question: begin anew
    (
        await anna.ask(
            f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{by_id(folder)}<t:Updates><t:SetFolderField>"
            '<t:FieldURI FieldURI="folder:SearchParameters"/><t:SearchFolder>'
            f"{parameters(contains('other'), named('inbox'))}</t:SearchFolder></t:SetFolderField></t:Updates>"
            "</t:FolderChange></m:FolderChanges></m:UpdateFolder>"
        )
    ).ok()
    assert (await anna.ask(following(folder, state))).codes == ["ErrorInvalidSyncStateData"]
    assert (await followed(anna, folder))[0] == []
    # more than a state can hold
    monkeypatch.setattr(search_sync, "MAX_TOLD", 0)
    assert (await anna.ask(following(other))).codes == ["ErrorExceededFindCountLimit"]
    empty = (await anna.ask(create("", "Empty"))).ok().one("//t:FolderId").get("Id")
    assert (await anna.ask(following(empty))).codes == ["ErrorSearchFolderNotInitialized"]


async def test_a_calendar_view_of_one(anna):
    folder = await made(anna, contains("plan"), named("calendar"))
    view = '<m:CalendarView StartDate="2026-01-01T00:00:00Z" EndDate="2026-02-01T00:00:00Z"/>'
    assert (await anna.ask(find(folder, view=view))).codes == ["ErrorCalendarFolderIsInvalidForCalendarView"]


# --- notifications


async def test_events_of_what_it_finds(anna):
    folder = await made(anna, contains("plan"), named("inbox"), named("drafts"))
    asked = subscribe(events=("CreatedEvent", "DeletedEvent", "ModifiedEvent", "NewMailEvent", "MovedEvent"))
    reply = (await anna.ask(asked.replace(named("inbox"), by_id(folder)))).ok()
    subscription, mark = reply.text("//m:SubscriptionId"), reply.text("//m:Watermark")

    async def happened() -> list[tuple[str, str]]:
        nonlocal mark
        reply = (await anna.ask(get_events(subscription, mark))).ok()
        marks = reply.texts("//t:Watermark")
        mark = marks[-1]
        ids = [one.xpath("*[local-name()='ItemId' or local-name()='FolderId']/@Id")[0]
               for one in reply.all("//*[t:TimeStamp]")]  # fmt: skip
        return list(zip(kinds(reply), ids, strict=True))

    assert await happened() == []
    await mail(anna, "other")
    assert await happened() == []
    await mail(anna, "plan")
    ((plan, key),) = [id_ for subject, id_ in (await items(anna)).items() if subject == "plan"]
    assert await happened() == [("CreatedEvent", plan), ("NewMailEvent", plan), ("ModifiedEvent", folder)]
    (await anna.ask(update((plan, key), read(seen=True)))).ok()
    assert await happened() == [("ModifiedEvent", plan), ("ModifiedEvent", folder)]
    (await anna.ask(update((await items(anna))["plan"], set_("item:Subject", "<t:Subject>done</t:Subject>")))).ok()
    assert await happened() == [("DeletedEvent", plan), ("ModifiedEvent", folder)]
    draft, _ = await anna.save("<t:Subject>plan</t:Subject>")
    assert ("CreatedEvent", draft) in await happened()
    (await anna.ask(delete(draft))).ok()
    assert ("DeletedEvent", draft) in await happened()
    (await anna.ask(drop(folder))).ok()
    assert await happened() == [("DeletedEvent", folder)]
    await mail(anna, "plan")
    assert await happened() == []


async def test_one_that_does_not_know_what_to_look_for_cannot_be_subscribed_to(anna):
    empty = (await anna.ask(create("", "Empty"))).ok().one("//t:FolderId").get("Id")
    reply = await anna.ask(subscribe().replace(named("inbox"), by_id(empty)))
    assert reply.codes == ["ErrorSearchFolderNotInitialized"]


async def test_a_folder_that_is_gone_does_not_silence_the_others(anna):
    first = await anna.folder("First")
    asked = subscribe(events=("CreatedEvent", "DeletedEvent"))
    reply = (await anna.ask(asked.replace(named("inbox"), by_id(first) + named("drafts")))).ok()
    subscription, mark = reply.text("//m:SubscriptionId"), reply.text("//m:Watermark")
    (await anna.ask(drop(first))).ok()
    await anna.save("<t:Subject>x</t:Subject>")
    assert kinds((await anna.ask(get_events(subscription, mark))).ok()) == ["DeletedEvent", "CreatedEvent"]


# --- conversations


async def conversations(client, folder: str, view: str = "", query: str = ""):
    return await client.ask(
        f"<m:FindConversation{view}><m:ParentFolderId>{by_id(folder)}</m:ParentFolderId>{query}</m:FindConversation>"
    )


async def test_conversations_of_what_it_finds(anna):
    await anna.deliver(talk(1))
    await anna.deliver(talk(2, 1, sender="chen"), flags=1)
    await anna.deliver(talk(3, 2, sender="anna"), SpecialUse.SENT, 1)
    await anna.deliver(talk(9, subject="lunch"))
    folder = await made(anna, contains("plan"), named("inbox"), named("sentitems"))
    unread = await made(anna, UNREAD, named("msgfolderroot"), name="Unread")
    reply = await conversations(anna, folder)
    assert reply.texts("//t:ConversationTopic") == ["plan"]
    assert (reply.text("//t:MessageCount"), reply.text("//t:UnreadCount")) == ("3", "1")
    reply = await conversations(anna, unread)
    assert sorted(reply.texts("//t:ConversationTopic")) == ["lunch", "plan"]
    assert reply.texts("//t:MessageCount") == ["1", "1"] and set(reply.texts("//t:GlobalMessageCount")) == {"1", "3"}
    reply = await conversations(anna, unread, query="<m:QueryString>subject:lunch</m:QueryString>")
    assert reply.texts("//t:ConversationTopic") == ["lunch"]
    # the words are in an item that it does not find
    reply = await conversations(anna, unread, query="<m:QueryString>from:chen</m:QueryString>")
    assert not reply.texts("//t:ConversationTopic")


# --- counts that are kept


async def counts(client, folder: str) -> tuple[str, str]:
    reply = (await client.ask(get(by_id(folder)))).ok()
    return reply.text("//t:TotalCount"), reply.text("//t:UnreadCount")


@pytest.fixture
def standing(world) -> Standing:
    return world.services.standing


async def test_a_second_look_costs_nothing_and_a_change_what_changed(anna, standing):
    for number in range(20):
        await mail(anna, f"plan {number}" if number % 2 else "other", flags=number % 4 == 1)
    folder = await made(anna, contains("plan"), named("inbox"), named("drafts"))
    assert await counts(anna, folder) == ("10", "5")
    first = standing.looked_at
    assert await counts(anna, folder) == ("10", "5") and standing.looked_at == first >= 20
    there = await items(anna)
    (await anna.ask(update(there["plan 1"], read(seen=False)))).ok()
    assert await counts(anna, folder) == ("10", "6") and standing.looked_at == first + 1
    (await anna.ask(delete(there["plan 3"][0], there["other"][0]))).ok()
    assert await counts(anna, folder) == ("9", "5")
    (await anna.ask(update(there["plan 5"], set_("item:Subject", "<t:Subject>x</t:Subject>")))).ok()
    assert (await counts(anna, folder))[0] == "8" and standing.looked_at < first + 10


async def test_what_another_worker_changes_is_counted(anna, standing):
    """Nobody tells this worker: the folder's change number does."""
    await mail(anna, "plan")
    folder = await made(anna, contains("plan"), named("inbox"))
    assert await counts(anna, folder) == ("1", "1")
    mine, standing._kept = standing._kept, {}  # as in another worker, which has counted nothing
    await mail(anna, "plan")
    (await anna.ask(update((await items(anna))["plan"], read(seen=True)))).ok()
    assert await counts(anna, folder) == ("2", "1")
    standing._kept = mine
    assert await counts(anna, folder) == ("2", "1")


async def test_what_is_kept_has_a_limit(anna, standing):
    standing._max_items = 60
    for _ in range(40):
        await mail(anna, "plan")
    many = await made(anna, contains("plan"), named("inbox"))
    assert await counts(anna, many) == ("40", "40")
    looked = standing.looked_at
    assert await counts(anna, many) == ("40", "40") and standing.looked_at == looked
    assert not any(kept.items for kept in standing._kept.values())  # too many to be kept: the counts alone are
    await mail(anna, "plan")
    assert await counts(anna, many) == ("41", "41")
    for number in range(8):
        folder = await made(anna, contains(f"word {number}"), named("inbox"), name=f"n{number}")
        assert await counts(anna, folder) == ("0", "0")
    assert len(standing._kept) <= 4


async def test_rights_that_went_count_at_once(anna, boris, world):
    await mail(anna, "plan")
    folder = await made(anna, contains("plan"), named("msgfolderroot"), parent=named("msgfolderroot"))
    await world.parts.directory.grant(anna.principal.mailbox, "boris@example.org", MailboxRight.FULL_ACCESS)
    assert await counts(boris, folder) == ("1", "1")
    await world.parts.directory.grant(
        anna.principal.mailbox, "boris@example.org", MailboxRight.FULL_ACCESS, granted=False
    )
    assert (await boris.ask(get(by_id(folder)))).codes != ["NoError"]


async def test_somebody_who_may_read_some_of_its_folders_is_told_of_those(anna, boris, world):
    await mail(anna, "plan")
    await mail(anna, "plan", SpecialUse.DRAFTS)
    folder = await made(anna, contains("plan"), named("msgfolderroot"), parent=named("msgfolderroot"))
    mailbox = await world.parts.store.mailbox(anna.principal.mailbox)
    every = {one.name: one.id for one in await mailbox.folders()}
    drafts = next(one.id for one in await mailbox.folders() if one.special is SpecialUse.DRAFTS)
    grant = world.parts.directory.set_folder_rights
    for one, right in ((every["Found"], ROLES["reviewer"]), (every["INBOX"], FolderRight.VISIBLE),
                       (drafts, ROLES["reviewer"])):  # fmt: skip
        await grant(mailbox.id, one, "boris@example.org", right)
    told, state = await followed(boris, folder)
    assert [kind for kind, _ in told] == ["Create"] and await counts(boris, folder) == ("1", "1")
    assert await counts(anna, folder) == ("2", "2")
    await mail(anna, "plan")
    await grant(mailbox.id, every["INBOX"], "boris@example.org", ROLES["reviewer"])
    told, state = await followed(boris, folder, state)
    assert [kind for kind, _ in told] == ["Create", "Create"] and await counts(boris, folder) == ("3", "3")
    await grant(mailbox.id, every["INBOX"], "boris@example.org", FolderRight.VISIBLE)
    told, state = await followed(boris, folder, state)
    assert [kind for kind, _ in told] == ["Delete", "Delete"] and await counts(boris, folder) == ("1", "1")
