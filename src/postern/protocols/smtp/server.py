"""Server side of an SMTP session (RFC 5321) without I/O.

    session.receive(data)
    while (event := session.next_event()) is not None:
        ... decide, then session.reply(Reply(...)) or session.challenge(...)
    send(session.output()); read more

Syntax, order, limits and everything that needs no decision are answered here. An event waits for its answer: `reply`
moves the state by the class of the reply, so that what was refused was never in the transaction. Replies to pipelined
commands pile up in one output. Invariants: after STARTTLS nothing that came in clear text remains (neither octets nor
state); whatever the chunks of the input, the events are the same.
"""

from __future__ import annotations

from postern.model.refusal import ProtocolViolation
from postern.protocols.lines.buffer import Fault
from postern.protocols.sasl import encoding
from postern.protocols.smtp import reply
from postern.protocols.smtp.commands import (
    Auth,
    AuthResponse,
    Closed,
    Event,
    Exps,
    Mail,
    Message,
    Rcpt,
    StartTls,
    Violation,
)
from postern.protocols.smtp.dialogue import BEFORE_TLS, COMMANDS, LONG, UNCOUNTED, Dialogue
from postern.protocols.smtp.extensions import Capabilities
from postern.protocols.smtp.reply import Reply


class ServerSession(Dialogue):
    """One connection. Its state changes from outside by `reply`, `challenge`, `tls_started` and `close` only."""

    # --- what the owner calls

    def receive(self, data: bytes) -> None:
        """Add what was read."""
        self._buffer.feed(data)

    def output(self) -> bytes:
        """Take what is to be sent."""
        if len(self._output) == 1:
            return self._output.pop()
        data = b"".join(self._output)
        self._output.clear()
        return data

    @property
    def in_data(self) -> bool:
        """Whether content is being received (another time limit applies)."""
        return self._reading in {"data", "chunk"}

    def greet(self, answer: Reply) -> None:
        """The first line, 220, or a refusal that ends the session."""
        self._output.append(answer.wire)
        if not answer.positive:
            self._closed = Closed("refused")

    def next_event(self) -> Event | None:
        """The next thing to decide; None when more input is needed. The event before must have been answered."""
        assert self._pending is None, "the last event has no answer"
        while self._closed is None:
            event: Event | None
            if self._reading == "data":
                if not len(self._buffer):
                    return None
                event = self._read_data()
            elif self._reading == "chunk":
                if self.transaction.chunk_waits(self._buffer):
                    return None
                event = self._read_chunk()
            else:
                line = self._buffer.line(encoding.RESPONSE_LIMIT_BYTES)
                if line is Fault.NEED_DATA:
                    return None
                event = self._fault(line) if isinstance(line, Fault) else self._line(line)
            if event is not None:
                self._pending = event
                return event
        return self._closed

    def reply(self, answer: Reply) -> None:
        """Answer the last event."""
        event, self._pending = self._pending, None
        self._output.append(answer.wire)
        match event:
            case Mail():
                if answer.positive:
                    self.transaction.mail = event
                    self._transactions += 1
            case Rcpt():
                if answer.positive:
                    self.transaction.recipients.append(event.recipient)
            case Message():
                self._reset()
                if answer.positive:
                    self.messages += 1
                    self._commands = 0
            case Auth() | Exps() | AuthResponse():
                self.authenticated = answer.positive
        if answer.permanent:
            self._count_error()
        if answer.code == 421:
            self._closed = Closed("refused")

    def challenge(self, data: bytes) -> None:
        """Answer Auth, Exps or AuthResponse by the mechanism's next challenge (not yet base64)."""
        assert isinstance(self._pending, Auth | Exps | AuthResponse)
        self._pending = None
        self._reading = "response"
        self._output.append(b"334 %b\r\n" % encoding.encode(data))

    def tls_started(self, capabilities: Capabilities) -> None:
        """The handshake is done: forget everything the client said before (RFC 3207 4.2)."""
        assert isinstance(self._pending, StartTls)
        self._pending = None
        self._buffer.clear()
        self._reset()
        self.capabilities = capabilities
        self.tls = True
        self.authenticated = False
        self.extended = False
        self.helo = ""

    # --- lines

    def _fault(self, fault: Fault) -> Event | None:
        if self._reading == "response":
            # An exchange in disorder is over; the account is not to blame.
            self._reading = "command"
            self._refuse(reply.AUTH_LINE_TOO_LONG if fault is Fault.TOO_LONG else reply.BARE_NEWLINE_COMMAND)
        else:
            self._refuse(reply.LINE_TOO_LONG if fault is Fault.TOO_LONG else reply.BARE_NEWLINE_COMMAND)
        return None

    def _line(self, line: bytes) -> Event | None:
        if self._reading == "response":
            return self._auth_response(line)
        verb, _, argument = line.partition(b" ")
        try:
            command = COMMANDS.get(verb.upper())
            if len(line) + 2 > self.limits.line_bytes and command not in LONG:
                raise Violation(reply.LINE_TOO_LONG)
            if command is None:
                raise Violation(reply.SYNTAX)
            self._commands += 1
            if command not in UNCOUNTED and self._commands > self.limits.commands_max:
                self.close(reply.TOO_MANY_COMMANDS, "commands")
                return None
            if self.capabilities.tls_required and not self.tls and verb.upper() not in BEFORE_TLS:
                raise Violation(reply.TLS_REQUIRED)
            try:
                text = argument.decode()
            except UnicodeDecodeError as error:
                raise Violation(reply.NOT_UTF8) from error
            return command(self, text)
        except Violation as violation:
            self._refuse(violation.answer)
            return None

    def _refuse(self, answer: Reply) -> None:
        self._output.append(answer.wire)
        self._count_error()

    def _count_error(self) -> None:
        self.errors += 1
        if self.errors > self.limits.errors_max and self._closed is None:
            self.close(reply.TOO_MANY_ERRORS, "errors")

    def _auth_response(self, line: bytes) -> Event | None:
        self._reading = "command"
        if line == b"*":
            self._refuse(reply.AUTH_CANCELLED)
            return None
        try:
            return AuthResponse(encoding.decode(line))
        except ProtocolViolation:
            self._refuse(reply.AUTH_ENCODING)
            return None

    # --- content

    def _read_data(self) -> Event | None:
        taken = self.transaction.read_data(self._buffer)
        if isinstance(taken, Reply) and self.transaction.cut_off:
            self.close(taken, "size")
            return None
        return self._taken(taken)

    def _read_chunk(self) -> Event | None:
        return self._taken(self.transaction.read_chunk(self._buffer))

    def _taken(self, taken: Message | Reply | None) -> Event | None:
        if taken is None:
            return None
        self._reading = "command"
        if isinstance(taken, Message):
            return taken
        if taken.positive:
            self._say(taken)
        else:
            self._refuse(taken)
        return None
