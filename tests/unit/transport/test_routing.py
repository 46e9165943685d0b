from __future__ import annotations

import pytest
from transport_doubles import FixedEntropy

from postern.model.ports import DnsFailure, MxHost, NoSuchDomain
from postern.model.transfer import TlsPolicy
from postern.transport.routing import Router, SendConnector, SmartHost, Unroutable


class Zone:
    def __init__(self) -> None:
        self.exchangers: dict[str, list[tuple[int, str]] | Exception] = {}
        self.hosts: dict[str, list[str] | Exception] = {}

    async def mx(self, domain: str):
        found = self.exchangers.get(domain, NoSuchDomain(domain))
        if isinstance(found, Exception):
            raise found
        return sorted(MxHost(*f) for f in found)

    async def addresses(self, name: str):
        found = self.hosts.get(name, NoSuchDomain(name))
        if isinstance(found, Exception):
            raise found
        return found

    async def reverse(self, address: str):
        return None


@pytest.fixture
def zone() -> Zone:
    return Zone()


def router(zone: Zone, *connectors: SendConnector) -> Router:
    return Router(connectors, zone, FixedEntropy(), ["mail.here.example"], [("192.0.2.99", 25)])


async def test_hosts_in_order_of_preference(zone: Zone) -> None:
    zone.exchangers["far.example"] = [(20, "b.far.example"), (10, "a.far.example"), (5, "gone.far.example")]
    zone.hosts |= {"a.far.example": ["2001:db8::1", "192.0.2.1"], "b.far.example": ["192.0.2.2"]}
    hop = await router(zone).next_hop("far.example")
    assert [(t.host, t.address, t.port) for t in hop.targets] == [
        ("a.far.example", "2001:db8::1", 25),
        ("a.far.example", "192.0.2.1", 25),
        ("b.far.example", "192.0.2.2", 25),
    ]
    assert hop.tls is TlsPolicy.OPPORTUNISTIC


async def test_a_domain_without_mx_is_its_own_host(zone: Zone) -> None:
    zone.exchangers["far.example"] = []
    zone.hosts["far.example"] = ["192.0.2.1"]
    assert [t.host for t in (await router(zone).next_hop("far.example")).targets] == ["far.example"]


@pytest.mark.parametrize(
    ("exchangers", "hosts", "status"),
    [
        (NoSuchDomain("x"), {}, "5.1.2"),
        (DnsFailure("x"), {}, "4.4.3"),
        ([(0, "")], {}, "5.1.10"),
        ([], {}, "5.1.2"),
        ([(10, "gone.far.example")], {}, "5.4.4"),
        # 0.0.0.0 is this machine, whatever listens there
        ([(10, "odd.far.example")], {"odd.far.example": ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255"]}, "5.4.4"),
        ([(10, "slow.far.example")], {"slow.far.example": DnsFailure("x")}, "4.4.3"),
        ([(10, "Mail.here.example"), (20, "b.far.example")], {"b.far.example": ["192.0.2.2"]}, "5.4.6"),
        ([(10, "same.far.example")], {"same.far.example": ["192.0.2.99"]}, "5.4.6"),
    ],
)
async def test_what_has_no_next_hop_says_why(zone: Zone, exchangers, hosts, status) -> None:
    zone.exchangers["far.example"] = exchangers
    zone.hosts |= hosts
    with pytest.raises(Unroutable) as caught:
        await router(zone).next_hop("far.example")
    assert caught.value.status == status
    assert caught.value.permanent is status.startswith("5")


async def test_as_a_backup_host_we_send_only_to_better_ones(zone: Zone) -> None:
    zone.exchangers["far.example"] = [(10, "a.far.example"), (20, "mail.here.example"), (20, "c.far.example")]
    zone.hosts |= {"a.far.example": ["192.0.2.1"], "c.far.example": ["192.0.2.3"]}
    assert [t.host for t in (await router(zone).next_hop("far.example")).targets] == ["a.far.example"]


async def test_address_literals(zone: Zone) -> None:
    for domain, address in (("[192.0.2.7]", "192.0.2.7"), ("[IPv6:2001:db8::7]", "2001:db8::7")):
        assert [t.address for t in (await router(zone).next_hop(domain)).targets] == [address]
    with pytest.raises(Unroutable):
        await router(zone).next_hop("[nonsense]")


async def test_the_most_exact_address_space_wins_then_the_lower_cost(zone: Zone) -> None:
    zone.hosts["smart"] = ["192.0.2.50"]
    everything = SendConnector("all", ("*",), (SmartHost("smart", 587),), tls=TlsPolicy.REQUIRED)
    cheaper = SendConnector("cheap", ("*",), (SmartHost("smart", 26),), cost=0)
    partner = SendConnector("partner", ("*.partner.example",), port=2525)
    exact = SendConnector("exact", ("x.partner.example",), (SmartHost("smart", 27),))
    r = router(zone, everything, partner, exact, cheaper)
    assert r.connector("far.example").name == "cheap"
    assert r.connector("y.partner.example").name == "partner"
    assert r.connector("x.partner.example").name == "exact"
    assert r.connector("partner.example").name == "cheap"
    assert r.key("a.example") == r.key("b.example") != r.key("y.partner.example")
    hop = await r.next_hop("far.example")
    assert (hop.name, hop.targets[0].port) == ("cheap", 26)


async def test_an_unknown_smart_host_is_a_mistake_that_waits_for_its_mending(zone: Zone) -> None:
    with pytest.raises(Unroutable) as caught:
        await router(zone, SendConnector("all", ("*",), (SmartHost("nowhere"),))).next_hop("far.example")
    assert not caught.value.permanent


async def test_a_host_with_many_ipv6_addresses_is_tried_by_ipv4_too(zone: Zone) -> None:
    """A few addresses are tried: without IPv6 here, mail to such a host waited until it expired."""
    zone.exchangers["far.example"] = [(10, "a.far.example"), (20, "b.far.example")]
    zone.hosts["a.far.example"] = [f"2001:db8::{n}" for n in range(1, 9)] + ["192.0.2.1", "192.0.2.2"]
    zone.hosts["b.far.example"] = ["2001:db8::b"]
    targets = [target.address for target in (await router(zone).next_hop("far.example")).targets]
    assert targets[:5] == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "2001:db8::3"]
    assert len(targets) == 11


@pytest.mark.parametrize(
    ("literal", "status"),
    [
        ("[0.0.0.0]", "5.1.2"),
        ("[IPv6:::]", "5.1.2"),
        ("[IPv6:ff02::1]", "5.1.2"),
        ("[IPv6:nonsense]", "5.1.2"),
        ("[192.0.2.99]", "5.4.6"),
        ("[IPv6:::ffff:192.0.2.99]", "5.4.6"),
    ],
)
async def test_literals_that_are_no_other_host(zone: Zone, literal: str, status: str) -> None:
    with pytest.raises(Unroutable) as caught:
        await router(zone).next_hop(literal)
    assert caught.value.status == status
