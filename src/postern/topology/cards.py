"""The words on a picture: what stands on a node, a zone, an arrow and in the legend, in both languages."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postern.catalogue.roles import BY_ID, EDITIONS
from postern.topology.model import EVERYWHERE, Zone
from postern.topology.picture import Link, Node, Ports
from postern.topology.textsize import join_wrapped, width, wrap


class Style(msgspec.Struct, frozen=True):
    """How a kind of text looks."""

    size: int
    bold: bool = False

    @property
    def leading(self) -> int:
        """From one base line to the next."""
        return self.size + 4


STYLES = {
    "title": Style(18, True),
    "subtitle": Style(12),
    "zone": Style(13, True),
    "detail": Style(11),
    "edition": Style(12, True),
    "host": Style(12, True),
    "label": Style(11, True),
    "legend": Style(12),
}
CARD_TEXT = 190
"""Widest text on a card."""
LABEL_TEXT = 200
"""Widest text on an arrow."""

SERVICES = {
    25: "SMTP", 53: "DNS", 80: "HTTP", 81: "HTTP", 88: "Kerberos", 110: "POP3", 123: "NTP", 135: "RPC", 137: "NetBIOS",
    138: "NetBIOS", 139: "NetBIOS", 143: "IMAP4", 379: "LDAP", 389: "LDAP", 390: "LDAP", 443: "HTTPS", 444: "HTTPS",
    445: "SMB", 464: "Kerberos", 465: "SMTPS", 475: "SMTP", 563: "NNTPS", 587: "SMTP", 593: "RPC/HTTP", 636: "LDAPS",
    691: "routing", 717: "SMTP", 808: "MRS", 993: "IMAPS", 995: "POP3S", 2525: "SMTP", 3268: "LDAP GC",
    4190: "ManageSieve",
    3269: "LDAPS GC", 3343: "cluster", 5060: "SIP", 5061: "SIPS", 5062: "SIP", 5063: "SIPS", 5985: "WinRM",
    5986: "WinRM", 50389: "LDAP", 50636: "LDAPS", 64327: "DAG",
}  # fmt: skip
"""What administrators call the service behind a port."""

_WORDS = {
    "ru": {
        "Data paths: {organisation}": "Пути передачи данных: {organisation}",
        "An arrow points at the computer that listens; the numbers are its ports (TCP where nothing else is said).": (
            "Стрелка указывает на компьютер, который принимает соединение; числа — его порты"
            " (TCP, если не указано иное)."
        ),
        "always encrypted": "всегда шифруется",
        "encrypted if both sides agree (STARTTLS and the like)": (
            "шифруется, если обе стороны умеют (STARTTLS и подобное)"
        ),
        "not encrypted": "не шифруется",
        "encryption differs or is not stated": "шифрование различается или не указано",
        "either side connects": "соединение открывает любая сторона",
        "Nothing is filtered between these servers": "Между этими серверами ничего не фильтруется",
        "nor to those in {zones}": "и между ними и серверами в «{zones}»",
        "all ports": "все порты",
        "any computer in this zone": "любой компьютер этой зоны",
        "everywhere else": "все остальные адреса",
        "internal": "внутренняя сеть",
        "perimeter": "демилитаризованная зона",
        "external": "внешняя сеть",
        "No data path is needed between these hosts.": "Между этими узлами пути передачи данных не нужны.",
        "Hosts that are alike share a box.": "Одинаковые узлы показаны вместе.",
    }
}


def say(text: str, language: str, **values: str) -> str:
    """A text of the picture in a language."""
    found = _WORDS.get("ru" if language.startswith("ru") else "", {}).get(text, text)
    return found.format(**values) if values else found


def role_name(role: str, language: str) -> str:
    """What people call a role."""
    known = BY_ID.get(role)
    return known.names.of(language) if known else role


def edition_name(edition: str, language: str) -> str:
    """What people call an edition; empty for what is no mail server."""
    if not edition:
        return ""
    return EDITIONS[edition].of(language) if edition in EDITIONS else f"Exchange {edition}"


Lines = list[tuple[str, str]]
"""Text and style, from the top."""


def card_lines(node: Node, zone: Zone, language: str) -> Lines:
    """What stands on a node."""
    if not node.hosts:
        names = [role_name(role, language) for role in zone.roles] or [say("any computer in this zone", language)]
        return [(line, "host") for name in names for line in _wrapped(f"• {name}", "host")]
    first = node.hosts[0]
    roles = [role_name(role, language) for role in first.roles]
    edition = edition_name(first.edition, language)
    lines = [(line, "edition") for line in _wrapped(edition or ", ".join(roles), "edition")]
    if edition:
        lines += [(line, "detail") for line in join_wrapped(roles, ", ", STYLES["detail"].size, CARD_TEXT)]
    for host in node.hosts:
        lines += [(line, "host") for line in _wrapped(host.name, "host")]
        lines += [(line, "detail") for line in join_wrapped(list(host.addresses), ", ", 11, CARD_TEXT)]
    return lines


def zone_lines(zone: Zone, language: str, limit: float) -> Lines:
    """The head of a zone: name, trust, networks."""
    places = [say("everywhere else", language)] if zone.networks == EVERYWHERE else list(zone.networks)
    lines = [(line, "zone") for line in wrap(zone.name, STYLES["zone"].size, limit, bold=True)]
    return lines + [(line, "detail") for line in join_wrapped([say(zone.trust, language), *places], ", ", 11, limit)]


def mesh_lines(others: Sequence[str], language: str, limit: float) -> Lines:
    """The head of a set of servers between which nothing is filtered; `others` are its other zones."""
    text = say("Nothing is filtered between these servers", language)
    if others:
        text += ", " + say("nor to those in {zones}", language, zones=", ".join(others))
    return [(line, "detail") for line in wrap(text, STYLES["detail"].size, limit)]


def label_lines(link: Link, language: str) -> Lines:
    """The ports on an arrow."""
    if not link.ports:
        return [(say("all ports", language), "label")]
    parts = port_texts(link.ports)
    return [(line, "label") for line in join_wrapped(parts, ", ", STYLES["label"].size * 1.13, LABEL_TEXT)]


def port_texts(ports: Sequence[Ports]) -> list[str]:
    """`443 HTTPS`, `53 DNS tcp+udp`, `49152–65535`: one for each port or range, in order."""
    transports: dict[tuple[int, int], list[str]] = {}
    for transport, first, last in ports:
        transports.setdefault((first, last), []).append(transport)
    texts = []
    for (first, last), kinds in transports.items():
        text = str(first) if first == last else f"{first}–{last}"
        if first == last and first in SERVICES:
            text += f" {SERVICES[first]}"
        if kinds != ["tcp"]:
            text += " " + "+".join(sorted(kinds))
        texts.append(text)
    return texts


def block_size(lines: Lines) -> tuple[int, int]:
    """Width and height of lines under each other."""
    widest = max((width(text, STYLES[s].size, bold=STYLES[s].bold) for text, s in lines), default=0)
    return widest, sum(STYLES[style].leading for _, style in lines)


def _wrapped(text: str, style: str) -> list[str]:
    return wrap(text, STYLES[style].size, CARD_TEXT, bold=STYLES[style].bold)
