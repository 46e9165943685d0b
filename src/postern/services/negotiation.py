"""Sign-in by tokens whose insides another part knows: Negotiate (Kerberos, NTLM in SPNEGO), NTLM, Bearer.

Whoever carries the tokens (HTTP fields, SASL responses) sees only this:

    exchange = negotiations.begin("Negotiate", Circumstances(peer, "http", end_point))
    match await exchange.step(token):              # b"": the client has named the scheme and sent nothing yet
        case Continue(token):     send it, feed the answer to the next `step` of the same exchange
        case Accepted():          send its token if there is one; the exchange is over
        case Refused():           the exchange is over; log `detail`, tell the client nothing but that it failed

An exchange belongs to one connection and is stepped by one task at a time. A scheme that nobody has registered is not
offered, whatever settings and catalogue say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from postern.model.refusal import Reason
from postern.services.principal import Principal


class Circumstances(NamedTuple):
    """Where an exchange takes place: what the mechanism checks, limits and logs by."""

    peer_address: str
    """Of the client: limits and delays count by it."""
    protocol: str
    """One of ALL_PROTOCOLS: what the account must be allowed to use."""
    server_end_point: bytes = b""
    """tls-server-end-point of this connection (RFC 5929 4: the certificate's hash); empty without TLS."""
    binding_required: bool = False
    """Refuse a client that binds to nothing. A binding to something else is refused in any case."""
    host: str = ""
    """Name the client asked for, without port, checked to be one of ours; empty where the protocol has none."""
    authzid: str = ""
    """Whom the client wants to act as, if its carrier has a place to say so; empty: itself."""
    certificate: bytes = b""
    """DER of the client's certificate, verified in the handshake against the authorities of clients; empty: none."""
    chain: tuple[bytes, ...] = ()
    """What the client has shown where anybody's certificate is taken, its own first, in DER; nothing is verified."""


class Continue(NamedTuple):
    """The client has to say more."""

    token: bytes


class Accepted(NamedTuple):
    """Who it is. Life cycle and rights have been asked (`Authentication.admit`)."""

    principal: Principal
    token: bytes = b""
    """For the client: mutual authentication, the end of SPNEGO; empty if there is none."""
    mechanism: str = ""
    """What was really spoken, for the log: Kerberos, NTLMv2, OIDC."""
    bound: bool = False
    """The client has proved that it sees this very TLS connection."""
    expires_at: float | None = None
    """When the proof itself ends (a ticket, a token), in seconds since the epoch; None: with the connection."""


class Refused(NamedTuple):
    """No. A failure has been counted and delayed (`Authentication.finish_scram` with `ok` false does both)."""

    reason: Reason
    """BAD_CREDENTIALS, TOO_MANY_FAILURES, ACCOUNT_DISABLED, TRY_LATER, ..."""
    detail: str
    """The cause, for the log: `ticket expired`, `channel binding of another connection`."""


Step = Continue | Accepted | Refused


class Recognised(NamedTuple):
    """Which of the organisation's servers it is."""

    server: str
    """Its name in the directory."""
    principal: str
    """By what it was recognised."""


class Negotiation(Protocol):
    """One exchange on one connection."""

    async def step(self, token: bytes) -> Step:
        """Feed what the client sent (base64 is the carrier's business; a Bearer token comes as it is).

        Never raises for what a client may send.

        May take as long as a domain controller or an issuer of keys; never holds the loop.
        """
        ...

    def close(self) -> None:
        """The connection is gone, or the client has started anew. May be called at any time, and twice."""
        ...


class ServerNegotiation(Protocol):
    """An exchange by which another server of the organisation proves who it is; as `Negotiation` in all else."""

    async def step(self, token: bytes) -> Continue | Recognised | Refused:
        """Feed what the server sent."""
        ...

    def close(self) -> None:
        """The connection is gone."""
        ...


Opener = Callable[[Circumstances], Negotiation]
"""Begins an exchange; cheap, without I/O."""
ServerOpener = Callable[[Circumstances], ServerNegotiation]


class Negotiations:
    """The schemes that can be spoken here. One per worker; filled when it is put together."""

    def __init__(self) -> None:
        self._openers: dict[str, tuple[str, Opener]] = {}
        self._closers: list[Callable[[], None]] = []
        self.servers: ServerOpener | None = None
        """Begins what servers sign in by among themselves (X-EXPS GSSAPI); None: they cannot."""

    def register(self, scheme: str, opener: Opener) -> None:
        """Make a scheme known by its name on the wire (`Negotiate`, `NTLM`, `Bearer`); later ones replace."""
        self._openers[scheme.lower()] = (scheme, opener)

    def when_closed(self, close: Callable[[], None]) -> None:
        """Have something let go of at the end."""
        self._closers.append(close)

    def close(self) -> None:
        """The process ends."""
        while self._closers:
            self._closers.pop()()

    @property
    def schemes(self) -> Mapping[str, str]:
        """Names in small letters, and as written."""
        return {key: name for key, (name, _) in self._openers.items()}

    def knows(self, scheme: str) -> bool:
        """Whether a scheme can be spoken; case does not matter (RFC 9110 11.1)."""
        return scheme.lower() in self._openers

    def begin(self, scheme: str, circumstances: Circumstances) -> Negotiation:
        """A new exchange. Raises KeyError for a scheme that nobody registered."""
        return self._openers[scheme.lower()][1](circumstances)
