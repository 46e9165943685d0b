"""Who is there: simple bind and SASL (RFC 4513)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from postern.frontends.ldap.answers import result_of
from postern.frontends.ldap.settings import LdapSettings
from postern.frontends.ldap.tree import address_of
from postern.frontends.ports import Authentication, Stream
from postern.frontends.signin import SignIn, channel_binding, clear_text_allowed, note
from postern.model.ports import Entropy
from postern.model.refusal import ProtocolViolation, Reason, Refusal
from postern.protocols.ldap.operations import BindRequest, BindResponse
from postern.protocols.ldap.results import Code, Result
from postern.protocols.sasl.server import offered

if TYPE_CHECKING:
    from postern.services.authentication import Principal

PROTOCOL = "ldap"
PLAIN = "PLAIN"

_log = logging.getLogger(__name__)


class Binding:
    """The sign-in state of one connection. A bind that fails leaves it anonymous (RFC 4511 4.2.1)."""

    def __init__(
        self, settings: LdapSettings, authentication: Authentication, entropy: Entropy, stream: Stream
    ) -> None:
        self._settings = settings
        self._authentication = authentication
        self._entropy = entropy
        self._stream = stream
        self._sign_in: SignIn | None = None
        self._mechanism = ""
        self._unwatch: Callable[[], object] = bool
        self.principal: Principal | None = None
        self.failures = 0
        """Refused sign-ins on this connection."""
        self.user = ""

    @property
    def under_way(self) -> bool:
        """Whether a SASL exchange waits for its next step."""
        return self._sign_in is not None

    def mechanisms(self) -> tuple[str, ...]:
        """What may be used on this connection now."""
        clear_text = clear_text_allowed(self._stream, self._settings.cleartext_login)
        return offered(self._settings.mechanisms, clear_text=clear_text, binding=channel_binding(self._stream))

    def forget(self) -> None:
        """Be anonymous again."""
        self._unwatch()
        self._unwatch = bool
        self.principal = None
        self._end()

    def _end(self) -> None:
        sign_in, self._sign_in = self._sign_in, None
        if sign_in is not None:
            sign_in.close()

    def failed(self, result: Result) -> BindResponse:
        """The answer to a bind that is refused."""
        self.forget()
        return BindResponse(result)

    async def bind(self, request: BindRequest) -> BindResponse:
        """One step of a sign-in, or all of it."""
        going_on = bool(request.mechanism) and request.mechanism.upper() == self._mechanism
        sign_in = self._sign_in if going_on else None
        if sign_in is not None:
            self._sign_in = None
        self.forget()
        try:
            if request.version != 3:
                return BindResponse(Result(Code.PROTOCOL_ERROR, diagnostic="LDAP version 3 only"))
            if not request.mechanism:
                return await self._simple(request)
            if sign_in is not None:
                return await self._step(sign_in, lambda: sign_in.go_on(request.credentials or b""))
            return await self._begin(request.mechanism.upper(), request.credentials)
        except Refusal as refusal:
            self.failures += 1
            _log.info("ldap sign-in refused: %s", refusal)
            return BindResponse(result_of(refusal))
        except ProtocolViolation as problem:
            self.failures += 1
            _log.info("ldap sign-in refused: %s", problem)
            return BindResponse(Result(Code.INVALID_CREDENTIALS))

    async def _simple(self, request: BindRequest) -> BindResponse:
        if not request.password:
            if request.name:  # RFC 4513 5.1.2: clients would take it for a password that was checked
                return BindResponse(Result(Code.UNWILLING_TO_PERFORM, diagnostic="a name needs a password"))
            return BindResponse(Result())
        if PLAIN not in self._settings.mechanisms:
            raise Refusal(Reason.NOT_SUPPORTED, "simple bind goes with PLAIN, which is switched off")
        if PLAIN not in self.mechanisms():
            raise Refusal(Reason.ENCRYPTION_REQUIRED, "a password in clear text")
        name = self.user = address_of(request.name)
        try:
            password = request.password.decode()
        except UnicodeDecodeError as broken:
            raise ProtocolViolation("a password that is not UTF-8") from broken
        note(self._stream, PROTOCOL, "simple")
        principal = await self._authentication.verify_password(name, password, self._stream.peer[0], PROTOCOL)
        return await self._admit(principal)

    async def _begin(self, mechanism: str, initial: bytes | None) -> BindResponse:
        allowed = self.mechanisms()
        if mechanism not in allowed:
            if mechanism == PLAIN and PLAIN in self._settings.mechanisms:
                raise Refusal(Reason.ENCRYPTION_REQUIRED, "a password in clear text")
            raise Refusal(Reason.NOT_SUPPORTED, mechanism[:64])
        self._mechanism = mechanism
        sign_in = SignIn(self._authentication, self._entropy, self._stream, PROTOCOL)
        return await self._step(sign_in, lambda: sign_in.begin(mechanism, initial, allowed))

    async def _step(self, sign_in: SignIn, step: Callable[[], Awaitable[bytes | Principal]]) -> BindResponse:
        try:
            return await self._after(sign_in, await step())
        finally:
            self.user = self.user or sign_in.user
            if self._sign_in is not sign_in:
                sign_in.close()

    async def _after(self, sign_in: SignIn, reached: bytes | Principal) -> BindResponse:
        if not isinstance(reached, bytes):
            return await self._admit(reached)
        if sign_in.last:  # the mechanism's last word goes with the success (RFC 4513 5.2.1.6)
            principal = await sign_in.go_on(b"")
            assert not isinstance(principal, bytes)
            return await self._admit(principal, reached)
        self._sign_in = sign_in
        return BindResponse(Result(Code.SASL_BIND_IN_PROGRESS), reached)

    async def _admit(self, principal: Principal, last_word: bytes | None = None) -> BindResponse:
        self._unwatch = await self._authentication.watch(principal, PROTOCOL, self._stream)
        self.principal = principal
        self.user = principal.address
        return BindResponse(Result(), last_word)
