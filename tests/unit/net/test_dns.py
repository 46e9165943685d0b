"""The resolver against a small DNS server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from postern.model.ports import DnsFailure, MxHost, NoSuchDomain
from postern.net.dns import DnsResolver

ZONE = {
    ("example.org.", "MX"): ["20 b.example.org.", "10 a.example.org."],
    ("null.example.", "MX"): ["0 ."],
    ("a.example.org.", "A"): ["192.0.2.1"],
    ("a.example.org.", "AAAA"): ["2001:db8::1"],
    ("b.example.org.", "A"): ["192.0.2.2"],
    ("1.2.0.192.in-addr.arpa.", "PTR"): ["A.example.org."],
    ("2.2.0.192.in-addr.arpa.", "PTR"): ["liar.example.org."],
}
NAMES = {name for name, _ in ZONE}


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


class Server(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.questions: list[tuple[str, str]] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.questions.append((name, kind))
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if name == "broken.example.":
            response.set_rcode(dns.rcode.SERVFAIL)
        elif (name, kind) in ZONE:
            response.answer.append(dns.rrset.from_text(question.name, 300, "IN", kind, *ZONE[name, kind]))
        elif name not in NAMES:
            response.set_rcode(dns.rcode.NXDOMAIN)
        self.transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def resolving() -> AsyncIterator[tuple[DnsResolver, Server, FakeClock]]:
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    clock = FakeClock()
    port = transport.get_extra_info("sockname")[1]
    yield DnsResolver(clock, ["127.0.0.1"], port), server, clock  # type: ignore[arg-type]
    transport.close()


async def test_mx_is_sorted_and_null_mx_is_empty() -> None:
    async with resolving() as (resolver, _, _):
        assert await resolver.mx("Example.org") == [MxHost(10, "a.example.org"), MxHost(20, "b.example.org")]
        assert await resolver.mx("null.example") == [MxHost(0, "")]
        assert await resolver.mx("a.example.org") == []


async def test_names_that_do_not_exist_and_servers_that_fail_differ() -> None:
    async with resolving() as (resolver, _, _):
        with pytest.raises(NoSuchDomain):
            await resolver.mx("nowhere.example")
        with pytest.raises(NoSuchDomain):
            await resolver.mx("x" * 64 + ".example")
        with pytest.raises(DnsFailure):
            await resolver.mx("broken.example")
        with pytest.raises(DnsFailure):
            await resolver.addresses("broken.example")


async def test_addresses() -> None:
    async with resolving() as (resolver, _, _):
        assert await resolver.addresses("a.example.org") == ["2001:db8::1", "192.0.2.1"]
        assert await resolver.addresses("b.example.org") == ["192.0.2.2"]
        assert await resolver.addresses("[192.0.2.9]") == ["192.0.2.9"]


async def test_answers_are_kept_for_their_ttl_and_asked_once() -> None:
    async with resolving() as (resolver, server, clock):
        await asyncio.gather(*(resolver.mx("example.org") for _ in range(20)))
        clock.seconds = 299
        await resolver.mx("EXAMPLE.ORG.")
        assert server.questions == [("example.org.", "MX")]
        clock.seconds = 301
        await resolver.mx("example.org")
        assert len(server.questions) == 2


async def test_reverse_names_are_verified() -> None:
    async with resolving() as (resolver, _, _):
        assert await resolver.reverse("192.0.2.1") == "a.example.org"
        assert await resolver.reverse("192.0.2.2") is None
        assert await resolver.reverse("192.0.2.3") is None
        assert await resolver.reverse("rubbish") is None
