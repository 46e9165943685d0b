"""The offline address book: made from the directory in the background, kept as files, handed out by name.

A directory for each address list holds the files of its present and its last generation, and `index.json`, which is
replaced at once when all files it names are there. Nothing that an index names is ever changed, so that a client
which has read a manifest gets what it says, also while the next generation is made.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import msgspec

from postern.directory.interface import GLOBAL, AddressList, Directory
from postern.formats.oab import compressed, details, template
from postern.formats.oab.manifest import Published, PublishedList, Template, render
from postern.model import filters
from postern.model.filters import Filter
from postern.model.published import dashed
from postern.model.refusal import Reason, Refusal
from postern.services.address_book import AddressBook
from postern.services.offline_recipients import record
from postern.services.principal import Principal

MAX_DIFFERENCES = 30
"""Generations that a client may be behind and still fetch differences only."""
_NAME = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}-[a-z0-9]{1,20}-[0-9]{1,10}\.lzx")
_INDEX = "index.json"


class _Index(msgspec.Struct):
    """What there is of a list."""

    published: PublishedList
    digest: str
    """Of the recipients' records: nothing is made anew while they stay as they are."""
    raw: str
    """Name of the uncompressed details, of which the next difference is made."""
    last: tuple[str, ...] = ()
    """Files of the generation before, which clients may still be about to fetch."""


class Made(msgspec.Struct, frozen=True):
    """What became of a list."""

    name: str
    sequence: int
    recipients: int
    changed: bool


class OfflineBooks:
    """One per process. `place` is a directory of its own."""

    def __init__(self, directory: Directory, book: AddressBook, place: Path) -> None:
        self._directory = directory
        self._book = book
        self._place = place

    # --- making

    async def make(self) -> list[Made]:
        """Bring all lists up to date. Raises Refusal(IN_USE) while another process does it, OSError."""
        self._place.mkdir(mode=0o700, exist_ok=True)
        made = []
        with _locked(self._place / "lock"):
            secret = await self._directory.secret("address lists")
            for one in await self._directory.address_lists():
                guid = _guid(secret, one.name)
                records = [found async for found in self._records(filters.parse(one.filter))]
                records.sort()
                made.append(await asyncio.to_thread(self._store, one, guid, [row for _, row in records]))
        return made

    async def _records(self, wanted: Filter) -> AsyncIterator[tuple[int, bytes]]:
        search = await self._book.search(wanted)
        async for piece in search.pieces():
            for _, entry in piece:
                yield entry.id, record(entry)

    def _store(self, one: AddressList, guid: str, records: Sequence[bytes]) -> Made:
        """In a thread. The order is that of the recipients' numbers: what changes keeps its place."""
        place = self._place / guid
        place.mkdir(mode=0o700, exist_ok=True)
        before = _read(place)
        digest = hashlib.sha256(b"".join(records) + one.name.encode()).hexdigest()
        if before is not None and before.digest == digest and (place / before.published.full.name).exists():
            return Made(one.name, before.published.full.sequence, len(records), changed=False)
        sequence = before.published.full.sequence + 1 if before is not None else 1
        dn = "/" if one.name == GLOBAL else f"/guid={guid.replace('-', '').upper()}"
        pieces = details.build(details.ListFacts(f"\\{one.name}", dn, guid, sequence), records)
        raw = b"".join(pieces)
        full = _write(place, f"{guid}-data-{sequence}.lzx", compressed.full(raw), sequence, len(raw))
        published = PublishedList(
            guid,
            dn,
            f"\\{one.name}",
            full,
            self._differences(place, guid, before, pieces, full),
            _templates(place, guid, before),
        )
        name = f"{guid}-raw-{sequence}.oab"
        _write_file(place / name, raw)
        last = () if before is None else _files(before.published)
        _write_file(place / _INDEX, msgspec.json.encode(_Index(published, digest, name, last)))
        _tidy(place, {_INDEX, name, *_files(published), *last})
        return Made(one.name, sequence, len(records), changed=True)

    def _differences(
        self, place: Path, guid: str, before: _Index | None, pieces: Sequence[bytes], full: Published
    ) -> tuple[Published, ...]:
        """Those there were and the new one, if it is worth it; without it there is a gap, and none counts."""
        if before is None:
            return ()
        try:
            old = details.split((place / before.raw).read_bytes())
        except (OSError, ValueError):
            return ()
        packed = compressed.difference(old, pieces)
        if len(packed) >= full.size:
            return ()
        new = _write(place, f"{guid}-binpatch-{full.sequence}.lzx", packed, full.sequence, full.uncompressed)
        kept = (*before.published.differences, new)[-MAX_DIFFERENCES:]
        # a client far behind must not fetch more than the whole
        while sum(one.size for one in kept) > full.size and len(kept) > 1:
            kept = kept[1:]
        return kept

    # --- handing out

    async def manifest(self, principal: Principal) -> bytes | None:
        """oab.xml of somebody's lists; None: they have not been made yet."""
        found = [index.published for index in await self._visible(principal)]
        return render(found) if found else None

    async def file(self, principal: Principal, name: str) -> bytes:
        """A file by its name. Raises Refusal(NO_SUCH_ITEM), also for one of a list that somebody may not see."""
        if not _NAME.fullmatch(name):
            raise Refusal(Reason.NO_SUCH_ITEM, "no such file")
        for index in await self._visible(principal):
            if name.startswith(index.published.guid) and name in {*_files(index.published), *index.last}:
                with contextlib.suppress(FileNotFoundError):
                    return await asyncio.to_thread((self._place / index.published.guid / name).read_bytes)
        raise Refusal(Reason.NO_SUCH_ITEM, "no such file")

    async def _visible(self, principal: Principal) -> list[_Index]:
        secret = await self._directory.secret("address lists")
        # a part of a list, which a policy may name, has no file of its own
        names = [one.path[0] for one in await self._book.lists(principal) if len(one.path) == 1]
        return await asyncio.to_thread(self._read_all, [_guid(secret, name) for name in names])

    def _read_all(self, guids: Sequence[str]) -> list[_Index]:
        return [index for guid in guids if (index := _read(self._place / guid)) is not None]


