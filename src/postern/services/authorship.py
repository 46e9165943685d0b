"""In whose name somebody may write: From of a submitted message (RFC 5322 3.6.2, RFC 6409 6.1)."""

from __future__ import annotations

import asyncio

from postern.formats.mime import header
from postern.formats.mime.address import Address
from postern.model.refusal import Reason, Refusal
from postern.services.permissions import Permissions
from postern.services.principal import Principal

_HEADER_READ_BYTES = 1 << 20
"""A thousand recipients with their names are less than half of it."""
_ON_THE_LOOP_BYTES = 65_536
"""Of a header; a MiB of short fields takes a fifth of a second."""
_MAX_AUTHORS = 100


async def check_author(permissions: Permissions, principal: Principal, content: bytes) -> bytes:
    """The message as it may be sent: with SEND_ON_BEHALF of an author alone, Sender names who really wrote.

    Raises Refusal(SENDER_NOT_ALLOWED).
    """
    if content.startswith(b"\r\n"):
        return content
    end = content.find(b"\r\n\r\n", 0, _HEADER_READ_BYTES)
    if end < 0:
        if len(content) > _HEADER_READ_BYTES:
            # From may stand behind what is read, and whoever gets the message reads on
            raise Refusal(
                Reason.SENDER_NOT_ALLOWED,
                f"{principal.address} sends a header of over {_HEADER_READ_BYTES >> 10} KiB: its author cannot be told",
            )
        end = len(content) - 2
    head = content[: end + 2]
    on_behalf = False
    large = len(head) > _ON_THE_LOOP_BYTES
    authors = await asyncio.to_thread(_authors, head) if large else _authors(head)
    if len(authors) > _MAX_AUTHORS:
        raise Refusal(Reason.SENDER_NOT_ALLOWED, f"{principal.address} writes in {len(authors)} names at once")
    for author in authors:
        if author.mailbox is None or author.host is None:
            continue
        address = f"{author.mailbox.decode('utf-8', 'replace')}@{author.host.decode('utf-8', 'replace')}"
        if address.lower() == principal.address or await permissions.may_send_as(principal, address):
            continue
        if not await permissions.may_send_on_behalf(principal, address):
            raise Refusal(Reason.SENDER_NOT_ALLOWED, f"{principal.address} may not write as {address}")
        on_behalf = True
    if not on_behalf:
        return content
    rest = header.pick(head, [b"sender"], not_=True)
    if rest.endswith(b"\r\n\r\n"):
        rest = rest[:-2]
    return b"Sender: %b\r\n%b%b" % (principal.address.encode(), rest, content[end + 2 :])


def _authors(head: bytes) -> list[Address]:
    return [author for value in header.all_of(head, b"from") for author in header.addresses(value)]
