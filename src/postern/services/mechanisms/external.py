"""SASL's EXTERNAL (RFC 4422 appendix A): the certificate that the client showed in the handshake is the proof."""

from __future__ import annotations

from postern.directory.interface import Directory
from postern.model.refusal import ProtocolViolation
from postern.services.certificates import names_in
from postern.services.mechanisms.context import Admission, Proved, guarded
from postern.services.negotiation import Circumstances, Step

MECHANISM = "EXTERNAL"
AUTHZID_LIMIT_BYTES = 1024


class External:
    """One sign-in; its only token is whom the client wants to act as."""

    def __init__(self, directory: Directory, admission: Admission, circumstances: Circumstances) -> None:
        self._directory = directory
        self._admission = admission
        self._circumstances = circumstances

    async def step(self, token: bytes) -> Step:
        """See `Negotiation`."""
        return await guarded(self._step(token), self._admission, self._circumstances)

    async def _step(self, token: bytes) -> Step:
        seen = self._circumstances
        if len(token) > AUTHZID_LIMIT_BYTES:
            raise ProtocolViolation("an authorization identity is too long")
        try:
            authzid = token.decode()
            names = names_in(seen.certificate) if seen.certificate else ()
        except ValueError as problem:  # UnicodeDecodeError is one
            raise ProtocolViolation(f"the certificate or the name cannot be read: {problem}") from None
        for name in names:
            account = await self._directory.login(name)
            if account is not None and not account.shared:
                proved = Proved(account.address, MECHANISM, bound=True)
                return await self._admission.admit(proved, seen, authzid)
        cause = f"the certificate names nobody here: {', '.join(names)}" if seen.certificate else "no certificate"
        return await self._admission.refuse(cause[:300], seen)

    def close(self) -> None:
        """See `Negotiation`."""
