"""What readers of all kinds of directories share: completing entries, and making them into ours."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Protocol

import msgspec

from postern.directory.mirrored import SourceEntry
from postern.ldapsource.connection import Connection
from postern.ldapsource.failures import SourceFailure
from postern.ldapsource.mapping import Mapping
from postern.ldapsource.settings import SourceSettings, State
from postern.ldapsource.values import folded
from postern.protocols.ldap import filters, names
from postern.protocols.ldap.filters import Filter
from postern.protocols.ldap.operations import Scope, SearchEntry, SearchRequest

MEMBERS_LIMIT = 500_000
"""Values of one ranged attribute; more is a server that never ends."""
ADDRESS_ATTRIBUTES = ("objectClass", "mail", "proxyAddresses", "mailLocalAddress", "uid", "sAMAccountName")


class Batch(msgspec.Struct):
    """Some of what there is, or of what has changed."""

    entries: list[SourceEntry] = []
    removed: list[str] = []
    """Anchors of what is gone, or never was anything here."""


class Reader(Protocol):
    """One reading of a directory."""

    full: bool
    """Everything is read: what is not among it is gone."""
    by_dirsync: bool
    """Once the batches are there: whether DirSync told what has changed."""

    def batches(self) -> AsyncIterator[Batch]:
        """What is to be taken in. Raises SourceFailure."""
        ...

    def after(self) -> State:
        """Where the next reading goes on, once all batches are taken in."""
        ...


class Memory(msgspec.Struct):
    """What the readers are told."""

    state: State
    known: Collection[str]
    """Anchors of entries that are mirrored now."""
    now: float
    """Seconds since the epoch."""
    full: bool = False
    """Read everything, whatever the state says."""


class Completing:
    """Makes entries of what a search brought."""

    def __init__(self, connection: Connection, settings: SourceSettings, mapping: Mapping) -> None:
        """`connection` is for questions about entries: another one than they come by, whose answers would be lost."""
        self.connection = connection
        self.settings = settings
        self.mapping = mapping
        self.locked: dict[str, float] = {}
        """Anchors of accounts that are locked for a time, and until when."""
        self._addresses: dict[str, str] = {}

    async def batch(self, found: Sequence[SearchEntry]) -> Batch:
        """What entries are here. Raises SourceFailure."""
        opened = []
        for entry in found:
            attributes = folded(entry)
            await self._complete(entry.dn, attributes)
            opened.append((entry.dn, attributes))
            self._addresses[names.key(entry.dn)] = self.mapping.address(entry.dn, attributes)
        await self._learn([dn for _, attributes in opened for dn in self.mapping.references(attributes)])
        batch = Batch([], [])
        for dn, attributes in opened:
            mapped = self.mapping.entry(dn, attributes, lambda other: self._addresses.get(names.key(other), ""))
            if not mapped.anchor:
                continue
            if mapped.entry is None:
                batch.removed.append(mapped.anchor)
                continue
            batch.entries.append(mapped.entry)
            if mapped.locked_until is not None and mapped.locked_until != float("inf"):
                self.locked[mapped.anchor] = mapped.locked_until
        return batch

    async def _complete(self, dn: str, attributes: dict[str, tuple[bytes, ...]]) -> None:
        """Fetch what is left of attributes that come in ranges (MS-ADTS 3.1.1.3.1.3.3)."""
        for name in [name for name in attributes if ";range=" in name]:
            base, _, spread = name.partition(";range=")
            found = list(attributes.pop(name))
            while not spread.endswith("-*"):
                last = spread.partition("-")[2]
                if not last.isdecimal() or len(found) > MEMBERS_LIMIT:
                    raise SourceFailure(f"{self.connection.controller}: {base} of {dn} does not end: {spread}")
                wanted = f"{base};range={int(last) + 1}-*"
                entry = await self.connection.entry(SearchRequest(dn, Scope.BASE, attributes=(wanted,)))
                more = [] if entry is None else [n for n in folded(entry) if n.startswith(f"{base};range=")]
                if entry is None or not more:
                    break
                spread = more[0].partition(";range=")[2]
                found += folded(entry)[more[0]]
            attributes[base] = tuple(found)

    async def _learn(self, references: Sequence[str]) -> None:
        """The addresses of entries that others name."""
        unknown = {names.key(dn): dn for dn in references if dn and names.key(dn) not in self._addresses}
        requests = [SearchRequest(dn, Scope.BASE, attributes=ADDRESS_ATTRIBUTES) for dn in unknown.values()]
        for key, entry in zip(unknown, await self.connection.fetch(requests), strict=True):
            self._addresses[key] = "" if entry is None else self.mapping.address(entry.dn, folded(entry))


def parse_filter(text: str) -> Filter:
    """An administrator's filter; an empty one fits everybody. Raises ValueError."""
    return filters.parse(text) if text else filters.And(())


def has(*attributes: str) -> Filter:
    """One of the attributes is there."""
    return filters.Or(tuple(filters.Present(name) for name in attributes))


def is_a(*classes: str) -> Filter:
    """One of the object classes."""
    return filters.Or(tuple(filters.Compare("objectClass", "=", name.encode()) for name in classes))
