"""SASL's GSSAPI (RFC 4752): Kerberos, then an agreement on a security layer. TLS is ours, so there is none."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from postern.model.refusal import ProtocolViolation
from postern.services.mechanisms.context import Context, Proved, Refuses, Unproved, guarded
from postern.services.negotiation import Circumstances, Continue, Refused

NO_LAYER = b"\1\0\0\0"
"""Bit 1: no security layer; largest message 0 (RFC 4752 3.2)."""
AUTHZID_LIMIT_BYTES = 1024


class WrappingContext(Context, Protocol):
    """A context that can wrap."""

    async def wrap(self, message: bytes) -> bytes:
        """Integrity without encryption (GSS_Wrap)."""
        ...

    async def unwrap(self, message: bytes) -> bytes | None:
        """What the client wrapped; None if it did not."""
        ...


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Admits(Refuses, Protocol[T_co]):
    """Who decides what a proof is worth: `Admission` of users, `ServerAdmission` of servers."""

    async def admit(self, proved: Proved, circumstances: Circumstances, authzid: str = "") -> T_co | Refused:
        """What the directory says to a proof."""
        ...


class GssapiSasl(Generic[T]):
    """One exchange; `T` is what its success is."""

    def __init__(self, context: WrappingContext, admission: Admits[T], circumstances: Circumstances) -> None:
        self._context = context
        self._admission = admission
        self._circumstances = circumstances
        self._proved: Proved | None = None
        self._offered = False

    async def step(self, token: bytes) -> Continue | T | Refused:
        """See `Negotiation`."""
        if self._proved is None and not token:
            return Continue(b"")
        return await guarded(self._step(token), self._admission, self._circumstances)

    async def _step(self, token: bytes) -> Continue | T | Refused:
        if self._proved is None:
            answer = await self._context.step(token)
            if isinstance(answer, Unproved):
                return await self._admission.refuse(answer.cause, self._circumstances, answer.login)
            if isinstance(answer, Continue):
                return answer
            self._proved = answer._replace(token=b"")
            if answer.token:
                return Continue(answer.token)
            return await self._offer()
        if not self._offered:
            if token:
                raise ProtocolViolation("expected an empty response")
            return await self._offer()
        chosen = await self._context.unwrap(token)
        if chosen is None or len(chosen) < 4:
            return await self._admission.refuse("Kerberos: a security layer that is not protected", self._circumstances)
        if chosen[0] != NO_LAYER[0]:
            return await self._admission.refuse("Kerberos: a security layer that was not offered", self._circumstances)
        if len(chosen) > 4 + AUTHZID_LIMIT_BYTES:
            raise ProtocolViolation("an authorization identity is too long")
        try:
            authzid = chosen[4:].decode()
        except UnicodeDecodeError as error:
            raise ProtocolViolation("an authorization identity is not UTF-8") from error
        return await self._admission.admit(self._proved, self._circumstances, authzid)

    async def _offer(self) -> Continue:
        self._offered = True
        return Continue(await self._context.wrap(NO_LAYER))

    def close(self) -> None:
        """See `Negotiation`."""
        self._context.close()
