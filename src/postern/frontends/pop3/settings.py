"""Settings of one POP3 listener."""

from __future__ import annotations

from typing import Literal

import msgspec


class Pop3Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`[pop3]` in postern.toml, and what the catalogue says of the data path."""

    server_name: str = "localhost"
    """Name in the greeting."""
    starttls: bool = True
    """The data path starts in clear text and can be upgraded."""
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")
    """SASL mechanisms offered where the connection allows them."""
    cleartext_login: Literal["never", "loopback"] = "never"
    """Passwords without TLS: never, or from this machine."""
    login_timeout_s: float = 120.0
    """How long a connection may take to authenticate, for each command."""
    idle_timeout_s: float = 900.0
    """Silence after which a session is ended without deleting anything (RFC 1939 3: at least 10 minutes)."""
    login_delay_s: int = 0
    """Seconds that a user has to leave between two sessions (LOGIN-DELAY, RFC 2449 6.5); 0: none."""
    expire_days: int | None = None
    """How long mail is kept at least, for EXPIRE (RFC 2449 6.7); None: for ever."""
    max_bad_commands: int = 20
    """Refused commands in a row that end a session."""
    output_bytes: int = 1_048_576
    """How much of the answers to pipelined commands is gathered before it is written, octets."""
