"""One archive file: what migration.archive describes."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import msgspec

from postern.migration import archive
from postern.migration.values import SourceFolder, SourceMessage, names_of


class ArchiveTarget:
    """Implements migration.exporting.Target. The file has its name only once it is whole."""

    def __init__(self, path: Path, address: str, made_at: int) -> None:
        """`made_at`: seconds since the epoch. A name that ends with `.gz` is compressed. Raises OSError."""
        self._path = path
        self._making = path.with_name(f".{path.name}.part")
        self._made_at = made_at
        mode = "w:gz" if path.name.endswith((".gz", ".tgz")) else "w"
        self._tar = tarfile.open(  # noqa: SIM115 - closed by finish or abandon
            self._making, mode, format=tarfile.PAX_FORMAT
        )  # type: ignore[call-overload]
        self._running = archive.Running()
        self._number = 0
        self._put(archive.HEAD, msgspec.json.encode(archive.Head(address, made_at)), made_at)

    def folder(self, folder: SourceFolder) -> None:
        """Begin a folder."""
        self._number += 1
        facts = archive.FolderFacts(
            list(folder.path), folder.special.value, folder.subscribed, int(folder.generation or 0)
        )
        self._put(f"{self._number:04d}/{archive.FOLDER}", msgspec.json.encode(facts), self._made_at)

    def message(self, message: SourceMessage) -> None:
        """Add a message to the folder that was begun last."""
        self._running.add(message.content)
        name = f"{self._number:04d}/{int(message.key):09d}.eml"
        self._put(name, message.content, message.received_at or 0, " ".join(names_of(message.state)))

    def finish(self) -> None:
        """Everything is there. Durable on return."""
        self._put(archive.END, msgspec.json.encode(self._running.end()), self._made_at)
        self._tar.close()
        self._making.replace(self._path)

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._tar.close()
        self._making.unlink(missing_ok=True)

    def _put(self, name: str, content: bytes, at: int, flags: str = "") -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mtime, member.mode = len(content), at, 0o600
        if flags:
            member.pax_headers = {archive.FLAGS_FIELD: flags}
        self._tar.addfile(member, io.BytesIO(content))
