"""services.mailboxes: who may open and do what, over the real store and rights table."""

from __future__ import annotations

import pytest
from store_world import MAILBOX, OTHER, UNLIMITED, World, delivery

from postern.model.ids import AccountId, FolderId, MailboxId
from postern.model.items import Columns, Flag, SpecialUse
from postern.model.refusal import Refusal
from postern.model.rights import ROLES, FolderRight, MailboxRight
from postern.services.accepted import NOTHING_BESIDE
from postern.services.authentication import Principal
from postern.services.mailboxes import FlagChange, Mailboxes

ANN = Principal(AccountId(1), "ann@example.org", MAILBOX, 1)
BOB = Principal(AccountId(2), "bob@example.org", OTHER, 2)
ALL = [(0, 2**32)]


class Rights:
    """services.permissions.Permissions over a table."""

    def __init__(self) -> None:
        self.table: dict[FolderId, FolderRight] = {}
        self.full = False

    async def may(self, principal: Principal, right: object, on: MailboxId) -> bool:
        assert right is MailboxRight.FULL_ACCESS
        return principal.mailbox == on or self.full

    async def folder_rights(self, principal: Principal, mailbox: MailboxId, folder: FolderId) -> FolderRight:
        return self.table.get(folder, FolderRight(0))

    async def mailboxes(self, principal: Principal) -> list[tuple[str, MailboxId, int]]:
        return [(ANN.address, MAILBOX, 1)] if principal is BOB and (self.full or self.table) else []

    async def reach(self, principal: Principal, mailbox: MailboxId) -> int:
        return 1 if principal is BOB and mailbox == MAILBOX and (self.full or self.table) else 0

    async def inherit(self, mailbox: MailboxId, parent: FolderId, folder: FolderId) -> None:
        if parent in self.table:
            self.table[folder] = self.table[parent]

    async def public(self, principal: Principal) -> None:
        return None

    async def is_public(self, mailbox: MailboxId) -> bool:
        return False


class Appending:
    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    async def append(self, *call: object) -> None:
        self.calls.append(call)


@pytest.fixture
async def parts(world: World):
    await world.store.create_mailbox(MAILBOX, 1, UNLIMITED)
    await world.store.create_mailbox(OTHER, 2, UNLIMITED)
    await world.store.deliver([delivery(world.blobs, n) for n in range(3)])
    rights, appending = Rights(), Appending()
    return Mailboxes(world.store, world.bus, rights, appending, world.clock), rights, appending  # type: ignore[arg-type]


async def test_owners_may_everything_and_hear_of_changes(world: World, parts) -> None:
    mailboxes, _, appending = parts
    mine = await mailboxes.open(ANN)
    inbox = (await mine.special(SpecialUse.INBOX)).id
    woken: list[int] = []
    stop = mine.subscribe_changes(lambda: woken.append(1))
    await mine.set_flags(inbox, ALL, FlagChange(add=Flag.SEEN))
    assert woken == [1]
    stop()
    await mine.expunge(inbox, ALL, only_deleted=False)
    assert woken == [1]
    await mine.append(inbox, b"x", 1, ("k",), None)
    assert appending.calls == [(MAILBOX, inbox, b"x", 1, ("k",), None, NOTHING_BESIDE)]
    await mine.durable()


async def test_strangers_may_nothing(parts) -> None:
    mailboxes, _, _ = parts
    with pytest.raises(Refusal, match="not_permitted"):
        await mailboxes.open(BOB, MAILBOX)
    with pytest.raises(Refusal, match="no_such_recipient"):
        await mailboxes.open(Principal(AccountId(3), "nobody@example.org", None, 0))
    assert await mailboxes.others(BOB) == []


async def test_full_access(parts) -> None:
    mailboxes, rights, _ = parts
    rights.full = True
    theirs = await mailboxes.open(BOB, MAILBOX)
    assert theirs.id == MAILBOX
    assert len(await theirs.folders()) > 5
    assert [other.address for other in await mailboxes.others(BOB)] == ["ann@example.org"]


async def test_subscriptions_in_anothers_mailbox_are_the_visitors(world: World, parts) -> None:
    mailboxes, rights, _ = parts
    rights.full = True
    mine, theirs = await mailboxes.open(ANN), await mailboxes.open(BOB, MAILBOX)
    work = (await mine.create_folder(None, "Work")).id
    inbox = (await mine.special(SpecialUse.INBOX)).id

    async def subscribed(access) -> set[FolderId]:
        return {one.id for one in await access.folders() if one.subscribed} & {work, inbox}

    assert await subscribed(mine) == await subscribed(theirs) == {inbox}
    await theirs.subscribe(work, True)
    await theirs.subscribe(inbox, False)
    assert await subscribed(theirs) == {work}
    assert await subscribed(mine) == {inbox}
    await mine.subscribe(inbox, False)
    await mine.subscribe(work, True)
    await theirs.subscribe(inbox, True)
    assert await subscribed(mine) == {work}
    assert await subscribed(await mailboxes.open(BOB, MAILBOX)) == {work, inbox}
    with pytest.raises(Refusal, match="no_such_folder"):
        await theirs.subscribe(FolderId(999_999), True)


async def test_delegates_see_and_do_what_they_were_given(parts) -> None:
    mailboxes, rights, appending = parts
    mine = await mailboxes.open(ANN)
    inbox = (await mine.special(SpecialUse.INBOX)).id
    work = (await mine.create_folder(None, "Work")).id
    plan = (await mine.create_folder(work, "Plan")).id
    rights.table = {inbox: ROLES["reviewer"], plan: ROLES["editor"]}
    theirs = await mailboxes.open(BOB, MAILBOX)
    assert {f.id for f in await theirs.folders()} == {inbox, work, plan}
    before = await theirs.view(inbox, claim_recent=True)
    assert (await mine.view(inbox)).folder.recent_from == before.folder.recent_from
    assert [len(rows) async for rows in theirs.items(inbox, Columns.UID)] == [3]
    uid = before.uids[0]
    refused = (
        theirs.set_flags(inbox, ALL, FlagChange(add=Flag.SEEN)),
        theirs.set_flags(inbox, ALL, FlagChange(add=Flag.DELETED)),
        theirs.expunge(inbox, None),
        theirs.move(inbox, ALL, plan),
        theirs.append(inbox, b"x", 0, (), None),
        theirs.create_folder(inbox, "x"),
        theirs.create_folder(None, "x"),
        theirs.rename_folder(plan, None, "x"),
        theirs.delete_folder(plan),
    )
    for call in refused:
        with pytest.raises(Refusal, match="not_permitted"):
            await call
    with pytest.raises(Refusal, match="no_such_folder"):
        await theirs.view(work)
    with pytest.raises(Refusal, match="no_such_folder"):
        _ = [rows async for rows in theirs.items(work, Columns.UID)]
    assert len((await theirs.copy(inbox, [(uid, uid)], plan)).placements) == 1
    assert (await theirs.set_flags(plan, ALL, FlagChange(add=Flag.DELETED | Flag.SEEN))).changed
    assert len(await theirs.expunge(plan, None)) == 1
    await theirs.append(plan, b"x", 0, (), None)
    assert len(appending.calls) == 1
