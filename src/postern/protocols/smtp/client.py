"""Client side of an SMTP session (RFC 5321) without I/O.

An operation is a generator: it yields what to send (maybe nothing) and is sent the next reply; its value is the result.

    def run(operation):                       # the driver, in whatever kind of I/O
        try:
            data = next(operation)
            while True:
                if data: write(data)
                while (answer := session.next_reply()) is None: session.receive(read())
                data = operation.send(answer)
        except StopIteration as stop:
            return stop.value

`next_reply` raises ProtocolViolation when the server does not speak SMTP: close the connection.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from postern.model.envelope import Envelope, Recipient
from postern.model.refusal import ProtocolViolation
from postern.protocols.lines.buffer import Fault, LineBuffer
from postern.protocols.sasl import encoding
from postern.protocols.sasl.client import ClientExchange
from postern.protocols.smtp import parameters

REPLY_LINE_LIMIT_BYTES = 4096
REPLY_LINES_LIMIT = 128
"""A server that goes on and on must not fill our memory."""

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


class RemoteReply(NamedTuple):
    """What a server said."""

    code: int
    enhanced: str
    """Empty if it gave none."""
    lines: tuple[str, ...]
    """Text without the codes."""

    @property
    def positive(self) -> bool:
        """2xx."""
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        """5xx."""
        return self.code >= 500

    @property
    def text(self) -> str:
        """For logs and DSNs (RFC 3464 2.3.6): codes and text in one line."""
        return " ".join(filter(None, (str(self.code), self.enhanced, *self.lines)))


def _number(text: str, most_digits: int) -> int | None:
    """A number above zero; None for anything else."""
    known = text.isascii() and text.isdigit() and len(text) <= most_digits
    return (int(text) or None) if known else None


class Extensions(msgspec.Struct, frozen=True):
    """What a server announced: upper-case keyword -> arguments."""

    keywords: dict[str, tuple[str, ...]]

    def __contains__(self, keyword: object) -> bool:
        return keyword in self.keywords

    @property
    def size_limit_bytes(self) -> int | None:
        """Fixed maximum (RFC 1870 3); None if there is none."""
        given = self.keywords.get("SIZE", ())
        return _number(given[0], 20) if given else None

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """AUTH mechanisms."""
        return self.keywords.get("AUTH", ())

    @property
    def between_servers(self) -> tuple[str, ...]:
        """X-EXPS mechanisms, upper case."""
        return tuple(word.upper() for word in self.keywords.get("X-EXPS", ()))

    def limit(self, name: str) -> int | None:
        """A number out of LIMITS (RFC 9422): RCPTMAX, MAILMAX, RCPTDOMAINMAX."""
        for word in self.keywords.get("LIMITS", ()):
            key, _, value = word.partition("=")
            if key.upper() == name and (number := _number(value, 6)) is not None:
                return number
        return None


def challenge_of(answer: RemoteReply) -> bytes:
    """What a 334 carries. Raises ProtocolViolation for what is not base64."""
    return encoding.decode(answer.lines[0].encode("ascii", "replace"))


class RecipientResult(NamedTuple):
    """What became of one recipient."""

    recipient: Recipient
    reply: RemoteReply
    """To RCPT if that was refused, else to the whole message (or to MAIL if that was refused)."""
    at_rcpt: bool = False
    """Whether it was the answer to RCPT."""

    @property
    def accepted(self) -> bool:
        """Whether the server has taken responsibility."""
        return self.reply.positive


Operation: TypeAlias = Generator[bytes, RemoteReply, RemoteReply]
Transfer: TypeAlias = Generator[bytes, RemoteReply, list[RecipientResult]]


class ClientSession:
    """One connection to a server."""

    def __init__(self, helo: str) -> None:
        self.helo = helo
        self.extensions = Extensions({})
        self.esmtp = False
        self.tls = False
        self._buffer = LineBuffer()
        self._partial: list[tuple[int, str]] = []

    # --- input

    def receive(self, data: bytes) -> None:
        """Add what was read."""
        self._buffer.feed(data)

    def next_reply(self) -> RemoteReply | None:
        """The next whole reply; None when more input is needed. Raises ProtocolViolation."""
        while True:
            line = self._buffer.line(REPLY_LINE_LIMIT_BYTES)
            if line is Fault.NEED_DATA:
                return None
            match = _LINE.fullmatch(line) if isinstance(line, bytes) else None
            if match is None or len(self._partial) >= REPLY_LINES_LIMIT:
                raise ProtocolViolation("server does not speak SMTP")
            code = int(match[1])
            if self._partial and self._partial[0][0] != code:
                raise ProtocolViolation("codes differ within one reply")
            self._partial.append((code, (match[3] or b"").decode("utf-8", "replace")))
            if match[2] != b"-":
                return self._whole()

    def _whole(self) -> RemoteReply:
        code = self._partial[0][0]
        found = _ENHANCED.match(self._partial[0][1])
        enhanced = found[1] if found and int(found[1][0]) == code // 100 else ""
        drop = len(enhanced) + 1 if enhanced else 0
        lines = tuple(text[drop:] if enhanced and text.startswith(enhanced) else text for _, text in self._partial)
        self._partial = []
        return RemoteReply(code, enhanced, lines)

    # --- operations

    def greeting(self) -> Operation:
        """Wait for the server's greeting."""
        return (yield b"")

    def hello(self) -> Operation:
        """EHLO, and HELO if the server knows no EHLO (RFC 5321 3.2)."""
        answer = yield b"EHLO %b\r\n" % self.helo.encode("ascii")
        self.extensions = Extensions({})
        self.esmtp = answer.positive
        if answer.positive:
            words = [line.split() for line in answer.lines[1:] if line.strip()]
            self.extensions = Extensions({w[0].upper(): tuple(w[1:]) for w in words})
        elif answer.code in {500, 501, 502, 504, 550, 554}:
            answer = yield b"HELO %b\r\n" % self.helo.encode("ascii")
        return answer

    def starttls(self) -> Operation:
        """STARTTLS: after a 220 do the handshake, then call `tls_started` and say `hello` again."""
        return (yield b"STARTTLS\r\n")

    def tls_started(self) -> None:
        """Forget what came in clear text (RFC 3207 4.2); a response injected before TLS goes with it."""
        self._buffer.clear()
        self._partial = []
        self.extensions = Extensions({})
        self.tls = True

    def authenticate(self, exchange: ClientExchange) -> Operation:
        """AUTH (RFC 4954); 535 5.7.8 is made up when the server does not prove itself."""
        command = b"AUTH " + exchange.mechanism.encode("ascii")
        if exchange.initial is not None:
            command += b" " + (encoding.encode(exchange.initial) or b"=")
        answer = yield command + b"\r\n"
        while answer.code == 334:
            try:
                response = exchange.step(challenge_of(answer))
            except ProtocolViolation:
                response = None
            answer = yield (b"*" if response is None else encoding.encode(response)) + b"\r\n"
        if answer.positive and not exchange.verified:
            return RemoteReply(535, "5.7.8", ("server did not prove that it knows the password",))
        return answer

    def exps(self, mechanism: str, initial: bytes) -> Operation:
        """X-EXPS, by which servers of an organisation sign in; a 334 has a challenge (`challenge_of`) to respond to."""
        return (yield b"X-EXPS %b %b\r\n" % (mechanism.encode("ascii"), encoding.encode(initial) or b"="))

    def respond(self, response: bytes | None) -> Operation:
        """The answer to a challenge; None cancels."""
        return (yield (b"*" if response is None else encoding.encode(response)) + b"\r\n")

    def transfer(self, envelope: Envelope, content: bytes) -> Transfer:
        """One message to the recipients of the envelope; the results are in their order.

        Whether the server takes the body type, SMTPUTF8 and size is to be checked before. With PIPELINING the whole
        envelope goes in one write (RFC 2920); BINARYMIME goes by BDAT in one chunk (RFC 3030), all else by DATA.
        Raises ProtocolViolation for a server whose replies do not belong to our commands.
        """
        self._in_step()
        binary = envelope.body == "BINARYMIME"
        commands = [self._mail(envelope, len(content))]
        commands += [self._rcpt(recipient, envelope) for recipient in envelope.recipients]
        go = b"BDAT %d LAST\r\n" % len(content) if binary else b"DATA\r\n"

        if "PIPELINING" in self.extensions:
            # A BDAT must not be pipelined before its recipients are known: its octets cannot be taken back.
            sender = yield b"".join(commands) + (b"" if binary else go)
            answers = [sender]
            for _ in envelope.recipients:
                answers.append((yield b""))
            if not binary:
                return (yield from self._after_data(envelope, answers, content, (yield b"")))
        else:
            answers = []
            for command in commands:
                answers.append((yield command))
                if len(answers) == 1 and not answers[0].positive:
                    return [RecipientResult(r, answers[0]) for r in envelope.recipients]
        if not answers[0].positive or not any(a.positive for a in answers[1:]):
            return _results(envelope.recipients, answers, None)
        if binary:
            self._in_step()
            return _results(envelope.recipients, answers, (yield go + content))
        return (yield from self._after_data(envelope, answers, content, (yield go)))

    def _in_step(self) -> None:
        """A reply that nobody asked for would be taken for the answer to what we are about to say."""
        if len(self._buffer) or self._partial:
            raise ProtocolViolation("the server says more than it was asked")

    def _after_data(
        self, envelope: Envelope, answers: Sequence[RemoteReply], content: bytes, start: RemoteReply
    ) -> Transfer:
        if start.positive:
            # the answer to something else: the content was not sent, so nobody can have taken it
            raise ProtocolViolation(f"the server answers {start.code} to DATA")
        if start.code != 354:
            return _results(envelope.recipients, answers, start)
        if not answers[0].positive or not any(a.positive for a in answers[1:]):
            # RFC 2920 3.1: the server wants content though nobody is to get it; give it an empty message.
            yield b".\r\n"
            return _results(envelope.recipients, answers, None)
        self._in_step()
        return _results(envelope.recipients, answers, (yield stuff(content)))

    def reset(self) -> Operation:
        """RSET, before a connection is used again after a failure."""
        return (yield b"RSET\r\n")

    def noop(self) -> Operation:
        """NOOP, to see whether the connection is alive."""
        return (yield b"NOOP\r\n")

    def quit(self) -> Operation:
        """QUIT."""
        return (yield b"QUIT\r\n")

    # --- commands

    def _mail(self, envelope: Envelope, size: int) -> bytes:
        words = [f"MAIL FROM:<{envelope.reverse_path}>"]
        if "SIZE" in self.extensions:
            words.append(f"SIZE={size}")
        if envelope.body != "7BIT" and "8BITMIME" in self.extensions:
            words.append(f"BODY={envelope.body}")
        if envelope.smtputf8 and "SMTPUTF8" in self.extensions:
            words.append("SMTPUTF8")
        if "DSN" in self.extensions:
            if envelope.ret:
                words.append(f"RET={envelope.ret}")
            if envelope.envid:
                words.append(f"ENVID={parameters.encode_xtext(envelope.envid)}")
        return _command(words)

    def _rcpt(self, recipient: Recipient, envelope: Envelope) -> bytes:
        words = [f"RCPT TO:<{recipient.address}>"]
        if "DSN" in self.extensions:
            if recipient.notify:
                words.append(f"NOTIFY={recipient.notify}")
            if recipient.original:
                utf8 = envelope.smtputf8 and "SMTPUTF8" in self.extensions
                words.append(f"ORCPT={parameters.encode_original_recipient(recipient.original, utf8=utf8)}")
        return _command(words)


def stuff(content: bytes) -> bytes:
    """Content for DATA: dots stuffed, ended (RFC 5321 4.5.2)."""
    if b"\r\n." in content:
        content = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    if content and not content.endswith(b"\r\n"):
        content += b"\r\n"
    return content + b".\r\n"


def _command(words: list[str]) -> bytes:
    line = " ".join(words)
    if "\r" in line or "\n" in line or "\0" in line:
        raise ProtocolViolation("an address with a line end cannot be sent")
    return line.encode() + b"\r\n"


def _results(
    recipients: Sequence[Recipient], answers: Sequence[RemoteReply], final: RemoteReply | None
) -> list[RecipientResult]:
    """Each recipient's fate: its own refusal, else the refusal of MAIL, else what was said of the message."""
    sender, *own = answers
    results = []
    for recipient, answer in zip(recipients, own, strict=True):
        at_rcpt = sender.positive and not answer.positive
        if not sender.positive:
            answer = sender
        elif answer.positive and final is not None:
            # A 3xx or an odd code is no acceptance of a message.
            answer = final if final.positive or final.code >= 400 else final._replace(code=451, enhanced="4.5.0")
        results.append(RecipientResult(recipient, answer, at_rcpt))
    return results
