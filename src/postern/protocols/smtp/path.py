"""Reverse-paths and forward-paths (RFC 5321 4.1.2, RFC 6531 3.3)."""

from __future__ import annotations

import ipaddress
import re

from postern.model.refusal import ProtocolViolation

LOCAL_PART_LIMIT_BYTES = 64
DOMAIN_LIMIT_BYTES = 255
PATH_LIMIT_BYTES = 256
"""RFC 5321 4.5.3.1; the path's limit counts the angle brackets."""

# Non-ASCII starts after the C1 controls. Sets say what is not in them: a set that reaches to U+10FFFF takes 10 ms to
# compile, at each start.
_ATEXT = r"""[^\x00-\x20"(),.:;<>@\[\\\]\x7f-\x9f]+"""
_DOT_STRING = rf"{_ATEXT}(?:\.{_ATEXT})*"
_QUOTED = r'"(?:[^\x00-\x1f"\\\x7f-\x9f]|\\[\x20-\x7e])*"'
# The underscore is no host name character, but is found in real domains.
_LETTER = r"[^\x00-/:-@\[-\^`{-\x9f]"
_LABEL = rf"{_LETTER}(?:[^\x00-,./:-@\[-\^`{{-\x9f]*{_LETTER})?"
_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_LITERAL = r"\[[0-9A-Za-z.:\-]{2,64}\]"

_PATH = re.compile(
    # A source route must be accepted and should be ignored (RFC 5321 4.1.1.3, appendix C).
    rf"\ ?<(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?(?P<local>{_DOT_STRING}|{_QUOTED})@(?P<domain>{_DOMAIN}|{_LITERAL})>"
)
_DOT_STRING_ONLY = re.compile(_DOT_STRING)
_POSTMASTER = re.compile(r"\ ?<(postmaster)>", re.IGNORECASE)
_NULL = re.compile(r"\ ?<>")


def reverse_path(text: str) -> tuple[str, int]:
    """What follows `MAIL FROM:`: the address (empty for `<>`) and where the parameters start.

    Raises ProtocolViolation.
    """
    if null := _NULL.match(text):
        return "", null.end()
    return _path(text)


def forward_path(text: str) -> tuple[str, int]:
    """What follows `RCPT TO:`; `<postmaster>` needs no domain (RFC 5321 4.5.1). Raises ProtocolViolation."""
    if postmaster := _POSTMASTER.match(text):
        return postmaster[1].lower(), postmaster.end()
    return _path(text)


def _path(text: str) -> tuple[str, int]:
    match = _PATH.match(text)
    if match is None:
        raise ProtocolViolation("not a path")
    local, domain = match["local"], match["domain"]
    if len(local) + len(domain) > 60 or not text.isascii():
        # Only then can a limit be met, or octets and characters differ.
        local_bytes, domain_bytes = len(local.encode()), len(domain.encode())
        if (
            local_bytes > LOCAL_PART_LIMIT_BYTES
            or domain_bytes > DOMAIN_LIMIT_BYTES
            or local_bytes + domain_bytes + 3 > PATH_LIMIT_BYTES
            or max(map(len, domain.split("."))) > 63
        ):
            raise ProtocolViolation("path too long")
    if domain[0] == "[":
        _check_literal(domain[1:-1])
    if local[0] == '"':
        local = _simplest(local)
    return f"{local}@{domain}", match.end()


def _check_literal(literal: str) -> None:
    try:
        if literal[:5].upper() == "IPV6:":
            ipaddress.IPv6Address(literal[5:])
        else:
            ipaddress.IPv4Address(literal)
    except ValueError as error:
        raise ProtocolViolation("not an address literal") from error


def _simplest(quoted: str) -> str:
    """Without needless quoting: `"ann"@x` and `ann@x` name the same mailbox (RFC 5321 4.1.2)."""
    content = re.sub(r"\\(.)", r"\1", quoted[1:-1])
    if _DOT_STRING_ONLY.fullmatch(content):
        return content
    return '"' + re.sub(r'(["\\])', r"\\\1", content) + '"'