def _guid(secret: bytes, name: str) -> str:
    """Of a list: the same for ever, in this organisation only."""
    return dashed(hashlib.blake2b(name.encode(), key=secret, digest_size=16).hexdigest())


def _templates(place: Path, guid: str, before: _Index | None) -> tuple[Template, ...]:
    """Those there are, or new ones."""
    there = before.published.templates if before is not None else ()
    if there and all(one.file.sequence == template.REVISION for one in there):
        return there
    found = []
    for language in template.LANGUAGES:
        raw = template.build(language)
        packed = compressed.full(raw)
        for kind, prefix in template.KINDS.items():
            name = f"{guid}-{prefix}{language}-{template.REVISION}.lzx"
            file = _write(place, name, packed, template.REVISION, len(raw))
            found.append(Template(file, language, kind))
    return tuple(found)


def _write(place: Path, name: str, content: bytes, sequence: int, uncompressed: int) -> Published:
    _write_file(place / name, content)
    sha = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return Published(name, sequence, len(content), uncompressed, sha)


def _write_file(path: Path, content: bytes) -> None:
    """Whole or not at all, also after a power cut."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _read(place: Path) -> _Index | None:
    """An index that cannot be read counts as none: the list is made anew, and clients fetch the whole of it."""
    try:
        return msgspec.json.decode((place / _INDEX).read_bytes(), type=_Index)
    except (OSError, msgspec.MsgspecError):
        return None


def _files(one: PublishedList) -> tuple[str, ...]:
    return (
        one.full.name,
        *(file.name for file in one.differences),
        *(found.file.name for found in one.templates),
    )


def _tidy(place: Path, kept: set[str]) -> None:
    for path in place.iterdir():
        if path.name not in kept:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise Refusal(Reason.IN_USE, "the offline address book is being made") from held
        yield
