"""The virtual directory /OAB."""

from __future__ import annotations

import hashlib
import re
from typing import Protocol

from postern.frontends.http.asgi import Answer, Receive, Scope, Send, field
from postern.model.refusal import Refusal
from postern.services.principal import Principal

MANIFEST = "oab.xml"
_RANGE = re.compile(r"bytes=([0-9]{0,12})-([0-9]{0,12})")


class Books(Protocol):
    """services.offline_books.OfflineBooks."""

    async def manifest(self, principal: Principal) -> bytes | None:
        """oab.xml of somebody's lists."""
        ...

    async def file(self, principal: Principal, name: str) -> bytes:
        """A file by its name. Raises Refusal(NO_SUCH_ITEM)."""
        ...


class OfflineAddressBook:
    """ASGI. Outlook fetches by BITS, which asks for the size and then for ranges of octets."""

    def __init__(self, books: Books) -> None:
        self._books = books

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By the last part of the path: whatever is between it and /OAB is the client's."""
        principal: Principal = scope["state"]["admission"].principal
        name = scope["path"].rpartition("/")[2].lower()
        if scope["method"] not in ("GET", "HEAD"):
            answer = Answer(405, fields=((b"allow", b"GET, HEAD"),))
        elif name == MANIFEST:
            answer = await self._manifest(scope, principal)
        else:
            answer = await self._file(scope, principal, name)
        await answer(scope, receive, send)

    async def _manifest(self, scope: Scope, principal: Principal) -> Answer:
        content = await self._books.manifest(principal)
        if content is None:
            fields = ((b"retry-after", b"60"),)
            return Answer(503, b"The offline address book is being made.\n", fields=fields)
        return _sent(scope, content, b"text/xml; charset=utf-8")

    async def _file(self, scope: Scope, principal: Principal, name: str) -> Answer:
        try:
            content = await self._books.file(principal, name)
        except Refusal:
            return Answer(404, b"Nothing is here.\n")
        return _sent(scope, content, b"application/octet-stream")


def _sent(scope: Scope, content: bytes, kind: bytes) -> Answer:
    """All of it, a range of it (RFC 9110 14), or that it is what the client has."""
    tag = b'"%b"' % hashlib.blake2b(content, digest_size=12).hexdigest().encode()
    fields = [(b"etag", tag), (b"accept-ranges", b"bytes"), (b"cache-control", b"private, no-cache")]
    if tag in [one.strip().removeprefix(b"W/") for one in field(scope, b"if-none-match").split(b",")]:
        return Answer(304, fields=fields)
    wanted = field(scope, b"range").decode("latin-1").replace(" ", "")
    condition = field(scope, b"if-range")
    found = _RANGE.fullmatch(wanted)
    if found is None or (condition and condition != tag):  # several ranges, other units: the whole is a right answer
        return Answer(200, content, kind, fields)
    begin, end = _span(found[1], found[2], len(content))
    if begin >= end:
        return Answer(416, fields=[*fields, (b"content-range", b"bytes */%d" % len(content))])
    fields.append((b"content-range", b"bytes %d-%d/%d" % (begin, end - 1, len(content))))
    return Answer(206, content[begin:end], kind, fields)


def _span(first: str, last: str, size: int) -> tuple[int, int]:
    """Where a range begins and ends; nothing of it: where it ends before it begins."""
    if first:
        return int(first), min(size, int(last) + 1) if last else size
    return (max(0, size - int(last)), size) if last and int(last) else (size, size)
