"""Watermarks and ids of subscriptions: text that holds all the server needs to go on, so both survive a restart."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import NamedTuple

from postern.model.ids import ChangeNumber, FolderId, ItemId, MailboxId
from postern.model.sync import Phase, SyncPoint
from postern.protocols.ews.violation import EwsViolation

_FORM = 1
_MARK = struct.Struct(">BQQQQQQBQQ")
_ID = struct.Struct(">B16s16s")
KEY_BYTES = 16


class Watermark(NamedTuple):
    """Up to where events of a mailbox were told."""

    incarnation: int
    change: ChangeNumber
    item: ItemId
    upto_change: ChangeNumber = ChangeNumber(0)
    upto_item: ItemId = ItemId(0)
    """Where a run ends that was too long for one answer."""
    folder: FolderId = FolderId(0)
    """Folders below it are done in this run; 0: no run goes on."""
    phase: Phase = Phase.DONE
    first: int = 0
    second: int = 0

    def begun(self, upto_change: ChangeNumber, upto_item: ItemId) -> Watermark:
        """At the beginning of a run."""
        return Watermark(self.incarnation, self.change, self.item, upto_change, upto_item)

    def point(self, folder: FolderId) -> SyncPoint:
        """Where this run is in a folder."""
        known = (self.incarnation, self.change, self.item, self.upto_change, self.upto_item)
        if folder == self.folder:
            return SyncPoint(*known, self.phase, self.first, self.second)
        return SyncPoint(*known, Phase.CREATED, self.item)

    def within(self, folder: FolderId, point: SyncPoint) -> Watermark:
        """Behind a page of a folder."""
        return self._replace(folder=folder, phase=point.phase, first=point.first, second=point.second)

    def ended(self) -> Watermark:
        """At the end of a run."""
        return Watermark(self.incarnation, self.upto_change, self.upto_item)


def pack(mark: Watermark) -> str:
    """As text."""
    return base64.b64encode(_MARK.pack(_FORM, *mark)).decode()


def unpack(text: str) -> Watermark:
    """Raises EwsViolation(ErrorInvalidWatermark)."""
    try:
        form, incarnation, change, item, upto_change, upto_item, folder, phase, first, second = _MARK.unpack(
            base64.b64decode(text, validate=True)
        )
        if form != _FORM or max(change, item, upto_change, upto_item, folder, first, second) >= 1 << 63:
            raise ValueError
        return Watermark(
            incarnation, change, item, upto_change, upto_item, FolderId(folder), Phase(phase), first, second
        )
    except (ValueError, binascii.Error, struct.error):
        raise EwsViolation("ErrorInvalidWatermark", "The watermark is none of this server's.") from None


def subscription_id(subscriber: MailboxId, key: str) -> str:
    """A SubscriptionId. `key`: hexadecimal, of KEY_BYTES octets."""
    return base64.b64encode(_ID.pack(_FORM, bytes.fromhex(subscriber), bytes.fromhex(key))).decode()


def read_subscription(text: str) -> tuple[MailboxId, str]:
    """Whose it is and its key. Raises EwsViolation(ErrorInvalidSubscription)."""
    try:
        form, mailbox, key = _ID.unpack(base64.b64decode(text, validate=True))
        if form != _FORM:
            raise ValueError
        return MailboxId(mailbox.hex()), key.hex()
    except (ValueError, binascii.Error, struct.error):
        raise EwsViolation("ErrorInvalidSubscription", "The subscription id is none of this server's.") from None
