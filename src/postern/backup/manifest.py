"""What a snapshot says: the files there were, what they are made of, and up to where their journals were applied."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

FORMAT = 1
NAME_BYTES = 32

Kind = Literal["plain", "database", "mailbox", "segment", "body"]


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A file."""

    path: str
    """Below the data directory; `//` at its beginning: an absolute path, a file that settings name."""
    kind: Kind
    size: int
    chunk_bytes: int
    names: bytes
    """Names of its chunks one behind the other; each but the last has `chunk_bytes`."""
    seen: tuple[int, ...] = ()
    """How it looked (inodes, sizes, times): unchanged if it looks the same. Empty: to be read again."""
    segments: tuple[int, ...] = ()
    """Of a mailbox: what its items refer to."""
    change: int = 0
    """Of a mailbox: its change number."""

    @property
    def chunks(self) -> list[bytes]:
        """Names of its chunks in their order."""
        return [self.names[start : start + NAME_BYTES] for start in range(0, len(self.names), NAME_BYTES)]


class MarkAt(msgspec.Struct, frozen=True, array_like=True):
    """A journal's low-water mark before anything else was read."""

    journal: int
    segment: int
    record: int
    closed: bool


class Manifest(msgspec.Struct, frozen=True):
    """A snapshot."""

    began_at: float
    """Seconds since the epoch. Every message that was acknowledged before is in the snapshot."""
    ended_at: float
    host: str
    version: str
    """Of the program."""
    files: tuple[Entry, ...]
    marks: tuple[MarkAt, ...]
    trouble: tuple[str, ...] = ()
    """What could not be taken, or did not resolve."""
    format: Literal[1] = 1

    def entry(self, path: str) -> Entry | None:
        """A file by its path."""
        return next((one for one in self.files if one.path == path), None)

    @property
    def size_bytes(self) -> int:
        """Of all files."""
        return sum(one.size for one in self.files)


class Taken(NamedTuple):
    """What a run did."""

    snapshot: str
    files: int
    total_bytes: int
    read_bytes: int
    """Of files that had changed."""
    new_bytes: int
    """What the repository grew by."""
    seconds: float
    references: int
    """References of mailboxes and queue that were followed."""
    trouble: tuple[str, ...]
