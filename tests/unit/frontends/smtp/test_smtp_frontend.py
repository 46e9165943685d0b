"""The SMTP front end over real streams on loopback, with a fake mailflow and fake accounts."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from postern.frontends.smtp.connectors import Connectors, capabilities
from postern.frontends.smtp.frontend import SmtpFrontend
from postern.frontends.smtp.ports import Silent
from postern.frontends.smtp.replies import REPLIES, Stage, reply_to
from postern.frontends.smtp.settings import ReceiveConnector, SmtpSettings
from postern.model.envelope import Envelope, Peer
from postern.model.ids import AccountId
from postern.model.refusal import Reason, Refusal
from postern.net.clock import SystemClock, SystemEntropy
from postern.net.listener import bind, serve
from postern.net.tls import server_context
from postern.protocols.sasl import client as sasl_client
from postern.protocols.sasl import scram
from postern.protocols.smtp.client import ClientSession
from postern.services.authentication import Principal
from postern.services.negotiation import Negotiations

ALL = ("PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
ANN = Principal(AccountId(1), "ann@example.org", None, 1)


class Credentials(NamedTuple):
    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes
    alternatives: tuple[tuple[bytes, bytes], ...] = ()


class FakeAuthentication:
    negotiations = Negotiations()

    async def watch(self, principal, protocol, session):
        return lambda: None

    def __init__(self) -> None:
        self.failures: list[str] = []

    async def verify_password(
        self, user: str, password: str, peer_address: str, protocol: str, authzid: str = ""
    ) -> Principal:
        assert (peer_address, protocol) == ("127.0.0.1", "smtp")
        if (user, password) != ("ann", "secret"):
            self.failures.append(user)
            raise Refusal(Reason.BAD_CREDENTIALS, "secret detail")
        return ANN

    async def scram(self, user: str, peer_address: str = "", protocol: str = "") -> Credentials:
        return Credentials(b"salt", 8, *scram.derive("secret" if user == "ann" else "\0never", b"salt", 8))

    async def finish_scram(
        self, user: str, ok: bool, peer_address: str, protocol: str = "", authzid: str = "", *, stored_key: bytes = b""
    ) -> Principal:
        if not ok:
            self.failures.append(user)
            raise Refusal(Reason.BAD_CREDENTIALS)
        return ANN


class FakeMailflow:
    """Knows `*@example.org` but `nobody`, and refuses by what stands in the local part."""

    def __init__(self) -> None:
        self.taken: list[tuple[Envelope, Peer, Sequence[Any], bytes]] = []
        self.break_with: BaseException | None = None

    async def check_sender(self, reverse_path: str, principal: Principal | None, peer: Peer) -> None:
        if principal is not None and reverse_path != principal.address:
            raise Refusal(Reason.SENDER_NOT_ALLOWED, "policy detail")

    async def check_limits(self, principal: Principal, octets: int, recipients: int) -> None:
        pass

    async def check_author(self, content: bytes, principal: Principal) -> bytes:
        return content

    async def check_recipient(
        self, address: str, principal: Principal | None, peer: Peer, size: int, *, may_relay: bool = False
    ) -> str:
        local, _, domain = address.partition("@")
        if local == "full":
            raise Refusal(Reason.OVER_QUOTA)
        if domain not in {"example.org", ""} and principal is None and not may_relay:
            raise Refusal(Reason.RELAY_DENIED)
        if local == "nobody":
            raise Refusal(Reason.NO_SUCH_RECIPIENT, "secret detail")
        return f"route to {address}"

    async def submit(self, envelope: Envelope, peer: Peer, routes: Sequence[Any], content: bytes) -> str:
        if self.break_with is not None:
            raise self.break_with
        self.taken.append((envelope, peer, routes, content))
        return f"q{len(self.taken)}"


class Recorder(Silent):
    def __init__(self) -> None:
        self.notes: list[tuple[str, ...]] = []

    def closed(self, data_path: str, reason: str) -> None:
        self.notes.append(("closed", reason))

    def refused(self, data_path: str, stage: str, reason: str) -> None:
        self.notes.append(("refused", stage, reason))

    def warning(self, event: str, **values: Any) -> None:
        self.notes.append(("warning", event))

    def exception(self, event: str, **values: Any) -> None:
        self.notes.append(("exception", event))


class Server(NamedTuple):
    port: int
    mailflow: FakeMailflow
    authentication: FakeAuthentication
    notes: list[tuple[str, ...]]
    frontend: SmtpFrontend
    trust: ssl.SSLContext

    async def connect(self, *, tls: bool = False) -> Wire:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.trust if tls else None, server_hostname="localhost" if tls else None
        )
        return Wire(reader, writer)


class Wire:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, data: bytes, replies: int = 1) -> str:
        """Send, then collect that many whole replies."""
        self.writer.write(data)
        got = b""
        while replies:
            line = await asyncio.wait_for(self.reader.readline(), 60)
            if not line:
                return got.decode() + "EOF"
            got += line
            replies -= line[3:4] == b" "
        return got.decode()

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, ssl.SSLContext]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    for chain in issued.cert_chain_pems:
        chain.write_to_path(certificate, append=True)
    issued.private_key_pem.write_to_path(key)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trust)
    return certificate, key, trust


Serve = Callable[..., Any]


@pytest.fixture
def start(certificates: tuple[Path, Path, ssl.SSLContext]) -> Serve:
    certificate, key, trust = certificates

    @asynccontextmanager
    async def run(data_path: str = "smtp", **changes: Any) -> AsyncIterator[Server]:
        context = server_context(certificate, key)
        values: dict[str, Any] = {"data_path": data_path, "hostname": "localhost", "command_timeout_s": 5.0}
        if data_path != "smtp":
            values["mechanisms"] = ALL
        implicit = data_path == "submissions"
        pressure = changes.pop("pressure", lambda: None)
        domains = changes.pop("sender_domains", None)
        settings = SmtpSettings(**(values | {"starttls": not implicit} | changes))
        mailflow, authentication, recorder = FakeMailflow(), FakeAuthentication(), Recorder()
        frontend = SmtpFrontend(
            settings,
            mailflow,
            authentication,
            SystemClock(),
            SystemEntropy(),
            tls=lambda: context,
            pressure=pressure,
            metrics=recorder,
            log=recorder,
            sender_domains=domains,
        )
        sock = bind("127.0.0.1", 0)
        listener = await serve(sock, frontend.handle, context if implicit else None)
        try:
            yield Server(sock.getsockname()[1], mailflow, authentication, recorder.notes, frontend, trust)
        finally:
            await listener.stop(1)
            sock.close()

    return run


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(200):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("did not come true")


async def in_thread(work: Callable[[], Any]) -> Any:
    return await asyncio.to_thread(work)


MAIL = b"MAIL FROM:<x@remote.example>\r\nRCPT TO:<bob@example.org>\r\n"
MESSAGE = b"DATA\r\nSubject: hello\r\n\r\n..text\r\n.\r\n"


async def test_anonymous_mail_in_one_packet(start: Serve) -> None:
    async with start() as server:
        wire = await server.connect()
        out = await wire.say(b"EHLO client.example\r\n" + MAIL + MESSAGE + b"QUIT\r\n", 7)
        assert "250 2.6.0 Queued as q1" in out
        assert "AUTH" not in out
        ((envelope, peer, routes, content),) = server.mailflow.taken
        assert content == b"Subject: hello\r\n\r\n.text\r\n"
        assert envelope.reverse_path == "x@remote.example"
        assert routes == ["route to bob@example.org"]
        assert (peer.address, peer.helo, peer.protocol, peer.data_path) == (
            "127.0.0.1", "client.example", "ESMTP", "smtp",
        )  # fmt: skip
        assert len(peer.session_id) == 12
        await wire.close()
        await until(lambda: ("closed", "quit") in server.notes)


async def test_no_open_relay_and_specific_recipient_replies(start: Serve) -> None:
    async with start() as server:
        wire = await server.connect()
        await wire.say(b"EHLO c\r\nMAIL FROM:<x@remote.example>\r\n", 3)
        for address, answer in {
            "you@elsewhere.example": "550 5.7.1",
            "nobody@example.org": "550 5.1.1",
            "full@example.org": "552 5.2.2",
            "postmaster": "250 2.1.5",
        }.items():
            out = await wire.say(f"RCPT TO:<{address}>\r\n".encode())
            assert out.startswith(answer)
            assert "detail" not in out
        out = await wire.say(MESSAGE, 2)
        assert server.mailflow.taken[0][2] == ["route to postmaster"]
        await wire.close()


async def test_routes_match_recipients_after_rset_and_refusals(start: Serve) -> None:
    async with start() as server:
        wire = await server.connect()
        await wire.say(b"EHLO c\r\n" + MAIL + b"RSET\r\n" + b"MAIL FROM:<>\r\n", 6)
        await wire.say(b"RCPT TO:<a@example.org>\r\nRCPT TO:<nobody@example.org>\r\nRCPT TO:<b@example.org>\r\n", 3)
        await wire.say(MESSAGE, 2)
        envelope, _, routes, _ = server.mailflow.taken[0]
        assert [f"route to {r.address}" for r in envelope.recipients] == routes == [
            "route to a@example.org", "route to b@example.org",
        ]  # fmt: skip
        await wire.close()


async def test_relaying_connector_needs_its_network(start: Serve) -> None:
    local = ReceiveConnector(name="printers", remote=("127.0.0.0/8",), anonymous_relay=True)
    async with start(connectors=(local,)) as server:
        wire = await server.connect()
        out = await wire.say(b"EHLO c\r\nMAIL FROM:<x@y.example>\r\nRCPT TO:<you@elsewhere.example>\r\n", 4)
        assert "250 2.1.5" in out
        await wire.close()
    other = ReceiveConnector(name="printers", remote=("192.0.2.0/24",), anonymous_relay=True)
    async with start(connectors=(other,)) as server:
        wire = await server.connect()
        assert (await wire.say(b"")).startswith("554 5.7.1")
        await wire.close()


async def test_submission_with_starttls_by_smtplib(start: Serve) -> None:
    async with start("submission") as server:

        def send() -> None:
            with smtplib.SMTP("localhost", server.port, timeout=10) as smtp:
                smtp.ehlo()
                assert "auth" not in smtp.esmtp_features
                assert smtp.docmd("MAIL FROM:<ann@example.org>")[0] == 530
                assert smtp.docmd("AUTH PLAIN AGFubgBzZWNyZXQ=")[0] == 530
                smtp.starttls(context=server.trust)
                smtp.ehlo()
                assert smtp.docmd("MAIL FROM:<ann@example.org>") == (530, b"5.7.0 Authentication required")
                smtp.login("ann", "secret")
                with pytest.raises(smtplib.SMTPSenderRefused) as refused:
                    smtp.sendmail("boss@example.org", ["you@elsewhere.example"], "x")
                assert refused.value.smtp_code == 550
                smtp.sendmail("ann@example.org", ["you@elsewhere.example"], "Subject: hi\r\n\r\ntext")

        await in_thread(send)
        ((_, peer, _, content),) = server.mailflow.taken
        assert (peer.protocol, peer.principal) == ("ESMTPSA", "ann@example.org")
        assert peer.tls.startswith("TLSv1")
        assert b"Message-ID: <" in content
        assert b"Date: " in content


async def test_anonymous_mail_is_not_completed(start: Serve) -> None:
    async with start() as server:
        wire = await server.connect()
        await wire.say(b"EHLO c\r\n" + MAIL + MESSAGE, 6)
        assert b"Message-ID" not in server.mailflow.taken[0][3]
        await wire.close()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
async def test_implicit_tls_and_mechanisms(start: Serve, mechanism: str) -> None:
    async with start("submissions") as server:
        for user, password, code in (("ann", "wrong", 535), ("eve", "secret", 535), ("ann", "secret", 235)):
            wire = await server.connect(tls=True)
            client = ClientSession("c")
            exchange = sasl_client.start(user, password, [mechanism], SystemEntropy())
            assert exchange is not None
            assert (await drive(client, wire, client.greeting())).code == 220
            assert (await drive(client, wire, client.hello())).positive
            assert client.extensions.mechanisms == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")
            answer = await drive(client, wire, client.authenticate(exchange))
            assert answer.code == code
            assert "detail" not in answer.text
            await wire.close()
        assert server.authentication.failures == ["ann", "eve"]


async def drive(client: ClientSession, wire: Wire, operation: Any) -> Any:
    try:
        data = next(operation)
        while True:
            wire.writer.write(data)
            while (answer := client.next_reply()) is None:
                client.receive(await wire.reader.read(65536))
            data = operation.send(answer)
    except StopIteration as stop:
        return stop.value


async def test_scram_plus_binds_to_our_certificate(start: Serve) -> None:
    async with start("submissions") as server:
        wire = await server.connect(tls=True)
        await wire.say(b"EHLO c\r\n", 2)
        from postern.protocols.sasl.encoding import decode, encode

        certificate = wire.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        from hashlib import sha256

        peer = scram.client("ann", "secret", b"abc", ("tls-server-end-point", sha256(certificate).digest()))
        out = await wire.say(b"AUTH SCRAM-SHA-256-PLUS " + encode(next(peer)) + b"\r\n")
        out = await wire.say(encode(peer.send(decode(out[4:].strip().encode()))) + b"\r\n")
        assert out.startswith("334 ")
        assert (await wire.say(b"\r\n")).startswith("235 2.7.0")
        await wire.close()


async def test_clear_text_login_only_where_allowed(start: Serve) -> None:
    async with start("submission", cleartext_login="loopback") as server:
        wire = await server.connect()
        out = await wire.say(b"EHLO c\r\nAUTH PLAIN AGFubgBzZWNyZXQ=\r\nMAIL FROM:<ann@example.org>\r\n", 4)
        assert "235 2.7.0" in out
        assert out.endswith("250 2.1.0 Sender OK\r\n")
        await wire.close()
    settings = SmtpSettings(data_path="submission", hostname="h", mechanisms=ALL, cleartext_login="loopback")
    found = capabilities(settings, settings.connectors[1], "192.0.2.1", tls=False, starttls=True, binding=None)
    assert found.mechanisms == ()
    assert found.tls_required


async def test_starttls_injection(start: Serve) -> None:
    async with start() as server:
        wire = await server.connect()
        out = await wire.say(b"EHLO c\r\nSTARTTLS\r\nRSET\r\n" + MAIL, 3)
        assert out.endswith("220 2.0.0 Ready to start TLS\r\n")
        await wire.writer.start_tls(server.trust, server_hostname="localhost")
        assert (await wire.say(b"NOOP\r\n")) == "250 2.0.0 OK\r\n"
        assert (await wire.say(b"MAIL FROM:<a@x.example>\r\n")).startswith("503 ")
        assert ("warning", "smtp.dropped_before_tls") in server.notes
        await wire.close()


async def test_smuggled_message_is_one_refused_message(start: Serve) -> None:
    async with start() as server:
        wire = await server.connect()
        forged = b"MAIL FROM:<ceo@example.org>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nforged\r\n.\r\n"
        smuggled = b"DATA\r\nSubject: a\r\n\r\nx\n.\r\n" + forged
        out = await wire.say(b"EHLO c\r\n" + MAIL + smuggled + b"NOOP\r\n", 7)
        assert "550 5.5.2" in out
        assert out.endswith("250 2.0.0 OK\r\n")
        assert not server.mailflow.taken
        await wire.close()


async def test_failed_handshake_ends_quietly(start: Serve) -> None:
    async with start() as server:
        wire = await server.connect()
        await wire.say(b"EHLO c\r\nSTARTTLS\r\n", 3)
        wire.writer.write(b"this is not TLS at all\r\n" * 5)
        await wire.reader.read()
        await until(lambda: ("closed", "reset") in server.notes)
        await wire.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refusal(Reason.DISK_FULL), "452 4.3.1"),
        (Refusal(Reason.LOOP), "554 5.4.6"),
        (Refusal(Reason.READ_ONLY), "451 4.3.2"),
    ],
)
async def test_refused_message_leaves_the_session_usable(start: Serve, error: Refusal, code: str) -> None:
    async with start() as server:
        server.mailflow.break_with = error
        wire = await server.connect()
        out = await wire.say(b"EHLO c\r\n" + MAIL + MESSAGE, 6)
        assert f"\r\n{code} " in out
        server.mailflow.break_with = None
        assert "250 2.6.0" in await wire.say(MAIL + MESSAGE, 4)
        await wire.close()


async def test_a_bug_is_logged_and_says_nothing(start: Serve) -> None:
    async with start() as server:
        server.mailflow.break_with = ValueError("secret")
        wire = await server.connect()
        out = await wire.say(b"EHLO c\r\n" + MAIL + MESSAGE, 6)
        assert out.endswith("451 4.3.0 Internal error\r\n")
        assert await wire.say(b"NOOP\r\n") == "EOF"
        assert ("exception", "smtp.failed") in server.notes
        await wire.close()


async def test_back_pressure(start: Serve) -> None:
    async with start(pressure=lambda: Reason.DISK_FULL) as server:
        wire = await server.connect()
        out = await wire.say(b"EHLO c\r\nMAIL FROM:<x@y.example>\r\n", 3)
        assert out.endswith("452 4.3.1 Insufficient system storage\r\n")
        await wire.close()


async def test_timeouts(start: Serve) -> None:
    async with start(command_timeout_s=0.1) as server:
        wire = await server.connect()
        assert (await wire.say(b"EHLO c\r\n", 3)).endswith("421 4.4.2 Nothing was heard for too long\r\n")
        await wire.close()
    async with start(progress_timeout_s=0.15) as server:
        wire = await server.connect()
        await wire.say(b"NOOP\r\n", 2)
        await asyncio.sleep(0.2)
        assert "421 4.4.2 No message" in await wire.say(b"NOOP\r\n", 2)
        await wire.close()


async def test_connection_limits(start: Serve) -> None:
    async with start(max_connections_per_address=1) as server:
        first = await server.connect()
        assert (await first.say(b"")).startswith("220 ")
        second = await server.connect()
        assert (await second.say(b"")).startswith("421 4.7.0")
        await second.close()
        await first.say(b"QUIT\r\n")
        await first.close()
        await until(lambda: server.frontend.connections == 0)
        third = await server.connect()
        assert (await third.say(b"")).startswith("220 ")
        await third.close()


async def test_stopping_says_so(start: Serve) -> None:
    async with start() as server:
        wire = await server.connect()
        await wire.say(b"EHLO c\r\n", 2)
    assert (await wire.say(b"")).startswith("421 4.3.2")
    await wire.close()


def test_every_reason_has_a_reply_of_its_class() -> None:
    for reason in Reason:
        for stage in Stage:
            answer = reply_to(reason, stage)
            assert answer.code >= 400
            assert reason.temporary == (not answer.permanent), (reason, stage)
    assert set(REPLIES) == set(Reason)


def test_first_fitting_connector_counts() -> None:
    special = ReceiveConnector(name="special", remote=("192.0.2.0/24", "2001:db8::/32"))
    rest = ReceiveConnector(name="rest")
    other = ReceiveConnector(name="other", listeners=("submission",))
    connectors = Connectors((other, special, rest), "smtp")
    assert [connectors.choose(a) for a in ("192.0.2.9", "::ffff:192.0.2.9", "2001:db8::1%eth0", "198.51.100.1")] == [
        special, special, special, rest,
    ]  # fmt: skip
    assert Connectors((special,), "smtp").choose("198.51.100.1") is None
    assert connectors.choose("unix") is None
    with pytest.raises(ValueError, match="does not appear"):
        Connectors((ReceiveConnector(name="bad", remote=("nonsense",)),), "smtp")


def test_a_connector_without_permissions_takes_nothing() -> None:
    settings = SmtpSettings(data_path="smtp", hostname="h")
    found = capabilities(settings, ReceiveConnector(name="n"), "192.0.2.1", tls=False, starttls=False, binding=None)
    assert found.auth_required


class NoDomains:
    async def check(self, reverse_path: str) -> None:
        silent = reverse_path.startswith("silent")
        raise Refusal(Reason.SENDER_DOMAIN_SILENT if silent else Reason.SENDER_DOMAIN_UNKNOWN, "secret detail")


async def test_senders_from_domains_that_cannot_answer_are_refused_to_the_internet(
    start: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = ReceiveConnector(name="relay", anonymous=True, anonymous_relay=True)
    unchecked = ReceiveConnector(name="unchecked", anonymous=True, check_sender_domain=False)
    said = b"EHLO c\r\nMAIL FROM:<silent@x.example>\r\nMAIL FROM:<x@y.example>\r\nQUIT\r\n"
    for connectors, outside, answers in (
        ((), True, ["550 5.7.27", "550 5.1.8 "]),
        ((), False, ["250 2.1.0 ", "503 5.5.1 "]),
        ((relay,), True, ["250 2.1.0 ", "503 5.5.1 "]),
        ((unchecked,), True, ["250 2.1.0 ", "503 5.5.1 "]),
    ):
        monkeypatch.setattr("postern.frontends.smtp.connection.is_outside", lambda _, outside=outside: outside)
        changes = {"connectors": connectors} if connectors else {}
        async with start(sender_domains=NoDomains(), **changes) as server:
            wire = await server.connect()
            lines = (await wire.say(said, 5)).splitlines()
            assert [line[:10] for line in lines[-3:-1]] == answers
            await wire.close()
