"""Outgoing connections."""

from __future__ import annotations

import asyncio

from postern.net.stream import Stream


async def connect(host: str, port: int, timeout_s: float, source: str | None = None) -> Stream:
    """Connect from `source` (an address, or any). Raises OSError (TimeoutError is one)."""
    loop = asyncio.get_running_loop()
    local = (source, 0) if source else None
    async with asyncio.timeout(timeout_s):
        _, stream = await loop.create_connection(Stream, host, port, local_addr=local)
    return stream
