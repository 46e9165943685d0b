"""Who is there: verifying passwords and SCRAM proofs, with limits that all workers share.

An unknown user costs and answers what a wrong password does. Verification runs in threads; a password that was right
is remembered for a while under a keyed hash, so that clients which log in every minute do not cost an argon2 each.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NoReturn, Protocol

import msgspec

from postern.directory import passwords
from postern.directory.failures import FailureLog
from postern.directory.interface import Account, Directory
from postern.model.credentials import ScramCredentials
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal
from postern.model.rights import MailboxRight
from postern.services.lifecycle import Session, Sessions
from postern.services.negotiation import Negotiations
from postern.services.permissions import Permissions
from postern.services.principal import Principal, standing

__all__ = ["Authentication", "AuthenticationSettings", "PasswordSource", "Principal"]

_MAX_CACHED = 20_000


class PasswordSource(Protocol):
    """Where passwords of mirrored accounts are checked: the directory they come from."""

    async def verify(self, account: Account, password: str) -> bool:
        """Whether that is the account's password, which is never empty. Raises Refusal(TRY_LATER)."""
        ...


class AuthenticationSettings(msgspec.Struct, frozen=True):
    """Limits and costs."""

    cache_s: float = 60.0
    """How long a right password is remembered; 0 switches the cache off."""
    failure_window_s: float = 900.0
    """Failures older than this do not count."""
    failures_per_address: int = 30
    """Different failures from one address (IPv6: one /64) in the window before it has to wait; 0: no limit."""
    failures_per_account: int = 60
    """Different failures against one account in the window before it is closed to passwords; 0: no limit."""
    failure_delay_s: float = 0.5
    """Delay of the first refusal; it doubles with each failure from the address."""
    failure_delay_max_s: float = 8.0
    threads: int = 2
    """Passwords verified at the same time, by each worker."""
    cost: passwords.HashCost = passwords.STANDARD


