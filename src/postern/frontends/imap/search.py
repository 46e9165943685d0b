"""SEARCH (RFC 9051 6.4.4) and what extensions add to its answer: RFC 4731, RFC 5182, RFC 5267, RFC 7162, RFC 9394."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from postern.frontends.imap.authenticate import enable_condstore
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.contexts import MAX_CONTEXTS, Context
from postern.frontends.imap.ports import Mailbox
from postern.frontends.imap.progress import Progress
from postern.frontends.imap.selected import SelectedFolder
from postern.model.ids import FolderId
from postern.model.items import Columns
from postern.model.query import (
    All,
    And,
    BodyContains,
    HeaderContains,
    Not,
    Or,
    Query,
    ReceivedBetween,
    TextContains,
    UidIn,
)
from postern.model.ranges import merged
from postern.model.refusal import Refusal
from postern.protocols.imap import render, sequence
from postern.protocols.imap.commands.search import Recent, Returns, Search, SequenceIn, UidsIn, Within
from postern.protocols.imap.declined import uid_required

SLICE = 5000
SLICES = 10
"""Messages searched for text at a time, or a tenth of the folder; in between a long search tells how far it is."""


async def search(connection: Connection, arguments: Search, uid: bool) -> bytes:
    """Answers with what matches in the session's view."""
    returns = arguments.returns
    saving = returns is not None and b"SAVE" in returns.options
    try:
        return await _search(connection, arguments, uid=uid)
    except Refusal:
        if saving:  # RFC 5182 2.1: a search that fails leaves nothing saved
            connection.saved = array("I")
        raise


async def _search(connection: Connection, arguments: Search, *, uid: bool) -> bytes:
    selected = connection.view
    if arguments.modseq:
        enable_condstore(connection)
    await selected.sync(connection.out, expunge=uid)
    query = resolved(arguments.query, connection)
    found = in_view(selected, await _matches(connection, selected, query))
    returns = arguments.returns
    tag = connection.command.tag
    if returns is not None and b"UPDATE" in returns.options:
        await _keep_up(connection, tag, Context(query, set(found), uid))
    if returns is not None and b"SAVE" in returns.options:
        connection.saved = array("I", _saved(returns, found))
        if returns.options == {b"SAVE"}:
            return b"OK SEARCH completed"
    await answer(connection, b"SEARCH", arguments, found, uid=uid)
    return b"OK SEARCH completed"


async def answer(connection: Connection, name: bytes, arguments: Search, found: Sequence[int], *, uid: bool) -> None:
    """The response of SEARCH or SORT over UIDs in their order."""
    selected = connection.view
    numbers = found if uid else selected.numbers(found)
    returns = arguments.returns
    if returns is None and connection.rev2 and name == b"SEARCH":
        returns = Returns(frozenset({b"ALL"}))  # RFC 9051 appendix E: no SEARCH response any more
    modseq = 0
    if arguments.modseq and found:
        modseq = await _highest(selected.mailbox, selected.folder, returns, found)
    if returns is None:
        connection.out.append(_plain(name, numbers, modseq))
        return
    tag = render.string(connection.command.tag)
    connection.out.append(b"* ESEARCH (TAG %b)%b\r\n" % (tag, fields(returns, numbers, modseq, uid=uid)))


async def matching(connection: Connection, query: Query) -> Sequence[int]:
    """UIDs in the session's view that match, ascending."""
    selected = connection.view
    return in_view(selected, await _matches(connection, selected, resolved(query, connection)))


