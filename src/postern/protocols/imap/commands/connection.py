"""LOGIN, AUTHENTICATE, ENABLE, ID."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.scanner import Scanner

MAX_ID_FIELDS = 30
"""RFC 2971 3.3."""


class Login(NamedTuple):
    """RFC 9051 6.2.3."""

    user: str
    password: str


class Authenticate(NamedTuple):
    """RFC 9051 6.2.2, with the initial response still in base64 (SASL-IR); None: not given."""

    mechanism: str
    initial: bytes | None


def login(scanner: Scanner) -> Login:
    """`LOGIN user password`."""
    user = scanner.text_string()
    scanner.space()
    password = scanner.text_string()
    scanner.end()
    return Login(user, password)


def authenticate(scanner: Scanner) -> Authenticate:
    """`AUTHENTICATE mechanism [initial-response]`."""
    mechanism = scanner.atom().decode("ascii").upper()
    initial = None
    if scanner.accept(b" "):
        initial = scanner.text[scanner.position :]
        if not initial:
            raise ProtocolViolation("empty initial response; `=` stands for it")
    else:
        scanner.end()
    return Authenticate(mechanism, initial)


def enable(scanner: Scanner) -> tuple[bytes, ...]:
    """`ENABLE capability ...` (RFC 5161): upper-case names."""
    names = [scanner.match_capability()]
    while scanner.accept(b" "):
        names.append(scanner.match_capability())
    scanner.end()
    return tuple(names)


def compress(scanner: Scanner) -> bytes:
    """`COMPRESS algorithm` (RFC 4978)."""
    name = scanner.atom().upper()
    scanner.end()
    return name


def tags(scanner: Scanner) -> tuple[bytes, ...]:
    """`CANCELUPDATE "tag" ...` (RFC 5267 4.3.1)."""
    found = [scanner.string()]
    while scanner.accept(b" "):
        found.append(scanner.string())
    scanner.end()
    return tuple(found)


def client_id(scanner: Scanner) -> dict[str, str]:
    """`ID NIL` or `ID ("name" "value" ...)` (RFC 2971)."""
    fields: dict[str, str] = {}
    if scanner.accept_word(b"NIL"):
        scanner.end()
        return fields
    scanner.expect(b"(")
    while not scanner.accept(b")"):
        if fields:
            scanner.space()
        name = scanner.string().decode("utf-8", "replace")
        scanner.space()
        value = "" if scanner.accept_word(b"NIL") else scanner.string().decode("utf-8", "replace")
        fields[name.lower()] = value
        if len(fields) > MAX_ID_FIELDS:
            raise ProtocolViolation(f"over {MAX_ID_FIELDS} fields")
    scanner.end()
    return fields
