"""Who is there: every mechanism's proofs end here, under limits that all workers share.

An unknown user costs and answers what a wrong password does, and so does a right password where it is not accepted:
whoever guesses learns nothing. Everything that lets somebody in goes through `admit`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, NoReturn

import msgspec

from postern.directory import app_passwords, passwords
from postern.directory.failures import FailureLog
from postern.directory.interface import Account, Directory
from postern.directory.safeguards import NO_SAFEGUARDS, AppPassword, Safeguards
from postern.model.credentials import ScramCredentials
from postern.model.networks import parse_address
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal
from postern.services import attempts
from postern.services.access import Access, Bar
from postern.services.acting import Acting
from postern.services.attempts import Proof
from postern.services.front_ends import FrontEnds
from postern.services.lifecycle import Session, Sessions
from postern.services.limits import Counters, Limits, LimitSettings
from postern.services.login_names import LoginNames
from postern.services.negotiation import Negotiations
from postern.services.permissions import Permissions
from postern.services.principal import Principal, standing
from postern.services.scram_keys import ScramKeys
from postern.services.second_factor import SecondFactor, SecondFactorRequired
from postern.services.signin_log import SignInLog
from postern.services.verifying import PasswordSource, PasswordSources, PasswordVerifier

__all__ = ["Authentication", "AuthenticationSettings", "PasswordSource", "Principal"]

USE_NOTED_EVERY_S = 300.0
"""How exactly the last use of an app password is known."""


MAX_KNOWN = 5_000
"""Sign-ins that are remembered whole; about a kilobyte each."""


class _Known(NamedTuple):
    """A password that let somebody in."""

    account: Account
    counters: Counters
    principal: Principal
    state: int
    """Of the directory, before anything was looked at."""
    until: float
    """Monotonic: when the password has to be verified again."""


class AuthenticationSettings(msgspec.Struct, frozen=True):
    """Limits and costs."""

    limits: LimitSettings = LimitSettings()
    cache_s: float = 60.0
    """How long a right password is remembered; 0 switches the cache off."""
    threads: int = 2
    """Passwords verified at the same time, by each worker."""
    max_waiting: int = 100
    """Passwords that wait for it or are being verified; what comes above is told to try later."""
    cost: passwords.HashCost = passwords.STANDARD
    upgrade: bool = True
    """Whether hashes that were imported become argon2id at the first sign-in."""
    domains: Mapping[str, str] = msgspec.field(default_factory=dict)
    """NetBIOS name of a Windows domain -> mail domain of its users: `ACME\\anna` is anna there."""


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
        log: SignInLog | None = None,
    ) -> None:
        """With `sessions`, what is signed in ends with its account; with `log`, every sign-in is written down."""
        settings = settings or AuthenticationSettings()
        self.negotiations = Negotiations()
        """Mechanisms that prove by tokens; filled when the process is put together."""
        self.login_names = LoginNames(directory, settings.domains)
        self.permissions = Permissions(directory)
        self.limits = Limits(failures, clock, settings.limits, sleep)
        self.access = Access(directory)
        self.front_ends = FrontEnds(directory, self.access, clock, log)
        self.second_factor = SecondFactor(directory, failures, clock, entropy)
        self._verifier = PasswordVerifier(
            directory,
            clock,
            entropy,
            cache_s=settings.cache_s,
            threads=settings.threads,
            max_waiting=settings.max_waiting,
            cost=settings.cost,
            upgrade=settings.upgrade,
        )
        self._scram_keys = ScramKeys(directory, clock, settings.cost)
        self._acting = Acting(directory, self.permissions, clock)
        self._directory = directory
        self._failures = failures
        self._clock = clock
        self._entropy = entropy
        self._sessions = sessions
        self._log = log
        self._secrets: dict[str, bytes] = {}
        self._uses: dict[int, float] = {}
        self._known: dict[bytes, _Known] = {}

    @property
    def password_sources(self) -> PasswordSources:
        """By name of the source (`Account.source`): who checks the passwords of mirrored accounts."""
        return self._verifier.sources

    @password_sources.setter
    def password_sources(self, sources: PasswordSources) -> None:
        self._verifier.sources = sources

    def close(self) -> None:
        """Stop the threads, write the log."""
        self.negotiations.close()
        self._verifier.close()
        if self._log is not None:
            self._log.close()

    # --- passwords
    async def verify_password(
        self,
        user: str,
        password: str,
        peer_address: str,
        protocol: str,
        authzid: str = "",
        *,
        interactive: bool = False,
    ) -> Principal:
        """Check a password or an app password.

        `protocol` is one of ALL_PROTOCOLS. `authzid` names whose mailbox to open instead of the account's own.
        `interactive`: a person is there who can be asked for a one-time code, and no program with an app password.
        Raises Refusal: BAD_CREDENTIALS (after a delay), TOO_MANY_FAILURES, ACCOUNT_DISABLED, ACCOUNT_EXPIRED,
        PASSWORD_EXPIRED (only to someone who knows the password), NOT_PERMITTED (authzid), TRY_LATER (too many
        passwords wait, or the directory that knows this one does not answer); SecondFactorRequired if interactive.
        """
        tag, state = b"", 0
        if self._verifier.remembers and not authzid and not interactive:
            tag = self._verifier.tag(f"{peer_address} {protocol} {len(user)} {user}{password}")
            state = await self._directory.state()
        if tag and (again := self._again(tag, state, peer_address, protocol)) is not None:
            return again
        account = await self.login_names.find(user)
        counters = await self._open(account, user, peer_address, protocol)
        guards = await self._guards(account)
        if account is not None and guards.app_passwords and not interactive:
            digest = app_passwords.digest(await self._secret("app passwords"), account.id, password)
            found = guards.app_passwords.get(digest)
            if found is not None:
                return await self._by_app_password(account, found, counters, password, peer_address, protocol, authzid)
        proof = Proof.ASKED if interactive else Proof.PASSWORD
        bar = await self._bar(account, protocol, peer_address, proof)
        with self.limits.verifying(counters):
            try:
                # where no password is accepted a right one must not be told from a wrong one: not by its speed either
                until = await self._verifier.right_until(account, password, peer_address, cached=bar is None)
            except Refusal as refusal:
                await self._note_refusal(peer_address, protocol, account or user, refusal, "busy")
                raise
        if not until or account is None:
            await self._fail(account or user, counters, password, peer_address, protocol, _WRONG)
        assert account is not None
        if bar is not None:
            await self._fail(account, counters, password, peer_address, protocol, *bar)
        await self._check_age(account, peer_address, protocol)
        if interactive and guards.totp:
            raise SecondFactorRequired(account.address, await self.second_factor.ticket(account, authzid))
        self.limits.succeeded(counters)
        principal = await self.admit(account, protocol, authzid, peer_address=peer_address, proof=proof)
        if tag and not account.source and until > self._clock.monotonic():
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[tag] = _Known(account, counters, principal, state, until)
        return principal

    def _again(self, tag: bytes, state: int, peer_address: str, protocol: str) -> Principal | None:
        """Whom the same words let in from the same place lately; None: all has to be looked at.

        Everything but the locks and the time follows from the directory, in which nothing was written since.
        """
        known = self._known.get(tag)
        if known is None:
            return None
        account, now = known.account, self._clock.timestamp()
        old = account.password_expires_at is not None and account.password_expires_at <= now
        if known.state != state or known.until <= self._clock.monotonic() or old or standing(account, protocol, now):
            del self._known[tag]
            return None
        if self.limits.closed(known.counters):
            return None
        self.limits.succeeded(known.counters)
        if self._log is not None:
            self._log.accepted(attempts.current(peer_address, protocol), account)
        return known.principal

    async def _by_app_password(
        self,
        account: Account,
        found: AppPassword,
        counters: Counters,
        password: str,
        peer_address: str,
        protocol: str,
        authzid: str,
    ) -> Principal:
        now = self._clock.timestamp()
        refused = found.refuses(protocol, parse_address(peer_address), now)
        bar = await self.access.bar(account, NO_SAFEGUARDS, protocol, peer_address, Proof.APP_PASSWORD)
        if refused:
            cause = f"app-password-{refused}"
            await self._fail(account, counters, password, peer_address, protocol, cause, found.name)
        if bar is not None:
            await self._fail(account, counters, password, peer_address, protocol, *bar)
        if now - self._uses.get(found.id, 0.0) >= USE_NOTED_EVERY_S:
            self._uses[found.id] = now
            self._failures.used(found.id, now, peer_address)
        self.limits.succeeded(counters)
        return await self.admit(
            account, protocol, authzid, peer_address=peer_address, proof=Proof.APP_PASSWORD, app_password=found
        )

    async def finish_second_factor(self, ticket: str, code: str, peer_address: str, protocol: str) -> Principal:
        """The code after SecondFactorRequired: of the telephone, or a recovery code. Raises Refusal like passwords."""
        account, authzid = await self.second_factor.read(ticket)
        counters = await self._open(account, account.address, peer_address, protocol)
        wrong = await self.second_factor.check(account, code, closed=self.limits.codes_closed(account))
        if wrong:
            self.limits.code_failed(account, self._entropy.below(65536))
            await self._fail(account, counters, self._entropy.token(8).hex(), peer_address, protocol, wrong)
        self.limits.succeeded(counters)
        return await self.admit(account, protocol, authzid, peer_address=peer_address, proof=Proof.SECOND_FACTOR)

    async def _check_age(self, account: Account, peer_address: str, protocol: str) -> None:
        """Raises Refusal(PASSWORD_EXPIRED)."""
        if account.password_expires_at is not None and account.password_expires_at <= self._clock.timestamp():
            refusal = Refusal(Reason.PASSWORD_EXPIRED, f"the password of {account.address} is too old")
            await self._note_refusal(peer_address, protocol, account, refusal)
            raise refusal

    # --- SCRAM
    async def scram(self, user: str, peer_address: str = "", protocol: str = "") -> ScramCredentials:
        """What a SCRAM exchange needs; steady fake credentials for an unknown user. Raises TOO_MANY_FAILURES."""
        account = await self.login_names.find(user)
        if peer_address:
            await self._open(account, user, peer_address, protocol)
        bar = await self._bar(account, protocol, peer_address, Proof.PASSWORD)
        guards = await self._guards(account)
        return await self._scram_keys.credentials(user, account, guards, bar, protocol, peer_address)

    async def derived_key(self, user: str, kind: str, peer_address: str) -> bytes | None:
        """What a mechanism has of a password (`Directory.derived_key`); None also for an unknown user.

        Whatever comes of it is reported by `finish_scram`. Raises TOO_MANY_FAILURES.
        """
        account = await self.login_names.find(user)
        await self._open(account, user, peer_address, "")
        return None if account is None or account.shared else await self._directory.derived_key(account.id, kind)

    async def finish_scram(
        self,
        user: str,
        ok: bool,
        peer_address: str,
        protocol: str = "",
        authzid: str = "",
        *,
        stored_key: bytes = b"",
    ) -> Principal:
        """The end of an exchange, SCRAM's or another's. Raises Refusal as `verify_password` does.

        `stored_key` is the alternative that was proved: an app password's.
        """
        account = await self.login_names.find(user)
        counters = await self._open(account, user, peer_address, protocol)
        if ok and stored_key and account is not None:
            for one in (await self._guards(account)).app_passwords.values():
                if one.scram_stored == stored_key:
                    secret = stored_key.hex()
                    return await self._by_app_password(account, one, counters, secret, peer_address, protocol, authzid)
            ok = False  # removed since the exchange began
        bar = await self._bar(account, protocol, peer_address, Proof.PASSWORD)
        if not ok or account is None or account.shared or bar is not None:
            # a failed proof does not tell wrong passwords apart, so each counts
            secret = self._entropy.token(8).hex()
            await self._fail(account or user, counters, secret, peer_address, protocol, *(bar or (_WRONG, "")))
        assert account is not None
        await self._check_age(account, peer_address, protocol)
        self.limits.succeeded(counters)
        return await self.admit(account, protocol, authzid, peer_address=peer_address)

    # --- proofs of other mechanisms: Kerberos, NTLM, tokens, certificates
    async def check_limits(self, user: str, peer_address: str) -> None:
        """Before a proof is looked at; without `user` for its address alone. Raises Refusal(TOO_MANY_FAILURES)."""
        await self._open(await self.login_names.find(user) if user else None, user, peer_address, "")

    async def finish_proof(
        self, user: str, peer_address: str, protocol: str, authzid: str = "", *, proof: Proof = Proof.PASSWORD
    ) -> Principal:
        """Somebody proved to be `user`; the age of a password does not matter. Raises Refusal."""
        account = await self.login_names.find(user)
        if account is None or account.shared:
            refusal = await self.failed(user, peer_address, "unknown-user")
            raise Refusal(refusal.reason, f"nobody signs in as {user}")
        bar = await self._bar(account, protocol, peer_address, proof)
        if bar is not None:
            # like a wrong proof: with NTLM it is one of the password
            refusal = await self.failed(user, peer_address, bar.cause)
            raise Refusal(refusal.reason, f"{account.address}: {bar.cause} {bar.detail}")
        self.limits.succeeded(self.limits.counters(account, user, peer_address))
        return await self.admit(account, protocol, authzid, peer_address=peer_address, proof=proof)

    async def failed(self, user: str, peer_address: str, cause: str = "wrong-proof") -> Refusal:
        """A proof failed: count and delay. Without `user` it counts against the address only."""
        account = await self.login_names.find(user) if user else None
        counters = self.limits.counters(account, user, peer_address)
        # proofs cannot be told apart, so each counts
        secret = self._entropy.token(8).hex()
        try:
            await self._fail(account or user, counters, secret, peer_address, "", cause)
        except Refusal as refusal:
            return refusal

    # --- shared steps
    async def admit(
        self,
        account: Account,
        protocol: str,
        authzid: str = "",
        *,
        peer_address: str = "",
        proof: Proof = Proof.PASSWORD,
        app_password: AppPassword | None = None,
    ) -> Principal:
        """What follows every mechanism once it is proved who is there. Raises Refusal as `verify_password` does."""
        attempt = attempts.current(peer_address, protocol)
        try:
            reason = standing(account, protocol, self._clock.timestamp())
            if reason is not None:
                raise Refusal(reason, f"{account.address} may not use {protocol or 'this'}")
            bar = await self._bar(account, protocol, attempt.address, proof)
            if bar is not None:
                raise Refusal(Reason.BAD_CREDENTIALS, f"{account.address}: {bar.cause} {bar.detail}")
            principal = await self._acting.principal(account, protocol, authzid)
        except Refusal as refusal:
            if self._log is not None:
                await self._log.refused(attempt, account, refusal.reason, detail=refusal.detail)
            raise
        if app_password is not None:
            ends = [at for at in (principal.expires_at, app_password.expires_at) if at is not None]
            principal = msgspec.structs.replace(
                principal, app_password=app_password.id, expires_at=min(ends, default=None)
            )
        if self._log is not None:
            self._log.accepted(
                attempt,
                account,
                "" if proof in _PLAIN else proof.value,
                app_password.name if app_password else "",
                authzid if authzid != account.address else "",
            )
        return principal

    async def watch(self, principal: Principal, protocol: str, session: Session) -> Callable[[], None]:
        """From now on a session ends when its account does; returns the way to forget it. Raises Refusal."""
        if self._sessions is None:
            return _nothing
        return await self._sessions.watch(principal, protocol, session)

    async def _open(self, account: Account | None, user: str, peer_address: str, protocol: str) -> Counters:
        """What an attempt counts for. Raises Refusal(TOO_MANY_FAILURES)."""
        counters = self.limits.counters(account, user, peer_address)
        closed = self.limits.closed(counters)
        if closed:
            refusal = Refusal(Reason.TOO_MANY_FAILURES, f"too many failed logins: {closed}")
            await self._note_refusal(peer_address, protocol, account or user, refusal, "locked", closed)
            raise refusal
        return counters

    async def _fail(
        self,
        who: Account | str,
        counters: Counters,
        secret: str,
        peer_address: str,
        protocol: str,
        cause: str,
        detail: str = "",
    ) -> NoReturn:
        """Count, write down, wait, refuse."""
        if isinstance(who, str) and who:
            cause = "unknown-user"
        text = f"wrong password or no such user: {counters.account} from {counters.address}"
        refusal = Refusal(Reason.BAD_CREDENTIALS, text if cause in _GUESSES else f"{text} ({cause} {detail})")
        await self._note_refusal(peer_address, protocol, who, refusal, cause, detail)
        await self.limits.failed(counters, await self._secret("failures"), secret, nobody=not who)
        raise refusal

    async def _note_refusal(
        self, address: str, protocol: str, who: Account | str, refusal: Refusal, cause: str = "", detail: str = ""
    ) -> None:
        if self._log is not None:
            await self._log.refused(attempts.current(address, protocol), who, refusal.reason, cause, detail)

    async def _bar(self, account: Account | None, protocol: str, address: str, proof: Proof) -> Bar | None:
        """What keeps an account outside whatever its proof is worth."""
        if account is None:
            return None
        return await self.access.bar(account, await self._guards(account), protocol, address, proof)

    async def _guards(self, account: Account | None) -> Safeguards:
        return NO_SAFEGUARDS if account is None or account.shared else await self._directory.safeguards(account.id)

    async def _secret(self, name: str) -> bytes:
        """The directory's, which never changes."""
        if name not in self._secrets:
            self._secrets[name] = await self._directory.secret(name)
        return self._secrets[name]


_PLAIN = frozenset({Proof.PASSWORD, Proof.ASKED})
_WRONG = "wrong-password"
_GUESSES = frozenset({_WRONG, "unknown-user"})


def _nothing() -> None:
    """Where nobody watches there is nothing to forget."""
