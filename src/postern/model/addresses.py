"""One spelling for every address, so that it can be compared and used as a key."""

from __future__ import annotations

import ipaddress
import re
import unicodedata

from postern.model.refusal import Reason, Refusal

MAX_LOCAL_OCTETS = 64
"""RFC 5321 4.5.3.1.1."""
MAX_ADDRESS_OCTETS = 254
"""RFC 5321 4.5.3.1.3, less the angle brackets."""

_ATEXT_DOT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-/=?^_`{|}~.")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")


def normalise_domain(domain: str) -> str:
    """Lower case, A-labels (RFC 5890), no closing dot. Raises Refusal(BAD_NAME)."""
    name = domain.strip().rstrip(".")
    if not name.isascii():
        try:
            name = unicodedata.normalize("NFC", name).encode("idna").decode("ascii")
        except UnicodeError as problem:
            raise Refusal(Reason.BAD_NAME, f"not a domain name: {domain!r}") from problem
    name = name.lower()
    if name.startswith("[") and name.endswith("]"):
        return name
    if len(name) > 253 or not all(map(_LABEL.fullmatch, name.split("."))):
        raise Refusal(Reason.BAD_NAME, f"not a domain name: {domain!r}")
    return name


def unicode_domain(domain: str) -> str:
    """A domain as people write it: A-labels that come from U-labels (RFC 5890) are those again; others stay."""
    try:
        name = domain.encode("ascii").decode("idna")
        return name if name.isprintable() and normalise_domain(name) == domain else domain
    except (UnicodeError, Refusal):
        return domain


def normalise_local(local: str) -> str:
    """NFC, lower case, needless quotes gone. Deviates from RFC 5321 2.4 as every large system does: case is ignored."""
    if len(local) > 1 and local[0] == '"' and local[-1] == '"':
        bare, escaped = [], False
        for char in local[1:-1]:
            if char == "\\" and not escaped:
                escaped = True
                continue
            bare.append(char)
            escaped = False
        text = "".join(bare)
        plain = text and text[0] != "." and text[-1] != "." and ".." not in text and set(text) <= _ATEXT_DOT
        local = text if plain else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return local.lower() if local.isascii() else unicodedata.normalize("NFC", local).lower()


def split(address: str) -> tuple[str, str]:
    """Local part and domain as written; the domain is empty if there is no `@`."""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at else (address, "")


def normalise(address: str) -> str:
    """The key form of an address: `local@domain`, or the local part alone. Raises Refusal(BAD_NAME)."""
    local, domain = split(address)
    if not local:
        raise Refusal(Reason.BAD_NAME, f"not an address: {address!r}")
    key = normalise_local(local)
    return f"{key}@{normalise_domain(domain)}" if domain else key


def check(address: str) -> str:
    """Normalise an address that is about to be created. Raises Refusal(BAD_NAME) if it could never be written to."""
    key = normalise(address)
    local, domain = split(key)
    octets = len(local.encode())
    printable = all(c.isprintable() for c in local)
    quoted = local.startswith('"')
    dots = not quoted and (local.startswith(".") or local.endswith(".") or ".." in local)
    forbidden = not quoted and any(c.isascii() and c not in _ATEXT_DOT for c in local)
    too_long = octets > MAX_LOCAL_OCTETS or len(key.encode()) > MAX_ADDRESS_OCTETS
    if not domain or dots or forbidden or not printable or too_long:
        raise Refusal(Reason.BAD_NAME, f"not an address: {address!r}")
    return key


def is_loopback(address: str) -> bool:
    """Whether a peer's IP address, perhaps with an IPv6 zone, is this machine's own."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False
