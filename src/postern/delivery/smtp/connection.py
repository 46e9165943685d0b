"""One connection to a next hop: greeting, EHLO, STARTTLS, AUTH, transfers; timeouts of RFC 5321 4.5.3.2."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Generator, Sequence
from typing import Protocol, TypeVar

import msgspec

from postern.delivery.smtp.contexts import Contexts
from postern.formats.certificate import Purpose
from postern.model.envelope import Envelope
from postern.model.partners import Partner
from postern.model.ports import Entropy
from postern.model.refusal import ProtocolViolation, Refusal
from postern.model.transfer import TLS_FAILED, NextHop, Target, TlsPolicy
from postern.net.client import connect
from postern.net.stream import Stream
from postern.net.tls import DIRECT_TRUST, TlsFailure, end_point_of
from postern.protocols.sasl import client as sasl
from postern.protocols.smtp.client import ClientSession, RecipientResult, RemoteReply, challenge_of

T = TypeVar("T")

GSSAPI = "GSSAPI"
BLOCK_BYTES = 256 * 1024
CONNECTION_PROBLEMS = (OSError, TimeoutError, ProtocolViolation, ssl.SSLError)


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds."""

    connect_s: float = 30.0
    reply_s: float = 300.0
    """To the greeting and every command."""
    final_s: float = 600.0
    """To the end of the content: the other side works on the message (RFC 5321 4.5.3.2.6)."""
    block_s: float = 180.0
    """For BLOCK_BYTES of the content to leave (RFC 5321 4.5.3.2.5): a slow line gets a large message, too."""
    quit_s: float = 5.0


class Leaving(ConnectionResetError):  # noqa: N818 - the field's word
    """The server said 421: it closes the connection."""


