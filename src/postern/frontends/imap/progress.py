"""How far a long command is (INPROGRESS, RFC 9585)."""

from __future__ import annotations

from postern.frontends.imap.connection import Connection
from postern.protocols.imap import render


class Progress:
    """Of one command; says something only when it takes longer than the setting."""

    __slots__ = ("_connection", "_goal", "_next")

    def __init__(self, connection: Connection, goal: int) -> None:
        """`goal`: what `at` counts up to."""
        self._connection = connection
        self._goal = goal
        self._next = connection.shared.clock.monotonic() + connection.shared.settings.progress_s

    async def at(self, done: int) -> None:
        """Tell the client if it is time to."""
        connection = self._connection
        now = connection.shared.clock.monotonic()
        if now < self._next:
            return
        self._next = now + connection.shared.settings.progress_s
        connection.out.append(
            b"* OK [INPROGRESS (%b %d %d)] Still at it\r\n"
            % (render.string(connection.command.tag), min(done, self._goal), self._goal)
        )
        await connection.flush()
