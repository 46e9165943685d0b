"""Senders from outside whose domain does not exist, or takes no mail."""

from __future__ import annotations

import asyncio

import pytest

from postern.model.ports import DnsFailure, MxHost, NoSuchDomain
from postern.model.refusal import Reason, Refusal
from postern.services import sender_domains
from postern.services.sender_domains import SenderDomains


class Zone:
    """By domain: MX names, and addresses; an exception is raised."""

    def __init__(self, mx, addresses=()) -> None:
        self._mx, self._addresses = mx, addresses
        self.asked: list[str] = []

    async def mx(self, domain: str):
        self.asked.append(domain)
        if isinstance(self._mx, Exception):
            raise self._mx
        if self._mx is None:
            await asyncio.sleep(60)
        return [MxHost(10, name) for name in self._mx]

    async def addresses(self, name: str):
        if isinstance(self._addresses, Exception):
            raise self._addresses
        return self._addresses

    async def reverse(self, address: str):
        return None


class Ours:
    async def domain(self, name: str):
        return object() if name == "here.example" else None


async def verdict(zone: Zone, sender: str = "anna@far.example") -> Reason | None:
    try:
        await SenderDomains(zone, Ours()).check(sender)  # type: ignore[arg-type]
    except Refusal as refused:
        return refused.reason
    return None


@pytest.mark.parametrize(
    ("mx", "addresses", "reason"),
    [
        (["mx.far.example"], NoSuchDomain("x"), None),
        ([], ["192.0.2.1"], None),
        ([], [], Reason.SENDER_DOMAIN_UNKNOWN),
        (NoSuchDomain("x"), [], Reason.SENDER_DOMAIN_UNKNOWN),
        ([""], ["192.0.2.1"], Reason.SENDER_DOMAIN_SILENT),
        (["."], ["192.0.2.1"], Reason.SENDER_DOMAIN_SILENT),
        (["", "mx.far.example"], [], None),
        # DNS that fails, or does not answer in time, refuses nothing
        (DnsFailure("x"), [], None),
        ([], DnsFailure("x"), None),
        (None, [], None),
    ],
    ids=["mx", "address", "nothing", "none", "null", "null-dot", "mixed", "failed", "half-failed", "slow"],
)
async def test_what_dns_says(monkeypatch, mx, addresses, reason):
    monkeypatch.setattr(sender_domains, "PATIENCE_S", 0.05)
    assert await verdict(Zone(mx, addresses)) is reason


@pytest.mark.parametrize("sender", ["", "postmaster", "x@[192.0.2.1]", "x@[IPv6:2001:db8::1]", "x@HERE.example"])
async def test_whom_dns_is_not_asked_about(sender):
    zone = Zone(NoSuchDomain("x"))
    assert await verdict(zone, sender) is None
    assert not zone.asked


async def test_names_are_asked_for_in_ascii_and_what_is_none_does_not_exist():
    zone = Zone(["mx.far.example"])
    assert await verdict(zone, "x@Bücher.example") is None
    assert zone.asked == ["xn--bcher-kva.example"]
    assert await verdict(zone, "x@-.example") is Reason.SENDER_DOMAIN_UNKNOWN
