"""SEARCH (RFC 9051 6.4.4), ESEARCH (RFC 4731), MODSEQ (RFC 7162 3.1.5)."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence

from postern.frontends.imap.authenticate import enable_condstore
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.selected import SelectedFolder
from postern.model.items import Columns
from postern.model.query import And, Not, Or, Query, UidIn
from postern.protocols.imap import render, sequence
from postern.protocols.imap.commands.search import Recent, Search, SequenceIn, UidsIn


async def search(connection: Connection, arguments: Search, uid: bool) -> bytes:
    """Answers with what matches in the session's view."""
    selected = connection.view
    if arguments.modseq:
        enable_condstore(connection)
    await selected.sync(connection.out, expunge=uid)
    query = _resolved(arguments.query, selected)
    found = _in_view(selected, await selected.mailbox.search(selected.folder, query))
    numbers: Sequence[int] = found if uid else [selected.number(u) for u in found]
    modseq = await _highest(connection, selected, arguments, found) if arguments.modseq and found else 0
    if arguments.returns is None:
        connection.out.append(_plain(numbers, modseq))
    else:
        fields = _extended(arguments.returns, numbers, modseq, uid=uid)
        connection.out.append(b"* ESEARCH (TAG %b)%b\r\n" % (render.string(connection.command.tag), fields))
    return b"OK SEARCH completed"


def _resolved(query: Query, selected: SelectedFolder) -> Query:
    """What only the session knows, in the store's terms."""
    if isinstance(query, And):
        return And(tuple(_resolved(part, selected) for part in query.of))
    if isinstance(query, Or):
        return Or(tuple(_resolved(part, selected) for part in query.of))
    if isinstance(query, Not):
        return Not(_resolved(query.of, selected))
    if isinstance(query, SequenceIn):
        return UidIn(tuple(sequence.sequence_to_uids(query.ranges, selected.uids)))
    if isinstance(query, UidsIn):
        return UidIn(tuple(sequence.uids_to_uids(query.ranges, selected.uids)))
    if isinstance(query, Recent):
        return UidIn(((selected.recent_from, sequence.MAX_NUMBER),))
    return query


def _in_view(selected: SelectedFolder, found: Sequence[int]) -> Sequence[int]:
    """Matches that the client has been told of."""
    if not found:
        return found
    uids = selected.uids
    start = bisect_left(uids, found[0])
    if uids[start : start + len(found)] == array("I", found):
        return found
    there = set(uids)
    return [uid for uid in found if uid in there]


async def _highest(connection: Connection, selected: SelectedFolder, arguments: Search, found: Sequence[int]) -> int:
    """The highest MODSEQ among what is reported (RFC 7162 3.1.5, RFC 4731 3.2)."""
    reported: Sequence[int] = found
    if arguments.returns is not None and not arguments.returns & {b"ALL", b"COUNT"}:
        reported = [found[0]] if b"MIN" in arguments.returns else []
        reported = [*reported, found[-1]] if b"MAX" in arguments.returns else reported
    wanted = set(reported)
    highest = 0
    columns = Columns.UID | Columns.MODSEQ
    async for rows in selected.mailbox.items(selected.folder, columns, sequence.merged((u, u) for u in reported)):
        highest = max(highest, max((m for u, m in rows if u in wanted), default=0))
    return highest


def _plain(numbers: Sequence[int], modseq: int) -> bytes:
    text = b"* SEARCH"
    if numbers:
        text += b" " + " ".join(map(str, numbers)).encode("ascii")
        if modseq:
            text += b" (MODSEQ %d)" % modseq
    return text + b"\r\n"


def _extended(returns: frozenset[bytes], numbers: Sequence[int], modseq: int, *, uid: bool) -> bytes:
    fields = [b"UID"] if uid else []
    if numbers:
        if b"MIN" in returns:
            fields.append(b"MIN %d" % numbers[0])
        if b"MAX" in returns:
            fields.append(b"MAX %d" % numbers[-1])
        if b"ALL" in returns:
            fields.append(b"ALL " + sequence.render(numbers))
    if b"COUNT" in returns:
        fields.append(b"COUNT %d" % len(numbers))
    if modseq:
        fields.append(b"MODSEQ %d" % modseq)
    return b"".join(b" " + field for field in fields)
