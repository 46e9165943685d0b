"""DNS: the records that an organisation's servers look for, asked of the server itself."""

from __future__ import annotations

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from postern.checks.model import Seen, Service
from postern.checks.wire import Tools, ask_datagram, opened
from postern.model.refusal import ProtocolViolation


async def probe(service: Service, tools: Tools, seen: Seen) -> None:
    """Fill in which records a server has. Raises TROUBLE."""
    missing: list[str] = []
    for name, kind in service.questions or ((".", "NS"),):
        query = dns.message.make_query(name, kind, id=tools.entropy.below(65536))
        answer = await _ask(service, tools, query)
        texts = tuple(
            record.to_text() for group in answer.answer if group.rdtype == query.question[0].rdtype for record in group
        )
        seen.greeting = "authoritative" if answer.flags & dns.flags.AA else "recursive"
        seen.facts = {**seen.facts, f"{name} {kind}": texts or (dns.rcode.to_text(answer.rcode()),)}
        if not texts and service.questions:
            missing.append(f"{name} {kind}")
    seen.missing_records = tuple(missing)


async def _ask(service: Service, tools: Tools, query: dns.message.QueryMessage) -> dns.message.Message:
    wire_query = query.to_wire()
    try:
        if service.transport == "udp":
            answer = dns.message.from_wire(
                await ask_datagram(service, tools, lambda _: wire_query), ignore_trailing=True
            )
        else:
            async with opened(service, tools) as wire:
                await wire.send(len(wire_query).to_bytes(2, "big") + wire_query)
                data = await wire.read()
                while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2], "big"):
                    data += await wire.read()
                answer = dns.message.from_wire(data[2 : 2 + int.from_bytes(data[:2], "big")])
    except dns.exception.DNSException as error:
        raise ProtocolViolation(f"no DNS answer: {error}") from error
    if not query.is_response(answer):
        raise ProtocolViolation("an answer to another question")
    return answer
