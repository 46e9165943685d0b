"""Contents that are too large for memory: files of their own, written before their record."""

from __future__ import annotations

from pathlib import Path

from postern.store import failpoints
from postern.store.journal.files import Files


class Spool:
    """A content in a file of its own, written while it comes in. The journal takes the file over."""

    def __init__(self, path: Path, files: Files) -> None:
        self.path = path
        self.size_bytes = 0
        self._files = files
        self._descriptor = files.create(path)

    def write(self, data: bytes | memoryview) -> None:
        """Add to the end. Blocks; raises OSError."""
        self.size_bytes += self._files.write(self._descriptor, [data], self.size_bytes)

    def finish(self) -> None:
        """Make the content durable and close. Blocks; raises OSError."""
        try:
            self._files.sync(self._descriptor)
        finally:
            self._files.close(self._descriptor)
        failpoints.hit("body.spooled")

    def discard(self) -> None:
        """Remove the file."""
        self._files.unlink(self.path)
