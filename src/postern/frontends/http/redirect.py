"""The listener without TLS: it sends browsers to the one with it, and takes nothing from anybody."""

from __future__ import annotations

from postern.frontends.http.asgi import Answer, Receive, Scope, Send, Surroundings


class ToHttps:
    """Answers every path."""

    def __init__(self, hostname: str, port: int) -> None:
        self._hostname = hostname
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A redirect for what asks; content sent in clear text, passwords perhaps, is refused and not sent again."""
        if scope["method"] not in ("GET", "HEAD"):
            await Answer(403, b"This needs TLS: use https.\n")(scope, receive, send)
            return
        near: Surroundings = scope["state"]["surroundings"]
        host = near.host or self._hostname
        authority = f"[{host}]" if ":" in host else host
        if self._port != 443:
            authority += f":{self._port}"
        path = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        await Answer(308, fields=((b"location", f"https://{authority}".encode() + path),))(scope, receive, send)
