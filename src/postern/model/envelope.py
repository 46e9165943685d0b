"""SMTP envelopes (RFC 5321 2.3.1) with DSN parameters (RFC 3461) and what authentication established."""

from __future__ import annotations

import msgspec


class Recipient(msgspec.Struct, frozen=True, array_like=True):
    """One RCPT TO."""

    address: str
    """Mailbox as given, without angle brackets; UTF-8 when SMTPUTF8."""
    notify: str = ""
    """Empty, or of NEVER, SUCCESS, FAILURE, DELAY joined by commas (RFC 3461 4.1)."""
    original: str = ""
    """ORCPT as `addr-type;xtext-decoded-address`, empty if not given (RFC 3461 4.2)."""


class Envelope(msgspec.Struct, frozen=True, array_like=True):
    """What MAIL and RCPT said."""

    reverse_path: str
    """Sender without angle brackets; empty for the null reverse-path of bounces."""
    recipients: tuple[Recipient, ...]
    body: str = "7BIT"
    """7BIT, 8BITMIME or BINARYMIME."""
    smtputf8: bool = False
    ret: str = ""
    """FULL, HDRS or empty (RFC 3461 4.3)."""
    envid: str = ""
    """ENVID, xtext-decoded."""
    require_tls: bool = False


class Peer(msgspec.Struct, frozen=True):
    """Who handed a message in, for trace fields, connector scopes and logs."""

    address: str
    """Remote IP address."""
    port: int
    local_address: str
    local_port: int
    data_path: str
    """Id of the catalogue's data path (the listener)."""
    helo: str = ""
    protocol: str = "SMTP"
    """`with` value of the Received header: SMTP, ESMTPS, ESMTPSA, UTF8SMTPSA ... (RFC 3848, RFC 6531)."""
    tls: str = ""
    """Human-readable TLS facts, such as `TLSv1.3 TLS_AES_256_GCM_SHA384`; empty without TLS."""
    principal: str = ""
    """Primary address of the authenticated account; empty for anonymous."""
    reverse_name: str = ""
    """Verified reverse DNS name, or empty."""
    session_id: str = ""
    """Correlation id of the connection."""
