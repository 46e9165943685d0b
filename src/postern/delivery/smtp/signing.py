"""DKIM signatures for outgoing mail of our own domains (RFC 6376)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from postern.formats.dkim import PrivateKey, sign
from postern.formats.mime.header import addresses, first
from postern.model.addresses import normalise_domain
from postern.model.ports import Clock
from postern.model.refusal import ProtocolViolation, Refusal

_THREAD_BYTES = 128 * 1024
"""Larger messages are hashed in a thread: a loop slice is 4 ms."""


class DkimKey(msgspec.Struct, frozen=True):
    """One domain's key."""

    selector: str
    key: PrivateKey


class Signer:
    """Signs with the key of the author's domain, or of a domain above it."""

    def __init__(self, keys: Mapping[str, DkimKey], clock: Clock) -> None:
        """`keys` by domain in A-label form, lower case."""
        self._keys = dict(keys)
        self._clock = clock

    async def signature(self, content: bytes) -> bytes:
        """The DKIM-Signature field to put before the message; empty if there is no key for its author."""
        if not self._keys:
            return b""
        domain = self._domain(author_domain(content))
        if not domain:
            return b""
        key = self._keys[domain]
        try:
            if len(content) > _THREAD_BYTES:
                return await asyncio.to_thread(sign, content, domain, key.selector, key.key, self._clock.now())
            return sign(content, domain, key.selector, key.key, self._clock.now())
        except ProtocolViolation:
            # without From there is nobody to sign for; the message goes as it is
            return b""

    def _domain(self, author: str) -> str:
        name = author
        while name:
            if name in self._keys:
                return name
            name = name.partition(".")[2]
        return ""


def author_domain(content: bytes) -> str:
    """Key form of the domain in From; empty if there is none to be found."""
    end = content.find(b"\r\n\r\n")
    value = first(content[: end + 2] if end >= 0 else content, b"from")
    for address in addresses(value or b""):
        if address.mailbox and address.host:
            try:
                return normalise_domain(address.host.decode("utf-8", "replace"))
            except Refusal:
                return ""
    return ""
