"""What the mail flow writes into journal records, and a message on its way from the journal to where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from postern.model.envelope import Envelope, Peer
from postern.model.ids import BlobRef, DeliveryKey, FolderId, MailboxId, Uid
from postern.model.items import Placement
from postern.store.interface import Ahead, Replaced
from postern.store.journal.writer import Journal
from postern.transport.outcomes import AnyOutcome, queue_id


class AcceptHeader(msgspec.Struct, frozen=True, array_like=True):
    """Header of ACCEPT and INTERNAL records."""

    envelope: Envelope
    received_at: float
    peer: Peer | None = None
    """None for what Postern wrote itself."""
    outcomes: list[AnyOutcome] | None = None
    """Given when every recipient is a plain local mailbox; otherwise an OUTCOME record follows."""
    key: DeliveryKey | None = None
    """Origin key of an internal message."""


class Beside(NamedTuple):
    """What comes with an appended message."""

    properties: bytes = b""
    """As NewItem.properties."""
    replaces: Replaced | None = None
    """The item whose body it is from now on; the folder is that item's."""
    item_class: int = 0
    supersedes: tuple[FolderId, Uid] | None = None
    """The message that goes when this one comes (RFC 8508)."""


NOTHING_BESIDE = Beside()


class AppendHeader(msgspec.Struct, frozen=True, array_like=True):
    """Header of APPEND records."""

    mailbox: MailboxId
    folder: FolderId
    flags: int
    keywords: tuple[str, ...]
    received_at: int
    beside: Beside = NOTHING_BESIDE
    ahead: Ahead | None = None
    """The UID it gets unless an ASSIGNED record names another."""


class AssignedHeader(msgspec.Struct, frozen=True, array_like=True):
    """Header of ASSIGNED records. UID 0: the append was refused and is not to be tried again."""

    uid: int
    uid_validity: int = 0
    item: int = 0

    @classmethod
    def of(cls, placement: Placement | None) -> AssignedHeader:
        """From what the store answered."""
        if placement is None:
            return cls(0)
        return cls(placement.uid, placement.uid_validity, placement.item)

    @property
    def given(self) -> Uid | None:
        """The UID a client may have been told."""
        return Uid(self.uid) if self.uid else None


encode = msgspec.msgpack.Encoder().encode
decode_accept = msgspec.msgpack.Decoder(AcceptHeader).decode
decode_append = msgspec.msgpack.Decoder(AppendHeader).decode
decode_assigned = msgspec.msgpack.Decoder(AssignedHeader).decode


class Accepted:
    """A message that is durable in a journal and not applied yet. Mutable: it counts what is still to be done."""

    __slots__ = ("content", "header", "journal", "key", "left", "message_id", "outcomes", "queue_id", "ref")

    def __init__(
        self,
        journal: Journal,
        ref: BlobRef,
        header: AcceptHeader,
        content: bytes,
        outcomes: Sequence[AnyOutcome] | None,
    ) -> None:
        self.journal = journal
        self.ref = ref
        self.header = header
        self.content = content
        self.outcomes = outcomes
        self.key = header.key or DeliveryKey(*ref)
        self.queue_id = queue_id(self.key)
        self.left = 0
        self.message_id = ""

    def done(self, count: int = 1) -> None:
        """So many outcomes are applied; after the last one the record is."""
        self.left -= count
        if self.left <= 0:
            self.journal.applied(self.ref)
