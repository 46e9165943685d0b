"""What passes between the queue and the agents that hand messages on: values only, so that neither knows the other."""

from __future__ import annotations

from enum import Enum

import msgspec

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import BlobRef, DeliveryKey, MailboxId
from postern.model.partners import Partner


class StoredContent(msgspec.Struct, frozen=True, array_like=True):
    """A message as it lies on disk: the shared body and this copy's own header lines before it."""

    blob: BlobRef
    body_size: int
    """Octets of the body."""
    prefix: bytes = b""
    """`Received:` lines of our own, each with CRLF; never `Return-Path:`, which belongs to final delivery."""

    @property
    def size(self) -> int:
        """Octets of the whole message."""
        return len(self.prefix) + self.body_size


TLS_FAILED = "4.7.5"
"""The enhanced status of a deferral because TLS failed (RFC 3463 3.8)."""


class TlsPolicy(Enum):
    """What a send connector asks of the next hop."""

    NONE = "none"
    """Never: for hosts whose STARTTLS is broken."""
    OPPORTUNISTIC = "opportunistic"
    """Encrypt when offered, any certificate; in plain text when not (RFC 7435), or when TLS fails a second time."""
    REQUIRED = "required"
    """Encrypt or defer; any certificate."""
    VERIFIED = "verified"
    """Encrypt, and the certificate must be valid for the host's name."""
    SERVER = "server"
    """The host must prove to be the organisation's server of its name, and is shown that we are one (direct trust)."""
    PARTNER = "partner"
    """The host must prove to be the partner, and is shown our certificate (domain security)."""


class Target(msgspec.Struct, frozen=True):
    """One address of a next hop."""

    host: str
    """Name without trailing dot; what TLS verifies and the log says."""
    address: str
    """IP address."""
    port: int


class NextHop(msgspec.Struct, frozen=True):
    """Where a set of recipients goes and how; equal next hops share connections."""

    name: str
    """Destination domain, or the send connector's name if it has smart hosts."""
    targets: tuple[Target, ...]
    """In the order to try; never empty."""
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    username: str = ""
    """Empty: no AUTH."""
    password: str = ""
    partner: Partner | None = None
    """With TlsPolicy.PARTNER."""
    connector: str = ""
    """Send connector's name for the log; empty: the built-in one."""
    max_bytes: int = 0
    """Largest message that the connector lets out; 0 is no limit."""


class Outgoing(msgspec.Struct, frozen=True):
    """One message for some recipients that share a next hop."""

    queue_id: str
    envelope: Envelope
    """`recipients` are those of this transfer only, in the order in which results are expected."""
    content: bytes
    """Prefix and body."""
    ours: bool = False
    """Submitted by an authenticated user or written by Postern: may be signed in the name of our domains."""
    tls_failed: bool = False
    """It waits because TLS failed at the last attempt: with TlsPolicy.OPPORTUNISTIC it may now go without."""


class LocalCopy(msgspec.Struct, frozen=True):
    """One message for one mailbox that could not be delivered at once, or that owes its sender a success DSN."""

    queue_id: str
    key: DeliveryKey
    mailbox: MailboxId
    recipient: Recipient
    reverse_path: str
    content: StoredContent
    received_at: float


class Fate(Enum):
    """What became of a recipient in one attempt."""

    DELIVERED = "delivered"
    """In the mailbox."""
    RELAYED = "relayed"
    """The next hop took it, and with it the duty to report (it speaks DSN)."""
    RELAYED_BLIND = "relayed_blind"
    """The next hop took it but does not speak DSN: we report `relayed` if asked to (RFC 3461 5.2.2)."""
    DEFERRED = "deferred"
    FAILED = "failed"


class Result(msgspec.Struct, frozen=True):
    """A recipient's fate, with what a DSN has to say about it."""

    fate: Fate
    status: str
    """Enhanced status code (RFC 3463), such as `5.1.1`."""
    text: str = ""
    """The remote server's reply, `550 5.1.1 ...`, or our own words."""
    remote: str = ""
    """Name of the host that said so; empty: we did."""
    tls: str = ""
    """TLS facts of the connection, for tracking."""
    unreachable: bool = False
    """The next hop as a whole did not answer: no use in trying other messages to it now."""
