"""TLS contexts and what is known of a TLS connection.

Contexts are made before the workers are forked: their session ticket keys are then the same in every worker, so that
a client of HTTPS resumes its session with whichever worker takes the connection.
"""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes

ACME_ALPN = "acme-tls/1"
_ALPN_ENTRY = b"\x0a" + ACME_ALPN.encode()
"""As it stands in a ClientHello (RFC 7301 3.1)."""
_HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
WEB_TICKETS = 1
"""TLS 1.3 session tickets a handshake of HTTPS sends: browsers and phones come back often and use one each time.

Mail programs hold their connections for hours. They are sent none: one costs the server three times what resuming
would save it of a handshake (RFC 8446 2.2: the key exchange is done all the same), and the key that opens tickets, as
long as the process lives, would open what was sent early.
"""


DIRECT_TRUST = "direct-trust.postern.invalid"
"""Server name by which the organisation's servers ask each other for the certificate that is pinned (RFC 6066 3)."""


class TlsFailure(ConnectionError):  # noqa: N818 - the field's word
    """A handshake failed or a record was broken; the connection is of no more use."""


class TlsFacts(NamedTuple):
    """What a finished handshake established."""

    version: str
    """As OpenSSL names it: TLSv1.3."""
    cipher: str
    server_end_point: bytes
    """tls-server-end-point channel binding of our certificate (RFC 5929 4); empty on the client's side."""
    peer_certificate: bytes = b""
    """The peer's certificate in DER if it sent one and we asked for it."""
    peer_chain: tuple[bytes, ...] = ()
    """All it sent, its own first, where anybody's is taken (net.asking); nothing of it is verified."""


class TlsObject(Protocol):
    """ssl.SSLObject, as far as it is used here."""

    def do_handshake(self) -> None: ...  # noqa: D102
    def read(self, length: int, buffer: memoryview, /) -> int | bytes: ...  # noqa: D102
    def write(self, data: bytes | memoryview, /) -> int: ...  # noqa: D102
    def unwrap(self) -> object: ...  # noqa: D102
    def pending(self) -> int: ...  # noqa: D102
    def version(self) -> str | None: ...  # noqa: D102
    def cipher(self) -> tuple[str, str, int] | None: ...  # noqa: D102
    def getpeercert(self, binary_form: Literal[True]) -> bytes | None: ...  # noqa: D102


class Wrapping(Protocol):
    """ssl.SSLContext, as far as it is used here."""

    end_point: bytes

    def wrap_bio(  # noqa: D102
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = ...,
        server_hostname: str | None = ...,
    ) -> TlsObject: ...


class ServerContext(ssl.SSLContext):
    """A server's context that knows its certificate's channel binding."""

    end_point: bytes = b""
    files: FileState = ()
    """What its files were when they were read."""


class AnsweringContext(ServerContext):
    """Also answers tls-alpn-01 while an ACME order runs (RFC 8737): by the first record, before OpenSSL sees it.

    (The standard library's hooks know the server name and not the protocols, and everybody asks for the name.)
    """

    answers: Path
    """Directory with NAME.alpn.pem, certificate and key of each answer."""

    def for_hello(self, hello: bytes) -> ssl.SSLContext:
        """The context for a ClientHello, whole or not."""
        if _ALPN_ENTRY not in hello:
            return self
        answering = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        answering.set_alpn_protocols([ACME_ALPN])
        answering.sni_callback = self._answer
        return answering

    def _answer(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
        name = (name or "").lower()
        if not _HOST_NAME.fullmatch(name):
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols([ACME_ALPN])
        try:
            context.load_cert_chain(self.answers / f"{name}.alpn.pem")
        except (OSError, ssl.SSLError):
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        connection.context = context
        return None


FileState: TypeAlias = tuple[tuple[int, int, int], ...]


def file_state(*paths: Path) -> FileState:
    """Differs once one of the files was replaced or written; a missing one is zeros."""
    found = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            found.append((0, 0, 0))
        else:
            found.append((status.st_ino, status.st_mtime_ns, status.st_size))
    return tuple(found)


def server_context(
    certificate: Path, key: Path, clients: Path | None = None, answers: Path | None = None, *, tickets: int = 0
) -> ServerContext:
    """A context for our listeners, TLS 1.2 and newer. Raises OSError, ssl.SSLError, ValueError.

    `clients`: authorities of client certificates. Clients are then asked for one; who shows none comes in all the same,
    who shows a bad one (expired, of somebody else, for another purpose) does not. `answers`: AnsweringContext.
    `tickets`: as many session tickets are sent after a handshake of TLS 1.3.
    """
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    if answers is not None:
        context = AnsweringContext(ssl.PROTOCOL_TLS_SERVER)
        context.answers = answers
    # before they are read: a change in between is noticed, at worst twice
    context.files = file_state(certificate, key)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = tickets
    context.load_cert_chain(certificate, key)
    context.end_point = end_point(certificate.read_bytes())
    if clients is not None:
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(clients)
    return context


def client_context(
    *, verify: bool = False, trust: Path | None = None, certificate: tuple[Path, Path] | None = None
) -> ssl.SSLContext:
    """A context towards other servers; opportunistic (RFC 7435: encrypted, not verified) unless `verify`.

    `certificate` and its key are shown to a server that asks. Raises OSError, ssl.SSLError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify:
        if trust is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(trust)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


def end_point(pem: bytes) -> bytes:
    """tls-server-end-point of the first certificate in a PEM file (RFC 5929 4.1)."""
    return _end_point(x509.load_pem_x509_certificates(pem)[0])


def end_point_of(der: bytes) -> bytes:
    """The same of a certificate in DER, as a server has shown it."""
    return _end_point(x509.load_der_x509_certificate(der))


def _end_point(certificate: x509.Certificate) -> bytes:
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or algorithm.name in {"md5", "sha1"}:
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
