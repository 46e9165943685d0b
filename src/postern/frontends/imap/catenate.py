"""Messages put together from what the server has (CATENATE, RFC 4469): URLs of messages and their parts (RFC 5092)."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from postern.formats.mime.parts import PartMap
from postern.frontends.imap import content
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.ports import Mailbox
from postern.frontends.imap.select import find
from postern.model.ids import BlobRef, FolderId
from postern.model.items import Columns
from postern.model.refusal import ProtocolViolation, Reason, Refusal
from postern.protocols.imap.commands import fetch
from postern.protocols.imap.commands.append import Piece
from postern.protocols.imap.declined import Declined
from postern.protocols.imap.scanner import Scanner, mailbox_name

_URL = re.compile(
    r"/?(?P<mailbox>[^;/?#][^;?#]*)?(?:;UIDVALIDITY=(?P<validity>[1-9][0-9]{0,9}))?/;UID=(?P<uid>[1-9][0-9]{0,9})"
    r"(?:/;SECTION=(?P<section>[^;?#]+?))?(?:/;PARTIAL=(?P<start>[0-9]{1,10})(?:\.(?P<length>[0-9]{1,10}))?)?",
    re.IGNORECASE,
)


def _bad(url: str) -> Declined:
    shown = "".join(c if c.isascii() and c.isprintable() and c not in '"\\]' else "?" for c in url[:200])
    return Declined(b'NO [BADURL "%b"] Nothing is found there' % shown.encode("ascii"))


async def assembled(connection: Connection, pieces: tuple[Piece, ...]) -> bytes:
    """The message. Raises Declined (BADURL), Refusal(TOO_LARGE)."""
    found: list[bytes] = []
    total = 0
    for piece in pieces:
        data = piece.text if piece.url is None else await _found(connection, piece.url)
        total += len(data)
        if total > connection.shared.limits.append_bytes:
            raise Refusal(Reason.TOO_LARGE)
        found.append(data)
    return b"".join(found)


async def _found(connection: Connection, url: str) -> bytes:
    """The same as `_read`; what may not be read is not there: the target of APPEND is not to blame."""
    try:
        return await _read(connection, url)
    except Refusal as refusal:
        if refusal.reason not in (Reason.NO_SUCH_FOLDER, Reason.NOT_PERMITTED, Reason.NO_SUCH_ITEM):
            raise
        raise _bad(url) from refusal


async def _read(connection: Connection, url: str) -> bytes:
    """What a URL relative to this server names; another server is never asked."""
    parsed = _URL.fullmatch(url)
    if parsed is None:
        raise _bad(url)
    try:
        folder_id, mailbox = await _folder(connection, parsed)
        section = _section(parsed["section"])
    except (Refusal, ProtocolViolation) as error:
        raise _bad(url) from error
    uid = int(parsed["uid"])
    columns = Columns.UID | Columns.HEADER | Columns.PARTS | Columns.PREFIX | Columns.BLOB | Columns.BODY_SIZE
    async for rows in mailbox.items(folder_id, columns, [(uid, uid)]):
        for _uid, header, parts, prefix, segment, record, _size in rows:
            ref = BlobRef(segment, record)
            body = await mailbox.read_body(ref)
            if header is None:
                start, end = PartMap.unpack(parts).find("HEADER") or (0, 0)
                header = body[start:end]
            data = content.reader(section)(prefix, header, parts, body)
            if data is None:
                raise _bad(url)
            start = int(parsed["start"] or 0)
            return data[start:] if parsed["length"] is None else data[start : start + int(parsed["length"])]
    raise _bad(url)


async def _folder(connection: Connection, parsed: re.Match[str]) -> tuple[FolderId, Mailbox]:
    if parsed["mailbox"] is None:  # relative to the selected folder (RFC 4469 3)
        if connection.selected is None or parsed["validity"] is not None:
            raise ProtocolViolation("no folder is selected")
        return connection.selected.folder, connection.selected.mailbox
    name = mailbox_name(unquote_to_bytes(parsed["mailbox"].rstrip("/")), utf8=True)
    place = await find(connection, name)
    if parsed["validity"] is not None and int(parsed["validity"]) != place.folder.uid_validity:
        raise ProtocolViolation("another UIDVALIDITY")
    return place.folder.id, place.mailbox


def _section(text: str | None) -> fetch.Section:
    if text is None:
        return fetch.Section(b"", "", b"")
    raw = unquote_to_bytes(text)
    scanner = Scanner(b"BODY.PEEK[%b]" % raw)
    return fetch.one_section(scanner)
