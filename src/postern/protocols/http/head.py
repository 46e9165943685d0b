"""Requests without a body, and heads of responses: status line and fields, bounded. SIP's heads have the same form."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from postern.model.refusal import ProtocolViolation

HEAD_LIMIT_BYTES = 65536
FIELDS_LIMIT = 200
_STATUS = re.compile(rb"(HTTP/1\.[01]|SIP/2\.0) ([1-6][0-9]{2})(?: (.*))?", re.DOTALL)
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9\-]*(?=[ ,]|$)(?!\s*=)")


class Head(msgspec.Struct, frozen=True):
    """What a server answered, without the body."""

    status: int
    reason: str
    fields: tuple[tuple[str, str], ...]
    """Names in small letters, in the order they came; repeated ones stay apart."""

    def all(self, name: str) -> tuple[str, ...]:
        """Values of a field, one for each time it is there."""
        return tuple(value for key, value in self.fields if key == name)

    def get(self, name: str) -> str:
        """The first value of a field, empty if there is none."""
        return next(iter(self.all(name)), "")

    @property
    def schemes(self) -> tuple[str, ...]:
        """Authentication schemes of the challenges (RFC 9110 11.6.1), as written, in their order, each once."""
        found: dict[str, str] = {}
        for value in self.all("www-authenticate") + self.all("proxy-authenticate"):
            for part in _split(value):
                if match := _SCHEME.match(part):
                    found.setdefault(match[0].lower(), match[0])
        return tuple(found.values())


def request(method: str, target: str, host: str, fields: Sequence[tuple[str, str]] = ()) -> bytes:
    """A request without a body, after which the server closes. Raises ValueError for what breaks the head."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in fields)]
    if any(ord(c) < 0x20 or ord(c) > 0x7E for line in lines for c in line) or " " in target:
        raise ValueError("a request cannot have this in its head")
    return ("\r\n".join([*lines, "Connection: close"]) + "\r\n\r\n").encode("ascii")


def parse(data: bytes) -> Head | None:
    """The head of a response; None if its end has not come. Raises ProtocolViolation."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > HEAD_LIMIT_BYTES:
            raise ProtocolViolation("the head of the answer has no end")
        first = data.split(b"\r\n", 1)[0][:8]
        if not (b"HTTP/1.1".startswith(first) or b"HTTP/1.0".startswith(first) or b"SIP/2.0 ".startswith(first)):
            raise ProtocolViolation("server speaks another protocol")
        return None
    if end > HEAD_LIMIT_BYTES:
        raise ProtocolViolation("the head of the answer is too long")
    first, *lines = data[:end].split(b"\r\n")
    match = _STATUS.fullmatch(first)
    if match is None or len(lines) > FIELDS_LIMIT:
        raise ProtocolViolation("server speaks another protocol" if match is None else "too many fields")
    fields = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not _NAME.fullmatch(name.rstrip(b" \t")):
            raise ProtocolViolation("a malformed field")
        fields.append((name.rstrip(b" \t").decode("ascii").lower(), value.strip().decode("utf-8", "replace")))
    return Head(int(match[2]), (match[3] or b"").decode("utf-8", "replace"), tuple(fields))


def _split(value: str) -> list[str]:
    """At commas outside quotes."""
    parts, quoted, current = [], False, ""
    for character in value:
        if character == '"':
            quoted = not quoted
        if character == "," and not quoted:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [*parts, current.strip()]
