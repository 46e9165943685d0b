"""IMAP and SMTP as far as the stress test speaks them: asyncio streams, responses with their literals."""

from __future__ import annotations

import asyncio
import re
import ssl
from typing import NamedTuple

ANSWER_S = 60.0
"""A server that is silent for this long has failed."""
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_ATOM = re.compile(rb"[^ ()\"\[{]+(?:\[[^\]]*\](?:<\d+>)?)?")


class Lost(Exception):
    """The connection ended: nobody knows what became of the command that was on its way."""


class Refused(Exception):
    """A tagged NO or BAD; what was asked has not happened."""


class Answer(NamedTuple):
    text: bytes
    """Behind the tagged OK."""
    untagged: list[list[bytes]]
    """Each a line in pieces: text, literal, text, literal ... text."""


def parse(pieces: list[bytes]) -> list:
    """Atoms as bytes, strings as bytes, NIL as None, parentheses as lists."""
    stack: list[list] = [[]]
    for index, piece in enumerate(pieces):
        if index % 2:
            stack[-1].append(piece)
            continue
        at = 0
        while at < len(piece):
            sign = piece[at : at + 1]
            if sign == b"(":
                stack.append([])
            elif sign == b")":
                done = stack.pop()
                stack[-1].append(done)
            elif sign == b'"':
                end = at + 1
                while piece[end : end + 1] != b'"':
                    end += 2 if piece[end : end + 1] == b"\\" else 1
                stack[-1].append(re.sub(rb"\\(.)", rb"\1", piece[at + 1 : end]))
                at = end
            elif sign == b"{":
                break  # the literal is the next piece
            elif sign not in b" \r\n":
                found = _ATOM.match(piece, at)
                assert found, piece[at:]
                stack[-1].append(None if found[0] == b"NIL" else found[0])
                at = found.end()
                continue
            at += 1
    return stack[0]


def uid_set(text: bytes) -> list[int]:
    """`4:6,9` in its order."""
    found: list[int] = []
    for piece in text.split(b","):
        first, _, last = piece.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found


class Imap:
    """One signed-in connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.tags = 0

    @classmethod
    async def open(cls, host: str, port: int, user: str, password: str) -> Imap:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            async with asyncio.timeout(ANSWER_S):
                self = cls(*await asyncio.open_connection(host, port, ssl=context, limit=1 << 22))
                await self._response()
        except (OSError, EOFError, ssl.SSLError) as error:
            raise Lost(str(error)) from error
        try:
            await self.ask(b'LOGIN "%b" "%b"' % (user.encode(), password.encode()))
        except BaseException:
            self.close()
            raise
        return self

    @property
    def local_port(self) -> int:
        return self.writer.get_extra_info("sockname")[1]

    def close(self) -> None:
        self.writer.transport.abort()

    async def ask(self, command: bytes, *, idle_s: float = 0.0) -> Answer:
        """Send a command (literals as `{n+}`) and read to its end. `idle_s`: it is IDLE, DONE comes after that."""
        self.tags += 1
        tag = b"t%d" % self.tags
        untagged: list[list[bytes]] = []
        try:
            self.writer.write(b"%b %b\r\n" % (tag, command))
            if idle_s:
                async with asyncio.timeout(ANSWER_S + idle_s):
                    await self._idle(idle_s, untagged)
            async with asyncio.timeout(ANSWER_S):
                while True:
                    pieces = await self._response()
                    if pieces[0].startswith(tag + b" "):
                        break
                    untagged.append(pieces)
        except TimeoutError as error:
            raise AssertionError(f"no answer to {command[:60]!r} within {ANSWER_S:.0f} s") from error
        except (OSError, EOFError, ssl.SSLError) as error:
            self.close()
            raise Lost(str(error)) from error
        status = pieces[0][len(tag) + 1 :]
        if untagged and untagged[-1][0].startswith(b"* BYE"):
            raise Lost(untagged[-1][0].decode())
        if not status.startswith(b"OK"):
            raise Refused(f"{command[:60]!r}: {status.decode().strip()}")
        return Answer(status[3:].strip(), untagged)

    async def _idle(self, idle_s: float, untagged: list[list[bytes]]) -> None:
        loop = asyncio.get_running_loop()
        while not (pieces := await self._response())[0].startswith(b"+"):
            untagged.append(pieces)
        end = loop.time() + idle_s
        while (left := end - loop.time()) > 0:
            # a line that has begun is read whole: a cancelled readuntil leaves what it has in the buffer
            try:
                async with asyncio.timeout(left):
                    await self.reader.readuntil(b"*")
            except TimeoutError:
                break
            untagged.append(await self._response(b"*"))
        self.writer.write(b"DONE\r\n")

    async def _response(self, begun: bytes = b"") -> list[bytes]:
        pieces = [begun + await self.reader.readuntil(b"\r\n")]
        while literal := _LITERAL.search(pieces[-1]):
            pieces.append(await self.reader.readexactly(int(literal[1])))
            pieces.append(await self.reader.readuntil(b"\r\n"))
        return pieces


class Smtp:
    """A sender from outside."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, host: str, port: int) -> Smtp:
        try:
            self = cls(*await asyncio.open_connection(host, port))
            await self._reply(b"2")
            await self._say(b"EHLO client.example", b"2")
        except (OSError, EOFError) as error:
            raise Lost(str(error)) from error
        return self

    async def send(self, recipients: list[str], content: bytes) -> None:
        """Returns when the server has taken responsibility."""
        try:
            await self._say(b"MAIL FROM:<stress@client.example> BODY=8BITMIME", b"2")
            for recipient in recipients:
                await self._say(b"RCPT TO:<%b>" % recipient.encode(), b"2")
            await self._say(b"DATA", b"3")
            await self._say(re.sub(rb"(?m)^\.", b"..", content) + b".", b"2")
        except (OSError, EOFError) as error:
            raise Lost(str(error)) from error

    async def _say(self, line: bytes, kind: bytes) -> None:
        self.writer.write(line + b"\r\n")
        await self._reply(kind)

    async def _reply(self, kind: bytes) -> None:
        async with asyncio.timeout(ANSWER_S):
            while True:
                line = await self.reader.readuntil(b"\r\n")
                if line[3:4] != b"-":
                    break
        if not line.startswith(kind):
            raise Lost(line.decode().strip())

    def close(self) -> None:
        self.writer.transport.abort()
