"""The permission table of a folder: who else may do what in it, read and changed by its owners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from postern.directory.interface import Directory
from postern.model.ids import FolderId, MailboxId
from postern.model.rights import FolderRight

EVERYBODY, NOBODY = "default", "anonymous"


class Sharer(NamedTuple):
    """A row."""

    address: str
    """Of an account or group; `default`: whoever is signed in, `anonymous`: whoever is not."""
    name: str
    rights: FolderRight


class FolderSharing:
    """One a worker. Whether somebody may see or change a table is the caller's business."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def table(self, mailbox: MailboxId, folder: FolderId) -> Sequence[Sharer]:
        """The rows of a folder; the mailbox's own where the folder has none. Default and anonymous are always there."""
        every = await self._directory.folder_permissions(mailbox)
        rows = {row.address: row.rights for row in every if row.folder == 0}
        rows |= {row.address: row.rights for row in every if row.folder == folder}
        found = [Sharer(name, "", rows.pop(name, FolderRight(0))) for name in (EVERYBODY, NOBODY)]
        for address in sorted(rows):
            resolved = await self._directory.resolve(address)
            shown = resolved.account or resolved.group
            found.append(Sharer(address, shown.display_name if shown is not None else "", rows[address]))
        return found

    async def replace(self, mailbox: MailboxId, folder: FolderId, rows: Sequence[Sharer]) -> None:
        """Make the table what is given. Raises Refusal(NO_SUCH_RECIPIENT)."""
        before = {row.address for row in await self._directory.folder_permissions(mailbox) if row.folder == folder}
        for one in rows:
            await self._directory.set_folder_rights(mailbox, folder, one.address, one.rights)
        for address in before - {one.address for one in rows}:
            await self._directory.set_folder_rights(mailbox, folder, address, None)
