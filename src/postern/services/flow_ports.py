"""What the mail flow needs of the store and of the queue beyond their everyday interfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from postern.model.envelope import Envelope
from postern.model.ids import DeliveryKey
from postern.model.transfer import LocalCopy, StoredContent
from postern.store.interface import Store
from postern.transport.outcomes import AnyOutcome


class DurableStore(Store, Protocol):
    """A store that journals are replayed into."""

    async def sync_dirty(self) -> None:
        """Make every mailbox that was written since the last call survive a power cut."""
        ...

    async def forget_applied(self, segments: Sequence[int]) -> None:
        """Keys of these segments will never come again."""
        ...

    async def live(self, segments: Sequence[int]) -> Mapping[int, set[int]]:
        """Records of the segments that any mailbox refers to. Raises if one mailbox cannot be asked."""
        ...


class TransferQueue(Protocol):
    """The queue as the mail flow uses it; both are idempotent by key and durable after `sync`."""

    async def accept(
        self,
        key: DeliveryKey,
        envelope: Envelope,
        content: StoredContent,
        outcomes: Sequence[AnyOutcome],
        received_at: float,
    ) -> None:
        """Take the outcomes that are not local: relay, defer, failures and expansions to be reported."""
        ...

    async def accept_local(self, copy: LocalCopy, envelope: Envelope) -> None:
        """Take a copy that its mailbox could not take now, or that owes a success report."""
        ...

    async def sync(self) -> None:
        """Return when everything accepted so far survives a power cut."""
        ...

    async def live(self, segments: Sequence[int]) -> Mapping[int, set[int]]:
        """Records of the segments that any entry refers to."""
        ...
