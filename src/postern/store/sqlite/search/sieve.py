"""Which messages a search for header fields need not look at more closely: their header in the mailbox says so.

Working out a row of `heads` costs twenty times as much. Only where octets stand for themselves is anything said: what
may be an encoded word or is not ASCII passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import apsw
import msgspec

from postern.model.collation import fold
from postern.model.query import And, HeaderContains, Query
from postern.store.sqlite.connection import rows
from postern.store.sqlite.search.filling import yield_lock

_AT_A_TIME = 60
_HEADERS = (
    "SELECT json_group_array(i.uid), cast(group_concat(cast(coalesce(c.prefix || c.header, x'ff') AS TEXT), char(0))"
    " AS BLOB) FROM json_each(?) r CROSS JOIN items i CROSS JOIN contents c ON c.id = i.content"
    " WHERE i.folder = ? AND i.uid = r.value"
)
"""One value for all: a thread that takes row after row has to win the interpreter's lock for each."""
_TOO_LONG = b"\xff"
"""Stands for a header that is not in its row."""
_decode = msgspec.json.Decoder(list[int]).decode


class _Wanted(NamedTuple):
    """A field that has to contain words."""

    words: tuple[bytes, ...]
    values: Callable[[bytes], list[bytes]]
    """Of the field, in a header in small letters."""


class Sieve(NamedTuple):
    """What every match has in its header."""

    wanted: tuple[_Wanted, ...]

    @classmethod
    def of(cls, query: Query) -> Sieve | None:
        """None if the query says nothing of the kind."""
        wanted = []
        for part in query.of if isinstance(query, And) else (query,):
            if isinstance(part, HeaderContains):
                words = fold(part.text).split()
                if words and all(map(str.isascii, words)) and part.name.isascii():
                    wanted.append(_Wanted(tuple(word.encode() for word in words), _field(part.name)))
        return cls(tuple(wanted)) if wanted else None

    def passing(self, db: apsw.Connection, *, folder: int, uids: Sequence[int]) -> list[int]:
        """Of these items, the ones that may match."""
        found: list[int] = []
        for start in range(0, len(uids), _AT_A_TIME):
            part = uids[start : start + _AT_A_TIME]
            ((there, headers),) = rows(db, _HEADERS, (msgspec.json.encode(part).decode(), folder))
            numbers = _decode(there)
            low = headers.lower().split(b"\0") if headers is not None else []
            if len(low) == len(numbers):
                found += [uid for uid, one in zip(numbers, low, strict=True) if self._may_match(one)]
            else:  # somebody's header has NULs
                found += part
            yield_lock()
        return found

    def may_match(self, header: bytes) -> bool:
        """Whether the query may be true of a header block."""
        return self._may_match(header.lower())

    def _may_match(self, low: bytes) -> bool:
        if low == _TOO_LONG:
            return True
        for words, values in self.wanted:
            for word in words:
                if word not in low:
                    break
            else:
                continue
            if _is_plain(low) or all(map(_is_plain, values(low))):
                return False
        return True


def _is_plain(text: bytes) -> bool:
    return b"=?" not in text and text.isascii()


def _field(name: str) -> Callable[[bytes], list[bytes]]:
    start = re.escape(name.lower().encode("ascii"))
    return re.compile(rb"^" + start + rb"[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE).findall
