"""Which controllers a domain has, the near ones first: by DNS SRV records (MS-ADTS 6.3.2.3, RFC 2782)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from postern.ldapsource.connection import Connection, Controller
from postern.ldapsource.failures import SourceFailure
from postern.ldapsource.settings import SourceSettings
from postern.model.ports import DnsFailure, Entropy, NoSuchDomain, SrvHost
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import filters
from postern.protocols.ldap.operations import Scope, SearchRequest

NT_VERSION = b"\x16\x00\x00\x00"
"""NETLOGON_NT_VERSION_5, 5EX and 5EX_WITH_IP (MS-ADTS 6.3.1.1): answers with the site."""
_SAM_LOGON_RESPONSE_EX = frozenset({23, 25})
_HEAD_OCTETS = 24
"""Opcode, reserved, flags, domain's GUID (MS-ADTS 6.3.1.9); names follow."""


class Services(Protocol):
    """DNS, as far as it is needed."""

    async def services(self, name: str) -> Sequence[SrvHost]:
        """SRV records. Raises NoSuchDomain, DnsFailure."""
        ...

    async def addresses(self, name: str) -> Sequence[str]:
        """Addresses of a host. Raises NoSuchDomain, DnsFailure."""
        ...


async def controllers(
    settings: SourceSettings, site: str, resolver: Services, entropy: Entropy
) -> tuple[Controller, ...]:
    """In the order to use. Raises SourceFailure if there are none."""
    if settings.servers:
        return tuple(parse(text, settings.port()) for text in settings.servers)
    if not settings.domain:
        raise SourceFailure("neither servers nor a domain to find them in are set")
    found: dict[Controller, None] = {}
    failures = []
    for name in names(settings, site):
        try:
            records = await resolver.services(name)
        except NoSuchDomain:
            continue
        except DnsFailure as failure:
            failures.append(str(failure))
            continue
        for record in in_order(records, entropy):
            port = settings.port()
            # the records are of the ports without TLS
            port = record.port if port in {389, 3268} else port
            found.setdefault(Controller(record.name, port))
    if not found:
        asked = ", ".join(names(settings, site))
        raise SourceFailure("; ".join(failures) or f"DNS knows no controllers: no SRV records for {asked}")
    return tuple(found)


def names(settings: SourceSettings, site: str) -> tuple[str, ...]:
    """SRV names to ask for; those of the site first, of a plain LDAP server last."""
    domain = settings.domain.rstrip(".")
    if settings.global_catalog:
        near, far = f"_gc._tcp.{site}._sites.{domain}", f"_gc._tcp.{domain}"
    else:
        near, far = f"_ldap._tcp.{site}._sites.dc._msdcs.{domain}", f"_ldap._tcp.dc._msdcs.{domain}"
    plain = () if settings.global_catalog else (f"_ldap._tcp.{domain}",)
    return ((near,) if site else ()) + (far, *plain)


def in_order(records: Sequence[SrvHost], entropy: Entropy) -> list[SrvHost]:
    """By priority; within one by chance, as often as their weights say (RFC 2782)."""
    left = sorted(record for record in records if record.name)
    ordered = []
    while left:
        same = [record for record in left if record.priority == left[0].priority]
        at = entropy.below(sum(record.weight for record in same) + 1)
        chosen = same[-1]
        for record in same:
            at -= record.weight
            if at <= 0:
                chosen = record
                break
        left.remove(chosen)
        ordered.append(chosen)
    return ordered


def parse(text: str, port: int) -> Controller:
    """`host`, `host:port`, `[address]:port`. Raises SourceFailure."""
    host, number = text.strip(), str(port)
    if host.startswith("["):
        host, _, rest = host[1:].partition("]")
        number = rest[1:] if rest.startswith(":") else number
    elif host.count(":") == 1:
        host, number = host.split(":")
    if not host or not number.isdecimal() or not 0 < int(number) < 65536:
        raise SourceFailure(f"not a server: {text!r}; example: dc1.corp.example.org:389")
    return Controller(host.lower(), int(number))


async def client_site(connection: Connection, domain: str) -> str:
    """The site that a controller says we are in (LDAP ping, MS-ADTS 6.3.3); empty if it does not say."""
    request = SearchRequest(
        "",
        Scope.BASE,
        filters.And(
            (
                filters.Compare("DnsDomain", "=", domain.encode()),
                filters.Compare("NtVer", "=", NT_VERSION),
            )
        ),
        ("Netlogon",),
    )
    try:
        entry = await connection.entry(request)
        if entry is None:
            return ""
        values = [values for name, values in entry.attributes.items() if name.lower() == "netlogon"]
        return site_of(values[0][0]) if values and values[0] else ""
    except (SourceFailure, ProtocolViolation):
        return ""


def site_of(answer: bytes) -> str:
    """The client's site in a NETLOGON_SAM_LOGON_RESPONSE_EX (MS-ADTS 6.3.1.9). Raises ProtocolViolation."""
    if int.from_bytes(answer[:2], "little") not in _SAM_LOGON_RESPONSE_EX:
        return ""
    position, name = _HEAD_OCTETS, ""
    # forest, domain, host, NetBIOS domain and computer, user, the controller's site, the client's site
    for _ in range(8):
        name, position = _compressed(answer, position)
    return name


def _compressed(data: bytes, position: int) -> tuple[str, int]:
    """A name as DNS compresses it (RFC 1035 4.1.4), and where the next one is. Raises ProtocolViolation."""
    labels: list[str] = []
    after = 0
    for _ in range(128):
        if position >= len(data):
            raise ProtocolViolation("a name is cut short")
        size = data[position]
        if size == 0:
            return ".".join(labels), after or position + 1
        if size >= 0xC0:
            if position + 1 >= len(data):
                raise ProtocolViolation("a name is cut short")
            after = after or position + 2
            position = (size & 0x3F) << 8 | data[position + 1]
            continue
        labels.append(data[position + 1 : position + 1 + size].decode("utf-8", "replace"))
        position += 1 + size
    raise ProtocolViolation("a name that does not end")
