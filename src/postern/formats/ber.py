"""BER as LDAP and Kerberos use it (X.690): definite lengths, written in the shortest form.

A tag is its identifier octets read as one big-endian number: 0x30 is SEQUENCE, 0x63 is [APPLICATION 3] constructed,
0x1F8100 would be a tag number of 128. So a tag in code looks like the octets on the wire.

Reading never copies more than the value asked for and never trusts a length: every element has to end inside the one
that holds it, and nesting is as deep as the caller's own calls. The indefinite form is refused (RFC 4511 5.1).
Everything wrong with the input is a ProtocolViolation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from postern.model.refusal import ProtocolViolation

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
ENUMERATED = 0x0A
UTF8_STRING = 0x0C
GENERALIZED_TIME = 0x18
GENERAL_STRING = 0x1B
SEQUENCE = 0x30
SET = 0x31

CONSTRUCTED = 0x20
APPLICATION = 0x40
CONTEXT = 0x80

TAG_OCTETS = 4
"""Octets of an identifier that are read; no protocol here has a tag number over 30."""
LENGTH_OCTETS = 4
"""Octets of a long length: 4 GiB."""
INTEGER_OCTETS = 16
"""Octets of an integer: the largest there are in LDAP and Kerberos have 8."""

T = TypeVar("T")


# --- writing


def element(tag: int, content: bytes) -> bytes:
    """Tag, length, content."""
    size = len(content)
    if size < 0x80:
        length = bytes((size,))
    else:
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        length = bytes((0x80 | len(octets),)) + octets
    return tag.to_bytes((tag.bit_length() + 7) // 8 or 1, "big") + length + content


def sequence(*parts: bytes, tag: int = SEQUENCE) -> bytes:
    """A SEQUENCE, SET or other constructed value of encoded parts."""
    return element(tag, b"".join(parts))


def integer(value: int, tag: int = INTEGER) -> bytes:
    """INTEGER or ENUMERATED in the fewest octets of two's complement."""
    size = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return element(tag, value.to_bytes(size, "big", signed=True))


def boolean(value: bool, tag: int = BOOLEAN) -> bytes:
    """TRUE is 0xFF (RFC 4511 5.1)."""
    return element(tag, b"\xff" if value else b"\x00")


def octets(value: bytes, tag: int = OCTET_STRING) -> bytes:
    """OCTET STRING."""
    return element(tag, value)


def text(value: str, tag: int = OCTET_STRING) -> bytes:
    """UTF-8 in an OCTET STRING, as LDAP has its strings; other tags for real string types."""
    return element(tag, value.encode())


def null(tag: int = NULL) -> bytes:
    """NULL."""
    return element(tag, b"")


def bits(value: bytes, unused: int = 0, tag: int = BIT_STRING) -> bytes:
    """BIT STRING; `unused` bits at the end do not count."""
    return element(tag, bytes((unused,)) + value)


def object_identifier(dotted: str, tag: int = OBJECT_IDENTIFIER) -> bytes:
    """OBJECT IDENTIFIER from dotted numbers. Raises ValueError."""
    numbers = [int(number) for number in dotted.split(".")]
    if len(numbers) < 2 or numbers[0] > 2 or (numbers[0] < 2 and numbers[1] > 39) or min(numbers) < 0:
        raise ValueError(dotted)
    content = b""
    for number in (numbers[0] * 40 + numbers[1], *numbers[2:]):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(number & 0x7F | 0x80)
        content += bytes(reversed(septets))
    return element(tag, content)


# --- reading


def measure(data: bytes | bytearray | memoryview, limit_bytes: int) -> int | None:
    """Octets of the element that `data` starts with; None if too little is there to tell.

    Raises ProtocolViolation for a header that cannot be right, and for an element of more than `limit_bytes`: it is
    told as soon as the length is there, before anything of that size is kept.
    """
    try:
        _, start, end = _header(data, 0, len(data))
    except _Short:
        return None
    if end > limit_bytes:
        raise ProtocolViolation(f"an element of {end - start} octets is too large")
    return end


