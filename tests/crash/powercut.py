"""A disk that forgets: file operations are real, but a power cut keeps only what was synced, and some of the rest.

Every write, truncation, creation, renaming and removal goes through to real files and is remembered until it is synced.
`Disk.cut_into` writes what a power cut would leave into another directory: all that was synced, and of what was not a
random part, in any order, torn in the middle of a write. After a cut every operation fails, so that nothing that
happens later can be taken for having happened before.

Used by the journal's port for files, by SQLite through a VFS, and by bare `os.fsync`/`os.fdatasync`.
"""

import errno
import os
import random
import shutil
import threading
from pathlib import Path

import apsw

from postern.store.journal.files import Files

SECTOR = 512


class PowerCut(OSError):
    def __init__(self):
        super().__init__(errno.EIO, "power cut")


class Inode:
    """A file's synced content, and the operations since."""

    __slots__ = ("durable", "pending")

    def __init__(self, content=b""):
        self.durable = bytearray(content)
        self.pending = []

    def sync(self):
        for operation in self.pending:
            apply(self.durable, operation)
        self.pending.clear()

    def remains(self, rng, style):
        """The content after a cut."""
        image = bytearray(self.durable)
        count = len(self.pending)
        if style == "prefix":
            kept = self.pending[: rng.randint(0, count)]
        elif style == "all":
            kept = self.pending
        elif style == "none":
            kept = []
        else:
            kept = [operation for operation in self.pending if rng.random() < 0.5]
        for operation in kept:
            if operation[0] == "write" and style == "torn" and rng.random() < 0.3:
                data = operation[2]
                cut = rng.randrange(0, len(data) + SECTOR, SECTOR)
                operation = ("write", operation[1], data[:cut])
            apply(image, operation)
        return image


def apply(image, operation):
    kind, offset, data = operation
    if kind == "truncate":
        if offset < len(image):
            del image[offset:]
        else:
            image.extend(bytes(offset - len(image)))
        return
    if offset > len(image):
        image.extend(bytes(offset - len(image)))
    image[offset : offset + len(data)] = data


class Disk:
    """One directory tree on that disk."""

    def __init__(self, root: Path, rng: random.Random, when_cut=lambda: None):
        self.when_cut = when_cut
        self.root = root
        self.rng = rng
        self.lock = threading.RLock()
        self.operations = 0
        self.cut_at = None
        self.dead = False
        self.target = None
        self.names = {}
        self.durable_names = {}
        self.name_operations = []
        for path in root.rglob("*"):
            if path.is_file() and not path.name.endswith("-shm"):
                inode = Inode(path.read_bytes())
                self.names[str(path)] = self.durable_names[str(path)] = inode

    def tick(self):
        """Before each operation; the lock is held."""
        if self.dead:
            raise PowerCut
        self.operations += 1
        if self.cut_at is not None and self.operations >= self.cut_at:
            self.cut()
            raise PowerCut

    def cut(self):
        with self.lock:
            if self.dead:
                return
            self.dead = True
            self._write_remains()
            self.when_cut()

    def _write_remains(self):
        style = self.rng.choice(("torn", "torn", "random", "prefix", "none", "all"))
        names = dict(self.durable_names)
        # directories keep the order of their own operations, but not with each other
        reached = {}
        for directory, operation in self.name_operations:
            if directory not in reached:
                total = sum(1 for other, _ in self.name_operations if other == directory)
                reached[directory] = self.rng.randint(0, total) if style != "all" else total
            if reached[directory] > 0:
                reached[directory] -= 1
                rename(names, operation)
        for name, inode in names.items():
            path = self.target / Path(name).relative_to(self.root)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(inode.remains(self.rng, style))
        for path in self.root.rglob("*"):
            if path.is_dir():
                (self.target / path.relative_to(self.root)).mkdir(parents=True, exist_ok=True)

    # --- operations: the real one has been done or is done by the caller under the lock
    def created(self, path):
        inode = self.names[path] = Inode()
        self._named(path, ("create", path, inode))

    def removed(self, path):
        if path in self.names:
            self._named(path, ("unlink", path, None))
            del self.names[path]

    def renamed(self, source, target):
        self._named(source, ("rename", source, target))
        self.names[target] = self.names.pop(source)

    def _named(self, path, operation):
        self.name_operations.append((str(Path(path).parent), operation))

    def wrote(self, path, offset, data):
        self.names[path].pending.append(("write", offset, bytes(data)))

    def truncated(self, path, size):
        self.names[path].pending.append(("truncate", size, b""))

    def synced(self, path):
        if path in self.names:
            self.names[path].sync()

    def directory_synced(self, directory):
        rest = []
        for where, operation in self.name_operations:
            if where == directory:
                rename(self.durable_names, operation)
            else:
                rest.append((where, operation))
        self.name_operations = rest


