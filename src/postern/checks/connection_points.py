"""Service connection points as Outlook looks for them in a directory (MS-OXDISCO 3.1.5.1): over TLS, signed in."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import msgspec

from postern.model.refusal import ProtocolViolation
from postern.net.client import connect
from postern.net.stream import Stream
from postern.net.tls import TlsFailure, client_context
from postern.protocols.autodiscover import scp
from postern.protocols.ldap import filters
from postern.protocols.ldap.client import ClientSession, Disconnected, Exchange, T
from postern.protocols.ldap.operations import Scope, SearchRequest

PORT = 636
LIMIT_BYTES = 1_048_576
MAX_POINTS = 100


class Points(msgspec.Struct, frozen=True):
    """What was found."""

    urls: tuple[str, ...] = ()
    detail: str = ""
    """Why there are none."""


async def find(server: str, name: str, password: str, *, trust: Path | None, timeout_s: float) -> Points:
    """Ask a directory; without a password anonymously, which Active Directory answers with nothing."""
    try:
        async with asyncio.timeout(4 * timeout_s):
            stream = await connect(server, PORT, timeout_s)
            try:
                context = client_context(verify=True, trust=trust)
                await stream.start_tls(context, server_side=False, server_name=server, timeout_s=timeout_s)
                return await _ask(_Directory(stream, timeout_s), name, password)
            finally:
                stream.close()
    except TlsFailure as problem:
        cause = problem.__cause__
        detail = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(problem)
        return Points(detail=detail)
    except (OSError, ProtocolViolation, Disconnected) as problem:
        return Points(detail=str(getattr(problem, "strerror", None) or problem) or type(problem).__name__)


class _Directory:
    def __init__(self, stream: Stream, timeout_s: float) -> None:
        self._stream = stream
        self._timeout_s = timeout_s
        self._left = LIMIT_BYTES
        self.session = ClientSession()

    async def run(self, operation: Exchange[T]) -> T:
        """An operation to its end."""
        try:
            data = next(operation)
            while True:
                if data:
                    self._stream.write(data)
                    await self._stream.drain(self._timeout_s)
                while (answer := self.session.next_message()) is None:
                    read = await self._stream.read(self._timeout_s)
                    self._left -= len(read)
                    if not read or self._left < 0:
                        raise ProtocolViolation("the directory ends its answer")
                    self.session.receive(read)
                data = operation.send(answer)
        except StopIteration as stop:
            found: T = stop.value
            return found


async def _ask(directory: _Directory, name: str, password: str) -> Points:
    if password:
        result = await directory.run(directory.session.bind(name, password.encode()))
        if not result.ok:
            return Points(detail=f"{result.name} {result.diagnostic}".strip())
    everything = filters.parse("(objectClass=*)")
    root = SearchRequest("", Scope.BASE, everything, attributes=("configurationNamingContext",))
    entries = (await directory.run(directory.session.search(root))).entries
    values = [value for entry in entries for value in entry.attributes.get("configurationNamingContext", ())]
    if not values:
        return Points(detail="configurationNamingContext?")
    wanted = SearchRequest(
        values[0].decode("utf-8", "replace"),
        Scope.SUBTREE,
        filters.parse(scp.FILTER),
        attributes=("serviceBindingInformation", "keywords"),
        size_limit=MAX_POINTS,
    )
    found = await directory.run(directory.session.search(wanted))
    urls = [
        value.decode("utf-8", "replace")
        for entry in found.entries
        for value in entry.attributes.get("serviceBindingInformation", ())
        if value.lower().startswith(b"https://")
    ]
    return Points(tuple(urls), "" if urls or found.result.ok else found.result.name)
