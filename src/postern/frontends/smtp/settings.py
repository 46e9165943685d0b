"""Settings of one SMTP listener."""

from __future__ import annotations

from typing import Literal

import msgspec


class ReceiveConnector(msgspec.Struct, frozen=True, kw_only=True):
    """Who may hand in what: a scope and its permissions."""

    name: str
    """In logs and trace records."""
    listeners: tuple[str, ...] = ("smtp",)
    """Scope: data paths by id."""
    remote: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    """Scope: networks of peers, CIDR."""
    anonymous: bool = False
    """Mail for accepted domains without authentication."""
    anonymous_relay: bool = False
    """Mail for anywhere without authentication: printers, scanners."""
    authenticated: bool = False
    """AUTH is offered, and authenticated users may relay."""
    check_sender: bool = True
    """Authenticated users send only as addresses they may use."""
    check_sender_domain: bool = True
    """Mail from the Internet has to come from a domain that exists and takes mail."""
    require_tls: bool = False
    """Nothing but STARTTLS before TLS."""
    internal_servers: bool = True
    """Servers of the organisation, proved by their certificates, may relay and send as anybody."""


DEFAULT_CONNECTORS = (
    ReceiveConnector(name="internet", listeners=("smtp",), anonymous=True),
    ReceiveConnector(name="clients", listeners=("submission", "submissions"), authenticated=True, require_tls=True),
)
"""Anonymous mail for accepted domains on 25, users on 587 and 465."""


class SmtpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One data path: what the catalogue says of it, and limits."""

    data_path: str
    """Id in the catalogue: smtp, submission, submissions."""
    hostname: str
    """In the greeting and the answer to EHLO."""
    starttls: bool = True
    """The data path starts in clear text and can be upgraded."""
    mechanisms: tuple[str, ...] = ()
    """SASL mechanisms that the catalogue allows here; used where a connector takes authenticated users."""
    cleartext_login: Literal["never", "loopback"] = "never"
    """Whether PLAIN and LOGIN may be used without TLS from this machine itself."""
    connectors: tuple[ReceiveConnector, ...] = DEFAULT_CONNECTORS
    submission_domain: str = ""
    """Right side of a Message-ID made for a message without one; empty is the host name."""
    max_message_bytes: int = 52_428_800
    max_recipients: int = 1000
    """RFC 5321 4.5.3.1.8 asks for at least 100."""
    max_messages: int = 0
    """Transactions a connection; 0 is no limit."""
    max_errors: int = 20
    """Refused commands and recipients a connection."""
    max_commands: int = 1000
    """Commands without a message, RCPT not counted."""
    max_connections: int = 5000
    """To this worker."""
    max_connections_per_address: int = 200
    """From one address to this worker; 0 is no limit."""
    command_timeout_s: float = 300.0
    """RFC 5321 4.5.3.2.7."""
    data_timeout_s: float = 600.0
    """Silence within a message."""
    progress_timeout_s: float = 3600.0
    """A connection that brings no message in this time is closed, whatever it sends."""
    bare_newlines: Literal["refuse", "fix"] = "refuse"
    """Bare CR or LF in a message: refused (SMTP smuggling), or made CRLF."""