class Authentication:
    """One per worker."""

    def __init__(
        self,
        directory: Directory,
        failures: FailureLog,
        clock: Clock,
        entropy: Entropy,
        settings: AuthenticationSettings | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        sessions: Sessions | None = None,
    ) -> None:
        """With `sessions`, what is signed in ends with its account."""
        self.password_sources: dict[str, PasswordSource] = {}
        """By name of the source (`Account.source`)."""
        self.negotiations = Negotiations()
        """Mechanisms that prove by tokens; filled when the process is put together."""
        self.permissions = Permissions(directory)
        self._sessions = sessions
        self._directory = directory
        self._failures = failures
        self._clock = clock
        self._entropy = entropy
        self._settings = settings = settings or AuthenticationSettings()
        self._sleep = sleep
        self._key = entropy.token(32)
        self._cache: dict[bytes, float] = {}
        self._pending: dict[str, int] = {}
        self._decoy_hash = ""
        self._threads = ThreadPoolExecutor(max(1, settings.threads), thread_name_prefix="password")

    def close(self) -> None:
        """Stop the threads."""
        self.negotiations.close()
        self._threads.shutdown(wait=False)

    # --- passwords
    async def verify_password(
        self, user: str, password: str, peer_address: str, protocol: str, authzid: str = ""
    ) -> Principal:
        """Check a password.

        `protocol` is one of ALL_PROTOCOLS. `authzid` names whose mailbox to open instead of the account's own.
        Raises Refusal: BAD_CREDENTIALS (after a delay), TOO_MANY_FAILURES, ACCOUNT_DISABLED, ACCOUNT_EXPIRED,
        PASSWORD_EXPIRED (only to someone who knows the password), NOT_PERMITTED (authzid), TRY_LATER (the directory
        that knows the password does not answer).
        """
        account = await self._directory.login(user)
        keys = self._keys(account, user, peer_address)
        self._check_limits(keys)
        stored = "" if account is None or account.shared else await self._directory.password_hash(account.id)
        for key in keys:
            self._pending[key] = self._pending.get(key, 0) + 1
        try:
            if account is not None and account.source and not account.shared:
                right = await self._matches_elsewhere(account, password)
            else:
                right = await self._matches(password, stored)
        finally:
            for key in keys:
                self._pending[key] -= 1
                if not self._pending[key]:
                    del self._pending[key]
        if not right or account is None:
            await self._fail(keys, password)
        assert account is not None
        self._check_age(account)
        return await self.admit(account, protocol, authzid)

    def _check_age(self, account: Account) -> None:
        """Raises Refusal(PASSWORD_EXPIRED)."""
        if account.password_expires_at is not None and account.password_expires_at <= self._clock.timestamp():
            raise Refusal(Reason.PASSWORD_EXPIRED, f"the password of {account.address} is too old")

    async def _matches(self, password: str, stored: str) -> bool:
        now = self._clock.monotonic()
        tag = hmac.digest(self._key, f"{stored}\0{password}".encode(errors="surrogatepass"), "sha256")
        if stored and self._cache.get(tag, 0.0) > now:
            return True
        compared = stored or await self._directory.sample_hash() or self._decoy()
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(self._threads, passwords.verify, password, compared)
        # whatever an unknown user's password was compared with, the answer is no
        right = right and bool(stored)
        if right:
            self._remember(tag, now)
        return right

    async def _matches_elsewhere(self, account: Account, password: str) -> bool:
        """Ask the directory that an account is mirrored from. A changed account is asked for anew."""
        source = self.password_sources.get(account.source)
        if source is None:
            raise Refusal(Reason.TRY_LATER, f"{account.source} is not connected: nobody else knows the password")
        now = self._clock.monotonic()
        facts = f"{account.source}\0{account.id}\0{account.generation}\0{password}"
        tag = hmac.digest(self._key, facts.encode(errors="surrogatepass"), "sha256")
        if self._cache.get(tag, 0.0) > now:
            return True
        # a simple bind with an empty password succeeds as anonymous (RFC 4513 5.1.2)
        right = bool(password) and await source.verify(account, password)
        if right:
            self._remember(tag, now)
        return right

    def _remember(self, tag: bytes, now: float) -> None:
        if self._settings.cache_s <= 0:
            return
        if len(self._cache) >= _MAX_CACHED:
            self._cache = {tag: until for tag, until in self._cache.items() if until > now}
            if len(self._cache) >= _MAX_CACHED:
                self._cache.clear()
        self._cache[tag] = now + self._settings.cache_s

    def _decoy(self) -> str:
        """A hash for an organisation that has no password yet."""
        if not self._decoy_hash:
            self._decoy_hash = passwords.hash_password("decoy", self._entropy, self._settings.cost)
        return self._decoy_hash

    # --- SCRAM
    async def scram(self, user: str, peer_address: str = "") -> ScramCredentials:
        """What a SCRAM exchange needs; steady fake credentials for an unknown user. Raises TOO_MANY_FAILURES."""
        account = await self._directory.login(user)
        if peer_address:
            self._check_limits(self._keys(account, user, peer_address))
        found = None if account is None or account.shared else await self._directory.scram(account.id)
        if found is not None:
            return found
        secret = await self._directory.secret("scram")
        return passwords.fake_scram(user, secret, self._settings.cost.scram_iterations)

    async def derived_key(self, user: str, kind: str, peer_address: str) -> bytes | None:
        """What a mechanism has of a password (`Directory.derived_key`); None also for an unknown user.

        Whatever comes of it is reported by `finish_scram`. Raises TOO_MANY_FAILURES.
        """
        account = await self._directory.login(user)
        self._check_limits(self._keys(account, user, peer_address))
        return None if account is None or account.shared else await self._directory.derived_key(account.id, kind)

    async def finish_scram(
        self, user: str, ok: bool, peer_address: str, protocol: str = "", authzid: str = ""
    ) -> Principal:
        """The end of an exchange, SCRAM's or another's. Raises Refusal as `verify_password` does."""
        account = await self._directory.login(user)
        keys = self._keys(account, user, peer_address)
        self._check_limits(keys)
        if not ok or account is None or account.shared:
            # a failed proof does not tell wrong passwords apart, so each counts
            await self._fail(keys, self._entropy.token(8).hex())
        assert account is not None
        self._check_age(account)
        return await self.admit(account, protocol, authzid)

    # --- proofs of other mechanisms: Kerberos, NTLM, tokens, certificates
    async def check_limits(self, user: str, peer_address: str) -> None:
        """Before a proof is looked at; without `user` for its address alone. Raises Refusal(TOO_MANY_FAILURES)."""
        self._check_limits(self._keys(await self._directory.login(user) if user else None, user, peer_address))

    async def finish_proof(self, user: str, peer_address: str, protocol: str, authzid: str = "") -> Principal:
        """Somebody proved to be `user`; the age of a password does not matter. Raises Refusal."""
        account = await self._directory.login(user)
        if account is None or account.shared:
            refusal = await self.failed(user, peer_address)
            raise Refusal(refusal.reason, f"nobody signs in as {user}")
        return await self.admit(account, protocol, authzid)

    async def failed(self, user: str, peer_address: str) -> Refusal:
        """A proof failed: count and delay. Without `user` it counts against the address only."""
        account = await self._directory.login(user) if user else None
        keys = self._keys(account, user, peer_address)
        # proofs cannot be told apart, so each counts
        try:
            await self._fail(keys if user else keys[:1], self._entropy.token(8).hex())
        except Refusal as refusal:
            return refusal

    # --- shared steps
    async def admit(self, account: Account, protocol: str, authzid: str = "") -> Principal:
        """What follows every mechanism once it is proved who is there. Raises Refusal as `verify_password` does."""
        reason = standing(account, protocol, self._clock.timestamp())
        if reason is not None:
            raise Refusal(reason, f"{account.address} may not use {protocol or 'this'}")
        opened = account
        if authzid and authzid != account.address:
            target = await self._directory.login(authzid)
            if target is None:
                raise Refusal(Reason.NOT_PERMITTED, f"{account.address} may not act as {authzid}: no such account")
            if target.id != account.id:
                held = await self._directory.recipient_rights(target.id, account.id)
                if MailboxRight.FULL_ACCESS not in held:
                    return await self._impersonate(account, target, protocol)
                opened = target
        return Principal(
            account.id, account.address, opened.mailbox, opened.slot, account.generation, account.expires_at
        )

    async def _impersonate(self, actor: Account, target: Account, protocol: str) -> Principal:
        if not await self.permissions.may_impersonate(actor.id, target):
            raise Refusal(Reason.NOT_PERMITTED, f"{actor.address} has no full access to {target.address}")
        reason = standing(target, protocol, self._clock.timestamp())
        if reason is not None:
            raise Refusal(reason, f"{target.address} may not use {protocol}")
        ends = [at for at in (actor.expires_at, target.expires_at) if at is not None]
        return Principal(
            target.id,
            target.address,
            target.mailbox,
            target.slot,
            target.generation,
            min(ends, default=None),
            actor.id,
            actor.generation,
        )

    async def watch(self, principal: Principal, protocol: str, session: Session) -> Callable[[], None]:
        """From now on a session ends when its account does; returns the way to forget it. Raises Refusal."""
        if self._sessions is None:
            return _nothing
        return await self._sessions.watch(principal, protocol, session)

    def _keys(self, account: Account | None, user: str, peer_address: str) -> tuple[str, str]:
        """Counters that an attempt falls under. An unknown user has one too: a lock must not tell who exists."""
        name = account.address if account else user.strip().lower()[:256]
        return f"address {_network(peer_address)}", f"account {name}"

    def _check_limits(self, keys: tuple[str, str]) -> None:
        since = self._clock.timestamp() - self._settings.failure_window_s
        limits = (self._settings.failures_per_address, self._settings.failures_per_account)
        for key, limit in zip(keys, limits, strict=True):
            # attempts that are being verified count too, or a burst in parallel would pass the limit
            if limit and self._failures.count(key, since) + self._pending.get(key, 0) >= limit:
                raise Refusal(Reason.TOO_MANY_FAILURES, f"too many failed logins: {key}")

    async def _fail(self, keys: tuple[str, ...], password: str) -> NoReturn:
        now = self._clock.timestamp()
        key = await self._directory.secret("failures")
        wrong = f"{keys[-1]}\0{password}".encode(errors="surrogatepass")
        fingerprint = int.from_bytes(hmac.digest(key, wrong, "sha256")[:2], "big")
        self._failures.add(keys, fingerprint, now, self._settings.failure_window_s)
        count = self._failures.count(keys[0], now - self._settings.failure_window_s)
        delay = self._settings.failure_delay_s * 2 ** min(max(count - 1, 0), 16)
        await self._sleep(min(delay, self._settings.failure_delay_max_s))
        raise Refusal(Reason.BAD_CREDENTIALS, f"wrong password or no such user: {', '.join(keys)}")


def _nothing() -> None:
    """Where nobody watches there is nothing to forget."""


def _network(address: str) -> str:
    """The unit that one attacker has: an IPv4 address, an IPv6 /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
