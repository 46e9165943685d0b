"""X-EXPS GSSAPI as the client side speaks it: nothing of a message goes to a server that has not proved itself."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import pytest
import trustme
from smtp_double import FakeServer

from postern.delivery.smtp.agent import AgentSettings, NextHopAgent
from postern.delivery.smtp.connection import Timeouts
from postern.model.envelope import Envelope, Recipient
from postern.model.refusal import Reason, Refusal
from postern.model.transfer import Fate, NextHop, Outgoing, Target, TlsPolicy
from postern.net.clock import SystemEntropy
from postern.net.tls import end_point

SERVICE = "smtp/hub2.example.org@CORP.EXAMPLE.ORG"


class Trust:
    def __init__(self, service: str = SERVICE, problem: str = "its certificate is not the one known of it") -> None:
        self.service, self.problem = service, problem

    async def server_problem(self, host: str, chain: Sequence[bytes]) -> str:
        return self.problem

    async def kerberos_service(self, host: str) -> str:
        return self.service

    def partner_problem(self, partner, chain, purpose) -> str:
        raise AssertionError("nobody is a partner")


class Initiator:
    """Answers `one` with `two`; `proves`: is content with that."""

    def __init__(self, proves: bool = True, fails: str = "") -> None:
        self.proves, self.fails = proves, fails
        self.begun: list[tuple[str, bytes]] = []
        self.complete = False

    def begin(self, target: str, end_point: bytes) -> Initiator:
        self.begun.append((target, end_point))
        self.complete = False
        return self

    async def step(self, challenge: bytes) -> bytes:
        if self.fails:
            raise Refusal(Reason.TRY_LATER, self.fails)
        if not challenge:
            return b"token"
        assert challenge == b"one"
        self.complete = self.proves
        return b"two"


@pytest.fixture
def certificate():
    return trustme.CA().issue_cert("hub2.example.org")


@pytest.fixture
def server(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    made = FakeServer("STARTTLS", "X-EXPS NTLM GSSAPI", name="hub2.example.org", context=context)
    made.replies["X-EXPS"] = b"334 b25l\r\n"
    made.replies["dHdv"] = b"235 2.7.0 in\r\n"
    return made


async def sent(server: FakeServer, trust: Trust, initiator: Initiator | None, times: int = 1):
    agent = NextHopAgent(
        AgentSettings("hub1.example.org", timeouts=Timeouts(2.0, 2.0, 2.0, 0.3)),
        SystemEntropy(),
        trust=trust,
        kerberos=initiator,
    )
    hop = NextHop("hub", (Target(server.name, "127.0.0.1", server.port),), TlsPolicy.SERVER, connector="internal")
    envelope = Envelope("anybody@example.org", (Recipient("x@example.org"),))
    try:
        for _ in range(times):
            (result,) = await agent.send(hop, Outgoing("P1-1", envelope, b"Subject: x\r\n\r\nx\r\n"))
    finally:
        await agent.close()
    return result


async def test_both_prove_themselves_before_anything_is_sent(server, certificate) -> None:
    initiator = Initiator()
    async with server:
        result = await sent(server, Trust(), initiator, times=2)
        assert result.fate is Fate.RELAYED_BLIND
        words = [line.split(" ")[0] for line in server.commands]
        assert words[:6] == ["EHLO", "STARTTLS", "EHLO", "X-EXPS", "dHdv", "MAIL"]
        assert server.commands[3] == "X-EXPS GSSAPI dG9rZW4="
        assert words.count("X-EXPS") == 1, "once a connection"
        assert server.connections == 1
    pem = certificate.cert_chain_pems[0].bytes()
    assert initiator.begun == [(SERVICE, end_point(pem))], "bound to the certificate that was shown"


async def refused(server, trust, initiator) -> str:
    async with server:
        result = await sent(server, trust, initiator)
        assert (result.fate, result.status) == (Fate.DEFERRED, "4.7.5")
        assert not any(line.startswith("MAIL") for line in server.commands)
    return result.text


async def test_a_server_that_takes_everything_and_proves_nothing(server) -> None:
    server.replies["X-EXPS"] = b"235 2.7.0 welcome\r\n"
    assert "it did not prove to be smtp/hub2" in await refused(server, Trust(), Initiator())


async def test_a_server_that_does_not_complete_its_proof(server) -> None:
    assert "it did not prove to be smtp/hub2" in await refused(server, Trust(), Initiator(proves=False))


async def test_a_server_that_refuses_us(server) -> None:
    server.replies["dHdv"] = b"535 5.7.8 no\r\n"
    assert "was refused there: 535 5.7.8 no" in await refused(server, Trust(), Initiator())


async def test_what_fails_on_our_side_is_said(server) -> None:
    text = await refused(server, Trust(), Initiator(fails="no controller answers"))
    assert "failed here: no controller answers" in text
    assert not any(line.startswith("X-EXPS") for line in server.commands)


async def test_garbage_for_a_challenge(server) -> None:
    server.replies["X-EXPS"] = b"334 !!!\r\n"
    async with server:
        result = await sent(server, Trust(), Initiator())
        assert result.fate is Fate.DEFERRED
        assert not any(line.startswith("MAIL") for line in server.commands)


async def test_neither_certificate_nor_offer(server) -> None:
    server.extensions = ["STARTTLS"]
    assert "and it does not offer X-EXPS GSSAPI" in await refused(server, Trust(), Initiator())


async def test_no_keytab_here(server) -> None:
    assert "no [kerberos] keytab here" in await refused(server, Trust(), None)


async def test_who_is_known_by_its_certificate_needs_no_ticket(server) -> None:
    server.extensions = ["STARTTLS"]
    async with server:
        assert (await sent(server, Trust(problem=""), Initiator())).fate is Fate.RELAYED_BLIND
    server.extensions = ["STARTTLS", "X-EXPS GSSAPI"]
    async with server:
        assert (await sent(server, Trust("", problem=""), Initiator())).fate is Fate.RELAYED_BLIND
        assert not any(line.startswith("X-EXPS") for line in server.commands)
