"""What protects accounts besides their passwords: app passwords, one-time codes, rules for access."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec

from postern.directory.objects import ALL_PROTOCOLS
from postern.model.ids import AccountId
from postern.model.networks import Address, Network, within

MAIL_PROTOCOLS = frozenset({"imap", "pop3", "smtp"})


class AppPassword(msgspec.Struct, frozen=True):
    """A password made for one program."""

    id: int
    name: str
    """What its owner calls it, once an account."""
    digest: bytes
    """`app_passwords.digest` of it."""
    protocols: frozenset[str] = MAIL_PROTOCOLS
    networks: tuple[Network, ...] = ()
    """Where it works; empty: everywhere."""
    created_at: float = 0.0
    expires_at: float | None = None
    """Seconds since the epoch; None: never."""
    scram_stored: bytes = b""
    """SCRAM-SHA-256 keys by the salt of the account's app passwords."""
    scram_server: bytes = b""

    def refuses(self, protocol: str, address: Address | None, now: float) -> str:
        """Why it does not work there: `expired`, `protocol`, `network`; empty: it works."""
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        if protocol not in self.protocols:
            return "protocol"
        return "network" if self.networks and not within(address, self.networks) else ""


class Safeguards(msgspec.Struct, frozen=True):
    """An account's."""

    app_passwords: Mapping[bytes, AppPassword] = {}
    """By digest."""
    totp: bytes = b""
    """Shared secret of an enrolment that was confirmed; empty: none."""


NO_SAFEGUARDS = Safeguards()


class Enrolment(msgspec.Struct, frozen=True):
    """An account's one-time codes."""

    secret: bytes
    created_at: float
    confirmed_at: float | None
    """None: no code was given yet, nobody is asked for one."""
    recovery_codes: int
    """How many are left."""


class RuleAction(Enum):
    """What becomes of a sign-in with a right password."""

    ALLOW = "allow"
    DENY = "deny"
    APP_PASSWORD = "app-password"  # noqa: S105 - the name of an action
    """Let in with an app password only."""


class AccessRule(msgspec.Struct, frozen=True):
    """Who may sign in by what from where. The first rule that fits decides; where none fits, it is allowed."""

    name: str
    action: RuleAction
    protocols: frozenset[str] = ALL_PROTOCOLS
    networks: tuple[Network, ...] = ()
    """Empty: everywhere."""
    group: str = ""
    """Address of the static group whose members it is about, nested ones too; empty: everybody."""
    group_id: AccountId | None = None

    def misses(self, protocol: str, address: Address | None, groups: Mapping[AccountId, str]) -> str:
        """What does not fit: `protocol`, `network`, `group`; empty: all fits."""
        if protocol not in self.protocols:
            return "protocol"
        if self.networks and not within(address, self.networks):
            return "network"
        return "group" if self.group_id is not None and self.group_id not in groups else ""
