"""How many failed sign-ins are borne: per address, per account from one address, and per account from everywhere.

Whoever attacks an account from one place locks that place out of it, not its owner. Attacks from many places lock the
account for places that nobody signed in from lately; where its owner usually is, it stays open.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

from postern.directory.failures import FailureLog, Lock, LockTimes
from postern.directory.interface import Account
from postern.model.ids import AccountId
from postern.model.networks import one_peer, site
from postern.model.ports import Clock

REMEMBER_EVERY_S = 86_400.0
"""How often a familiar network is noted anew."""
_MAX_REMEMBERED = 50_000


class LimitSettings(msgspec.Struct, frozen=True):
    """0 is no limit."""

    failures_per_address: int = 30
    """Different failures from one address (IPv6: one /64) in the window."""
    failures_per_account_and_address: int = 10
    """The same against one account from one address."""
    failures_per_account: int = 60
    """The same against one account from everywhere."""
    codes_per_account: int = 10
    """Wrong one-time codes for one account: of a million there are three that fit."""
    times: LockTimes = LockTimes()
    failure_delay_s: float = 0.5
    """Delay of the first refusal; it doubles with each failure of the address or account."""
    failure_delay_max_s: float = 8.0


class Counters(NamedTuple):
    """What an attempt falls under. An unknown user has a counter too: a lock must not tell who exists."""

    address: str
    pair: str
    account: str
    number: AccountId | None
    """The account, if there is one."""
    site: str
    """The network that may be familiar to it."""


class Limits:
    """One per worker; what it counts is shared by all."""

    def __init__(
        self,
        failures: FailureLog,
        clock: Clock,
        settings: LimitSettings,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._failures = failures
        self._clock = clock
        self._settings = settings
        self._sleep = sleep
        self._pending: dict[str, int] = {}
        self._remembered: dict[tuple[AccountId, str], float] = {}

    def counters(self, account: Account | None, user: str, peer_address: str) -> Counters:
        """What an attempt counts for."""
        name = account.address if account else user.strip().lower()[:256]
        peer = one_peer(peer_address)
        whose = f"account {name}"
        return Counters(
            f"address {peer}", f"{whose} from {peer}", whose, account.id if account else None, site(peer_address)
        )

    def _limits(self, counters: Counters) -> dict[str, int]:
        own = self._settings
        return {
            counters.address: own.failures_per_address,
            counters.pair: own.failures_per_account_and_address,
            counters.account: own.failures_per_account,
        }

    def locks(self, counters: Counters) -> list[tuple[Lock, bool]]:
        """Locks that an attempt meets, and whether it may pass them because its network is familiar."""
        now = self._clock.timestamp()
        found = self._failures.locked(counters[:3], now)
        return [(lock, lock.key == counters.account and self._familiar(counters, now)) for lock in found]

    def closed(self, counters: Counters) -> str:
        """The key that an attempt fails by; empty: it may go on."""
        for lock, passes in self.locks(counters):
            if not passes:
                return lock.key
        # attempts that are being verified count too, or a burst in parallel would pass the limit
        if self._pending:
            now = self._clock.timestamp()
            since = now - self._settings.times.window_s
            for key, limit in self._limits(counters).items():
                pending = self._pending.get(key, 0)
                if (
                    limit
                    and pending
                    and self._failures.count(key, since, self._settings.times.window_s) + pending >= limit
                    and not (key == counters.account and self._familiar(counters, now))
                ):
                    return key
        return ""

    def _familiar(self, counters: Counters, now: float) -> bool:
        return counters.number is not None and self._failures.familiar(counters.number, counters.site, now)

    @contextmanager
    def verifying(self, counters: Counters) -> Iterator[None]:
        """While a password is looked at."""
        for key in counters[:3]:
            self._pending[key] = self._pending.get(key, 0) + 1
        try:
            yield
        finally:
            for key in counters[:3]:
                self._pending[key] -= 1
                if not self._pending[key]:
                    del self._pending[key]

    async def failed(self, counters: Counters, key: bytes, secret: str, *, nobody: bool = False) -> None:
        """Count a failure, then wait. `nobody`: it counts against the address alone."""
        limits = self._limits(counters)
        if nobody:
            limits = {counters.address: limits[counters.address]}
        wrong = f"{counters.account}\0{secret}".encode(errors="surrogatepass")
        fingerprint = int.from_bytes(hmac.digest(key, wrong, "sha256")[:2], "big")
        own = self._settings
        count = self._failures.add(limits, fingerprint, self._clock.timestamp(), own.times)
        await self._sleep(min(own.failure_delay_s * 2 ** min(max(count - 1, 0), 16), own.failure_delay_max_s))

    def succeeded(self, counters: Counters) -> None:
        """The network is familiar to the account from now on."""
        if counters.number is None:
            return
        now = self._clock.timestamp()
        key = (counters.number, counters.site)
        if now - self._remembered.get(key, -REMEMBER_EVERY_S) < REMEMBER_EVERY_S:
            return
        if len(self._remembered) >= _MAX_REMEMBERED:
            self._remembered.clear()
        self._remembered[key] = now
        self._failures.remember(counters.number, counters.site, now)

    # --- one-time codes
    def codes_closed(self, account: Account) -> bool:
        """Whether too many wrong codes were given for an account."""
        return bool(self._failures.locked((_codes(account),), self._clock.timestamp()))

    def code_failed(self, account: Account, serial: int) -> None:
        """Count a wrong code; each counts, whatever it was."""
        limits = {_codes(account): self._settings.codes_per_account}
        self._failures.add(limits, serial, self._clock.timestamp(), self._settings.times)


def _codes(account: Account) -> str:
    return f"codes {account.address}"
