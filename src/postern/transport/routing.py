"""Next hops: send connectors by address space, smart hosts, MX records (RFC 5321 5.1, RFC 7505)."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from itertools import zip_longest

import msgspec

from postern.model.networks import parse_address
from postern.model.partners import Partner, partner_of
from postern.model.ports import DnsFailure, Entropy, MxHost, NoSuchDomain, Resolver
from postern.model.transfer import NextHop, Target, TlsPolicy

MAX_HOSTS = 8
"""MX hosts looked up for one domain; a domain with a hundred must not cost a hundred questions."""
MAX_TARGETS = 12
"""Addresses tried for one next hop (RFC 5321 5.1 wants at least two)."""


class SmartHost(msgspec.Struct, frozen=True):
    """A host that takes mail for everywhere; no MX lookup."""

    host: str
    """Name or IP address."""
    port: int = 25


class SendConnector(msgspec.Struct, frozen=True):
    """How mail for some domains leaves."""

    name: str
    address_spaces: tuple[str, ...] = ("*",)
    """`example.org`, `*.example.org` (its subdomains), `*` (everything)."""
    smart_hosts: tuple[SmartHost, ...] = ()
    """In the order to try; empty: by MX."""
    port: int = 25
    """For MX hosts."""
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    username: str = ""
    password: str = ""
    max_bytes: int = 0
    """Largest message; 0 is no limit."""
    cost: int = 1
    """Among equally exact address spaces the lower cost wins."""


DEFAULT_CONNECTOR = SendConnector("default")


class Unroutable(Exception):  # noqa: N818 - the field's word
    """No next hop. `status` is an enhanced status code; its class says whether trying again can help."""

    def __init__(self, status: str, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text

    @property
    def permanent(self) -> bool:
        """Whether it will never work."""
        return self.status.startswith("5")


class Router:
    """Chooses connectors and finds the hosts behind them."""

    def __init__(
        self,
        connectors: Sequence[SendConnector],
        resolver: Resolver,
        entropy: Entropy,
        own_names: Sequence[str],
        own_addresses: Sequence[tuple[str, int]] = (),
        partners: Sequence[Partner] = (),
    ) -> None:
        """`own_names` and `own_addresses` (IP, port) are ours: mail must not be sent to them.

        Mail for a partner's domains goes to hosts only that prove to be the partner's, whatever the connector says.
        """
        self._connectors = tuple(connectors)
        self._partners = tuple(one for one in partners if one.send)
        self._resolver = resolver
        self._entropy = entropy
        self._own_names = frozenset(n.lower().rstrip(".") for n in own_names)
        self._own_addresses = frozenset(own_addresses)

    def connector(self, domain: str) -> SendConnector:
        """The connector whose address space fits most exactly."""
        best, rank = DEFAULT_CONNECTOR, (-1, 0)
        for connector in self._connectors:
            for space in connector.address_spaces:
                exactness = _exactness(space.lower(), domain)
                if exactness >= 0 and (exactness, -connector.cost) > rank:
                    best, rank = connector, (exactness, -connector.cost)
        return best

    def key(self, domain: str) -> str:
        """Domains with the same key share a next hop, so that one transfer serves recipients in all of them."""
        connector = self.connector(domain)
        if connector.smart_hosts and partner_of(domain, self._partners) is None:
            return f"smart host {connector.name}"
        return domain

    async def next_hop(self, domain: str) -> NextHop:
        """Where mail for a domain goes now. Raises Unroutable."""
        connector = self.connector(domain)
        if connector.smart_hosts:
            targets = await self._smart_targets(connector)
        else:
            targets = await self._mx_targets(domain, connector.port)
        partner = partner_of(domain, self._partners)
        return NextHop(
            name=connector.name if connector.smart_hosts else domain,
            targets=tuple(targets[:MAX_TARGETS]),
            tls=connector.tls if partner is None else TlsPolicy.PARTNER,
            partner=partner,
            username=connector.username,
            password=connector.password,
            connector=connector.name,
            max_bytes=connector.max_bytes,
        )

    async def _smart_targets(self, connector: SendConnector) -> list[Target]:
        targets: list[Target] = []
        failure = "has no address"
        for smart_host in connector.smart_hosts:
            try:
                addresses = await self._resolver.addresses(smart_host.host)
            except (DnsFailure, NoSuchDomain) as problem:
                failure = str(problem) or "does not exist"
                continue
            targets += [Target(smart_host.host, a, smart_host.port) for a in addresses]
        if not targets:
            # a mistake in the configuration, which somebody will mend: the mail waits
            raise Unroutable("4.4.4", f"smart host of send connector {connector.name}: {failure}")
        return targets

    async def _mx_targets(self, domain: str, port: int) -> list[Target]:
        if domain.startswith("["):
            return [self._literal(domain, port)]
        try:
            hosts = list(await self._resolver.mx(domain))
        except NoSuchDomain as problem:
            raise Unroutable("5.1.2", f"the domain {domain} does not exist") from problem
        except DnsFailure as problem:
            raise Unroutable("4.4.3", f"DNS did not answer for {domain}: {problem}") from problem
        if len(hosts) == 1 and hosts[0].name in ("", "."):
            raise Unroutable("5.1.10", f"the domain {domain} accepts no mail (null MX)")
        implicit = not hosts
        hosts = self._before_us(domain, hosts) if hosts else [MxHost(0, domain)]
        targets, failure = await self._addresses(self._shuffled(hosts)[:MAX_HOSTS], port)
        if targets:
            return targets
        if failure is not None:
            raise Unroutable("4.4.3", f"DNS did not answer for the mail hosts of {domain}: {failure}")
        if implicit:
            raise Unroutable("5.1.2", f"the domain {domain} has no mail server")
        # RFC 5321 5.1: MX records none of which can be used are an error
        raise Unroutable("5.4.4", f"no mail host of {domain} has an address")

    def _literal(self, domain: str, port: int) -> Target:
        """`[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 4.1.3)."""
        text = domain.strip("[]")
        if text[:5].lower() == "ipv6:":
            text = text[5:]
        address = parse_address(text)
        if address is None or not _is_a_host(str(address)):
            raise Unroutable("5.1.2", f"{domain} is not the address of a host")
        if (str(address), port) in self._own_addresses:
            raise Unroutable("5.4.6", f"{domain} is this server, which does not accept the domain")
        return Target(domain, str(address), port)

    def _before_us(self, domain: str, hosts: list[MxHost]) -> list[MxHost]:
        """Without hosts that are no better than ourselves (RFC 5321 5.1): they would send it back to us."""
        ours = [h.preference for h in hosts if h.name.lower() in self._own_names]
        if not ours:
            return hosts
        better = [h for h in hosts if h.preference < min(ours)]
        if not better:
            raise Unroutable("5.4.6", f"mail for {domain} loops back to this server, which does not accept it")
        return better

    def _shuffled(self, hosts: list[MxHost]) -> list[MxHost]:
        """By preference, equals in an order left to chance (RFC 5321 5.1)."""
        return [h for _, _, h in sorted((h.preference, self._entropy.below(1 << 30), h) for h in hosts)]

    async def _addresses(self, hosts: Sequence[MxHost], port: int) -> tuple[list[Target], Exception | None]:
        targets: list[Target] = []
        failure: Exception | None = None
        looped = False
        for host in hosts:
            try:
                addresses = await self._resolver.addresses(host.name)
            except NoSuchDomain:
                continue
            except DnsFailure as problem:
                failure = problem
                continue
            addresses = [a for a in addresses if _is_a_host(a)]
            others = [a for a in addresses if (a, port) not in self._own_addresses]
            looped = looped or len(others) < len(addresses)
            targets += [Target(host.name, a, port) for a in _in_turn(others)]
        if looped and not targets:
            raise Unroutable("5.4.6", "the mail hosts are this server, which does not accept the domain")
        return targets, failure


def _in_turn(addresses: Sequence[str]) -> list[str]:
    """IPv6 and IPv4 by turns: few addresses are tried, and one of the two may lead nowhere from here (RFC 8305 4)."""
    six, four = ([a for a in addresses if (":" in a) is wanted] for wanted in (True, False))
    return [a for pair in zip_longest(six, four) for a in pair if a is not None]


def _is_a_host(address: str) -> bool:
    """Whether a public record may lead there: 0.0.0.0 would be this machine, a group is no host."""
    found = ipaddress.ip_address(address)
    return not (found.is_unspecified or found.is_multicast or address == "255.255.255.255")


def _exactness(space: str, domain: str) -> int:
    """How exactly an address space fits a domain; -1: not at all."""
    if space == domain:
        return 1000
    if space == "*":
        return 0
    if space.startswith("*.") and domain.endswith(space[1:]):
        return len(space)
    return -1
