"""A listener's connections."""

from __future__ import annotations

from postern.frontends.http.connection import Connection, Shared
from postern.frontends.ports import Stream
from postern.model.networks import PeerCounts


class HttpFrontend:
    """One per data path and worker."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._peers = PeerCounts(shared.settings.max_connections_per_address)

    async def handle(self, stream: Stream) -> None:
        """Serve a connection to its end. Raises TimeoutError, ConnectionError."""
        shared, address = self._shared, stream.peer[0]
        if not self._peers.enter(address):
            shared.log.info("http.too_many_connections", peer=address, listener=shared.settings.listener)
            stream.abort()
            return
        try:
            connection = Connection(shared, stream, str(getattr(stream, "context", "") or ""))
            try:
                await connection.run()
            finally:
                connection.release()
        finally:
            self._peers.leave(address)
