"""Where the parts of a message are: the packed map that a mailbox row carries, and IMAP section numbers over it.

Packed form: for every part in the order of the message, four little-endian 32-bit numbers: kind + 256 * depth, start
of its header, start of its body, its end. Offsets are into the content the map was made from (the shared body, without
an item's own prefix). Part 0 is the message itself. The body of an enclosed message is one deeper than the part that
encloses it. Messages of 4 GiB and more have no map.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from sys import byteorder

LEAF = 0
TEXT = 1
MULTIPART = 2
MESSAGE = 3

_WIDTH = 4
PART_HEADER_LIMIT_BYTES = 16384
"""A part's header is read so far and no further."""


class PartMap:
    """A message's parts."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: array[int]) -> None:
        self._numbers = numbers

    @classmethod
    def unpack(cls, packed: bytes) -> PartMap:
        """Read what `pack` wrote. Raises ValueError if it is no part map."""
        if not packed or len(packed) % (4 * _WIDTH):
            raise ValueError("not a part map")
        numbers = array("I")
        numbers.frombytes(packed)
        if byteorder == "big":
            numbers.byteswap()
        return cls(numbers)

    def __len__(self) -> int:
        return len(self._numbers) // _WIDTH

    def find(self, section: str | bytes) -> tuple[int, int] | None:
        """(start, end) of an IMAP section in the content, or None if there is none (RFC 9051 6.4.5.1).

        Sections: empty (all of it), `HEADER`, `TEXT`, `1.2`, `1.2.MIME`, `1.2.HEADER`, `1.2.TEXT`, in any case.
        """
        if isinstance(section, bytes):
            section = section.decode("ascii", "replace")
        numbers = self._numbers
        words = section.upper().split(".") if section else []
        kind = words.pop() if words and not words[-1].isdecimal() else ""
        if not words:
            if kind == "HEADER":
                return numbers[1], numbers[2]
            if kind == "TEXT":
                return numbers[2], numbers[3]
            return (numbers[1], numbers[3]) if not kind else None
        node = self._walk(words)
        if node is None:
            return None
        at = node * _WIDTH
        if not kind:
            return numbers[at + 2], numbers[at + 3]
        if kind == "MIME":
            return numbers[at + 1], numbers[at + 2]
        if numbers[at] & 0xFF != MESSAGE:
            return None
        at += _WIDTH  # the enclosed message's own part follows at once
        if kind == "HEADER":
            return numbers[at + 1], numbers[at + 2]
        return (numbers[at + 2], numbers[at + 3]) if kind == "TEXT" else None

    def _walk(self, words: list[str]) -> int | None:
        """Index of the part with a number such as 1.2.3."""
        numbers = self._numbers
        node, entered = 0, False
        for word in words:
            if not word.isdecimal() or len(word) > 9 or word.startswith("0"):
                return None
            number = int(word)
            if entered and numbers[node * _WIDTH] & 0xFF == MESSAGE:
                node += 1
            elif entered and numbers[node * _WIDTH] & 0xFF != MULTIPART:
                return None
            if numbers[node * _WIDTH] & 0xFF == MULTIPART:
                child = self._child(node, number)
                if child is None:
                    return None
                node = child
            elif number != 1:
                return None
            entered = True
        return node

    def _child(self, node: int, number: int) -> int | None:
        numbers = self._numbers
        depth = numbers[node * _WIDTH] >> 8
        for index in range(node + 1, len(numbers) // _WIDTH):
            found = numbers[index * _WIDTH] >> 8
            if found <= depth:
                return None
            if found == depth + 1:
                number -= 1
                if number == 0:
                    return index
        return None

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        """(kind, depth, header start, body start, end) of each part, in the order of the message."""
        numbers = self._numbers
        for at in range(0, len(numbers), _WIDTH):
            yield numbers[at] & 0xFF, numbers[at] >> 8, numbers[at + 1], numbers[at + 2], numbers[at + 3]


def pack(numbers: list[int]) -> bytes:
    """Four numbers a part, as described above."""
    return struct.pack(f"<{len(numbers)}I", *numbers)
