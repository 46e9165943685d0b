"""SASL's EXTERNAL (RFC 4422 appendix A): the certificate that the client showed in the handshake is the proof.

Where front ends may show theirs, anybody's certificate is taken in the handshake and looked at here: a server of the
organisation acts for the user it names, anybody else has to have been certified by an authority of clients.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from cryptography import x509

from postern.directory.interface import Directory
from postern.formats.certificate import Purpose, flaw
from postern.model.ports import Clock
from postern.model.refusal import ProtocolViolation
from postern.services.certificates import names_in
from postern.services.mechanisms.context import Admission, Proved, guarded
from postern.services.negotiation import Circumstances, Step
from postern.services.server_trust import ServerTrust

MECHANISM = "EXTERNAL"
AUTHZID_LIMIT_BYTES = 1024


class Certificates(msgspec.Struct, frozen=True):
    """What is made of certificates that the handshake did not verify."""

    trust: ServerTrust
    clock: Clock
    authority: str = ""
    """PEM file of the authorities of clients; empty: users have no certificates."""


class External:
    """One sign-in; its only token is whom the client wants to act as."""

    def __init__(
        self,
        directory: Directory,
        admission: Admission,
        circumstances: Circumstances,
        certificates: Certificates | None = None,
    ) -> None:
        """Without `certificates` the handshake has verified what it took."""
        self._directory = directory
        self._certificates = certificates
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
            certificate = seen.certificate
            if not certificate and seen.chain and self._certificates is not None:
                server = await self._certificates.trust.server(seen.chain, seen.peer_address)
                known = await self._admission.server_named(server) if server else None
                if known is not None:
                    return await self._admission.act(known, Proved("", MECHANISM, bound=True), seen, authzid)
                wrong = self._unfit(seen.chain, self._certificates)
                if wrong:
                    return await self._admission.refuse(wrong[:300], seen)
                certificate = seen.chain[0]
            names = names_in(certificate) if certificate else ()
        except ValueError as problem:  # UnicodeDecodeError is one
            raise ProtocolViolation(f"the certificate or the name cannot be read: {problem}") from None
        for name in names:
            account = await self._directory.login(name)
            if account is not None and not account.shared:
                proved = Proved(account.address, MECHANISM, bound=True)
                return await self._admission.admit(proved, seen, authzid)
        cause = f"the certificate names nobody here: {', '.join(names)}" if certificate else "no certificate"
        return await self._admission.refuse(cause[:300], seen)

    def _unfit(self, chain: Sequence[bytes], own: Certificates) -> str:
        """Why a certificate proves nobody's name. Raises ValueError for one that cannot be read."""
        if not own.authority:
            return "the certificate is of no server of the organisation"
        now = own.clock.now()
        wrong = flaw(x509.load_der_x509_certificate(chain[0]), Purpose.CLIENT, now)
        problem = wrong.text if wrong is not None else own.trust.unproved(chain, own.authority, now)
        return f"the certificate is refused: {problem}" if problem else ""

    def close(self) -> None:
        """See `Negotiation`."""
