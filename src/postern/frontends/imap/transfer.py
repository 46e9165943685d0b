"""COPY, MOVE (RFC 6851), EXPUNGE and UID EXPUNGE (RFC 4315)."""

from __future__ import annotations

import asyncio

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.qresync import highest_modseq
from postern.frontends.imap.select import find_target
from postern.frontends.imap.selected import SelectedFolder
from postern.frontends.imap.sites import Place
from postern.frontends.imap.store import ranges_of, writable
from postern.model.ids import Uid
from postern.model.items import FIRST_KEYWORD_BIT, Columns
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap import sequence
from postern.protocols.imap.commands.transfer import Transfer
from postern.services.mailboxes import CopyResult, Ranges

TOGETHER = 16
"""Messages copied to another mailbox at the same time."""


def _copyuid(result: CopyResult) -> bytes:
    """Response code of RFC 4315 3."""
    return b"[COPYUID %d %b %b]" % (
        result.uid_validity,
        sequence.ordered(result.sources),
        sequence.ordered(result.placements),
    )


async def copy(connection: Connection, arguments: Transfer, uid: bool) -> bytes:
    """RFC 9051 6.4.7."""
    selected = connection.view
    target = await find_target(connection, arguments.mailbox)
    ranges = await ranges_of(connection, arguments.messages, uid=uid)
    if selected.gone:
        raise Refusal(Reason.NO_SUCH_ITEM, "folder deleted meanwhile")
    if not ranges:
        return b"OK COPY completed, no message found"
    if target.mailbox is selected.mailbox:
        result = await selected.mailbox.copy(selected.folder, ranges, target.folder.id)
        if result.sources:  # else it was another's commit, if there was one
            await target.site.filled()
            if target.folder.id != selected.folder:
                selected.passed(result.change_number)
    else:
        result = await _copy_across(selected, ranges, target)
    if not result.sources:
        return b"OK COPY completed, no message found"
    connection.changed(target.mailbox)
    if not connection.offers(b"UIDPLUS"):
        return b"OK COPY completed"
    return b"OK %b COPY completed" % _copyuid(result)


async def move(connection: Connection, arguments: Transfer, uid: bool) -> bytes:
    """RFC 6851 3.3: COPYUID comes before the EXPUNGE responses."""
    selected = connection.view
    writable(selected)
    target = await find_target(connection, arguments.mailbox)
    ranges = await ranges_of(connection, arguments.messages, uid=uid)
    here = target.mailbox is selected.mailbox
    if here and target.folder.id == selected.folder:
        raise Refusal(Reason.NOT_SUPPORTED, "source and target are the same folder")
    if not ranges:
        return b"OK MOVE completed, no message found"
    if here:
        result = await selected.mailbox.move(selected.folder, ranges, target.folder.id)
        if result.sources:
            await target.site.filled()
            selected.left(result.sources, result.change_number)
    else:
        result = await _copy_across(selected, ranges, target)
        await _leave(selected, result, target)
    if not result.sources:
        return b"OK MOVE completed, no message found"
    connection.changed(selected.mailbox)
    connection.changed(target.mailbox)
    if connection.offers(b"UIDPLUS"):
        connection.out.append(b"* OK %b Moved\r\n" % _copyuid(result))
    if connection.qresync:
        number = await highest_modseq(selected.mailbox, selected.folder)
        return b"OK [HIGHESTMODSEQ %d] MOVE completed" % number
    return b"OK MOVE completed"


async def _copy_across(selected: SelectedFolder, ranges: Ranges, target: Place) -> CopyResult:
    """Copy into another mailbox: each message is appended there. All of them or, after a refusal, none."""
    names = await selected.mailbox.keywords()
    columns = Columns.UID | Columns.FLAGS | Columns.RECEIVED_AT
    rows = [row async for some in selected.mailbox.items(selected.folder, columns, ranges) for row in some]
    done: list[tuple[int, int]] = []
    validity = target.folder.uid_validity

    async def one(uid: int, flags: int, received_at: int) -> None:
        nonlocal validity
        keywords = tuple(name for bit, name in sorted(names.items()) if flags >> bit & 1)
        system = flags & ((1 << FIRST_KEYWORD_BIT) - 1)
        content = await selected.mailbox.read(selected.folder, Uid(uid))
        placed = await target.mailbox.append(target.folder.id, content, system, keywords, received_at)
        validity = placed.uid_validity
        done.append((uid, placed.uid))

    for start in range(0, len(rows), TOGETHER):
        outcomes = await asyncio.gather(*(one(*row) for row in rows[start : start + TOGETHER]), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Refusal) and outcome.reason is Reason.NO_SUCH_ITEM:
                continue  # expunged meanwhile
            if isinstance(outcome, BaseException):
                undo = merged((placed, placed) for _, placed in done)
                if undo:
                    await target.mailbox.expunge(target.folder.id, undo, only_deleted=False)
                raise outcome
    done.sort()
    return CopyResult([Uid(u) for u, _ in done], [Uid(p) for _, p in done], validity, selected.checked)


async def _leave(selected: SelectedFolder, copied: CopyResult, target: Place) -> None:
    """Take the originals away; where that is refused, the copies go again (RFC 6851 3.3: all or nothing)."""
    moved = merged((u, u) for u in copied.sources)
    if not moved:
        return
    try:
        await selected.mailbox.expunge(selected.folder, moved, only_deleted=False)
    except Refusal:
        undo = merged((u, u) for u in copied.placements)
        await target.mailbox.expunge(target.folder.id, undo, only_deleted=False)
        raise


async def expunge(connection: Connection, messages: sequence.SequenceSet | None, _uid: bool) -> bytes:
    """RFC 9051 6.4.3; with a set, only those of it that are \\Deleted (RFC 4315 2.1)."""
    selected = connection.view
    writable(selected)
    if messages is None:
        removed = await selected.mailbox.expunge(selected.folder, None)
    else:
        ranges = await ranges_of(connection, messages, uid=True)
        removed = await selected.mailbox.expunge(selected.folder, ranges) if ranges else ()
    if removed:
        # where that is the next number there was no commit but this one
        selected.left(removed, await selected.mailbox.change_number())
        connection.changed(selected.mailbox)
        if connection.qresync:  # RFC 7162 3.2.7
            number = await highest_modseq(selected.mailbox, selected.folder)
            return b"OK [HIGHESTMODSEQ %d] EXPUNGE completed" % number
    return b"OK EXPUNGE completed"
