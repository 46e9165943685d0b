"""Outgoing mail to a real Postfix, found through a name server, encrypted and signed; a failing one gives a DSN."""

from __future__ import annotations

import asyncio
import email
import email.policy
import shutil
import subprocess
from pathlib import Path

import dkim as oracle
import pytest
from dns_double import NameServer
from postfix_peer import PostfixPeer, need_postfix

from postern.delivery.smtp.agent import AgentSettings, NextHopAgent
from postern.delivery.smtp.signing import DkimKey, Signer
from postern.formats import dkim
from postern.model.envelope import Envelope, Recipient
from postern.model.ids import BlobRef, DeliveryKey
from postern.model.transfer import StoredContent
from postern.net.clock import SystemClock, SystemEntropy
from postern.net.dns import DnsResolver
from postern.transport.outcomes import Relay
from postern.transport.queue import QueueStore
from postern.transport.queue_rows import NewEntry
from postern.transport.routing import Router, SendConnector
from postern.transport.runner import Parts, QueueRunner, RunnerSettings
from postern.transport.tracking import TraceQuery, Tracker, search

pytestmark = pytest.mark.interop
SENDER = "olga@here.example"


def text(body: str, subject: str = "Привет", extra: str = "") -> bytes:
    return (
        f"From: Olga <{SENDER}>\r\nTo: anna@far.example\r\nSubject: =?utf-8?B?0J/RgNC40LLQtdGC?=\r\n"
        f"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <one@here.example>\r\nMIME-Version: 1.0\r\n"
        f"{extra}Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{body}\r\n"
    ).encode()


