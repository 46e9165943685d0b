"""One-time codes as somebody sets them up for their own account, signed in to a page.

The password is asked for again before anything changes: whoever finds a browser open must neither take the second
factor away nor lock the owner out with one of their own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

from postern.directory import totp
from postern.directory.interface import Account, Directory
from postern.model.refusal import Reason, Refusal
from postern.services.attempts import Proof
from postern.services.authentication import Authentication
from postern.services.principal import Principal
from postern.services.second_factor import NewEnrolment, SecondFactorRequired

PROTOCOL = "http"


class Standing(NamedTuple):
    """How far an account is."""

    in_use: bool
    recovery_codes: int
    """That are left."""


class OwnEnrolment:
    """One per worker."""

    def __init__(self, directory: Directory, authentication: Authentication, issuer: str) -> None:
        """`issuer` is what the telephone shows above the codes."""
        self._directory = directory
        self._authentication = authentication
        self._issuer = issuer

    async def standing(self, principal: Principal) -> Standing:
        """How far it is."""
        found = await self._directory.enrolment(principal.account)
        if found is None or found.confirmed_at is None:
            return Standing(False, 0)
        return Standing(True, found.recovery_codes)

    async def begin(self, principal: Principal, password: str, peer: str) -> NewEnrolment:
        """A new secret. Raises Refusal: BAD_CREDENTIALS and others of passwords, ALREADY_EXISTS."""
        account = await self._owner(principal, password, peer)
        return await self._authentication.second_factor.begin(account, self._issuer)

    async def begun(self, principal: Principal) -> NewEnrolment:
        """The secret that waits for its first code. Raises Refusal(NO_SUCH_ITEM)."""
        found = await self._directory.enrolment(principal.account)
        if found is None or found.confirmed_at is not None:
            raise Refusal(Reason.NO_SUCH_ITEM, f"{principal.address} has not begun to enrol")
        return NewEnrolment(totp.in_letters(found.secret), totp.uri(found.secret, principal.address, self._issuer))

    async def confirm(self, principal: Principal, code: str, peer: str) -> tuple[Sequence[str], Principal]:
        """The first code. Returns the recovery codes, and the principal anew: whatever was signed in before is over.

        Raises Refusal(NO_SUCH_ITEM, ALREADY_EXISTS, BAD_CREDENTIALS).
        """
        codes = await self._authentication.second_factor.confirm(await self._account(principal), code[:100])
        account = await self._account(principal)
        again = await self._authentication.admit(account, PROTOCOL, peer_address=peer, proof=Proof.SECOND_FACTOR)
        return codes, again

    async def remove(self, principal: Principal, password: str, peer: str) -> None:
        """Ask for codes no more. Raises Refusal: BAD_CREDENTIALS and others of passwords, NO_SUCH_ITEM."""
        account = await self._owner(principal, password, peer)
        await self._directory.remove_enrolment(account.id)

    async def _owner(self, principal: Principal, password: str, peer: str) -> Account:
        """The account, when the password is its. Raises Refusal as passwords do."""
        # with a second factor the password is right too when that is asked for, and the session has been through it
        with contextlib.suppress(SecondFactorRequired):
            await self._authentication.verify_password(principal.address, password, peer, PROTOCOL, interactive=True)
        return await self._account(principal)

    async def _account(self, principal: Principal) -> Account:
        account = await self._directory.account(principal.account)
        if account is None:
            raise Refusal(Reason.ACCOUNT_DISABLED, f"{principal.address} is gone")
        return account
