"""One POP3 connection: commands in, joined replies out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from typing import TYPE_CHECKING

from postern.frontends.pop3.maildrop import Maildrop
from postern.frontends.pop3.ports import Mailboxes, Maildrops
from postern.frontends.pop3.replies import REPLIES, reply_to
from postern.frontends.pop3.settings import Pop3Settings
from postern.frontends.ports import Authentication, Stream
from postern.frontends.signin import SignIn, channel_binding, clear_text_allowed, note, shows_certificate
from postern.model.ports import Entropy
from postern.model.refusal import ProtocolViolation, Reason, Refusal
from postern.protocols.pop3.commands import Command, State
from postern.protocols.pop3.replies import error, lines, ok, stuffed, top
from postern.protocols.pop3.session import Bad, Response, Session
from postern.protocols.sasl.encoding import decode_initial, encode
from postern.protocols.sasl.server import offered

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping
    from postern.services.authentication import Principal

PROTOCOL = "pop3"
_NO_MESSAGE = error("no such message")
_MAX_BATCH = 256
"""RETRs answered from one look into the mailbox."""


class Shared:
    """What all connections of a front end use."""

    def __init__(
        self,
        settings: Pop3Settings,
        mailboxes: Mailboxes,
        authentication: Authentication,
        maildrops: Maildrops,
        entropy: Entropy,
        tls: Callable[[], ssl.SSLContext | Wrapping | None],
    ) -> None:
        self.settings = settings
        self.mailboxes = mailboxes
        self.authentication = authentication
        self.maildrops = maildrops
        self.entropy = entropy
        self.tls = tls


class Connection:
    """State of one connection. Replies gather in `_out` and leave as one write a batch of pipelined commands."""

    __slots__ = ("_bad", "_drop", "_login", "_name", "_out", "_pending", "_release", "_session", "_shared", "_size",
                 "_stream", "_unwatch", "user")  # fmt: skip

    def __init__(self, shared: Shared, stream: Stream) -> None:
        self._shared = shared
        self._stream = stream
        self._session = Session()
        self._out: list[bytes] = []
        self._size = 0
        self._pending: list[int] = []
        self._drop: Maildrop | None = None
        self._release: Callable[[], None] | None = None
        self._unwatch: Callable[[], object] = bool
        self._login: SignIn | None = None
        self._name = ""
        self._bad = 0
        self.user = ""
        """Who is logged in, for the log."""

    async def run(self) -> None:
        """Until QUIT or the end of the connection. Raises TimeoutError, ConnectionError, Refusal."""
        settings = self._shared.settings
        while True:
            event = self._session.next_event()
            if event is None:
                await self._retrieve()
                await self._flush()
                data = await self._stream.read(settings.idle_timeout_s if self._drop else settings.login_timeout_s)
                if not data:
                    return
                self._session.feed(data)
                continue
            if isinstance(event, Command) and event.name == b"RETR":
                self._note_retrieval(event)
                if len(self._pending) >= _MAX_BATCH:
                    await self._retrieve()
                continue
            await self._retrieve()
            if not await self._handle(event):
                await self._flush()
                return

    def release(self) -> None:
        """Give the maildrop back, and forget who was signed in."""
        self._unwatch()
        self._unwatch = bool
        if self._release is not None:
            self._release()
            self._release = None

    # --- output

    def _reply(self, data: bytes) -> None:
        self._out.append(data)
        self._size += len(data)

    async def _flush(self) -> None:
        if self._out:
            self._stream.write(self._out)
            self._out = []
            self._size = 0
            await self._stream.drain()

    # --- dispatch

    async def _handle(self, event: Command | Response | Bad) -> bool:
        """Whether the session goes on."""
        if isinstance(event, Bad):
            self._login = None
            return self._refuse(event.text)
        try:
            if isinstance(event, Response):
                return await self._sasl_response(event)
            if event.name == b"QUIT":
                await self._quit()
                return False
            going_on = await _HANDLERS[event.name](self, event)
            if self._size > self._shared.settings.output_bytes:
                await self._flush()
            return going_on is not False
        except ProtocolViolation as violation:
            self._login = None
            return self._refuse(str(violation))
        except Refusal as refusal:
            self._login = None
            self._reply(reply_to(refusal))
            return self._count_bad()

    def _refuse(self, text: str) -> bool:
        self._reply(error(text))
        return self._count_bad()

    def _count_bad(self) -> bool:
        self._bad += 1
        return self._bad < self._shared.settings.max_bad_commands

    # --- AUTHORIZATION

    def _mechanisms(self) -> tuple[str, ...]:
        allowed = self._shared.settings.mechanisms
        return offered(
            allowed,
            clear_text=self._clear_text_allowed(),
            binding=channel_binding(self._stream),
            certificate=shows_certificate(self._stream),
        )

    def _can_start_tls(self) -> bool:
        settings = self._shared.settings
        return settings.starttls and self._stream.tls is None and self._shared.tls() is not None

    async def _capa(self, _: Command) -> None:
        settings = self._shared.settings
        expire = "NEVER" if settings.expire_days is None else str(settings.expire_days)
        capabilities = ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", f"EXPIRE {expire}"]
        # user names are UTF-8 wherever there are any (RFC 6856 2.2)
        capabilities.append("UTF8 USER" if self._clear_text_allowed() else "UTF8")
        if settings.login_delay_s:
            capabilities.append(f"LOGIN-DELAY {settings.login_delay_s}")
        if self._drop is None:
            if self._clear_text_allowed():
                capabilities.append("USER")
            if mechanisms := self._mechanisms():
                capabilities.append("SASL " + " ".join(mechanisms))
            if self._can_start_tls():
                capabilities.append("STLS")
        capabilities.append("IMPLEMENTATION Postern")
        self._reply(lines("here is what I can do", capabilities))

    async def _stls(self, _: Command) -> None:
        context = self._shared.tls()
        if not self._can_start_tls() or context is None:
            raise ProtocolViolation("TLS is on already" if self._stream.tls else "TLS is not available")
        self._session.start_tls()
        self._name = ""
        self._reply(ok("begin TLS"))
        self._stream.write(self._out)  # not drained: nothing may come between the go-ahead and the handshake
        self._out = []
        self._size = 0
        await self._stream.start_tls(context)

    async def _utf8(self, _: Command) -> None:
        """RFC 6856 2.1: messages go out as they are anyway; what changes is that the client says it can read them."""
        self._reply(ok("UTF8 enabled"))

    async def _user(self, command: Command) -> None:
        self._require_tls()
        self._name = _text(command.arguments[0])
        self._reply(ok("and the password?"))

    async def _pass(self, command: Command) -> None:
        self._require_tls()
        name, self._name = self._name, ""
        if not name:
            raise ProtocolViolation("USER comes first")
        password = _text(command.arguments[0])
        note(self._stream, PROTOCOL, "USER")
        await self._admit(
            await self._shared.authentication.verify_password(name, password, self._stream.peer[0], PROTOCOL)
        )

    def _clear_text_allowed(self) -> bool:
        """Whether a password may cross this connection."""
        return clear_text_allowed(self._stream, self._shared.settings.cleartext_login)

    def _require_tls(self) -> None:
        if not self._clear_text_allowed():
            raise Refusal(Reason.ENCRYPTION_REQUIRED)

    async def _auth(self, command: Command) -> None:
        mechanisms = self._mechanisms()
        if not command.arguments:  # older than RFC 5034, but Outlook asks
            self._reply(lines("mechanisms", mechanisms))
            return
        mechanism = _text(command.arguments[0]).upper()
        if mechanism not in mechanisms:
            raise Refusal(Reason.NOT_SUPPORTED if self._stream.tls else Reason.ENCRYPTION_REQUIRED, mechanism)
        initial = decode_initial(command.arguments[1]) if len(command.arguments) > 1 else None
        login = self._login = SignIn(self._shared.authentication, self._shared.entropy, self._stream, PROTOCOL)
        await self._follow(await login.begin(mechanism, initial, mechanisms))

    async def _sasl_response(self, response: Response) -> bool:
        if response.data is None:
            self._login = None
            return self._refuse("cancelled")
        assert self._login is not None
        await self._follow(await self._login.go_on(response.data))
        return True

    async def _follow(self, step: bytes | Principal) -> None:
        if isinstance(step, bytes):
            self._session.expect_response()
            self._reply(b"+ %b\r\n" % encode(step))
        else:
            self._login = None
            await self._admit(step)

    async def _admit(self, principal: Principal) -> None:
        if principal.mailbox is None:
            raise Refusal(Reason.NO_SUCH_RECIPIENT, principal.address)
        self._unwatch()
        self._unwatch = await self._shared.authentication.watch(principal, PROTOCOL, self._stream)
        release = self._shared.maildrops.acquire(principal.slot)
        if release is None:
            raise Refusal(Reason.IN_USE, principal.address)
        try:
            if wait_s := self._too_soon(principal.slot):
                release()
                self._reply(error(f"the last session was a moment ago, wait {wait_s} seconds", "LOGIN-DELAY"))
                return
            self._drop = await Maildrop.open(await self._shared.mailboxes.open(principal))
        except BaseException:
            release()
            raise
        self._release = release
        self.user = principal.address
        self._bad = 0
        self._session.state = State.TRANSACTION
        self._reply(ok(f"{self._drop.count} messages"))

    def _too_soon(self, slot: int) -> int:
        """Seconds that the user has to wait for a session (RFC 2449 6.5), whoever served the last one; 0: none."""
        delay_s = self._shared.settings.login_delay_s
        if not delay_s:
            return 0
        return ceil(self._shared.maildrops.wait_s(slot, asyncio.get_running_loop().time(), delay_s))

    # --- TRANSACTION

    def _number(self, command: Command) -> int:
        """A message number that is there, else 0."""
        assert self._drop is not None
        number = command.number()
        return number if self._drop.has(number) else 0

    async def _stat(self, _: Command) -> None:
        assert self._drop is not None
        self._reply(ok(f"{self._drop.count} {self._drop.octets}"))

    async def _list(self, command: Command) -> None:
        drop = self._drop
        assert drop is not None
        if command.arguments:
            number = self._number(command)
            self._reply(ok(f"{number} {drop.sizes[number - 1]}") if number else _NO_MESSAGE)
        else:
            rows = (f"{number} {drop.sizes[number - 1]}" for number in drop.numbers())
            self._reply(lines(f"{drop.count} messages", rows))

    async def _uidl(self, command: Command) -> None:
        drop = self._drop
        assert drop is not None
        if command.arguments:
            number = self._number(command)
            self._reply(ok(f"{number} {drop.unique_id(number)}") if number else _NO_MESSAGE)
        else:
            rows = (f"{number} {drop.unique_id(number)}" for number in drop.numbers())
            self._reply(lines("unique ids", rows))

    def _note_retrieval(self, command: Command) -> None:
        """Pipelined RETRs gather: one look into the mailbox and one write for all of them."""
        try:
            self._pending.append(self._number(command))
        except ProtocolViolation:
            self._pending.append(0)

    async def _retrieve(self) -> None:
        drop = self._drop
        limit = self._shared.settings.output_bytes
        while self._pending:
            assert drop is not None
            size = count = 0
            for number in self._pending:
                size += drop.sizes[number - 1] if number else 0
                if count and size > limit:
                    break
                count += 1
            batch, self._pending = self._pending[:count], self._pending[count:]
            try:
                contents = await drop.contents([number for number in batch if number])
            except Refusal as refusal:
                self._out.extend([reply_to(refusal)] * count)
                continue
            found = iter(contents)
            for number in batch:
                content = next(found) if number else None
                if content is None:
                    self._reply(REPLIES[Reason.NO_SUCH_ITEM] if number else _NO_MESSAGE)
                else:
                    self._reply(b"+OK %d octets\r\n" % len(content))
                    self._reply(stuffed(content))
            if self._size > limit:
                await self._flush()

    async def _top(self, command: Command) -> None:
        drop = self._drop
        assert drop is not None
        number, count = self._number(command), command.number(1)
        if not number:
            self._reply(_NO_MESSAGE)
            return
        header = await drop.header(number) if count == 0 else None
        if header is None:
            content = (await drop.contents([number]))[0]
            if content is None:
                raise Refusal(Reason.NO_SUCH_ITEM)
            header = top(content, count)
        self._reply(ok("top of the message"))
        self._reply(stuffed(header))

    async def _dele(self, command: Command) -> None:
        assert self._drop is not None
        number = self._number(command)
        if not number:
            self._reply(_NO_MESSAGE)
            return
        self._drop.deleted.add(number)
        self._reply(ok("marked"))

    async def _noop(self, _: Command) -> None:
        self._reply(ok())

    async def _rset(self, _: Command) -> None:
        assert self._drop is not None
        self._drop.deleted.clear()
        self._reply(ok(f"{self._drop.count} messages"))

    # --- UPDATE

    async def _quit(self) -> None:
        if self._drop is not None:
            try:
                await self._drop.update()
            except Refusal as refusal:  # nothing or not everything was removed; the session ends all the same
                self._reply(reply_to(refusal))
                return
            finally:
                self.release()
        self._reply(ok("bye"))


def _text(data: bytes) -> str:
    """A user name or password. Raises ProtocolViolation."""
    try:
        return data.decode()
    except UnicodeDecodeError as broken:
        raise ProtocolViolation("not UTF-8") from broken


_HANDLERS: Mapping[bytes, Callable[[Connection, Command], Awaitable[bool | None]]] = {
    b"CAPA": Connection._capa,
    b"STLS": Connection._stls,
    b"USER": Connection._user,
    b"UTF8": Connection._utf8,
    b"PASS": Connection._pass,
    b"AUTH": Connection._auth,
    b"STAT": Connection._stat,
    b"LIST": Connection._list,
    b"UIDL": Connection._uidl,
    b"TOP": Connection._top,
    b"DELE": Connection._dele,
    b"NOOP": Connection._noop,
    b"RSET": Connection._rset,
}