class Reader:
    """The elements of one constructed value, one after the other."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._position = start
        self._end = len(data) if end is None else end

    def __bool__(self) -> bool:
        """Whether there is another element."""
        return self._position < self._end

    def peek(self) -> int | None:
        """The next element's tag; None at the end. Raises ProtocolViolation."""
        return self._next()[0] if self else None

    def next(self, tag: int | None = None) -> tuple[int, bytes]:
        """Tag and content of the next element, which must have the tag if one is given. Raises ProtocolViolation."""
        found, start, end = self._next(tag)
        self._position = end
        return found, self._data[start:end]

    def enter(self, tag: int = SEQUENCE) -> Reader:
        """A reader of the next element's own elements. Raises ProtocolViolation."""
        _, start, end = self._next(tag)
        self._position = end
        return Reader(self._data, start, end)

    def raw(self) -> bytes:
        """The next element with its tag and length. Raises ProtocolViolation."""
        start = self._position
        self._position = self._next()[2]
        return self._data[start : self._position]

    def skip(self) -> None:
        """Pass the next element over. Raises ProtocolViolation."""
        self._position = self._next()[2]

    def rest(self) -> bytes:
        """What is left, undecoded; the reader is at its end then."""
        start, self._position = self._position, self._end
        return self._data[start : self._end]

    def finish(self) -> None:
        """Raise ProtocolViolation if anything is left."""
        if self:
            raise ProtocolViolation("more elements than there should be")

    # --- values

    def octets(self, tag: int = OCTET_STRING) -> bytes:
        """OCTET STRING. Raises ProtocolViolation."""
        return self.next(tag)[1]

    def text(self, tag: int = OCTET_STRING) -> str:
        """A UTF-8 string. Raises ProtocolViolation."""
        try:
            return self.next(tag)[1].decode()
        except UnicodeDecodeError as error:
            raise ProtocolViolation("text that is not UTF-8") from error

    def integer(self, tag: int = INTEGER) -> int:
        """INTEGER or ENUMERATED. Raises ProtocolViolation."""
        content = self.next(tag)[1]
        if not 0 < len(content) <= INTEGER_OCTETS:
            raise ProtocolViolation(f"an integer of {len(content)} octets")
        return int.from_bytes(content, "big", signed=True)

    def boolean(self, tag: int = BOOLEAN) -> bool:
        """BOOLEAN; every octet but 0 is TRUE (X.690 8.2.2). Raises ProtocolViolation."""
        content = self.next(tag)[1]
        if len(content) != 1:
            raise ProtocolViolation(f"a boolean of {len(content)} octets")
        return content != b"\x00"

    def bits(self, tag: int = BIT_STRING) -> tuple[bytes, int]:
        """BIT STRING: octets, and how many bits of the last do not count. Raises ProtocolViolation."""
        content = self.next(tag)[1]
        if not content or content[0] > 7 or (content[0] and len(content) == 1):
            raise ProtocolViolation("a malformed bit string")
        return content[1:], content[0]

    def object_identifier(self, tag: int = OBJECT_IDENTIFIER) -> str:
        """OBJECT IDENTIFIER in dotted numbers. Raises ProtocolViolation."""
        content = self.next(tag)[1]
        if not content or content[-1] & 0x80 or len(content) > 256:
            raise ProtocolViolation("a malformed object identifier")
        numbers, number = [], 0
        for octet in content:
            if number == 0 and octet == 0x80:
                raise ProtocolViolation("a malformed object identifier")
            number = number << 7 | octet & 0x7F
            if not octet & 0x80:
                numbers.append(number)
                number = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - first * 40, *numbers[1:])))

    def optional(self, tag: int, read: Callable[[Reader], T]) -> T | None:
        """`read` the next element if it has the tag, else None. Raises ProtocolViolation."""
        return read(self) if self.peek() == tag else None

    def _next(self, tag: int | None = None) -> tuple[int, int, int]:
        if not self:
            raise ProtocolViolation("an element is missing")
        try:
            found, start, end = _header(self._data, self._position, self._end)
        except _Short:
            raise ProtocolViolation("an element is cut short") from None
        if end > self._end:
            raise ProtocolViolation("an element is longer than what holds it")
        if tag is not None and found != tag:
            raise ProtocolViolation(f"tag {found:#x} where {tag:#x} should be")
        return found, start, end


class _Short(Exception):  # noqa: N818 - no error: there is more to come
    """The header is not all there."""


def _header(data: bytes | bytearray | memoryview, position: int, end: int) -> tuple[int, int, int]:
    """Tag, start and end of the content. The content may end after `end`. Raises _Short, ProtocolViolation."""
    if position >= end:
        raise _Short
    tag = data[position]
    position += 1
    if tag & 0x1F == 0x1F:
        for index in range(TAG_OCTETS):
            if index == TAG_OCTETS - 1:
                raise ProtocolViolation("a tag number is too large")
            if position >= end:
                raise _Short
            octet = data[position]
            position += 1
            tag = tag << 8 | octet
            if not octet & 0x80:
                break
    if position >= end:
        raise _Short
    size = data[position]
    position += 1
    if size >= 0x80:
        count = size & 0x7F
        if not 0 < count <= LENGTH_OCTETS:
            raise ProtocolViolation("indefinite length" if count == 0 else "a length is too large")
        if position + count > end:
            raise _Short
        size = int.from_bytes(data[position : position + count], "big")
        position += count
    return tag, position, position + size
