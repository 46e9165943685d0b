"""What a connection remembers between requests: an exchange of tokens that goes on, and who it has led to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from postern.frontends.ports import Authentication, Stream

if TYPE_CHECKING:
    from postern.services.negotiation import Accepted, Negotiation
    from postern.services.principal import Principal

PROTOCOL = "http"


class Hold:
    """State of one connection for the sign-in."""

    __slots__ = ("_authentication", "_exchange", "_stream", "_unwatch", "_watched", "accepted", "scheme")

    def __init__(self, authentication: Authentication, stream: Stream) -> None:
        self._authentication = authentication
        self._stream = stream
        self._exchange: Negotiation | None = None
        self._watched: Principal | None = None
        self._unwatch: Callable[[], object] | None = None
        self.scheme = ""
        """Of the exchange, in small letters."""
        self.accepted: Accepted | None = None
        """Whom an exchange on this connection has led to: further requests need no credentials (RFC 4559 6)."""

    @property
    def exchange(self) -> Negotiation | None:
        """What goes on."""
        return self._exchange

    def begin(self, scheme: str, exchange: Negotiation) -> None:
        """A client starts, or starts anew: who was there before is there no more."""
        self.drop()
        self.scheme = scheme
        self._exchange = exchange

    def drop(self) -> None:
        """Forget an exchange and whom it led to."""
        self.accepted = None
        self.end()

    def end(self) -> None:
        """The exchange is over."""
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None

    async def watch(self, principal: Principal) -> bool:
        """End this connection when the account ends. Whether it is somebody new here. Raises Refusal."""
        if self._watched == principal:
            return False
        self.forget()
        self._unwatch = await self._authentication.watch(principal, PROTOCOL, self._stream)
        self._watched = principal
        return True

    def forget(self) -> None:
        """Nobody is signed in."""
        self._watched = None
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def close(self) -> None:
        """The connection is gone."""
        self.drop()
        self.forget()
