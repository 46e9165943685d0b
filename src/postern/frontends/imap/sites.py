"""The mailboxes a session sees: its own, public folders, others' under `Other Users/ADDRESS/` (RFC 2342)."""

from __future__ import annotations

from typing import NamedTuple

from postern.frontends.imap.ports import Mailbox
from postern.frontends.imap.tree import FolderTree
from postern.model.ids import ChangeNumber, MailboxId
from postern.model.items import Folder
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap.render import DELIMITER

OTHERS = "Other Users"
PUBLIC = "Public Folders"
PUBLIC_KEY = PUBLIC.lower()
"""What stands for the address of the public folders; no address looks so."""


class Site:
    """One mailbox and where its folders hang."""

    __slots__ = ("_number", "_target", "_tree", "address", "mailbox", "owner", "prefix")

    def __init__(self, mailbox: Mailbox, prefix: str = "", owner: MailboxId | None = None, address: str = "") -> None:
        self.mailbox = mailbox
        self.prefix = prefix
        """Empty for the session's own mailbox, else `Other Users/ADDRESS/` or `Public Folders/`."""
        self.owner = owner
        self.address = address
        """Of another's mailbox."""
        self._tree: FolderTree | None = None
        self._number: ChangeNumber | None = None
        self._target: tuple[str, ChangeNumber, Folder] | None = None

    async def tree(self, *, fresh: bool = False) -> FolderTree:
        """The folders as they are now. `fresh`: whatever is known; rights on others' folders change no number there."""
        number = await self.mailbox.change_number()
        if self._tree is None or number != self._number or (fresh and self.prefix):
            self._tree = FolderTree(await self.mailbox.folders())
            self._number = number
        return self._tree

    async def folder(self, name: str) -> Folder | None:
        """The folder of that name (without the prefix) as it is now.

        Every message changes the mailbox's number, hardly any its folders: what is known is confirmed by a look at the
        folder and those above it. Rights on other users' folders may end, so that theirs are read anew.
        """
        if self._tree is not None and not self.prefix and self._number != await self.mailbox.change_number():
            known = self._tree.by_name.get(name)
            found = None if known is None else await self._confirmed(self._tree, known)
            if found is not None:
                return found
        before = self._tree
        tree = await self.tree()
        if name not in tree.by_name and tree is before:
            tree = await self.tree(fresh=True)  # it may have been opened since
        return tree.by_name.get(name)

    async def target(self, name: str) -> Folder | None:
        """The folder of that name for who puts something into it: its counters may be old ones.

        A client that appends, copies or moves a thousand messages asks a thousand times; as long as nothing but that
        has changed the mailbox (`filled`), the first answer holds.
        """
        number = await self.mailbox.change_number()
        if self._target is not None and self._target[:2] == (name, number) and not self.prefix:
            return self._target[2]
        found = await self.folder(name)
        self._target = None if found is None else (name, number, found)
        return found

    async def filled(self) -> None:
        """One commit put items into the target: if there was no other, its place in the tree is still known."""
        if self._target is not None:
            name, number, folder = self._target
            if await self.mailbox.change_number() == number + 1:
                self._target = (name, ChangeNumber(number + 1), folder)

    async def _confirmed(self, tree: FolderTree, known: Folder) -> Folder | None:
        """The folder's present counters, if neither it nor a folder above it was renamed, moved or removed."""
        try:
            found = step = await self.mailbox.folder(known.id)
            while (step.name, step.parent, step.special) == (known.name, known.parent, known.special):
                if known.parent is None:
                    return found
                known = tree.by_name[tree.by_id[known.parent]]
                step = await self.mailbox.folder(known.id)
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_SUCH_FOLDER:
                raise
        return None

    def forget(self) -> None:
        """After a change to the folders."""
        self._tree = self._target = None


class Place(NamedTuple):
    """A folder and the mailbox it is in."""

    site: Site
    folder: Folder

    @property
    def mailbox(self) -> Mailbox:
        """Where it can be worked with."""
        return self.site.mailbox


def split(name: str) -> tuple[str, str]:
    """(address of another user, PUBLIC_KEY or empty; name in that mailbox)."""
    head, _, rest = name.partition(DELIMITER)
    if head == PUBLIC:
        return PUBLIC_KEY, rest
    if head != OTHERS:
        return "", name
    address, _, local = rest.partition(DELIMITER)
    if local[:5].upper() == "INBOX" and (len(local) == 5 or local[5] == DELIMITER):
        local = "INBOX" + local[5:]
    return address.lower(), local
