"""One-time codes: enrolling, asking for one after a right password, checking it.

Between password and code a front end keeps a ticket: it says whose password was right, is signed by a key of the
directory (any worker can go on) and is worth nothing without a code.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from postern.directory import totp
from postern.directory.failures import FailureLog
from postern.directory.interface import Account, Directory
from postern.model.ids import AccountId
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal

TICKET_S = 300.0
"""How long somebody may look for the telephone."""
_TAG_BYTES = 32
_MAX_TICKET_BYTES = 2048


class SecondFactorRequired(Refusal):
    """The password is right; a code is needed. Only whoever knows the password ever sees this."""

    def __init__(self, address: str, ticket: str) -> None:
        super().__init__(Reason.SECOND_FACTOR_REQUIRED, f"{address} needs a one-time code")
        self.ticket = ticket


class NewEnrolment(NamedTuple):
    """What is shown to whoever enrols, once."""

    secret: str
    """Base32."""
    uri: str
    """otpauth URI, for a QR code."""


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """Whose password was right."""

    account: int
    generation: int
    at: float
    authzid: str = ""


class SecondFactor:
    """One per worker; commands have one too."""

    def __init__(self, directory: Directory, failures: FailureLog, clock: Clock, entropy: Entropy) -> None:
        self._directory = directory
        self._failures = failures
        self._clock = clock
        self._entropy = entropy

    # --- enrolling
    async def begin(self, account: Account, issuer: str) -> NewEnrolment:
        """A new secret; no code is asked for before `confirm`. Raises Refusal(ALREADY_EXISTS)."""
        secret = self._entropy.token(totp.SECRET_BYTES)
        await self._directory.begin_enrolment(account.id, secret, self._clock.timestamp())
        return NewEnrolment(totp.in_letters(secret), totp.uri(secret, account.address, issuer))

    async def confirm(self, account: Account, code: str) -> Sequence[str]:
        """The first code: from now on codes are needed. Returns the recovery codes, shown once.

        Whatever was signed in before is over. Raises Refusal(NO_SUCH_ITEM, ALREADY_EXISTS, BAD_CREDENTIALS).
        """
        enrolment = await self._directory.enrolment(account.id)
        if enrolment is None:
            raise Refusal(Reason.NO_SUCH_ITEM, f"{account.address} has not begun to enrol")
        if enrolment.confirmed_at is not None:
            raise Refusal(Reason.ALREADY_EXISTS, f"{account.address} uses one-time codes already")
        step = totp.matching_step(enrolment.secret, totp.clean(code), self._clock.timestamp())
        if step is None or not self._failures.use_code(account.id, step):
            raise Refusal(Reason.BAD_CREDENTIALS, "that is not the code of this moment: check the telephone's clock")
        codes, digests = await self._new_recovery_codes(account.id)
        await self._directory.confirm_enrolment(account.id, enrolment.secret, digests, self._clock.timestamp())
        return codes

    async def renew_recovery_codes(self, account: Account) -> Sequence[str]:
        """New recovery codes; the old ones are worth nothing. Raises Refusal(NO_SUCH_ITEM)."""
        codes, digests = await self._new_recovery_codes(account.id)
        await self._directory.put_recovery_codes(account.id, digests)
        return codes

    async def _new_recovery_codes(self, account: AccountId) -> tuple[list[str], list[bytes]]:
        key = await self._directory.secret("recovery codes")
        codes = [totp.new_recovery_code(self._entropy) for _ in range(totp.RECOVERY_CODES)]
        return codes, [totp.recovery_digest(key, account, code) for code in codes]

    # --- checking
    async def check(self, account: Account, given: str, *, closed: bool) -> str:
        """What is wrong with a code: `wrong-code`, `used-code`, `locked`; empty: it is right, and used up.

        `closed`: too many wrong codes were given; only a recovery code, which cannot be guessed, still opens.
        """
        guards = await self._directory.safeguards(account.id)
        cleaned = totp.clean(given[:100])
        if not guards.totp:
            return "wrong-code"
        if not totp.is_code(cleaned):
            key = await self._directory.secret("recovery codes")
            digest = totp.recovery_digest(key, account.id, cleaned)
            return "" if await self._directory.use_recovery_code(account.id, digest) else "wrong-code"
        if closed:
            return "locked"
        step = totp.matching_step(guards.totp, cleaned, self._clock.timestamp())
        if step is None:
            return "wrong-code"
        return "" if self._failures.use_code(account.id, step) else "used-code"

    # --- tickets
    async def ticket(self, account: Account, authzid: str = "") -> str:
        """For whoever gave the right password."""
        body = msgspec.msgpack.encode(Ticket(account.id, account.generation, self._clock.timestamp(), authzid))
        return base64.urlsafe_b64encode(await self._tag(body) + body).decode("ascii").rstrip("=")

    async def read(self, ticket: str) -> tuple[Account, str]:
        """The account and authzid of a ticket. Raises Refusal(BAD_CREDENTIALS) for one that is not good any more."""
        try:
            if len(ticket) > _MAX_TICKET_BYTES:
                raise ValueError("too long")
            raw = base64.b64decode(ticket.encode() + b"=" * (-len(ticket) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError) as problem:
            raise Refusal(Reason.BAD_CREDENTIALS, "a ticket that is none") from problem
        tag, body = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, await self._tag(body)):
            raise Refusal(Reason.BAD_CREDENTIALS, "a ticket that we did not make")
        read = msgspec.msgpack.decode(body, type=Ticket)
        account = await self._directory.account(AccountId(read.account))
        age = self._clock.timestamp() - read.at
        if account is None or account.generation != read.generation or not -TICKET_S <= age <= TICKET_S:
            raise Refusal(Reason.BAD_CREDENTIALS, "a ticket that has expired")
        return account, read.authzid

    async def _tag(self, body: bytes) -> bytes:
        return hmac.digest(await self._directory.secret("second factor"), b"ticket\0" + body, "sha256")
