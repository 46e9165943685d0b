"""One LDAP connection.

Requests are read on while one is carried out, so that Abandon and Cancel reach it; they are carried out one after the
other. Bind and StartTLS wait for all before them (RFC 4511 4.2.1, 4.14.1).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from postern.frontends.ldap import rootdse
from postern.frontends.ldap.answers import result_of
from postern.frontends.ldap.binding import Binding
from postern.frontends.ldap.entries import Wanted
from postern.frontends.ldap.ports import AddressBook
from postern.frontends.ldap.searching import SUPPORTED, Outcome, Searching
from postern.frontends.ldap.settings import LdapSettings
from postern.frontends.ports import Authentication, Stream
from postern.model.ports import Clock, Entropy
from postern.model.refusal import ProtocolViolation, Refusal
from postern.protocols.ldap import controls
from postern.protocols.ldap.matching import matches
from postern.protocols.ldap.operations import (
    AbandonRequest,
    BindRequest,
    Control,
    ExtendedRequest,
    ExtendedResponse,
    Message,
    Operation,
    Scope,
    SearchDone,
    SearchRequest,
    UnbindRequest,
    Unknown,
)
from postern.protocols.ldap.results import Code, Result
from postern.protocols.ldap.server import LIMIT_BYTES, ServerSession, refusal_of

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping

READ_ONLY = "the address book is read only here"
_ANONYMOUS = Result(Code.INSUFFICIENT_ACCESS_RIGHTS, diagnostic="sign in first")
"""For everything that anonymous clients ask for, whether it exists or not."""
_BUSY = Result(Code.OPERATIONS_ERROR, diagnostic="requests are under way")


class Shared:
    """What all connections of a front end use."""

    def __init__(
        self,
        settings: LdapSettings,
        book: AddressBook,
        authentication: Authentication,
        clock: Clock,
        entropy: Entropy,
        tls: Callable[[], ssl.SSLContext | Wrapping | None],
    ) -> None:
        self.settings = settings
        self.book = book
        self.authentication = authentication
        self.clock = clock
        self.entropy = entropy
        self.tls = tls


class Connection:
    """State of one connection."""

    def __init__(self, shared: Shared, stream: Stream) -> None:
        self._shared = shared
        self._stream = stream
        self._settings = shared.settings
        self._session = ServerSession()
        self._binding = Binding(shared.settings, shared.authentication, shared.entropy, stream)
        self._begun = shared.clock.monotonic()
        self._begun_message = 0.0
        self._pending: deque[Message] = deque()
        self._running: Message | None = None
        self._dropped = 0
        """Message id of the running operation if nobody wants it any more."""
        self._work: asyncio.Task[None] | None = None
        self._trouble: BaseException | None = None
        self._done = asyncio.Event()
        """A request was carried out."""

    @property
    def user(self) -> str:
        """Who is signed in, for the log."""
        return self._binding.user

    async def run(self) -> None:
        """Until Unbind or the end of the connection. Raises TimeoutError, ConnectionError, ProtocolViolation."""
        while True:
            message = self._session.next_message()
            if message is None:
                data = await self._read()
                if self._trouble is not None:
                    raise self._trouble
                if not data:
                    return
                self._session.receive(data)
                continue
            self._begun_message = 0.0
            if not await self._accept(message):
                return

    async def finish(self) -> None:
        """Let what is being carried out end; for a server that stops."""
        if self._work is not None:
            await asyncio.wait([self._work], timeout=self._settings.time_limit_s)

    async def release(self) -> None:
        """Stop what is being carried out, and forget who was signed in."""
        if self._work is not None:
            self._work.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self._work
        self._binding.forget()

    def disconnection(self, code: Code, diagnostic: str = "") -> bytes:
        """The notice that goes before the end."""
        return self._session.disconnection(code, diagnostic)

    # --- input

    async def _read(self) -> bytes:
        """Raises TimeoutError: who is not signed in has so long in all, a request so long to arrive."""
        now = self._shared.clock.monotonic()
        settings = self._settings
        patience = settings.idle_timeout_s
        if self._binding.principal is None:
            patience = self._begun + settings.login_timeout_s - now
        if not self._session.partial:
            self._begun_message = 0.0
        else:
            self._begun_message = self._begun_message or now
            patience = min(patience, self._begun_message + settings.message_timeout_s - now)
        if patience <= 0:
            raise TimeoutError
        return await self._stream.read(patience)

    async def _accept(self, message: Message) -> bool:
        """Whether the session goes on. Raises ProtocolViolation."""
        operation = message.operation
        match operation:
            case UnbindRequest():
                return False
            case AbandonRequest(number):
                self._drop(number)
            case BindRequest():
                await self._idle()
                await self._bind(message, operation)
            case ExtendedRequest(controls.STARTTLS):
                await self._start_tls(message)
            case ExtendedRequest(controls.CANCEL, value):
                self._cancel(message, controls.cancel_asked(value))
            case _:
                while len(self._pending) >= self._settings.max_pending:
                    await self._one_less()
                self._pending.append(message)
                if self._work is None:
                    self._work = asyncio.create_task(self._carry_out())
        return True

    def _drop(self, number: int) -> bool:
        """Forget a request; whether there was one."""
        if self._running is not None and self._running.id == number:
            self._dropped = number
            return True
        found = next((one for one in self._pending if one.id == number), None)
        if found is None:
            return False
        self._pending.remove(found)
        return True

    def _cancel(self, message: Message, number: int) -> None:
        code = Code.NO_SUCH_OPERATION
        if self._drop(number):
            # the cancelled one is answered too (RFC 3909 2.3), and goes first
            self._answer(number, SearchDone(Result(Code.CANCELED)))
            code = Code.SUCCESS
        self._answer(message.id, ExtendedResponse(Result(code)))

    async def _idle(self) -> None:
        while self._work is not None:
            await self._one_less()

    async def _one_less(self) -> None:
        """Wait until a request is done."""
        self._done.clear()
        await self._done.wait()
        if self._trouble is not None:
            raise self._trouble

    # --- output

    def _answer(self, number: int, operation: Operation, given: tuple[Control, ...] = ()) -> None:
        self._stream.write(self._session.answer(number, operation, given))

    # --- sign-in

    async def _bind(self, message: Message, request: BindRequest) -> None:
        if _unknown(message, ()):
            self._answer(message.id, self._binding.failed(Result(Code.UNAVAILABLE_CRITICAL_EXTENSION)))
            return
        if self._binding.principal is not None:
            self._begun = self._shared.clock.monotonic()
        self._answer(message.id, await self._binding.bind(request))
        self._session.limit_bytes = LIMIT_BYTES if self._binding.principal else ServerSession().limit_bytes
        await self._stream.drain()
        if self._binding.failures >= self._settings.max_failures:
            raise ProtocolViolation("too many refused sign-ins")

    async def _start_tls(self, message: Message) -> None:
        context = self._shared.tls()
        result = Result()
        if self._stream.tls is not None:
            result = Result(Code.OPERATIONS_ERROR, diagnostic="TLS is on already")
        elif not self._settings.starttls or context is None:
            result = Result(Code.UNAVAILABLE, diagnostic="TLS is not available")
        elif self._work is not None or self._binding.under_way:
            result = _BUSY
        self._answer(message.id, ExtendedResponse(result, controls.STARTTLS))
        if result.ok and context is not None:
            self._session.tls_started()
            await self._stream.start_tls(context)
            self._binding.forget()  # what was known without TLS counts no more (RFC 4513 3.1.1)

    # --- everything else, one after the other

    async def _carry_out(self) -> None:
        try:
            while self._pending:
                self._running = self._pending.popleft()
                self._dropped = 0
                await self._operate(self._running)
                self._running = None
                await self._stream.drain()
                self._done.set()
                await asyncio.sleep(0)  # a peer that reads fast and asks on must not keep the loop
        except asyncio.CancelledError:
            raise
        except BaseException as trouble:
            self._trouble = trouble
            self._stream.abort()
        finally:
            self._running = None
            self._work = None
            self._done.set()

    async def _operate(self, message: Message) -> None:
        operation = message.operation
        match operation:
            case SearchRequest():
                await self._search(message, operation)
            case ExtendedRequest(oid):
                self._answer(message.id, self._extended(oid))
            case Unknown():
                self._answer(message.id, refusal_of(operation, READ_ONLY))
            case _:
                raise ProtocolViolation("an answer where a request should be")

    def _extended(self, oid: str) -> ExtendedResponse:
        if oid == controls.WHO_AM_I:
            principal = self._binding.principal
            return ExtendedResponse(Result(), value=f"u:{principal.address}".encode() if principal else b"")
        return ExtendedResponse(Result(Code.PROTOCOL_ERROR, diagnostic="no such extended operation"))

    async def _search(self, message: Message, request: SearchRequest) -> None:
        if _unknown(message, SUPPORTED):
            self._finish(message, Outcome(Result(Code.UNAVAILABLE_CRITICAL_EXTENSION)))
            return
        if not request.base and request.scope is Scope.BASE:
            await self._root(message, request)
            return
        principal = self._binding.principal
        if principal is None:
            self._finish(message, Outcome(_ANONYMOUS))
            return
        searching = Searching(self._settings, self._shared.book, self._shared.clock, principal)
        try:
            run = searching.run(request, message.controls)
            async with contextlib.aclosing(run):
                async for found in run:
                    if self._dropped:
                        return
                    if isinstance(found, Outcome):
                        self._finish(message, found)
                        return
                    if found:
                        self._stream.write([self._session.answer(message.id, entry) for entry in found])
                        await self._stream.drain()
        except Refusal as refusal:
            self._finish(message, Outcome(result_of(refusal)))
        except ProtocolViolation as problem:  # in a control's value: nothing else is broken
            self._finish(message, Outcome(Result(Code.PROTOCOL_ERROR, diagnostic=str(problem))))

    async def _root(self, message: Message, request: SearchRequest) -> None:
        """The one entry that everybody may read."""
        attributes = rootdse.entry(
            self._settings,
            await self._shared.book.organisation(),
            self._binding.mechanisms(),
            starttls=self._stream.tls is None and self._settings.starttls and self._shared.tls() is not None,
        )
        if matches(request.filter, attributes):
            wanted = Wanted(request.attributes, types_only=request.types_only)
            self._answer(message.id, wanted.pick("", attributes, rootdse.OPERATIONAL))
        self._finish(message, Outcome())

    def _finish(self, message: Message, outcome: Outcome) -> None:
        if not self._dropped:
            self._answer(message.id, SearchDone(outcome.result), outcome.controls)


def _unknown(message: Message, known: tuple[str, ...]) -> bool:
    """Whether a critical control is none of ours."""
    return any(control.critical and control.oid not in known for control in message.controls)
