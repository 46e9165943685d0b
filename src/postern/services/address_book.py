"""The address book as people may see it: which lists are theirs, who is in them, who fits a search.

Hidden recipients are in no answer: the index does not have them, and what it proposes is read from the directory again
before it goes out. Nobody who is not signed in comes as far as this.
"""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Sequence

import msgspec

from postern.directory.book import BOOK_ENTRIES
from postern.directory.filtering import COLUMNS
from postern.directory.interface import AddressList, Directory, Entry
from postern.model import filters
from postern.model.filters import And, Equal, Filter
from postern.model.ids import AccountId
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.services.book_index import NAME, SORTED_BY, BookIndex, Slices
from postern.services.principal import Principal

__all__ = ["SORTED_BY", "AddressBook", "BookList", "Entry", "Position", "Search"]

QUICK_S = 0.1
"""An index that is built as fast as this is built anew before the next answer; a slower one beside the answers."""
SHARE = 20
"""A slow one is built anew after this many times as long as it takes: at most a twentieth of a processor."""
_ROWS = 128


class BookList(msgspec.Struct, frozen=True):
    """An address list that somebody may see."""

    path: tuple[str, ...]
    """`("Departments", "Sales")`."""
    filter: Filter
    by: str = ""
    """The attribute by whose values it falls into others."""


class Position(msgspec.Struct, frozen=True, array_like=True):
    """A place in the order of a search, whatever is added or removed meanwhile."""

    empty: bool
    value: str
    id: int


class Search:
    """Recipients that fit, in order: candidates of one state of the index, read from the directory in pieces."""

    def __init__(self, directory: Directory, index: BookIndex, wanted: Filter, slices: Slices) -> None:
        self._directory = directory
        self._index = index
        self._wanted = wanted
        self._slices = slices
        self._field = NAME
        self._exact = False
        self.ranks: Sequence[int] = ()

    async def _run(self, field: str) -> None:
        self._field = field
        found = await self._index.candidates(self._wanted, self._slices)
        self._exact = found.exact
        self.ranks = await self._index.ordered(found, field, self._slices)

    def reverse(self) -> None:
        """Turn the order round; positions are lost."""
        self.ranks = self.ranks[::-1]

    def after(self, position: Position, *, reverse: bool = False) -> int:
        """Where the first one after a position is."""
        key = (position.empty, position.value, position.id)
        if not reverse:
            return bisect_right(self.ranks, key, key=lambda rank: self._index.key(self._field, rank))
        backwards = bisect_left(self.ranks[::-1], key, key=lambda rank: self._index.key(self._field, rank))
        return len(self.ranks) - backwards

    def not_before(self, value: str, *, reverse: bool = False) -> int:
        """Where the first one is whose value is not less; in the reverse order, not greater."""
        folded = value.casefold()
        if not reverse:
            return bisect_left(self.ranks, (False, folded), key=lambda rank: self._index.key(self._field, rank)[:2])
        backwards = bisect_right(
            self.ranks[::-1], (False, folded), key=lambda rank: self._index.key(self._field, rank)[:2]
        )
        return len(self.ranks) - backwards

    def position(self, rank: int) -> Position:
        """Of one of the ranks."""
        return Position(*self._index.key(self._field, rank))

    async def settle(self) -> None:
        """Make sure that each of the ranks fits, so that they can be counted."""
        if not self._exact:
            self.ranks = [rank async for piece in self.pieces() for rank, _ in piece]
            self._exact = True

    async def pieces(self, start: int = 0, end: int | None = None) -> AsyncIterator[list[tuple[int, Entry]]]:
        """Those from `start` on that fit, with their ranks; small pieces, some of them empty."""
        stop = len(self.ranks) if end is None else min(end, len(self.ranks))
        for at in range(start, stop, BOOK_ENTRIES):
            ranks = self.ranks[at : min(at + BOOK_ENTRIES, stop)]
            ids = [self._index.id_of(rank) for rank in ranks]
            found = {entry.id: entry for entry in await self._directory.book_entries(ids, self._wanted)}
            yield [(rank, found[number]) for rank, number in zip(ranks, ids, strict=True) if number in found]
            await self._slices.breathe()


