"""What mechanisms have in common: a context that ends with a proof, and the admission that follows a proof."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, Protocol, TypeVar

from postern.directory.interface import Server
from postern.model.refusal import ProtocolViolation, Refusal
from postern.services.attempts import Proof
from postern.services.authentication import Authentication
from postern.services.negotiation import Accepted, Circumstances, Continue, Refused, Step


class Proved(NamedTuple):
    """Who the client is, as its mechanism knows it. Nobody has asked the directory yet whether it may come in."""

    login: str
    """What `Directory.login` finds the account by."""
    mechanism: str
    token: bytes = b""
    """The last one for the client."""
    bound: bool = False
    expires_at: float | None = None
    principal: str = ""
    """Kerberos: the whole name, as a server of the organisation is known by."""
    nobody: str = ""
    """Why no user can have that principal; `login` is empty then."""


INDEPENDENT = frozenset({"OIDC", "EXTERNAL"})
"""Mechanisms that do not come down to the account's password: no second factor is asked for after them."""


class Unproved(NamedTuple):
    """The client did not prove who it is."""

    cause: str
    """For the log."""
    login: str = ""
    """Whose account the failure counts against; empty: it counts against the client's address only."""


class Context(Protocol):
    """A mechanism's exchange on one connection, as an acceptor of GSS-API has it (RFC 2743 2.2.2)."""

    async def step(self, token: bytes) -> Continue | Proved | Unproved:
        """Feed a token. Raises ProtocolViolation for a malformed one, Refusal(TOO_MANY_FAILURES, TRY_LATER)."""
        ...

    async def sign(self, message: bytes) -> bytes:
        """A message integrity code (GSS_GetMIC); empty if the context has no key for it. After Proved."""
        ...

    async def verifies(self, message: bytes, code: bytes) -> bool:
        """Whether the client made that code (GSS_VerifyMIC). After Proved."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Admission:
    """The end of every exchange: failures are counted and delayed, who is proved is asked for in the directory."""

    def __init__(self, authentication: Authentication) -> None:
        self._authentication = authentication

    async def admit(self, proved: Proved, circumstances: Circumstances, authzid: str = "") -> Accepted | Refused:
        """What the directory says to a proof."""
        server = await self.server(proved.principal) if proved.principal else None
        if server is not None:
            return await self.act(server, proved, circumstances, authzid)
        if proved.nobody:
            return await self.refuse(f"{proved.mechanism}: {proved.nobody}", circumstances)
        try:
            principal = await self._authentication.finish_proof(
                proved.login,
                circumstances.peer_address,
                circumstances.protocol,
                authzid or circumstances.authzid,
                proof=Proof.INDEPENDENT if proved.mechanism in INDEPENDENT else Proof.PASSWORD,
            )
        except Refusal as refusal:
            return Refused(refusal.reason, f"{proved.mechanism}: {refusal.detail}")
        return Accepted(principal, proved.token, proved.mechanism, proved.bound, proved.expires_at)

    async def server(self, principal: str) -> Server | None:
        """The organisation's server of that Kerberos principal."""
        return await self._authentication.front_ends.by_principal(principal)

    async def server_named(self, name: str) -> Server | None:
        """The organisation's server of that name."""
        return await self._authentication.front_ends.by_name(name)

    async def act(
        self, server: Server, proved: Proved, circumstances: Circumstances, authzid: str
    ) -> Accepted | Refused:
        """A server of the organisation is there, and says for whom."""
        if not proved.bound:
            # somebody in the middle could have passed it on, and would have everybody's mail
            return await self.refuse(f"{proved.mechanism}: {server.name} bound to no TLS connection", circumstances)
        try:
            principal = await self._authentication.front_ends.act(
                server, circumstances.protocol, authzid or circumstances.authzid, circumstances.peer_address
            )
        except Refusal as refusal:
            return Refused(refusal.reason, f"{proved.mechanism}: {refusal.detail}")
        return Accepted(principal, proved.token, proved.mechanism, proved.bound, proved.expires_at)

    async def refuse(self, cause: str, circumstances: Circumstances, login: str = "") -> Refused:
        """Count and delay a failure."""
        refusal = await self._authentication.failed(login, circumstances.peer_address, cause)
        return Refused(refusal.reason, f"{cause} ({login})" if login else cause)

    async def check(self, login: str, circumstances: Circumstances) -> None:
        """Raises Refusal(TOO_MANY_FAILURES): nothing is tried then. Without `login` only the address is looked at."""
        await self._authentication.check_limits(login, circumstances.peer_address)


class Direct:
    """A mechanism whose tokens are carried as they are: `NTLM` of HTTP and SMTP."""

    def __init__(self, context: Context, admission: Admission, circumstances: Circumstances) -> None:
        self._context = context
        self._admission = admission
        self._circumstances = circumstances

    async def step(self, token: bytes) -> Step:
        """See `Negotiation`."""
        if not token:
            return Continue(b"")
        return await guarded(self._step(token), self._admission, self._circumstances)

    async def _step(self, token: bytes) -> Step:
        answer = await self._context.step(token)
        match answer:
            case Proved():
                return await self._admission.admit(answer, self._circumstances)
            case Unproved(cause, login):
                return await self._admission.refuse(cause, self._circumstances, login)
        return answer

    def close(self) -> None:
        """See `Negotiation`."""
        self._context.close()


class Refuses(Protocol):
    """An admission, as far as failures go."""

    async def refuse(self, cause: str, circumstances: Circumstances, login: str = "") -> Refused:
        """Count and delay a failure."""
        ...


T = TypeVar("T")


async def guarded(step: Awaitable[T], admission: Refuses, circumstances: Circumstances) -> T | Refused:
    """A step whose violations and refusals are answers."""
    try:
        return await step
    except ProtocolViolation as violation:
        return await admission.refuse(str(violation), circumstances)
    except Refusal as refusal:
        return Refused(refusal.reason, refusal.detail)
