"""A listener's connections."""

from __future__ import annotations

from postern.frontends.http.connection import Connection, Shared
from postern.frontends.ports import Stream


class HttpFrontend:
    """One per data path and worker."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._by_address: dict[str, int] = {}

    async def handle(self, stream: Stream) -> None:
        """Serve a connection to its end. Raises TimeoutError, ConnectionError."""
        shared, address = self._shared, stream.peer[0]
        limit = shared.settings.max_connections_per_address
        here = self._by_address.get(address, 0)
        if limit and here >= limit:
            shared.log.info("http.too_many_connections", peer=address, listener=shared.settings.listener)
            stream.abort()
            return
        self._by_address[address] = here + 1
        connection = Connection(shared, stream, str(getattr(stream, "context", "") or ""))
        try:
            await connection.run()
        finally:
            connection.release()
            if self._by_address[address] == 1:
                del self._by_address[address]
            else:
                self._by_address[address] -= 1
