"""Mail loops: too many hops, or too many of them ourselves (RFC 5321 6.3)."""

from __future__ import annotations

import re

from postern.model.refusal import Reason, Refusal

MAX_HOPS = 50
"""Received fields in all. RFC 5321 6.3 asks for 100 at least in theory; every large system uses less."""
MAX_OWN_HOPS = 6
"""Received fields that we wrote. A message may rightly come back a few times: lists, forwarding there and back."""


HEADER_READ_BYTES = 262_144
"""Trace fields stand at the top; a message without a blank line may be megabytes."""


def header_of(content: bytes) -> bytes:
    """The header block of a message, without the blank line; of one that is very long, what comes first."""
    if content.startswith(b"\r\n"):
        return b""
    end = content.find(b"\r\n\r\n", 0, HEADER_READ_BYTES)
    return content[:HEADER_READ_BYTES] if end < 0 else content[: end + 2]


def check_loop(content: bytes, own_name: str, max_hops: int = MAX_HOPS) -> None:
    """Raise Refusal(LOOP) if a message went round in circles. `own_name` is the name in our Received lines."""
    header = header_of(content)
    lowered = header.lower()
    hops = lowered.count(b"\nreceived:") + lowered.startswith(b"received:")
    if hops > max_hops:
        raise Refusal(Reason.LOOP, f"{hops} Received fields, {max_hops} are allowed")
    if hops > MAX_OWN_HOPS:
        own = len(re.findall(rb"\sby " + re.escape(own_name.encode()) + rb"\s", header, re.IGNORECASE))
        if own > MAX_OWN_HOPS:
            raise Refusal(Reason.LOOP, f"passed {own_name} {own} times already")
