"""Request targets and hosts (RFC 9112 3.2, RFC 3986): taken apart once, so that nobody downstream reads them again."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62}))*\.?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]*)", re.IGNORECASE)


class Target(NamedTuple):
    """What is asked for."""

    path: str
    """Decoded; begins with `/`; has no `.` or `..` segments, no control characters, no backslash."""
    raw_path: bytes
    query: bytes
    authority: bytes = b""
    """Of a target in absolute form (RFC 9112 3.2.2)."""


def split_target(url: bytes) -> Target:
    """Raises ValueError for what is no path on this server."""
    authority = b""
    if not url.startswith(b"/"):
        match = _ABSOLUTE.match(url)
        if match is None:
            if url == b"*":
                return Target("*", b"*", b"")
            raise ValueError("the target is no path")
        authority = match[1]
        url = url[match.end() :] or b"/"
        if not url.startswith(b"/"):
            url = b"/" + url
    raw, _, query = url.partition(b"?")
    if b"#" in url or _ESCAPE.search(raw) or not raw.isascii() or any(octet <= 0x20 for octet in url):
        raise ValueError("a malformed path")
    try:
        path = unquote_to_bytes(raw).decode() if b"%" in raw else raw.decode("ascii")
    except UnicodeDecodeError as error:
        raise ValueError("a path that is not UTF-8") from error
    if any(c < " " or c == "\x7f" for c in path) or "\\" in path:
        raise ValueError("control characters or backslashes in the path")
    if "/." in path and any(segment in (".", "..") for segment in path.split("/")):
        raise ValueError("a path that climbs")
    return Target(path, raw, query, authority)


def split_host(value: bytes) -> tuple[str, int]:
    """Name or address in small letters (without brackets) and port, 0 if there is none. Raises ValueError."""
    text = value.decode("ascii").strip()
    if text.startswith("["):
        inner, closed, rest = text[1:].partition("]")
        host = str(ipaddress.IPv6Address(inner))
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("a malformed address")
        port = rest[1:]
    else:
        host, colon, port = text.partition(":")
        if not _NAME.fullmatch(host) or len(host) > 253:
            raise ValueError("a malformed name")
        host = host.lower().rstrip(".")
        if colon and not port.isdigit():
            raise ValueError("a malformed port")
    if port and (not port.isdigit() or int(port) > 65535):
        raise ValueError("a malformed port")
    return host, int(port or 0)


known_target = lru_cache(2048)(split_target)
known_host = lru_cache(512)(split_host)


def local_path(value: str) -> str:
    """A path to go back to on this very server, `/` for anything that a browser could take for another site.

    Browsers take `//host`, `/\\host` and `/<tab>/host` for one.
    """
    if not value.startswith("/") or value.startswith("//") or "\\" in value:
        return "/"
    if not value.isascii() or not value.isprintable() or len(value) > 2048:
        return "/"
    return value
