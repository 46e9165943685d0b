"""A maildrop: the inbox as it was at login, by message number (RFC 1939 5)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from postern.frontends.pop3.ports import INBOX, Mailbox
from postern.model.ids import BlobRef, FolderId
from postern.model.items import Columns
from postern.model.refusal import Reason, Refusal


class Maildrop:
    """Numbers, sizes and marks of one session's messages. Two small arrays, whatever the mailbox holds."""

    def __init__(self, mailbox: Mailbox, folder: FolderId, uid_validity: int) -> None:
        self._mailbox = mailbox
        self._folder = folder
        self._uid_validity = uid_validity
        self.uids = array("I")
        self.sizes = array("Q")
        self.deleted: set[int] = set()
        """Message numbers, from 1."""

    @classmethod
    async def open(cls, mailbox: Mailbox) -> Maildrop:
        """Raises Refusal."""
        inbox = next((folder for folder in await mailbox.folders() if folder.special is INBOX), None)
        if inbox is None:
            raise Refusal(Reason.NO_SUCH_FOLDER, "no inbox")
        drop = cls(mailbox, inbox.id, inbox.uid_validity)
        async for rows in mailbox.items(inbox.id, Columns.UID | Columns.SIZE):
            for uid, size in rows:
                drop.uids.append(uid)
                drop.sizes.append(size)
        return drop

    @property
    def count(self) -> int:
        """Messages without those marked as deleted."""
        return len(self.uids) - len(self.deleted)

    @property
    def octets(self) -> int:
        """Their octets."""
        return sum(self.sizes) - sum(self.sizes[number - 1] for number in self.deleted)

    def has(self, number: int) -> bool:
        """Whether a number is a message's that is not marked as deleted."""
        return 0 < number <= len(self.uids) and number not in self.deleted

    def numbers(self) -> list[int]:
        """All numbers that `has`."""
        if not self.deleted:
            return list(range(1, len(self.uids) + 1))
        return [number for number in range(1, len(self.uids) + 1) if number not in self.deleted]

    def unique_id(self, number: int) -> str:
        """For UIDL: 1 to 70 characters, never given to another message (RFC 1939 7)."""
        return f"{self._uid_validity:x}.{self.uids[number - 1]:x}"

    async def contents(self, numbers: Sequence[int]) -> list[bytes | None]:
        """Whole messages; None for one that another session removed meanwhile. Raises Refusal."""
        uids = [self.uids[number - 1] for number in numbers]
        found: dict[int, tuple[bytes, BlobRef]] = {}
        columns = Columns.UID | Columns.PREFIX | Columns.BLOB
        async for rows in self._mailbox.items(self._folder, columns, _ranges(uids)):
            for uid, prefix, segment, record in rows:
                found[uid] = (prefix, BlobRef(segment, record))
        wanted = [uid for uid in uids if uid in found]
        bodies = await self._mailbox.read_bodies([found[uid][1] for uid in wanted])
        read = {uid: found[uid][0] + body for uid, body in zip(wanted, bodies, strict=True)}
        return [read.get(uid) for uid in uids]

    async def header(self, number: int) -> bytes | None:
        """A message's header with its blank line, without reading the message; None if only reading it tells."""
        uid = self.uids[number - 1]
        columns = Columns.UID | Columns.HEADER | Columns.PREFIX
        async for rows in self._mailbox.items(self._folder, columns, [(uid, uid)]):
            for _, header, prefix in rows:
                return None if header is None else bytes(prefix + header)
        return None

    async def update(self) -> None:
        """The UPDATE state: remove what is marked; durable on return. Raises Refusal."""
        if self.deleted:
            uids = [self.uids[number - 1] for number in self.deleted]
            await self._mailbox.expunge(self._folder, _ranges(uids), only_deleted=False)
            await self._mailbox.durable()


def _ranges(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Inclusive ranges, ascending."""
    ranges: list[tuple[int, int]] = []
    for uid in sorted(uids):
        if ranges and uid <= ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], uid)
        else:
            ranges.append((uid, uid))
    return ranges
