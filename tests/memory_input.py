"""What a server reads in tests without sockets: the receiving half of `frontends.ports.Stream`."""

from __future__ import annotations

import asyncio


class MemoryInput:
    """Octets given by a test, waited for as a connection's are."""

    def __init__(self) -> None:
        self._input = bytearray()
        self._eof = False
        self._news = asyncio.Event()
        self._nudged = False

    # the client's side
    def give(self, data: bytes) -> None:
        self._input += data
        self._news.set()

    def end(self) -> None:
        self._eof = True
        self._news.set()

    # the server's side
    @property
    def has_input(self) -> bool:
        return bool(self._input) or self._eof

    async def read(self, timeout_s: float) -> bytes:
        while not self.has_input:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), timeout_s)
        data = bytes(self._input)
        self._input.clear()
        return data

    async def read_unless_nudged(self, timeout_s: float) -> bytes | None:
        if not self.has_input and not self._nudged:
            self._news.clear()
            await asyncio.wait_for(self._news.wait(), timeout_s)
        return await self.read(timeout_s) if self.has_input else None

    def nudge(self) -> None:
        self._nudged = True
        self._news.set()

    def calm(self) -> None:
        self._nudged = False

    async def drain(self, timeout_s: float = 0) -> None:
        await asyncio.sleep(0)
