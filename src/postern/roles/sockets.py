"""The server's listening sockets and TLS contexts, made from settings and catalogue before the fork."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import msgspec

from postern.certificates.place import Place
from postern.config.listeners import Listening, listeners
from postern.config.settings import Settings
from postern.net.listener import BindError, bind, claim
from postern.net.tls import WEB_TICKETS, ServerContext, Wrapping, server_context
from postern.roles.instance import StartError

METRICS = "metrics"
"""The listener that the background process serves; all others are the workers'."""
HTTP = "http"


class Endpoint(msgspec.Struct):
    """One address of one data path."""

    listening: Listening
    address: str
    sockets: list[socket.socket]
    """One a worker; the metrics page has one in all."""
    port: int
    """The port that is really open."""

    @property
    def in_background(self) -> bool:
        """Whether the background process serves it, and no worker."""
        return self.listening.path.id == METRICS


class TlsContexts(msgspec.Struct):
    """Made before the fork: workers share the keys of session tickets."""

    mail: ServerContext
    web: ServerContext
    """May ask for client certificates, which mail programs do not expect."""
    external: Wrapping | None = None
    """Of mail listeners that offer EXTERNAL: asks for certificates, of the authorities of clients or anybody's."""

    def of(self, listening: Listening) -> Wrapping:
        """A listener's."""
        if listening.path.protocol == HTTP:
            return self.web
        return self.external if self.external is not None and "EXTERNAL" in listening.mechanisms else self.mail


def open_endpoints(settings: Settings, workers: int, old: Sequence[Endpoint] = ()) -> list[Endpoint]:
    """Open what the settings ask for, taking over those of `old` that stay. Raises StartError; `old` is left alone."""
    kept = {(endpoint.listening.path.id, endpoint.address, endpoint.listening.port): endpoint for endpoint in old}
    opened: list[Endpoint] = []
    new: list[socket.socket] = []
    try:
        for listening in listeners(settings):
            count = 1 if listening.path.id == METRICS else workers
            for address in listening.addresses:
                before = kept.get((listening.path.id, address, listening.port))
                sockets = list(before.sockets[:count]) if before else []
                while len(sockets) < count:
                    optional = address == "::" and len(listening.addresses) > 1
                    made = _bind(address, listening.port, first=not sockets, optional=optional)
                    if made is None:
                        break
                    sockets.append(made)
                    new.append(made)
                if sockets:
                    opened.append(Endpoint(listening, address, sockets, int(sockets[0].getsockname()[1])))
    except BindError as error:
        for made in new:
            made.close()
        raise StartError(str(error.strerror)) from error
    return opened


def _bind(address: str, port: int, *, first: bool, optional: bool) -> socket.socket | None:
    """`first`: nobody of ours has the port yet, so nobody may have it."""
    try:
        if first and port:
            claim(address, port)
        return bind(address, port)
    except BindError as error:
        if optional and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return None  # a machine without IPv6
        raise


def close_unused(old: Sequence[Endpoint], new: Sequence[Endpoint]) -> None:
    """After a reload: close sockets that nobody will serve any more."""
    used = {id(sock) for endpoint in new for sock in endpoint.sockets}
    for endpoint in old:
        for sock in endpoint.sockets:
            if id(sock) not in used:
                sock.close()


def tls_contexts(settings: Settings) -> TlsContexts:
    """The contexts of all listeners. Raises StartError."""
    certificate, key = settings.certificate, settings.key
    try:
        mail = server_context(certificate, key)
    except FileNotFoundError as error:
        raise StartError(
            f"there is no TLS certificate at {error.filename or certificate}: `postern quickstart` makes one, "
            "or name yours in [tls] certificate and key"
        ) from error
    except (OSError, ssl.SSLError, ValueError) as error:
        raise StartError(f"the TLS certificate {certificate} with the key {key} cannot be used: {error}") from error
    answers = None
    if settings.acme.directory and settings.acme.challenge == "tls-alpn-01":
        answers = Place(settings.data_dir).challenges
    web = _context(settings, "[http] client_ca", settings.http.client_ca, answers, tickets=WEB_TICKETS)
    external: Wrapping | None
    if settings.authentication.front_end_certificates:
        external = _taking_any(settings)
    else:
        authorities = settings.authentication.client_ca
        external = _context(settings, "[authentication] client_ca", authorities) if authorities else None
    return TlsContexts(mail, web, external)


def _taking_any(settings: Settings) -> Wrapping:
    """A context that asks for certificates and leaves it to EXTERNAL what they are worth. Raises StartError."""
    from postern.net.asking import AskingContext  # another TLS library: loaded where it is needed

    own = settings.certificate, settings.key
    identity = Place(settings.data_dir).identity
    shown = (identity.certificate, identity.key) if identity.certificate.exists() else own
    try:
        return AskingContext(*own, shown)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise StartError(f"[authentication] front_end_certificates: {error}") from error


def _context(
    settings: Settings, key: str, clients: str, answers: Path | None = None, *, tickets: int = 0
) -> ServerContext:
    """A context that may ask for certificates of some authorities or answer ACME (net.tls). Raises StartError."""
    try:
        return server_context(
            settings.certificate, settings.key, Path(clients) if clients else None, answers, tickets=tickets
        )
    except (OSError, ssl.SSLError, ValueError) as error:
        raise StartError(f"{key}: {clients} cannot be used: {error}") from error
