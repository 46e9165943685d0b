"""Organisations with whom mail is exchanged over mutually authenticated TLS only (domain security)."""

from __future__ import annotations

import msgspec


class Partner(msgspec.Struct, frozen=True):
    """One of them; hashable, so that connections to it are shared."""

    name: str
    """In logs."""
    domains: tuple[str, ...]
    """Lower case; `example.net`, or `.example.net` for all below it."""
    authority: str = ""
    """PEM file with the authorities of its certificates; empty: those of the system."""
    names: tuple[str, ...] = ()
    """Its certificate must be for one of these; empty: for one of `domains` or a host in one."""
    pins: tuple[str, ...] = ()
    """SHA-256 of keys, hexadecimal: given, they alone count, and authority and names do not."""
    send: bool = True
    """What we send it goes to a host so proved, or waits."""
    receive: bool = True
    """Mail in the name of its domains comes from a host so proved, or is refused."""

    def has(self, domain: str) -> bool:
        """Whether a domain (lower case) is one of its."""
        return any(domain == own or (own.startswith(".") and domain.endswith(own)) for own in self.domains)

    def hosts(self, name: str) -> bool:
        """Whether a DNS name of a certificate (lower case, perhaps with `*`) is one that the partner would have."""
        if self.names:
            return name in self.names
        bare = name.removeprefix("*.")
        own = tuple(domain.removeprefix(".") for domain in self.domains)
        return any(bare == domain or bare.endswith("." + domain) for domain in own)


def partner_of(domain: str, partners: tuple[Partner, ...]) -> Partner | None:
    """Whose a domain is; an exact name before one that covers it."""
    key = domain.lower().rstrip(".")
    exact = next((one for one in partners if key in one.domains), None)
    return exact or next((one for one in partners if one.has(key)), None)
