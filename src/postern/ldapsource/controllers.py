"""Which controller is used: the first in order that answers. One that fails is left alone for a while and comes back.

A connection is made to the best controller there is at that moment, so that new ones return to a preferred controller
by themselves once it answers again; those that others hold are not kept for longer than MAX_AGE_S.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Collection
from pathlib import Path

import msgspec

from postern.ldapsource import kerberos, locating
from postern.ldapsource.connection import Connection, Controller, bound, opened
from postern.ldapsource.failures import SourceFailure, Unavailable
from postern.ldapsource.locating import Services
from postern.ldapsource.settings import SourceSettings
from postern.model.ports import Clock, DnsFailure, Entropy, NoSuchDomain
from postern.model.refusal import ProtocolViolation
from postern.net.tls import client_context

FIRST_REST_S = 10.0
"""How long a controller that failed is left alone; doubles with each failure."""
LONGEST_REST_S = 120.0
LOCATE_EVERY_S = 300.0
"""DNS is asked again for the controllers."""
MAX_AGE_S = 120.0
"""A connection is given up after this long, so that the next one may go to a better controller."""

_log = logging.getLogger(__name__)


class _Health(msgspec.Struct):
    failures: int = 0
    until: float = 0.0
    error: str = ""


class Finding(msgspec.Struct, frozen=True):
    """A controller as `status` shows it."""

    controller: str
    error: str
    """Why it could not be used; empty: it answers."""
    seconds: float
    """Until it was connected, protected and bound."""
    site: str = ""


class Controllers:
    """The controllers of one source, as one process sees them."""

    def __init__(self, settings: SourceSettings, resolver: Services, clock: Clock, entropy: Entropy) -> None:
        self.settings = settings
        self.site = settings.site
        self._resolver = resolver
        self._clock = clock
        self._entropy = entropy
        self._known: tuple[Controller, ...] = ()
        self._located_at = float("-inf")
        self._health: dict[Controller, _Health] = {}
        self._context: ssl.SSLContext | None = None

    async def connect(self, *, sign_in: bool = True, last: Collection[Controller] = ()) -> Connection:
        """A connection to the best controller that answers, the service account bound on it unless told otherwise.

        Those in `last` are tried after all others.

        Raises SourceFailure: Denied for the service account, Unavailable with the reasons of all.
        """
        reasons = []
        for controller in sorted(self._in_order(await self.locate()), key=lambda one: one in last):
            try:
                connection = await self._open(controller, sign_in=sign_in)
            except Unavailable as failure:
                reasons.append(str(failure))
                self.failed(controller, str(failure))
                continue
            self._well(controller)
            return connection
        raise Unavailable("; ".join(reasons) or "there are no controllers")

    async def locate(self) -> tuple[Controller, ...]:
        """The controllers in order of preference; while DNS does not answer, those known before.

        Raises SourceFailure.
        """
        now = self._clock.monotonic()
        if self._known and now < self._located_at + LOCATE_EVERY_S:
            return self._known
        try:
            self._known = await locating.controllers(self.settings, self.site, self._resolver, self._entropy)
        except SourceFailure as failure:
            if not self._known:
                raise
            _log.warning("controllers of %s: %s; those known are kept", self.settings.domain, failure)
        self._located_at = now
        return self._known

    async def find_site(self, connection: Connection) -> None:
        """Learn from a controller in which site we are: from then on its controllers come first."""
        if self.site or self.settings.servers:
            return
        self.site = await locating.client_site(connection, self.settings.domain)
        if self.site:
            self._located_at = float("-inf")

    async def survey(self) -> list[Finding]:
        """Try each controller, all at the same time. Raises SourceFailure where none are found."""

        async def look(controller: Controller) -> Finding:
            begun = self._clock.monotonic()
            try:
                connection = await self._open(controller)
            except SourceFailure as failure:
                return Finding(str(controller), str(failure), self._clock.monotonic() - begun)
            taken = self._clock.monotonic() - begun
            site = await locating.client_site(connection, self.settings.domain)
            connection.close()
            return Finding(str(controller), "", taken, site)

        return list(await asyncio.gather(*map(look, await self.locate())))

    async def bind_service(self, connection: Connection) -> None:
        """Sign the service account in. Raises SourceFailure."""
        settings = self.settings
        if settings.protection == "gssapi":
            await kerberos.bind(connection, settings, await asyncio.to_thread(self._password))
        else:
            await bound(connection, settings.user, await asyncio.to_thread(self._password) if settings.user else "")
        connection.bound = True

    # --- one controller
    async def _open(self, controller: Controller, *, sign_in: bool = True) -> Connection:
        try:
            addresses = await self._resolver.addresses(controller.host)
        except (DnsFailure, NoSuchDomain) as failure:
            raise Unavailable(f"{controller}: {failure or 'no such name'}") from failure
        context = await asyncio.to_thread(self._tls)
        failures = []
        for address in addresses:
            try:
                connection = await opened(controller, address, self.settings, context)
            except Unavailable as failure:
                failures.append(str(failure))
                continue
            if sign_in:
                try:
                    await self.bind_service(connection)
                except ProtocolViolation as violation:
                    raise Unavailable(f"{controller}: {violation}") from violation
                finally:
                    if not connection.bound:
                        connection.stream.abort()
            return connection
        raise Unavailable("; ".join(failures) or f"{controller}: no address")

    def _tls(self) -> ssl.SSLContext | None:
        if self.settings.protection not in {"starttls", "ldaps"}:
            return None
        if self._context is None:
            trust = Path(self.settings.trust) if self.settings.trust else None
            try:
                self._context = client_context(verify=True, trust=trust)
            except (OSError, ssl.SSLError) as problem:
                raise SourceFailure(f"{trust}: {problem}") from problem
        return self._context

    def _password(self) -> str:
        if not self.settings.password_file:
            return ""
        try:
            return Path(self.settings.password_file).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as problem:
            raise SourceFailure(f"the password of {self.settings.user}: {problem}") from problem

    # --- which one
    def _in_order(self, known: tuple[Controller, ...]) -> list[Controller]:
        """Those that are well by preference, then those that failed, the one whose rest ends first before others."""
        now = self._clock.monotonic()

        def rest(controller: Controller) -> float:
            health = self._health.get(controller)
            return health.until if health is not None and health.until > now else 0.0

        return sorted(known, key=rest)

    async def any_well(self) -> bool:
        """Whether there is a controller that is not known to be down. Raises SourceFailure."""
        now = self._clock.monotonic()
        known = await self.locate()
        return any(one not in self._health or self._health[one].until <= now for one in known)

    def failed(self, controller: Controller, why: str) -> None:
        """A controller does not answer, or broke off in the middle: others come first for a while."""
        health = self._health.setdefault(controller, _Health())
        if not health.failures:
            _log.warning("controller %s does not answer: %s", controller, why)
        rest = min(FIRST_REST_S * 2**health.failures, LONGEST_REST_S)
        health.failures += 1
        health.until = self._clock.monotonic() + rest
        health.error = why

    def _well(self, controller: Controller) -> None:
        if self._health.pop(controller, None) is not None:
            _log.info("controller %s answers again", controller)
