"""SASL GSSAPI towards a controller: signed and sealed by Kerberos on the port without TLS (RFC 4752).

The library `gssapi` is an extra; without it a source with this protection says what to install.
"""

from __future__ import annotations

import asyncio
from typing import Any

from postern.ldapsource.connection import DENIALS, Connection
from postern.ldapsource.failures import Denied, SourceFailure, Unavailable, check
from postern.ldapsource.settings import SourceSettings
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap.operations import BindRequest, BindResponse
from postern.protocols.ldap.results import Code, Result

MAX_OCTETS = 16 * 1024 * 1024 - 1
"""The most that a token may have (RFC 4752 3.3: 24 bits)."""
_SEAL = 4
"""RFC 4752 3.1: the layer that signs and seals."""


class Sealed:
    """The security layer: four octets of length, then a sealed token."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self._buffer = bytearray()

    def wrap(self, data: bytes) -> bytes:
        """Sealed, with its length."""
        token: bytes = self._context.wrap(data, True).message
        return len(token).to_bytes(4, "big") + token

    def unwrap(self, data: bytes) -> bytes:
        """What of all that came is whole. Raises ProtocolViolation."""
        self._buffer += data
        plain = []
        while len(self._buffer) >= 4:
            size = int.from_bytes(self._buffer[:4], "big")
            if size > MAX_OCTETS:
                raise ProtocolViolation(f"a sealed message of {size} octets")
            if len(self._buffer) < 4 + size:
                break
            token = bytes(self._buffer[4 : 4 + size])
            del self._buffer[: 4 + size]
            opened = _guarded(lambda token=token: self._context.unwrap(token))
            if not opened.encrypted:
                raise ProtocolViolation("a message that should be sealed is not")
            plain.append(opened.message)
        return b"".join(plain)


async def bind(connection: Connection, settings: SourceSettings, password: str) -> None:
    """Sign the service account in and seal the connection. Raises SourceFailure."""
    controller = connection.controller
    try:
        import gssapi
    except ImportError as missing:
        raise SourceFailure(
            "sign and seal needs the library gssapi (`pip install postern[kerberos]`), or use starttls"
        ) from missing
    # tickets come from a key distribution centre, over the network
    context = await asyncio.to_thread(_start, gssapi, settings, password, controller.host)
    answer: BindResponse | None = None
    while not context.complete:
        token = await asyncio.to_thread(_stepped, context, answer.credentials if answer is not None else None)
        answer = await _ask(connection, token or b"", settings)
    # the server says which layers it has (RFC 4752 3.1), we choose the one that seals
    if answer is None or answer.result.code != Code.SASL_BIND_IN_PROGRESS:
        raise SourceFailure(f"{controller}: offers no security layer")
    credentials = answer.credentials or b""
    offered = _guarded(lambda: context.unwrap(credentials)).message
    if len(offered) != 4 or not offered[0] & _SEAL:
        raise SourceFailure(f"{controller}: does not seal")
    chosen = context.wrap(bytes((_SEAL,)) + MAX_OCTETS.to_bytes(3, "big"), False).message
    answer = await _ask(connection, chosen, settings)
    check(answer.result, f"{controller}: bind by Kerberos")
    connection.layer = Sealed(context)


async def _ask(connection: Connection, token: bytes, settings: SourceSettings) -> BindResponse:
    answer = await connection.run(connection.session.bind_step(BindRequest(mechanism="GSSAPI", credentials=token)))
    result: Result = answer.result
    if result.code in DENIALS:
        connection.close()
        raise Denied(f"{connection.controller}: {settings.user} may not sign in: {result.diagnostic}", result)
    if result.code != Code.SASL_BIND_IN_PROGRESS:
        check(result, f"{connection.controller}: bind by Kerberos")
    return answer


def _start(gssapi: Any, settings: SourceSettings, password: str, host: str) -> Any:
    """A context for the controller's LDAP service."""
    try:
        mechanism = gssapi.MechType.kerberos
        name = gssapi.Name(settings.user, gssapi.NameType.user) if settings.user else None
        credentials = None
        if settings.keytab:
            store = {"client_keytab": settings.keytab, "ccache": "MEMORY:"}
            credentials = gssapi.Credentials(name=name, usage="initiate", mechs=[mechanism], store=store)
        elif name is not None and password:
            acquired = gssapi.raw.acquire_cred_with_password(
                name, password.encode(), usage="initiate", mechs=[mechanism]
            )
            credentials = gssapi.Credentials(acquired.creds)
        flags = gssapi.RequirementFlag
        return gssapi.SecurityContext(
            name=gssapi.Name(f"ldap@{host}", gssapi.NameType.hostbased_service),
            creds=credentials,
            mech=mechanism,
            flags=flags.mutual_authentication
            | flags.integrity
            | flags.confidentiality
            | flags.out_of_sequence_detection,
            usage="initiate",
        )
    except gssapi.raw.misc.GSSError as problem:
        raise Unavailable(f"Kerberos: {_words(problem)}") from problem


def _stepped(context: Any, token: bytes | None) -> bytes | None:
    try:
        answer: bytes | None = context.step(token)
    except _errors() as problem:
        raise Unavailable(f"Kerberos: {_words(problem)}") from problem
    return answer


def _guarded(work: Any) -> Any:
    try:
        return work()
    except _errors() as problem:
        raise ProtocolViolation(f"Kerberos: {_words(problem)}") from problem


def _errors() -> type[Exception]:
    import gssapi

    found: type[Exception] = gssapi.raw.misc.GSSError
    return found


def _words(problem: Any) -> str:
    return " ".join(str(problem).split())
