"""Folders by name, confirmed instead of read anew."""

import asyncio

from fake_mailbox import FakeMailbox
from hypothesis import given
from hypothesis import strategies as st

from postern.frontends.imap.sites import Site
from postern.frontends.imap.tree import FolderTree
from postern.model.refusal import Refusal

NAMES = ("a", "b", "c")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("create", "rename", "delete", "deliver", "look")),
        st.integers(0, 9),
        st.integers(0, 9),
        st.sampled_from(NAMES),
    ),
    max_size=25,
)


async def change(mailbox: FakeMailbox, step: str, one: int, other: int, name: str) -> None:
    keys = list(mailbox.dirs)
    folder = keys[one % len(keys)]
    parent = None if other % 3 == 0 else keys[other % len(keys)]
    siblings = {v["name"] for v in mailbox.dirs.values() if v["parent"] == parent}
    above, at = set(), parent
    while at is not None:
        above.add(at)
        at = mailbox.dirs[at]["parent"]
    if step == "create" and name not in siblings:
        await mailbox.create_folder(parent, name)
    elif step == "rename" and folder > keys[3] and name not in siblings and folder not in above:
        await mailbox.rename_folder(folder, parent, name)
    elif step == "delete" and folder > keys[3] and not any(v["parent"] == folder for v in mailbox.dirs.values()):
        await mailbox.delete_folder(folder)
    elif step == "deliver":
        mailbox.deliver(folder, b"Subject: x\r\n\r\n")


@given(STEPS)
def test_a_folder_found_again_is_the_one_that_has_the_name_now(steps):
    async def run():
        mailbox = FakeMailbox()
        site = Site(mailbox)
        await site.tree()
        for step in steps:
            try:
                await change(mailbox, *step)
            except Refusal:
                continue
            if step[0] != "look":
                continue
            # one name only: an unknown one makes the site read everything anew
            _, one, other, name = step
            asked = (name, f"{name}/{NAMES[one % 3]}", f"INBOX/{name}")[other % 3]
            assert await site.folder(asked) == FolderTree(await mailbox.folders()).by_name.get(asked)

    asyncio.run(run())


async def test_names_that_were_exchanged_moved_or_given_again():
    mailbox = FakeMailbox()
    top = await mailbox.create_folder(None, "top")
    low = await mailbox.create_folder(top.id, "low")
    site = Site(mailbox)
    assert (await site.folder("top/low")).id == low.id
    await mailbox.rename_folder(top.id, None, "renamed")
    assert await site.folder("top/low") is None
    assert (await site.folder("renamed/low")).id == low.id
    await mailbox.rename_folder(low.id, None, "top")
    assert await site.folder("renamed/low") is None
    assert (await site.folder("top")).id == low.id
    await mailbox.delete_folder(low.id)
    again = await mailbox.create_folder(None, "top")
    assert (await site.folder("top")).id == again.id


async def test_a_delivery_does_not_make_a_session_read_all_folders():
    mailbox = FakeMailbox()
    site = Site(mailbox)
    assert await site.folder("INBOX")
    mailbox.deliver(mailbox.by_name("INBOX"), b"Subject: x\r\n\r\n")
    mailbox.folders = None
    found = await site.folder("INBOX")
    assert found is not None and found.messages == 1


async def test_whoever_fills_a_folder_does_not_look_for_it_again_until_something_else_changes():
    mailbox = FakeMailbox()
    site = Site(mailbox)
    folder = await site.target("INBOX")
    looked = []
    asked = mailbox.folder

    async def folder_asked(known):
        looked.append(known)
        return await asked(known)

    mailbox.folder = folder_asked
    for _ in range(3):
        mailbox.deliver(folder.id, b"Subject: x\r\n\r\n")
        await site.filled()
        assert (await site.target("INBOX")).id == folder.id
    assert looked == []
    mailbox.deliver(folder.id, b"Subject: somebody else's\r\n\r\n")
    assert (await site.target("INBOX")).id == folder.id
    assert looked == [folder.id]


async def test_a_target_renamed_beside_an_append_is_not_found_under_its_old_name():
    mailbox = FakeMailbox()
    top = await mailbox.create_folder(None, "top")
    site = Site(mailbox)
    assert (await site.target("top")).id == top.id
    await mailbox.rename_folder(top.id, None, "renamed")
    mailbox.deliver(top.id, b"Subject: x\r\n\r\n")
    await site.filled()
    assert await site.target("top") is None
    assert (await site.target("renamed")).id == top.id


@given(STEPS)
def test_what_things_are_put_into_is_the_folder_that_has_the_name_now(steps):
    """Deliveries are those of this session (`filled`) and of others."""

    async def run():
        mailbox = FakeMailbox()
        site = Site(mailbox)
        for step in steps:
            kind, one, other, name = step
            asked = (name, f"{name}/{NAMES[one % 3]}", "INBOX")[other % 3]
            found = await site.target(asked)
            now = FolderTree(await mailbox.folders()).by_name.get(asked)
            assert (found and found.id) == (now and now.id)
            try:
                await change(mailbox, *step)
            except Refusal:
                continue
            if kind == "deliver" and other % 2:
                await site.filled()

    asyncio.run(run())
