"""The words of attachments: read in the background only, and by somebody who can be broken by what is in them.

`to_read` lists the contents whose attachments nobody has read yet; it grows with `bodies`. What was read goes into
`attached` and is indexed from there. Some messages are looked at before anything is written: a transaction for each
would cost more than to find that most attachments have no words.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import apsw

from postern.formats.documents.kinds import MAX_TEXT, may_be
from postern.model.collation import fold
from postern.model.ids import BlobRef
from postern.model.ports import Clock
from postern.model.refusal import Refusal
from postern.store.interface import ReadDocument
from postern.store.sqlite.connection import rows
from postern.store.sqlite.host import Host
from postern.store.sqlite.search import filling, texts
from postern.store.sqlite.search.running import Session, with_session

MAX_ATTACHMENTS = 50
"""Of a message; the others are not read."""
_AT_A_TIME = 50
_BYTES_AT_A_TIME = 4 << 20

_WAITING = (
    "SELECT w.content, w.stamp, c.parts, c.body_size FROM s.to_read w JOIN main.contents c ON c.id = w.content"
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
    size: int

    @property
    def blob(self) -> BlobRef:
        return BlobRef(self.stamp >> 32, self.stamp & 0xFFFFFFFF)


class _Words(NamedTuple):
    """What there is to say of a content's attachments."""

    read: int
    failed: int
    pieces: list[str]


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
        for batch in filling.batches(waiting, _BYTES_AT_A_TIME):
            found = await _taken_out(session, batch)
            words: list[_Words] = []
            for attached in found:
                words.append(await _words(attached, read))
                if clock.monotonic() > until:
                    break
            await session.run(partial(_put, found=list(zip(batch, words, strict=False))))
            done += sum(one.read for one in words)
            failed += sum(one.failed for one in words)
            if clock.monotonic() > until:
                return Progress(done, failed, True)


async def _taken_out(session: Session, batch: list[_Waiting]) -> list[list[texts.Attached]]:
    contents: list[bytes | memoryview | None] = []
    try:
        contents += await session.blobs.read_views([one.blob for one in batch])
    except Refusal:  # one of them is gone in the meantime
        for one in batch:
            try:
                contents.append(await session.blobs.read(one.blob))
            except Refusal:
                contents.append(None)

    def take(_: apsw.Connection) -> list[list[texts.Attached]]:
        found = []
        for one, content in zip(batch, contents, strict=True):
            filling.yield_lock()
            found.append([] if content is None else texts.attachments(one.parts, bytes(content), MAX_ATTACHMENTS))
        return found

    return await session.run(take)


async def _words(attached: list[texts.Attached], read: ReadDocument) -> _Words:
    pieces: list[str] = []
    done = failed = length = 0
    for each in attached:
        pieces.append(each.name)
        if each.kind is None or length > MAX_TEXT:
            continue
        text = await read(each.kind, each.data) if may_be(each.kind, each.data) else None
        if text is None:
            failed += 1
            continue
        done += 1
        length += len(text)
        pieces.append(text)
    return _Words(done, failed, pieces)


def _next(db: apsw.Connection) -> list[tuple[int, int, bytes]]:
    return rows(db, _WAITING, (_AT_A_TIME,))


def _put(db: apsw.Connection, *, found: list[tuple[_Waiting, _Words]]) -> None:
    attached: list[tuple[object, ...]] = []
    for one, words in found:
        filling.yield_lock()
        text = "\n".join(fold(piece) for piece in words.pieces if piece).encode()
        if text or words.failed:
            # without words there is nothing to index
            attached.append((one.content, one.stamp, 0 if text else -1, words.failed, text))
    filling.write(
        db,
        (
            ("INSERT OR REPLACE INTO s.attached VALUES (?, ?, ?, ?, ?)", attached),
            (
                "DELETE FROM s.to_read WHERE content = ? AND stamp = ?",
                [(one.content, one.stamp) for one, _ in found],
            ),
        ),
    )
