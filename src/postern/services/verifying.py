"""Passwords against their hashes: in threads, never too many at once, remembered for a while when they were right."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from postern.directory import passwords
from postern.directory.interface import Account, Directory
from postern.model.ids import AccountId
from postern.model.networks import one_peer
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal

_MAX_CACHED = 20_000


class PasswordSource(Protocol):
    """Where passwords of mirrored accounts are checked: the directory they come from."""

    async def verify(self, account: Account, password: str) -> bool:
        """Whether that is the account's password, which is never empty. Raises Refusal(TRY_LATER)."""
        ...


class PasswordSources(Protocol):
    """Password sources by name: a mapping, or whoever finds them."""

    def get(self, name: str, /) -> PasswordSource | None:
        """None: there is none of that name."""
        ...


class PasswordVerifier:
    """One per worker."""

    def __init__(
        self,
        directory: Directory,
        clock: Clock,
        entropy: Entropy,
        *,
        cache_s: float,
        threads: int,
        max_waiting: int,
        cost: passwords.HashCost,
        upgrade: bool = True,
    ) -> None:
        """`upgrade`: hashes that came from elsewhere become argon2id at the first sign-in."""
        self.sources: PasswordSources = {}
        """By `Account.source`."""
        self._directory = directory
        self._clock = clock
        self._entropy = entropy
        self._cache_s = cache_s
        self._max_waiting = max_waiting
        self._cost = cost
        self._upgrade = upgrade
        self._upgrades: dict[AccountId, asyncio.Task[None]] = {}
        self._key = entropy.token(32)
        self._cache: dict[bytes, float] = {}
        self._decoy_hash = ""
        self._waiting = 0
        self._waiting_from: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(max(1, threads), thread_name_prefix="password")

    @property
    def remembers(self) -> bool:
        """Whether a password that was right is asked for again only later."""
        return self._cache_s > 0

    def close(self) -> None:
        """Stop the threads."""
        for task in self._upgrades.values():
            task.cancel()
        self._threads.shutdown(wait=False)

    async def right_until(self, account: Account | None, password: str, peer_address: str, *, cached: bool) -> float:
        """If that is an account's password: until when (monotonic) nobody asks again, now if nothing is remembered.

        0 if it is not; the same work for no account. `cached` false hides whether it was right lately. Raises
        Refusal(TRY_LATER) if too many wait already.
        """
        if account is not None and account.source and not account.shared:
            return await self._matches_elsewhere(account, password, cached=cached)
        stored = "" if account is None or account.shared else await self._directory.password_hash(account.id)
        now = self._clock.monotonic()
        tag = self.tag(f"{stored}\0{password}") if self.remembers else b""
        if cached and stored and (until := self._cache.get(tag, 0.0)) > now:
            return until
        compared = stored or await self._directory.sample_hash() or self._decoy()
        if passwords.is_quick(compared):
            right = passwords.verify(password, compared)
        else:
            right = await self._compare(password, compared, one_peer(peer_address))
        right = right and bool(stored)  # whatever an unknown user's password was compared with, the answer is no
        if right:
            self._remember(tag, now)
            if self._upgrade and account is not None and passwords.is_dated(stored):
                self._upgrade_soon(account.id, password, stored)
        return self._cache.get(tag, now) if right else 0.0

    def tag(self, text: str) -> bytes:
        """What is kept instead of a secret: nobody without this process's key can try secrets against it."""
        # a keyed BLAKE2 is a MAC (RFC 7693 2.9); OpenSSL's HMAC costs twenty times as much to set up
        return hashlib.blake2b(text.encode(errors="surrogatepass"), key=self._key, digest_size=32).digest()

    def _upgrade_soon(self, account: AccountId, password: str, stored: str) -> None:
        """Behind the answer, so that nobody waits; once at a time for an account."""
        if account not in self._upgrades and self._waiting < self._max_waiting // 4:
            task = asyncio.get_running_loop().create_task(self._upgraded(account, password, stored))
            self._upgrades[account] = task
            task.add_done_callback(lambda _: self._upgrades.pop(account, None))

    async def _upgraded(self, account: AccountId, password: str, stored: str) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(Refusal):  # a password that may not be set anew, or a full disk: the old hash serves
            fresh = await loop.run_in_executor(
                self._threads, passwords.new_credentials, password, self._entropy, self._cost
            )
            await self._directory.upgrade_password(account, stored, *fresh)

    async def _compare(self, password: str, stored: str, peer: str) -> bool:
        """In a thread. One peer gets a quarter of the places: a flood from it leaves the others theirs."""
        own = self._waiting_from.get(peer, 0)
        if self._waiting >= self._max_waiting or own >= max(1, self._max_waiting // 4):
            raise Refusal(Reason.TRY_LATER, f"{self._waiting} passwords wait to be verified, {own} of them from {peer}")
        self._waiting += 1
        self._waiting_from[peer] = own + 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, passwords.verify, password, stored)
        finally:
            self._waiting -= 1
            self._waiting_from[peer] -= 1
            if not self._waiting_from[peer]:
                del self._waiting_from[peer]

    async def _matches_elsewhere(self, account: Account, password: str, *, cached: bool) -> float:
        """Ask the directory that an account is mirrored from. A changed account is asked for anew."""
        source = self.sources.get(account.source)
        if source is None:
            raise Refusal(Reason.TRY_LATER, f"{account.source} is not connected: nobody else knows the password")
        now = self._clock.monotonic()
        tag = self.tag(f"{account.source}\0{account.id}\0{account.generation}\0{password}")
        if cached and (until := self._cache.get(tag, 0.0)) > now:
            return until
        # a simple bind with an empty password succeeds as anonymous (RFC 4513 5.1.2)
        right = bool(password) and await source.verify(account, password)
        if right:
            self._remember(tag, now)
        return self._cache.get(tag, now) if right else 0.0

    def _remember(self, tag: bytes, now: float) -> None:
        if self._cache_s <= 0:
            return
        if len(self._cache) >= _MAX_CACHED:
            self._cache = {tag: until for tag, until in self._cache.items() if until > now}
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
        self._cache[tag] = now + self._cache_s

    def _decoy(self) -> str:
        """A hash for an organisation that has no password yet."""
        if not self._decoy_hash:
            self._decoy_hash = passwords.hash_password("decoy", self._entropy, self._cost)
        return self._decoy_hash
