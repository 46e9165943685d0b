"""Sieve scripts of another server, by ManageSieve (RFC 5804): listed and read, nothing is changed there."""

from __future__ import annotations

import re
import socket
import ssl
from base64 import b64encode
from typing import NamedTuple

from postern.migration.values import SourceError

TIMEOUT_S = 60.0
MAX_SCRIPT_BYTES = 1 << 20
MAX_SCRIPTS = 500
MAX_LINE_BYTES = 65536
MAX_LINES = 1000
MAX_LITERALS = 4
"""In a line: a script, or its name."""
_TOKEN = re.compile(rb'"((?:[^"\\]|\\.)*)"|\0|([^\s"\0]+)')
_LITERAL = re.compile(rb"\{([0-9]{1,10})\+?\}\r\n$")
_END = (b"OK", b"NO", b"BYE")

Line = list[bytes]
"""A response line's words and strings; atoms are upper case."""


class ScriptServer(NamedTuple):
    """Where, and as whom."""

    host: str
    port: int
    context: ssl.SSLContext | None
    """For STARTTLS; None: the line is not encrypted."""
    mechanism: str
    """PLAIN or XOAUTH2."""
    initial: bytes
    """What signs in: the mechanism's initial response."""


def fetch_scripts(server: ScriptServer) -> dict[str, bytes]:
    """`sieve/<name>` -> script; the active one is named in `sieve-active`. Raises SourceError."""
    where = f"ManageSieve of {server.host} port {server.port}"
    try:
        connection = socket.create_connection((server.host, server.port), TIMEOUT_S)
    except OSError as problem:
        raise SourceError(f"{where} does not answer: {problem}") from problem
    try:
        with connection:
            return _Session(connection, server, where).scripts()
    except ssl.SSLCertVerificationError as untrusted:
        raise SourceError(
            f"{where}: the certificate cannot be trusted: {untrusted.verify_message};"
            " name the authority's certificate with --ca FILE"
        ) from untrusted
    except (OSError, ValueError) as problem:
        raise SourceError(f"{where}: {problem or type(problem).__name__}") from problem


class _Session:
    """One connection. Everything raises SourceError for refusals, OSError and ValueError for what is broken."""

    def __init__(self, connection: socket.socket, server: ScriptServer, where: str) -> None:
        self._connection = connection
        self._server = server
        self._where = where
        self._input = connection.makefile("rb")

    def scripts(self) -> dict[str, bytes]:
        server = self._server
        offered = {line[0].upper() for line in self._answer("greeting") if line}
        if server.context is not None:
            if b"STARTTLS" not in offered:
                raise SourceError(f"{self._where} offers no TLS, and a password is not sent in clear text")
            self._ask(b"STARTTLS")
            self._input.close()
            # what came in clear text behind the answer is gone with the old input
            self._connection = server.context.wrap_socket(self._connection, server_hostname=server.host)
            self._input = self._connection.makefile("rb")
            self._answer("greeting")
        with self._connection, self._input:
            self._ask(b'AUTHENTICATE "%b" "%b"' % (server.mechanism.encode(), b64encode(server.initial)))
            found: dict[str, bytes] = {}
            for name, *marks in self._ask(b"LISTSCRIPTS")[:MAX_SCRIPTS]:
                text = name.decode("utf-8", "replace")
                if b"ACTIVE" in marks:
                    found["sieve-active"] = name
                found[f"sieve/{text}"] = self._script(name)
            self._connection.sendall(b"LOGOUT\r\n")
            return found

    def _script(self, name: bytes) -> bytes:
        quoted = name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        lines = self._ask(b'GETSCRIPT "%b"' % quoted)
        if len(lines) != 1 or len(lines[0]) != 1:
            raise ValueError("no script came")
        return lines[0][0]

    def _ask(self, command: bytes) -> list[Line]:
        self._connection.sendall(command + b"\r\n")
        return self._answer(command.partition(b" ")[0].decode())

    def _answer(self, what: str) -> list[Line]:
        """Lines up to OK."""
        lines: list[Line] = []
        for _ in range(MAX_LINES):
            line = self._line()
            if line and line[0] in _END:
                if line[0] == b"OK":
                    return lines
                said = line[-1].decode("utf-8", "replace") if len(line) > 1 else line[0].decode()
                raise SourceError(f"{self._where} refuses {what}: {said}")
            lines.append(line)
        raise ValueError("an answer without end")

    def _line(self) -> Line:
        text = b""
        literals: list[bytes] = []
        while True:
            piece = self._input.readline(MAX_LINE_BYTES)
            if not piece.endswith(b"\n"):
                raise ConnectionResetError(
                    "the connection was closed" if len(piece) < MAX_LINE_BYTES else "a long line"
                )
            text += piece.replace(b"\0", b"")
            announced = _LITERAL.search(text)
            if announced is None:
                break
            size = int(announced[1])
            if size > MAX_SCRIPT_BYTES:
                raise ValueError(f"a script of {size} octets")
            if len(literals) == MAX_LITERALS:
                raise ValueError("a line without end")
            literal = self._input.read(size)
            if len(literal) < size:
                raise ConnectionResetError("the connection was closed")
            literals.append(literal)
            text = text[: announced.start()] + b"\0"
        found: Line = []
        rest = iter(literals)
        for token in _TOKEN.finditer(text):
            if token[0] == b"\0":
                found.append(next(rest))
            elif token[2] is not None:
                found.append(token[2].upper())
            else:
                found.append(re.sub(rb"\\(.)", rb"\1", token[1]))
        return found
