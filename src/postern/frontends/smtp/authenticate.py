"""AUTH: runs an exchange against the authentication service (RFC 4954)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postern.frontends.smtp.ports import Authentication
from postern.frontends.smtp.replies import AUTH_MALFORMED, REPLIES, Stage, reply_to
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
from postern.protocols.smtp.commands import Auth, AuthResponse
from postern.protocols.smtp.reply import Reply

if TYPE_CHECKING:
    from postern.services.authentication import Principal

PROTOCOL = "smtp"


class Login:
    """One run of AUTH on one connection."""

    def __init__(self, authentication: Authentication, peer_address: str) -> None:
        self._authentication = authentication
        self._peer_address = peer_address
        self._exchange: Exchange | None = None
        self._done: Done | None = None
        self.user = ""
        """Who is trying, for the log."""
        self.refusal: Refusal | None = None
        """Why it failed, for the log."""

    async def begin(self, event: Auth, binding: ChannelBinding | None, entropy: Entropy) -> bytes | Reply | Principal:
        """A challenge to send, a refusal, or who it is."""
        self._exchange = start(event.mechanism, binding, entropy)
        if self._exchange is None:
            return reply_to(Reason.NOT_SUPPORTED, Stage.AUTH)
        return await self._follow(self._exchange.step(event.initial))

    async def go_on(self, event: AuthResponse) -> bytes | Reply | Principal:
        """The same, after a response."""
        assert self._exchange is not None
        if self._done is None:
            return await self._follow(self._exchange.step(event.data))
        if event.data:
            return AUTH_MALFORMED
        return await self._finish(self._done)

    async def _follow(self, outcome: Outcome) -> bytes | Reply | Principal:
        assert self._exchange is not None
        try:
            if isinstance(outcome, NeedScram):
                self.user = outcome.authcid
                credentials = await self._authentication.scram(outcome.authcid, self._peer_address)
                outcome = self._exchange.resume(credentials)
            match outcome:
                case Challenge(data):
                    return data
                case Verify(authcid, authzid, password):
                    self.user = authcid
                    return await self._authentication.verify_password(
                        authcid, password, self._peer_address, PROTOCOL, authzid
                    )
                case Done():
                    self._done = outcome
                    return outcome.server_final
                case Failed(reason, authcid, malformed):
                    if malformed:
                        return AUTH_MALFORMED
                    if authcid:
                        await self._authentication.finish_scram(authcid, False, self._peer_address, PROTOCOL)
                    raise Refusal(Reason.BAD_CREDENTIALS, reason)
        except Refusal as refusal:
            self.refusal = refusal
            return reply_to(refusal.reason, Stage.AUTH)
        return REPLIES[Reason.BAD_CREDENTIALS]

    async def _finish(self, done: Done) -> Reply | Principal:
        try:
            return await self._authentication.finish_scram(
                done.authcid, True, self._peer_address, PROTOCOL, done.authzid
            )
        except Refusal as refusal:
            self.refusal = refusal
            return reply_to(refusal.reason, Stage.AUTH)
