"""Rows read ahead for a client that fetches one message after the other in one pipeline.

A query for one row costs several times what a further row of the same query costs, so the first of such commands reads
what those behind it ask for. Rows are good for as long as the mailbox's change number stands where it stood before they
were read: whoever was told of a commit finds another number, and then they are read anew. Nothing is kept when the
pipeline is answered, so an idle session holds no rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from postern.frontends.imap.ports import Mailbox
from postern.model.ids import BlobRef, ChangeNumber, FolderId
from postern.model.items import Columns
from postern.model.ranges import merged
from postern.model.refusal import Refusal

ROWS = 32
BODY_BYTES = 16_384
"""Bodies above are read when their turn comes: `ROWS` of them would be much for one session."""

Row = tuple[Any, ...]
_NO_ROWS: dict[int, Row] = {}
_NO_BODIES: dict[BlobRef, bytes | memoryview] = {}
"""Of those who have read nothing ahead, which are nearly all; never written to."""


class ReadAhead:
    """Of one selected folder."""

    __slots__ = ("_bodies", "_columns", "_number", "_rows")

    def __init__(self) -> None:
        self._columns = Columns(0)
        self._number: ChangeNumber | None = None
        self._rows = _NO_ROWS
        self._bodies = _NO_BODIES

    def clear(self) -> None:
        """The pipeline is answered."""
        if self._rows or self._bodies:
            self._rows, self._bodies = _NO_ROWS, _NO_BODIES

    async def row(
        self, mailbox: Mailbox, folder: FolderId, columns: Columns, uid: int, following: Callable[[], list[int]]
    ) -> Row | None:
        """The row of a UID, None if it is expunged. `following`: UIDs that waiting commands ask the same of."""
        number = mailbox.last_change() or await mailbox.change_number()
        if number == self._number and columns == self._columns:
            found = self._rows.pop(uid, None)
            if found is not None:
                return found
        self._number, self._columns = number, columns
        self._bodies = _NO_BODIES
        rows: dict[int, Row] = {}
        behind = following()
        ranges = merged((u, u) for u in {uid, *behind}) if behind else [(uid, uid)]
        async for some in mailbox.items(folder, columns, ranges):
            for row in some:
                rows[row[0]] = row
        self._rows = rows
        return rows.pop(uid, None)

    async def body(self, mailbox: Mailbox, ref: BlobRef, blob_at: int, size_at: int) -> bytes | memoryview:
        """A body; with it those of the rows that were read ahead. The indices are those of BLOB and BODY_SIZE."""
        found = self._bodies.pop(ref, None)
        if found is not None:
            return found
        refs = [ref]
        refs += [BlobRef(r[blob_at], r[blob_at + 1]) for r in self._rows.values() if r[size_at] <= BODY_BYTES]
        try:
            bodies = await mailbox.view_bodies(refs)
        except Refusal:
            if len(refs) == 1:
                raise
            (wanted,) = await mailbox.view_bodies(refs[:1])  # the broken one may be another
            return wanted
        self._bodies = dict(zip(refs[1:], bodies[1:], strict=True))
        return bodies[0]
