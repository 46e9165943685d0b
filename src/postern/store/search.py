"""Searching a folder by reading it: cheap conditions over rows first, then headers, then bodies.

Answers are exact: substrings of decoded text without case, short words of Chinese, mail of this very second. It needs
no index and is what any index has to equal. Slices give the loop back after a few milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from time import perf_counter
from typing import Any, Protocol

from postern.formats.mime.parts import PartMap
from postern.model.ids import BlobRef, FolderId, Uid
from postern.model.items import Columns
from postern.model.query import (
    And,
    OriginIs,
    Query,
    SavedBetween,
    UidIn,
)
from postern.store.interface import Blobs, Ranges, normalise
from postern.store.matching import Item, Test, Text, compile_query, fold, mentions, needs

SLICE_S = 0.003
BODY_BATCH = 16
"""Bodies read at a time."""
THREAD_BYTES = 256 * 1024
"""Bodies larger than this are decoded in a thread."""


class Rows(Protocol):
    """What is needed of a mailbox."""

    def items(
        self, folder: FolderId, columns: Columns, ranges: Ranges | None = None, changed_since: Any = None
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Rows in UID order."""
        ...

    async def keywords(self) -> dict[int, str]:
        """Bit -> keyword."""
        ...


_ROW_COLUMNS = Columns.UID | Columns.FLAGS | Columns.MODSEQ | Columns.RECEIVED_AT | Columns.SIZE
_HEADER_COLUMNS = Columns.UID | Columns.HEADER | Columns.PREFIX | Columns.PARTS | Columns.BLOB


def bounds(query: Query, within: Ranges | None) -> Ranges | None:
    """UID ranges outside of which the query cannot match."""
    ranges: list[tuple[int, int]] | None = None if within is None else list(within)
    for part in query.of if isinstance(query, And) else (query,):
        if isinstance(part, UidIn):
            own = normalise(part.ranges)
            ranges = own if ranges is None else _meet(ranges, own)
    return ranges


def _meet(one: Ranges, other: Ranges) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        low, high = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if low <= high:
            found.append((low, high))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found


async def run(mailbox: Rows, blobs: Blobs, folder: FolderId, query: Query, within: Ranges | None) -> list[Uid]:
    """UIDs of the folder that match, ascending."""
    test = compile_query(query, await mailbox.keywords())
    dates, headers, bodies = needs(query)
    matched: list[Uid] = []
    unsure: list[Item] = []
    columns = _ROW_COLUMNS | Columns.SENT_AT if dates else _ROW_COLUMNS
    origins = mentions(query, SavedBetween | OriginIs)
    if origins:
        columns |= Columns.SAVED_AT | Columns.ORIGIN
    async for rows in mailbox.items(folder, columns, bounds(query, within)):
        started = perf_counter()
        for row in rows:
            if not dates:
                row = (*row[:5], None, *row[5:])
            item = Item._make(row if origins else (*row, 0, 0))
            found = test(item, None)
            if found:
                matched.append(Uid(item.uid))
            elif found is None:
                unsure.append(item)
            if perf_counter() - started > SLICE_S:
                await asyncio.sleep(0)
                started = perf_counter()
    if headers and unsure:
        matched += await _by_text(mailbox, blobs, folder, test, unsure, bodies=bodies)
        matched.sort()
    return matched


async def _by_text(
    mailbox: Rows, blobs: Blobs, folder: FolderId, test: Test, unsure: Sequence[Item], *, bodies: bool
) -> list[Uid]:
    """Decide the rest by their headers, and what is then still open by their bodies."""
    by_uid = {item.uid: item for item in unsure}
    ranges = normalise((uid, uid) for uid in by_uid)
    matched: list[Uid] = []
    later: list[tuple[Item, bytes, bytes, BlobRef]] = []
    started = perf_counter()
    async for rows in mailbox.items(folder, _HEADER_COLUMNS, ranges):
        for uid, header, parts, prefix, segment, record in rows:
            item = by_uid.get(uid)
            if item is None:
                continue
            ref = BlobRef(segment, record)
            if header is None:
                _, end = PartMap.unpack(parts).find("HEADER") or (0, 0) if parts else (0, 0)
                header = await blobs.read(ref, 0, end)
            found = test(item, Text(prefix + header, None))
            if found:
                matched.append(uid)
            elif found is None and bodies:
                later.append((item, prefix + header, parts, ref))
            if len(later) >= BODY_BATCH:
                matched += await _by_body(blobs, test, later)
                later.clear()
            if perf_counter() - started > SLICE_S:
                await asyncio.sleep(0)
                started = perf_counter()
    if later:
        matched += await _by_body(blobs, test, later)
    return matched


async def _by_body(blobs: Blobs, test: Test, candidates: Sequence[tuple[Item, bytes, bytes, BlobRef]]) -> list[Uid]:
    matched: list[Uid] = []
    contents = await blobs.read_many([candidate[3] for candidate in candidates])
    for (item, header, parts, _), content in zip(candidates, contents, strict=True):
        if len(content) > THREAD_BYTES:
            body = await asyncio.to_thread(body_text, parts, content)
        else:
            body = body_text(parts, content)
            await asyncio.sleep(0)
        if test(item, Text(header, body)):
            matched.append(Uid(item.uid))
    return matched


def body_text(parts: bytes, content: bytes) -> str:
    """Decoded text of all text parts, folded for comparison."""
    if not parts:
        return fold(content.decode("utf-8", "replace"))
    return fold("\n".join(PartMap.unpack(parts).leaf_text(content)))
