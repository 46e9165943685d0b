"""What an operator or a test may choose about the way of messages."""

from __future__ import annotations

import msgspec

from postern.transport.loops import MAX_HOPS


class MailflowSettings(msgspec.Struct, frozen=True):
    """Names and limits."""

    host_name: str
    """In Received lines."""
    max_received: int = MAX_HOPS
    """Received fields that mean a loop."""
    backlog_bytes: int = 64 << 20
    """Accepted and not applied, in memory; above, senders wait."""
    mark_interval_s: float = 30.0
    """How often the low-water mark moves; bounds how much a replay has to look at."""
    retry_s: float = 5.0
    """After how long something is tried again that neither mailbox nor queue could take."""
    linger_s: float = 0.25
    """Under load a batch waits for company at most so long: several for a mailbox cost little more than one.
    Four times as long where some 250 messages and more come in a second."""
    close_s: float = 10.0
    """How long a graceful stop waits for what was accepted to be applied."""
