"""The journal's file operations as a port, so that tests can simulate power cuts and failing disks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from postern.model.refusal import Reason, Refusal

_IOV_MAX = 1024
Buffer = bytes | memoryview | bytearray


class Files:
    """The operating system's files. All calls block; errors are OSError."""

    def create(self, path: Path, size_bytes: int = 0) -> int:
        """Make a new file, with its blocks allocated if a size is given; the descriptor. Not durable yet."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        if size_bytes:
            try:
                os.posix_fallocate(descriptor, 0, size_bytes)
            except OSError:
                os.close(descriptor)
                path.unlink(missing_ok=True)
                raise
        return descriptor

    def open(self, path: Path) -> int:
        """Open an existing file for reading and writing."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def write(self, descriptor: int, buffers: Sequence[Buffer], offset: int) -> int:
        """Write all buffers one behind the other; how many octets. Not durable before `sync`."""
        total = 0
        for start in range(0, len(buffers), _IOV_MAX):
            part = buffers[start : start + _IOV_MAX]
            wanted = sum(map(len, part))
            written = os.pwritev(descriptor, part, offset + total)
            if written < wanted:  # a signal or a nearly full disk; the rest goes piece by piece
                rest = memoryview(b"".join(part))[written:]
                while rest:
                    count = os.pwrite(descriptor, rest, offset + total + written)
                    rest = rest[count:]
                    written += count
            total += wanted
        return total

    def sync(self, descriptor: int) -> None:
        """Make a file's content durable (fdatasync)."""
        os.fdatasync(descriptor)

    def truncate(self, descriptor: int, size_bytes: int) -> None:
        """Cut a file's end off."""
        os.ftruncate(descriptor, size_bytes)

    def close(self, descriptor: int) -> None:
        """Close a descriptor."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Rename, replacing the target. Durable after `sync_directory`."""
        source.replace(target)

    def unlink(self, path: Path) -> None:
        """Remove a file if it is there."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Make creations, renames and removals in a directory durable."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class JournalFailedError(Refusal):
    """The disk refused to sync: this journal takes nothing any more, its worker has to end and be replayed."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.SHUTTING_DOWN, detail)
