"""One ManageSieve connection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from postern.formats.sieve.tables import CAPABILITY
from postern.frontends.managesieve.replies import reply_to
from postern.frontends.managesieve.settings import ManageSieveSettings
from postern.frontends.ports import Authentication, Stream
from postern.frontends.signin import SignIn, channel_binding, clear_text_allowed, shows_certificate
from postern.model.ids import MailboxId
from postern.model.ports import Entropy
from postern.model.refusal import ProtocolViolation, Reason, Refusal
from postern.protocols.managesieve import replies
from postern.protocols.managesieve.commands import Command, State
from postern.protocols.managesieve.session import Bad, Response, Session
from postern.protocols.sasl.encoding import decode_initial, encode
from postern.protocols.sasl.server import offered
from postern.services.rules.rulebook import RuleBook, check

if TYPE_CHECKING:
    from postern.net.tls import Wrapping
    from postern.services.authentication import Principal

PROTOCOL = "imap"
"""What an account must be allowed to use: scripts go with the mail programs that are set up for IMAP."""


class Books(Protocol):
    """services.rules.rulebook.RuleBooks."""

    async def open(self, principal: Principal, owner: MailboxId | None = None) -> RuleBook:
        """Of the principal's mailbox. Raises Refusal."""
        ...


class Shared:
    """What all connections of a front end use."""

    def __init__(
        self,
        settings: ManageSieveSettings,
        books: Books,
        authentication: Authentication,
        entropy: Entropy,
        tls: Callable[[], Wrapping | None],
    ) -> None:
        self.settings = settings
        self.books = books
        self.authentication = authentication
        self.entropy = entropy
        self.tls = tls


