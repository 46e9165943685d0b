"""RPC: the endpoint mapper's list, from which clients learn the dynamic ports."""

from __future__ import annotations

from postern.checks.model import Seen, Service
from postern.checks.wire import Tools, opened
from postern.protocols.rpc.endpoint_mapper import lookup


async def probe(service: Service, tools: Tools, seen: Seen) -> None:
    """Fill in which interfaces are registered for TCP. Raises TROUBLE."""
    async with opened(service, tools) as wire:
        pending: list[bytes] = []
        found = await wire.drive(lookup(), pending.append, lambda: pending.pop() if pending else None)
    lines = {f"{one.name} {one.port}/{one.transport}" for one in found if one.transport in {"tcp", "udp", "http"}}
    seen.greeting = f"{len(found)} interfaces"
    seen.facts = {"interfaces": tuple(sorted(lines))}
