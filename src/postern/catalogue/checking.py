"""The rules of the schema: what a row must be so that listeners, firewall rules and pictures can be made of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from postern.catalogue.roles import BY_ID, EDITIONS
from postern.catalogue.schema import DataPath, Encryption, Level, Listener

PROCESS_ROLES = ("edge", "transport", "mailbox", "client-access", "um", "directory")
"""Roles of Postern's processes."""
TOKENS = frozenset({"GSSAPI", "GSS-SPNEGO", "NTLM", "OAUTHBEARER", "XOAUTH2", "EXTERNAL"})
"""Mechanisms that prove by tokens of others: offered once settings say of whom."""
MECHANISMS = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}) | TOKENS
CLEAR_TEXT = frozenset({"PLAIN", "LOGIN"}) | TOKENS
"""Mechanisms that show the password, or leave what follows unprotected."""
HTTP_MECHANISMS = frozenset({"Basic", "Digest", "Negotiate", "NTLM", "Bearer", "certificate", "forms"})
"""Schemes of HTTP (RFC 9110 11.1), and what is none."""
PROTOCOLS = frozenset({"smtp", "imap", "pop3", "managesieve", "ldap", "http"})
CONFIDENCE = ("high", "medium", "low")
PORTLESS = ("none", "local", "configurable")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(\.[A-Za-z0-9][A-Za-z0-9-]*)+")


def problems(path: DataPath) -> list[str]:
    """What is wrong with a row; empty if it is good."""
    return [*_row(path), *_ports(path), *(_listener(path.listener) if path.listener is not None else ())]


def _row(path: DataPath) -> Iterator[str]:
    if not _ID.fullmatch(path.id):
        yield "its id must be words of letters, digits and hyphens, joined by dots"
    for one in path.editions:
        if one not in EDITIONS:
            yield f"edition {one!r} is not one of {', '.join(EDITIONS)}"
    if not path.editions:
        yield "holds in no edition"
    for end, roles in (("source", path.source_roles), ("destination", path.destination_roles)):
        for one in roles:
            if one not in BY_ID:
                yield f"{end} {one!r} is not one of {', '.join(BY_ID)}"
    if not path.source_roles and not path.destination_roles:
        yield "needs a source or a destination role"
    for what, text in (("name", path.names), ("purpose", path.purpose), ("notes", path.notes), ("breaks", path.breaks)):
        if bool(text.en) != bool(text.ru):
            yield f"its {what} is there in one language only"
    if not path.names:
        yield "has no name"
    if path.confidence not in CONFIDENCE:
        yield f"confidence {path.confidence!r} is not one of {', '.join(CONFIDENCE)}"
    if path.encrypted_by_default and path.level is Level.NONE:
        yield "is encrypted by default and never encrypted"


def _ports(path: DataPath) -> Iterator[str]:
    if not path.ports and path.port_text not in PORTLESS:
        yield f"needs ports, or one of {', '.join(PORTLESS)}"
    for port in path.ports:
        if not 0 < port.first <= port.last < 65536:
            yield f"{port}: ports go from 1 to 65535"
        if port.transport not in {"tcp", "udp"}:
            yield f"{port}: the transport is tcp or udp"


def _listener(one: Listener) -> Iterator[str]:
    if one.role not in PROCESS_ROLES:
        yield f"role {one.role!r} is not one of {', '.join(PROCESS_ROLES)}"
    if one.protocol not in PROTOCOLS:
        yield f"protocol {one.protocol!r} is not one of {', '.join(sorted(PROTOCOLS))}"
    if one.encryption_default not in one.encryption_supported:
        yield "its default encryption is not among the supported"
    extra = set(one.authentication_default) - set(one.authentication_supported)
    if extra:
        yield f"offers {', '.join(sorted(extra))} without supporting it"
    known = HTTP_MECHANISMS if one.protocol == "http" else MECHANISMS
    unknown = set(one.authentication_supported) - known - {"anonymous"}
    if unknown:
        yield f"unknown mechanism {', '.join(sorted(unknown))}"
    shown = set(one.authentication_before_tls) - (set(one.authentication_default) - CLEAR_TEXT)
    if shown:
        yield f"offers {', '.join(sorted(shown))} before TLS"
    if one.encryption_default is Encryption.NONE and one.mechanisms and not one.loopback_only:
        yield "takes passwords without encryption from outside"
