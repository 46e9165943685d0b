"""The listener without TLS: it sends browsers to the one with it, and takes nothing from anybody."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

from postern.frontends.http.asgi import Answer, Receive, Scope, Send, Surroundings

_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}")
"""RFC 8555 8.3: base64url, so that no other file can be asked for."""


class ToHttps:
    """Answers every path."""

    def __init__(
        self,
        hostname: str,
        port: int,
        served: Callable[[str, str], Awaitable[bool]],
        *,
        always_ours: bool = False,
    ) -> None:
        """`served` says whether a name is one of ours, given our address: nobody is sent to another one.

        `always_ours` sends everybody to the hostname, by 302: Outlook and others who look for Autodiscover on a name
        without a certificate follow that one (MS-OXDISCO 3.1.5.3), and do not keep it.
        """
        self._always_ours = always_ours
        self._hostname = hostname
        self._port = port
        self._served = served

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A redirect for what asks; content sent in clear text, passwords perhaps, is refused and not sent again."""
        if scope["method"] not in ("GET", "HEAD"):
            await Answer(403, b"This needs TLS: use https.\n")(scope, receive, send)
            return
        near: Surroundings = scope["state"]["surroundings"]
        keep = near.host and not self._always_ours and await self._served(near.host, near.local[0])
        host = near.host if keep else self._hostname
        authority = f"[{host}]" if ":" in host else host
        if self._port != 443:
            authority += f":{self._port}"
        path = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        status = 302 if self._always_ours else 308
        await Answer(status, fields=((b"location", f"https://{authority}".encode() + path),))(scope, receive, send)


class AcmeChallenges:
    """What an ACME server asks for on port 80 while an order runs (RFC 8555 8.3): a file for each token."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        token = scope["path"].rpartition("/")[2]
        content = await asyncio.to_thread(self._read, token) if _TOKEN.fullmatch(token) else None
        if content is None:
            await Answer(404, b"Nothing is here.\n")(scope, receive, send)
        else:
            await Answer(200, content, b"application/octet-stream")(scope, receive, send)

    def _read(self, token: str) -> bytes | None:
        try:
            return (self._directory / token).read_bytes()
        except OSError:
            return None