class Outbound:
    """Everything of a worker that sends, on real sockets."""

    def __init__(self, data: Path, smtp_port: int, dns_port: int, signer: Signer | None) -> None:
        self.clock, self.entropy = SystemClock(), SystemEntropy()
        self.queue = QueueStore(data / "queue.db", self.clock, self.entropy)
        self.tracker = Tracker(data / "tracking", self.clock, "1")
        self.tracking = data / "tracking"
        self.bodies: dict[BlobRef, bytes] = {}
        self.reports: list[tuple[Envelope, bytes]] = []
        self.agent = NextHopAgent(AgentSettings("mail.here.example"), self.entropy, signer)
        resolver = DnsResolver(self.clock, ["127.0.0.1"], dns_port)
        # MX records name no port, and a test may not have 25
        connector = SendConnector("internet", port=smtp_port)
        self.runner = QueueRunner(
            "1",
            Parts(
                queue=self.queue,
                router=Router([connector], resolver, self.entropy, ["mail.here.example"]),
                smtp=self.agent,
                mailboxes=self,  # type: ignore[arg-type]
                contents=self,
                directory=self,  # type: ignore[arg-type]
                submit=self.submit,
                tracker=self.tracker,
                clock=self.clock,
                entropy=self.entropy,
            ),
            RunnerSettings("mail.here.example"),
        )

    async def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        return self.bodies[ref]

    async def submit(self, key: DeliveryKey, envelope: Envelope, content: bytes) -> None:
        self.reports.append((envelope, content))

    async def send(self, content: bytes, *recipients: str | Recipient, **parameters) -> None:
        record = len(self.bodies) + 1
        ref = BlobRef(1, record)
        self.bodies[ref] = content
        given = [r if isinstance(r, Recipient) else Recipient(r) for r in recipients]
        await self.queue.add(
            [
                NewEntry(
                    DeliveryKey(1, record),
                    Envelope(SENDER, (), **parameters),
                    StoredContent(ref, len(content), b"Received: from client by mail.here.example; now\r\n"),
                    [Relay(r, SENDER, r.address.rpartition("@")[2]) for r in given],
                    self.clock.timestamp(),
                    principal=SENDER,
                )
            ]
        )
        self.runner.wake()

    async def __aenter__(self) -> Outbound:
        self._task = asyncio.create_task(self.runner.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runner.stop(5)
        await self._task
        await self.queue.close()
        self.tracker.close()

    async def drained(self) -> None:
        for _ in range(1000):
            if not await self.queue.length() and not await self.queue.live(1):
                return
            await asyncio.sleep(0.02)
        raise AssertionError("the queue is not empty")


@pytest.fixture(scope="module")
def postfix():
    need_postfix()
    peer = PostfixPeer()
    try:
        peer.start()
        yield peer
    finally:
        peer.stop()


@pytest.fixture(scope="module")
def old_postfix():
    """One that knows neither 8BITMIME nor SMTPUTF8 nor STARTTLS."""
    need_postfix()
    peer = PostfixPeer(tls="none", discard="8bitmime, smtputf8, dsn, chunking")
    try:
        peer.start()
        yield peer
    finally:
        peer.stop()


@pytest.fixture
def records() -> dict[tuple[str, str], list[str]]:
    return {
        ("far.example", "MX"): ["20 dead.far.example.", "10 mx.far.example."],
        ("mx.far.example", "A"): ["127.0.0.1"],
        ("dead.far.example", "A"): ["127.0.0.9"],
    }


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
async def test_found_by_mx_encrypted_signed_and_verified(
    postfix: PostfixPeer, records, tmp_path: Path, algorithm: str
) -> None:
    pem = dkim.generate_key(algorithm)
    key_name = "s1._domainkey.here.example"
    record = dkim.dns_record(pem)
    signer = Signer({"here.example": DkimKey("s1", dkim.load_key(pem))}, SystemClock())
    async with NameServer(records) as names, Outbound(tmp_path, postfix.port, names.port, signer) as outbound:
        await outbound.send(
            text("Добрый день\r\n.one dot\r\n  spaces  \t\r\n\r\n\r\n", extra=f"X-Test: {algorithm}\r\n"),
            Recipient("boris@far.example", "SUCCESS"),
            body="8BITMIME",
            envid="E1",
        )
        await outbound.drained()
        (message,) = await asyncio.to_thread(postfix.received, "boris", 1, f"X-Test: {algorithm}".encode())
        assert ("far.example", "MX") in names.asked
        assert not outbound.reports
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    assert "using TLSv1" in parsed["Received"]
    assert parsed.get_content() == "Добрый день\n.one dot\n  spaces  \t\n\n\n\n"
    wire = message.replace(b"\n", b"\r\n")
    assert oracle.verify(wire, dnsfunc=lambda name, timeout=5: record.encode() if key_name in str(name) else None)
    assert not oracle.verify(
        wire.replace(b"one dot", b"two dots"),
        dnsfunc=lambda name, timeout=5: record.encode() if key_name in str(name) else None,
    )
    if algorithm == "rsa":
        opendkim_verifies(tmp_path, wire, key_name, record)
    (sent,) = [e for e in search(tmp_path / "tracking", TraceQuery()) if e.event == "SEND"]
    assert (sent.peer, sent.tls[:7]) == ("mx.far.example", "TLSv1.3")


def opendkim_verifies(tmp_path: Path, wire: bytes, key_name: str, record: str) -> None:
    program = shutil.which("opendkim") or shutil.which("opendkim", path="/usr/sbin")
    if not program:
        pytest.skip("opendkim is not installed: run scripts/install-test-parts as root")
    (tmp_path / "keys").write_text(f"{key_name} {record}\n")
    (tmp_path / "opendkim.conf").write_text(f"TestDNSData file:{tmp_path}/keys\nMode v\n")
    (tmp_path / "message").write_bytes(wire)
    done = subprocess.run(
        [program, "-x", tmp_path / "opendkim.conf", "-t", tmp_path / "message", "-v"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "verification (s=s1, d=here.example, 2048-bit key) succeeded" in done.stdout + done.stderr


async def test_many_messages_use_few_connections(postfix: PostfixPeer, records, tmp_path: Path) -> None:
    async with NameServer(records) as names, Outbound(tmp_path, postfix.port, names.port, None) as outbound:
        for _ in range(25):
            await outbound.send(text("x", extra="X-Test: many\r\n"), "anna@far.example", "boris@far.example")
        await outbound.drained()
        assert outbound.agent.connections_opened <= 4
        assert outbound.agent.connections_reused >= 21
        await asyncio.to_thread(postfix.received, "anna", 25, b"X-Test: many")
        assert len([q for q in names.asked if q == ("far.example", "MX")]) == 1


async def test_a_failing_recipient_gives_a_dsn_that_programs_understand(
    postfix: PostfixPeer, records, tmp_path: Path
) -> None:
    async with NameServer(records) as names, Outbound(tmp_path, postfix.port, names.port, None) as outbound:
        await outbound.send(
            text("x"), Recipient("nobody@far.example", "", "rfc822;friend@here.example"), "anna@far.example",
            "x@nowhere.example", envid="E7",
        )  # fmt: skip
        await outbound.drained()
        assert outbound.reports
    seen = {}
    for envelope, content in outbound.reports:
        assert (envelope.reverse_path, envelope.recipients[0].address) == ("", SENDER)
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert parsed.get_content_type() == "multipart/report"
        _human, status, original = parsed.iter_parts()
        assert original.get_content_type() == "message/rfc822"
        for block in status.get_payload()[1:]:
            seen[block["Final-Recipient"].partition(";")[2].strip()] = block
        assert "postmaster@mail.here.example" in parsed["From"]
    assert seen.keys() == {"nobody@far.example", "x@nowhere.example"}
    unknown = seen["nobody@far.example"]
    assert (unknown["Action"], unknown["Status"]) == ("failed", "5.1.1")
    assert unknown["Original-Recipient"] == "rfc822; friend@here.example"
    assert "550 5.1.1" in " ".join(unknown["Diagnostic-Code"].split())
    assert unknown["Remote-MTA"] == "dns; mx.far.example"
    assert seen["x@nowhere.example"]["Status"] == "5.1.2"


async def test_a_host_without_extensions_gets_what_it_can_take(
    old_postfix: PostfixPeer, records, tmp_path: Path
) -> None:
    async with NameServer(records) as names, Outbound(tmp_path, old_postfix.port, names.port, None) as outbound:
        await outbound.send(text("Добрый день"), Recipient("anna@far.example", "SUCCESS"), body="8BITMIME")
        await outbound.send(text("x"), "почта@far.example", smtputf8=True)
        await outbound.drained()
        (message,) = await asyncio.to_thread(old_postfix.received, "anna", 1)
    assert message.isascii()
    parsed = email.message_from_bytes(message, policy=email.policy.default)
    assert parsed.get_content() == "Добрый день\n"
    reported = {
        "failed" if b"\r\nAction: failed\r\nStatus: 5.6.7\r\n" in content else "relayed": content
        for _, content in outbound.reports
    }
    assert reported.keys() == {"failed", "relayed"}
    # an internationalised sender understands an internationalised report (RFC 6533)
    assert "Final-Recipient: utf-8; почта@far.example\r\n".encode() in reported["failed"]
    assert b"\r\nAction: relayed\r\nStatus: 2.0.0\r\n" in reported["relayed"]
