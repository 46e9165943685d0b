"""The commands of an SMTP server session: what each needs, what it changes (RFC 5321 4.1.1, 4.1.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

import msgspec

from postern.model.refusal import ProtocolViolation
from postern.protocols.lines.buffer import LineBuffer
from postern.protocols.sasl import encoding
from postern.protocols.smtp import extensions, reply
from postern.protocols.smtp.commands import (
    Auth,
    Closed,
    Event,
    Exps,
    Mail,
    Rcpt,
    StartTls,
    Violation,
    parse_mail,
    parse_rcpt,
)
from postern.protocols.smtp.extensions import Capabilities
from postern.protocols.smtp.reply import Reply
from postern.protocols.smtp.transaction import Transaction

_HELO = re.compile(r"[A-Za-z0-9._:\-\[\]]{1,255}")
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")


class Limits(msgspec.Struct, frozen=True):
    """Of one session."""

    line_bytes: int = 4096
    """A command with its CRLF; RFC 5321 4.5.3.1.4 asks for 512, extensions for more. AUTH has its own limit."""
    errors_max: int = 20
    """Refused commands and recipients; then 421."""
    commands_max: int = 1000
    """Commands other than RCPT and BDAT since the last accepted message; then 421."""
    bare_newlines: Literal["refuse", "fix"] = "refuse"


Reading = Literal["command", "response", "data", "chunk"]
"""What the next octets are."""


class Dialogue:
    """State of a session, and the commands that work on it. Raises Violation for what is refused."""

    def __init__(self, capabilities: Capabilities, limits: Limits, *, tls: bool = False) -> None:
        self.capabilities = capabilities
        self.limits = limits
        self.tls = tls
        self.authenticated = False
        self.extended = False
        """Whether EHLO was said, not HELO."""
        self.helo = ""
        self.messages = 0
        """Messages accepted so far."""
        self.errors = 0
        self.transaction = Transaction(limits.bare_newlines)
        self._buffer = LineBuffer()
        self._output: list[bytes] = []
        self._pending: Event | None = None
        self._reading: Reading = "command"
        self._commands = 0
        self._transactions = 0
        self._closed: Closed | None = None

    def close(self, answer: Reply, reason: str) -> None:
        """End the session (limit passed, shutdown)."""
        self._say(answer)
        self._closed = Closed(reason)
        self._pending = None

    def _say(self, answer: Reply) -> None:
        self._output.append(answer.wire)

    def _reset(self) -> None:
        self.transaction.reset()
        self._reading = "command"

    def _on_helo(self, argument: str) -> None:
        self._hello(argument, extended=False)
        self._say(extensions.plain_hello(self.capabilities.hostname))

    def _on_ehlo(self, argument: str) -> None:
        self._hello(argument, extended=True)
        self._say(extensions.hello(self.capabilities, authenticated=self.authenticated))

    def _hello(self, argument: str, *, extended: bool) -> None:
        name = argument.strip(" ")
        if not _HELO.fullmatch(name):
            raise Violation(reply.BAD_ARGUMENT)
        self._reset()
        self.helo = name
        self.extended = extended

    def _on_mail(self, argument: str) -> Mail | None:
        if not self.helo:
            raise Violation(reply.HELLO_FIRST)
        if self.transaction.mail is not None:
            raise Violation(reply.NESTED_MAIL)
        if self.capabilities.auth_required and not self.authenticated:
            raise Violation(reply.AUTH_REQUIRED)
        if 0 < self.capabilities.messages_max <= self._transactions:
            self.close(reply.TOO_MANY_MESSAGES, "messages")
            return None
        mail = parse_mail(argument, extended=self.extended, size_limit_bytes=self.capabilities.size_limit_bytes)
        if mail.body == "BINARYMIME" and not self.capabilities.binary:
            raise Violation(reply.BAD_ARGUMENT)
        return mail

    def _on_rcpt(self, argument: str) -> Rcpt | None:
        if self.transaction.mail is None:
            raise Violation(reply.MAIL_FIRST)
        if self.transaction.chunked:
            raise Violation(reply.DATA_AFTER_BDAT)
        rcpt = parse_rcpt(argument, extended=self.extended, smtputf8=self.transaction.mail.smtputf8)
        if len(self.transaction.recipients) >= self.capabilities.recipients_max:
            # RFC 5321 4.5.3.1.10: not an error, the client sends the rest in another transaction.
            self._say(reply.TOO_MANY_RECIPIENTS)
            return None
        return rcpt

    def _on_data(self, argument: str) -> None:
        if argument:
            raise Violation(reply.NO_ARGUMENT)
        if self.transaction.mail is None:
            raise Violation(reply.MAIL_FIRST)
        if self.transaction.chunked:
            raise Violation(reply.DATA_AFTER_BDAT)
        if not self.transaction.recipients:
            raise Violation(reply.NO_VALID_RECIPIENTS)
        if self.transaction.mail.body == "BINARYMIME":
            raise Violation(reply.BINARY_NEEDS_BDAT)
        self.transaction.begin_data(self.capabilities.size_limit_bytes)
        self._reading = "data"
        self._say(reply.START_MAIL)

    def _on_bdat(self, argument: str) -> None:
        match argument.upper().split():
            case [size] | [size, "LAST"] if size.isascii() and size.isdigit() and len(size) <= 20:
                pass
            case _:
                raise Violation(reply.BAD_ARGUMENT)
        if not self.capabilities.binary:
            raise Violation(reply.NOT_IMPLEMENTED)
        limit = self.capabilities.size_limit_bytes
        if not self.transaction.begin_chunk(int(size), last=argument.upper().endswith("LAST"), limit_bytes=limit):
            self.close(reply.TOO_LARGE, "size")
            return
        self._reading = "chunk"

    def _on_rset(self, argument: str) -> None:
        if argument.strip():
            raise Violation(reply.NO_ARGUMENT)
        self._reset()
        self._say(reply.OK)

    def _on_noop(self, argument: str) -> None:
        self._say(reply.OK)

    def _on_help(self, argument: str) -> None:
        self._say(reply.HELP)

    def _on_vrfy(self, argument: str) -> None:
        if not argument.strip():
            raise Violation(reply.BAD_ARGUMENT)
        self._say(reply.VERIFY)

    def _on_expn(self, argument: str) -> None:
        raise Violation(reply.NOT_IMPLEMENTED)

    def _on_quit(self, argument: str) -> None:
        if argument.strip():
            raise Violation(reply.NO_ARGUMENT)
        self.close(Reply(221, "2.0.0", f"{self.capabilities.hostname} closing connection"), "quit")

    def _on_starttls(self, argument: str) -> StartTls:
        if argument:
            raise Violation(reply.NO_ARGUMENT)
        if not self.capabilities.starttls or self.tls:
            raise Violation(reply.TLS_NOT_OFFERED)
        if not self.extended:
            raise Violation(reply.EXTENDED_HELLO_FIRST)
        # Clear text that came with the command must never be taken for what came under TLS (CVE-2011-0411).
        dropped = self._buffer.clear()
        self._say(reply.READY_FOR_TLS)
        return StartTls(dropped)

    def _on_exps(self, argument: str) -> Exps:
        if not self.capabilities.knows_servers:
            raise Violation(reply.SYNTAX)
        mechanism, *initial = self._asked_mechanism(argument)
        if not _MECHANISM.fullmatch(mechanism):
            raise Violation(reply.BAD_ARGUMENT)
        return Exps(mechanism, self._initial(initial))

    def _asked_mechanism(self, argument: str) -> list[str]:
        """Mechanism and perhaps an initial response."""
        if not self.extended:
            raise Violation(reply.EXTENDED_HELLO_FIRST)
        if self.authenticated:
            raise Violation(reply.AUTH_TWICE)
        if self.transaction.mail is not None:
            raise Violation(reply.AUTH_IN_TRANSACTION)
        words = argument.split()
        if not 1 <= len(words) <= 2:
            raise Violation(reply.BAD_ARGUMENT)
        return [words[0].upper(), *words[1:]]

    @staticmethod
    def _initial(words: list[str]) -> bytes | None:
        try:
            return encoding.decode_initial(words[0].encode()) if words else None
        except ProtocolViolation as error:
            raise Violation(reply.AUTH_ENCODING) from error

    def _on_auth(self, argument: str) -> Auth:
        mechanism, *initial = self._asked_mechanism(argument)
        offered = self.capabilities.mechanisms
        if not offered and not self.capabilities.mechanisms_after_tls:
            raise Violation(reply.AUTH_NOT_OFFERED)
        if mechanism not in offered:
            if mechanism in self.capabilities.mechanisms_after_tls and not self.tls:
                raise Violation(reply.AUTH_NEEDS_TLS)
            raise Violation(reply.AUTH_UNKNOWN if _MECHANISM.fullmatch(mechanism) else reply.BAD_ARGUMENT)
        return Auth(mechanism, self._initial(initial))


_Handler = Callable[[Dialogue, str], Event | None]

COMMANDS: dict[bytes, _Handler] = {
    b"HELO": Dialogue._on_helo,  # RFC 5321 4.1.1.1
    b"EHLO": Dialogue._on_ehlo,
    b"MAIL": Dialogue._on_mail,  # RFC 5321 4.1.1.2
    b"RCPT": Dialogue._on_rcpt,  # RFC 5321 4.1.1.3
    b"DATA": Dialogue._on_data,  # RFC 5321 4.1.1.4
    b"BDAT": Dialogue._on_bdat,  # RFC 3030 2
    b"RSET": Dialogue._on_rset,  # RFC 5321 4.1.1.5
    b"VRFY": Dialogue._on_vrfy,  # RFC 5321 4.1.1.6
    b"EXPN": Dialogue._on_expn,  # RFC 5321 4.1.1.7
    b"HELP": Dialogue._on_help,  # RFC 5321 4.1.1.8
    b"NOOP": Dialogue._on_noop,  # RFC 5321 4.1.1.9
    b"QUIT": Dialogue._on_quit,  # RFC 5321 4.1.1.10
    b"STARTTLS": Dialogue._on_starttls,  # RFC 3207 4
    b"AUTH": Dialogue._on_auth,  # RFC 4954 4
    b"X-EXPS": Dialogue._on_exps,  # Exchange's AUTH between servers
}
LONG = (Dialogue._on_auth, Dialogue._on_exps)
"""Lines of these may be as long as a response to a challenge."""
UNCOUNTED = (Dialogue._on_rcpt, Dialogue._on_bdat)
"""A transaction may have many of these; those outside one are errors and counted as such."""
BEFORE_TLS = frozenset({b"EHLO", b"HELO", b"NOOP", b"RSET", b"QUIT", b"STARTTLS", b"HELP"})
"""Allowed while TLS is required and missing (RFC 3207 4)."""
