"""A server's TLS that asks its peers for a certificate and takes any, or none.

The standard library offers this: ask, and break the handshake if the certificate is not signed by who we trust. On port
25 that would turn away every server of the world that shows a certificate of its own when asked. Here the handshake
always goes on, and whoever needs to know looks at what was shown. Used once somebody needs to know, on no other port.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from postern.net.tls import DIRECT_TRUST, end_point

_CHUNK = 65536


class AskingContext:
    """In place of a ServerContext.

    To who asks for the name DIRECT_TRUST it shows the server's identity instead of the listeners' certificate.
    """

    def __init__(self, certificate: Path, key: Path, identity: tuple[Path, Path]) -> None:
        """Raises OSError, ssl.SSLError, ValueError."""
        self._context, self.end_point = _context(certificate, key)
        self._identity, self._identity_end_point = _context(*identity)
        self._context.set_tlsext_servername_callback(self._choose)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = True,
        server_hostname: str | None = None,
    ) -> AskingObject:
        """As SSLContext.wrap_bio, server side only."""
        connection = SSL.Connection(self._context, None)
        connection.set_accept_state()
        return AskingObject(connection, incoming, outgoing, self)

    def end_point_of(self, connection: SSL.Connection) -> bytes:
        """The channel binding of the certificate that was shown."""
        return self._identity_end_point if connection.get_context() is self._identity else self.end_point

    def _choose(self, connection: SSL.Connection) -> None:
        if connection.get_servername() == DIRECT_TRUST.encode():
            connection.set_context(self._identity)


class AskingObject:
    """In place of an SSLObject: the same calls, the same errors."""

    def __init__(
        self, connection: SSL.Connection, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, context: AskingContext
    ) -> None:
        self._connection = connection
        self._incoming = incoming
        self._outgoing = outgoing
        self._context = context
        self._more = False
        """The library may hold records that were not looked at yet."""

    def do_handshake(self) -> None:
        """Raises ssl.SSLWantReadError, ssl.SSLError."""
        self._feed()
        try:
            self._connection.do_handshake()
        except SSL.Error as problem:
            raise _as_standard(problem) from None
        finally:
            self._drain()

    def read(self, length: int, buffer: memoryview) -> int:
        """Into the buffer; how many octets. Raises ssl.SSLWantReadError, ssl.SSLZeroReturnError, ssl.SSLError."""
        self._feed()
        try:
            return int(self._connection.recv_into(buffer, length))
        except SSL.Error as problem:
            self._more = False
            raise _as_standard(problem) from None
        finally:
            self._drain()

    def write(self, data: bytes | memoryview) -> int:
        """Raises ssl.SSLError."""
        try:
            return int(self._connection.send(bytes(data)))
        except SSL.Error as problem:
            raise _as_standard(problem) from None
        finally:
            self._drain()

    def unwrap(self) -> None:
        """Say goodbye; the peer's answer is not waited for."""
        try:
            self._connection.shutdown()
        except SSL.Error as problem:
            raise _as_standard(problem) from None
        finally:
            self._drain()

    def pending(self) -> int:
        """Octets that can be read, at least one as long as that is not known."""
        return int(self._connection.pending()) or int(self._more)

    def version(self) -> str:
        """Such as TLSv1.3."""
        return str(self._connection.get_protocol_version_name())

    def cipher(self) -> tuple[str, str, int] | None:
        """Name, protocol, bits."""
        name = self._connection.get_cipher_name()
        return (name, self.version(), self._connection.get_cipher_bits() or 0) if name else None

    def getpeercert(self, binary_form: bool = True) -> None:
        """Nothing: a certificate that is given here counts as verified, and none was."""

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """All that the peer sent, its own first, in DER."""
        shown = self._connection.get_peer_certificate(as_cryptography=True)
        if shown is None:
            return ()
        own = shown.public_bytes(Encoding.DER)
        sent = self._connection.get_peer_cert_chain(as_cryptography=True) or []
        return (own, *(other for one in sent if (other := one.public_bytes(Encoding.DER)) != own))

    @property
    def end_point(self) -> bytes:
        """tls-server-end-point of what we have shown."""
        return self._context.end_point_of(self._connection)

    def _feed(self) -> None:
        if self._incoming.pending:
            self._connection.bio_write(self._incoming.read())
            self._more = True

    def _drain(self) -> None:
        while True:
            try:
                self._outgoing.write(self._connection.bio_read(_CHUNK))
            except SSL.WantReadError:
                return
            except SSL.Error:
                return


def _context(certificate: Path, key: Path) -> tuple[SSL.Context, bytes]:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    # sessions are not resumed: who a peer is, is asked anew each time
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_TICKET)
    context.set_options(SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    try:
        context.use_certificate_chain_file(str(certificate))
        context.use_privatekey_file(str(key))
        context.check_privatekey()
    except SSL.Error as problem:
        raise _as_standard(problem) from problem
    context.set_verify(SSL.VERIFY_PEER, _any)
    return context, end_point(certificate.read_bytes())


def _any(*_: object) -> bool:
    return True


def _as_standard(problem: SSL.Error) -> ssl.SSLError:
    if isinstance(problem, SSL.WantReadError):
        return ssl.SSLWantReadError()
    if isinstance(problem, SSL.ZeroReturnError):
        return ssl.SSLZeroReturnError()
    if isinstance(problem, SSL.SysCallError):
        return ssl.SSLEOFError(str(problem))
    reasons = problem.args[0] if problem.args and isinstance(problem.args[0], list) else []
    return ssl.SSLError("; ".join(str(reason[-1]) for reason in reasons) or str(problem) or "TLS failed")
