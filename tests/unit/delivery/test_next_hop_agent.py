from __future__ import annotations

import asyncio
import ssl

import msgspec
import pytest
import trustme
from smtp_double import FakeServer

from postern.delivery.smtp.agent import AgentSettings, NextHopAgent
from postern.delivery.smtp.connection import Timeouts
from postern.delivery.smtp.signing import DkimKey, Signer
from postern.formats import dkim
from postern.model.envelope import Envelope, Recipient
from postern.model.transfer import Fate, NextHop, Outgoing, Target, TlsPolicy
from postern.net.clock import SystemClock, SystemEntropy

CONTENT = b"From: Anna <anna@here.example>\r\nSubject: x\r\n\r\nHello\r\n.dot\r\n"
ALL = ("PIPELINING", "8BITMIME", "DSN", "SIZE 100000")


@pytest.fixture
def contexts():
    authority = trustme.CA()
    certificate = authority.issue_cert("mx.far.example")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


@pytest.fixture
async def agent():
    made = NextHopAgent(AgentSettings("mail.here.example", timeouts=Timeouts(1.0, 1.0, 1.0, 0.3)), SystemEntropy())
    yield made
    await made.close()


def hop(*servers: FakeServer, tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC, **login: str) -> NextHop:
    return NextHop("far.example", tuple(Target(s.name, "127.0.0.1", s.port) for s in servers), tls, **login)


def message(*recipients: str, content: bytes = CONTENT, sender: str = "anna@here.example", **more) -> Outgoing:
    envelope = Envelope(sender, tuple(Recipient(r) for r in recipients), **more)
    return Outgoing("P1-1", envelope, content, ours=True)


def waited(*recipients: str) -> Outgoing:
    """A message that TLS failed for before."""
    return msgspec.structs.replace(message(*recipients), tls_failed=True)


async def test_a_connection_serves_many_messages(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL) as server:
        for _ in range(3):
            (result,) = await agent.send(hop(server), message("x@far.example"))
            assert (result.fate, result.remote) == (Fate.RELAYED, "mx.far.example")
        assert server.connections == 1
        assert server.messages[0].endswith(b"\r\n..dot\r\n.\r\n")
        assert (agent.connections_opened, agent.connections_reused) == (1, 2)


async def test_each_recipient_has_its_own_fate(agent: NextHopAgent) -> None:
    async with FakeServer("PIPELINING") as server:
        server.replies["RCPT TO:<no@far.example>"] = b"550 5.1.1 unknown\r\n"
        server.replies["RCPT TO:<wait@far.example>"] = b"450 4.2.0 greylisted\r\n"
        results = await agent.send(hop(server), message("no@far.example", "yes@far.example", "wait@far.example"))
        assert [(r.fate, r.status) for r in results] == [
            (Fate.FAILED, "5.1.1"),
            (Fate.RELAYED_BLIND, "2.0.0"),
            (Fate.DEFERRED, "4.2.0"),
        ]
        assert server.commands[-1] == "RSET"
        (again,) = await agent.send(hop(server), message("yes@far.example"))
        assert again.fate is Fate.RELAYED_BLIND
        assert server.connections == 1


async def test_a_connection_the_server_closed_meanwhile_is_replaced(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL) as server:
        server.close_before_reuse = True
        for _ in range(2):
            (result,) = await agent.send(hop(server), message("x@far.example"))
            assert result.fate is Fate.RELAYED
            await asyncio.sleep(0.01)
        assert server.connections == 2
        assert len(server.messages) == 2


async def test_a_server_that_says_421_when_it_is_used_again_is_connected_anew(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL) as server:
        await agent.send(hop(server), message("x@far.example"))
        server.once["MAIL"] = b"421 4.4.2 idle too long\r\n"
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert result.fate is Fate.RELAYED
        assert server.connections == 2


async def test_421_after_the_content_defers(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL) as server:
        server.after_content = lambda n: b"421 4.3.2 going down\r\n"
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.3.2")


async def test_the_next_host_is_tried_and_a_dead_one_comes_last(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL) as dead, FakeServer(*ALL, name="mx2.far.example") as alive:
        dead.greeting = b"421 busy\r\n"
        for _ in range(2):
            (result,) = await agent.send(hop(dead, alive), message("x@far.example"))
            assert (result.fate, result.remote) == (Fate.RELAYED, "mx2.far.example")
        assert dead.connections == 1


