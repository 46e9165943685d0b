"""USER and PASS, AUTH: from credentials to a principal (RFC 1939 7, RFC 5034)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postern.frontends.pop3.ports import Authentication
from postern.model.ports import Entropy
from postern.model.refusal import Reason, Refusal
from postern.protocols.sasl.server import (
    Challenge,
    ChannelBinding,
    Done,
    Exchange,
    Failed,
    NeedScram,
    Outcome,
    Verify,
    start,
)

if TYPE_CHECKING:
    from postern.services.authentication import Principal

PROTOCOL = "pop3"


class Login:
    """One run of AUTH."""

    def __init__(self, authentication: Authentication, peer_address: str) -> None:
        self._authentication = authentication
        self._peer = peer_address
        self._exchange: Exchange | None = None
        self._done: Done | None = None

    async def begin(
        self, mechanism: str, initial: bytes | None, binding: ChannelBinding | None, entropy: Entropy
    ) -> bytes | Principal:
        """A challenge to send, or who it is. Raises Refusal."""
        self._exchange = start(mechanism, binding, entropy)
        if self._exchange is None:
            raise Refusal(Reason.NOT_SUPPORTED, mechanism)
        return await self._follow(self._exchange.step(initial))

    async def go_on(self, response: bytes) -> bytes | Principal:
        """The same, after a response. Raises Refusal."""
        assert self._exchange is not None
        if self._done is None:
            return await self._follow(self._exchange.step(response))
        if response:
            raise Refusal(Reason.BAD_VALUE, "a response after the end of the exchange")
        done = self._done
        return await self._authentication.finish_scram(done.authcid, True, self._peer, PROTOCOL, done.authzid)

    async def _follow(self, outcome: Outcome) -> bytes | Principal:
        assert self._exchange is not None
        if isinstance(outcome, NeedScram):
            outcome = self._exchange.resume(await self._authentication.scram(outcome.authcid, self._peer))
        match outcome:
            case Challenge(data):
                return data
            case Verify(authcid, authzid, password):
                return await self._authentication.verify_password(authcid, password, self._peer, PROTOCOL, authzid)
            case Done():
                self._done = outcome
                return outcome.server_final
            case Failed(reason, authcid, malformed):
                if authcid and not malformed:
                    await self._authentication.finish_scram(authcid, False, self._peer, PROTOCOL)
                raise Refusal(Reason.BAD_VALUE if malformed else Reason.BAD_CREDENTIALS, reason)
            case _:
                raise Refusal(Reason.BAD_CREDENTIALS, "no outcome")
