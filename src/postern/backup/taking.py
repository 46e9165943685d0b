"""Taking a snapshot of a running organisation.

The order makes it consistent; each step may be older than the next, never newer:

1. garbage collection and the forgetting of applied keys are held off
2. low-water marks of the journals
3. the queue, then the mailboxes: what leaves the queue is in a mailbox before
4. everything else in the data directory, the directory of accounts last
5. journals: a message that a copy of a mailbox does not have is in them, above the mark

A restore is then what a start after a crash is: journals are replayed over mailboxes that may have parts of them.
"""

from __future__ import annotations

import os
import shutil
import stat
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import apsw

from postern import __version__
from postern.backup.manifest import Entry, Kind, Manifest, MarkAt, Taken
from postern.backup.repository import Repository, RepositoryError
from postern.model.ports import Clock
from postern.model.refusal import Refusal
from postern.store import failpoints
from postern.store.journal.collect import held
from postern.store.journal.layout import bodies, body_path, journal_directory, journals, segment_path, segments
from postern.store.journal.marks import read_mark
from postern.store.journal.records import SPOOLED_OFFSET, journal_of, scan_records
from postern.store.journal.replay import read_index, sealed
from postern.store.sqlite.snapshots import copy_file, looks, mailbox_facts, open_copy

DATABASE_CHUNK_BYTES = 64 << 10
STREAM_CHUNK_BYTES = 1 << 20
_SETTLED_NS = 2_000_000_000
"""A file that was written less than this before it was read may change once more and look the same."""
_SQLITE = b"SQLite format 3\0"
WORK = "backup.work"
_LEFT_OUT = frozenset({"bus", "lock", "reserve", "restoring", "retention-clock", WORK})
_REST = ("-wal", "-shm", "-journal", ".tmp", ".new")
QUEUE = "queue.db"
DIRECTORY = "directory.db"


class Progress(NamedTuple):
    """Octets of what has to be read."""

    done_bytes: int
    total_bytes: int
    what: str


