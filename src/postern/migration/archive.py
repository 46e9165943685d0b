"""The form of an archive file: a tar (POSIX pax, perhaps compressed with gzip) that any tool can open.

* `postern-archive.json`: first; version, address, when
* `0001/folder.json`: path, special use, subscription; one directory a folder
* `0001/000000042.eml`: a message as it is on the wire; the file's time is when it came, its flags are in the pax field
  `POSTERN.flags`
* `end.json`: last; how many messages, and a digest over all of them: without it, the file is not whole
"""

from __future__ import annotations

import hashlib
from typing import Literal

import msgspec

HEAD = "postern-archive.json"
END = "end.json"
FOLDER = "folder.json"
FLAGS_FIELD = "POSTERN.flags"


class Head(msgspec.Struct, frozen=True):
    """Of the whole file."""

    address: str
    made_at: int
    """Seconds since the epoch."""
    version: Literal[1] = 1


class FolderFacts(msgspec.Struct, frozen=True):
    """Of a directory."""

    path: list[str]
    special: str = ""
    subscribed: bool = True
    uid_validity: int = 0


class End(msgspec.Struct, frozen=True):
    """What must have been read by then."""

    messages: int
    digest: str
    """SHA-256 over the SHA-256 of each message, in their order; hexadecimal."""


class Running:
    """The digest while messages go by."""

    def __init__(self) -> None:
        self.messages = 0
        self._digest = hashlib.sha256()

    def add(self, content: bytes) -> None:
        """One more message."""
        self.messages += 1
        self._digest.update(hashlib.sha256(content).digest())

    def end(self) -> End:
        """What there was."""
        return End(self.messages, self._digest.hexdigest())
