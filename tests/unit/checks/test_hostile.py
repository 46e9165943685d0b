"""Whatever answers, a probe ends soon, keeps little, and says that it was not the service it looked for."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from tests.stopwatch import stopwatch

from postern.catalogue.schema import Level, Names
from postern.checks.model import Expectation, Reach, Service, Tls
from postern.checks.running import PROBES, check, check_all
from postern.checks.wire import Tools
from postern.net.clock import SystemClock, SystemEntropy

TOOLS = Tools(SystemClock(), SystemEntropy(), timeout_s=0.8, total_s=2.0)
TCP = sorted(set(PROBES) - {""})


def service(port, protocol, transport="tcp", tls=Tls.NONE):
    wanted = Expectation("test", Names("test"), tls, Level.OPTIONAL)
    return Service(
        host="evil", address="127.0.0.1", port=port, transport=transport, protocol=protocol, tls=tls,
        expectations=(wanted,), questions=(("example.org", "A"),), names=("mail.example.org",),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def serving(talk):
    """A server whose conversations are all ended with it; its port."""
    tasks = set()

    async def guarded(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.05)  # connections just accepted get their task
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def answering(chunk, *, times=1, pause=0.0, hang=False):
    """A server that says the same again and again, whatever it is told."""

    async def talk(reader, writer):
        for _ in range(times):
            writer.write(chunk)
            await writer.drain()
            if pause:
                await asyncio.sleep(pause)
        if hang:
            await reader.read()

    async with serving(talk) as port:
        yield port


ATTACKS = {
    "nothing": (b"", {}),
    "silence": (b"", {"hang": True}),
    "an endless line": (b"2" * 65536, {"times": 100}),
    "an endless SMTP reply": (b"220-mail\r\n" * 5000, {"times": 100}),
    "endless IMAP responses": (b"* OK hello\r\n" * 5000, {"times": 100}),
    "endless POP3 capabilities": (b"+OK x\r\n" * 5000, {"times": 100}),
    "an endless HTTP head": (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50000, {"times": 10}),
    "HTTP that never ends its 100s": (b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, {"times": 500}),
    "an LDAP message of two gigabytes": (b"\x30\x84\x7f\xff\xff\xff\x02\x01\x01", {"hang": True}),
    "a truncated LDAP message": (b"\x30\x0c\x02\x01\x01\x61", {}),
    "indefinite length": (b"\x30\x80\x02\x01\x01", {"hang": True}),
    "endless LDAP entries": (b"\x30\x09\x02\x01\x01\x64\x04\x04\x00\x30\x00" * 5000, {"times": 500}),
    "a Kerberos answer of four gigabytes": (b"\xff\xff\xff\xff", {"hang": True}),
    "a truncated Kerberos error": (b"\x00\x00\x00\x05\x7e\x03\x30\x01\xa0", {"hang": True}),
    "RPC fragments without end": (
        b"\x05\x00\x0c\x03\x10\0\0\0\x30\0\0\0\x01\0\0\0" + b"\0" * 12 + b"\x01" + b"\0" * 19
        + (b"\x05\x00\x02\x01\x10\0\0\0\x20\0\0\0\x02\0\0\0" + b"\0" * 16) * 5000,
        {"times": 10},
    ),
    "a DNS answer to another question": (b"\x00\x0c\x00\x01\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00", {"hang": True}),
    "a SIP head with a body of ten megabytes": (
        b"SIP/2.0 100 x\r\nContent-Length: 9999999\r\n\r\n",
        {"times": 10, "hang": True},
    ),
    "SIP that never ends its 100s": (b"SIP/2.0 100 x\r\n\r\n" * 5000, {"times": 20}),
    "one octet a second": (b"2", {"times": 100, "pause": 0.3}),
    "zeros": (b"\0" * 65536, {"times": 100}),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
async def test_every_probe_survives(attack):
    chunk, how = ATTACKS[attack]
    async with answering(chunk, **how) as port:
        with stopwatch() as took:
            outcomes = await asyncio.gather(
                *(check(service(port, protocol), TOOLS) for protocol in TCP),
                *(
                    check(service(port, protocol, tls=Tls.IMPLICIT), TOOLS)
                    for protocol in ("smtp", "http", "ldap", "sip")
                ),
            )
    assert took.seconds < 6
    for outcome in outcomes:
        codes = {finding.code for finding in outcome.findings}
        assert outcome.seen.reach is Reach.OPEN
        assert codes & {"wrong-protocol", "tls-failed"} or outcome.service.protocol == "http", outcome
        assert len(str(outcome.seen)) < 20000


@pytest.mark.parametrize("protocol", ["dns", "kerberos", "ldap", "sip"])
async def test_datagrams_of_an_attacker(protocol):
    class Evil(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(b"\x30\x84\x7f\xff\xff\xff" + data[:20], addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Evil, local_addr=("127.0.0.1", 0))
    try:
        outcome = await check(service(transport.get_extra_info("sockname")[1], protocol, "udp"), TOOLS)
        assert [finding.code for finding in outcome.findings] == ["wrong-protocol"]
    finally:
        transport.close()


async def test_silent_closed_and_unreachable_are_told_apart():
    class Mute(asyncio.DatagramProtocol):
        pass

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Mute, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    try:
        assert (await check(service(port, "dns", "udp"), TOOLS)).seen.reach is Reach.SILENT
    finally:
        transport.close()
    assert (await check(service(port, "dns", "udp"), TOOLS)).seen.reach is Reach.REFUSED
    assert (await check(service(port, "smtp"), TOOLS)).seen.reach is Reach.REFUSED


async def test_one_host_is_asked_one_service_at_a_time():
    busy, most = 0, 0

    async def talk(reader, writer):
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.02)
        writer.write(b"* BYE\r\n")
        busy -= 1

    heard = []
    async with serving(talk) as port:
        outcomes = await check_all([service(port, "imap")] * 5, TOOLS, heard.append)
    assert most == 1
    assert len(outcomes) == len(heard) == 5


async def test_a_proxy_that_cuts_starttls_out_is_found():
    async def talk(reader, writer):
        writer.write(b"220 mail ESMTP\r\n")
        while line := await reader.readline():
            offers = b"250-mail\r\n250-XXXXXXXA\r\n250 AUTH PLAIN\r\n"
            writer.write(b"221 bye\r\n" if line.startswith(b"QUIT") else offers)

    async with serving(talk) as port:
        outcome = await check(service(port, "smtp", tls=Tls.STARTTLS), TOOLS)
    assert {finding.code for finding in outcome.findings} == {"starttls-missing", "password-in-clear"}


async def test_a_host_that_never_answers_gets_less_time(monkeypatch):
    monkeypatch.setattr("postern.checks.running.HURRIED_S", 0.02)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
    )
    try:
        port = transport.get_extra_info("sockname")[1]
        outcomes = await check_all([service(port, "dns", "udp")] * 8, TOOLS)
    finally:
        transport.close()
    assert {outcome.seen.reach for outcome in outcomes} == {Reach.SILENT}
    assert [outcome.seen.duration_s > 0.3 for outcome in outcomes] == [True] * 3 + [False] * 5
