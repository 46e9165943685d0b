"""Whether the peer is another server of the organisation: by its certificate, or by Kerberos (X-EXPS GSSAPI)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postern.frontends.ports import Stream
from postern.frontends.signin import note
from postern.frontends.smtp.connectors import GSSAPI
from postern.frontends.smtp.ports import Log, Peers
from postern.model.refusal import Reason, Refusal
from postern.protocols.smtp.commands import Exps
from postern.services.negotiation import Circumstances, Continue, Recognised, Refused, ServerNegotiation

if TYPE_CHECKING:
    from postern.services.negotiation import Negotiations

PROTOCOL = "smtp"


class ServerPeer:
    """What is known of it; one per connection."""

    def __init__(self, peers: Peers, negotiations: Negotiations, stream: Stream, session: str, log: Log) -> None:
        self._peers = peers
        self._negotiations = negotiations
        self._stream = stream
        self._session = session
        self._log = log
        self._principal = ""
        """As whom it signed in with Kerberos; empty: it was known by its certificate."""
        self._exchange: ServerNegotiation | None = None
        self.name = ""
        """Which of the organisation's servers it is; empty: none."""

    @property
    def signing_in(self) -> bool:
        """Whether X-EXPS has begun and waits for a response."""
        return self._exchange is not None

    @property
    def takes_kerberos(self) -> bool:
        """Whether a server could sign in by X-EXPS."""
        return self._negotiations.servers is not None

    def _chain(self) -> tuple[bytes, ...]:
        return self._stream.tls.peer_chain if self._stream.tls is not None else ()

    async def look(self) -> None:
        """After the handshake: what its certificate says."""
        self._principal = ""
        self.name = await self._peers.server(self._chain(), self._stream.peer[0]) if self._chain() else ""
        if self.name:
            self._log.info("smtp.server", session=self._session, peer=self._stream.peer[0], server=self.name)

    async def look_again(self) -> bool:
        """Whether it is still trusted: asked for each message, so that trust that was withdrawn ends there."""
        if self._principal:
            self.name = await self._peers.server_of(self._principal)
        else:
            self.name = await self._peers.server(self._chain(), self._stream.peer[0])
        return bool(self.name)

    async def begin(self, event: Exps, offered: tuple[str, ...]) -> bytes | None:
        """X-EXPS: a challenge, or None when it is known who is there. Raises Refusal."""
        note(self._stream, PROTOCOL, f"X-EXPS {event.mechanism}")
        tls = self._stream.tls
        if tls is None:
            raise Refusal(Reason.ENCRYPTION_REQUIRED, "X-EXPS before TLS")
        begin = self._negotiations.servers
        if begin is None or event.mechanism not in offered:
            raise Refusal(Reason.NOT_SUPPORTED, f"X-EXPS {event.mechanism} is not offered")
        # the ticket has to be for this very connection: one that somebody in the middle passes on would open relaying
        seen = Circumstances(self._stream.peer[0], PROTOCOL, tls.server_end_point, binding_required=True)
        self._exchange = begin(seen)
        return b"" if event.initial is None else await self.go_on(event.initial)

    async def go_on(self, token: bytes) -> bytes | None:
        """The same, after a response. Raises Refusal."""
        note(self._stream, PROTOCOL, f"X-EXPS {GSSAPI}")
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        match await exchange.step(token):
            case Continue(challenge):
                self._exchange = exchange
                return challenge
            case Recognised(server, principal):
                exchange.close()
                self.name, self._principal = server, principal
                self._log.info(
                    "smtp.server",
                    session=self._session,
                    peer=self._stream.peer[0],
                    server=server,
                    principal=principal,
                )
            case Refused(reason, detail):
                exchange.close()
                raise Refusal(reason, f"X-EXPS {GSSAPI}: {detail}")
        return None

    def cancelled(self) -> None:
        """The peer gave up, or is gone."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.close()
