"""ESEARCH over several mailboxes (RFC 7377)."""

from __future__ import annotations

from collections.abc import Sequence

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.mailboxes import matching
from postern.frontends.imap.progress import Progress
from postern.frontends.imap.search import fields, resolved, search
from postern.frontends.imap.sites import Place
from postern.model.items import Columns
from postern.model.query import And, Not, Or, Query, UidIn
from postern.model.ranges import merged
from postern.model.refusal import ProtocolViolation, Reason, Refusal
from postern.protocols.imap import render, sequence
from postern.protocols.imap.commands.search import Recent, Search, SequenceIn, UidsIn
from postern.protocols.imap.session import State


async def esearch(connection: Connection, arguments: Search, _uid: bool) -> bytes:
    """RFC 7377 2.1. Mailboxes without a match are left out; those one may not read too."""
    if arguments.sources is None:
        if connection.session.state is not State.SELECTED:
            raise ProtocolViolation("ESEARCH without IN needs a selected mailbox")
        return await search(connection, arguments, True)
    assert arguments.returns is not None
    query = resolved(_checked(arguments.query), connection)
    places = await matching(connection, arguments.sources)
    progress = Progress(connection, len(places))
    for number, (name, place) in enumerate(places, 1):
        try:
            found = await place.mailbox.search(place.folder.id, query)
        except Refusal as refusal:
            if refusal.reason not in (Reason.NO_SUCH_FOLDER, Reason.NOT_PERMITTED):
                raise
            continue
        if found:
            modseq = await _highest(place, found) if arguments.modseq else 0
            connection.out.append(
                b"* ESEARCH (TAG %b MAILBOX %b UIDVALIDITY %d)%b\r\n"
                % (
                    render.string(connection.command.tag),
                    connection.name(name),
                    place.folder.uid_validity,
                    fields(arguments.returns, found, modseq, uid=True),
                )
            )
        await connection.gathered(len(found))
        await progress.at(number)
    return b"OK ESEARCH completed"


def _checked(query: Query) -> Query:
    """Message numbers and `*` mean nothing in many mailboxes (RFC 7377 2.1); UIDs do in each."""
    if isinstance(query, And):
        return And(tuple(_checked(part) for part in query.of))
    if isinstance(query, Or):
        return Or(tuple(_checked(part) for part in query.of))
    if isinstance(query, Not):
        return Not(_checked(query.of))
    if isinstance(query, SequenceIn | Recent):
        raise ProtocolViolation("message numbers and \\Recent are not known in several mailboxes")
    if isinstance(query, UidsIn):
        if query.ranges is sequence.SAVED:
            raise ProtocolViolation("$ is not known in several mailboxes")
        return UidIn(tuple(sequence.resolved(query.ranges, sequence.MAX_NUMBER)))
    return query


async def _highest(place: Place, found: Sequence[int]) -> int:
    highest = 0
    ranges = merged((uid, uid) for uid in found)
    async for rows in place.mailbox.items(place.folder.id, Columns.UID | Columns.MODSEQ, ranges):
        highest = max(highest, max(modseq for _, modseq in rows))
    return highest