async def _matches(connection: Connection, selected: SelectedFolder, query: Query) -> Sequence[int]:
    """Searches for text go by slices of the folder, so that they can tell how far they are."""
    uids = selected.uids
    if isinstance(query, All) and await selected.is_present():
        return uids.tolist()
    if len(uids) <= SLICE or not _looks_at_text(query) or not connection.offers(b"INPROGRESS"):
        return await selected.mailbox.search(selected.folder, query)
    progress = Progress(connection, len(uids))
    found: list[int] = []
    size = max(SLICE, len(uids) // SLICES)
    for start in range(0, len(uids), size):
        part = uids[start : start + size]
        found += await selected.mailbox.search(selected.folder, query, [(part[0], part[-1])])
        await progress.at(start + len(part))
    return found


def _looks_at_text(query: Query) -> bool:
    if isinstance(query, And | Or):
        return any(_looks_at_text(part) for part in query.of)
    if isinstance(query, Not):
        return _looks_at_text(query.of)
    return isinstance(query, HeaderContains | BodyContains | TextContains)


async def _keep_up(connection: Connection, tag: bytes, context: Context) -> None:
    selected = connection.view
    contexts = selected.contexts
    if contexts is None:
        contexts = selected.contexts = {}
    if len(contexts) >= MAX_CONTEXTS and tag not in contexts:
        connection.out.append(b"* NO [NOUPDATE %b] Too many searches are kept up\r\n" % render.string(tag))
        return
    contexts[tag] = context


async def cancel_update(connection: Connection, tags: tuple[bytes, ...], _uid: bool) -> bytes:
    """CANCELUPDATE (RFC 5267 4.3.1)."""
    contexts = connection.view.contexts or {}
    for tag in tags:
        contexts.pop(tag, None)
    return b"OK CANCELUPDATE completed"


def _saved(returns: Returns, found: Sequence[int]) -> Sequence[int]:
    """What `$` stands for afterwards: all, unless only ends or a page were asked for (RFC 5182 2.4, RFC 9394 3.3)."""
    options = returns.options
    if not found or options & {b"ALL", b"COUNT"} or not options & {b"MIN", b"MAX", b"PARTIAL"}:
        return found
    kept = set(part(returns, found)) if b"PARTIAL" in options else set()
    if b"MIN" in options:
        kept.add(found[0])
    if b"MAX" in options:
        kept.add(found[-1])
    return sorted(kept)


def resolved(query: Query, connection: Connection) -> Query:
    """What only the session knows, in the store's terms."""
    if isinstance(query, And):
        return And(tuple(resolved(each, connection) for each in query.of))
    if isinstance(query, Or):
        return Or(tuple(resolved(each, connection) for each in query.of))
    if isinstance(query, Not):
        return Not(resolved(query.of, connection))
    if isinstance(query, Within):
        then = int(connection.shared.clock.timestamp()) - query.seconds
        return ReceivedBetween(then, None) if query.younger else ReceivedBetween(None, then + 1)
    if isinstance(query, SequenceIn):
        if query.ranges is sequence.SAVED:
            return UidIn(tuple(saved(connection)))
        if connection.uid_only:
            raise uid_required()
        return UidIn(tuple(sequence.numbers_in_view(query.ranges, connection.view.uids)))
    if isinstance(query, UidsIn):
        if query.ranges is sequence.SAVED:
            return UidIn(tuple(saved(connection)))
        return UidIn(tuple(sequence.uids_to_uids(query.ranges, connection.view.uids)))
    if isinstance(query, Recent):
        return UidIn(((connection.view.recent_from, sequence.MAX_NUMBER),))
    return query


def saved(connection: Connection) -> list[tuple[int, int]]:
    """`$` as UID ranges (RFC 5182)."""
    return merged((uid, uid) for uid in connection.saved or ())


def in_view(selected: SelectedFolder, found: Sequence[int]) -> Sequence[int]:
    """Matches that the client has been told of."""
    if not found:
        return found
    if selected.stretch(found) is not None:
        return found
    there = set(selected.uids)
    if there.issuperset(found):
        return found
    return [uid for uid in found if uid in there]


async def _highest(mailbox: Mailbox, folder: FolderId, returns: Returns | None, found: Sequence[int]) -> int:
    """The highest MODSEQ among what is reported (RFC 7162 3.1.5, RFC 4731 3.2)."""
    reported: Sequence[int] = found
    if returns is not None and not returns.options & {b"ALL", b"COUNT", b"PARTIAL", b"SAVE"}:
        reported = [found[0]] if b"MIN" in returns.options else []
        reported = [*reported, found[-1]] if b"MAX" in returns.options else reported
    wanted = set(reported)
    highest = 0
    columns = Columns.UID | Columns.MODSEQ
    async for rows in mailbox.items(folder, columns, merged((u, u) for u in reported)):
        highest = max(highest, max((m for u, m in rows if u in wanted), default=0))
    return highest


def _plain(name: bytes, numbers: Sequence[int], modseq: int) -> bytes:
    text = b"* " + name + render.numbers(numbers)
    if numbers and modseq:
        text += b" (MODSEQ %d)" % modseq
    return text + b"\r\n"


def part(returns: Returns, numbers: Sequence[int]) -> Sequence[int]:
    """The positions that PARTIAL names (RFC 9394 3.1)."""
    assert returns.partial is not None
    low, high = returns.partial
    if low > 0:
        return numbers[low - 1 : high]
    return numbers[max(0, len(numbers) + low) : max(0, len(numbers) + high + 1)]


def fields(returns: Returns, numbers: Sequence[int], modseq: int, *, uid: bool) -> bytes:
    """What follows the correlator of an ESEARCH response."""
    options = returns.options
    found = [b"UID"] if uid else []
    if numbers:
        if b"MIN" in options:
            found.append(b"MIN %d" % numbers[0])
        if b"MAX" in options:
            found.append(b"MAX %d" % numbers[-1])
        if b"ALL" in options:
            found.append(b"ALL " + sequence.ordered(numbers))
    if returns.partial is not None:
        low, high = returns.partial
        text = b"%d:%d" % ((low, high) if low > 0 else (high, low))
        these = part(returns, numbers)
        found.append(b"PARTIAL (%b %b)" % (text, sequence.ordered(these) if these else b"NIL"))
    if b"COUNT" in options:
        found.append(b"COUNT %d" % len(numbers))
    if modseq:
        found.append(b"MODSEQ %d" % modseq)
    return b"".join(b" " + field for field in found)
