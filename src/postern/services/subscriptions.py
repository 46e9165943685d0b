"""Subscriptions to folders of a mailbox that somebody else owns: each visitor's own.

They lie among the mailbox's settings under `subscribed/ACCOUNT`, by folder: `1` or `0`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from postern.model.ids import AccountId, FolderId
from postern.model.items import Folder
from postern.store.interface import Mailbox


async def chosen(mailbox: Mailbox, visitor: AccountId) -> dict[FolderId, bool]:
    """What a visitor has subscribed to or unsubscribed from."""
    kept = await mailbox.settings(_kind(visitor))
    return {FolderId(int(one.key)): one.value == b"1" for one in kept}


def _kind(visitor: AccountId) -> str:
    return f"subscribed/{visitor}"


class VisitedMailbox:
    """Another user's mailbox as a visitor sees it: a store.interface.Mailbox; what is not here is the mailbox's own.

    Until a visitor says otherwise the owner's subscriptions show: whoever is let into a mailbox finds its folders in
    programs that list subscribed ones only.
    """

    def __init__(self, mailbox: Mailbox, visitor: AccountId) -> None:
        self.id = mailbox.id
        self._mailbox = mailbox
        self._visitor = visitor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._mailbox, name)

    async def folders(self) -> Sequence[Folder]:
        """All folders, parents before children."""
        own = await chosen(self._mailbox, self._visitor)
        folders = await self._mailbox.folders()
        if not own:
            return folders
        return [msgspec.structs.replace(one, subscribed=own.get(one.id, one.subscribed)) for one in folders]

    async def subscribe(self, folder: FolderId, subscribed: bool) -> None:
        """Set the visitor's own subscription. Raises Refusal(NO_SUCH_FOLDER)."""
        await self._mailbox.folder(folder)
        await self._mailbox.set_settings(_kind(self._visitor), {str(folder): b"1" if subscribed else b"0"})
