"""Whom the owner of a mailbox knows: those in its contacts (out of office for known senders only)."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from postern.model.ids import FolderId, MailboxId
from postern.model.items import Columns, Folder
from postern.model.properties import unpack
from postern.store.interface import Mailbox

MAX_ADDRESSES = 100_000
"""Of all mailboxes together; about a hundred octets each."""
_NAMES = tuple(f"PidLidEmail{number}EmailAddress" for number in (1, 2, 3))


class _Known(NamedTuple):
    state: tuple[FolderId, int, int]
    """Of the folder: another one, or any change in it, and what was read counts no more."""
    addresses: frozenset[str]


class Acquaintances:
    """Of one worker. The folder's change number, as the file has it, tells whether what is kept still holds."""

    def __init__(self, most: int = MAX_ADDRESSES) -> None:
        self._most = most
        self._kept: OrderedDict[MailboxId, _Known] = OrderedDict()
        self._total = 0

    async def knows(self, mailbox: Mailbox, contacts: Folder | None, address: str) -> bool:
        """Whether an address is in a mailbox's contacts. `contacts`: that folder as it is now."""
        if contacts is None or not contacts.messages:
            return False
        state = (contacts.id, contacts.uid_validity, contacts.changed)
        known = self._kept.get(mailbox.id)
        if known is None or known.state != state:
            known = _Known(state, await addresses_in(mailbox, contacts.id))
            self._drop(mailbox.id)  # also what another delivery has read meanwhile
            self._kept[mailbox.id] = known
            self._total += 1 + len(known.addresses)
            while self._total > self._most:
                self._drop(next(iter(self._kept)))
        else:
            self._kept.move_to_end(mailbox.id)
        return address.lower() in known.addresses

    def _drop(self, mailbox: MailboxId) -> None:
        known = self._kept.pop(mailbox, None)
        if known is not None:
            self._total -= 1 + len(known.addresses)


async def addresses_in(mailbox: Mailbox, folder: FolderId) -> frozenset[str]:
    """The addresses of all contacts of a folder, lower case."""
    found: set[str] = set()
    async for rows in mailbox.items(folder, Columns.PROPERTIES):
        for (packed,) in rows:
            values = unpack(packed)
            found.update(str(values[name]).lower() for name in _NAMES if name in values)
    return frozenset(found)
