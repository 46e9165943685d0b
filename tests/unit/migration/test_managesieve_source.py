"""Sieve scripts of another server: what its answers may look like, and what it may do wrong."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence

import pytest

from postern.migration.sources.managesieve import MAX_SCRIPT_BYTES, ScriptServer, fetch_scripts
from postern.migration.values import SourceError

GREETING = b'"IMPLEMENTATION" "x"\r\n"SASL" "PLAIN"\r\n"VERSION" "1.0"\r\nOK "ready"\r\n'


@contextlib.contextmanager
def serving(answers: Sequence[bytes]) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers one line after the other; its port, and what it was asked."""
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(GREETING)
            for answer in answers:
                asked.append(lines.readline())
                connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], asked
        thread.join(10)


def fetched(port: int, context: ssl.SSLContext | None = None) -> dict[str, bytes]:
    return fetch_scripts(ScriptServer("127.0.0.1", port, context, "PLAIN", b"\0ann\0secret"))


def test_names_and_scripts_in_quotes_and_in_literals():
    script = b'keep;\r\nOK "this is no answer"\r\n'
    answers = [
        b'OK (TAG "x") {7}\r\nwelcome\r\n',
        b'"a \\"b\\" \\\\ c" active\r\n{5}\r\nzw\xc3\xb6i\r\nOK "done"\r\n',
        b"{%d+}\r\n%b\r\nok\r\n" % (len(script), script),
        b'"stop;"\r\nOK\r\n',
    ]
    with serving([*answers, b"OK\r\n"]) as (port, asked):
        assert fetched(port) == {'sieve/a "b" \\ c': script, "sieve-active": b'a "b" \\ c', "sieve/zw\u00f6i": b"stop;"}
    assert asked[:3] == [
        b'AUTHENTICATE "PLAIN" "AGFubgBzZWNyZXQ="\r\n',
        b"LISTSCRIPTS\r\n",
        b'GETSCRIPT "a \\"b\\" \\\\ c"\r\n',
    ]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ([b'NO "wrong password"\r\n'], "refuses AUTHENTICATE: wrong password"),
        ([b"BYE\r\n"], "refuses AUTHENTICATE: BYE"),
        ([b""], "the connection was closed"),
        ([b"OK\r\n", b'"a"\r\n'], "the connection was closed"),
        ([b"OK\r\n", b'"a"\r\nOK\r\n', b"{%d}\r\n" % (MAX_SCRIPT_BYTES + 1)], "a script of"),
        ([b"OK\r\n", b'"a"\r\nOK\r\n', b"{9}\r\nkeep;"], "the connection was closed"),
        ([b"OK\r\n", b'"a"\r\nOK\r\n', b"OK\r\n"], "no script came"),
        ([b"OK\r\n", b'"a"\r\n' * 2000], "an answer without end"),
        ([b"x" * 100_000], "a long line"),
        ([b"OK\r\n", b"{1}\r\nx" * 100], "a line without end"),
    ],
    ids=["password", "bye", "closed", "cut-list", "huge", "cut-script", "none", "endless", "long", "literals"],
)
def test_what_goes_wrong_is_told(answers, told):
    with serving(answers) as (port, _), pytest.raises(SourceError, match=told):
        fetched(port)


def test_a_password_never_goes_over_a_line_that_could_be_encrypted_and_is_not():
    with serving([b"OK\r\n"]) as (port, asked), pytest.raises(SourceError, match="no TLS"):
        fetched(port, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert asked == [b""]


def test_nobody_there():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SourceError, match="does not answer"):
        fetched(port)
