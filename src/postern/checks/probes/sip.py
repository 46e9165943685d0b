"""SIP: OPTIONS over UDP, TCP or TLS."""

from __future__ import annotations

from postern.checks.model import Seen, Service, Tls
from postern.checks.tls import examine, handshake, straight_away
from postern.checks.wire import Tools, ask_datagram, opened
from postern.model.refusal import ProtocolViolation
from postern.protocols.http.head import Head
from postern.protocols.sip import options


async def probe(service: Service, tools: Tools, seen: Seen) -> None:
    """Fill in what a SIP server knows. Raises TROUBLE."""
    tag = tools.entropy.token(12).hex()
    host = service.names[0] if service.names else service.address
    if service.transport == "udp":
        data = await ask_datagram(service, tools, lambda local: options.request(host, local, "UDP", tag))
        head = options.answer(data, tag)
        if head is None:
            raise ProtocolViolation("no final answer to OPTIONS")
        _note(seen, head)
        return
    implicit = service.tls is Tls.IMPLICIT
    async with opened(service, tools) as wire:
        if implicit and not await handshake(wire, host, seen):
            return
        local = wire.stream.local
        own = f"[{local[0]}]:{local[1]}" if ":" in local[0] else f"{local[0]}:{local[1]}"
        await wire.send(options.request(host, own, "TLS" if implicit else "TCP", tag))
        data = await wire.read()
        while (head := options.answer(data, tag)) is None:
            data += await wire.read()
        _note(seen, head)
    if implicit:
        await examine(service, tools, seen, straight_away)


def _note(seen: Seen, head: Head) -> None:
    seen.greeting = head.get("server") or head.get("user-agent") or f"{head.status} {head.reason}"
    seen.capabilities = options.methods(head)
    seen.mechanisms = head.schemes
    seen.facts = {"status": (f"{head.status} {head.reason}",)}
