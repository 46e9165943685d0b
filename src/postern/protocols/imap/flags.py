"""Flags between the wire (`\\Seen`, `$Label1`) and the store's bit mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from postern.model.items import FIRST_KEYWORD_BIT, Flag
from postern.model.refusal import ProtocolViolation

RECENT = 1 << 63
"""`\\Recent` (RFC 3501 2.3.2) belongs to a session, not to the item: a bit above all keywords."""

SYSTEM: dict[bytes, int] = {
    b"\\ANSWERED": Flag.ANSWERED.value,
    b"\\FLAGGED": Flag.FLAGGED.value,
    b"\\DELETED": Flag.DELETED.value,
    b"\\SEEN": Flag.SEEN.value,
    b"\\DRAFT": Flag.DRAFT.value,
}

SYSTEM_NAMES: tuple[tuple[int, bytes], ...] = (
    (Flag.ANSWERED.value, b"\\Answered"),
    (Flag.FLAGGED.value, b"\\Flagged"),
    (Flag.DELETED.value, b"\\Deleted"),
    (Flag.SEEN.value, b"\\Seen"),
    (Flag.DRAFT.value, b"\\Draft"),
    (RECENT, b"\\Recent"),
)

MAX_KEYWORD_BYTES = 128


class Flags(NamedTuple):
    """Flags of a STORE or APPEND."""

    system: int
    keywords: tuple[str, ...]


def parse(names: Iterable[bytes]) -> Flags:
    """Wire names to values. Raises ProtocolViolation for `\\Recent` and unknown system flags."""
    system = 0
    keywords: list[str] = []
    for name in names:
        if name.startswith(b"\\"):
            bit = SYSTEM.get(name.upper())
            if bit is None:
                raise ProtocolViolation(f"flag {name.decode('ascii')} cannot be set")
            system |= bit
        elif len(name) > MAX_KEYWORD_BYTES:
            raise ProtocolViolation(f"keyword over {MAX_KEYWORD_BYTES} octets")
        else:
            keywords.append(name.decode("ascii"))
    return Flags(system, tuple(keywords))


class FlagTexts(dict[int, bytes]):
    """Mask -> `(\\Seen $Label)`, made once for each combination a session meets.

    `unknown` is set when a mask has a keyword bit without a name: the session then reads the names again.
    """

    __slots__ = ("_names", "unknown")

    def __init__(self, keywords: Mapping[int, str]) -> None:
        super().__init__()
        self._names = (*SYSTEM_NAMES, *((1 << bit, name.encode("ascii")) for bit, name in sorted(keywords.items())))
        self.unknown = False

    def __missing__(self, mask: int) -> bytes:
        names = self._names
        text = b"(%b)" % b" ".join([name for bit, name in names if mask & bit])
        known = sum(bit for bit, _ in names)
        if (mask & ~known) >> FIRST_KEYWORD_BIT:
            self.unknown = True
            return text
        self[mask] = text
        return text

    def permanent(self, mask: int) -> bytes:
        """Those that may be changed (RFC 9051 7.1): by their bits, negative for all; with keywords new ones too."""
        names = [name for bit, name in self._names if bit != RECENT and mask & bit]
        return b" ".join([*names, b"\\*"] if mask >> FIRST_KEYWORD_BIT else names)

    def defined(self) -> bytes:
        """All names for the FLAGS response, without `\\Recent`."""
        return b" ".join(name for bit, name in self._names if bit != RECENT)