async def test_nobody_answers(agent: NextHopAgent) -> None:
    async with FakeServer() as server:
        gone = hop(server)
    results = await agent.send(gone, message("x@far.example", "y@far.example"))
    assert [(r.fate, r.status, r.unreachable) for r in results] == [(Fate.DEFERRED, "4.4.1", True)] * 2


async def test_a_silent_server_is_given_up(agent: NextHopAgent) -> None:
    async with FakeServer() as server:
        server.greeting = b""
        (result,) = await agent.send(hop(server), message("x@far.example"))
    assert (result.fate, result.status) == (Fate.DEFERRED, "4.4.2")


async def test_lost_after_the_content_is_never_sent_again_at_once(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL) as server, FakeServer(*ALL, name="mx2.far.example") as other:
        server.after_content = lambda n: b""
        (result,) = await agent.send(hop(server, other), message("x@far.example"))
        assert (result.fate, result.unreachable) == (Fate.DEFERRED, False)
        assert len(server.messages) == 1
        assert not other.messages


async def test_a_host_that_takes_no_mail_fails_for_good(agent: NextHopAgent) -> None:
    async with FakeServer() as server:
        server.greeting = b"521 no mail here\r\n"
        (result,) = await agent.send(hop(server), message("x@far.example"))
    assert (result.fate, result.status) == (Fate.FAILED, "5.3.2")


async def test_one_host_that_takes_no_mail_does_not_speak_for_one_that_is_down(agent: NextHopAgent) -> None:
    for words, name in ((b"521 no mail here\r\n", "mx2.far.example"), (b"220 hello\r\n", "mail.here.example")):
        async with FakeServer() as server, FakeServer(name=name) as never:
            server.greeting, never.greeting = b"421 busy\r\n", words
            (result,) = await agent.send(hop(server, never), message("x@far.example"))
            assert (result.fate, result.unreachable) == (Fate.DEFERRED, True)
            assert "busy" in result.text
            server.greeting = b"521 no mail here\r\n"
            (result,) = await agent.send(hop(never, server), message("x@far.example"))
            assert result.fate is Fate.FAILED


async def test_552_to_the_content_is_final(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL) as server:
        server.after_content = lambda n: b"552 message size exceeds fixed limit\r\n"
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.FAILED, "5.0.0")
        server.once |= {"MAIL": b"552 message size exceeds fixed limit\r\n", "DATA": b"503 MAIL first\r\n"}
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert result.fate is Fate.FAILED


async def test_mail_to_ourselves_is_a_loop(agent: NextHopAgent) -> None:
    async with FakeServer(name="Mail.Here.example") as server:
        (result,) = await agent.send(hop(server), message("x@far.example"))
    assert (result.fate, result.status) == (Fate.FAILED, "5.4.6")


async def test_encryption_where_it_is_offered(agent: NextHopAgent, contexts: ssl.SSLContext) -> None:
    async with FakeServer("STARTTLS", *ALL, context=contexts) as server:
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert result.fate is Fate.RELAYED
        assert result.tls.startswith("TLSv1.")
        assert server.tls_connections == 1
        assert [c for c in server.commands if c.startswith("EHLO")] == ["EHLO mail.here.example"] * 2


