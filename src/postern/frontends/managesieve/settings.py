"""Settings of one ManageSieve listener."""

from __future__ import annotations

from typing import Literal

import msgspec


class ManageSieveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[managesieve]` in postern.toml, and what the catalogue says of the data path."""

    server_name: str = "localhost"
    starttls: bool = True
    mechanisms: tuple[str, ...] = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")
    cleartext_login: Literal["never", "loopback"] = "never"
    login_timeout_s: float = 120.0
    idle_timeout_s: float = 1800.0
    """RFC 5804 1.2: at least 30 minutes."""
    max_bad_commands: int = 20
