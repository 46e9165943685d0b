"""Folders and messages between a foreign store and a mailbox, and what a source of them has to offer."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from postern.model.items import Flag, SpecialUse

BATCH_MESSAGES = 200
BATCH_BYTES = 16 << 20
"""A batch ends with the message that reaches either; what is in memory at a time stays below twice that."""

_BARE_NEWLINE = re.compile(rb"(?<!\r)\n")
_BARE_RETURN = re.compile(rb"\r(?!\n)")


class SourceError(Exception):
    """The source cannot be read; the text is for the administrator and says what to do."""


class State(NamedTuple):
    """What of a message changes while it stays where it is."""

    flags: int
    """Bits of model.items.Flag."""
    keywords: tuple[str, ...] = ()


class SourceFolder(NamedTuple):
    """A folder of mail elsewhere."""

    key: str
    """Names the folder to its source, the same in each run."""
    path: tuple[str, ...]
    """Names from the top; `("INBOX",)` is the inbox."""
    generation: str = ""
    """UIDVALIDITY or the like: message keys count only together with it."""
    special: SpecialUse = SpecialUse.NONE
    subscribed: bool = True
    total: int = 0
    """Messages in it."""


class SourceMessage(NamedTuple):
    """A message elsewhere."""

    key: str
    content: bytes
    """With CRLF line endings."""
    state: State
    received_at: int | None
    """Seconds since the epoch."""


class Source(Protocol):
    """Blocking code: it is called in a thread, one call at a time."""

    name: str
    """The same in each run for the same store: a run that was cut off goes on under it."""

    def folders(self) -> Sequence[SourceFolder]:
        """All folders of mail, parents before children. Raises SourceError."""
        ...

    def messages(self, folder: SourceFolder, known: Container[str]) -> Iterator[Sequence[SourceMessage]]:
        """The messages whose keys are not `known`, in their order, in batches. Raises SourceError."""
        ...

    def states(self, folder: SourceFolder) -> Mapping[str, State]:
        """Flags of all messages that are there now, by key. Raises SourceError."""
        ...

    def extras(self) -> Mapping[str, bytes]:
        """Further files of the account that move along: `sieve/<name>` is a Sieve script."""
        ...

    def close(self) -> None:
        """Let go."""
        ...


def with_crlf(content: bytes) -> bytes:
    """A message out of a file as it goes over the wire: Unix line endings become CRLF, single CRs too."""
    if b"\r" in content:
        return _BARE_NEWLINE.sub(b"\r\n", _BARE_RETURN.sub(b"\r\n", content))
    return content.replace(b"\n", b"\r\n")


def batches(
    keys: Sequence[str], size_of: Callable[[str], int], read: Callable[[str], SourceMessage | None]
) -> Iterator[list[SourceMessage]]:
    """Messages one by one, gathered into batches; `read` answers None for one that has gone meanwhile."""
    batch: list[SourceMessage] = []
    octets = 0
    for key in keys:
        message = read(key)
        if message is None:
            continue
        batch.append(message)
        octets += size_of(key)
        if len(batch) >= BATCH_MESSAGES or octets >= BATCH_BYTES:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch


FLAG_NAMES: dict[str, Flag] = {
    "\\seen": Flag.SEEN,
    "\\answered": Flag.ANSWERED,
    "\\flagged": Flag.FLAGGED,
    "\\deleted": Flag.DELETED,
    "\\draft": Flag.DRAFT,
}


def state_of(names: Sequence[str]) -> State:
    """From IMAP flag names; system flags that we do not know are left out, `\\Recent` too."""
    flags = 0
    keywords = []
    for name in names:
        bit = FLAG_NAMES.get(name.lower())
        if bit is not None:
            flags |= bit
        elif not name.startswith("\\"):
            keywords.append(name)
    return State(flags, tuple(sorted(set(keywords))))


def names_of(state: State) -> list[str]:
    """IMAP flag names."""
    own = [name.title() for name, bit in FLAG_NAMES.items() if state.flags & bit]
    return ["\\" + name[1:] for name in own] + list(state.keywords)


_SPECIAL_NAMES: dict[str, SpecialUse] = {
    "inbox": SpecialUse.INBOX,
    **dict.fromkeys(
        ("sent", "sent items", "sent messages", "sent mail", "gesendet", "gesendete objekte", "отправленные"),
        SpecialUse.SENT,
    ),
    **dict.fromkeys(("drafts", "draft", "entwürfe", "черновики"), SpecialUse.DRAFTS),
    **dict.fromkeys(
        ("trash", "deleted items", "deleted messages", "papierkorb", "gelöschte objekte", "удаленные", "удалённые"),
        SpecialUse.TRASH,
    ),
    **dict.fromkeys(("junk", "spam", "junk email", "junk e-mail", "bulk mail", "спам"), SpecialUse.JUNK),
    **dict.fromkeys(("archive", "archives", "archiv", "архив"), SpecialUse.ARCHIVE),
}


def special_of(path: Sequence[str], marks: Sequence[str] = ()) -> SpecialUse:
    """The distinguished folder that a folder elsewhere is: by its special-use mark (RFC 6154 2), else by its name."""
    for mark in marks:
        for use in (SpecialUse.SENT, SpecialUse.DRAFTS, SpecialUse.TRASH, SpecialUse.JUNK, SpecialUse.ARCHIVE):
            if mark.lower() == use.value.lower():
                return use
    return _SPECIAL_NAMES.get(path[0].lower(), SpecialUse.NONE) if len(path) == 1 else SpecialUse.NONE
