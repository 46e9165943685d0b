"""APPEND (RFC 9051 6.3.12) with APPENDUID (RFC 4315)."""

from __future__ import annotations

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import find
from postern.protocols.imap.commands.append import Append


async def append(connection: Connection, arguments: Append, _uid: bool) -> bytes:
    """Durable when answered: the journal has it."""
    if not arguments.content:
        return b"NO [CANNOT] Empty message"
    place = await find(connection, arguments.mailbox)
    placement = await place.mailbox.append(
        place.folder.id, arguments.content, arguments.flags.system, arguments.flags.keywords, arguments.received_at
    )
    return b"OK [APPENDUID %d %d] APPEND completed" % (placement.uid_validity, placement.uid)
