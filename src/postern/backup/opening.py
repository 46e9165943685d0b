"""A mailbox of a snapshot, opened as a mailbox that nobody writes; its bodies are read out of the repository."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from postern.backup.manifest import Entry, Manifest
from postern.backup.repository import DamagedError, Opened, Repository
from postern.model.ids import BlobRef, MailboxId
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.store.interface import Mailbox
from postern.store.journal.records import FOOTER, INDEX_ENTRY, SPOOLED_OFFSET, decode_entries, decode_footer
from postern.store.sqlite.engine import SqliteStore


class SnapshotBlobs:
    """Implements store.interface.Blobs over a snapshot's segments. What is damaged is refused, alone."""

    def __init__(self, repository: Repository, manifest: Manifest) -> None:
        self._repository = repository
        self._entries = {one.path: one for one in manifest.files if one.kind in {"segment", "body"}}
        self._open: dict[int, tuple[Opened, array[int]]] = {}

    async def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        """Part of a body. Raises Refusal(CORRUPT)."""
        if not ref.segment:
            return b""
        try:
            file, start, size = self._locate(ref)
            wanted = max(size - offset if length is None else min(length, size - offset), 0)
            return file.read(start + offset, wanted)
        except (DamagedError, OSError) as problem:
            raise Refusal(Reason.CORRUPT, f"body {ref.segment:x}.{ref.record:x}: {problem}") from problem

    async def read_many(self, refs: Sequence[tuple[int, int]]) -> list[bytes]:
        """Whole bodies."""
        return [await self.read(BlobRef(*ref)) for ref in refs]

    async def read_views(self, refs: Sequence[tuple[int, int]], *, to_send: bool = False) -> list[bytes | memoryview]:
        """Whole bodies."""
        return [await self.read(BlobRef(*ref)) for ref in refs]

    def _file(self, path: str) -> Entry:
        entry = self._entries.get(path)
        if entry is None:
            raise DamagedError(f"{path} is not in the snapshot")
        return entry

    def _locate(self, ref: BlobRef) -> tuple[Opened, int, int]:
        known = self._open.get(ref.segment)
        if known is None:
            file = Opened(self._repository, self._file(f"journal/{ref.segment:016x}.seg"))
            footer = decode_footer(file.read(max(file.entry.size - FOOTER.size, 0), FOOTER.size))
            if footer is None:
                raise DamagedError(f"{file.entry.path} has no index")
            known = file, decode_entries(file.read(footer[0], footer[1] * INDEX_ENTRY.size))
            self._open[ref.segment] = known
            if len(self._open) > 64:
                self._open.pop(next(iter(self._open)))
        file, entries = known
        position = ref.record * 2
        if position >= len(entries) or not entries[position]:
            raise DamagedError("there is no such record")
        if entries[position] == SPOOLED_OFFSET:
            body = self._file(f"journal/{ref.segment:016x}-{ref.record:08x}.body")
            return Opened(self._repository, body), 0, body.size
        return file, entries[position], entries[position + 1]


class _NoBus:
    """Nobody follows a snapshot."""

    def subscribe(self, slot: int, wake: Callable[[], None]) -> Callable[[], None]:
        """Nothing ever happens."""
        return lambda: None

    def publish(self, slot: int, change_number: int) -> None:
        """Nobody listens."""

    def current(self, slot: int) -> int:
        """Unknown."""
        return 0


@asynccontextmanager
async def open_mailbox(
    repository: Repository, manifest: Manifest, mailbox: MailboxId, clock: Clock
) -> AsyncIterator[Mailbox]:
    """The mailbox as it was. Its file is written to a temporary place. Raises Refusal(NO_SUCH_RECIPIENT, CORRUPT)."""
    entry = manifest.entry(f"mailboxes/{mailbox[:2]}/{mailbox}.db")
    if entry is None:
        raise Refusal(Reason.NO_SUCH_RECIPIENT, f"the snapshot has no mailbox {mailbox}")
    with TemporaryDirectory(prefix="postern-restore-") as place:
        store = SqliteStore(Path(place), SnapshotBlobs(repository, manifest), _NoBus(), clock, 0, reserve_bytes=0)
        path = store.path(mailbox)
        path.parent.mkdir(parents=True)
        try:
            write_file(repository, entry, path)
        except DamagedError as problem:
            raise Refusal(Reason.CORRUPT, f"{entry.path}: {problem}") from problem
        try:
            yield await store.mailbox(mailbox)
        finally:
            await store.close()


def write_file(repository: Repository, entry: Entry, path: Path) -> None:
    """A file of a snapshot. Raises DamagedError, OSError."""
    with path.open("wb") as file:
        for name in entry.chunks:
            file.write(repository.get(name))
