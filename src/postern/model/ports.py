"""What the domain needs from the outside world, handed in so that tests own time, chance and DNS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class Clock(Protocol):
    """Time."""

    def now(self) -> datetime:
        """Aware UTC time."""
        ...

    def timestamp(self) -> float:
        """Seconds since 1970-01-01 UTC; what is stored."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back; for deadlines and intervals only."""
        ...


class Entropy(Protocol):
    """Chance."""

    def token(self, size_bytes: int) -> bytes:
        """Unpredictable bytes, fit for keys and salts."""
        ...

    def below(self, limit: int) -> int:
        """An unpredictable integer in [0, limit)."""
        ...


class MxHost(NamedTuple):
    """One MX record's host (no trailing dot), lower preference first."""

    preference: int
    name: str


class SrvHost(NamedTuple):
    """One SRV record (RFC 2782); lower priorities first, name without trailing dot."""

    priority: int
    weight: int
    port: int
    name: str


class DnsFailure(Exception):  # noqa: N818
    """DNS did not answer, or said SERVFAIL: try later. An authoritative 'no such name' is an empty answer."""


class NoSuchDomain(Exception):  # noqa: N818
    """DNS said authoritatively that the name does not exist (NXDOMAIN)."""


class Resolver(Protocol):
    """DNS, with its own TTL cache."""

    async def mx(self, domain: str) -> Sequence[MxHost]:
        """MX records sorted by preference, empty if there are none.

        Raises NoSuchDomain, DnsFailure. A null MX (RFC 7505) is one record with an empty name.
        """
        ...

    async def addresses(self, name: str) -> Sequence[str]:
        """IPv6 and IPv4 addresses in the order to try. Raises NoSuchDomain, DnsFailure."""
        ...

    async def reverse(self, address: str) -> str | None:
        """The name of an address if it resolves forward to the same address, else None. Never raises."""
        ...
