"""Sessions end when what they stand on ends: the account, its password, its expiry, a right on another's mailbox.

The directory numbers every such change (`life_changes`); whoever commits one publishes the number in slot 0 of the
bus, and each worker looks again at the sessions that it concerns. Once a second it looks by itself, for a commit whose
message was lost and for accounts whose time has come.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from postern.directory.interface import Directory
from postern.model.ids import AccountId, MailboxId
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.model.rights import MailboxRight
from postern.services.permissions import Permissions
from postern.services.principal import Principal, standing

DIRECTORY_SLOT = 0
"""Of the bus: the directory's generation."""
LOOK_EVERY_S = 1.0
GRACE_S = 5.0
"""How long a session that was told to end may take to say so, for a peer that does not read."""
_SLICE = 64
"""Sessions looked at between two chances for others."""

_log = logging.getLogger(__name__)


class Session(Protocol):
    """A connection, or whatever else lives on after a sign-in."""

    def end(self, reason: Reason) -> None:
        """Say why and close; no further command is carried out."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Wakes(Protocol):
    """The bus, as far as it is needed."""

    def subscribe(self, slot: int, wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` is called after a commit anywhere; returns the way to unsubscribe."""
        ...


class _Watched:
    __slots__ = ("abort", "elsewhere", "expires_at", "principal", "protocol", "session")

    def __init__(self, principal: Principal, protocol: str, session: Session) -> None:
        self.principal = principal
        self.protocol = protocol
        self.session = session
        self.expires_at = principal.expires_at
        self.elsewhere = False
        """The mailbox it has is another account's."""
        self.abort: asyncio.TimerHandle | None = None

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        actor = self.principal.actor
        return (self.principal.account,) if actor is None else (self.principal.account, actor)


