"""Where a data directory keeps its journals, and how journals are numbered.

* `DATA/journal/next`: the next journal id (text), replaced atomically, under a lock on `next.lock`
* `DATA/journal/<journal:011x>.mark`: low-water mark; locked while the journal has a living owner
* `DATA/journal/<segment:016x>.seg`: a segment, sealed if it ends with a footer
* `DATA/journal/<segment:016x>.idx`: index of an unsealed segment for the other workers; never synced
* `DATA/journal/<segment:016x>-<record:08x>.body`: the content of a spooled record
* `DATA/journal/*.tmp`: being written; worthless once their journal has no living owner
* `DATA/journal/pins/<name>`: garbage collection waits while there is one
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path

from postern.store.journal.files import Files
from postern.store.journal.records import journal_of

SEGMENT_BYTES = 64 << 20
SPOOL_ABOVE_BYTES = 1 << 20
_SEGMENT_NAME = re.compile(r"([0-9a-f]{16})\.seg")
_BODY_NAME = re.compile(r"([0-9a-f]{16})-([0-9a-f]{8})\.body")
_MARK_NAME = re.compile(r"([0-9a-f]{11})\.mark")


def journal_directory(data: Path) -> Path:
    """The journals' directory in a data directory."""
    return data / "journal"


def segment_path(directory: Path, segment: int) -> Path:
    """A segment's file."""
    return directory / f"{segment:016x}.seg"


def sidecar_path(directory: Path, segment: int) -> Path:
    """An unsealed segment's index."""
    return directory / f"{segment:016x}.idx"


def body_path(directory: Path, segment: int, record: int) -> Path:
    """A spooled record's content."""
    return directory / f"{segment:016x}-{record:08x}.body"


def mark_path(directory: Path, journal: int) -> Path:
    """A journal's low-water mark."""
    return directory / f"{journal:011x}.mark"


def pins_directory(directory: Path) -> Path:
    """Where whoever copies references between mailboxes, or backs them up, holds garbage collection off."""
    return directory / "pins"


def segments(directory: Path, journal: int | None = None) -> list[int]:
    """Numbers of the segments there are, ascending; of one journal if given."""
    found = (int(match[1], 16) for path in directory.iterdir() if (match := _SEGMENT_NAME.fullmatch(path.name)))
    return sorted(number for number in found if journal is None or journal_of(number) == journal)


def bodies(directory: Path) -> list[tuple[int, int]]:
    """(segment, record) of all spooled contents."""
    matches = (_BODY_NAME.fullmatch(path.name) for path in directory.iterdir())
    return sorted((int(match[1], 16), int(match[2], 16)) for match in matches if match)


def journals(directory: Path) -> list[int]:
    """Ids of the journals that have a mark, ascending."""
    return sorted(int(match[1], 16) for path in directory.iterdir() if (match := _MARK_NAME.fullmatch(path.name)))


def allocate_journal(directory: Path, files: Files | None = None) -> int:
    """A journal id that was never given before, durably; a command may ask for one beside the supervisor."""
    files = files or Files()
    directory.mkdir(parents=True, exist_ok=True)
    lock = os.open(directory / "next.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _allocate(directory, files)
    finally:
        os.close(lock)


def _allocate(directory: Path, files: Files) -> int:
    counter = directory / "next"
    known = [number + 1 for number in journals(directory)] + [journal_of(s) + 1 for s in segments(directory)]
    number = max([int(counter.read_text()) if counter.exists() else 1, *known])
    temporary = directory / "next.tmp"
    files.unlink(temporary)
    descriptor = files.create(temporary)
    try:
        files.write(descriptor, [b"%d\n" % (number + 1)], 0)
        files.sync(descriptor)
    finally:
        files.close(descriptor)
    files.rename(temporary, counter)
    files.sync_directory(directory)
    return number
