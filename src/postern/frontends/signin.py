"""Sign-in by SASL: a mechanism's exchange with the authentication service, the same for every protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postern.frontends.ports import Authentication, Stream
from postern.model.addresses import is_loopback
from postern.model.ports import Entropy
from postern.model.refusal import ProtocolViolation, Reason, Refusal
from postern.protocols.sasl import oauth
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
from postern.services import attempts
from postern.services.attempts import Attempt
from postern.services.negotiation import Accepted, Circumstances, Continue, Negotiation, Refused, Step

if TYPE_CHECKING:
    from postern.services.authentication import Principal

PLUS = "SCRAM-SHA-256-PLUS"
SCHEMES = {
    "GSSAPI": "GSSAPI",
    "GSS-SPNEGO": "Negotiate",
    "NTLM": "NTLM",
    "OAUTHBEARER": "Bearer",
    "XOAUTH2": "Bearer",
    "EXTERNAL": "EXTERNAL",
}
"""Mechanisms that prove by tokens, and the names their back ends are registered by."""


def channel_binding(stream: Stream) -> ChannelBinding | None:
    """What a mechanism can be bound to on this connection."""
    tls = stream.tls
    return ChannelBinding(server_end_point=tls.server_end_point) if tls is not None and tls.server_end_point else None


def shows_certificate(stream: Stream) -> bool:
    """Whether the client showed a certificate in the handshake, which EXTERNAL needs."""
    return stream.tls is not None and bool(stream.tls.peer_certificate or stream.tls.peer_chain)


def clear_text_allowed(stream: Stream, cleartext_login: str) -> bool:
    """Whether a password may cross this connection: under TLS, and where the setting says so within the machine."""
    return stream.tls is not None or (cleartext_login == "loopback" and is_loopback(stream.peer[0]))


def note(stream: Stream, protocol: str, mechanism: str) -> None:
    """Have whatever this task does now written to the log of sign-ins as an attempt by that mechanism."""
    tls = stream.tls
    context = getattr(stream, "context", None)
    attempts.note(
        Attempt(
            stream.peer[0],
            protocol,
            mechanism,
            tls.version if tls is not None else "",
            tls.cipher if tls is not None else "",
            context if isinstance(context, str) else "",
        )
    )


class SignIn:
    """One run of AUTH or AUTHENTICATE on one connection."""

    def __init__(self, authentication: Authentication, entropy: Entropy, stream: Stream, protocol: str) -> None:
        self._authentication = authentication
        self._entropy = entropy
        self._stream = stream
        self._peer = stream.peer[0]
        self._protocol = protocol
        self._exchange: Exchange | None = None
        self._done: Done | None = None
        self._negotiation: Negotiation | None = None
        self._accepted: Principal | None = None
        self._refusal: Refusal | None = None
        self.user = ""
        """Who is trying, for the log."""
        self.mechanism = ""
        self.proof: Accepted | None = None
        """How a token proved it, for the log."""

    @property
    def last(self) -> bool:
        """Whether the challenge was the last word, and only an empty response is to come.

        A protocol whose success carries data sends both at once and calls `go_on(b"")` itself.
        """
        return self._done is not None or self._accepted is not None

    async def begin(self, mechanism: str, initial: bytes | None, offered: tuple[str, ...]) -> bytes | Principal:
        """A challenge to send, or who it is.

        `offered` are the mechanisms that the client has seen: SCRAM notices if -PLUS was taken off the list on the way.
        Raises Refusal, ProtocolViolation for a client that breaks the mechanism's syntax.
        """
        self.mechanism = mechanism.upper()
        note(self._stream, self._protocol, self.mechanism)
        if self.mechanism in SCHEMES:
            # all of them begin with the client: without an initial response it is asked for by an empty challenge
            return b"" if initial is None else await self._token(initial)
        self._exchange = start(mechanism, channel_binding(self._stream) if PLUS in offered else None, self._entropy)
        if self._exchange is None:
            raise Refusal(Reason.NOT_SUPPORTED, mechanism)
        return await self._follow(self._exchange, self._exchange.step(initial))

    async def go_on(self, response: bytes) -> bytes | Principal:
        """The same, after a response. Raises Refusal, ProtocolViolation."""
        note(self._stream, self._protocol, self.mechanism)
        if self._refusal is not None:
            raise self._refusal
        if self._accepted is not None:
            if response:
                raise ProtocolViolation("expected an empty response")
            return self._accepted
        if self._exchange is None:
            return await self._token(response)
        if self._done is None:
            return await self._follow(self._exchange, self._exchange.step(response))
        if response:
            raise ProtocolViolation("expected an empty response")
        return await self._finish(self._done)

    def close(self) -> None:
        """The exchange is over, however it went."""
        negotiation, self._negotiation = self._negotiation, None
        if negotiation is not None:
            negotiation.close()

    # --- tokens

    async def _token(self, response: bytes) -> bytes | Principal:
        """Hand a token on to its back end."""
        authzid = ""
        if self.mechanism in oauth.MECHANISMS:
            authzid, response = oauth.response(self.mechanism, response)
            self.user = authzid
        if self._negotiation is None:
            tls = self._stream.tls
            circumstances = Circumstances(
                self._peer,
                self._protocol,
                tls.server_end_point if tls is not None else b"",
                authzid=authzid,
                certificate=tls.peer_certificate if tls is not None else b"",
                chain=tls.peer_chain if tls is not None else (),
            )
            try:
                self._negotiation = self._authentication.negotiations.begin(SCHEMES[self.mechanism], circumstances)
            except KeyError:
                raise Refusal(Reason.NOT_SUPPORTED, self.mechanism) from None
        return self._stepped(await self._negotiation.step(response))

    def _stepped(self, step: Step) -> bytes | Principal:
        match step:
            case Continue(token):
                return token
            case Accepted():
                self.close()
                self.proof = step
                if not step.token:
                    return step.principal
                self._accepted = step.principal
                return step.token
            case Refused(reason, detail):
                self.close()
                refusal = Refusal(reason, f"{self.mechanism}: {detail}")
                if self.mechanism not in oauth.MECHANISMS or reason.temporary:
                    raise refusal
                # RFC 7628 3.2.2: the client gets a word about it as a challenge, and answers before it fails
                self._refusal = refusal
                return oauth.failure(self.mechanism)

    # --- exchanges of our own

    async def _follow(self, exchange: Exchange, outcome: Outcome) -> bytes | Principal:
        if isinstance(outcome, NeedScram):
            self.user = outcome.authcid
            outcome = exchange.resume(await self._authentication.scram(outcome.authcid, self._peer, self._protocol))
        match outcome:
            case Challenge(data):
                return data
            case Verify(authcid, authzid, password):
                self.user = authcid
                return await self._authentication.verify_password(
                    authcid, password, self._peer, self._protocol, authzid
                )
            case Done():
                if not outcome.server_final:
                    return await self._finish(outcome)
                self._done = outcome
                return outcome.server_final
            case Failed(reason, authcid, malformed):
                if malformed:
                    raise ProtocolViolation(reason)
                if authcid:
                    await self._authentication.finish_scram(authcid, False, self._peer, self._protocol)
                raise Refusal(Reason.BAD_CREDENTIALS, reason)
            case _:
                raise Refusal(Reason.BAD_CREDENTIALS, "an exchange without an outcome")

    async def _finish(self, done: Done) -> Principal:
        return await self._authentication.finish_scram(
            done.authcid, True, self._peer, self._protocol, done.authzid, stored_key=done.stored_key
        )
