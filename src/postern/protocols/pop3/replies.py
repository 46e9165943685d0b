"""POP3 replies as octets."""

from __future__ import annotations

from collections.abc import Iterable

END = b".\r\n"
TOP_ALL = 1 << 20
"""More lines than this are the whole message."""


def ok(text: str = "") -> bytes:
    """A positive reply."""
    return b"+OK %b\r\n" % text.encode() if text else b"+OK\r\n"


def error(text: str, code: str = "") -> bytes:
    """A negative reply, with an extended response code (RFC 2449 8, RFC 3206) if given."""
    return (f"-ERR [{code}] {text}\r\n" if code else f"-ERR {text}\r\n").encode()


def lines(first: str, rest: Iterable[str]) -> bytes:
    """A multi-line reply of lines that never begin with a dot."""
    return "\r\n".join((f"+OK {first}", *rest, ".\r\n")).encode()


def stuffed(content: bytes) -> bytes:
    """A message as the body of a multi-line reply, with its end (RFC 1939 3).

    A dot after a bare LF is doubled too: clients that take it for a line end must not see the end of the message.
    """
    if content.startswith(b"."):
        content = b"." + content
    if b"\n." in content:
        content = content.replace(b"\n.", b"\n..")
    return content + (END if content.endswith(b"\r\n") or not content else b"\r\n" + END)


def top(content: bytes, count: int) -> bytes:
    """Header, blank line and the first `count` lines of the body (RFC 1939 7, TOP)."""
    if content.startswith(b"\r\n"):
        end = 2
    else:
        end = content.find(b"\r\n\r\n") + 4
        if end == 3 or count > TOP_ALL:
            return content
    for _ in range(count):
        found = content.find(b"\n", end)
        if found < 0:
            return content
        end = found + 1
    return content[:end]
