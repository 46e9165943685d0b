"""Networks of peers: IPv4 in IPv6 clothes, and who is one peer."""

from __future__ import annotations

import pytest

from postern.model.networks import PeerCounts, one_peer, parse_address, parse_network, within


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.0/24", "::ffff:192.0.2.9", "::ffff:192.0.3.9"),
        ("::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"),
        ("::ffff:192.0.2.9", "192.0.2.9", "192.0.2.8"),
        ("::ffff:0:0/96", "198.51.100.1", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::1%eth0", "2001:db9::1"),
        ("::/0", "2001:db8::1", "192.0.2.9"),
    ],
)
def test_ipv4_in_ipv6_clothes_is_ipv4(network: str, inside: str, outside: str) -> None:
    networks = [parse_network(network)]
    assert (within(parse_address(inside), networks), within(parse_address(outside), networks)) == (True, False)


def test_connections_are_counted_by_address_and_by_network() -> None:
    """One attacker has 2**64 addresses: counted by address alone they took all connections of a worker."""
    counts = PeerCounts(2)
    assert [counts.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert counts.enter("192.0.2.2"), "an IPv4 address is a peer of its own"
    attacker = [f"2001:db8::{number:x}" for number in range(30)]
    entered = [address for address in attacker if counts.enter(address)]
    assert len(entered) == 20
    assert counts.enter("2001:db8:0:1::1")
    for address in (*entered, "192.0.2.1", "192.0.2.1", "192.0.2.2", "2001:db8:0:1::1"):
        counts.leave(address)
    assert counts._open == {}
    assert one_peer("2001:db8::7") == "2001:db8::/64"


def test_without_a_limit_everybody_enters() -> None:
    counts = PeerCounts(0)
    assert all(counts.enter("192.0.2.1") for _ in range(100))
