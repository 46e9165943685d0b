"""SPNEGO as a server accepts it (RFC 4178, MS-SPNG): finds the mechanism, and sees that nobody changed the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from postern.formats import spnego
from postern.formats.spnego import Init, Response, State
from postern.model.refusal import ProtocolViolation
from postern.services.mechanisms.context import Admission, Context, Proved, Unproved, guarded
from postern.services.negotiation import Circumstances, Continue, Step

Mechanisms = Mapping[str, Callable[[Circumstances], Context]]
"""By object identifier."""


class SpnegoExchange:
    """One exchange; a client may speak Kerberos or NTLM without SPNEGO around it too (RFC 4559 4 and practice)."""

    def __init__(self, mechanisms: Mechanisms, admission: Admission, circumstances: Circumstances) -> None:
        self._mechanisms = mechanisms
        self._admission = admission
        self._circumstances = circumstances
        self._context: Context | None = None
        self._bare = False
        self._listed = b""
        self._chosen = ""
        self._named = False
        self._mic_needed = False
        self._mic_sent = False
        self._proved: Proved | None = None

    async def step(self, token: bytes) -> Step:
        """See `Negotiation`."""
        if not token and self._context is None:
            return Continue(b"")
        return await guarded(self._step(token), self._admission, self._circumstances)

    def close(self) -> None:
        """See `Negotiation`."""
        if self._context is not None:
            self._context.close()

    async def _step(self, token: bytes) -> Step:
        if self._context is None and (context := self._without_spnego(token)) is not None:
            self._context, self._bare = context, True
        if self._bare:
            return await self._bare_step(token)
        message = spnego.parse(token)
        if self._context is None:
            if not isinstance(message, Init):
                raise ProtocolViolation("SPNEGO did not begin with negTokenInit")
            return await self._begin(message)
        if not isinstance(message, Response):
            raise ProtocolViolation("SPNEGO began a second time")
        if message.state is State.REJECT:
            return await self._admission.refuse("the client gave up", self._circumstances)
        return await self._go_on(message.token, message.mic)

    def _without_spnego(self, token: bytes) -> Context | None:
        if token.startswith(b"NTLMSSP\0"):
            name = spnego.NTLM
        else:
            name = spnego.initial_mechanism(token)
            if name == spnego.SPNEGO:
                return None
        make = self._mechanisms.get(name)
        if make is None:
            raise ProtocolViolation(f"mechanism {name} is not offered")
        return make(self._circumstances)

    async def _bare_step(self, token: bytes) -> Step:
        assert self._context is not None
        answer = await self._context.step(token)
        match answer:
            case Proved():
                return await self._admission.admit(answer, self._circumstances)
            case Unproved(cause, login):
                return await self._admission.refuse(cause, self._circumstances, login)
        return answer

    async def _begin(self, message: Init) -> Step:
        chosen = next((name for name in message.mechanisms if name in self._mechanisms), None)
        if chosen is None:
            raise ProtocolViolation(f"no SPNEGO mechanism in common: {', '.join(message.mechanisms)}"[:300])
        self._chosen, self._listed = chosen, message.listed
        self._context = self._mechanisms[chosen](self._circumstances)
        preferred = chosen == message.mechanisms[0]
        # RFC 4178 5: the client's first wish needs no MIC; anything else could be an attacker's choice
        self._mic_needed = not preferred
        if preferred and message.token:
            return await self._go_on(message.token, message.mic)
        self._named = True
        state = State.ACCEPT_INCOMPLETE if preferred else State.REQUEST_MIC
        return Continue(spnego.response(state, chosen))

    async def _go_on(self, token: bytes, mic: bytes) -> Step:
        assert self._context is not None
        answered = b""
        if self._proved is None:
            answer = await self._context.step(token)
            if isinstance(answer, Unproved):
                return await self._admission.refuse(answer.cause, self._circumstances, answer.login)
            if isinstance(answer, Continue):
                return Continue(self._response(State.ACCEPT_INCOMPLETE, answer.token))
            self._proved, answered = answer, answer.token
        if mic:
            if not await self._context.verifies(self._listed, mic):
                return await self._admission.refuse("the list of SPNEGO mechanisms was changed", self._circumstances)
            own = b"" if self._mic_sent else await self._context.sign(self._listed)
            return await self._admit(self._response(State.ACCEPT_COMPLETED, answered, own))
        if not self._mic_needed:
            return await self._admit(self._response(State.ACCEPT_COMPLETED, answered))
        own = b"" if self._mic_sent else await self._context.sign(self._listed)
        if not own:
            return await self._admission.refuse("the list of SPNEGO mechanisms is not protected", self._circumstances)
        self._mic_sent = True
        return Continue(self._response(State.ACCEPT_INCOMPLETE, answered, own))

    async def _admit(self, last: bytes) -> Step:
        assert self._proved is not None
        return await self._admission.admit(self._proved._replace(token=last), self._circumstances)

    def _response(self, state: State, token: bytes, mic: bytes = b"") -> bytes:
        name, self._named = "" if self._named else self._chosen, True
        return spnego.response(state, name, token, mic)