class Taking:
    """One run. Blocking: it belongs into a process or a thread of its own."""

    def __init__(
        self,
        repository: Repository,
        data: Path,
        clock: Clock,
        *,
        host: str = "",
        outside: Sequence[Path] = (),
        compress: bool = False,
        tell: Callable[[Progress], None] = lambda _: None,
    ) -> None:
        """`outside`: files that settings name, and the settings file."""
        self._repository = repository
        self._data = data.resolve()
        self._journal = journal_directory(self._data)
        self._clock = clock
        self._host = host
        self._outside = outside
        self._compress = compress
        self._tell = tell
        self._before: dict[str, Entry] = {}
        self._entries: dict[str, Entry] = {}
        self._fresh: set[str] = set()
        """Paths that were read."""
        self._indexes: dict[int, array[int]] = {}
        self._growing: set[int] = set()
        """Segments that are being written: what they had, they still have."""
        self._bodies: set[tuple[int, int]] = set()
        self._wanted: list[tuple[str, dict[int, set[int]]]] = []
        self._trouble: list[str] = []
        self._done = 0
        self._total = 0
        self._read_bytes = 0

    def run(self) -> Taken:
        """Raises RepositoryError, OSError; what cannot be read of the organisation is in the result's trouble."""
        repository = self._repository
        if self._data in (repository.path.resolve(), *repository.path.resolve().parents):
            raise RepositoryError(f"{repository.path} lies inside of what is backed up: name a directory elsewhere")
        started = self._clock.monotonic()
        began_at = self._clock.timestamp()
        repository.load(mend=True)
        self._remember()
        try:
            with held(self._journal, "backup"), self._working():
                marks = [MarkAt(number, *read_mark(self._journal, number)) for number in journals(self._journal)]
                self._total = sum(_size(path) for path, _ in self._every_file())
                self._take_databases()
                failpoints.hit("backup.copied")
                self._take_journals()
                failpoints.hit("backup.segments")
                references = self._follow()
        except BlockingIOError:
            raise RepositoryError("another backup of this organisation is running") from None
        known = {mark.journal for mark in marks}
        # a journal without a mark would count as closed: these began after the marks were read
        later = {journal_of(number) for number in self._indexes} - known
        marks += [MarkAt(number, 0, 0, closed=False) for number in sorted(later)]
        name = self._name(began_at)
        manifest = Manifest(
            began_at,
            self._clock.timestamp(),
            self._host,
            __version__,
            tuple(self._entries[path] for path in sorted(self._entries)),
            tuple(marks),
            tuple(self._trouble),
        )
        repository.write_snapshot(name, manifest)
        return Taken(
            name,
            len(manifest.files),
            manifest.size_bytes,
            self._read_bytes,
            repository.new_bytes,
            self._clock.monotonic() - started,
            references,
            manifest.trouble,
        )

    @contextmanager
    def _working(self) -> Iterator[None]:
        """A directory for copies of databases; what an interrupted run left in it goes first, and nothing stays.

        Beside the data if the repository is encrypted: what is not must not lie on its disk, not even for a while.
        """
        self._work = self._data / WORK if self._repository.encrypted else self._repository.work
        shutil.rmtree(self._data / WORK, ignore_errors=True)
        self._work.mkdir(mode=0o700, exist_ok=True)
        try:
            yield
        finally:
            for left in self._work.iterdir():
                left.unlink()
            if self._repository.encrypted:
                self._work.rmdir()

    def _name(self, at: float) -> str:
        name = datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")
        known = self._repository.snapshots()
        if not known or name > known[-1]:
            return name
        # the same second, or a clock that was set back: the newest has to stay the last
        last, _, number = known[-1].partition("-")
        return f"{last}-{int(number or 0) + 1:04d}"

    def _remember(self) -> None:
        """What the newest snapshot that can be read has; only what is really there still counts."""
        for name in reversed(self._repository.snapshots()):
            try:
                manifest = self._repository.read_snapshot(name)
            except Exception as problem:
                self._trouble.append(str(problem))
                continue
            self._before = {
                one.path: one for one in manifest.files if all(chunk in self._repository for chunk in one.chunks)
            }
            return

    # --- what there is

    def _every_file(self) -> Iterator[tuple[Path, str]]:
        for root, directories, names in os.walk(self._data):
            here = Path(root)
            directories.sort()
            if here == self._journal:
                directories.clear()
            for name in sorted(names):
                path = here / name
                if here == self._data and name in _LEFT_OUT:
                    continue
                if name.endswith(_REST) or not stat.S_ISREG(_mode(path)):
                    continue
                yield path, str(path.relative_to(self._data))

    def _take_databases(self) -> None:
        """Everything but the journals, in the order of the module's head."""
        plain: list[tuple[Path, str]] = []
        mailboxes: list[tuple[Path, str]] = []
        databases: dict[str, Path] = {}
        for path, name in self._every_file():
            if path.parent == self._journal:
                if path.name == "next":
                    plain.append((path, name))
            elif name.startswith("mailboxes/"):
                if path.suffix == ".db" and not path.name.startswith("."):
                    mailboxes.append((path, name))
            elif _is_database(path):
                databases[name] = path
            else:
                plain.append((path, name))
        directory = databases.pop(DIRECTORY, None)
        if QUEUE in databases:
            self._database(databases.pop(QUEUE), QUEUE, "database")
        for path, name in mailboxes:
            self._database(path, name, "mailbox")
        for name, path in databases.items():
            self._database(path, name, "database")
        for path, name in plain:
            self._plain(path, name)
        for path in self._outside:
            if path.is_file() and self._data not in path.resolve().parents:
                self._plain(path, "/" + str(path.resolve()))
        if directory is not None:
            self._database(directory, DIRECTORY, "database")

    # --- files

    def _unchanged(self, name: str, seen: tuple[int, ...]) -> bool:
        old = self._before.get(name)
        if old is None or not seen or old.seen != seen:
            return False
        self._keep(old)
        return True

    def _keep(self, entry: Entry) -> None:
        self._entries[entry.path] = entry
        self._done += entry.size
        self._tell(Progress(self._done, max(self._total, self._done), entry.path))

    def _settled(self, seen: tuple[int, ...]) -> tuple[int, ...]:
        """A look that is worth comparing with: its times are old enough."""
        newest = max(seen[2], seen[4] if len(seen) > 4 else 0)
        return seen if newest < int(self._clock.timestamp() * 1e9) - _SETTLED_NS else ()

    def _database(self, path: Path, name: str, kind: Kind, *, again: bool = False) -> None:
        try:
            seen = looks(path)
            if not again and self._unchanged(name, seen):
                return
            seen = self._settled(seen)
            copy = self._work / "copy.db"
            copy_file(path, copy)
            segments_of: tuple[int, ...] = ()
            change = 0
            if kind == "mailbox":
                facts = mailbox_facts(copy)
                change, segments_of = facts.change, tuple(sorted(facts.references))
                self._wanted.append((name, facts.references))
            elif name == QUEUE:
                self._wanted.append((name, _queue_references(copy)))
            self._stream(copy, name, kind, DATABASE_CHUNK_BYTES, seen, segments_of, change)
        except FileNotFoundError:
            return  # removed meanwhile
        except (apsw.Error, Refusal) as problem:
            if not path.exists():
                return
            if isinstance(problem, apsw.BusyError):
                self._trouble.append(f"{name} is in use by a command that does not let others read it: not taken")
                return
            self._trouble.append(f"{name} cannot be read as a database ({problem}): taken as it lies")
            for one in (path, path.with_name(path.name + "-wal")):
                if one.exists():
                    self._stream(one, name + one.name[len(path.name) :], "plain", DATABASE_CHUNK_BYTES)

    def _plain(self, path: Path, name: str, kind: Kind = "plain") -> None:
        try:
            facts = path.stat()
            seen = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
            if not self._unchanged(name, seen):
                self._stream(path, name, kind, STREAM_CHUNK_BYTES, self._settled(seen))
        except FileNotFoundError:
            return
        except PermissionError as problem:
            self._trouble.append(f"{name}: {problem.strerror}")

    def _stream(
        self,
        path: Path,
        name: str,
        kind: Kind,
        chunk_bytes: int,
        seen: tuple[int, ...] = (),
        segments_of: tuple[int, ...] = (),
        change: int = 0,
    ) -> None:
        names = []
        size = 0
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            while chunk := file.read(chunk_bytes):
                if len(chunk) < chunk_bytes and (rest := file.read(chunk_bytes - len(chunk))):
                    chunk += rest
                names.append(self._put(chunk, name))
                size += len(chunk)
        entry = Entry(name, kind, size, chunk_bytes, b"".join(names), seen, segments_of, change)
        self._entries[name] = entry
        self._fresh.add(name)

    def _put(self, chunk: bytes | memoryview, name: str) -> bytes:
        self._read_bytes += len(chunk)
        self._done += len(chunk)
        self._tell(Progress(self._done, max(self._total, self._done), name))
        return self._repository.put(chunk, compress=self._compress)

    # --- journals

    def _take_journals(self) -> None:
        directory = self._journal
        for number in segments(directory):
            name = f"journal/{segment_path(directory, number).name}"
            try:
                entries = read_index(directory, number)
                if entries is None:
                    self._active(number, name)
                else:
                    self._indexes[number] = entries
                    self._plain(segment_path(directory, number), name, "segment")
            except FileNotFoundError:
                continue  # it was empty, and its journal was closed
        # after the segments: a body is there before the record that refers to it
        for segment, record in bodies(directory):
            path = body_path(directory, segment, record)
            self._plain(path, f"journal/{path.name}", "body")
            if f"journal/{path.name}" in self._entries:
                self._bodies.add((segment, record))

    def _active(self, number: int, name: str) -> None:
        """What is whole of a segment that is being written, as a sealed one."""
        with segment_path(self._journal, number).open("rb", buffering=0) as file:
            data = memoryview(file.read(os.fstat(file.fileno()).st_size))
            # records that were never synced are none: their senders may have been refused
            os.fdatasync(file.fileno())
        heads = list(scan_records(data, number))
        if not heads:
            return
        entries = array("Q")
        for head in heads:
            entries.extend([0] * (head.record * 2 - len(entries)))
            entries.extend((head.content_offset, head.content_length))
        self._indexes[number] = entries
        self._growing.add(number)
        whole = memoryview(b"".join(sealed(number, data, heads)))
        chunks = [whole[at : at + STREAM_CHUNK_BYTES] for at in range(0, len(whole), STREAM_CHUNK_BYTES)]
        names = b"".join(self._put(chunk, name) for chunk in chunks)
        self._entries[name] = Entry(name, "segment", len(whole), STREAM_CHUNK_BYTES, names)
        self._fresh.add(name)

    # --- references

    def _follow(self) -> int:
        """Follow every reference of what was read, and of what was not if a segment it refers to is another now."""
        moved = {
            number
            for number in self._indexes.keys() - self._growing
            if f"journal/{segment_path(self._journal, number).name}" in self._fresh
        }
        for entry in list(self._entries.values()):
            if entry.kind == "mailbox" and entry.path not in self._fresh and entry.segments:
                gone = [number for number in entry.segments if number not in self._indexes or number in moved]
                if gone:
                    self._database(self._data / entry.path, entry.path, "mailbox", again=True)
        if QUEUE in self._entries and QUEUE not in self._fresh:
            self._database(self._data / QUEUE, QUEUE, "database", again=True)
        count = 0
        for name, references in self._wanted:
            lost = 0
            for segment, records in references.items():
                count += len(records)
                lost += sum(not self._resolves(segment, record) for record in records)
            if lost:
                self._trouble.append(f"{name}: {lost} bodies are missing; `postern mailbox verify` says which")
        return count

    def _resolves(self, segment: int, record: int) -> bool:
        entries = self._indexes.get(segment)
        if entries is None or record * 2 >= len(entries) or not (offset := entries[record * 2]):
            return False
        return offset != SPOOLED_OFFSET or (segment, record) in self._bodies


def _queue_references(copy: Path) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    with closing(open_copy(copy)) as db:
        if not db.pragma("user_version"):
            return found
        for table in ("message", "outbox"):
            rows = db.execute(f"SELECT blob_segment, blob_record FROM {table} WHERE blob_segment > 0")  # noqa: S608
            for segment, record in rows:
                found.setdefault(segment, set()).add(record)
    return found


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except FileNotFoundError:
        return 0


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False
