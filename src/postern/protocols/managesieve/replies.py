"""What the server says (RFC 5804 1.3, 4)."""

from __future__ import annotations

from collections.abc import Iterable

QUOTED_LIMIT_BYTES = 1024


def string(text: str | bytes) -> bytes:
    """Quoted if it may be, else a literal."""
    data = text.encode() if isinstance(text, str) else text
    if len(data) <= QUOTED_LIMIT_BYTES and not set(data) & {0, 10, 13}:
        return b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return literal(data)


def literal(data: bytes) -> bytes:
    """`{n}` and the octets."""
    return b"{%d}\r\n%b" % (len(data), data)


def _response(kind: bytes, text: str, code: bytes) -> bytes:
    return kind + (b" (" + code + b")" if code else b"") + (b" " + string(text) if text else b"") + b"\r\n"


def ok(text: str = "", code: bytes = b"") -> bytes:
    """It is done."""
    return _response(b"OK", text, code)


def no(text: str, code: bytes = b"") -> bytes:
    """It is not."""
    return _response(b"NO", text, code)


def bye(text: str, code: bytes = b"") -> bytes:
    """The session ends."""
    return _response(b"BYE", text, code)


def challenge(encoded: bytes) -> bytes:
    """A SASL challenge, in base64 already."""
    return string(encoded) + b"\r\n"


def capabilities(rows: Iterable[tuple[str, str | None]]) -> bytes:
    """Name and value a line (RFC 5804 1.7)."""
    return b"".join(string(name) + (b"" if value is None else b" " + string(value)) + b"\r\n" for name, value in rows)


def script_list(rows: Iterable[tuple[str, bool]]) -> bytes:
    """Name and whether it is active (RFC 5804 2.7)."""
    return b"".join(string(name) + (b" ACTIVE" if active else b"") + b"\r\n" for name, active in rows)
