"""Asks all services, politely: a few at a time, and one at a time on each host."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from postern.checks.compare import findings
from postern.checks.model import Outcome, Reach, Seen, Service, Tls
from postern.checks.probes import directory, kerberos, mail, names, rpc, sip, web
from postern.checks.tls import handshake
from postern.checks.wire import TROUBLE, Tools, Unreached, opened, words
from postern.net.tls import TlsFailure

AT_ONCE = 8
"""Hosts asked at the same time."""
PAUSE_S = 0.02
"""Between two services of one host."""

GIVING_UP = 3
"""Services of a host without any answer, after which the others get less time: the host is hardly there."""
HURRIED_S = 1.0

Probe = Callable[[Service, Tools, Seen], Awaitable[None]]


async def _reach(service: Service, tools: Tools, seen: Seen) -> None:
    """A port of which no more is known than that it is there, and maybe that it begins with TLS."""
    async with opened(service, tools) as wire:
        if service.tls is Tls.IMPLICIT:
            await handshake(wire, service.names[0] if service.names else "", seen)


PROBES: dict[str, Probe] = {
    "": _reach,
    "smtp": mail.probe,
    "imap": mail.probe,
    "pop3": mail.probe,
    "managesieve": mail.probe,
    "http": web.probe,
    "ldap": directory.probe,
    "kerberos": kerberos.probe,
    "dns": names.probe,
    "rpc": rpc.probe,
    "sip": sip.probe,
}
"""By Service.protocol."""


async def check(service: Service, tools: Tools) -> Outcome:
    """Ask one service. Never raises because of what the network or the service does."""
    seen = Seen()
    began = tools.clock.monotonic()
    try:
        await PROBES[service.protocol](service, tools, seen)
    except Unreached as failure:
        seen.reach, seen.reason = failure.reach, str(failure)
    except (TlsFailure, ssl.SSLError) as failure:
        seen.tls_failure = words(failure)
    except TROUBLE as failure:
        seen.violation = words(failure)
    seen.duration_s = round(tools.clock.monotonic() - began, 4)
    return Outcome(service, seen, findings(service, seen, tools.clock.now()))


async def check_all(
    services: Sequence[Service], tools: Tools, progress: Callable[[Outcome], None] = lambda _: None
) -> list[Outcome]:
    """Ask all; the outcomes are in the order of the services. `progress` hears of each as it is known."""
    by_host: dict[str, list[int]] = {}
    for index, service in enumerate(services):
        by_host.setdefault(service.host, []).append(index)
    outcomes: dict[int, Outcome] = {}
    gate = asyncio.Semaphore(AT_ONCE)

    async def host(indexes: list[int]) -> None:
        silent, patience = 0, tools
        async with gate:
            for index in indexes:
                outcomes[index] = await check(services[index], patience)
                silent = silent + 1 if outcomes[index].seen.reach is Reach.SILENT else -len(services)
                if silent >= GIVING_UP:
                    patience = msgspec.structs.replace(tools, timeout_s=min(tools.timeout_s, HURRIED_S))
                progress(outcomes[index])
                await asyncio.sleep(PAUSE_S)

    async with asyncio.TaskGroup() as group:
        for indexes in by_host.values():
            group.create_task(host(indexes))
    return [outcomes[index] for index in range(len(services))]