class Connection:
    """State of one connection."""

    def __init__(self, shared: Shared, stream: Stream) -> None:
        self._shared = shared
        self._stream = stream
        self._session = Session()
        self._out: list[bytes] = []
        self._book: RuleBook | None = None
        self._login: SignIn | None = None
        self._unwatch: Callable[[], object] = bool
        self._bad = 0
        self.user = ""
        """Who is logged in, for the log."""

    async def run(self) -> None:
        """Until LOGOUT or the end of the connection. Raises TimeoutError, ConnectionError, Refusal."""
        settings = self._shared.settings
        self._out.append(self._capabilities() + replies.ok(f"{settings.server_name} Postern ready"))
        while True:
            event = self._session.next_event()
            if event is None:
                await self._flush()
                data = await self._stream.read(settings.idle_timeout_s if self._book else settings.login_timeout_s)
                if not data:
                    return
                self._session.feed(data)
            elif not await self._handle(event):
                await self._flush()
                return

    def release(self) -> None:
        """Forget who was signed in."""
        self._unwatch()
        self._unwatch = bool
        self._book = None

    async def _flush(self) -> None:
        if self._out:
            out, self._out = self._out, []
            self._stream.write(out)
            await self._stream.drain()

    # --- dispatch

    async def _handle(self, event: Command | Response | Bad) -> bool:
        """Whether the session goes on."""
        try:
            if isinstance(event, Bad):
                self._login = None
                if event.over:
                    self._out.append(replies.bye(event.text))
                    return False
                raise ProtocolViolation(event.text)
            if isinstance(event, Response):
                await self._sasl_response(event)
                return True
            if event.name == "LOGOUT":
                self._out.append(replies.ok("bye"))
                return False
            await _HANDLERS[event.name](self, event)
        except ProtocolViolation as violation:
            self._out.append(replies.no(str(violation)))
        except Refusal as refusal:
            self._out.append(reply_to(refusal))
            if refusal.reason not in (Reason.BAD_CREDENTIALS, Reason.ENCRYPTION_REQUIRED):
                return True
        else:
            self._bad = 0
            return True
        self._login = None
        self._bad += 1
        if self._bad < self._shared.settings.max_bad_commands:
            return True
        self._out.append(replies.bye("too many wrong commands"))
        return False

    # --- any state

    def _capabilities(self) -> bytes:
        rows: list[tuple[str, str | None]] = [
            ("IMPLEMENTATION", "Postern"),
            ("SASL", "" if self._book else " ".join(self._mechanisms())),
            ("SIEVE", CAPABILITY),
            ("MAXREDIRECTS", "4"),
            ("UNAUTHENTICATE", None),
            ("VERSION", "1.0"),
        ]
        if self._can_start_tls():
            rows.insert(3, ("STARTTLS", None))
        if self._book:
            rows.append(("OWNER", self.user))
        return replies.capabilities(rows)

    def _mechanisms(self) -> tuple[str, ...]:
        return offered(
            self._shared.settings.mechanisms,
            clear_text=clear_text_allowed(self._stream, self._shared.settings.cleartext_login),
            binding=channel_binding(self._stream),
            certificate=shows_certificate(self._stream),
        )

    def _can_start_tls(self) -> bool:
        settings = self._shared.settings
        return settings.starttls and self._stream.tls is None and self._shared.tls() is not None

    async def _capability(self, _: Command) -> None:
        self._out.append(self._capabilities() + replies.ok())

    async def _noop(self, command: Command) -> None:
        tag = b"TAG " + replies.string(command.octets(0)) if command.arguments else b""
        self._out.append(replies.ok("done", tag))

    # --- not authenticated

    async def _starttls(self, _: Command) -> None:
        context = self._shared.tls()
        if not self._can_start_tls() or context is None:
            raise ProtocolViolation("TLS is on already" if self._stream.tls else "TLS is not available")
        self._session.start_tls()
        self._out.append(replies.ok("begin TLS"))
        out, self._out = self._out, []
        self._stream.write(out)  # not drained: nothing may come between the go-ahead and the handshake
        await self._stream.start_tls(context)
        # RFC 5804 2.2: the capabilities come again by themselves
        self._out.append(self._capabilities() + replies.ok("TLS is on"))

    async def _authenticate(self, command: Command) -> None:
        mechanisms = self._mechanisms()
        mechanism = command.text(0).upper()
        if mechanism not in mechanisms:
            raise Refusal(Reason.NOT_SUPPORTED if self._stream.tls else Reason.ENCRYPTION_REQUIRED, mechanism)
        initial = decode_initial(command.octets(1) or b"=") if len(command.arguments) > 1 else None
        login = self._login = SignIn(self._shared.authentication, self._shared.entropy, self._stream, PROTOCOL)
        await self._follow(login, await login.begin(mechanism, initial, mechanisms))

    async def _sasl_response(self, response: Response) -> None:
        if response.data is None or self._login is None:
            raise ProtocolViolation("cancelled")
        await self._follow(self._login, await self._login.go_on(response.data))

    async def _follow(self, login: SignIn, step: bytes | Principal) -> None:
        if isinstance(step, bytes):
            if login.last:
                # success with data: both at once (RFC 5804 2.1)
                done = await login.go_on(b"")
                assert not isinstance(done, bytes)
                await self._admit(done, b"SASL " + replies.string(encode(step)))
                return
            self._session.expect_response()
            self._out.append(replies.challenge(encode(step)))
        else:
            await self._admit(step)

    async def _admit(self, principal: Principal, code: bytes = b"") -> None:
        self._login = None
        self._unwatch()
        self._unwatch = await self._shared.authentication.watch(principal, PROTOCOL, self._stream)
        self._book = await self._shared.books.open(principal)
        self.user = principal.address
        self._session.state = State.AUTHENTICATED
        self._out.append(replies.ok("welcome", code))

    # --- authenticated

    @property
    def _rules(self) -> RuleBook:
        assert self._book is not None, "the table lets nobody else here"
        return self._book

    async def _unauthenticate(self, _: Command) -> None:
        self.release()
        self.user = ""
        self._session.state = State.NOT_AUTHENTICATED
        self._out.append(replies.ok("who is it now?"))

    async def _havespace(self, command: Command) -> None:
        await self._rules.check_space(command.text(0), command.number(1))
        self._out.append(replies.ok())

    async def _putscript(self, command: Command) -> None:
        await self._rules.put(command.text(0), command.octets(1))
        self._out.append(replies.ok("kept"))

    async def _listscripts(self, _: Command) -> None:
        rows = [(script.name, script.active) for script in await self._rules.scripts()]
        self._out.append(replies.script_list(rows) + replies.ok())

    async def _setactive(self, command: Command) -> None:
        await self._rules.activate(command.text(0))
        self._out.append(replies.ok("active" if command.octets(0) else "no script is active"))

    async def _getscript(self, command: Command) -> None:
        self._out.append(replies.literal(await self._rules.script(command.text(0))) + b"\r\n" + replies.ok())

    async def _deletescript(self, command: Command) -> None:
        await self._rules.remove(command.text(0))
        self._out.append(replies.ok("removed"))

    async def _renamescript(self, command: Command) -> None:
        await self._rules.rename(command.text(0), command.text(1))
        self._out.append(replies.ok("renamed"))

    async def _checkscript(self, command: Command) -> None:
        check(command.octets(0))
        self._out.append(replies.ok("the script is valid"))


_HANDLERS: Mapping[str, Callable[[Connection, Command], Awaitable[None]]] = {
    "AUTHENTICATE": Connection._authenticate,
    "CAPABILITY": Connection._capability,
    "CHECKSCRIPT": Connection._checkscript,
    "DELETESCRIPT": Connection._deletescript,
    "GETSCRIPT": Connection._getscript,
    "HAVESPACE": Connection._havespace,
    "LISTSCRIPTS": Connection._listscripts,
    "NOOP": Connection._noop,
    "PUTSCRIPT": Connection._putscript,
    "RENAMESCRIPT": Connection._renamescript,
    "SETACTIVE": Connection._setactive,
    "STARTTLS": Connection._starttls,
    "UNAUTHENTICATE": Connection._unauthenticate,
}
