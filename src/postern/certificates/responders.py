"""What answers an ACME server's questions while an order runs (RFC 8555 8, RFC 8737)."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Protocol

from postern.certificates.place import write_private
from postern.formats import issuing
from postern.model.refusal import Reason, Refusal
from postern.net.tls import ACME_ALPN

HTTP_PATH = "/.well-known/acme-challenge/"
TIMEOUT_S = 10.0
HOOK_TIMEOUT_S = 600.0
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}")
"""RFC 8555 8.3: base64url; checked, since it becomes the name of a file."""


class Responder(Protocol):
    """One way to show control of names."""

    def present(self, name: str, token: str, key_authorization: str, digest: str) -> None:
        """Have the answer ready. `digest` is what a TXT record holds (RFC 8555 8.4). Raises Refusal."""
        ...

    def settle(self) -> None:
        """Return when the outside can see all answers."""
        ...

    def close(self) -> None:
        """Take all answers away."""
        ...


def answer(directory: Path, path: str) -> bytes | None:
    """What the server of port 80 answers at a path below `HTTP_PATH`: the token's file, None if there is none."""
    token = path.removeprefix(HTTP_PATH)
    if not path.startswith(HTTP_PATH) or not _TOKEN.fullmatch(token):
        return None
    try:
        return (directory / token).read_bytes()
    except OSError:
        return None


class HttpResponder:
    """http-01: token files, and a server for them unless one listens already (ours; it reads the same files)."""

    def __init__(self, directory: Path, addresses: Sequence[str], port: int) -> None:
        self._directory = directory
        self._files: list[Path] = []
        self._servers: list[ThreadingHTTPServer] = []
        for address in addresses:
            try:
                self._servers.append(_http_server(directory, address, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                if not _optional(address, error, addresses):
                    self.close()
                    raise Refusal(Reason.NOT_PERMITTED, _cannot_listen(address, port, error)) from error
        for server in self._servers:
            threading.Thread(target=server.serve_forever, name="acme-http", daemon=True).start()

    def present(self, name: str, token: str, key_authorization: str, digest: str) -> None:
        """Write the token's file."""
        if not _TOKEN.fullmatch(token):
            raise Refusal(Reason.BAD_VALUE, f"the ACME server sent a token that is none: {token[:80]!r}")
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / token
        path.write_text(key_authorization, "ascii")
        self._files.append(path)

    def settle(self) -> None:
        """They are there at once."""

    def close(self) -> None:
        """Remove the files, stop the servers."""
        for path in self._files:
            path.unlink(missing_ok=True)
        for server in self._servers:
            server.shutdown()
            server.server_close()


class TlsResponder:
    """tls-alpn-01: a TLS server that shows the answer's certificate to who asks for `acme-tls/1`.

    Unless one listens already: ours, which reads the same files (net.tls.AnsweringContext).
    """

    def __init__(self, directory: Path, addresses: Sequence[str], port: int, now: datetime) -> None:
        self._directory = directory
        self._files: list[Path] = []
        self._now = now
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._sockets: list[socket.socket] = []
        self._closed = False
        outer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        outer.set_alpn_protocols([ACME_ALPN])
        outer.sni_callback = self._choose
        for address in addresses:
            try:
                self._sockets.append(_listen(address, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    continue
                if not _optional(address, error, addresses):
                    self.close()
                    raise Refusal(Reason.NOT_PERMITTED, _cannot_listen(address, port, error)) from error
        for sock in self._sockets:
            threading.Thread(target=self._serve, args=(sock, outer), name="acme-tls", daemon=True).start()

    def present(self, name: str, token: str, key_authorization: str, digest: str) -> None:
        """Make the certificate."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / f"{name.lower()}.alpn.pem"
        path.unlink(missing_ok=True)
        write_private(path, b"".join(issuing.acme_answer(name, key_authorization.encode(), self._now)))
        self._files.append(path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols([ACME_ALPN])
        context.load_cert_chain(path)
        self._contexts[name.lower()] = context

    def settle(self) -> None:
        """They are there at once."""

    def close(self) -> None:
        """Remove the files, stop listening."""
        for path in self._files:
            path.unlink(missing_ok=True)
        self._closed = True
        for sock in self._sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _choose(self, connection: ssl.SSLObject, name: str, _: ssl.SSLContext) -> int | None:
        context = self._contexts.get((name or "").lower())
        if context is None:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context
        return None

    def _serve(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        while not self._closed:
            try:
                connection, _peer = sock.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(TIMEOUT_S)
                # the handshake is the whole answer (RFC 8737 3)
                context.wrap_socket(connection, server_side=True).close()


class HookResponder:
    """dns-01: the administrator's program writes and removes TXT records."""

    def __init__(self, hook: Sequence[str], wait_s: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._hook = tuple(hook)
        self._wait_s = wait_s
        self._sleep = sleep
        self._made: list[tuple[str, str]] = []

    def present(self, name: str, token: str, key_authorization: str, digest: str) -> None:
        """Call `HOOK present _acme-challenge.NAME VALUE`."""
        record = f"_acme-challenge.{name.removeprefix('*.')}"
        # removed even if the program fails half-way
        self._made.append((record, digest))
        self._call("present", record, digest)

    def settle(self) -> None:
        """Let the record reach the zone's servers."""
        self._sleep(self._wait_s)

    def close(self) -> None:
        """Call `HOOK remove ...` for each; a failure leaves a record that harms nobody."""
        for record, digest in self._made:
            with contextlib.suppress(Refusal):
                self._call("remove", record, digest)

    def _call(self, verb: str, record: str, value: str) -> None:
        try:
            done = subprocess.run(  # noqa: S603 - the administrator's own program, no shell
                [*self._hook, verb, record, value], capture_output=True, text=True, timeout=HOOK_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise Refusal(Reason.TRY_LATER, f"the hook {self._hook[0]} {verb} failed: {problem}") from problem
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-500:]
            raise Refusal(Reason.TRY_LATER, f"the hook {self._hook[0]} {verb} ended with {done.returncode}: {said}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_port = False


def _http_server(directory: Path, address: str, port: int) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        timeout = TIMEOUT_S

        def do_GET(self) -> None:
            found = answer(directory, self.path)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()
            self.wfile.write(found or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(_Server):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def server_bind(self) -> None:
            # connections of the last order may still be fading away
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self.address_family == socket.AF_INET6:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.socket.bind(self.server_address)
            self.server_name, self.server_port = address, port

    return Server((address, port), Handler)


def _listen(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, port))
        sock.listen(16)
    except OSError:
        sock.close()
        raise
    return sock


def _optional(address: str, error: OSError, addresses: Sequence[str]) -> bool:
    """A machine without IPv6."""
    return address == "::" and len(addresses) > 1 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _cannot_listen(address: str, port: int, error: OSError) -> str:
    return (
        f"cannot answer the ACME server on {address} port {port}: {error.strerror}; choose another [acme] challenge, or"
        " free the port (below 1024 it needs CAP_NET_BIND_SERVICE, which the systemd unit gives)"
    )
