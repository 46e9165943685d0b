"""Applications behind the host speak ASGI 3; what this host adds for them lies in `scope["state"]`.

`admission` and `surroundings` are described here; `turn` is the request's `budget.Turn`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from postern.frontends.ports import TlsFacts
    from postern.services.principal import Principal
    from postern.services.websessions import WebSession

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
Fields = Sequence[tuple[bytes, bytes]]


class Admission(msgspec.Struct):
    """Who sends a request, as `scope["state"]["admission"]`."""

    principal: Principal | None = None
    """None: nobody in particular; only where a mount lets such in."""
    mechanism: str = ""
    """Basic, Digest, Kerberos, NTLMv2, OIDC, certificate, forms."""
    bound: bool = False
    """Proved to be bound to this TLS connection."""
    session: WebSession | None = None
    """Of a browser that signed in by the form."""
    fields: list[tuple[bytes, bytes]] = []
    """To be sent with the answer: a last token, a renewed cookie."""


class Surroundings(msgspec.Struct):
    """The connection a request came by, as `scope["state"]["surroundings"]`."""

    listener: str
    host: str
    """Name the client asked for; checked to be one of ours."""
    peer: tuple[str, int]
    local: tuple[str, int]
    tls: TlsFacts | None
    correlation: str
    """In every log line of the connection."""


class Answer(msgspec.Struct):
    """A whole answer; an application by itself."""

    status: int
    body: bytes = b""
    kind: bytes = b"text/plain; charset=utf-8"
    fields: Fields = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        fields = [(b"content-type", self.kind), (b"content-length", b"%d" % len(self.body)), *self.fields]
        if self.status in (204, 304):
            fields = list(self.fields)
        await send({"type": "http.response.start", "status": self.status, "headers": fields})
        await send({"type": "http.response.body", "body": self.body})


async def body_of(receive: Receive, limit: int) -> bytes | None:
    """The whole body of a request; None if it is larger than `limit` octets or the client is gone."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            return None
        if not message.get("more_body"):
            return b"".join(parts)


def field(scope: Scope, name: bytes) -> bytes:
    """The first value of a request's field, empty if it is not there."""
    for key, value in scope["headers"]:
        if key == name:
            return bytes(value)
    return b""
