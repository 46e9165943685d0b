"""Settings of the IMAP front end."""

from __future__ import annotations

from typing import Literal

import msgspec


class ImapSettings(msgspec.Struct, frozen=True):
    """`[imap]` in postern.toml."""

    server_name: str = "localhost"
    """Name in the greeting."""
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")
    """SASL mechanisms offered where the connection allows them."""
    cleartext_login: Literal["never", "loopback"] = "never"
    """Where passwords may cross the wire without TLS."""
    login_timeout_s: float = 120.0
    """How long a connection may take to authenticate, for each command."""
    idle_timeout_s: float = 1860.0
    """Silence after which a session is ended (RFC 9051 5.4: at least 30 minutes)."""
    keepalive_s: float = 0.0
    """In IDLE, how often `* OK Still here` is sent to keep address translators awake; 0: never."""
    max_bad_commands: int = 30
    """Bad commands in a row that end a session."""
    line_bytes: int = 65536
    """Longest command without its literals, octets; 8192 before authentication."""
    literal_bytes: int = 65536
    """All literals of one command together, octets, APPEND apart."""
    append_bytes: int = 52_428_800
    """Largest message for APPEND, octets."""
    disabled_capabilities: tuple[str, ...] = ()
    """Capabilities that nobody is offered, to work round a broken client."""
    disabled_for: dict[str, tuple[str, ...]] = {}
    """The same for single accounts, by address."""
    progress_s: float = 10.0
    """How often a long command tells how far it is (RFC 9585)."""
    output_bytes: int = 262_144
    """How much of an answer is gathered before it is written, octets."""
