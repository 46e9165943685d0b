"""Trace fields and what submission completes (RFC 5321 4.4, RFC 6409 8)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_address

from postern.formats.mime import date
from postern.formats.mime.header import values
from postern.model.envelope import Peer
from postern.model.ports import Clock, Entropy

_UNSAFE = re.compile(r"[\x00-\x20()<>\\\"\x7f]+")
_UNSAFE_ADDRESS = re.compile(r"[\x00-\x1f<>\x7f]+")
_UNSAFE_COMMENT = re.compile(r"[\x00-\x1f()\\\x7f]+")
_HEADER_READ_BYTES = 262144
_FIRST_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:|\r?\n").match


@lru_cache(1024)
def _literal(address: str) -> str:
    """RFC 5321 4.1.3."""
    try:
        return f"[IPv6:{address}]" if ip_address(address.partition("%")[0]).version == 6 else f"[{address}]"
    except ValueError:
        return "[unknown]"


@lru_cache(256)
def _from_by(peer: Peer, by: str) -> str:
    """What the lines of one connection have in common."""
    helo = _UNSAFE.sub("?", peer.helo)[:255] or "unknown"
    origin = f"{peer.reverse_name} {_literal(peer.address)}" if peer.reverse_name else _literal(peer.address)
    tls = f"\r\n\t(using {_UNSAFE_COMMENT.sub(' ', peer.tls)})" if peer.tls else ""
    return f"Received: from {helo} ({origin}){tls}\r\n\tby {by} with {peer.protocol} id "


@lru_cache(16)
def _moment(when: int) -> str:
    return date.render(datetime.fromtimestamp(when, UTC))


def received_line(peer: Peer, by: str, queue_id: str, when: int, for_: str) -> bytes:
    """One Received field, folded, with its closing CRLF (RFC 5321 4.4). `for_` is empty or the only recipient.

    `when`: seconds since the epoch.
    """
    receiver = f"\r\n\tfor <{_UNSAFE_ADDRESS.sub('?', for_)}>" if for_ else ""
    return f"{_from_by(peer, by)}{queue_id}{receiver};\r\n\t{_moment(when)}\r\n".encode()


def return_path_line(reverse_path: str) -> bytes:
    """The Return-Path field of final delivery, with its CRLF; empty for the null reverse-path."""
    return f"Return-Path: <{_UNSAFE_ADDRESS.sub('?', reverse_path)}>\r\n".encode()


def message_id(entropy: Entropy, clock: Clock, domain: str) -> str:
    """A new Message-ID without brackets."""
    return f"{int(clock.timestamp() * 1000):x}.{entropy.token(10).hex()}@{domain}"


def complete_submission(content: bytes, clock: Clock, entropy: Entropy, domain: str, identity: str = "") -> bytes:
    """Add Date and Message-ID where they are missing (RFC 6409 8.2, 8.3); nothing else changes.

    `identity`: the left side of the Message-ID; empty: a new one.
    """
    end = content.find(b"\n\r\n", 0, _HEADER_READ_BYTES)
    header = content[: end + 1 if end >= 0 else _HEADER_READ_BYTES]
    if content.startswith((b"\r\n", b"\n")):
        header = b""
    present = {name.lower() for name, _ in values(header)}
    added = b""
    if b"date" not in present:
        added += f"Date: {date.render(clock.now())}\r\n".encode()
    if b"message-id" not in present:
        own = f"{identity}@{domain}" if identity else message_id(entropy, clock, domain)
        added += f"Message-ID: <{own}>\r\n".encode()
    if not added:
        return content
    if content and not _FIRST_FIELD(content):
        added += b"\r\n"  # no header at all: text must not become one
    return added + content
