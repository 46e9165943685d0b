"""APPEND (RFC 9051 6.3.12) with APPENDUID (RFC 4315), of several messages (RFC 3502); REPLACE (RFC 8508)."""

from __future__ import annotations

import asyncio

from postern.frontends.imap.catenate import assembled
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import find, find_target
from postern.frontends.imap.sites import Place
from postern.frontends.imap.store import ranges_of, writable
from postern.model.ids import FolderId, Uid
from postern.model.items import Placement
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap import sequence
from postern.protocols.imap.commands.append import Append, Message, Replace
from postern.protocols.imap.declined import Declined
from postern.services.mailboxes import Ranges


async def append(connection: Connection, arguments: Append, _uid: bool) -> bytes:
    """Durable when answered: the journal has it."""
    messages = arguments.messages
    if len(messages) > 1 and not connection.offers(b"MULTIAPPEND"):
        return b"BAD One message at a time"
    place = await find_target(connection, arguments.mailbox)
    contents = [await _content(connection, message) for message in messages]
    if len(messages) == 1:
        placed = [await _place(place, messages[0], contents[0])]
        await place.site.filled()
    else:
        placed = await _together(place, messages, contents)
    if not connection.offers(b"UIDPLUS"):
        return b"OK APPEND completed"
    uids = sequence.ordered([placement.uid for placement in placed])
    return b"OK [APPENDUID %d %b] APPEND completed" % (placed[0].uid_validity, uids)


async def _content(connection: Connection, message: Message) -> bytes:
    content = await assembled(connection, message.pieces) if message.pieces else message.content
    if not content:
        raise Declined(b"NO [CANNOT] Empty message")
    if len(content) > connection.shared.limits.append_bytes:
        raise Refusal(Reason.TOO_LARGE)
    return content


async def _place(
    place: Place, message: Message, content: bytes, supersedes: tuple[FolderId, Uid] | None = None
) -> Placement:
    return await place.mailbox.append(
        place.folder.id, content, message.flags.system, message.flags.keywords, message.received_at, supersedes
    )


async def _together(place: Place, messages: tuple[Message, ...], contents: list[bytes]) -> list[Placement]:
    """All or none: what was placed before one is refused is taken away again (RFC 3502 4)."""
    limit = (await place.mailbox.quota()).no_receive_bytes
    if limit is not None and await place.mailbox.used_bytes() + sum(map(len, contents)) > limit:
        raise Refusal(Reason.OVER_QUOTA)
    outcomes = await asyncio.gather(
        *(_place(place, message, content) for message, content in zip(messages, contents, strict=True)),
        return_exceptions=True,
    )
    placed = [outcome for outcome in outcomes if isinstance(outcome, Placement)]
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            undo = merged((placement.uid, placement.uid) for placement in placed)
            if undo:
                await place.mailbox.expunge(place.folder.id, undo, only_deleted=False)
            raise outcome
    return placed


async def replace(connection: Connection, arguments: Replace, uid: bool) -> bytes:
    """RFC 8508 3.2: one comes and the other goes in one commit, or nothing changes."""
    selected = connection.view
    writable(selected)
    place = await find(connection, arguments.mailbox)
    ranges = await ranges_of(connection, arguments.number, uid=uid)
    if not ranges or not selected.number(ranges[0][0]):
        raise Refusal(Reason.NO_SUCH_ITEM)
    content = await _content(connection, arguments.message)
    if place.mailbox.id == selected.mailbox.id:
        placement = await _place(place, arguments.message, content, (selected.folder, Uid(ranges[0][0])))
    else:
        placement = await _across(connection, place, ranges, arguments.message, content)
    connection.changed(selected.mailbox)
    if connection.offers(b"UIDPLUS"):
        where = (placement.uid_validity, placement.uid)
        connection.out.append(b"* OK [APPENDUID %d %d] Replacement is there\r\n" % where)
    return b"OK REPLACE completed"


async def _across(connection: Connection, place: Place, ranges: Ranges, message: Message, content: bytes) -> Placement:
    """Two mailboxes have no commit in common: the new message is there before the old one goes."""
    selected = connection.view
    placement = await _place(place, message, content)
    try:
        removed = await selected.mailbox.expunge(selected.folder, ranges, only_deleted=False)
    except Refusal:
        await place.mailbox.expunge(place.folder.id, [(placement.uid, placement.uid)], only_deleted=False)
        raise
    if not removed:  # somebody else was faster: RFC 8508 3.2 lets one of two replacements win
        await place.mailbox.expunge(place.folder.id, [(placement.uid, placement.uid)], only_deleted=False)
        connection.changed(place.mailbox)
        raise Refusal(Reason.NO_SUCH_ITEM)
    return placement
