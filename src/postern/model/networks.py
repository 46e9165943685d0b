"""Networks of peers: where attempts are counted, where rules apply, where people usually are."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

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
    """`192.0.2.0/24`, `2001:db8::/32`, or one address. Raises ValueError."""
    return ipaddress.ip_network(text.strip(), strict=False)


def within(address: Address | None, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of some networks; an unknown one is in none."""
    return address is not None and any(address in network for network in networks)


def one_peer(text: str) -> str:
    """The unit that one attacker has: an IPv4 address, an IPv6 /64."""
    return _around(text, 32, 64)


def site(text: str) -> str:
    """Where somebody usually is: addresses of one provider's range change from day to day."""
    return _around(text, 24, 48)


@lru_cache(_REMEMBERED)
def _around(text: str, bits4: int, bits6: int) -> str:
    parsed = parse_address(text)
    if parsed is None:
        return text
    bits = bits4 if isinstance(parsed, ipaddress.IPv4Address) else bits6
    return str(parsed) if bits == parsed.max_prefixlen else str(ipaddress.ip_network((parsed, bits), strict=False))
