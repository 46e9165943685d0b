from __future__ import annotations

from postern.directory.interface import Alias
from postern.model.ids import FolderId
from postern.model.rights import ROLES, FolderRight, MailboxRight
from postern.services.authentication import Principal
from postern.services.permissions import FolderObject, Permissions


async def principal(directory, address: str) -> Principal:
    account = await directory.login(address)
    return Principal(account.id, account.address, account.mailbox, account.slot)


async def test_owners_may_everything_and_strangers_nothing(directory):
    may = Permissions(directory).may
    ann, bob = await principal(directory, "ann"), await principal(directory, "bob")
    for right in MailboxRight:
        assert await may(ann, right, ann.mailbox)
        assert not await may(bob, right, ann.mailbox)
        assert not await may(None, right, ann.mailbox)
    folder = FolderObject(ann.mailbox, FolderId(5))
    assert await may(ann, FolderRight.DELETE_ANY, folder)
    assert not await may(bob, FolderRight.VISIBLE, folder)


async def test_full_access_by_way_of_nested_groups_opens_folders_but_sends_nothing(directory):
    for group in ("inner@example.org", "outer@example.org"):
        await directory.put_group(group)
    await directory.set_members("outer@example.org", add=["inner@example.org"])
    # a loop of groups must end
    await directory.set_members("inner@example.org", add=["bob@example.org", "outer@example.org"])
    ann, bob = await principal(directory, "ann"), await principal(directory, "bob")
    await directory.grant(ann.mailbox, "outer@example.org", MailboxRight.FULL_ACCESS)
    permissions = Permissions(directory)
    assert await permissions.may(bob, FolderRight.OWNER, FolderObject(ann.mailbox, FolderId(9)))
    assert not await permissions.may(bob, MailboxRight.SEND_AS, ann.mailbox)
    assert [m[0] for m in await permissions.mailboxes(bob)] == ["ann@example.org"]
    await directory.grant(ann.mailbox, "outer@example.org", MailboxRight.FULL_ACCESS, granted=False)
    assert not await permissions.may(bob, MailboxRight.FULL_ACCESS, ann.mailbox)


async def test_folder_rights_own_row_wins_over_default_and_folder_over_mailbox(directory):
    ann, bob = await principal(directory, "ann"), await principal(directory, "bob")
    permissions = Permissions(directory)
    await directory.set_folder_rights(ann.mailbox, 0, "default", ROLES["visible"])
    await directory.set_folder_rights(ann.mailbox, 7, "default", ROLES["editor"])
    await directory.set_folder_rights(ann.mailbox, 7, "bob@example.org", ROLES["reviewer"])
    await directory.set_folder_rights(ann.mailbox, 7, "anonymous", FolderRight.FREEBUSY_SIMPLE)
    assert await permissions.folder_rights(bob, ann.mailbox, FolderId(7)) == ROLES["reviewer"]
    assert await permissions.folder_rights(bob, ann.mailbox, FolderId(8)) == ROLES["visible"]
    assert await permissions.folder_rights(None, ann.mailbox, FolderId(7)) == FolderRight.FREEBUSY_SIMPLE
    await directory.set_folder_rights(ann.mailbox, 7, "bob@example.org", None)
    assert await permissions.folder_rights(bob, ann.mailbox, FolderId(7)) == ROLES["editor"]


async def test_who_may_send_as_whom(directory):
    permissions = Permissions(directory)
    ann, bob = await principal(directory, "ann"), await principal(directory, "bob")
    sales = (await directory.resolve("sales@example.org")).account
    await directory.put_alias(Alias("a@example.org", ("ann@example.org",)))
    await directory.grant(sales.mailbox, "bob@example.org", MailboxRight.SEND_AS)
    for address in ("ann@example.org", "a@example.org", "ann+x@example.org"):
        assert await permissions.may_send_as(ann, address)
        assert not await permissions.may_send_as(bob, address)
    assert await permissions.may_send_as(bob, "sales@example.org")
    for address in ("x@example.net", "nobody@example.org", "", "postmaster@example.org"):
        assert not await permissions.may_send_as(ann, address), address


async def test_what_is_read_ahead_is_what_each_look_finds(directory):
    ann, bob = await principal(directory, "ann"), await principal(directory, "bob")
    await directory.grant(ann.mailbox, "bob@example.org", MailboxRight.FULL_ACCESS)
    await directory.set_folder_rights(bob.mailbox, 7, "default", ROLES["editor"])
    await directory.set_folder_rights(bob.mailbox, 0, "ann@example.org", ROLES["reviewer"])
    await directory.put_alias(Alias("all@example.org", ("ann@example.org",)))
    addresses = ["ANN@example.org", "bob@example.org", "sales@example.org", "all@example.org", "nobody@x", "", "@"]

    async def found():
        resolved = [await directory.resolve(address) for address in addresses]
        mailboxes = [one.account.mailbox for one in resolved if one.account is not None]
        rights = [
            (
                await directory.mailbox_rights(mailbox, who.account),
                await directory.folder_rights(mailbox, who.account),
                await directory.folder_permissions(mailbox),
            )
            for mailbox in mailboxes
            for who in (ann, bob)
        ]
        return resolved, rights

    directory._forget()
    one_by_one = await found()
    directory._forget()
    await directory.read_ahead(addresses)
    assert await found() == one_by_one
    await directory.grant(ann.mailbox, "bob@example.org", MailboxRight.FULL_ACCESS, granted=False)
    assert MailboxRight.FULL_ACCESS not in await directory.mailbox_rights(ann.mailbox, bob.account)