def rename(names, operation):
    kind, path, other = operation
    if kind == "create":
        names[path] = other
    elif kind == "unlink":
        names.pop(path, None)
    elif path in names:
        names[other] = names.pop(path)


class PowerCutFiles(Files):
    """The journal's port on that disk."""

    def __init__(self, disk):
        self.disk = disk

    def _path(self, descriptor):
        return os.readlink(f"/proc/self/fd/{descriptor}")

    def create(self, path, size_bytes=0):
        with self.disk.lock:
            self.disk.tick()
            descriptor = super().create(path, size_bytes)
            self.disk.created(str(path))
            if size_bytes:
                self.disk.truncated(str(path), size_bytes)
            return descriptor

    def write(self, descriptor, buffers, offset):
        with self.disk.lock:
            self.disk.tick()
            total = super().write(descriptor, buffers, offset)
            path = self._path(descriptor)
            at = offset
            for buffer in buffers:
                if len(buffer):
                    self.disk.wrote(path, at, buffer)
                    at += len(buffer)
            return total

    def sync(self, descriptor):
        with self.disk.lock:
            self.disk.tick()
            self.disk.synced(self._path(descriptor))

    def truncate(self, descriptor, size_bytes):
        with self.disk.lock:
            self.disk.tick()
            super().truncate(descriptor, size_bytes)
            self.disk.truncated(self._path(descriptor), size_bytes)

    def rename(self, source, target):
        with self.disk.lock:
            self.disk.tick()
            super().rename(source, target)
            self.disk.renamed(str(source), str(target))

    def unlink(self, path):
        with self.disk.lock:
            self.disk.tick()
            super().unlink(path)
            self.disk.removed(str(path))

    def sync_directory(self, path):
        with self.disk.lock:
            self.disk.tick()
            self.disk.directory_synced(str(path))


class PowerCutVFS(apsw.VFS):
    """SQLite on that disk: databases and write-ahead logs; the shared index is memory."""

    def __init__(self, name="powercut"):
        self.disks = []
        super().__init__(name, base="unix")

    def disk_of(self, path):
        return next((disk for disk in self.disks if path.startswith(str(disk.root))), None)

    def xOpen(self, name, flags):
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        disk = self.disk_of(path) if path else None
        if disk is None:
            return super().xOpen(name, flags)
        with disk.lock:
            if disk.dead:
                raise apsw.CantOpenError
            there = path in disk.names
            file = PowerCutFile(name, flags, disk, path)
            if not there and Path(path).exists():
                disk.created(path)
            return file

    def xDelete(self, name, sync_directory):
        disk = self.disk_of(name)
        if disk is None:
            return super().xDelete(name, sync_directory)
        with disk.lock:
            if disk.dead:
                raise apsw.IOError
            super().xDelete(name, sync_directory)
            disk.removed(name)
            if sync_directory:
                disk.directory_synced(str(Path(name).parent))


class PowerCutFile(apsw.VFSFile):
    def __init__(self, name, flags, disk, path):
        self.disk = disk
        self.path = path
        # as SQLite's own VFS: the first sync of a log also syncs its name
        self.sync_name = bool(flags[0] & apsw.SQLITE_OPEN_CREATE) and bool(flags[0] & apsw.SQLITE_OPEN_WAL)
        super().__init__("unix", name, flags)

    def _tick(self):
        try:
            self.disk.tick()
        except PowerCut:
            raise apsw.IOError("power cut") from None

    def xWrite(self, data, offset):
        with self.disk.lock:
            self._tick()
            super().xWrite(data, offset)
            self.disk.wrote(self.path, offset, data)

    def xTruncate(self, size):
        with self.disk.lock:
            self._tick()
            super().xTruncate(size)
            self.disk.truncated(self.path, size)

    def xSync(self, flags):
        with self.disk.lock:
            self._tick()
            self.disk.synced(self.path)
            if self.sync_name:
                self.disk.directory_synced(str(Path(self.path).parent))
                self.sync_name = False


class Syncs:
    """Sends bare `os.fsync` and `os.fdatasync` to the disks."""

    def __init__(self, vfs):
        self.vfs = vfs

    def __call__(self, descriptor):
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        disk = self.vfs.disk_of(path)
        if disk is None:
            return
        with disk.lock:
            disk.tick()
            if path in disk.names:
                disk.synced(path)
            else:
                disk.directory_synced(path)


def copy_tree(source, target):
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*-shm"))
