"""What a client may ask, as values: MAIL and RCPT with their parameters, and the events of a session."""

from __future__ import annotations

import re
from typing import NamedTuple

from postern.model.envelope import Envelope, Recipient
from postern.model.refusal import ProtocolViolation
from postern.protocols.smtp import parameters, path, reply
from postern.protocols.smtp.reply import Reply


class Mail(NamedTuple):
    """MAIL FROM; answer 250 to open a transaction."""

    reverse_path: str
    size: int = 0
    """Declared octets, 0 if not declared (RFC 1870 6.1)."""
    body: str = "7BIT"
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    auth: str = ""
    """AUTH parameter, decoded (RFC 4954 5); to be ignored from peers that are not trusted."""


class Rcpt(NamedTuple):
    """RCPT TO; answer 250 to take the recipient into the envelope."""

    recipient: Recipient


class Message(NamedTuple):
    """A whole message; the answer says who is responsible for it now."""

    envelope: Envelope
    content: bytes
    """Dot-unstuffed, CRLF lines (any octets with BINARYMIME)."""


class StartTls(NamedTuple):
    """The 220 is in the output: send it, do the handshake, call `tls_started`."""

    dropped: int
    """Octets that came in clear text after the command and were thrown away (injection, or a broken client)."""


class Auth(NamedTuple):
    """AUTH with a mechanism that is offered; answer with `challenge` or `reply`."""

    mechanism: str
    initial: bytes | None


class Exps(NamedTuple):
    """X-EXPS: a server of the organisation signs in; as Auth, but whether it may now is for the answer to say."""

    mechanism: str
    initial: bytes | None


class AuthResponse(NamedTuple):
    """Answer to a challenge, base64 decoded."""

    data: bytes


class Closed(NamedTuple):
    """Nothing more will come: send the output, then close."""

    reason: str
    """For the log: quit, errors, commands, messages, size."""


Event = Mail | Rcpt | Message | StartTls | Auth | Exps | AuthResponse | Closed


class Violation(ProtocolViolation):
    """A protocol violation with its reply."""

    def __init__(self, answer: Reply) -> None:
        super().__init__(answer.text)
        self.answer = answer


_MAIL = re.compile(r"FROM:", re.IGNORECASE)
_RCPT = re.compile(r"TO:", re.IGNORECASE)
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})
_BODIES = frozenset({"7BIT", "8BITMIME", "BINARYMIME"})


def parse_mail(argument: str, *, extended: bool, size_limit_bytes: int) -> Mail:
    """`FROM:<reverse-path> parameters`. Raises Violation."""
    prefix = _MAIL.match(argument)
    if prefix is None:
        raise Violation(reply.BAD_ARGUMENT)
    text = argument[5:]
    try:
        address, end = path.reverse_path(text)
    except ProtocolViolation as error:
        raise Violation(reply.BAD_SENDER) from error
    given = _parameters(text[end:], extended=extended)
    if not given:
        if not address.isascii():
            raise Violation(reply.UTF8_SENDER)
        return Mail(address)

    size = _size(given.pop("SIZE")) if "SIZE" in given else 0
    if size > size_limit_bytes:
        raise Violation(reply.TOO_LARGE)
    body = given.pop("BODY", "7BIT").upper()
    smtputf8 = given.pop("SMTPUTF8", None)
    ret = given.pop("RET", None)
    envid = given.pop("ENVID", None)
    auth = given.pop("AUTH", None)
    if given:
        raise Violation(reply.UNKNOWN_PARAMETER)
    if body not in _BODIES or smtputf8 or (ret is not None and ret.upper() not in {"FULL", "HDRS"}):
        raise Violation(reply.BAD_ARGUMENT)
    if envid is not None and not 0 < len(envid) <= parameters.ENVID_LIMIT:
        raise Violation(reply.BAD_ARGUMENT)
    if smtputf8 is None and not address.isascii():
        raise Violation(reply.UTF8_SENDER)
    return Mail(
        address,
        size,
        body,
        smtputf8 is not None,
        (ret or "").upper(),
        _xtext(envid) if envid else "",
        _xtext(auth) if auth else "",
    )


def parse_rcpt(argument: str, *, extended: bool, smtputf8: bool) -> Rcpt:
    """`TO:<forward-path> parameters`. Raises Violation."""
    prefix = _RCPT.match(argument)
    if prefix is None:
        raise Violation(reply.BAD_ARGUMENT)
    text = argument[3:]
    try:
        address, end = path.forward_path(text)
    except ProtocolViolation as error:
        raise Violation(reply.BAD_RECIPIENT) from error
    if not smtputf8 and not address.isascii():
        raise Violation(reply.UTF8_RECIPIENT)
    given = _parameters(text[end:], extended=extended)
    if not given:
        return Rcpt(Recipient(address))
    notify = given.pop("NOTIFY", None)
    original = given.pop("ORCPT", None)
    if given:
        raise Violation(reply.UNKNOWN_PARAMETER)
    try:
        decoded = parameters.decode_original_recipient(original) if original is not None else ""
    except ProtocolViolation as error:
        raise Violation(reply.BAD_ARGUMENT) from error
    return Rcpt(Recipient(address, _notify(notify) if notify is not None else "", decoded))


def _parameters(text: str, *, extended: bool) -> dict[str, str]:
    try:
        given = parameters.split(text)
    except ProtocolViolation as error:
        raise Violation(reply.BAD_ARGUMENT) from error
    if given and not extended:
        raise Violation(reply.UNKNOWN_PARAMETER)
    return given


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 20:
        raise Violation(reply.BAD_ARGUMENT)
    return int(text)


def _xtext(text: str) -> str:
    try:
        return parameters.decode_xtext(text)
    except ProtocolViolation as error:
        raise Violation(reply.BAD_ARGUMENT) from error


def _notify(text: str) -> str:
    words = text.upper().split(",")
    if words == ["NEVER"] or (set(words) <= _NOTIFY and len(set(words)) == len(words)):
        return ",".join(words)
    raise Violation(reply.BAD_ARGUMENT)
