"""IDLE (RFC 2177): changes are told the moment they are committed, in whatever process."""

from __future__ import annotations

from postern.frontends.imap.connection import Connection
from postern.model.refusal import ProtocolViolation


async def idle(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """Lasts until the client says DONE."""
    connection.out.append(b"+ idling\r\n")
    for site in (connection.own, *connection.others.values(), *connection.visited.values()):
        site.forget()  # who waits for hours keeps no folder names meanwhile
    stream = connection.stream
    # subscribed before the first look: nothing can slip between
    selected = connection.selected
    mailbox = connection.own.mailbox if selected is None else selected.mailbox
    unsubscribe = mailbox.subscribe_changes(stream.nudge)
    stops = [unsubscribe]
    keepalive_s = connection.shared.settings.keepalive_s
    timeout_s = min(keepalive_s, connection.timeout_s) if keepalive_s else connection.timeout_s
    if connection.watch is not None and mailbox is not connection.own.mailbox:
        stops.append(connection.own.mailbox.subscribe_changes(stream.nudge))
    try:
        while True:
            line = connection.session.next_line()
            if line is not None:
                if line.upper() != b"DONE":
                    raise ProtocolViolation("expected DONE")
                return b"OK IDLE completed"
            stream.calm()
            if connection.selected is not None:
                await connection.selected.sync(connection.out, expunge=True)
            if connection.watch is not None:
                await connection.watch.tell(connection)
            await connection.flush()
            try:
                data = await stream.read_unless_nudged(timeout_s)
            except TimeoutError:
                if not keepalive_s:
                    raise
                connection.out.append(b"* OK Still here\r\n")
                continue
            if data:
                connection.session.feed(data)
            elif data is not None:
                raise ConnectionResetError
    finally:
        for stop in stops:
            stop()