class AddressBook:
    """One per worker. The index is made at the first question."""

    def __init__(self, directory: Directory, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock
        self._index: BookIndex | None = None
        self._building: asyncio.Task[BookIndex] | None = None

    async def close(self) -> None:
        """Stop building."""
        if self._building is not None:
            self._building.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._building

    def slices(self) -> Slices:
        """For one piece of work."""
        return Slices(self._clock.monotonic)

    # --- what there is to see

    async def organisation(self) -> str:
        """The default domain; empty if there is none."""
        domains = await self._directory.domains()
        return domains[0].name if domains else ""

    async def lists(self, principal: Principal) -> list[BookList]:
        """The lists that somebody may see: those their policy names, or all."""
        policy = await self._directory.policy_of(principal.account)
        every = await self._directory.address_lists()
        if not policy.address_lists:
            return [_list(one) for one in every]
        by_name = {one.name: one for one in every}
        found = []
        for name in policy.address_lists:
            parent, slash, value = name.partition("/")
            if name in by_name:
                found.append(_list(by_name[name]))
            elif slash and parent in by_name and by_name[parent].by:
                found.append(_part(_list(by_name[parent]), value))
        return found

    async def parts(self, of: BookList) -> list[BookList]:
        """The lists that a list falls into, by value."""
        field = COLUMNS.get(of.by, "")
        index = await self._fresh()
        slices = self.slices()
        search = Search(self._directory, index, of.filter, slices)
        found = await index.candidates(of.filter, slices)
        search.ranks = await index.firsts(found, field, slices) if field else ()
        names: dict[str, str] = {}
        async for piece in search.pieces():
            for _, entry in piece:
                value = entry.address if field == "address" else getattr(entry.details, field, "")
                if value:
                    names.setdefault(value.casefold(), value)
        return [_part(of, names[key]) for key in sorted(names)]

    async def part(self, of: BookList, value: str) -> BookList | None:
        """One of them, if anybody is in it."""
        wanted = _part(of, value)
        async for piece in (await self.search(wanted.filter)).pieces():
            if piece:
                return wanted
        return None

    async def search(self, wanted: Filter, sort: str = "cn") -> Search:
        """Look recipients up. `sort` is one of SORTED_BY. Raises Refusal(BAD_VALUE) for a filter too large."""
        search = Search(self._directory, await self._fresh(), wanted, self.slices())
        await search._run(COLUMNS[sort])
        return search

    async def entry(self, recipient: AccountId) -> Entry | None:
        """One recipient that is shown."""
        found = await self._directory.book_entries([recipient], And(()))
        return found[0] if found else None

    async def photo(self, recipient: AccountId) -> bytes | None:
        """A recipient's picture."""
        return await self._directory.photo(recipient)

    async def set_photo(self, principal: Principal, address: str, picture: bytes) -> None:
        """Show another picture of oneself.

        Raises Refusal(NOT_PERMITTED) for others', BAD_VALUE, TOO_LARGE, CONFLICT if it comes from another directory.
        """
        found = await self._directory.resolve(address)
        if found.account is None or found.account.id != principal.account:
            raise Refusal(Reason.NOT_PERMITTED, f"{principal.address} sets the picture of {address}")
        await self._directory.set_photo(found.account.address, picture)

    # --- the index

    async def _fresh(self) -> BookIndex:
        version = await self._directory.book_version()
        index = self._index
        if index is None:
            return await self._build()
        if index.version == version:
            return index
        if index.build_s <= QUICK_S:
            return await self._build()
        if self._building is None and self._clock.monotonic() - index.built_at >= SHARE * index.build_s:
            self._start()
        return index

    async def _build(self) -> BookIndex:
        return await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[BookIndex]:
        if self._building is None:
            self._building = asyncio.create_task(self._rebuild())
            self._building.add_done_callback(self._built)
        return self._building

    def _built(self, task: asyncio.Task[BookIndex]) -> None:
        self._building = None
        if not task.cancelled() and task.exception() is None:
            self._index = task.result()

    async def _rebuild(self) -> BookIndex:
        begun = self._clock.monotonic()
        version = await self._directory.book_version()
        index = await BookIndex.build(lambda after: self._directory.book_rows(after, _ROWS), self.slices())
        index.version = version
        index.built_at = self._clock.monotonic()
        index.build_s = index.built_at - begun
        return index


def _list(one: AddressList) -> BookList:
    return BookList((one.name,), filters.parse(one.filter), one.by)


def _part(of: BookList, value: str) -> BookList:
    return BookList((*of.path, value), And((of.filter, Equal(of.by, value))))
