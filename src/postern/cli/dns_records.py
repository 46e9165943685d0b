"""The DNS records an organisation needs, for a zone file and for the form of a provider's panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from postern.cli.language import _


class Record(NamedTuple):
    """One record."""

    name: str
    """Fully qualified, without the closing dot."""
    type: str
    value: str
    """As the panel takes it: names without the closing dot, texts without quotes."""
    priority: int | None = None
    """MX preference; priority of SRV (weight and port are in the value)."""
    why: str = ""


SERVICES = (("_submissions", 465), ("_submission", 587), ("_imaps", 993), ("_imap", 143), ("_pop3s", 995))
MADE_UP = ("autodiscover", "autoconfig")
"""Names that clients put in front of the domain: Outlook and phones the first, Thunderbird and others the second."""


def records(domain: str, hostname: str, addresses: Sequence[str], dkim: Sequence[tuple[str, str]]) -> list[Record]:
    """All records of a domain; `dkim` are selectors with the text of their TXT record."""
    found = [
        Record(hostname, "AAAA" if ":" in address else "A", address, why=_("this server")) for address in addresses
    ]
    found.append(Record(domain, "MX", hostname, 10, _("mail for the domain comes here")))
    found.append(
        Record(domain, "TXT", "v=spf1 mx -all", why=_("SPF: only this server sends for the domain (RFC 7208)"))
    )
    found += [
        Record(f"{selector}._domainkey.{domain}", "TXT", text, why=_("DKIM: key of the signatures (RFC 6376)"))
        for selector, text in dkim
    ]
    found.append(
        Record(
            f"_dmarc.{domain}",
            "TXT",
            f"v=DMARC1; p=quarantine; rua=mailto:postmaster@{domain}",
            why=_("DMARC: what others do with forgeries (RFC 7489)"),
        )
    )
    # RFC 6186, RFC 8314 5.1: mail programs find the servers by these
    found += [
        Record(
            f"{service}._tcp.{domain}",
            "SRV",
            f"{0 if port in _PREFERRED else 1} {port} {hostname}",
            0,
            _("mail programs find it"),
        )
        for service, port in SERVICES
    ]
    found += [Record(f"{name}.{domain}", "CNAME", hostname, why=_("mail programs find it")) for name in MADE_UP]
    # Outlook's last way (MS-OXDISCO 3.1.5.4), for domains that have no name to spare
    found.append(Record(f"_autodiscover._tcp.{domain}", "SRV", f"0 443 {hostname}", 0, _("Outlook finds it")))
    return found


_PREFERRED = frozenset({465, 993, 995})


def zone(found: Sequence[Record]) -> str:
    """Lines of a zone file (RFC 1035 5.1)."""
    lines = []
    for record in found:
        if record.type in {"MX", "SRV"}:
            data = f"{record.priority} {record.value}."
        elif record.type == "CNAME":
            data = f"{record.value}."
        elif record.type == "TXT":
            data = " ".join(f'"{part}"' for part in chunks(record.value))
        else:
            data = record.value
        lines.append(f"{record.name + '.':<40} 3600 IN {record.type:<5} {data}")
    return "\n".join(lines) + "\n"


def chunks(text: str) -> list[str]:
    """A TXT record's strings hold at most 255 octets each (RFC 1035 3.3.14)."""
    return [text[start : start + 255] for start in range(0, len(text), 255)]


def panel(found: Sequence[Record], domain: str) -> list[dict[str, object]]:
    """Rows as a provider's form asks for them: the name relative to the domain (`@` is the domain itself)."""
    rows = []
    for record in found:
        name = record.name.removesuffix(domain).rstrip(".") if record.name.endswith(domain) else record.name + "."
        row: dict[str, object] = {"name": name or "@", "type": record.type, "value": record.value, "ttl": 3600}
        row["priority"] = record.priority
        row["why"] = record.why
        rows.append(row)
    return rows
