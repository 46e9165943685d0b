"""Sessions of browsers: a signed token in a cookie, good in every worker, over when its account's sign-ins are.

The token says which account, which generation of it (a new password, a disabled account make another one) and when it
began; a keyed hash protects it, with a key that the directory keeps. Nothing is stored for a session that lives.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac

import msgspec

from postern.directory.endings import Endings
from postern.directory.interface import Directory
from postern.model.ids import AccountId
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal
from postern.services.principal import Principal, standing

PROTOCOL = "http"
AHEAD_S = 300.0
"""Of clocks of several machines, and of one that was put right."""
_ID_BYTES = 16
_TAG_BYTES = 32
_MAX_TOKEN_BYTES = 512


class WebSessionSettings(msgspec.Struct, frozen=True):
    """How long sessions last, in seconds."""

    idle_s: float = 900.0
    """Without a request, at a public computer."""
    private_idle_s: float = 28_800.0
    """The same at a computer that the user says is private."""
    longest_s: float = 86_400.0
    """After the sign-in, however busy it is."""


class WebSession(msgspec.Struct, frozen=True):
    """One browser's sign-in."""

    id: bytes
    principal: Principal
    mechanism: str
    begun_at: float
    used_at: float
    """As the token says: it is renewed now and then, not with each request."""
    private: bool


class _Token(msgspec.Struct, frozen=True, array_like=True):
    id: bytes
    account: int
    generation: int
    mechanism: str
    begun_at: float
    used_at: float
    private: bool


class WebSessions:
    """Makes and checks them. One per worker."""

    def __init__(
        self,
        directory: Directory,
        endings: Endings,
        clock: Clock,
        entropy: Entropy,
        settings: WebSessionSettings | None = None,
    ) -> None:
        self._directory = directory
        self._endings = endings
        self._clock = clock
        self._entropy = entropy
        self._settings = settings or WebSessionSettings()
        self._known_key = b""

    async def begin(self, principal: Principal, mechanism: str, *, private: bool) -> tuple[WebSession, str]:
        """A new session, never one that the browser came with, and its token."""
        now = self._clock.timestamp()
        session = WebSession(self._entropy.token(_ID_BYTES), principal, mechanism, now, now, private)
        return session, await self._seal(session)

    async def open(self, token: bytes) -> tuple[WebSession, str]:
        """A token's session, and a newer token if the old one has aged.

        Raises Refusal: BAD_CREDENTIALS (not ours, too old, signed out), or why the account may not be used any more.
        """
        read = await self._unseal(token)
        now = self._clock.timestamp()
        settings = self._settings
        idle_s = settings.private_idle_s if read.private else settings.idle_s
        # one from times to come was made while the clock was wrong, and would live until they are over
        ahead = max(read.used_at, read.begun_at) > now + AHEAD_S
        if ahead or now >= read.used_at + idle_s or now >= read.begun_at + settings.longest_s:
            raise Refusal(Reason.BAD_CREDENTIALS, "the session has expired")
        if self._endings.all_ended_at(read.account) > now + AHEAD_S:
            # while the clock was wrong: it ends what there is, and not what begins until that time comes
            await self.end_all(AccountId(read.account))
        if self._endings.is_ended(read.id, read.account, read.begun_at):
            raise Refusal(Reason.BAD_CREDENTIALS, "the session was signed out")
        account = await self._directory.account(AccountId(read.account))
        reason = standing(account, PROTOCOL, now)
        if reason is not None or account is None:
            raise Refusal(reason or Reason.ACCOUNT_DISABLED, "the session's account may not be used")
        if account.generation != read.generation:
            raise Refusal(Reason.PASSWORD_CHANGED, f"{account.address} has to sign in again")
        principal = Principal(
            account.id, account.address, account.mailbox, account.slot, account.generation, account.expires_at
        )
        session = WebSession(read.id, principal, read.mechanism, read.begun_at, read.used_at, read.private)
        if now < read.used_at + idle_s / 8:
            return session, ""
        return session, await self._seal(msgspec.structs.replace(session, used_at=now))

    async def end(self, session: WebSession) -> None:
        """Sign out: the token is worth nothing from now on, in any worker. Raises Refusal."""
        until = session.begun_at + self._settings.longest_s
        await asyncio.to_thread(self._endings.end, session.id, self._clock.timestamp(), until)

    async def end_all(self, account: AccountId) -> None:
        """Sign an account out of every browser. Raises Refusal."""
        now = self._clock.timestamp()
        await asyncio.to_thread(self._endings.end_all, account, now, now + self._settings.longest_s)

    async def form_key(self, about: bytes) -> str:
        """What a form carries to prove that our page made it for this browser (`about`: its session, or a cookie)."""
        key = await self._key()
        return base64.urlsafe_b64encode(hmac.digest(key, b"form\0" + about, "sha256")).decode().rstrip("=")

    async def is_form_key(self, given: str, about: bytes) -> bool:
        """Whether a form came from our page in this browser."""
        return bool(about) and hmac.compare_digest(given.encode(), (await self.form_key(about)).encode())

    def close(self) -> None:
        """Release the file."""
        self._endings.close()

    # --- tokens
    async def _key(self) -> bytes:
        if not self._known_key:
            self._known_key = await self._directory.secret("web sessions")
        return self._known_key

    async def _seal(self, session: WebSession) -> str:
        one = session.principal
        body = msgspec.msgpack.encode(
            _Token(
                session.id,
                one.account,
                one.generation,
                session.mechanism,
                session.begun_at,
                session.used_at,
                session.private,
            )
        )
        tag = hmac.digest(await self._key(), b"session\0" + body, "sha256")
        return base64.urlsafe_b64encode(tag + body).decode().rstrip("=")

    async def _unseal(self, token: bytes) -> _Token:
        try:
            if len(token) > _MAX_TOKEN_BYTES:
                raise ValueError("too long")
            raw = base64.b64decode(token + b"=" * (-len(token) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise Refusal(Reason.BAD_CREDENTIALS, "a session token that is none") from error
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, hmac.digest(await self._key(), b"session\0" + body, "sha256")):
            raise Refusal(Reason.BAD_CREDENTIALS, "a session token that we did not make")
        return msgspec.msgpack.decode(body, type=_Token)
