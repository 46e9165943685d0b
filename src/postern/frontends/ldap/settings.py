"""Settings of one LDAP listener."""

from __future__ import annotations

from typing import Literal

import msgspec


class LdapSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[ldap]` in postern.toml, and what the catalogue says of the data path."""

    server_name: str = "localhost"
    """dnsHostName of the root DSE."""
    autodiscover: str = ""
    """URL that clients find beneath CN=Configuration; empty: there is nothing."""
    starttls: bool = False
    """The data path starts in clear text and can be upgraded."""
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN")
    """SASL mechanisms offered where the connection allows them; simple bind goes with PLAIN."""
    cleartext_login: Literal["never", "loopback"] = "never"
    """Passwords without TLS: never, or from this machine."""
    login_timeout_s: float = 60.0
    """How long a connection may stay without somebody signed in, whatever it sends."""
    idle_timeout_s: float = 900.0
    """Silence after which a session is ended."""
    message_timeout_s: float = 30.0
    """How long a request may take from its first octet to its last."""
    max_entries: int = 1000
    """Entries of one search or page."""
    time_limit_s: float = 15.0
    """How long a search may take."""
    max_failures: int = 10
    """Refused sign-ins that end a connection."""
    max_pending: int = 16
    """Requests read ahead of the one that is carried out; more wait in the network."""
