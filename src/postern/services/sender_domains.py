"""Whether mail could be answered: the domain of a sender from outside exists and takes mail (RFC 7505 4.2)."""

from __future__ import annotations

import asyncio

from postern.directory.interface import Directory
from postern.model.addresses import normalise_domain, split
from postern.model.ports import DnsFailure, NoSuchDomain, Resolver
from postern.model.refusal import Reason, Refusal

PATIENCE_S = 5.0
"""A peer waits for the answer to MAIL meanwhile."""


class SenderDomains:
    """One per worker. What DNS does not say plainly is no reason to refuse mail."""

    def __init__(self, resolver: Resolver, directory: Directory) -> None:
        self._resolver = resolver
        self._directory = directory

    async def check(self, reverse_path: str) -> None:
        """Raises Refusal(SENDER_DOMAIN_UNKNOWN, SENDER_DOMAIN_SILENT)."""
        domain = split(reverse_path)[1]
        if not domain or domain.startswith("["):
            return
        try:
            name = normalise_domain(domain)
        except Refusal as wrong:
            raise Refusal(Reason.SENDER_DOMAIN_UNKNOWN, wrong.detail) from wrong
        if await self._directory.domain(name) is not None:
            return  # ours may be known inside only
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._ask(name)
        except NoSuchDomain:
            raise Refusal(Reason.SENDER_DOMAIN_UNKNOWN, f"{name} does not exist") from None
        except (DnsFailure, TimeoutError):
            return

    async def _ask(self, name: str) -> None:
        hosts = await self._resolver.mx(name)
        if hosts:
            if not any(host.name.strip(".") for host in hosts):
                raise Refusal(Reason.SENDER_DOMAIN_SILENT, f"{name} has a null MX")
        elif not await self._resolver.addresses(name):
            raise Refusal(Reason.SENDER_DOMAIN_UNKNOWN, f"{name} has neither a mail host nor an address")
