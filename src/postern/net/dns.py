"""DNS by dnspython's stub resolver, with a cache that keeps answers for their TTL (model.ports.Resolver)."""

from __future__ import annotations

import asyncio
import ipaddress
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
import dns.reversename

from postern.model.ports import Clock, DnsFailure, MxHost, NoSuchDomain, SrvHost

LIFETIME_S = 10.0
"""How long one question may take, retries included."""
CACHE_ENTRIES = 10000
TTL_MIN_S = 5.0
"""Shorter TTLs are lengthened: a message with a hundred recipients of one domain asks once."""
TTL_MAX_S = 86400.0
NEGATIVE_TTL_S = 60.0
"""For answers without a TTL: no such name, no such record (RFC 2308 lets us choose less than the SOA says)."""


class _Entry(NamedTuple):
    until: float
    answer: tuple[str, ...] | None
    """None: no such domain."""


class DnsResolver:
    """Questions to the system's name servers, or to those given."""

    def __init__(self, clock: Clock, nameservers: Sequence[str] = (), port: int = 53) -> None:
        self._clock = clock
        if nameservers:
            self._resolver = dns.asyncresolver.Resolver(configure=False)
            self._resolver.nameservers = list(nameservers)
            self._resolver.port = port
        else:
            try:
                self._resolver = dns.asyncresolver.Resolver()
            except dns.resolver.NoResolverConfiguration:
                self._resolver = dns.asyncresolver.Resolver(configure=False)
                self._resolver.nameservers = ["127.0.0.1"]
        self._resolver.lifetime = LIFETIME_S
        self._resolver.cache = None
        self._cache: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._asking: dict[tuple[str, str], asyncio.Future[_Entry]] = {}

    async def mx(self, domain: str) -> Sequence[MxHost]:
        """MX records sorted by preference. Raises NoSuchDomain, DnsFailure."""
        hosts = []
        for text in await self._ask(domain, "MX"):
            preference, _, name = text.partition(" ")
            hosts.append(MxHost(int(preference), name.rstrip(".")))
        return sorted(hosts)

    async def services(self, name: str) -> Sequence[SrvHost]:
        """SRV records in the order to try, those of equal priority in the order of their weight.

        Raises NoSuchDomain, DnsFailure. One record with an empty name says that there is no such service (RFC 2782).
        """
        hosts = []
        for text in await self._ask(name, "SRV"):
            priority, weight, port, host = text.split(" ")
            hosts.append(SrvHost(int(priority), int(weight), int(port), host.rstrip(".").lower()))
        return sorted(hosts, key=lambda one: (one.priority, -one.weight, one.name))

    async def addresses(self, name: str) -> Sequence[str]:
        """IPv6, then IPv4 addresses. Raises NoSuchDomain, DnsFailure."""
        try:
            return [str(ipaddress.ip_address(name.strip("[]")))]
        except ValueError:
            pass
        six, four = await asyncio.gather(self._ask(name, "AAAA"), self._ask(name, "A"), return_exceptions=True)
        found: list[str] = []
        failure: BaseException | None = None
        for answer in (six, four):
            if isinstance(answer, BaseException):
                failure = answer
            else:
                found.extend(answer)
        if not found and failure is not None:
            raise failure
        return found

    async def reverse(self, address: str) -> str | None:
        """The verified name of an address, else None."""
        try:
            pointer = dns.reversename.from_address(address).to_text()
            for name in await self._ask(pointer, "PTR"):
                if address in await self.addresses(name.rstrip(".")):
                    return name.rstrip(".").lower()
        except (DnsFailure, NoSuchDomain, dns.exception.SyntaxError, ValueError):
            return None
        return None

    async def _ask(self, name: str, kind: str) -> tuple[str, ...]:
        key = (name.lower().rstrip("."), kind)
        entry = self._cache.get(key)
        if entry is None or entry.until <= self._clock.monotonic():
            entry = await self._ask_once(key)
        if entry.answer is None:
            raise NoSuchDomain(name)
        return entry.answer

    async def _ask_once(self, key: tuple[str, str]) -> _Entry:
        """One question on the wire, however many wait for its answer."""
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._query(*key))
            self._asking[key] = asking
            asking.add_done_callback(lambda _: self._asking.pop(key, None))
        return await asyncio.shield(asking)

    async def _query(self, name: str, kind: str) -> _Entry:
        answer: tuple[str, ...] | None
        ttl = NEGATIVE_TTL_S
        try:
            result: Any = await self._resolver.resolve(f"{name}.", kind, search=False)
            answer = tuple(record.to_text() for record in result)
            ttl = min(TTL_MAX_S, max(TTL_MIN_S, result.rrset.ttl))
        except dns.resolver.NXDOMAIN:
            answer = None
        except dns.resolver.NoAnswer:
            answer = ()
        except (dns.exception.DNSException, OSError, UnicodeError) as error:
            if isinstance(error, dns.name.LabelTooLong | dns.name.NameTooLong | dns.name.EmptyLabel | UnicodeError):
                raise NoSuchDomain(name) from error
            raise DnsFailure(f"{kind} of {name}: {error}") from error
        entry = _Entry(self._clock.monotonic() + ttl, answer)
        self._cache[(name, kind)] = entry
        if len(self._cache) > CACHE_ENTRIES:
            self._cache.popitem(last=False)
        return entry
