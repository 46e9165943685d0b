"""APPENDs from the journal into their folders.

What one sync has made durable for a mailbox is placed together, in one commit. A client that sends one message after
the other without waiting so pays a commit for many. Mailboxes do not wait for each other: one may be busy.

A message's UID has to be in the journal before anybody is told. Each commit takes one for the folder's next message of
this worker too, whose record then has it already. Where it could not be given any more, because others filled the
folder meanwhile, and for the first message, a second record has it, for a second sync.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple

from postern.model.ids import BlobRef, FolderId, MailboxId
from postern.model.items import Placement
from postern.model.refusal import Reason, Refusal
from postern.services.accepted import AppendHeader, AssignedHeader, encode
from postern.services.local_delivery import append_delivery
from postern.services.scanning import SCAN_IN_THREAD_BYTES
from postern.store import failpoints
from postern.store.interface import Ahead, Delivered, Delivery, Store
from postern.store.journal.records import Kind
from postern.store.journal.replay import about
from postern.store.journal.writer import Journal

Answer = asyncio.Future[Placement]
_SLICE_BYTES = 256 * 1024
"""So much is read of messages (2 to 4 ms) before others of the loop have their turn."""

AHEAD_FOLDERS = 1000
AHEAD_UIDS = 64
"""For so many folders UIDs are kept ahead, and so many of each."""


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
        self._ahead: dict[tuple[MailboxId, FolderId], deque[Ahead]] = {}
        """UIDs that were taken for messages to come, ascending; each goes into one record."""

    def ahead(self, mailbox: MailboxId, folder: FolderId) -> Ahead | None:
        """A UID for the header of the message that is appended next, which nobody else gets."""
        taken = self._ahead.get((mailbox, folder))
        return taken.popleft() if taken else None

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
            records: list[tuple[_Durable, Delivered, asyncio.Future[BlobRef]]] = []
            for one, result in zip(batch, placed, strict=True):
                placement, _, ahead = result
                if ahead is not None and placement is not None:
                    self._keep(one, placement, ahead)
                if _is_recorded(one.header, placement):
                    self._done(one, result)
                else:  # asked for at once, so that they share a sync
                    assigned = about(one.ref, encode(AssignedHeader.of(placement)))
                    records.append((one, result, self._journal.append(Kind.ASSIGNED, assigned)))
            for one, result, record in records:
                await self._assigned(one, result, record)
        except BaseException as error:
            for one in batch:
                _fail(one.answer, error)
            raise

    def _keep(self, one: _Durable, placement: Placement, ahead: Ahead) -> None:
        """Keep what was taken ahead; what was before and is below a UID given now cannot be given any more."""
        folder = (one.header.mailbox, placement.folder)
        taken = self._ahead.get(folder)
        if taken is None:
            if len(self._ahead) >= AHEAD_FOLDERS:
                del self._ahead[next(iter(self._ahead))]
            taken = self._ahead[folder] = deque(maxlen=AHEAD_UIDS)
        while taken and taken[0].uid < placement.uid:
            taken.popleft()
        taken.append(ahead)

    async def _deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Delivered]:
        try:
            return await self._store.deliver(deliveries)
        except Refusal as refusal:
            return [Delivered(None, refusal)] * len(deliveries)

    async def _assigned(self, one: _Durable, result: Delivered, record: asyncio.Future[BlobRef]) -> None:
        placement = result.placement
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
        self._done(one, result)

    def _done(self, one: _Durable, result: Delivered) -> None:
        failpoints.hit("append.assigned")
        self._journal.applied(one.ref)
        if result.refusal is not None:
            _fail(one.answer, result.refusal)
            return
        assert result.placement is not None
        if not one.answer.done():
            one.answer.set_result(result.placement)


def _is_recorded(header: AppendHeader, placement: Placement | None) -> bool:
    """Whether a replay finds all that a client is told now in the message's own record."""
    ahead = header.ahead
    if ahead is None or placement is None:
        return False
    return placement.uid == ahead.uid and placement.folder == header.folder


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
