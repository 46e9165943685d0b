"""The words of attachments: read in the background only, and by somebody who can be broken by what is in them.

`to_read` lists the contents whose attachments nobody has read yet; it grows with `bodies`. What was read goes into
`attached`, and the content is indexed once more.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import apsw

from postern.formats.documents.kinds import MAX_TEXT
from postern.model.collation import fold
from postern.model.ids import BlobRef
from postern.model.ports import Clock
from postern.model.refusal import Refusal
from postern.store.interface import ReadDocument
from postern.store.sqlite.connection import rows
from postern.store.sqlite.host import Host
from postern.store.sqlite.search import texts
from postern.store.sqlite.search.running import Session, with_session

MAX_ATTACHMENTS = 50
"""Of a message; the others are not read."""
_AT_A_TIME = 20

_WAITING = (
    "SELECT w.content, w.stamp, c.parts FROM s.to_read w JOIN main.contents c ON c.id = w.content"
    " ORDER BY w.content LIMIT ?"
)


class Progress(NamedTuple):
    """What a run did."""

    read: int
    """Attachments."""
    failed: int
    """Attachments that cannot be read."""
    more: bool
    """Whether there are others, for the next run."""


class _Waiting(NamedTuple):
    content: int
    stamp: int
    parts: bytes

    @property
    def blob(self) -> BlobRef:
        return BlobRef(self.stamp >> 32, self.stamp & 0xFFFFFFFF)


class _Words(NamedTuple):
    """What there is to say of a content's attachments."""

    read: int
    failed: int
    text: bytes


async def read_some(host: Host, path: Path, read: ReadDocument, seconds: float) -> Progress:
    """Read attachments that nobody has read yet, for about so long. Raises apsw.Error, Refusal."""
    return await with_session(host, path, partial(_read_some, read=read, seconds=seconds, clock=host.clock))


async def _read_some(session: Session, *, read: ReadDocument, seconds: float, clock: Clock) -> Progress:
    done = failed = 0
    if session.private:
        return Progress(0, 0, False)
    until = clock.monotonic() + seconds
    while True:
        waiting = [_Waiting._make(row) for row in await session.run(_next)]
        if not waiting:
            return Progress(done, failed, False)
        for one in waiting:
            words = await _words(session, one, read)
            await session.run(partial(_put, one=one, words=words))
            done, failed = done + words.read, failed + words.failed
            if clock.monotonic() > until:
                return Progress(done, failed, True)


async def _words(session: Session, one: _Waiting, read: ReadDocument) -> _Words:
    try:
        content = await session.blobs.read(one.blob)
    except Refusal:  # gone in the meantime
        return _Words(0, 0, b"")
    attached = await session.run(lambda _: texts.attachments(one.parts, content, MAX_ATTACHMENTS))
    pieces: list[str] = []
    done = failed = length = 0
    for each in attached:
        pieces.append(each.name)
        if each.kind is None or length > MAX_TEXT:
            continue
        text = await read(each.kind, each.data)
        if text is None:
            failed += 1
            continue
        done += 1
        length += len(text)
        pieces.append(text)
    folded = await session.run(lambda _: "\n".join(fold(piece) for piece in pieces if piece).encode())
    return _Words(done, failed, folded)


def _next(db: apsw.Connection) -> list[tuple[int, int, bytes]]:
    return rows(db, _WAITING, (_AT_A_TIME,))


def _put(db: apsw.Connection, *, one: _Waiting, words: _Words) -> None:
    db.execute("BEGIN")
    try:
        if words.text or words.failed:
            db.execute(
                "INSERT OR REPLACE INTO s.attached VALUES (?, ?, ?, ?)",
                (one.content, one.stamp, words.failed, words.text),
            )
        if words.text:
            db.execute("UPDATE s.heads SET indexed = 0 WHERE content = ?", (one.content,))
        db.execute("DELETE FROM s.to_read WHERE content = ? AND stamp = ?", (one.content, one.stamp))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
