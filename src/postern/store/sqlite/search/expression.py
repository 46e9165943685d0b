"""A query as an SQL expression over an item `i` and the rows beside it: 1, 0, or NULL where a row is missing.

`heads` h are joined from the left, texts are asked for where they decide, so that what is not there yet makes those
answers unknown that depend on it, and no others. Conditions joined by AND are sorted by what they cost.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from postern.model.collation import fold
from postern.model.query import (
    All,
    And,
    AttachmentContains,
    BodyContains,
    HasFlags,
    HasKeyword,
    HeaderContains,
    InConversation,
    ModseqFrom,
    Not,
    Or,
    OriginIs,
    Query,
    ReceivedBetween,
    SavedBetween,
    SentBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
    UidIn,
)
from postern.model.ranges import merged
from postern.store.sqlite.search.file import NO_DATE, STAMP

_FIELDS = {
    "from": "h.from_field",
    "to": "h.to_field",
    "cc": "h.cc_field",
    "bcc": "h.bcc_field",
    "subject": "h.subject_field",
}
_FIELD_NAME = re.compile(r"[!-9;-~]+").fullmatch
MAX_TRIGRAMS = 24
"""Of one text; any of them would do as a filter."""
TRIGRAM = 3
MAX_PARTS = 100
"""Conditions that are asked one after the other; further ones are one: SQLite bounds the depth of an expression."""
MAX_FIELDS = 4
"""Header conditions that are looked for outside of SQL, each in a way through all header blocks."""
BATCH = ":batch"
"""Stands for the last indexed batch that the candidates were taken from."""


class Read(NamedTuple):
    """A text that is looked for outside of SQL, whose `instr` looks at each octet."""

    wanted: bytes
    header: bool
    """In the header."""
    body: bool
    """In the text parts."""
    start: bytes = b""
    """How the field begins that has to have it, as `headers.text` has fields."""


class Expression:
    """A compiled query: SQL, bindings, and which rows it needs."""

    def __init__(self, query: Query, folder: int, keywords: Mapping[int, str]) -> None:
        self._folder = folder
        self._keywords = keywords
        self.bindings: list[object] = []
        self.texts = 0
        """How many texts are looked for, each in the texts of every item that the others leave."""
        self.needs: set[str] = set()
        """Of h, t, b, a, i, j, c: heads, headers, bodies, attached, the index, heads that may be missing, the mailbox's
        own contents."""
        self.candidates: list[str] = []
        """Index queries; their rows are expected in tables `temp.candidates_<n>`."""
        self.read: Read | None = None
        """What is left to be looked for in the texts of those for which all parts are true."""
        self.fields: list[tuple[Read, ...]] = []
        """Of each at least one has to be found in the header, before `read` is looked for."""
        parts = sorted(query.of if isinstance(query, And) else (query,), key=_cost)
        self.parts: list[str] = []
        """All of them have to be true."""
        for number, part in enumerate(parts, 1):
            fields = _fields(part)
            if fields and sum(map(len, self.fields)) + len(fields) <= MAX_FIELDS:
                self.needs.add("t")
                self.fields.append(fields)
            elif number == len(parts) and _is_read(part):
                self.parts.append(self._readable(part))
            else:
                self.parts.append(self._compile(part))
        if len(self.parts) > MAX_PARTS:
            self.parts[MAX_PARTS:] = [_joined(self.parts[MAX_PARTS:], "AND")]
        self.parts = self.parts or ["1"]

    @property
    def length(self) -> int:
        """Characters of the parts and of what is bound, roughly what a row costs."""
        bound = sum(len(one) for one in self.bindings if isinstance(one, str | bytes))
        return sum(map(len, self.parts)) + bound

    def joins(self) -> str:
        """What follows `FROM items i`."""
        sql = ""
        if self.needs & {"h", "i", "j"}:
            sql += f" LEFT JOIN s.heads h ON h.content = i.content AND h.stamp = ({STAMP})"
        if "c" in self.needs:
            sql += " JOIN contents c ON c.id = i.content"
        return sql

    def _bind(self, value: object) -> str:
        self.bindings.append(value)
        return f"?{len(self.bindings)}"

    def _compile(self, query: Query) -> str:
        if isinstance(query, And | Or):
            of = _united(query.of) if isinstance(query, Or) else query.of
            parts = [self._compile(part) for part in sorted(of, key=_cost)]
            return _joined(parts, "AND" if isinstance(query, And) else "OR")
        if isinstance(query, Not):
            return f"(NOT {self._compile(query.of)})"
        if isinstance(query, HeaderContains):
            return self._header(query.name.lower(), fold(query.text))
        if isinstance(query, BodyContains | TextContains):
            return self._text(fold(query.text), header=isinstance(query, TextContains))
        if isinstance(query, AttachmentContains):
            return self._attached(fold(query.text))
        return self._row(query)

    def _row(self, query: Query) -> str:
        match query:
            case All():
                return "1"
            case HasFlags(mask):
                return f"(i.flags & {int(mask)} = {int(mask)})"
            case HasKeyword(keyword):
                wanted = keyword.lower()
                bits = sum(1 << bit for bit, name in self._keywords.items() if name.lower() == wanted)
                return f"(i.flags & {bits} != 0)"
            case UidIn(ranges):
                return self._uids(ranges)
            case SizeAbove(octets):
                return f"(i.size > {_number(octets)})"
            case SizeBelow(octets):
                return f"(i.size < {_number(octets)})"
            case ReceivedBetween(start, end):
                return _between("i.received_at", start, end)
            case SavedBetween(start, end):
                return _between("i.saved_at", start, end)
            case OriginIs(origin):
                self.needs.add("c")
                return f"(coalesce(nullif(c.origin, 0), c.id) = {_number(origin)})"
            case InConversation(number):
                return f"(i.conversation = {_number(number)})"
            case ModseqFrom(modseq):
                return f"(i.modseq >= {_number(modseq)})"
            case SentBetween(start, end):
                self.needs.add("h")
                there = f"h.wall_clock != {NO_DATE}"
                if start is None and end is None:
                    return f"({there})"
                return f"({there} AND {_between('h.wall_clock', start, end)})"
            case _:
                raise TypeError(f"unknown query {query!r}")

    def _uids(self, ranges: tuple[tuple[int, int], ...]) -> str:
        if len(ranges) <= 8:
            return _joined([f"(i.uid BETWEEN {int(low)} AND {int(high)})" for low, high in ranges], "OR")
        text = self._bind(msgspec.json.encode(ranges).decode())
        return (
            # not by the index: within ranges that would look up the whole list for each of them
            f"(+i.uid IN (SELECT x.uid FROM json_each({text}) r CROSS JOIN items x WHERE x.folder = {self._folder}"
            " AND x.uid BETWEEN r.value ->> 0 AND r.value ->> 1))"
        )

    def _header(self, name: str, text: str) -> str:
        if not _FIELD_NAME(name):
            return "0"
        self.texts += 1
        self.needs.add("t")
        start = self._bind(_start(name))
        if not text:
            return f"({_of('headers', f'instr(x.text, {start}) > 0')})"
        wanted = self._bind(text.encode())
        found = _of("headers", f"instr(x.text, {wanted}) > 0 AND has_field(x.text, {start}, {wanted})")
        column = _FIELDS.get(name)
        if column is None:
            return f"({found})"
        self.needs.add("j")
        return f"(CASE WHEN h.content IS NULL THEN {found} ELSE instr({column}, {wanted}) > 0 END)"

    def _text(self, text: str, *, header: bool) -> str:
        """The index says which rows may match, the text says which do; what is not indexed is read."""
        if not text:
            return "1"
        self.texts += 1
        self.needs.add("b")
        wanted = self._bind(text.encode())
        place = f"instr(x.text, {wanted}) > 0"
        steps = self._not_indexed(text)
        if header:
            self.needs.add("t")
            steps += f"WHEN {_of('headers', place)} THEN 1 "
            below = f"({place} OR instr(x.fields, {wanted}) > 0)"
            return f"(CASE {steps}ELSE ({_of('headers', place)} OR {_of('bodies', below)}) END)"
        found = _of("bodies", place)
        return f"(CASE {steps}ELSE {found} END)" if steps else f"({found})"

    def _readable(self, query: Query) -> str:
        """1 if the texts are there and may contain what is wanted, 0 if they do not, NULL if they are not there."""
        self.texts += 1
        assert isinstance(query, BodyContains | TextContains)
        text = fold(query.text)
        self.needs.add("b")
        self.read = Read(text.encode(), isinstance(query, TextContains), body=True)
        there = _of("bodies", "1")
        if self.read.header:
            self.needs.add("t")
            there = f"{there} AND {_of('headers', '1')}"
        return f"(CASE {self._not_indexed(text)}WHEN 1 THEN {there} END)"

    def _attached(self, text: str) -> str:
        """What nobody has read yet is not found: it is read in the background only."""
        if not text:
            return "1"
        self.texts += 1
        self.needs.add("a")
        steps = self._not_indexed(text, "x.indexed", "-i.content")
        place = f"instr(x.text, {self._bind(text.encode())}) > 0"
        return f"coalesce({_of('attached', f'(CASE {steps}ELSE {place} END)' if steps else place)}, 0)"

    def _not_indexed(self, text: str, indexed: str = "h.indexed", number: str = "i.content") -> str:
        """A step of CASE: what was indexed and is not among the candidates does not contain the text."""
        if len(text) < TRIGRAM:
            return ""
        self.needs.add("i")
        table = f"temp.candidates_{len(self.candidates)}"
        self.candidates.append(index_query(text))
        return f"WHEN {indexed} BETWEEN 1 AND {BATCH} AND {number} NOT IN {table} THEN 0 "


def _of(table: str, expression: str) -> str:
    """Asked only where it is needed: a text lies on pages of its own."""
    return f"(SELECT {expression} FROM s.{table} x WHERE x.content = i.content AND x.stamp = ({STAMP}))"


def index_query(text: str) -> str:
    """An FTS5 query that every text containing this one matches; `text` has three characters at least."""
    last = len(text) - TRIGRAM
    places = sorted({round(n * last / (MAX_TRIGRAMS - 1)) for n in range(MAX_TRIGRAMS)})
    trigrams = dict.fromkeys(text[at : at + TRIGRAM] for at in places)
    return " AND ".join('"' + trigram.replace('"', '""') + '"' for trigram in trigrams)


def _start(name: str) -> bytes:
    return b"\n%b:" % name.encode("ascii")


def _fields(query: Query) -> tuple[Read, ...]:
    """The header fields of which one has to have a text, if that is all that the condition says."""
    parts = query.of if isinstance(query, Or) else (query,)
    found = [
        Read(wanted, header=True, body=False, start=_start(part.name.lower()))
        for part in parts
        if isinstance(part, HeaderContains) and _FIELD_NAME(part.name) and (wanted := fold(part.text).encode())
    ]
    return tuple(found) if len(found) == len(parts) else ()


def _is_read(query: Query) -> bool:
    """Whether a condition is looked for outside of SQL."""
    return isinstance(query, BodyContains | TextContains) and bool(fold(query.text))


def _united(of: tuple[Query, ...]) -> list[Query]:
    """Alternatives with all sets of UIDs as one."""
    sets = [part for part in of if isinstance(part, UidIn)]
    if len(sets) < 2:
        return list(of)
    ranges = merged(each for one in sets for each in one.ranges)
    return [UidIn(tuple(ranges)), *(part for part in of if not isinstance(part, UidIn))]


def _cost(query: Query) -> int:
    if isinstance(query, And | Or):
        return max((_cost(part) for part in query.of), default=0)
    if isinstance(query, Not):
        return _cost(query.of)
    if isinstance(query, HeaderContains):
        return 1 if query.name.lower() in _FIELDS else 2
    if isinstance(query, BodyContains | TextContains | AttachmentContains):
        return 3
    return 1 if isinstance(query, SentBetween) else 0


def _joined(parts: list[str], operator: str) -> str:
    """A balanced tree: SQLite bounds the depth of an expression."""
    if not parts:
        return "1" if operator == "AND" else "0"
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    return f"({_joined(parts[:middle], operator)} {operator} {_joined(parts[middle:], operator)})"


def _number(value: int) -> int:
    return max(-(2**63), min(int(value), 2**63 - 1))


def _between(column: str, start: int | None, end: int | None) -> str:
    bounds = [f"{column} >= {_number(start)}"] if start is not None else []
    if end is not None:
        bounds.append(f"{column} < {_number(end)}")
    return f"({' AND '.join(bounds)})" if bounds else f"({column} IS NOT NULL)"
