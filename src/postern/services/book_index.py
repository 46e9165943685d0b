"""The address book in memory, for looking up what people type.

Every attribute is one text: the folded values of all recipients, each behind a line feed, in the order of the display
names. A prefix, a part or a whole value is then found by one pass of `str.find` over a megabyte or two, and the place
tells who it is. What comes out are candidates, never too few; the directory itself has the last word on each.
50 000 recipients take about 27 MB. Building and asking give way to others every few milliseconds.
"""

from __future__ import annotations

import asyncio
import heapq
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from postern.directory.book import BOOK_FIELDS
from postern.directory.filtering import COLUMNS
from postern.model.filters import And, Equal, Filter, Not, Or, Present, Substrings
from postern.model.ids import AccountId

SLICE_S = 0.003
"""How long one may keep the loop."""
MANY = 4096
"""Hits above which a part of a filter does not narrow the search: asking the directory in order is cheaper."""
NAME, MAIL = "display_name", "address"
SORTED_BY = {"cn", "displayname", "name", "sn", "givenname", "mail", "department", "title", "company", "l"}
"""LDAP attributes that results can be sorted by."""
_STEP = 1024
_KIND = "recipienttype"


class Slices:
    """Gives way to others when its time is over."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._begun = monotonic()

    async def breathe(self) -> None:
        """Call it every few hundred microseconds."""
        if self._monotonic() - self._begun >= SLICE_S:
            await asyncio.sleep(0)
            self._begun = self._monotonic()


class Candidates(NamedTuple):
    """Ranks that may fit; None: all of them. `exact`: each one does."""

    ranks: frozenset[int] | set[int] | None
    exact: bool


_ALL, _NONE = Candidates(None, True), Candidates(frozenset(), True)
_ANY = Candidates(None, False)


class BookIndex:
    """A state of the address book. A rank is a place in the order of display names."""

    def __init__(self, ids: array[int], kinds: list[str]) -> None:
        self.ids = ids
        self.built_at = 0.0
        self.build_s = 0.0
        self.version: tuple[int, int] = (-1, -1)
        self._kinds = kinds
        self._texts: dict[str, str] = {}
        self._starts: dict[str, array[int]] = {}
        self._filled: dict[str, frozenset[int]] = {}
        self._orders: dict[str, array[int]] = {}

    def __len__(self) -> int:
        return len(self.ids)

    # --- building

    @classmethod
    async def build(cls, rows: Callable[[int], Any], slices: Slices) -> BookIndex:
        """`rows` is a coroutine function that gives the next rows after a number (`Directory.book_rows`)."""
        ids: list[int] = []
        kinds: list[str] = []
        read = [_Column() for _ in BOOK_FIELDS]
        after = 0
        while chunk := await rows(after):
            for number, kind, *values in chunk:
                ids.append(number)
                kinds.append(kind)
                for column, value in zip(read, values, strict=True):
                    column.add(value)
            after = chunk[-1][0]
            await slices.breathe()
        columns = dict(zip(BOOK_FIELDS, read, strict=True))
        names = await columns[NAME].values(slices)
        order = await _sorted(len(ids), lambda place: (names[place] == "", names[place], ids[place]), slices)
        places = array("q")
        for at in range(0, len(order), _STEP):
            places.extend([ids[place] for place in order[at : at + _STEP]])
            await slices.breathe()
        index = cls(places, [kinds[place] for place in order])
        for field in BOOK_FIELDS:
            await slices.breathe()
            values = await columns.pop(field).values(slices)
            await index._join(field, values, order, slices)
        index._orders[NAME] = array("l", range(len(ids)))
        return index

    async def _join(self, field: str, values: list[str], order: Sequence[int], slices: Slices) -> None:
        """Make a column's text, a piece at a time."""
        pieces: list[str] = []
        starts = array("l", (0,))
        filled: list[int] = []
        for at in range(0, len(order), _STEP):
            some = [values[place] for place in order[at : at + _STEP]]
            pieces.append("".join(["\n" + value for value in some]))
            starts.extend(accumulate((len(value) + 1 for value in some), initial=starts.pop()))
            filled += [at + place for place, value in enumerate(some) if value]
            await slices.breathe()
        self._texts[field] = "".join(pieces) + "\n"
        self._starts[field] = starts
        if len(filled) != len(order):
            self._filled[field] = frozenset(filled)
        await slices.breathe()

    # --- looking up

    async def candidates(self, wanted: Filter, slices: Slices) -> Candidates:
        """Who may fit a filter."""
        await slices.breathe()
        match wanted:
            case And(parts):
                return await self._all_of(parts, slices)
            case Or(parts):
                return await self._one_of(parts, slices)
            case Not(part):
                inner = await self.candidates(part, slices)
                if not inner.exact:
                    return _ANY
                return _NONE if inner.ranks is None else Candidates(set(range(len(self))) - inner.ranks, True)
        return self._leaf(wanted)

    async def _all_of(self, parts: Sequence[Filter], slices: Slices) -> Candidates:
        ranks: frozenset[int] | set[int] | None = None
        exact = True
        for part in parts:
            found = await self.candidates(part, slices)
            exact = exact and found.exact
            if found.ranks is not None:
                ranks = found.ranks if ranks is None else ranks & found.ranks
                if not ranks:
                    break
        return Candidates(ranks, exact)

    async def _one_of(self, parts: Sequence[Filter], slices: Slices) -> Candidates:
        ranks: set[int] = set()
        exact = True
        for part in parts:
            found = await self.candidates(part, slices)
            exact = exact and found.exact
            if found.ranks is None:
                return found
            ranks |= found.ranks
        return Candidates(ranks, exact)

    def _leaf(self, wanted: Any) -> Candidates:
        attribute = wanted.attribute.lower()
        if attribute == "objectclass":
            return self._classes(wanted)
        if attribute == _KIND and isinstance(wanted, Equal):
            kind = wanted.value.lower()
            return Candidates({rank for rank, own in enumerate(self._kinds) if own == kind}, True)
        field = COLUMNS.get(attribute, "")
        if not field:
            return Candidates(frozenset(), False)  # nobody's attribute: undefined, and so is its opposite
        if field not in self._texts:
            return _ANY
        match wanted:
            case Present():
                filled = self._filled.get(field)
                return _ALL if filled is None else Candidates(filled, True)
            case Equal(_, value):
                return self._find(field, f"\n{fold(value)}\n", exact=True)
            case Substrings(_, initial, middle, final):
                return self._substrings(field, fold(initial), [fold(part) for part in middle], fold(final))
        return _ANY

    def _classes(self, wanted: Any) -> Candidates:
        if isinstance(wanted, Present):
            return _ALL
        if not isinstance(wanted, Equal):
            return Candidates(frozenset(), False)
        name = wanted.value.lower()
        if name == "top":
            return _ALL
        groups = {rank for rank, kind in enumerate(self._kinds) if kind.endswith("group")}
        if name in {"group", "groupofnames"}:
            return Candidates(groups, True)
        if name in {"person", "organizationalperson", "inetorgperson"} and not groups:
            return _ALL
        return _ANY

    def _substrings(self, field: str, initial: str, middle: list[str], final: str) -> Candidates:
        """The longest of its parts narrows the search."""
        parts = [f"\n{initial}"] if initial else []
        parts += [part for part in middle if part]
        parts += [f"{final}\n"] if final else []
        if not parts:
            return _ANY
        return self._find(field, max(parts, key=len), exact=len(parts) == 1)

    def _find(self, field: str, part: str, *, exact: bool) -> Candidates:
        text, starts = self._texts[field], self._starts[field]
        hits: set[int] = set()
        at = text.find(part)
        while at >= 0:
            rank = bisect_right(starts, at) - 1
            if rank >= len(self.ids):
                break
            hits.add(rank)
            if len(hits) > MANY:
                return _ANY
            at = text.find(part, max(starts[rank + 1], at + 1))
        return Candidates(hits, exact)

    # --- order

    def value(self, field: str, rank: int) -> str:
        """Folded."""
        starts = self._starts[field]
        return self._texts[field][starts[rank] + 1 : starts[rank + 1]]

    def key(self, field: str, rank: int) -> tuple[bool, str, int]:
        """What recipients are sorted by: who has no value comes last (RFC 2891 2.2)."""
        value = self.value(field, rank)
        return value == "", value, self.ids[rank]

    async def ordered(self, found: Candidates, field: str, slices: Slices) -> Sequence[int]:
        """Ranks by a column."""
        if found.ranks is not None and (field == NAME or len(found.ranks) < _STEP):
            return sorted(found.ranks) if field == NAME else sorted(found.ranks, key=lambda r: self.key(field, r))
        if field not in self._orders:
            places = await _sorted(len(self), lambda rank: self.key(field, rank), slices)
            self._orders[field] = array("l", places)
        order = self._orders[field]
        if found.ranks is None:
            return order
        return [rank for rank in order if rank in found.ranks]

    async def firsts(self, found: Candidates, field: str, slices: Slices) -> list[int]:
        """One rank for each value that candidates have in a column."""
        seen: dict[str, int] = {}
        ranks = range(len(self)) if found.ranks is None else sorted(found.ranks)
        for rank in ranks:
            value = self.value(field, rank)
            if value:
                seen.setdefault(value, rank)
            if not rank % 512:
                await slices.breathe()
        return [seen[value] for value in sorted(seen)]

    def id_of(self, rank: int) -> AccountId:
        """The recipient's number."""
        return AccountId(self.ids[rank])


class _Column:
    """What was read of one attribute, in a few long texts.

    A million short ones would be the garbage collector's to look through, while everybody waits.
    """

    __slots__ = ("_last", "_texts")

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._last: list[str] = []

    def add(self, value: str | None) -> None:
        self._last.append(fold(value) if value else "")
        if len(self._last) >= _STEP:
            self._texts.append("\n".join(self._last))
            self._last = []

    async def values(self, slices: Slices) -> list[str]:
        """All of them, in the order they were read."""
        values: list[str] = []
        for text in self._texts:
            values += text.split("\n")
            await slices.breathe()
        return values + self._last


def fold(value: str) -> str:
    """As values are compared: without case, on one line."""
    return " ".join(value.casefold().split("\n"))


async def _sorted(count: int, key: Callable[[int], Any], slices: Slices) -> list[int]:
    """range(count) sorted in pieces, so that nobody waits for all of it."""
    pieces = []
    for start in range(0, count, _STEP):
        pieces.append(sorted(range(start, min(start + _STEP, count)), key=key))
        await slices.breathe()
    merged: Iterator[int] = heapq.merge(*pieces, key=key)
    order: list[int] = []
    for place in merged:
        order.append(place)
        if not len(order) % 256:
            await slices.breathe()
    return order
