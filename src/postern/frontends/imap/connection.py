"""One connection: reads, parses, calls the handler, writes.

Commands that arrive together are all carried out before anything is written, so that a batch costs one write; and one
wait for durability before that write, since no OK has left until then.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from postern.frontends.imap.answers import Answers
from postern.frontends.imap.ports import Mailbox, Mailboxes, Watch
from postern.frontends.imap.selected import SelectedFolder
from postern.frontends.imap.settings import ImapSettings
from postern.frontends.imap.sites import Site
from postern.frontends.ports import Authentication, Stream
from postern.model.ports import Clock, Entropy
from postern.model.refusal import ProtocolViolation, Refusal
from postern.protocols.imap import capabilities, render
from postern.protocols.imap.commands.append import Append
from postern.protocols.imap.declined import Declined
from postern.protocols.imap.scanner import Scanner, no_arguments
from postern.protocols.imap.session import Command, Continue, Limits, Rejected, ServerSession, State
from postern.protocols.imap.table import COMMANDS
from postern.protocols.sasl.encoding import RESPONSE_LIMIT_BYTES
from postern.protocols.sasl.server import MECHANISMS

if TYPE_CHECKING:
    import ssl

    from postern.net.tls import Wrapping
    from postern.services.authentication import Principal

Handler = Callable[["Connection", Any, bool], Awaitable[bytes]]
"""Takes the connection, the parsed arguments and whether the command came under UID; returns the tagged response."""

TARGET_COMMANDS = frozenset({b"APPEND", b"COPY", b"MOVE", b"UID COPY", b"UID MOVE", b"REPLACE", b"UID REPLACE"})
"""Commands in which a missing folder is one to be created (TRYCREATE)."""

WITHOUT_MAILBOX = frozenset({b"CAPABILITY", b"NOOP", b"ID", b"ENABLE", b"LOGOUT"})
"""Commands of a session that has signed in for which its mailbox need not be opened."""

MAX_TOGETHER = 32
MAX_TOGETHER_BYTES = 16_777_216
"""How many pipelined APPENDs, and octets in them, are under way at the same time in one session."""


class Shared:
    """What all connections of a worker share."""

    __slots__ = ("answers", "authentication", "clock", "entropy", "limits", "mailboxes", "settings", "tls", "without")

    def __init__(
        self,
        settings: ImapSettings,
        mailboxes: Mailboxes,
        authentication: Authentication,
        entropy: Entropy,
        tls: Callable[[], ssl.SSLContext | Wrapping | None],
        clock: Clock,
    ) -> None:
        self.clock = clock
        self.answers = Answers()
        self.without = frozenset(name.upper().encode("ascii") for name in settings.disabled_capabilities)
        """Capabilities that nobody is offered."""
        self.settings = settings
        self.mailboxes = mailboxes
        self.authentication = authentication
        self.entropy = entropy
        self.tls = tls
        tickets = any(MECHANISMS[name].tokens for name in settings.mechanisms)
        self.limits = Limits(
            line_bytes=settings.line_bytes,
            # a Kerberos ticket with many groups comes in one line
            line_before_login_bytes=RESPONSE_LIMIT_BYTES if tickets else Limits().line_before_login_bytes,
            literal_bytes=settings.literal_bytes,
            append_bytes=settings.append_bytes,
        )


class Connection:
    """State of one connection."""

    __slots__ = (
        "afterwards",
        "appending",
        "appending_bytes",
        "bad",
        "command",
        "condstore",
        "deflated",
        "dirty",
        "handlers",
        "home",
        "others",
        "out",
        "principal",
        "qresync",
        "queued",
        "release",
        "rev2",
        "saved",
        "selected",
        "session",
        "shared",
        "stream",
        "timeout_s",
        "uid_only",
        "user",
        "utf8",
        "visited",
        "watch",
        "without",
    )

    def __init__(self, shared: Shared, stream: Stream, handlers: Mapping[bytes, Handler]) -> None:
        self.shared = shared
        self.stream = stream
        self.handlers = handlers
        self.session = ServerSession(shared.limits)
        self.out: list[bytes | memoryview] = []
        self.queued = 0
        self.deflated = False
        self.home: Site | None = None
        self.others: dict[str, Site] = {}
        """Other users' mailboxes opened so far, by address."""
        self.visited: dict[str, Site] = {}
        """Mailboxes that are open to everybody and were named here."""
        self.principal: Principal | None = None
        self.release: Callable[[], object] = bool
        """Tells the life cycle that the session is over; until somebody is signed in it does nothing."""
        self.user = ""
        self.selected: SelectedFolder | None = None
        self.condstore = self.qresync = self.uid_only = self.utf8 = self.rev2 = False
        """What ENABLE or a command that implies it has switched on."""
        self.without = shared.without
        """Upper-case names of capabilities that this session is not offered."""
        self.session.minus = bool(self.without) and capabilities.off(b"LITERAL+", self.without)
        self.saved: array[int] | None = None
        """UIDs that the last SEARCH RETURN (SAVE) found in the selected folder (RFC 5182)."""
        self.watch: Watch | None = None
        """What NOTIFY asked for."""
        self.dirty: list[Mailbox] = []
        """Mailboxes with commits whose OK waits for `durable`."""
        self.afterwards: Callable[[], Awaitable[None]] | None = None
        """What follows the tagged OK once it is written: the handshake of STARTTLS, the start of compression."""
        self.appending: list[tuple[bytes, asyncio.Future[bytes]]] = []
        """Tags and outcomes of APPENDs under way."""
        self.appending_bytes = 0
        self.command = Command(b"", b"", b"", [])
        """The one being carried out."""
        self.bad = 0
        self.timeout_s = shared.settings.login_timeout_s

    # --- what handlers use
    @property
    def view(self) -> SelectedFolder:
        """The selected folder; there is one in the selected state."""
        assert self.selected is not None
        return self.selected

    @property
    def own(self) -> Site:
        """The session's own mailbox; commands outside WITHOUT_MAILBOX find it open after authentication."""
        assert self.home is not None
        return self.home

    @property
    def as_it_is(self) -> bool:
        """Whether what is written goes to the kernel as it is, without being enciphered or deflated here."""
        return not self.deflated and self.stream.tls is None

    def changed(self, mailbox: Mailbox) -> None:
        """Something was committed there: `flush` waits until it is durable."""
        if mailbox not in self.dirty:
            self.dirty.append(mailbox)

    async def flush(self) -> None:
        """Write what is gathered. What is committed becomes durable before its OK leaves."""
        self.queued = 0
        if self.selected is not None:
            self.selected.ahead.clear()
        if not self.out:
            return
        if self.dirty:
            dirty, self.dirty = self.dirty, []
            for mailbox in dirty:
                await mailbox.durable()
        self.stream.write(self.out)
        self.out.clear()
        await self.stream.drain()

    async def gathered(self, octets: int) -> None:
        """Count what was added to a long answer; write when it is much."""
        self.queued += octets
        if self.queued >= self.shared.settings.output_bytes:
            await self.flush()

    async def line(self) -> bytes | None:
        """A line outside commands; None at the end of the connection."""
        while (line := self.session.next_line()) is None:
            await self.flush()
            data = await self.stream.read(self.timeout_s)
            if not data:
                return None
            self.session.feed(data)
        return line

    def name(self, name: str) -> bytes:
        """A mailbox name as this session's client reads it."""
        return render.mailbox(name, utf8=self.utf8)

    def offers(self, capability: bytes) -> bool:
        """Whether a capability is not switched off for this session."""
        return not self.without or not capabilities.off(capability, self.without)

    def deselect(self) -> None:
        """Leave the selected folder."""
        self.selected = None
        self.saved = None
        if self.session.state is State.SELECTED:
            self.session.state = State.AUTHENTICATED

    # --- the loop
    async def run(self) -> None:
        """Serve until logout or the end of the connection."""
        session = self.session
        while session.state is not State.LOGOUT:
            event = session.next()
            if self.appending and not (type(event) is Command and event.name == b"APPEND" and not _reads(event)):
                await self._settle()
            if event is None:
                await self.flush()
                watch = self.watch
                data = await (self.stream.read(self.timeout_s) if watch is None else watch.input(self))
                if not data:
                    return
                session.feed(data)
            elif type(event) is Command:
                await self._command(event)
                if self.afterwards is not None:
                    afterwards, self.afterwards = self.afterwards, None
                    await self.flush()
                    await afterwards()
            elif type(event) is Continue:
                self.out.append(b"+ OK\r\n")
            elif type(event) is Rejected:
                self.out.append(b"%b %b\r\n" % event[:2])
                if event.closes:
                    self.out.append(b"* BYE Literal too large\r\n")
                    session.state = State.LOGOUT
                else:
                    self._count_bad()
        await self.flush()

    async def _command(self, command: Command) -> None:
        tag, name, text, literals = command
        specification = COMMANDS.get(name)
        session = self.session
        if specification is None or (
            self.without and specification.capability and not self.offers(specification.capability)
        ):
            self._answer_bad(tag, "Unknown command")
            return
        if session.state not in specification.states:
            self._answer_bad(tag, f"{name.decode('ascii')} is not allowed when {session.state.value}")
            return
        if self.uid_only and specification.numbers:
            self._answer_bad(tag, "[UIDREQUIRED] Message numbers are not used after ENABLE UIDONLY")
            return
        selected = self.selected
        self.command = command
        arguments: Any = None
        try:
            if self.home is None and self.principal is not None and name not in WITHOUT_MAILBOX:
                self.home = Site(await self.shared.mailboxes.open(self.principal))
            if text or specification.parse is not no_arguments:
                arguments = specification.parse(Scanner(text, literals, utf8=self.utf8))
            if name == b"APPEND" and arguments.alone and (self.appending or session.pending()):
                await self._append_together(tag, arguments)
                return
            response = await self.handlers[name](self, arguments, name.startswith(b"UID "))
            if self.selected is not None and self.selected is selected:
                await selected.sync(self.out, expunge=specification.expunge_allowed)
            self.bad = 0
        except Declined as declined:
            response = declined.response
        except ProtocolViolation as violation:
            self._answer_bad(tag, str(violation))
            return
        except Refusal as refusal:
            response = render.refused(refusal.reason, target=name in TARGET_COMMANDS)
        self.out.append(b"%b %b\r\n" % (tag, response))
        if len(self.out) > 512:
            await self.gathered(sum(map(len, self.out)))

    # --- pipelined APPENDs
    async def _append_together(self, tag: bytes, arguments: Append) -> None:
        """Begin an APPEND that others may follow at once: together they wait for one sync of the journal, not each."""
        work = asyncio.ensure_future(self.handlers[b"APPEND"](self, arguments, False))
        self.appending.append((tag, work))
        self.appending_bytes += arguments.octets
        if len(self.appending) >= MAX_TOGETHER or self.appending_bytes >= MAX_TOGETHER_BYTES:
            await self._settle()

    async def _settle(self) -> None:
        """Answer the APPENDs that were begun, in their order."""
        begun, self.appending, self.appending_bytes = self.appending, [], 0
        outcomes = await asyncio.gather(*(work for _, work in begun), return_exceptions=True)
        if self.selected is not None:
            await self.selected.sync(self.out, expunge=True)
        for (tag, _), outcome in zip(begun, outcomes, strict=True):
            if isinstance(outcome, Declined):
                outcome = outcome.response
            elif isinstance(outcome, Refusal):
                outcome = render.refused(outcome.reason, target=True)
            elif isinstance(outcome, BaseException):
                raise outcome
            self.out.append(b"%b %b\r\n" % (tag, outcome))
            self.bad = 0

    def _answer_bad(self, tag: bytes, text: str) -> None:
        self.out.append(b"%b BAD %b\r\n" % (tag, text.encode("ascii", "replace")))
        self._count_bad()

    def _count_bad(self) -> None:
        self.bad += 1
        if self.bad >= self.shared.settings.max_bad_commands:
            self.out.append(b"* BYE Too many bad commands\r\n")
            self.session.state = State.LOGOUT


def _reads(command: Command) -> bool:
    """Whether an APPEND may read what those before it store (CATENATE)."""
    return b"CATENATE" in command.text.upper()
