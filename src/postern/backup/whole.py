"""Bringing a whole organisation back, into an empty data directory.

Afterwards a start does what it does after a crash: another epoch, and the journals are replayed over the mailboxes.
What is damaged in the repository is left out or put together from what is whole, and listed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import apsw
import msgspec

from postern.backup.manifest import Entry, Manifest
from postern.backup.packs import sync_directory, write_durably
from postern.backup.repository import DamagedError, Repository, RepositoryError
from postern.backup.taking import Progress
from postern.store import failpoints
from postern.store.journal.files import Files
from postern.store.journal.layout import journal_directory, mark_path, segment_path
from postern.store.journal.marks import Mark, MarkState
from postern.store.journal.records import RECORD_HEADER, RecordHead, decode_record
from postern.store.journal.replay import write_sealed
from postern.store.sqlite.repairing import salvage
from postern.store.sqlite.schema import UnknownLayout
from postern.store.sqlite.snapshots import renew

MARKER = "restoring"
"""In a data directory that is not whole yet: no server starts in it, and a restore may begin anew."""


class Restored(NamedTuple):
    """What came back."""

    snapshot: str
    files: int
    restored_bytes: int
    mailboxes: int
    trouble: tuple[str, ...]


class Restoring:
    """One run. Blocking."""

    def __init__(
        self,
        repository: Repository,
        snapshot: str,
        data: Path,
        now: int,
        settings_file: Path | None = None,
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """`now`: seconds since the epoch. `settings_file`: where the settings go, if they were backed up."""
        self._repository = repository
        self._snapshot = snapshot
        self._data = data
        self._now = now
        self._settings_file = settings_file
        self._tell = tell
        self._trouble: list[str] = []
        self._done = 0
        self._files = Files()
        self._bodies: dict[int, set[int]] = {}
        """Spooled contents that are lost."""

    def run(self) -> Restored:
        """Raises RepositoryError, DamagedError for a snapshot that cannot be read, OSError."""
        self._trouble += self._repository.load()
        manifest = self._repository.read_snapshot(self._snapshot)
        self._trouble += [f"was not in the backup: {one}" for one in manifest.trouble]
        self._prepare()
        total = manifest.size_bytes
        mailboxes = files = 0
        for entry in manifest.files:
            target = self._target(entry)
            if target is None:
                continue
            self._tell(Progress(self._done, total, entry.path))
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._bring(entry, target)
            failpoints.hit("restore.file")
            files += 1
            mailboxes += entry.kind == "mailbox"
            self._done += entry.size
        self._drop_records()
        self._marks(manifest)
        self._epoch()
        for root, _, _ in os.walk(self._data):
            sync_directory(Path(root))
        (self._data / MARKER).unlink()
        sync_directory(self._data)
        return Restored(self._snapshot, files, self._done, mailboxes, tuple(self._trouble))

    def _prepare(self) -> None:
        data = self._data
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(data.iterdir()) and not (data / MARKER).exists():
            raise RepositoryError(f"{data} is not empty: a whole organisation is restored into an empty directory only")
        # first the marker, then anything else
        write_durably(data / MARKER, b"a restore did not come to its end: begin it again\n")

    def _target(self, entry: Entry) -> Path | None:
        if not entry.path.startswith("/"):
            path = Path(entry.path)
            if path.is_absolute() or ".." in path.parts:
                self._trouble.append(f"{entry.path}: not a path of a data directory")
                return None
            return self._data / path
        name = Path(entry.path[1:])
        if self._settings_file is not None and name.suffix == ".toml":
            return None if self._settings_file.exists() else self._settings_file
        return self._data / "restored-files" / name.relative_to("/")

    def _bring(self, entry: Entry, target: Path) -> None:
        holes = self._write(entry, target)
        if entry.kind == "mailbox":
            self._mailbox(entry, target, holes)
        elif holes and entry.kind == "segment":
            self._mend_segment(entry, target)
        elif holes:
            damaged = target.with_name(target.name + ".damaged")
            target.replace(damaged)
            self._trouble.append(f"{entry.path} is damaged; what is whole of it is in {damaged.name}")
            if entry.kind == "body":
                segment, record = target.stem.split("-")
                self._bodies.setdefault(int(segment, 16), set()).add(int(record, 16))

    def _write(self, entry: Entry, target: Path) -> int:
        """Write a file, zeros where a chunk is lost; how many were."""
        holes = 0
        for rest in ("-wal", "-shm"):  # of an interrupted restore
            target.with_name(target.name + rest).unlink(missing_ok=True)
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb", buffering=0) as file:
            for number, name in enumerate(entry.chunks):
                try:
                    content = memoryview(self._repository.get(name))
                except (DamagedError, OSError):
                    holes += 1
                    continue
                offset = number * entry.chunk_bytes
                while content:
                    written = os.pwrite(file.fileno(), content, offset)
                    content, offset = content[written:], offset + written
            os.ftruncate(file.fileno(), entry.size)
            os.fdatasync(file.fileno())
        return holes

    def _mailbox(self, entry: Entry, target: Path, holes: int) -> None:
        try:
            if holes:
                damaged = target.with_name(target.name + ".damaged")
                target.replace(damaged)
                lost = salvage(damaged, target, self._now)
                self._trouble += [f"{entry.path}: {one}" for one in lost]
                damaged.unlink()
            renew(target, self._now)
        except (apsw.Error, UnknownLayout) as problem:
            self._trouble.append(f"{entry.path} does not come back: {problem}")
            target.unlink(missing_ok=True)

    def _mend_segment(self, entry: Entry, target: Path) -> None:
        """Seal what is whole of a segment anew, under the same numbers."""
        number = int(target.stem, 16)
        data = memoryview(target.read_bytes())
        heads = whole_records(data, number)
        write_sealed(target.parent, number, data, heads, self._files)
        self._trouble.append(f"{entry.path} is damaged: {len(heads)} records of it came back")

    def _drop_records(self) -> None:
        """Records whose content, a file of its own, is lost: a replay must not stumble over them."""
        directory = journal_directory(self._data)
        for number, lost in self._bodies.items():
            path = segment_path(directory, number)
            if not path.exists():
                continue
            data = memoryview(path.read_bytes())
            heads = [head for head in whole_records(data, number) if head.record not in lost]
            write_sealed(directory, number, data, heads, self._files)

    def _marks(self, manifest: Manifest) -> None:
        directory = journal_directory(self._data)
        directory.mkdir(exist_ok=True, mode=0o700)
        for mark in manifest.marks:
            self._files.unlink(mark_path(directory, mark.journal))
            made = Mark.create(directory, mark.journal, self._files)
            made.write(MarkState(mark.segment, mark.record, mark.closed))
            made.release()

    def _epoch(self) -> None:
        """Another one at the next start, whatever the snapshot says: mailboxes jump over numbers that were given."""
        path = self._data / "epoch"
        try:
            number = int(msgspec.json.decode(path.read_bytes())["number"])
        except (OSError, ValueError, KeyError, TypeError, msgspec.MsgspecError):
            number = self._now
        write_durably(path, msgspec.json.encode({"number": number + 1, "clean": False}) + b"\n")


def whole_records(data: memoryview, segment: int) -> list[RecordHead]:
    """Records of a damaged segment, also behind a hole: each names its segment, and has a checksum."""
    octets = bytes(data)
    name = segment.to_bytes(8, "little")
    before = RECORD_HEADER.size - len(name)
    heads: dict[int, RecordHead] = {}
    position = octets.find(name)
    while position != -1:
        start = position - before
        head = decode_record(data, start, segment) if start >= 0 else None
        if head is None:
            position = octets.find(name, position + 1)
            continue
        heads.setdefault(head.record, head)
        position = octets.find(name, head.end)
    return [heads[record] for record in sorted(heads)]
