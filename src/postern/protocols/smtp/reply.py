"""Replies (RFC 5321 4.2) with enhanced status codes (RFC 2034, RFC 3463)."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

_ENHANCED = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
_UNSAFE = re.compile(r"[^\t\x20-\x7e\n]")

TEXT_LINE_LIMIT = 480
"""Characters of text in one line, so that it stays under 512 octets with codes and CRLF (RFC 5321 4.5.3.1.5)."""


@lru_cache(512)
def _prefix(code: int, enhanced: str) -> str:
    """What stands before the text of each line. Raises ValueError."""
    if not 200 <= code <= 599:
        raise ValueError(f"not a reply code: {code}")
    if enhanced and (not _ENHANCED.fullmatch(enhanced) or int(enhanced[0]) != code // 100):
        raise ValueError(f"{enhanced} does not go with {code}")
    return f"{enhanced} " if enhanced else ""


class Reply(msgspec.Struct, frozen=True):
    """A server's reply. Raises ValueError when basic and enhanced code are not of one class."""

    code: int
    enhanced: str
    """Empty where RFC 2034 4 has none: greeting, answers to HELO and EHLO, 3xx."""
    text: str
    """Newlines make a multi-line reply."""
    wire: bytes = b""
    """Ready to send; made on construction."""

    def __post_init__(self) -> None:
        prefix = _prefix(self.code, self.enhanced)
        # Text may quote what a peer sent: it must neither end the line early nor leave ASCII.
        if self.text.isascii() and self.text.isprintable() and len(self.text) <= TEXT_LINE_LIMIT:
            wire = f"{self.code} {prefix}{self.text}\r\n"  # one made for each message
            msgspec.structs.force_setattr(self, "wire", wire.encode("ascii"))
            return
        lines = [prefix + line[:TEXT_LINE_LIMIT] for line in _UNSAFE.sub("?", self.text).split("\n")]
        last = len(lines) - 1
        wire = "".join(f"{self.code}{'-' if i < last else ' '}{line}\r\n" for i, line in enumerate(lines))
        msgspec.structs.force_setattr(self, "wire", wire.encode("ascii"))

    @property
    def positive(self) -> bool:
        """2xx."""
        return self.code < 300

    @property
    def permanent(self) -> bool:
        """5xx."""
        return self.code >= 500


# What the session says by itself.
SYNTAX = Reply(500, "5.5.2", "Command not recognised")
LINE_TOO_LONG = Reply(500, "5.5.2", "Line too long")
AUTH_LINE_TOO_LONG = Reply(500, "5.5.6", "Authentication exchange line is too long")
BARE_NEWLINE_COMMAND = Reply(500, "5.5.2", "Lines end with CRLF; bare CR or LF received")
NOT_UTF8 = Reply(500, "5.5.2", "Command is not valid UTF-8")
BAD_ARGUMENT = Reply(501, "5.5.4", "Syntax error in parameters or arguments")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
HELLO_FIRST = Reply(503, "5.5.1", "Say HELO or EHLO first")
EXTENDED_HELLO_FIRST = Reply(503, "5.5.1", "Say EHLO first")
MAIL_FIRST = Reply(503, "5.5.1", "MAIL first")
RCPT_FIRST = Reply(503, "5.5.1", "RCPT first")
NO_VALID_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
NESTED_MAIL = Reply(503, "5.5.1", "Sender already given")
BINARY_NEEDS_BDAT = Reply(503, "5.5.1", "BODY=BINARYMIME needs BDAT")
DATA_AFTER_BDAT = Reply(503, "5.5.1", "DATA and BDAT cannot be mixed")
TRANSACTION_FAILED = Reply(503, "5.5.1", "A chunk was refused; RSET first")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognised")
BAD_SENDER = Reply(501, "5.1.7", "Bad sender address syntax")
BAD_RECIPIENT = Reply(501, "5.1.3", "Bad recipient address syntax")
UTF8_SENDER = Reply(550, "5.6.7", "Address needs SMTPUTF8")
UTF8_RECIPIENT = Reply(553, "5.6.7", "Address needs SMTPUTF8")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")
TOO_LARGE = Reply(552, "5.3.4", "Message too big for this system")
BARE_NEWLINE = Reply(550, "5.5.2", "Message has a bare CR or LF; lines end with CRLF")
NUL_OCTET = Reply(550, "5.6.0", "Message has NUL octets; send it as BODY=BINARYMIME")
START_MAIL = Reply(354, "", "Start mail input; end with <CRLF>.<CRLF>")
OK = Reply(250, "2.0.0", "OK")
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
RECIPIENT_OK = Reply(250, "2.1.5", "Recipient OK")
VERIFY = Reply(252, "2.5.0", "Cannot verify; send some mail and see")
HELP = Reply(214, "2.0.0", "RFC 5321: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY STARTTLS AUTH")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
TLS_NOT_OFFERED = Reply(502, "5.5.1", "STARTTLS not available")
TLS_REQUIRED = Reply(530, "5.7.0", "Must issue a STARTTLS command first")
AUTH_REQUIRED = Reply(530, "5.7.0", "Authentication required")
AUTH_NOT_OFFERED = Reply(502, "5.5.1", "AUTH not available")
AUTH_TWICE = Reply(503, "5.5.1", "Already authenticated")
AUTH_IN_TRANSACTION = Reply(503, "5.5.1", "Not during a mail transaction")
AUTH_UNKNOWN = Reply(504, "5.5.4", "Mechanism not supported")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "Encryption required for requested authentication mechanism")
AUTH_CANCELLED = Reply(501, "5.7.0", "Authentication cancelled")
AUTH_ENCODING = Reply(501, "5.5.2", "Cannot decode response")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "Too many commands without a message")
TOO_MANY_MESSAGES = Reply(421, "4.5.3", "Too many messages on one connection")