class Unusable(Exception):  # noqa: N818 - the field's word
    """A host cannot be used now, another one may; `status` and `text` say why."""

    def __init__(self, status: str, text: str, *, permanent: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.permanent = permanent
        """No other attempt can help: the host told us so, or it is ourselves."""


class Trust(Protocol):
    """services.server_trust.ServerTrust."""

    async def server_problem(self, host: str, chain: Sequence[bytes]) -> str:
        """Why a host is not the organisation's server of that name; empty: it is."""
        ...

    async def kerberos_service(self, host: str) -> str:
        """The service by which a host proves itself with Kerberos; empty: it does not."""
        ...

    def partner_problem(self, partner: Partner, chain: Sequence[bytes], purpose: Purpose) -> str:
        """Why a certificate does not prove that a host is a partner's; empty: it does."""
        ...


class ServerExchange(Protocol):
    """services.mechanisms.kerberos_client.ServerSignIn."""

    @property
    def complete(self) -> bool:
        """The server has proved who it is."""
        ...

    async def step(self, challenge: bytes) -> bytes:
        """The next response. Raises Refusal."""
        ...


class Initiator(Protocol):
    """services.mechanisms.kerberos_client.KerberosInitiator."""

    def begin(self, target: str, end_point: bytes) -> ServerExchange:
        """An exchange with a service, bound to a TLS connection."""
        ...


class Connection:
    """A connection that is ready for transfers."""

    def __init__(self, stream: Stream, session: ClientSession, target: Target, timeouts: Timeouts) -> None:
        self.target = target
        self.session = session
        self.transfers = 0
        self.committed = False
        """The content of the last transfer went out: if the connection breaks now, the other side may have it."""
        self.alive = True
        self.without_tls = False
        """It is in clear because TLS failed on another one."""
        self.service = ""
        """The Kerberos service that it has proved to be."""
        self._stream = stream
        self._timeouts = timeouts

    @property
    def tls(self) -> str:
        """For the log."""
        facts = self._stream.tls
        return f"{facts.version} {facts.cipher}" if facts else ""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """The certificate that the server has shown, in DER."""
        facts = self._stream.tls
        return (facts.peer_certificate,) if facts and facts.peer_certificate else ()

    @property
    def end_point(self) -> bytes:
        """tls-server-end-point of that certificate (RFC 5929 4)."""
        return end_point_of(self.chain[0]) if self.chain else b""

    @property
    def limit_transfers(self) -> int | None:
        """MAILMAX of LIMITS (RFC 9422)."""
        return self.session.extensions.limit("MAILMAX")

    async def run(self, operation: Generator[bytes, RemoteReply, T]) -> T:
        """Drive an operation of the session. Raises CONNECTION_PROBLEMS; the connection is dead then."""
        try:
            data = next(operation)
            while True:
                for start in range(0, len(data), BLOCK_BYTES):
                    self._stream.write(data[start : start + BLOCK_BYTES])
                    await self._stream.drain(self._timeouts.block_s)
                data = operation.send(await self._reply())
        except StopIteration as stop:
            result: T = stop.value
            return result
        except BaseException:
            self.abort()
            raise

    async def _reply(self) -> RemoteReply:
        timeout_s = self._timeouts.final_s if self.committed else self._timeouts.reply_s
        # for the whole reply: an octet a minute must not hold us for ever
        end = asyncio.get_running_loop().time() + timeout_s
        while (reply := self.session.next_reply()) is None:
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                raise TimeoutError("the server does not end its reply")
            data = await self._stream.read(left)
            if not data:
                raise ConnectionResetError("the server closed the connection")
            self.session.receive(data)
        if reply.code == 421:
            # RFC 5321 3.8: the server is about to close; before it has the message that is a broken connection
            self.alive = False
            if not self.committed:
                raise Leaving(reply.text)
        return reply

    async def transfer(self, envelope: Envelope, content: bytes) -> list[RecipientResult]:
        """One message. Raises CONNECTION_PROBLEMS; look at `committed` then."""
        self.committed = False
        self.transfers += 1
        results = await self.run(self._watched(self.session.transfer(envelope, content)))
        self.committed = False
        if self.alive and not all(r.accepted for r in results):
            with contextlib.suppress(*CONNECTION_PROBLEMS):
                self.alive = (await self.run(self.session.reset())).positive and self.alive
        return results

    def _watched(
        self, operation: Generator[bytes, RemoteReply, list[RecipientResult]]
    ) -> Generator[bytes, RemoteReply, list[RecipientResult]]:
        """The operation, noticing the moment from which on the server may have the message."""
        data = next(operation)
        while True:
            if data.startswith(b"BDAT "):
                self.committed = True
            reply = yield data
            if reply.code == 354:
                self.committed = True
            try:
                data = operation.send(reply)
            except StopIteration as stop:
                results: list[RecipientResult] = stop.value
                return results

    async def start_tls(self, context: ssl.SSLContext, name: str) -> None:
        """STARTTLS was answered with 220: the handshake. Raises TlsFailure, OSError, TimeoutError."""
        await self._stream.start_tls(context, server_side=False, server_name=name, timeout_s=self._timeouts.connect_s)
        self.session.tls_started()

    async def sign_in(self, exchange: ServerExchange) -> RemoteReply:
        """X-EXPS GSSAPI. Raises Refusal for what fails on our side, CONNECTION_PROBLEMS."""
        answer = await self.run(self.session.exps(GSSAPI, await exchange.step(b"")))
        while answer.code == 334:
            try:
                response = await exchange.step(challenge_of(answer))
            except Refusal:
                await self.run(self.session.respond(None))
                raise
            answer = await self.run(self.session.respond(response))
        return answer

    async def quit(self) -> None:
        """Say goodbye and close."""
        if self.alive:
            self.alive = False
            with contextlib.suppress(*CONNECTION_PROBLEMS):
                self._stream.write(b"QUIT\r\n")
                await self._stream.drain(self._timeouts.quit_s)
                await self._stream.read(self._timeouts.quit_s)
        self._stream.close()

    def abort(self) -> None:
        """Drop the connection."""
        self.alive = False
        self._stream.abort()


class Connector:
    """Opens connections according to a next hop's policy."""

    def __init__(
        self,
        helo: str,
        entropy: Entropy,
        timeouts: Timeouts,
        contexts: Contexts,
        source: str = "",
        trust: Trust | None = None,
        kerberos: Initiator | None = None,
    ) -> None:
        self._trust = trust
        self._kerberos = kerberos
        self._helo = helo
        self._source = source or None
        self._entropy = entropy
        self._timeouts = timeouts
        self._contexts = contexts

    async def open(self, next_hop: NextHop, target: Target, *, tls_failed: bool = False) -> Connection:
        """A connection that is ready; `tls_failed` as in Outgoing. Raises Unusable."""
        if next_hop.tls is TlsPolicy.NONE:
            return await self._open(next_hop, target, encrypt=False)
        try:
            return await self._open(next_hop, target, encrypt=True)
        except TlsFailure as problem:
            # A failure that passes (a server under load, a cut line, somebody who can only disturb the line) must not
            # strip the encryption. One that stays is worth no more than no offer, and mail has to get through
            # (RFC 7435). Where a password is known, the connector's owner expects TLS.
            if next_hop.tls is not TlsPolicy.OPPORTUNISTIC or not tls_failed or next_hop.username:
                raise Unusable(TLS_FAILED, f"TLS with {target.host} failed: {problem}") from problem
        connection = await self._open(next_hop, target, encrypt=False)
        connection.without_tls = True
        return connection

    async def still_trusted(self, next_hop: NextHop, connection: Connection) -> bool:
        """Whether a kept connection's host is still proved to be who it has to be."""
        try:
            await self._recognise(connection, next_hop, connection.target.host)
        except Unusable:
            return False
        return True

    async def _open(self, next_hop: NextHop, target: Target, *, encrypt: bool) -> Connection:
        where = f"{target.host}[{target.address}]:{target.port}"
        try:
            stream = await connect(target.address, target.port, self._timeouts.connect_s, self._source)
        except OSError as problem:
            raise Unusable("4.4.1", f"{where} does not answer: {problem or type(problem).__name__}") from problem
        connection = Connection(stream, ClientSession(self._helo), target, self._timeouts)
        try:
            await self._greet(connection, where)
            if encrypt:
                await self._encrypt(connection, next_hop, where)
            if next_hop.username:
                await self._authenticate(connection, next_hop, where)
        except (TlsFailure, Unusable):
            connection.abort()
            raise
        except CONNECTION_PROBLEMS as problem:
            connection.abort()
            raise Unusable("4.4.2", f"{where}: {problem or type(problem).__name__}") from problem
        return connection

    async def _greet(self, connection: Connection, where: str) -> None:
        session = connection.session
        greeting = await connection.run(session.greeting())
        if not greeting.positive:
            # RFC 7504 4: 521 and 556 say that this host never takes mail
            raise Unusable(
                "5.3.2" if greeting.code in (521, 556) else "4.3.2",
                f"{where}: {greeting.text}",
                permanent=greeting.code in (521, 556),
            )
        await self._hello(connection, where)

    async def _hello(self, connection: Connection, where: str) -> None:
        answer = await connection.run(connection.session.hello())
        if not answer.positive:
            raise Unusable("4.3.2", f"{where}: {answer.text}")
        name = answer.lines[0].partition(" ")[0].lower() if answer.lines else ""
        if name == self._helo.lower():
            raise Unusable("5.4.6", f"{where} is this server itself: mail loops back", permanent=True)

    async def _encrypt(self, connection: Connection, next_hop: NextHop, where: str) -> None:
        session = connection.session
        required = next_hop.tls is not TlsPolicy.OPPORTUNISTIC
        if "STARTTLS" not in session.extensions:
            if required:
                raise Unusable("4.7.4", f"{where} does not offer the TLS that {_who_requires(next_hop)} requires")
            return
        answer = await connection.run(session.starttls())
        if answer.code != 220:
            if required:
                raise TlsFailure(answer.text)
            # the server itself says that it has none now, which is no more than not to offer it
            return
        try:
            # of an address literal only the address is a name that certificates have
            literal = connection.target.host.startswith("[")
            name = connection.target.address if literal else connection.target.host or connection.target.address
            await connection.start_tls(
                self._contexts.of(next_hop), DIRECT_TRUST if next_hop.tls is TlsPolicy.SERVER else name
            )
        except (OSError, TimeoutError, ssl.SSLError) as problem:
            raise TlsFailure(str(problem) or type(problem).__name__) from problem
        if next_hop.tls is not TlsPolicy.SERVER:
            await self._recognise(connection, next_hop, where)
        try:
            await self._hello(connection, where)
        except Leaving:
            raise
        except CONNECTION_PROBLEMS as problem:
            # with TLS 1.3 this is the first that shows whether the server, too, is content with the handshake
            raise TlsFailure(f"after the handshake: {problem or type(problem).__name__}") from problem
        if next_hop.tls is TlsPolicy.SERVER:
            # what it says now may offer Kerberos
            await self._recognise(connection, next_hop, where)

    async def _recognise(self, connection: Connection, next_hop: NextHop, where: str) -> None:
        """Where the next hop has to be somebody: that it is. Raises Unusable before anything of a message is sent."""
        if next_hop.tls is TlsPolicy.SERVER:
            problem = "nobody is known"
            if self._trust is not None:
                problem = await self._server_problem(self._trust, connection)
        elif next_hop.partner is not None:
            problem = "nobody is known"
            if self._trust is not None:
                problem = self._trust.partner_problem(next_hop.partner, connection.chain, Purpose.SERVER)
        else:
            return
        if problem:
            raise Unusable(TLS_FAILED, f"{where} is not proved to be who {_who_requires(next_hop)} requires: {problem}")

    async def _server_problem(self, trust: Trust, connection: Connection) -> str:
        """Why a host is not the organisation's server of its name; it is signed in to with Kerberos, if it asks."""
        host = connection.target.host
        service = await trust.kerberos_service(host)
        if connection.service:  # kept since an earlier message
            return "" if connection.service == service else "it is trusted no more"
        problem = await trust.server_problem(host, connection.chain)
        if not service:
            return problem
        if GSSAPI not in connection.session.extensions.between_servers:
            return problem and f"{problem}, and it does not offer X-EXPS GSSAPI"
        if self._kerberos is None:
            return problem and f"{problem}, and there is no [kerberos] keytab here to sign in with"
        exchange = self._kerberos.begin(service, connection.end_point)
        try:
            answer = await connection.sign_in(exchange)
        except Refusal as refusal:
            return f"X-EXPS GSSAPI with {service} failed here: {refusal.detail}"
        if not answer.positive:
            return f"X-EXPS GSSAPI with {service} was refused there: {answer.text}"
        if not exchange.complete:
            return f"X-EXPS GSSAPI: it did not prove to be {service}"
        connection.service = service
        return ""

    async def _authenticate(self, connection: Connection, next_hop: NextHop, where: str) -> None:
        session = connection.session
        # a password is never sent where anybody can read it
        offered: Sequence[str] = [
            m for m in session.extensions.mechanisms if session.tls or m.upper().startswith("SCRAM-")
        ]
        exchange = sasl.start(next_hop.username, next_hop.password, offered, self._entropy)
        if exchange is None:
            raise Unusable("4.7.0", f"{where} offers no way to log in that send connector {next_hop.connector} may use")
        answer = await connection.run(session.authenticate(exchange))
        if not answer.positive:
            raise Unusable(
                "4.7.0", f"{where} does not accept the user name of send connector {next_hop.connector}: {answer.text}"
            )


def _who_requires(next_hop: NextHop) -> str:
    return f"partner {next_hop.partner.name}" if next_hop.partner else f"send connector {next_hop.connector}"
