"""The virtual directory /calendar: `/calendar/OWNER/NAME.ics` and `.html`, without signing in."""

from __future__ import annotations

import hashlib
from typing import Protocol

from postern.frontends.http.asgi import Answer, Receive, Scope, Send, field


class Published(Protocol):
    """services.calendar.publications.Publication."""

    @property
    def content(self) -> bytes:
        """What is served."""
        ...

    @property
    def version(self) -> str:
        """Of the mailbox."""
        ...


class Calendars(Protocol):
    """services.calendar.publications.Publications."""

    async def get(self, owner: str, name: str, *, page: bool, language: str = "en") -> Published | None:
        """A published calendar; None if there is none."""
        ...


_KINDS = {"ics": b"text/calendar; charset=utf-8", "html": b"text/html; charset=utf-8"}
_FIELDS = (
    (b"x-robots-tag", b"noindex"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'"),
    (b"cache-control", b"private, max-age=300"),
)


class PublishedCalendars:
    """ASGI. What is not published, and whoever is not here, is one and the same 404."""

    def __init__(self, calendars: Calendars) -> None:
        self._calendars = calendars

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The last two parts of the path."""
        if scope["method"] not in ("GET", "HEAD"):
            answer = Answer(405, fields=((b"allow", b"GET, HEAD"),))
        else:
            answer = await self._answer(scope)
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope) -> Answer:
        nothing = Answer(404, b"Nothing is here.\n")
        parts = scope["path"].strip("/").split("/")
        if len(parts) < 2:
            return nothing
        owner, file = parts[-2:]
        name, _, ending = file.rpartition(".")
        kind = _KINDS.get(ending.lower())
        if kind is None or not name or len(owner) > 320 or len(name) > 100:
            return nothing
        accepted = field(scope, b"accept-language").decode("latin-1").strip().lower()
        language = "ru" if accepted.startswith("ru") else "en"
        found = await self._calendars.get(owner, name, page=ending.lower() == "html", language=language)
        if found is None:
            return nothing
        tag = b'"%b"' % hashlib.blake2b(f"{found.version}.{file}".encode(), digest_size=12).hexdigest().encode()
        fields = [(b"etag", tag), *_FIELDS]
        if tag in [one.strip() for one in field(scope, b"if-none-match").split(b",")]:
            return Answer(304, fields=fields)
        return Answer(200, found.content, kind, fields)
