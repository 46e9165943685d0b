"""The methods of a mailbox that know about conversations."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw

from postern.model.ids import AccountId, FolderId, Uid
from postern.model.items import Conversation
from postern.model.query import And, InConversation, Not, Or, Query
from postern.model.refusal import Reason, Refusal
from postern.store.sqlite import conversations, reading
from postern.store.sqlite.host import Host
from postern.store.sqlite.txn import Txn

T = TypeVar("T")

BIG = 2000
"""Items of a folder whose conversations are listed in a thread."""
_NO_ROOM = frozenset({Reason.DISK_FULL, Reason.READ_ONLY})


class ConversationMethods(ABC):
    """Part of SqliteMailbox."""

    _numbered = False
    _host: Host
    path: Path

    @abstractmethod
    async def consult(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run a short read."""

    @abstractmethod
    async def read_in_thread(self, work: Callable[[apsw.Connection], T]) -> T:
        """Run a long read on a connection of its own."""

    @abstractmethod
    async def write(self, work: Callable[[Txn], T], *, bulk: bool = False) -> T:
        """Run a write transaction."""

    async def conversations(self, folder: FolderId, reader: AccountId | None = None) -> Sequence[Conversation]:
        """A folder's conversations, the one with the latest item first."""
        await self.number_conversations()
        look = partial(conversations.listed, folder=folder, reader=reader)
        big = await self.consult(lambda db: reading.messages(db, folder)) > BIG
        return await (self.read_in_thread(look) if big else self.consult(look))

    async def in_conversations(self, wanted: Sequence[int]) -> Sequence[tuple[int, FolderId, Uid]]:
        """Conversation, folder, UID of their items, by folder and UID."""
        await self.number_conversations()
        scan = False
        try:
            while len(await self.consult(conversations.behind)):
                await self.write(conversations.note, bulk=True)
        except Refusal as refused:
            if refused.reason not in _NO_ROOM:
                raise
            scan = True
        look = partial(conversations.places, wanted=wanted, scan=scan)
        return await (self.read_in_thread(look) if scan else self.consult(look))

    async def number_conversations(self) -> None:
        """Give items their numbers that an older Postern stored without; once a mailbox, in slices."""
        if self._numbered:
            return
        after = (-(2**62), 0)
        if not await self.consult(conversations.numbered):
            while True:
                found = await self.read_in_thread(partial(conversations.unnumbered, after=after))
                headers = []
                for one in found:
                    block = one.header
                    if block is None:
                        block = await self._host.blobs.read(one.blob, 0, conversations.HEADER_BYTES)
                        block = block.partition(b"\r\n\r\n")[0]
                    headers.append((one, block))
                numbers = await self._host.in_thread(partial(conversations.numbers_of, headers))
                last = len(found) < conversations.NUMBERED_AT_A_TIME
                try:
                    await self.write(partial(conversations.put_numbers, numbers=numbers, last=last), bulk=True)
                except Refusal as refused:
                    if refused.reason not in _NO_ROOM:
                        raise
                    return  # they are without until there is room
                if last:
                    break
                after = (found[-1].folder, found[-1].uid)
                await asyncio.sleep(0)
        self._numbered = True

    async def _numbered_first(self, rows: AsyncIterator[list[tuple[Any, ...]]]) -> AsyncIterator[list[tuple[Any, ...]]]:
        """The same rows, read when all numbers are there."""
        await self.number_conversations()
        async for some in rows:
            yield some


def asks_for_conversation(query: Query) -> bool:
    """Whether a query looks at conversations anywhere."""
    if isinstance(query, And | Or):
        return any(asks_for_conversation(part) for part in query.of)
    if isinstance(query, Not):
        return asks_for_conversation(query.of)
    return isinstance(query, InConversation)
