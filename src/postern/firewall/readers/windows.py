"""Windows Firewall: what netsh and PowerShell files have in common.

Inbound connections are blocked and outbound allowed unless a rule says otherwise; a blocking rule wins over every
allowing one, whatever their order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec

from postern.catalogue.schema import Names
from postern.firewall.readers.packets import (
    INTERFACE,
    SOURCE_PORT,
    UNKNOWN_WORD,
    NotUnderstoodError,
    packets,
    port_ranges,
)
from postern.firewall.readers.ruleset import ALLOW, DENY, IN, OUT, Filter, Rule
from postern.firewall.region import Interval

RPC = (49152, 65535)
"""Where Windows since Server 2008 hands out ports to RPC services, unless a product's setup changes it."""
ENDPOINT_MAPPER = "135"
IPSEC = Names(
    "it holds only for connections that IPsec authenticates",
    "действует только для соединений с проверкой подлинности IPsec",
)
PROFILES = ("domain", "private", "public")
DOMAIN = PROFILES[0]

T = TypeVar("T")
_ANY = ("any", "любой", "*", "")


class Entry(msgspec.Struct):
    """A rule with its fields as words."""

    line: int
    name: str = ""
    direction: str = ""
    action: str = ALLOW
    enabled: bool = True
    profiles: tuple[str, ...] = ()
    """Empty for all."""
    protocol: str = "any"
    local_ports: tuple[str, ...] = ()
    remote_ports: tuple[str, ...] = ()
    local_addresses: tuple[str, ...] = ()
    remote_addresses: tuple[str, ...] = ()
    interfaces: str = "any"
    secured: bool = False

    def rule(self, rpc: Interval = RPC) -> Rule:
        """The entry as packets; `rpc` is what the word RPC stands for on this host. Raises NotUnderstoodError."""
        if self.direction not in (IN, OUT):
            raise NotUnderstoodError(UNKNOWN_WORD, self.direction or "direction")
        if self.interfaces.lower() not in _ANY:
            raise NotUnderstoodError(INTERFACE, self.interfaces)
        if self.secured and self.action == ALLOW:
            raise NotUnderstoodError(IPSEC, self.name)
        inbound = self.direction == IN
        ports, sources = (self.local_ports, self.remote_ports) if inbound else (self.remote_ports, self.local_ports)
        if not set(map(str.lower, sources)) <= set(_ANY):
            raise NotUnderstoodError(SOURCE_PORT, ", ".join(sources))
        near, far = self.local_addresses, self.remote_addresses
        keywords = {"rpc": f"{rpc[0]}-{rpc[1]}", "rpcepmap": ENDPOINT_MAPPER, "rpc-epmap": ENDPOINT_MAPPER}
        ranges = port_ranges([keywords.get(word.strip().lower(), word) for word in ports or ("any",)])
        found = packets(
            (far if inbound else near) or ("any",), (near if inbound else far) or ("any",), self.protocol, ranges
        )
        return Rule(found, self.action, self.line, self.name)

    def holds(self, profile: str) -> bool:
        """Whether it is in force where a network has the profile."""
        return self.enabled and (not self.profiles or profile in self.profiles)


class Defaults(msgspec.Struct):
    """What becomes of packets that no rule names."""

    inbound: str = DENY
    outbound: str = ALLOW


def filters(rules: Iterable[tuple[str, Rule]], defaults: Defaults) -> tuple[Filter, ...]:
    """Inbound and outbound rules, the blocking ones first."""
    found = list(rules)
    made = []
    for direction, default in ((IN, defaults.inbound), (OUT, defaults.outbound)):
        own = [rule for of, rule in found if of == direction]
        own.sort(key=lambda rule: rule.verdict != DENY)
        made.append(Filter(direction, f"Windows Firewall {direction}bound", tuple(own), default))
    return tuple(made)


def words(text: str) -> tuple[str, ...]:
    """A list separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def profiles(text: str) -> tuple[str, ...]:
    """Profile names of a rule; empty for all. English or Russian."""
    found = []
    for word in words(text):
        lower = word.lower()
        if lower in ("any", "all", "любой", "все", "0"):
            return ()
        found.append(_PROFILES.get(lower, lower))
    return tuple(found)


_PROFILES = {"доменный": "domain", "домен": "domain", "частный": "private", "общий": "public", "публичный": "public"}


def choose(table: dict[str, T], word: str) -> T:
    """The meaning of a word. Raises NotUnderstoodError."""
    found = table.get(word.strip().lower())
    if found is None:
        raise NotUnderstoodError(UNKNOWN_WORD, word or "?")
    return found