async def test_broken_encryption_falls_back_only_if_opportunistic(agent: NextHopAgent) -> None:
    async with FakeServer("STARTTLS", *ALL) as server:
        server.replies["STARTTLS"] = b"454 4.7.0 not now\r\n"
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert (result.fate, result.tls) == (Fate.RELAYED, "")
        (result,) = await agent.send(hop(server, tls=TlsPolicy.REQUIRED), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.7.5")
        assert len(server.messages) == 1


@pytest.mark.parametrize("how", ["closed", "junk", "alert", "closed after it", "junk after it"])
async def test_tls_that_breaks_costs_an_attempt_before_it_is_left_out(
    agent: NextHopAgent, contexts: ssl.SSLContext, how: str
) -> None:
    """Whoever can only disturb the line must not strip the encryption at once (Postfix waits as well)."""
    async with FakeServer("STARTTLS", *ALL, context=contexts) as server:
        if "after" in how:
            server.after_handshake = b"" if how.startswith("closed") else b"\x00\x01what?\r\n"
        else:
            server.instead_of_handshake = {
                "closed": b"",
                "junk": b"HTTP/1.0 400 no\r\n",
                "alert": b"\x15\x03\x03\x00\x02\x02\x28",
            }[how]
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert (result.fate, result.status, result.unreachable) == (Fate.DEFERRED, "4.7.5", True)
        assert not server.messages
        (result,) = await agent.send(hop(server), waited("x@far.example"))
        assert (result.fate, result.tls) == (Fate.RELAYED, "")
        (result,) = await agent.send(hop(server), message("y@far.example"))
        assert result.fate is Fate.DEFERRED, "the connection in clear is not for a message that has not waited"
        for required in (
            hop(server, tls=TlsPolicy.REQUIRED),
            hop(server, tls=TlsPolicy.VERIFIED),
            hop(server, tls=TlsPolicy.SERVER),
            hop(server, username="u", password="p"),
        ):
            (result,) = await agent.send(required, waited("x@far.example"))
            assert (result.fate, result.status) == (Fate.DEFERRED, "4.7.5")
        assert len(server.messages) == 1


async def test_failed_tls_is_remembered_beside_a_host_that_is_down(
    agent: NextHopAgent, contexts: ssl.SSLContext
) -> None:
    """Else mail whose second host is gone for good would never be allowed to go without."""
    async with FakeServer("STARTTLS", *ALL, context=contexts) as server, FakeServer(name="mx2.far.example") as down:
        server.instead_of_handshake = b""
        down.greeting = b"421 down\r\n"
        for hosts in ((server, down), (down, server)):
            (result,) = await agent.send(hop(*hosts), message("x@far.example"))
            assert (result.fate, result.status) == (Fate.DEFERRED, "4.7.5")


async def test_421_inside_tls_is_no_failure_of_tls(agent: NextHopAgent, contexts: ssl.SSLContext) -> None:
    async with FakeServer("STARTTLS", *ALL, context=contexts) as server:
        server.after_handshake = b"421 4.3.2 busy\r\n"
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.4.2")


async def test_replies_out_of_step_are_never_taken_for_acceptance(agent: NextHopAgent) -> None:
    """A server with a reply too many would else say 250 to content that it has refused or never seen."""
    async with FakeServer("8BITMIME") as server:
        server.replies["RCPT"] = b"250 2.1.5 ok\r\n250 2.1.5 ok\r\n"
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.4.2")
    async with FakeServer(*ALL) as server:
        server.replies["DATA"] = b"354 go\r\n250 2.0.0 thank you\r\n"
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert result.fate is Fate.DEFERRED


async def test_a_reply_without_end_is_given_up(agent: NextHopAgent) -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                writer.write(b"220-x\r\n")
                await writer.drain()
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with asyncio.timeout(60):
            (result,) = await agent.send(
                NextHop("far.example", (Target("mx.far.example", "127.0.0.1", port),)), message("x@far.example")
            )
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.4.2")
    finally:
        server.close()
        await asyncio.sleep(0.1)


async def test_a_slow_line_gets_a_large_message() -> None:
    """What limits the time is a block, not the message (RFC 5321 4.5.3.2.5)."""
    timeouts = Timeouts(1.0, 1.0, 30.0, block_s=0.7)
    agent = NextHopAgent(AgentSettings("mail.here.example", timeouts=timeouts), SystemEntropy())
    content = CONTENT + b"x" * 70 + b"\r\n"
    content += (b"y" * 76 + b"\r\n") * 130_000
    async with FakeServer("8BITMIME") as server:
        server.read_pause_s = 0.02
        started = asyncio.get_running_loop().time()
        (result,) = await agent.send(hop(server), message("x@far.example", content=content))
        assert result.fate is Fate.RELAYED_BLIND
        assert asyncio.get_running_loop().time() - started > timeouts.block_s, "it was slow enough to matter"
    await agent.close()


async def test_required_encryption_that_is_not_offered_defers(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL) as server:
        (result,) = await agent.send(hop(server, tls=TlsPolicy.REQUIRED), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.7.4")
        assert not server.messages


async def test_an_unknown_issuer_defers_if_the_certificate_must_be_valid(
    agent: NextHopAgent, contexts: ssl.SSLContext
) -> None:
    async with FakeServer("STARTTLS", *ALL, context=contexts) as server:
        (result,) = await agent.send(hop(server, tls=TlsPolicy.VERIFIED), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.7.5")
        assert not server.messages


async def test_passwords_are_not_sent_in_the_clear(agent: NextHopAgent, contexts: ssl.SSLContext) -> None:
    async with FakeServer("AUTH PLAIN LOGIN", *ALL) as server:
        (result,) = await agent.send(hop(server, username="u", password="p"), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.7.0")
        assert not any(c.startswith("AUTH") for c in server.commands)
    async with FakeServer("STARTTLS", "AUTH PLAIN", *ALL, context=contexts) as server:
        server.replies["AUTH"] = b"235 2.7.0 welcome\r\n"
        (result,) = await agent.send(hop(server, username="u", password="p"), message("x@far.example"))
        assert result.fate is Fate.RELAYED
        assert "AUTH PLAIN AHUAcA==" in server.commands


async def test_a_server_without_8bitmime_gets_seven_bits(agent: NextHopAgent) -> None:
    content = (
        "From: a@here.example\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\nПривет\r\n"
    ).encode()
    async with FakeServer("PIPELINING") as server:
        (result,) = await agent.send(hop(server), message("x@far.example", content=content, body="8BITMIME"))
        assert result.fate is Fate.RELAYED_BLIND
        assert server.messages[0].isascii()
        assert not any("BODY=" in c for c in server.commands)


async def test_binary_goes_by_bdat_or_is_reencoded(agent: NextHopAgent) -> None:
    content = (
        b"From: a@here.example\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
        b"Content-Transfer-Encoding: binary\r\n\r\n\x00\xff\r\x00\n"
    )
    async with FakeServer("CHUNKING", "BINARYMIME", *ALL) as server:
        await agent.send(hop(server), message("x@far.example", content=content, body="BINARYMIME"))
        assert server.messages == [content]
    async with FakeServer(*ALL) as server:
        (result,) = await agent.send(hop(server), message("x@far.example", content=content, body="BINARYMIME"))
        assert result.fate is Fate.RELAYED
        assert b"base64" in server.messages[0]


async def test_smtputf8_or_a_clear_failure(agent: NextHopAgent) -> None:
    async with FakeServer("SMTPUTF8", *ALL) as server:
        (result,) = await agent.send(hop(server), message("почта@far.example", smtputf8=True))
        assert result.fate is Fate.RELAYED
        assert any(c.startswith("MAIL") and c.endswith("SMTPUTF8") for c in server.commands)
    async with FakeServer(*ALL) as server:
        results = await agent.send(
            hop(server), message("почта@far.example", "x@far.example", "y@почта.example", smtputf8=True)
        )
        assert [(r.fate, r.status) for r in results] == [
            (Fate.FAILED, "5.6.7"),
            (Fate.RELAYED, "2.0.0"),
            (Fate.RELAYED, "2.0.0"),
        ]
        assert "RCPT TO:<y@xn--80a1acny.example>" in server.commands
        header = "From: Анна <a@here.example>\r\n\r\nx\r\n".encode()
        (result,) = await agent.send(hop(server), message("x@far.example", content=header, smtputf8=True))
        assert (result.fate, result.status) == (Fate.FAILED, "5.6.9")


async def test_too_large_is_told_before_it_is_sent(agent: NextHopAgent) -> None:
    async with FakeServer("SIZE 50", "PIPELINING") as server:
        (result,) = await agent.send(hop(server), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.FAILED, "5.3.4")
        assert not any(c.startswith("MAIL") for c in server.commands)


async def test_limits_of_the_server_are_kept(agent: NextHopAgent) -> None:
    async with FakeServer("LIMITS RCPTMAX=2 MAILMAX=3", *ALL) as server:
        names = [f"x{n}@far.example" for n in range(5)]
        results = await agent.send(hop(server), message(*names))
        assert [r.fate for r in results] == [Fate.RELAYED] * 5
        assert len(server.messages) == 3
        await agent.send(hop(server), message("x@far.example"))
        assert server.connections == 2


async def test_portions_that_arrived_are_not_repeated(agent: NextHopAgent) -> None:
    async with FakeServer("LIMITS RCPTMAX=1", *ALL) as server:
        server.replies["RCPT TO:<b@far.example>"] = b""
        results = await agent.send(hop(server), message("a@far.example", "b@far.example", "c@far.example"))
        assert [r.fate for r in results] == [Fate.RELAYED, Fate.DEFERRED, Fate.DEFERRED]
        assert len(server.messages) == 1


async def test_an_idle_connection_is_ended_politely(agent: NextHopAgent) -> None:
    agent._settings = AgentSettings("mail.here.example", idle_seconds=0.05, timeouts=Timeouts(1.0, 1.0, 1.0, 0.3))
    async with FakeServer(*ALL) as server:
        await agent.send(hop(server), message("x@far.example"))
        await asyncio.sleep(0.15)
        assert server.commands[-1] == "QUIT"
        assert not agent._idle


async def test_our_mail_is_signed_and_other_mail_is_not() -> None:
    pem = dkim.generate_key("ed25519")
    signer = Signer({"here.example": DkimKey("s1", dkim.load_key(pem))}, SystemClock())
    agent = NextHopAgent(AgentSettings("mail.here.example"), SystemEntropy(), signer)
    async with FakeServer(*ALL) as server:
        await agent.send(hop(server), message("x@far.example"))
        assert server.messages[0].startswith(b"DKIM-Signature: v=1; a=ed25519-sha256;")
        forged = message("x@far.example")
        await agent.send(hop(server), Outgoing(forged.queue_id, forged.envelope, forged.content, ours=False))
        assert server.messages[1].startswith(b"From:")
        sub = CONTENT.replace(b"anna@here", b"anna@sub.HERE")
        await agent.send(hop(server), message("x@far.example", content=sub))
        assert b"d=here.example;" in server.messages[2]
        await agent.send(hop(server), message("x@far.example", content=CONTENT.replace(b"here.", b"elsewhere.")))
        assert server.messages[3].startswith(b"From:")
        await agent.close()


async def test_552_to_a_recipient_is_temporary(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL) as server:
        server.replies["RCPT TO:<b@far.example>"] = b"552 too many recipients\r\n"
        results = await agent.send(hop(server), message("a@far.example", "b@far.example"))
        assert [r.fate for r in results] == [Fate.RELAYED, Fate.DEFERRED]


async def test_only_hosts_that_the_source_address_reaches_are_tried() -> None:
    """Six IPv6 addresses of a host used up the attempts of a server that sends from an IPv4 address."""
    settings = AgentSettings("mail.here.example", timeouts=Timeouts(1.0, 1.0, 1.0, 0.3), source_address="127.0.0.1")
    agent = NextHopAgent(settings, SystemEntropy())
    async with FakeServer(*ALL) as server:
        six = [Target(server.name, "::1", server.port + 1)] * 8
        targets = (*six, Target(server.name, "127.0.0.1", server.port))
        (result,) = await agent.send(NextHop("far.example", targets), message("x@far.example"))
        assert result.fate is Fate.RELAYED
        (result,) = await agent.send(NextHop("far.example", tuple(six)), message("x@far.example"))
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.4.1")
        assert "network.source_address 127.0.0.1" in result.text
    await agent.close()


async def test_the_name_of_an_address_literal_is_the_address(agent: NextHopAgent) -> None:
    """`IPv6:...` is no name that TLS could ask for, and in no certificate."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    asked: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with FakeServer("STARTTLS", *ALL, context=context) as server:
        there = NextHop("x", (Target("[IPv6:2001:db8::7]", "127.0.0.1", server.port),))
        (result,) = await agent.send(there, message("x@[IPv6:2001:db8::7]"))
        assert (result.fate, bool(result.tls), asked) == (Fate.RELAYED, True, [None])


async def test_a_host_with_ipv6_alone(agent: NextHopAgent) -> None:
    async with FakeServer(*ALL, host="::1") as server:
        there = NextHop("far.example", (Target(server.name, "::1", server.port),))
        (result,) = await agent.send(there, message("x@far.example"))
        assert (result.fate, result.remote) == (Fate.RELAYED, "mx.far.example")
