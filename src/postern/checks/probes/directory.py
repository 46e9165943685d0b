"""LDAP and LDAPS: the root DSE (RFC 4512 5.1), which a server shows to everybody."""

from __future__ import annotations

import contextlib

from postern.checks.model import Seen, Service, Tls
from postern.checks.tls import examine, handshake, straight_away
from postern.checks.wire import TROUBLE, Tools, Wire, ask_datagram, opened
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import controls
from postern.protocols.ldap.client import ClientSession, Disconnected, Found
from postern.protocols.ldap.operations import Scope, SearchRequest

ROOT_DSE = SearchRequest(
    "",
    Scope.BASE,
    attributes=(
        "namingContexts", "defaultNamingContext", "supportedLDAPVersion", "supportedSASLMechanisms",
        "supportedExtension", "dnsHostName", "isGlobalCatalogReady", "vendorName", "vendorVersion",
    ),
    size_limit=1,
    time_limit_s=10,
)  # fmt: skip
_LIMIT_BYTES = 256 * 1024


async def probe(service: Service, tools: Tools, seen: Seen) -> None:
    """Fill in what a directory says of itself. Raises TROUBLE."""
    implicit = service.tls is Tls.IMPLICIT
    if service.transport == "udp":
        await _datagram(service, tools, seen)
        return
    async with opened(service, tools) as wire:
        name = service.names[0] if service.names else ""
        if implicit and not await handshake(wire, name, seen):
            return
        session = ClientSession(_LIMIT_BYTES)
        await _root(wire, session, seen)
        seen.mechanisms = seen.facts.get("supportedSASLMechanisms", ())
        if not implicit:
            seen.mechanisms_clear = seen.mechanisms
            refused = await _starttls(wire, session)
            # not every server that has it says so: Samba does not
            seen.starttls = not refused or controls.STARTTLS in seen.facts.get("supportedExtension", ())
            seen.starttls_failure = refused if seen.starttls else ""
            if not refused and await handshake(wire, name, seen):
                session.tls_started()
                await _root(wire, session, seen)
                seen.mechanisms = seen.facts.get("supportedSASLMechanisms", ())
        if not seen.tls_failure:
            with contextlib.suppress(*TROUBLE):
                await wire.send(session.unbind())
    await examine(service, tools, seen, straight_away if implicit else _prepare)


async def _root(wire: Wire, session: ClientSession, seen: Seen) -> None:
    try:
        found = await wire.drive(session.search(ROOT_DSE), session.receive, session.next_message)
    except Disconnected as notice:
        raise ProtocolViolation(str(notice)) from notice
    _note(seen, found)


async def _datagram(service: Service, tools: Tools, seen: Seen) -> None:
    """CLDAP (MS-ADTS 6.3.3): the same question in one datagram, which domain controllers answer."""
    session = ClientSession(_LIMIT_BYTES)
    operation = session.search(ROOT_DSE)
    question = next(operation)
    session.receive(await ask_datagram(service, tools, lambda _: question))
    try:
        while (answer := session.next_message()) is not None:
            operation.send(answer)
    except StopIteration as stop:
        _note(seen, stop.value)
        return
    raise ProtocolViolation("an answer that does not end")


def _note(seen: Seen, found: Found) -> None:
    if not found.result.ok or not found.entries:
        raise ProtocolViolation(f"no root DSE: {found.result.name} {found.result.diagnostic}".strip())
    wanted = {attribute.lower(): attribute for attribute in ROOT_DSE.attributes}
    seen.facts = {
        wanted[name.lower()]: tuple(value.decode("utf-8", "replace") for value in values)
        for name, values in found.entries[0].attributes.items()
        if name.lower() in wanted
    }


async def _starttls(wire: Wire, session: ClientSession) -> str:
    try:
        result = await wire.drive(session.starttls(), session.receive, session.next_message)
    except Disconnected as notice:
        return str(notice)
    return "" if result.ok else f"{result.name} {result.diagnostic}".strip()


async def _prepare(wire: Wire) -> None:
    if refused := await _starttls(wire, ClientSession(_LIMIT_BYTES)):
        raise ProtocolViolation(refused)
