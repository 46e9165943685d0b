"""Who is signed in."""

from __future__ import annotations

import msgspec

from postern.directory.interface import Account
from postern.model.ids import AccountId, MailboxId
from postern.model.refusal import Reason


class Principal(msgspec.Struct, frozen=True):
    """Who is authenticated."""

    account: AccountId
    address: str
    """Primary address of the account."""
    mailbox: MailboxId | None
    """The mailbox to open by default: the account's own, or the one it acts as (SASL authorization identity)."""
    slot: int
    """Bus slot of that mailbox."""
    generation: int = 0
    """The account's at sign-in; a token carries it, and is over when the account has another one."""
    expires_at: float | None = None
    """When the account expires, in seconds since the epoch."""
    actor: AccountId | None = None
    """Who really signed in and acts as `account` by the right to impersonate; None: the account itself."""
    actor_generation: int = 0
    front_end: str = ""
    """Name of the organisation's server that signed in and acts for the account; empty: nobody does."""
    app_password: int = 0
    """Number of the app password that was used; 0: none. The session ends with it."""


def standing(account: Account | None, protocol: str, now: float) -> Reason | None:
    """Why an account may not be used by a protocol (empty: by any) at a time; None: it may."""
    if account is None or not account.enabled:
        return Reason.ACCOUNT_DISABLED
    if account.expires_at is not None and account.expires_at <= now:
        return Reason.ACCOUNT_EXPIRED
    if protocol and protocol not in account.protocols:
        return Reason.ACCOUNT_DISABLED
    return None
