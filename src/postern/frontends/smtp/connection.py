"""One connection: reads, asks the services what the session cannot know, writes one answer a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from postern.formats.mime.trace import complete_submission
from postern.frontends.ports import Authentication, Stream
from postern.frontends.signin import SignIn, channel_binding, shows_certificate
from postern.frontends.smtp.connectors import capabilities
from postern.frontends.smtp.ports import Log, Mailflow, Metrics, Peers, SenderDomains
from postern.frontends.smtp.replies import (
    AUTH_MALFORMED,
    AUTHENTICATED,
    FAILURE,
    NO_PROGRESS,
    STOPPING,
    TIMEOUT,
    Stage,
    ended_reply,
    reply_to,
)
from postern.frontends.smtp.server_peer import ServerPeer
from postern.frontends.smtp.settings import ReceiveConnector, SmtpSettings
from postern.model.addresses import is_loopback
from postern.model.envelope import Peer
from postern.model.networks import is_outside
from postern.model.ports import Clock, Entropy, Resolver
from postern.model.refusal import ProtocolViolation, Reason, Refusal
from postern.net.stream import Ended
from postern.protocols.smtp import reply
from postern.protocols.smtp.commands import (
    Auth,
    AuthResponse,
    Closed,
    Event,
    Exps,
    Mail,
    Message,
    Rcpt,
    StartTls,
)
from postern.protocols.smtp.dialogue import Limits
from postern.protocols.smtp.extensions import Capabilities
from postern.protocols.smtp.reply import Reply
from postern.protocols.smtp.server import ServerSession

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping
    from postern.services.authentication import Principal

PROTOCOL = "smtp"
_SESSION_ID_BYTES = 6


class Shared(msgspec.Struct, frozen=True):
    """What all connections of a data path have in common."""

    settings: SmtpSettings
    mailflow: Mailflow
    authentication: Authentication
    clock: Clock
    entropy: Entropy
    tls: Callable[[], ssl.SSLContext | Wrapping | None]
    resolver: Resolver | None
    pressure: Callable[[], Reason | None]
    metrics: Metrics
    log: Log
    peers: Peers
    sender_domains: SenderDomains | None = None


class Connection:
    """A session with its stream."""

    def __init__(self, shared: Shared, stream: Stream, connector: ReceiveConnector) -> None:
        settings = shared.settings
        self._shared = shared
        self._stream = stream
        self._connector = connector
        self._address = stream.peer[0]
        checked = connector.check_sender_domain and not connector.anonymous_relay
        self._checks_domain = checked and is_outside(self._address)
        self._id = shared.entropy.token(_SESSION_ID_BYTES).hex()
        self._principal: Principal | None = None
        self._server = ServerPeer(shared.peers, shared.authentication.negotiations, stream, self._id, shared.log)
        self._unwatch: Callable[[], object] = bool
        self._login: SignIn | None = None
        self._routes: list[Any] = []
        self._peers: dict[bool, Peer] = {}
        self._reverse_name = ""
        self._lookup: asyncio.Task[str | None] | None = None
        self._session = ServerSession(
            self._capabilities(),
            Limits(
                errors_max=settings.max_errors,
                commands_max=settings.max_commands,
                bare_newlines=settings.bare_newlines,
            ),
            tls=stream.tls is not None,
        )

    # --- life

    async def run(self, greeting: Reply) -> str:
        """Serve to the end; why it ended. Raises ConnectionError when the peer is gone."""
        shared, session, stream = self._shared, self._session, self._stream
        settings = shared.settings
        if shared.resolver is not None and not is_loopback(self._address):
            self._lookup = asyncio.ensure_future(shared.resolver.reverse(self._address))
        session.greet(greeting)
        started = shared.clock.monotonic()
        messages = 0
        try:
            while True:
                event = session.next_event()
                if event is not None and not isinstance(event, Closed):
                    await self._answer(event)
                    continue
                output = session.output()
                if output:
                    stream.write(output)
                    await stream.drain()
                if event is not None:
                    return event.reason
                if session.messages != messages:
                    messages = session.messages
                    started = shared.clock.monotonic()
                elif shared.clock.monotonic() - started > settings.progress_timeout_s:
                    return self._end(NO_PROGRESS, "timeout")
                data = await stream.read(settings.data_timeout_s if session.in_data else settings.command_timeout_s)
                if not data:
                    return "eof"
                session.receive(data)
        except TimeoutError:
            return self._end(TIMEOUT, "timeout")
        except Ended as ended:
            return self._end(ended_reply(ended.reason), "ended")
        except ConnectionResetError:
            return "reset"
        except ConnectionError:
            # net's notice that the server stops; a connection that is really gone does not hear the answer
            return self._end(STOPPING, "stopping")
        except Exception:
            shared.log.exception("smtp.failed", session=self._id, peer=self._address)
            return self._end(FAILURE, "failure")

    def stop(self) -> None:
        """Say that the service is stopping."""
        self._end(STOPPING, "stopping")

    def finished(self) -> None:
        """The connection is over."""
        self._unwatch()
        self._server.cancelled()
        if self._lookup is not None:
            self._lookup.cancel()

    def _end(self, answer: Reply, reason: str) -> str:
        self._session.close(answer, reason)
        self._stream.write(self._session.output())
        return reason

    # --- events

    async def _answer(self, event: Event) -> None:
        stage = Stage.DATA
        try:
            match event:
                case Rcpt():
                    stage = Stage.RCPT
                    await self._rcpt(event)
                case Mail():
                    stage = Stage.MAIL
                    await self._mail(event)
                case Message():
                    await self._message(event)
                case StartTls():
                    await self._start_tls(event)
                case Exps():
                    stage = Stage.AUTH
                    await self._server_signs_in(event)
                case AuthResponse() if self._server.signing_in:
                    stage = Stage.AUTH
                    await self._server_signs_in(event)
                case Auth() | AuthResponse():
                    await self._auth(event)
        except Refusal as refusal:
            self._refused(stage, refusal)
            self._session.reply(reply_to(refusal.reason, stage))

    def _refused(self, stage: Stage, refusal: Refusal, user: str = "") -> None:
        shared = self._shared
        shared.metrics.refused(shared.settings.data_path, stage.value, refusal.reason.value)
        shared.log.info(
            "smtp.refused",
            session=self._id,
            peer=self._address,
            connector=self._connector.name,
            stage=stage.value,
            reason=refusal.reason.value,
            user=user or (self._principal.address if self._principal else ""),
            detail=refusal.detail,
        )

    async def _mail(self, event: Mail) -> None:
        self._routes = []
        pressed = self._shared.pressure()
        if pressed is not None:
            raise Refusal(pressed, "back pressure")
        tls = self._stream.tls
        server = self._server.name
        if server and not await self._server.look_again():
            if not (self._connector.anonymous or self._connector.anonymous_relay):
                raise Refusal(Reason.RIGHT_WITHDRAWN, f"{server} is a server of the organisation no more")
            server = ""
        if self._principal is None and not server:
            await self._shared.peers.check_sender(
                event.reverse_path, tls.peer_chain if tls else (), tls=tls is not None
            )
            domains = self._shared.sender_domains
            if domains is not None and self._checks_domain:
                await domains.check(event.reverse_path)
        checked = self._connector.check_sender or self._principal is None
        if checked:
            await self._shared.mailflow.check_sender(event.reverse_path, self._principal, self._peer(event.smtputf8))
        self._session.reply(reply.SENDER_OK)

    async def _rcpt(self, event: Rcpt) -> None:
        mail = self._session.transaction.mail
        assert mail is not None
        route = await self._shared.mailflow.check_recipient(
            event.recipient.address,
            self._principal,
            self._peer(mail.smtputf8),
            mail.size,
            may_relay=self._connector.anonymous_relay or bool(self._server.name),
        )
        self._routes.append(route)
        self._session.reply(reply.RECIPIENT_OK)

    async def _message(self, event: Message) -> None:
        shared = self._shared
        envelope, content = event
        if self._principal is not None:
            await shared.mailflow.check_limits(self._principal, len(content), len(envelope.recipients))
            if self._connector.check_sender:
                content = await shared.mailflow.check_author(content, self._principal)
            content = complete_submission(
                content, shared.clock, shared.entropy, shared.settings.submission_domain or shared.settings.hostname
            )
        routes, self._routes = self._routes, []
        queue_id = await shared.mailflow.submit(envelope, self._peer(envelope.smtputf8), routes, content)
        shared.metrics.accepted(shared.settings.data_path, len(content), len(routes))
        self._session.reply(Reply(250, "2.6.0", f"Queued as {queue_id}"))

    async def _start_tls(self, event: StartTls) -> None:
        shared = self._shared
        context = await shared.peers.context() or shared.tls()
        if event.dropped:
            shared.log.warning("smtp.dropped_before_tls", session=self._id, peer=self._address, octets=event.dropped)
        assert context is not None, "STARTTLS was offered without a certificate"
        self._stream.write(self._session.output())
        try:
            await self._stream.start_tls(context)
        except (ConnectionError, TimeoutError) as error:
            shared.log.info("smtp.tls_failed", session=self._id, peer=self._address, detail=str(error))
            raise ConnectionResetError("TLS handshake failed") from error
        self._unwatch()
        self._unwatch = bool
        self._principal = None
        self._peers.clear()
        if self._connector.internal_servers:
            await self._server.look()
        self._session.tls_started(self._capabilities())

    async def _auth(self, event: Auth | AuthResponse) -> None:
        shared = self._shared
        try:
            if isinstance(event, Auth):
                self._server.cancelled()  # what X-EXPS began and broke off must not hear these responses
                self._login = SignIn(shared.authentication, shared.entropy, self._stream, PROTOCOL)
                offered = self._session.capabilities.mechanisms
                outcome = await self._login.begin(event.mechanism, event.initial, offered)
            else:
                assert self._login is not None
                outcome = await self._login.go_on(event.data)
            if not isinstance(outcome, bytes):
                self._unwatch = await shared.authentication.watch(outcome, PROTOCOL, self._stream)
        except ProtocolViolation as violation:
            self._not_signed_in(Refusal(Reason.BAD_CREDENTIALS, str(violation)), AUTH_MALFORMED)
            return
        except Refusal as refusal:
            self._not_signed_in(refusal, reply_to(refusal.reason, Stage.AUTH))
            return
        if isinstance(outcome, bytes):
            self._session.challenge(outcome)
            return
        self._login = None
        self._principal = outcome
        self._peers.clear()
        self._session.reply(AUTHENTICATED)

    async def _server_signs_in(self, event: Exps | AuthResponse) -> None:
        """X-EXPS, and the responses after it. Raises Refusal."""
        if isinstance(event, Exps):
            challenge = await self._server.begin(event, self._session.capabilities.between_servers)
        else:
            challenge = await self._server.go_on(event.data)
        if challenge is None:
            self._session.reply(AUTHENTICATED)
        else:
            self._session.challenge(challenge)

    def _not_signed_in(self, refusal: Refusal, reply: Reply) -> None:
        login, self._login = self._login, None
        self._refused(Stage.AUTH, refusal, login.user if login else "")
        self._session.reply(reply)

    # --- facts

    def _capabilities(self) -> Capabilities:
        settings = self._shared.settings
        return capabilities(
            settings,
            self._connector,
            self._address,
            tls=self._stream.tls is not None,
            starttls=settings.starttls and self._shared.tls() is not None,
            binding=channel_binding(self._stream),
            certificate=shows_certificate(self._stream),
            server=bool(self._server.name),
            kerberos=self._server.takes_kerberos,
        )

    def _peer(self, smtputf8: bool) -> Peer:
        """Who is there; made anew only after EHLO, STARTTLS or AUTH."""
        peer = self._peers.get(smtputf8)
        session = self._session
        if peer is not None and peer.helo == session.helo:
            return peer
        lookup = self._lookup
        if lookup is not None and lookup.done():
            self._lookup = None
            if not lookup.cancelled() and lookup.exception() is None:
                self._reverse_name = lookup.result() or ""
        tls = self._stream.tls
        # RFC 3848, RFC 6531 4.3; HELO knows no variants
        protocol = "SMTP"
        if session.extended:
            protocol = "UTF8SMTP" if smtputf8 else "ESMTP"
            protocol += ("S" if tls else "") + ("A" if self._principal else "")
        peer = Peer(
            self._address,
            self._stream.peer[1],
            self._stream.local[0],
            self._stream.local[1],
            self._shared.settings.data_path,
            session.helo,
            protocol,
            f"{tls.version} {tls.cipher}" if tls else "",
            self._principal.address if self._principal else "",
            self._reverse_name,
            self._id,
        )
        self._peers[smtputf8] = peer
        return peer
