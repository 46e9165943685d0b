"""APPENDs from the journal into their folders.

What one sync has made durable for a mailbox is placed together, in one commit, and the records of the UIDs that were
given share the next sync. A client that sends one message after the other without waiting so pays a commit for many.
Mailboxes do not wait for each other: one may be busy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

from postern.model.ids import BlobRef, MailboxId
from postern.model.items import Placement
from postern.model.refusal import Reason, Refusal
from postern.services.accepted import AppendHeader, AssignedHeader, encode
from postern.services.local_delivery import append_delivery
from postern.services.scanning import SCAN_IN_THREAD_BYTES
from postern.store import failpoints
from postern.store.interface import Delivered, Delivery, Store
from postern.store.journal.records import Kind
from postern.store.journal.replay import about
from postern.store.journal.writer import Journal

Answer = asyncio.Future[Placement]
_SLICE_BYTES = 256 * 1024
"""So much is read of messages (2 to 4 ms) before others of the loop have their turn."""


class _Durable(NamedTuple):
    """A message in the journal, and who waits for its UID."""

    ref: BlobRef
    header: AppendHeader
    content: bytes
    answer: Answer


class Appending:
    """One per worker."""

    def __init__(self, journal: Journal, store: Store, spawn: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """`spawn` runs a coroutine as long as it takes; if it fails, the process ends and the journal is replayed."""
        self._journal = journal
        self._store = store
        self._spawn = spawn
        self._ready: dict[MailboxId, list[_Durable]] = {}

    def append(self, header: AppendHeader, content: bytes) -> Answer:
        """Done when message and UID survive a power cut, with the store's refusals or the journal's.

        Whoever waits may go away: the message is placed all the same.
        """
        answer: Answer = asyncio.get_running_loop().create_future()
        durable = self._journal.append(Kind.APPEND, encode(header), content)
        durable.add_done_callback(partial(self._durable, header, content, answer))
        return answer

    def _durable(self, header: AppendHeader, content: bytes, answer: Answer, durable: asyncio.Future[BlobRef]) -> None:
        if durable.cancelled():
            answer.cancel()
            return
        if (error := durable.exception()) is not None:
            _fail(answer, error)
            return
        one = _Durable(durable.result(), header, content, answer)
        if len(content) > SCAN_IN_THREAD_BYTES:
            self._spawn(self._place([one]))  # the others need not wait until it is read
            return
        batch = self._ready.get(header.mailbox)
        if batch is None:  # the task begins when all that the same sync made durable have come here
            batch = self._ready[header.mailbox] = []
            self._spawn(self._place_ready(header.mailbox))
        batch.append(one)

    async def _place_ready(self, mailbox: MailboxId) -> None:
        await self._place(self._ready.pop(mailbox))

    async def _place(self, batch: Sequence[_Durable]) -> None:
        try:
            placed = await self._deliver(await _deliveries(batch))
            failpoints.hit("append.applied")
            append = self._journal.append
            # asked for at once, so that they share a sync
            records = [
                append(Kind.ASSIGNED, about(one.ref, encode(AssignedHeader.of(result.placement))))
                for one, result in zip(batch, placed, strict=True)
            ]
            for one, result, record in zip(batch, placed, records, strict=True):
                await self._assigned(one, result, record)
        except BaseException as error:
            for one in batch:
                _fail(one.answer, error)
            raise

    async def _deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Delivered]:
        try:
            return await self._store.deliver(deliveries)
        except Refusal as refusal:
            return [Delivered(None, refusal)] * len(deliveries)

    async def _assigned(self, one: _Durable, result: Delivered, record: asyncio.Future[BlobRef]) -> None:
        placement, refusal = result
        try:
            await record
        except Refusal as full:
            # the journal's disk is full, yet the mailbox could take it: then the mailbox's own log is what has to last
            if full.reason is Reason.SHUTTING_DOWN or placement is None:
                _fail(one.answer, full)
                return
            try:
                await (await self._store.mailbox(one.header.mailbox)).durable()
            except Refusal as gone:
                _fail(one.answer, gone)
                return
        failpoints.hit("append.assigned")
        self._journal.applied(one.ref)
        if refusal is not None:
            _fail(one.answer, refusal)
            return
        assert placement is not None
        if not one.answer.done():
            one.answer.set_result(placement)


async def _deliveries(batch: Sequence[_Durable]) -> list[Delivery]:
    found: list[Delivery] = []
    read = 0
    for ref, header, content, _ in batch:
        found.append(await append_delivery(ref, header, content))
        read += len(content)
        if read > _SLICE_BYTES:
            read = 0
            await asyncio.sleep(0)
    return found


def _fail(answer: Answer, error: BaseException) -> None:
    if answer.done():
        return
    if isinstance(error, asyncio.CancelledError):
        answer.cancel()
    else:
        answer.set_exception(error)
