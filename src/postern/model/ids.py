"""Identifiers. Distinct types, so that a UID is never taken for an item id."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple, NewType

MailboxId = NewType("MailboxId", str)
"""A mailbox's GUID, 32 lower-case hexadecimal digits; survives renaming its account."""

FolderId = NewType("FolderId", int)
"""Number of a folder, drawn from its mailbox's one counter; never reused."""

ItemId = NewType("ItemId", int)
"""Number of an item, drawn from its mailbox's one counter; stable while the item stays in its folder.

It equals the item's first UID there; only a new body (mail that was edited) has another UID under the same item id.
"""

Uid = NewType("Uid", int)
"""IMAP UID (RFC 9051 2.3.1.1), 1 to 2**32-1, drawn from the mailbox's one counter: unique in the whole mailbox."""

ChangeNumber = NewType("ChangeNumber", int)
"""Position in a mailbox's one sequence of commits; MODSEQ, change keys and sync states are its protocol forms."""

AccountId = NewType("AccountId", int)
"""Number of a directory object; never reused."""


class BlobRef(NamedTuple):
    """Where a body lies: a journal segment and the number of the record in it (not an offset)."""

    segment: int
    record: int


NO_BLOB = BlobRef(0, 0)
"""The body of an item that has none; reads as nothing."""


class DeliveryKey(NamedTuple):
    """Names one accepted message for exactly-once delivery; equals the BlobRef of its accept record.

    Messages that Postern writes itself (DSNs, forwarded copies) carry the key of what caused them instead:
    `segment` is then negative, so the two kinds never meet.
    """

    segment: int
    record: int


ORIGIN_SEGMENT = -(1 << 62)
"""Keys of what is not named by a record of a journal are in a segment a day, above this one."""


def origin_key(name: str, day: int) -> DeliveryKey:
    """A key made from what caused a message: the same however often that is tried. `day`: since the epoch."""
    return DeliveryKey(ORIGIN_SEGMENT + day, int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") >> 1)
