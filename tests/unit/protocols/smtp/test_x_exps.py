"""X-EXPS in the server's session: announced after TLS, an event with its own answers, and unknown where nobody can."""

from __future__ import annotations

import base64

import pytest

from postern.protocols.smtp.commands import AuthResponse, Exps
from postern.protocols.smtp.dialogue import Limits
from postern.protocols.smtp.extensions import Capabilities
from postern.protocols.smtp.reply import Reply
from postern.protocols.smtp.server import ServerSession

KNOWS = Capabilities("mx.example.org", 10_000, 5, between_servers=("GSSAPI",), knows_servers=True)


def session(capabilities: Capabilities = KNOWS) -> ServerSession:
    made = ServerSession(capabilities, Limits(), tls=True)
    made.receive(b"EHLO hub.example.org\r\n")
    assert made.next_event() is None
    return made


def said(made: ServerSession, line: bytes) -> bytes:
    made.output()
    made.receive(line)
    assert made.next_event() is None
    return made.output()


def test_it_is_announced_until_somebody_is_in() -> None:
    made = session()
    assert b"250-X-EXPS GSSAPI\r\n" in made.output()
    made.receive(b"X-EXPS GSSAPI %b\r\n" % base64.b64encode(b"token"))
    assert made.next_event() == Exps("GSSAPI", b"token")
    made.challenge(b"one")
    assert made.output() == b"334 b25l\r\n"
    made.receive(b"dHdv\r\n")
    assert made.next_event() == AuthResponse(b"two")
    made.reply(Reply(235, "2.7.0", "in"))
    assert made.authenticated
    assert b"X-EXPS" not in said(made, b"EHLO hub.example.org\r\n")
    assert said(made, b"X-EXPS GSSAPI =\r\n").startswith(b"503 ")


def test_where_no_server_can_sign_in_there_is_no_such_command() -> None:
    made = session(Capabilities("mx.example.org", 10_000, 5))
    assert b"X-EXPS" not in made.output()
    assert said(made, b"X-EXPS GSSAPI =\r\n").startswith(b"500 5.5.2")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"X-EXPS", b"501"),
        (b"X-EXPS GSSAPI a b", b"501"),
        (b"X-EXPS GSSAPI !!!", b"501"),
        (b"X-EXPS <>", b"501"),
    ],
)
def test_syntax(line: bytes, code: bytes) -> None:
    assert said(session(), line + b"\r\n").startswith(code)


def test_a_ticket_of_many_groups_fits_into_its_line() -> None:
    made, token = session(), b"x" * 40_000
    made.receive(b"X-EXPS GSSAPI %b\r\n" % base64.b64encode(token))
    assert made.next_event() == Exps("GSSAPI", token)


def test_not_within_a_message() -> None:
    made = session()
    made.receive(b"MAIL FROM:<a@example.org>\r\n")
    assert made.next_event() is not None
    made.reply(Reply(250, "2.1.0", "ok"))
    assert said(made, b"X-EXPS GSSAPI =\r\n").startswith(b"503 ")