class Sessions:
    """What is signed in here. One per worker."""

    def __init__(
        self,
        directory: Directory,
        permissions: Permissions,
        clock: Clock,
        on_watched: Callable[[Session], None] = lambda _: None,
    ) -> None:
        """`on_watched` hears of each session that somebody has signed in to."""
        self._on_watched = on_watched
        self._directory = directory
        self._permissions = permissions
        self._clock = clock
        self._by_account: dict[AccountId, dict[_Watched, None]] = {}
        self._expiring: dict[_Watched, None] = {}
        self._opened: dict[AccountId, set[MailboxId]] = {}
        self._generation = 0
        self._wake = asyncio.Event()

    # --- what protocols call
    async def check(self, principal: Principal, protocol: str) -> None:
        """For tokens, at every use (10 us): whether a principal is still what it was at sign-in. Raises Refusal."""
        reason = await self._over(principal, protocol)
        if reason is not None:
            raise Refusal(reason, f"{principal.address} is signed out")

    async def watch(self, principal: Principal, protocol: str, session: Session) -> Callable[[], None]:
        """End a session when its account does; returns the way to forget it, to be called at its end.

        Raises Refusal if it is over already: the account changed between the check of its password and now.
        """
        watched = _Watched(principal, protocol, session)
        for account in watched.accounts:
            self._by_account.setdefault(account, {})[watched] = None
        if watched.expires_at is not None:
            self._expiring[watched] = None
        try:
            await self.check(principal, protocol)
            own = await self._directory.account(principal.account)
            watched.elsewhere = own is not None and principal.mailbox != own.mailbox
        except BaseException:
            self._forget(watched)
            raise
        self._on_watched(session)
        return partial(self._forget, watched)

    def opened(self, principal: Principal, owner: MailboxId) -> None:
        """A principal has opened all of another's mailbox."""
        if principal.account in self._by_account:
            self._opened.setdefault(principal.account, set()).add(owner)

    def __len__(self) -> int:
        return sum(map(len, self._by_account.values()))

    def _forget(self, watched: _Watched) -> None:
        self._expiring.pop(watched, None)
        if watched.abort is not None:
            watched.abort.cancel()
            watched.abort = None
        for account in watched.accounts:
            here = self._by_account.get(account)
            if here is not None and here.pop(watched, self) is not self and not here:
                del self._by_account[account]
                self._opened.pop(account, None)

    # --- looking
    async def run(self, bus: Wakes) -> None:
        """Look whenever the directory says so, until cancelled."""
        unsubscribe = bus.subscribe(DIRECTORY_SLOT, self._wake.set)
        try:
            self._generation = (await self._directory.life_changes()).generation
            while True:
                with contextlib.suppress(TimeoutError):
                    # not wait_for: in Python 3.11 it may lose a cancellation that comes with the event
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._wake.wait()
                self._wake.clear()
                try:
                    await self.look()
                except Refusal as refusal:
                    # a directory that is busy or damaged now is asked again in a second
                    _log.warning("sessions cannot be looked at: %s", refusal)
        finally:
            unsubscribe()

    async def look(self) -> None:
        """Find out what changed and end what is over."""
        changes = await self._directory.life_changes(self._generation)
        accounts: Iterable[AccountId] = ()
        if changes.generation != self._generation:
            if changes.everybody:
                accounts = list(self._by_account)
            else:
                accounts = [account for account in changes.accounts if account in self._by_account]
                if changes.rights:
                    accounts = {*accounts, *self._elsewhere()}
        for account in accounts:
            await self._look_at(list(self._by_account.get(account, ())))
        self._generation = changes.generation
        if self._expiring:
            now = self._clock.timestamp()
            await self._look_at([w for w in self._expiring if w.expires_at is not None and w.expires_at <= now])

    def _elsewhere(self) -> set[AccountId]:
        """Accounts that are in somebody else's mailbox."""
        acting = {
            account
            for account, here in self._by_account.items()
            if any(w.principal.actor is not None or w.elsewhere for w in here)
        }
        return acting | self._opened.keys()

    async def _look_at(self, sessions: list[_Watched]) -> None:
        for number, watched in enumerate(sessions, 1):
            reason = await self._over(watched.principal, watched.protocol) or await self._lost(watched)
            if reason is not None:
                self._end(watched, reason)
            if number % _SLICE == 0:
                await asyncio.sleep(0)

    async def _over(self, principal: Principal, protocol: str) -> Reason | None:
        """Why a principal is one no more."""
        now = self._clock.timestamp()
        account = await self._directory.account(principal.account)
        reason = standing(account, protocol, now)
        if reason is not None or account is None:
            return reason or Reason.ACCOUNT_DISABLED
        if account.generation != principal.generation:
            return Reason.PASSWORD_CHANGED
        if principal.app_password and not await self._has_app_password(principal, now):
            return Reason.PASSWORD_CHANGED
        if principal.front_end and not any(
            one.name == principal.front_end and one.front_end for one in await self._directory.servers()
        ):
            return Reason.RIGHT_WITHDRAWN
        if principal.actor is not None:
            actor = await self._directory.account(principal.actor)
            reason = standing(actor, protocol, now)
            if reason is not None or actor is None:
                return reason or Reason.ACCOUNT_DISABLED
            if actor.generation != principal.actor_generation:
                return Reason.PASSWORD_CHANGED
            if not await self._permissions.may_impersonate(principal.actor, account):
                return Reason.RIGHT_WITHDRAWN
        mailbox = principal.mailbox if principal.mailbox != account.mailbox else None
        if mailbox is not None and not await self._permissions.may(principal, MailboxRight.FULL_ACCESS, mailbox):
            return Reason.RIGHT_WITHDRAWN
        return None

    async def _has_app_password(self, principal: Principal, now: float) -> bool:
        known = await self._directory.app_passwords(principal.actor or principal.account)
        return any(
            one.id == principal.app_password and (one.expires_at is None or one.expires_at > now) for one in known
        )

    async def _lost(self, watched: _Watched) -> Reason | None:
        """Whether a mailbox that was opened is open no more; and the account's expiry as it is now."""
        principal = watched.principal
        account = await self._directory.account(principal.account)
        watched.expires_at = None if account is None else account.expires_at
        if principal.app_password:  # it may end before the account does, and its end never changes
            ends = [at for at in (watched.expires_at, principal.expires_at) if at is not None]
            watched.expires_at = min(ends, default=None)
        if watched.expires_at is not None:
            self._expiring[watched] = None
        for owner in self._opened.get(principal.account, ()):
            if not await self._permissions.may(principal, MailboxRight.FULL_ACCESS, owner):
                return Reason.RIGHT_WITHDRAWN
        return None

    def _end(self, watched: _Watched, reason: Reason) -> None:
        if watched.abort is not None:
            return
        _log.info("%s session of %s ended: %s", watched.protocol, watched.principal.address, reason.value)
        watched.abort = asyncio.get_running_loop().call_later(GRACE_S, watched.session.abort)
        watched.session.end(reason)
