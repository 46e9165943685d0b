"""Kerberos: an AS-REQ for a name that hardly exists; a KDC answers with an error that tells its realm and clock."""

from __future__ import annotations

from datetime import timedelta

from postern.checks.model import Seen, Service
from postern.checks.wire import Tools, ask_datagram, opened
from postern.protocols.kerberos import asking

USER = "postern-check"


async def probe(service: Service, tools: Tools, seen: Seen) -> None:
    """Fill in what a KDC says. Raises TROUBLE."""
    now = tools.clock.now()
    realm = service.domain.upper() or "POSTERN.CHECK.INVALID"
    message = asking.request(realm, USER, tools.entropy.below(2**31), now + timedelta(hours=1))
    if service.transport == "udp":
        answer = asking.answer(await ask_datagram(service, tools, lambda _: message))
    else:
        async with opened(service, tools) as wire:
            await wire.send(asking.framed(message))
            data = await wire.read()
            while (whole := asking.unframed(data)) is None:
                data += await wire.read()
            answer = asking.answer(whole)
    seen.greeting = answer.name
    seen.facts = {"realm": (answer.realm,), "answer": (answer.name,)}
    if service.domain and answer.wrong_realm:
        seen.violation = f"the KDC is not one of realm {realm}"
    if answer.clock is not None:
        seen.skew_s = (answer.clock - tools.clock.now()).total_seconds()
