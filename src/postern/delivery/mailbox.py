"""Delivery from the queue into mailboxes of this server: what could not be delivered at once."""

from __future__ import annotations

from typing import Protocol

from postern.model.refusal import Reason, Refusal
from postern.model.transfer import Fate, LocalCopy, Result


class Copies(Protocol):
    """Puts a copy into a mailbox (services.copies)."""

    async def deliver(self, copy: LocalCopy) -> None:
        """Once for each key. Raises Refusal."""
        ...


_FAILURES = {
    Reason.OVER_QUOTA: ("5.2.2", "mailbox is full"),
    Reason.NO_SUCH_RECIPIENT: ("5.1.1", "no such mailbox here any more"),
    Reason.TOO_LARGE: ("5.2.3", "message is too large for the mailbox"),
}
_DEFERRALS = {
    Reason.DISK_FULL: ("4.3.1", "the disk is full"),
    Reason.CORRUPT: ("4.2.0", "the mailbox needs repair"),
    Reason.READ_ONLY: ("4.3.0", "the store is read-only"),
}


class MailboxAgent:
    """One per worker."""

    def __init__(self, copies: Copies) -> None:
        self._copies = copies

    async def deliver(self, copy: LocalCopy) -> Result:
        """A mailbox's answer in the terms of a DSN."""
        try:
            await self._copies.deliver(copy)
        except Refusal as refusal:
            if refusal.reason.temporary:
                status, text = _DEFERRALS.get(refusal.reason, ("4.2.0", refusal.reason.value))
                return Result(Fate.DEFERRED, status, text)
            status, text = _FAILURES.get(refusal.reason, ("5.2.0", refusal.reason.value))
            return Result(Fate.FAILED, status, text)
        return Result(Fate.DELIVERED, "2.1.5")
