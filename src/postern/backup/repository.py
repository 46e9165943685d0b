"""A repository: a directory of packs and snapshots that is valid at every moment.

* `postern-backup.json` and `postern-backup.copy.json`: format, key facts
* `packs/*.pack`, `packs/*.idx`: chunks (`backup.packs`)
* `snapshots/<time>.snapshot` and `.copy`: a manifest each, written when all its chunks are durable
* `work/`: what a run needs meanwhile; `lock`: one writer at a time, readers share

Nothing is changed in place. Chunks that a run left without a snapshot are used by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import zlib
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from postern.backup.crypt import KeyFacts, Keys, Secret, keys_of, new_keys
from postern.backup.manifest import Entry, Manifest
from postern.backup.packs import (
    COMPRESSED,
    PACK_BYTES,
    PackWriter,
    Place,
    head_is,
    list_path,
    pack_path,
    read_list,
    scan_pack,
    sync_directory,
    write_durably,
    write_list,
)
from postern.model.ports import Entropy
from postern.store import failpoints

_CONFIG = ("postern-backup.json", "postern-backup.copy.json")
_SUFFIXES = (".snapshot", ".copy")
_MAGIC = b"PSTNSNP1"
MAX_MANIFEST_BYTES = 1 << 30


class RepositoryError(Exception):
    """The repository cannot be used; the text says why and what to do."""


class DamagedError(Exception):
    """A chunk or a manifest is missing or was changed."""


class _Config(msgspec.Struct, frozen=True):
    key: KeyFacts | None = None
    format: Literal[1] = 1


class Repository:
    """An open repository. Blocking; for one thread."""

    def __init__(self, path: Path, keys: Keys, entropy: Entropy, *, encrypted: bool) -> None:
        """Use `open_repository`."""
        self.path = path
        self.keys = keys
        self.encrypted = encrypted
        self._entropy = entropy
        self._packs = path / "packs"
        self._snapshots = path / "snapshots"
        self._index: dict[bytes, tuple[str, Place]] = {}
        self._writer: PackWriter | None = None
        self._thread = ThreadPoolExecutor(1, "pack")
        self._finishing: Future[None] | None = None
        self._files: dict[str, int] = {}
        self._lock: int | None = None
        self.new_bytes = 0
        """What was written since it was opened."""

    # --- index

    def load(self, *, mend: bool = False) -> list[str]:
        """Learn which chunks there are; what is wrong with packs and lists. `mend`: write lists that are missing."""
        trouble = []
        self._index.clear()
        for pack in self.packs():
            places = read_list(self._packs, pack)
            if places is None:
                places = list(scan_pack(pack_path(self._packs, pack)))
                if mend:
                    write_list(self._packs, pack, places)
                else:
                    trouble.append(f"{pack}.idx is missing or damaged; {len(places)} chunks were found in the pack")
            for place in places:
                self._index[place.name] = (pack, place)
        for path in self._packs.glob("*.idx"):
            if not pack_path(self._packs, path.stem).exists():
                trouble.append(f"{path.stem}.pack is missing")
        return trouble

    def packs(self) -> list[str]:
        """Names of the packs there are."""
        return sorted(path.stem for path in self._packs.glob("*.pack"))

    def contents(self, pack: str) -> list[Place]:
        """Chunks of a pack for which it is the place to look."""
        return [place for other, place in self._index.values() if other == pack]

    def pack_bytes(self, pack: str) -> int:
        """Size of a pack's file."""
        return pack_path(self._packs, pack).stat().st_size

    def __contains__(self, name: bytes) -> bool:
        return name in self._index

    def __len__(self) -> int:
        return len(self._index)

    # --- chunks

    def put(self, raw: bytes | memoryview, *, compress: bool = False) -> bytes:
        """Keep a chunk; its name. Durable after `flush`. Raises OSError."""
        name = self.keys.name(raw)
        if name not in self._index:
            content: bytes | memoryview = raw
            flags = 0
            if compress and len(smaller := zlib.compress(raw, 1)) < len(raw) * 15 // 16:
                content, flags = smaller, COMPRESSED
            self._store(name, self.keys.seal(name, content), len(raw), flags)
        return name

    def _store(self, name: bytes, stored: bytes | memoryview, raw_bytes: int, flags: int) -> None:
        writer = self._writer
        if writer is None:
            writer = self._writer = PackWriter(self._packs, self._entropy.token(12).hex())
        self._index[name] = (writer.pack, writer.add(name, stored, raw_bytes, flags))
        self.new_bytes += len(stored)
        if writer.size_bytes >= PACK_BYTES:
            self._finish()

    def _finish(self) -> None:
        """Let the disk finish a pack while the next one is filled; one at a time, so that it is not far behind."""
        if self._writer is not None:
            self._wait()
            failpoints.hit("backup.packing")
            self._finishing = self._thread.submit(self._writer.finish)
            self._writer = None

    def _wait(self) -> None:
        finishing, self._finishing = self._finishing, None
        if finishing is not None:
            finishing.result()
            failpoints.hit("backup.packed")

    def flush(self) -> None:
        """Everything that was put is durable on return. Raises OSError."""
        self._finish()
        self._wait()

    def get(self, name: bytes) -> bytes:
        """A chunk, compared with its name. Raises DamagedError, OSError."""
        where = self._index.get(name)
        if where is None:
            raise DamagedError(f"chunk {name.hex()[:16]} is missing")
        pack, place = where
        try:
            content = self.keys.open(name, self._stored(pack, place))
            if place.flags & COMPRESSED:
                content = zlib.decompressobj().decompress(content, place.raw_bytes)
        except (ValueError, zlib.error, FileNotFoundError) as problem:
            raise DamagedError(f"chunk {name.hex()[:16]} in {pack}.pack: {problem}") from problem
        if self.keys.name(content) != name:
            raise DamagedError(f"chunk {name.hex()[:16]} in {pack}.pack was changed")
        return content

    def found_without_list(self, pack: str, place: Place) -> bool:
        """Whether a chunk would be found if the list beside its pack were lost. Raises OSError."""
        return head_is(self._opened(pack), place)

    def _opened(self, pack: str) -> int:
        descriptor = self._files.get(pack)
        if descriptor is None:
            while len(self._files) >= 32:
                os.close(self._files.pop(next(iter(self._files))))
            descriptor = self._files[pack] = os.open(pack_path(self._packs, pack), os.O_RDONLY | os.O_CLOEXEC)
        return descriptor

    def _stored(self, pack: str, place: Place) -> bytes:
        stored = os.pread(self._opened(pack), place.stored_bytes, place.offset)
        if len(stored) != place.stored_bytes:
            raise ValueError("cut off")
        return stored

    def move(self, name: bytes) -> None:
        """Write a chunk once more, as it is stored, into a new pack. Raises DamagedError, OSError."""
        pack, place = self._index[name]
        self.get(name)
        self._store(name, self._stored(pack, place), place.raw_bytes, place.flags)

    def move_all(self, names: Collection[bytes]) -> None:
        """Chunks into new packs, durably, and forget where they were. Raises DamagedError, OSError."""
        packs = {self._index[name][0] for name in names}
        for name in names:
            self.move(name)
        self.flush()
        for pack in packs:
            write_list(self._packs, pack, self.contents(pack))

    def drop_pack(self, pack: str) -> None:
        """Remove a pack of which nothing is needed: first the list, a pack without one is complete."""
        self._close_files()
        list_path(self._packs, pack).unlink(missing_ok=True)
        pack_path(self._packs, pack).unlink(missing_ok=True)

    def sync(self) -> None:
        """Make removals durable."""
        sync_directory(self._packs)
        sync_directory(self._snapshots)

    def set_aside(self, names: Collection[bytes]) -> int:
        """Forget chunks that are damaged, so that the next run writes them anew; how many. Raises OSError.

        Nothing is removed: their octets stay in the packs. For who is alone (`upgrade`).
        """
        for pack in {self._index[name][0] for name in names if name in self._index}:
            places = self.contents(pack)
            write_list(self._packs, pack, [place for place in places if place.name not in names])
        return sum(self._index.pop(name, None) is not None for name in names)

    # --- snapshots

    def snapshots(self) -> list[str]:
        """Their names, oldest first."""
        return sorted({path.stem for path in self._snapshots.iterdir() if path.suffix in _SUFFIXES})

    def write_snapshot(self, name: str, manifest: Manifest) -> None:
        """Durable on return; before it, everything that was put. Raises OSError."""
        self.flush()
        aad = hashlib.sha256(name.encode()).digest()
        body = bytes(self.keys.seal(aad, zlib.compress(msgspec.msgpack.encode(manifest), 1)))
        whole = _MAGIC + hashlib.sha256(body).digest() + body
        failpoints.hit("backup.snapshot")
        for suffix in _SUFFIXES:
            write_durably(self._snapshots / f"{name}{suffix}", whole)
            failpoints.hit("backup.snapshot-written")

    def read_snapshot(self, name: str) -> Manifest:
        """From the file or its copy. Raises DamagedError."""
        problem: Exception | None = None
        for suffix in _SUFFIXES:
            try:
                return self._manifest(name, (self._snapshots / f"{name}{suffix}").read_bytes())
            except (OSError, ValueError, zlib.error, msgspec.MsgspecError) as found:
                problem = problem or found
        raise DamagedError(f"snapshot {name} cannot be read: {problem}")

    def _manifest(self, name: str, whole: bytes) -> Manifest:
        start = len(_MAGIC) + hashlib.sha256().digest_size
        body = whole[start:]
        if whole[: len(_MAGIC)] != _MAGIC or hashlib.sha256(body).digest() != whole[len(_MAGIC) : start]:
            raise ValueError("it was changed")
        body = self.keys.open(hashlib.sha256(name.encode()).digest(), body)
        return msgspec.msgpack.decode(zlib.decompressobj().decompress(body, MAX_MANIFEST_BYTES), type=Manifest)

    def snapshot_copies(self, name: str) -> list[str]:
        """What is wrong with a snapshot's two files."""
        trouble = []
        for suffix in _SUFFIXES:
            path = self._snapshots / f"{name}{suffix}"
            try:
                self._manifest(name, path.read_bytes())
            except (OSError, ValueError, zlib.error, msgspec.MsgspecError) as problem:
                trouble.append(f"snapshots/{path.name}: {getattr(problem, 'strerror', None) or problem}")
        return trouble

    def drop_snapshot(self, name: str) -> None:
        """Remove a snapshot; its chunks stay."""
        for suffix in _SUFFIXES:
            (self._snapshots / f"{name}{suffix}").unlink(missing_ok=True)

    # --- life

    @property
    def work(self) -> Path:
        """A directory for what is needed meanwhile."""
        return self.path / "work"

    @contextmanager
    def locked(self, *, alone: bool) -> Iterator[None]:
        """`alone` for who writes. Raises RepositoryError."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RepositoryError(f"another backup or restore uses {self.path}: wait for its end") from None
            if alone:
                self._clean()
            self._lock = descriptor
            yield
        finally:
            self._lock = None
            self.close()
            os.close(descriptor)

    def upgrade(self) -> bool:
        """Be alone from now on, if nobody else reads or writes; for who is inside of `locked`."""
        if self._lock is None:
            return False
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _clean(self) -> None:
        """What a run left that was interrupted."""
        for directory in (self.path, self._packs, self._snapshots):
            for path in directory.glob("*.tmp"):
                path.unlink(missing_ok=True)
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(mode=0o700)

    def _close_files(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])

    def close(self) -> None:
        """Let go; what is not durable yet is given up."""
        self._thread.shutdown()
        if self._writer is not None:
            self._writer.abandon()
            self._writer = None
        self._close_files()


class Opened:
    """A file of a snapshot, read by ranges."""

    def __init__(self, repository: Repository, entry: Entry) -> None:
        self.entry = entry
        self._repository = repository
        self._chunks = entry.chunks
        self._kept: tuple[int, bytes] = (-1, b"")

    def read(self, offset: int, length: int) -> bytes:
        """Raises DamagedError, OSError."""
        parts = []
        end = min(offset + length, self.entry.size)
        while offset < end:
            number, start = divmod(offset, self.entry.chunk_bytes)
            part = self._chunk(number)[start : start + end - offset]
            if not part:
                raise DamagedError(f"{self.entry.path} is shorter than its snapshot says")
            parts.append(part)
            offset += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _chunk(self, number: int) -> bytes:
        if self._kept[0] != number:
            if number >= len(self._chunks):
                raise DamagedError(f"{self.entry.path} is shorter than its snapshot says")
            self._kept = number, self._repository.get(self._chunks[number])
        return self._kept[1]


def open_repository(path: Path, entropy: Entropy, secret: Secret | None, *, make: bool = False) -> Repository:
    """Open a repository, or make it where there is nothing. Raises RepositoryError, WrongKeyError, OSError."""
    config = None
    found = False
    for name in _CONFIG:
        try:
            data = (path / name).read_bytes()
        except FileNotFoundError:
            continue
        found = True
        try:
            config = msgspec.json.decode(data, type=_Config)
            break
        except msgspec.MsgspecError:
            continue
    if config is not None:
        keys = keys_of(entropy, config.key, secret)
        return Repository(path, keys, entropy, encrypted=config.key is not None)
    if found:
        raise RepositoryError(f"{path}: both files that say how it is encrypted are damaged")
    if not make:
        raise RepositoryError(f"there is no repository in {path}: `postern backup run {path}` makes one")
    leftovers = {f"{name}.tmp" for name in _CONFIG} | {"packs", "snapshots", "work"}
    if path.exists() and any(one.name not in leftovers for one in path.iterdir()):
        raise RepositoryError(f"{path} is neither empty nor a repository: name another directory")
    keys, facts = new_keys(entropy, secret)
    for directory in (path, path / "packs", path / "snapshots", path / "work"):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in _CONFIG:
        write_durably(path / name, msgspec.json.format(msgspec.json.encode(_Config(facts))) + b"\n")
    return Repository(path, keys, entropy, encrypted=facts is not None)


def chosen(repository: Repository, name: str | None) -> str:
    """A snapshot by its name or how it begins; the newest by default. Raises RepositoryError."""
    known: Sequence[str] = repository.snapshots()
    if not known:
        raise RepositoryError(f"there is no snapshot in {repository.path}")
    if name is None:
        return known[-1]
    fitting = [one for one in known if one.startswith(name)]
    if name in known:
        return name
    if len(fitting) != 1:
        raise RepositoryError(f"{len(fitting)} snapshots begin with {name}: `postern backup list` shows them")
    return fitting[0]
