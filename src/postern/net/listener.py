"""Listening sockets and the connections that come in by them.

The supervisor opens every worker's sockets (`bind`) before it forks and keeps them: a port below 1024 needs its
privilege once, and while a crashed worker is started again its connections wait in the kernel's queue.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable

from postern.model.addresses import is_loopback
from postern.model.networks import PeerCounts
from postern.net.stream import Stream
from postern.net.tls import Wrapping

BACKLOG = 1024
"""Connections the kernel keeps until we accept them."""
KEEPALIVE_IDLE_S = 300
"""Half-dead IDLE clients behind a NAT are found by TCP keep-alive after this long without a byte."""
HARD_STOP_S = 2.0
"""After the grace of a stop: how long aborted handlers may take to end."""

Handler = Callable[[Stream], Awaitable[None]]
OnError = Callable[[Stream, BaseException], None]


class BindError(OSError):
    """An address cannot be listened on; the text says what to do about it."""


def claim(host: str, port: int) -> None:
    """Find out whether a port is free. Raises BindError.

    SO_REUSEPORT, which lets workers share a port, would also let a second server in beside the first one, and each
    would get half of the connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
    except OSError as error:
        raise BindError(error.errno, _advice(error, host, port)) from error


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket, one of several on the same port (SO_REUSEPORT). Raises BindError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # inherited by accepted sockets on Linux: no system calls for each connection
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise BindError(error.errno, _advice(error, host, port)) from error
    return sock


def _advice(error: OSError, host: str, port: int) -> str:
    where = f"{host or '*'} port {port}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return (
            f"not allowed to listen on {where}: ports below 1024 need the privilege CAP_NET_BIND_SERVICE. "
            "Start Postern by its systemd unit (AmbientCapabilities=CAP_NET_BIND_SERVICE), or give it once with "
            "`setcap cap_net_bind_service=+ep` on the Python program, or choose other ports"
        )
    if error.errno == errno.EADDRINUSE:
        return f"another program already listens on {where}: stop it, or choose another port (`ss -ltnp` shows it)"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {where}: this machine does not have that address"
    return f"cannot listen on {where}: {error.strerror}"


class Listener:
    """One listening socket's connections in this process."""

    def __init__(
        self,
        sock: socket.socket,
        handler: Handler,
        tls: ssl.SSLContext | Wrapping | None,
        on_error: OnError | None,
        limit: int,
        full: bytes,
        below: int,
        strangers: int,
    ) -> None:
        self.sock = sock
        self.connections: dict[Stream, asyncio.Task[None]] = {}
        self.accepted = 0
        """Connections since the start."""
        self.refused = 0
        """Connections closed at once because too many were open."""
        self.tls = tls
        """Given: implicit TLS. May be replaced at a reload; new connections use the new one."""
        self._handler = handler
        self._on_error = on_error
        self._limit = limit
        self._full = full
        self._below = below
        self._strangers = PeerCounts(strangers, of_network=1)
        self._unknown: set[Stream] = set()
        self._server: asyncio.Server | None = None

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        made = self._made
        self._server = await loop.create_server(lambda: Stream(made), sock=self.sock, backlog=BACKLOG)

    def _made(self, stream: Stream) -> None:
        self.accepted += 1
        full = len(self.connections) >= self._limit or (self._below and stream.descriptor >= self._below)
        stranger = not is_loopback(stream.peer[0])  # a proxy or a web mail on this machine comes for everybody
        if full or (stranger and not self._strangers.enter(stream.peer[0])):
            self.refused += 1
            if self._full and self.tls is None:
                stream.write(self._full)
                stream.close()
            else:  # a handshake for a farewell would cost more than the connection
                stream.abort()
            return
        if stranger:
            self._unknown.add(stream)
        self.connections[stream] = asyncio.get_running_loop().create_task(self._run(stream))

    async def _run(self, stream: Stream) -> None:
        try:
            if self.tls is not None:
                await stream.start_tls(self.tls)
            await self._handler(stream)
        except (ConnectionError, TimeoutError) as error:
            if self._on_error is not None and not isinstance(error, ConnectionResetError):
                self._on_error(stream, error)
        except Exception as error:
            if self._on_error is None:
                raise
            self._on_error(stream, error)
        finally:
            self.connections.pop(stream, None)
            self.known(stream)
            stream.close()

    def known(self, stream: Stream) -> None:
        """Somebody has signed in there: it is no stranger's connection any more."""
        if stream in self._unknown:
            self._unknown.remove(stream)
            self._strangers.leave(stream.peer[0])

    def stop_accepting(self) -> None:
        """Take no more connections from the socket (which stays open: another process may)."""
        if self._server is not None:
            # Server.close() would close the shared socket's descriptor; ours is a copy from the fork
            self._server.close()
            self._server = None

    async def stop(self, grace_s: float) -> None:
        """Let commands in flight finish: quiet connections end at once, busy ones when quiet, all after `grace_s`."""
        self.stop_accepting()
        loop = asyncio.get_running_loop()
        end = loop.time() + grace_s
        while self.connections and loop.time() < end:
            for stream in list(self.connections):
                stream.request_stop()
            await asyncio.wait(list(self.connections.values()), timeout=0.1)
        for stream in list(self.connections):
            stream.request_stop(now=True)
        if self.connections:
            await asyncio.wait(list(self.connections.values()), timeout=HARD_STOP_S)
        for stream, task in list(self.connections.items()):
            stream.abort()
            task.cancel()


async def serve(
    sock: socket.socket,
    handler: Handler,
    tls: ssl.SSLContext | Wrapping | None = None,
    *,
    on_error: OnError | None = None,
    limit: int = 20000,
    full: bytes = b"",
    below: int = 0,
    strangers: int = 0,
) -> Listener:
    """Start a task of `handler` for each connection of a listening socket; with `tls`, after a handshake.

    A connection above `limit`, or whose descriptor is not below `below`, is sent `full` and closed; without TLS, that
    is: with it, it is only closed. So is one of an address (IPv6: a /64) that has `strangers` connections on which
    nobody has signed in (`Listener.known`); 0 is no limit.

    The handler may let ConnectionError, TimeoutError and Stopping pass; the stream is closed when it returns.
    """
    listener = Listener(sock, handler, tls, on_error, limit, full, below, strangers)
    await listener._start()
    return listener
