"""A server that says what it is told to, and remembers what it heard."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable


class FakeServer:
    def __init__(
        self,
        *extensions: str,
        name: str = "mx.far.example",
        context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        self.extensions = [*extensions]
        self.name = name
        self.context = context
        self.greeting = b"220 hello\r\n"
        self.replies: dict[str, bytes] = {}
        """Verb, or verb and argument, -> reply instead of the usual one; b"" closes the connection."""
        self.once: dict[str, bytes] = {}
        """Verb -> reply, for one time."""
        self.after_content: Callable[[int], bytes] = lambda n: b"250 2.0.0 queued\r\n"
        self.close_before_reuse = False
        self.instead_of_handshake: bytes | None = None
        """What the ClientHello is answered with before the connection closes."""
        self.after_handshake: bytes | None = None
        """What is said inside TLS before anything is asked; then the connection closes."""
        self.read_pause_s = 0.0
        """Before each piece of the content is read."""
        self.connections = 0
        self.commands: list[str] = []
        self.messages: list[bytes] = []
        self.tls_connections = 0
        self.host = host
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> FakeServer:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.create_server((self.host, 0), family=family)
        # what the kernel keeps on the way must not hide how fast we read
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self._server = await asyncio.start_server(self._serve, sock=listening)
        self.port: int = listening.getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._session(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _content(self, reader: asyncio.StreamReader) -> bytes:
        content = b""
        while not content.endswith(b"\r\n.\r\n"):
            if self.read_pause_s:
                await asyncio.sleep(self.read_pause_s)
            piece = await reader.read(65536)
            if not piece:
                raise asyncio.IncompleteReadError(content, None)
            content += piece
        return content

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        done = 0
        tls = False
        while line := await reader.readline():
            text = line.decode().rstrip("\r\n")
            self.commands.append(text)
            verb = text.split(" ")[0].upper()
            reply = self.once.pop(verb, self.replies.get(text, self.replies.get(verb)))
            if reply is not None:
                if not reply:
                    return
                writer.write(reply)
                continue
            if verb == "EHLO":
                words = [w for w in self.extensions if not (tls and w == "STARTTLS")]
                lines = [f"{self.name} hello", *words]
                for i, word in enumerate(lines):
                    writer.write(f"250{'-' if i < len(lines) - 1 else ' '}{word}\r\n".encode())
            elif verb == "STARTTLS":
                writer.write(b"220 go\r\n")
                await writer.drain()
                if self.instead_of_handshake is not None:
                    await reader.read(4096)
                    writer.write(self.instead_of_handshake)
                    await writer.drain()
                    return
                assert self.context is not None
                await writer.start_tls(self.context)
                tls = True
                self.tls_connections += 1
                if self.after_handshake is not None:
                    writer.write(self.after_handshake)
                    await writer.drain()
                    return
            elif verb == "DATA":
                writer.write(b"354 go\r\n")
                self.messages.append(await self._content(reader))
                done += 1
            elif verb == "BDAT":
                self.messages.append(await reader.readexactly(int(text.split(" ")[1])))
                done += 1
            else:
                writer.write(b"250 2.1.0 ok\r\n")
                continue
            if verb in ("DATA", "BDAT"):
                answer = self.after_content(len(self.messages))
                if not answer:
                    return
                writer.write(answer)
                if self.close_before_reuse:
                    return
