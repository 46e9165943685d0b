"""Networks of peers: where attempts are counted, where rules apply, where people usually are."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_MAPPED_BITS = 96
_ADDRESSES_OF_A_NETWORK = 10
_REMEMBERED = 4096
"""Peers whose networks are known: HTTP asks with every request, and reading an address costs 5 us."""


@lru_cache(_REMEMBERED)
def parse_address(text: str) -> Address | None:
    """An address without its zone; an IPv4 address in IPv6 clothes (RFC 4291 2.5.5.2) is an IPv4 address."""
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return parsed.ipv4_mapped
    return parsed


def parse_network(text: str) -> Network:
    """`192.0.2.0/24`, `2001:db8::/32`, or one address; IPv4 in IPv6 clothes is IPv4. Raises ValueError."""
    network = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def within(address: Address | None, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of some networks; an unknown one is in none."""
    return address is not None and any(address in network for network in networks)


def is_outside(text: str) -> bool:
    """Whether an address is one of the Internet's: not of this machine, a private network or a connection's own."""
    address = parse_address(text)
    return address is not None and address.is_global


def one_peer(text: str) -> str:
    """The unit that one attacker has: an IPv4 address, an IPv6 /64."""
    return _around(text, 32, 64)


def site(text: str) -> str:
    """Where somebody usually is: addresses of one provider's range change from day to day."""
    return _around(text, 24, 48)


class PeerCounts:
    """How many connections are open, by address and by `one_peer`: an attacker has more IPv6 addresses than we sockets.

    An office has them, too, so that a /64 may have more than one address.
    """

    def __init__(self, limit: int, of_network: int = _ADDRESSES_OF_A_NETWORK) -> None:
        """`limit`: of one address; 0 is none. A /64 may have `of_network` times as many."""
        self._limit = limit
        self._of_network = of_network
        self._open: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count a connection; false if there are too many already, and it is not counted."""
        network, count = one_peer(address), self._open.get
        full = count(address, 0) >= self._limit or count(network, 0) >= self._limit * self._of_network
        if self._limit and full:
            return False
        for who in {address, network}:
            self._open[who] = count(who, 0) + 1
        return True

    def leave(self, address: str) -> None:
        """A connection that was counted is over."""
        for who in {address, one_peer(address)}:
            if self._open[who] == 1:
                del self._open[who]
            else:
                self._open[who] -= 1


@lru_cache(_REMEMBERED)
def _around(text: str, bits4: int, bits6: int) -> str:
    parsed = parse_address(text)
    if parsed is None:
        return text
    bits = bits4 if isinstance(parsed, ipaddress.IPv4Address) else bits6
    return str(parsed) if bits == parsed.max_prefixlen else str(ipaddress.ip_network((parsed, bits), strict=False))
