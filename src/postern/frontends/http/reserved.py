"""Virtual directories that have a name and nobody behind it: a plain answer for whoever signs in, never a prompt."""

from __future__ import annotations

from postern.frontends.http.asgi import Answer, Receive, Scope, Send

NAMES = ("/owa", "/calendar", "/Microsoft-Server-ActiveSync", "/mapi", "/EWS", "/OAB")
"""As Exchange calls them."""


class NotOffered:
    """501: clients take it for what it is; 401 would make them ask for the password again and again."""

    def __init__(self, name: str) -> None:
        self._text = f"{name} is not offered by this server.\n".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A page is not there (404), a call is not implemented (501)."""
        status = 404 if scope["method"] in ("GET", "HEAD") else 501
        await Answer(status, self._text, fields=((b"cache-control", b"no-store"),))(scope, receive, send)
