"""QUOTA (RFC 9208)."""

from __future__ import annotations

from typing import NamedTuple

from postern.model.refusal import ProtocolViolation
from postern.protocols.imap.scanner import Scanner

MAX_RESOURCES = 16


class SetQuota(NamedTuple):
    """Limits asked for."""

    root: str
    limits: tuple[tuple[bytes, int], ...]


def quota_root(scanner: Scanner) -> str:
    """`GETQUOTA root`."""
    root = scanner.text_string()
    scanner.end()
    return root


def set_quota(scanner: Scanner) -> SetQuota:
    """`SETQUOTA root (resource limit ...)`."""
    root = scanner.text_string()
    scanner.space()
    scanner.expect(b"(")
    limits: list[tuple[bytes, int]] = []
    while not scanner.accept(b")"):
        if limits:
            scanner.space()
        name = scanner.atom().upper()
        scanner.space()
        limits.append((name, scanner.number((1 << 63) - 1)))
        if len(limits) > MAX_RESOURCES:
            raise ProtocolViolation(f"over {MAX_RESOURCES} resources")
    scanner.end()
    return SetQuota(root, tuple(limits))
