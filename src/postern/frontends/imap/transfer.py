"""COPY, MOVE (RFC 6851), EXPUNGE and UID EXPUNGE (RFC 4315)."""

from __future__ import annotations

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import find
from postern.frontends.imap.store import ranges_of, writable
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap import sequence
from postern.protocols.imap.commands.transfer import Transfer
from postern.services.mailboxes import CopyResult


def _copyuid(result: CopyResult) -> bytes:
    """Response code of RFC 4315 3."""
    return b"[COPYUID %d %b %b]" % (
        result.uid_validity,
        sequence.ordered(result.sources),
        sequence.ordered(result.placements),
    )


async def copy(connection: Connection, arguments: Transfer, uid: bool) -> bytes:
    """RFC 9051 6.4.7."""
    target = await find(connection, arguments.mailbox)
    ranges = await ranges_of(connection, arguments.messages, uid=uid)
    if connection.view.gone:
        raise Refusal(Reason.NO_SUCH_ITEM, "folder deleted meanwhile")
    result = await connection.store.copy(connection.view.folder, ranges, target.id) if ranges else None
    if result is None or not result.sources:
        return b"OK COPY completed, no message found"
    connection.dirty = True
    return b"OK %b COPY completed" % _copyuid(result)


async def move(connection: Connection, arguments: Transfer, uid: bool) -> bytes:
    """RFC 6851 3.3: COPYUID comes before the EXPUNGE responses."""
    selected = connection.view
    writable(selected)
    target = await find(connection, arguments.mailbox)
    ranges = await ranges_of(connection, arguments.messages, uid=uid)
    if target.id == selected.folder:
        raise Refusal(Reason.NOT_SUPPORTED, "source and target are the same folder")
    result = await connection.store.move(selected.folder, ranges, target.id) if ranges else None
    if result is None or not result.sources:
        return b"OK MOVE completed, no message found"
    connection.dirty = True
    connection.out.append(b"* OK %b Moved\r\n" % _copyuid(result))
    return b"OK MOVE completed"


async def expunge(connection: Connection, messages: sequence.SequenceSet | None, _uid: bool) -> bytes:
    """RFC 9051 6.4.3; with a set, only those of it that are \\Deleted (RFC 4315 2.1)."""
    selected = connection.view
    writable(selected)
    if messages is None:
        removed = await connection.store.expunge(selected.folder, None)
    else:
        ranges = await ranges_of(connection, messages, uid=True)
        removed = await connection.store.expunge(selected.folder, ranges) if ranges else ()
    if removed:
        connection.dirty = True
    return b"OK EXPUNGE completed"
