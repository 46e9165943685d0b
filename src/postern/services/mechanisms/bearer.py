"""Bearer tokens (RFC 6750): OAUTHBEARER and XOAUTH2 of mail programs, `Bearer` of HTTP."""

from __future__ import annotations

from collections.abc import Sequence

import jwt

from postern.model.refusal import Refusal
from postern.services.mechanisms.context import Admission, Proved
from postern.services.mechanisms.issuer import Issuer, TokenRefused, Verified
from postern.services.negotiation import Circumstances, Refused, Step

MECHANISM = "OIDC"
TOKEN_LIMIT_BYTES = 32768


class Bearer:
    """One sign-in; a token is all there is to it."""

    def __init__(self, issuers: Sequence[Issuer], admission: Admission, circumstances: Circumstances) -> None:
        self._issuers = {issuer.settings.issuer: issuer for issuer in issuers}
        self._admission = admission
        self._circumstances = circumstances

    async def step(self, token: bytes) -> Step:
        """See `Negotiation`."""
        try:
            await self._admission.check("", self._circumstances)
            verified = await self._verified(token)
        except TokenRefused as refused:
            return await self._admission.refuse(f"token: {refused}", self._circumstances)
        except Refusal as refusal:
            return Refused(refusal.reason, f"token: {refusal.detail}")
        proved = Proved(verified.login, MECHANISM, expires_at=verified.expires_at)
        return await self._admission.admit(proved, self._circumstances)

    async def _verified(self, token: bytes) -> Verified:
        """Raises TokenRefused, Refusal."""
        if len(token) > TOKEN_LIMIT_BYTES:
            raise TokenRefused("it is too long")
        try:
            text = token.decode("ascii")
            header = jwt.get_unverified_header(text)
            claimed = jwt.decode(text, options={"verify_signature": False}).get("iss")
        except (jwt.PyJWTError, UnicodeDecodeError, ValueError, RecursionError) as problem:
            raise TokenRefused(f"no JWT: {problem}") from None
        # nothing of it is believed yet: the name only chooses whose keys it is checked with
        issuer = self._issuers.get(claimed) if isinstance(claimed, str) else None
        if issuer is None:
            raise TokenRefused(f"of the unknown issuer {str(claimed)[:200]!r}")
        return await issuer.verify(text, header)

    def close(self) -> None:
        """See `Negotiation`."""
