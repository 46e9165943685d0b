"""HTTP and HTTPS: which virtual directories are there, and which authentication they challenge with."""

from __future__ import annotations

from postern.checks.model import Directory, Seen, Service, Tls
from postern.checks.tls import examine, handshake, straight_away
from postern.checks.wire import Tools, Wire, opened
from postern.model.refusal import ProtocolViolation
from postern.protocols.http.head import Head, parse, request

USER_AGENT = "postern-check"
INFORMATIONAL_LIMIT = 8
"""Answers before the answer (RFC 9110 15.2)."""


async def probe(service: Service, tools: Tools, seen: Seen) -> None:
    """Fill in what a web server has. Raises TROUBLE."""
    found: list[Directory] = []
    for path in service.directories or ("/",):
        async with opened(service, tools) as wire:
            if service.tls is Tls.IMPLICIT and not await handshake(wire, _name(service), seen):
                return
            head = await _get(wire, service, path)
        seen.greeting = seen.greeting or head.get("server")
        found.append(Directory(path, head.status, head.schemes, head.get("location")))
        seen.directories = tuple(found)
    seen.mechanisms = tuple(dict.fromkeys(scheme.upper() for one in found for scheme in one.schemes))
    if service.tls is Tls.IMPLICIT:
        await examine(service, tools, seen, straight_away)
    else:
        seen.mechanisms_clear = seen.mechanisms


async def _get(wire: Wire, service: Service, path: str) -> Head:
    await wire.send(request("GET", path, _host(service), [("User-Agent", USER_AGENT), ("Accept", "*/*")]))
    data, informational = b"", 0
    while (head := parse(data)) is None or head.status < 200:
        if head is not None:  # 1xx: the real answer comes after it
            informational += 1
            if informational > INFORMATIONAL_LIMIT:
                raise ProtocolViolation("informational answers without end")
            data = data[data.index(b"\r\n\r\n") + 4 :]
            if data:
                continue
        data += await wire.read()
    return head


def _name(service: Service) -> str:
    return service.names[0] if service.names else ""


def _host(service: Service) -> str:
    name = _name(service) or service.address
    literal = f"[{name}]" if ":" in name else name
    usual = 443 if service.tls is Tls.IMPLICIT else 80
    return literal if service.port == usual else f"{literal}:{service.port}"
