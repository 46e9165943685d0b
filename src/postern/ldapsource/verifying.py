"""Passwords of mirrored accounts: checked by a bind as the account on one of its source's controllers.

No password is ever kept here; `Authentication` remembers for a short while under a keyed hash that one was right, and
forgets it with the account's next change.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

import msgspec

from postern.directory.mirrored import Source, SourceLink
from postern.directory.objects import Account
from postern.ldapsource.connection import Connection, Controller
from postern.ldapsource.controllers import MAX_AGE_S, Controllers
from postern.ldapsource.failures import SourceFailure, Unavailable, check
from postern.ldapsource.locating import Services
from postern.ldapsource.settings import SourceSettings, read
from postern.model.ids import AccountId
from postern.model.ports import Clock, Entropy
from postern.model.refusal import Reason, Refusal
from postern.protocols.ldap import names
from postern.protocols.ldap.filters import Compare
from postern.protocols.ldap.operations import Scope, SearchRequest
from postern.protocols.ldap.results import Code, Result

AT_ONCE = 16
"""Binds under way at the same time, by each process and source."""
IDLE_KEPT = 4
"""Connections that wait for the next bind."""
WAIT_S = 20.0
"""The whole of a check, waiting included; then it is `try later`."""
_DATA = re.compile(r"\bdata ([0-9a-f]{3,4})\b", re.IGNORECASE)
CAUSES = {
    "525": "no such user",
    "52e": "wrong password",
    "530": "not allowed to sign in at this time",
    "531": "not allowed to sign in at this computer",
    "532": "password expired",
    "533": "account disabled",
    "701": "account expired",
    "773": "password must be changed",
    "775": "account locked out",
}
"""Sub-codes that Active Directory adds to invalidCredentials: Windows' error numbers."""
_KNOWS_BUT = {"532": Reason.PASSWORD_EXPIRED, "773": Reason.PASSWORD_EXPIRED}
"""Told only to who knows the password."""

_log = logging.getLogger(__name__)


class Links(Protocol):
    """The directory, as far as it is needed."""

    async def sources(self) -> Sequence[Source]:
        """All of them."""
        ...

    async def source_link(self, account: AccountId) -> SourceLink | None:
        """Where an account is mirrored from."""
        ...


class LdapPasswords:
    """Implements `services.authentication.PasswordSource` for one source."""

    def __init__(self, source: Source, controllers: Controllers, directory: Links, clock: Clock) -> None:
        self.source = source
        self._controllers = controllers
        self._directory = directory
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._idle: list[tuple[Connection, float]] = []

    async def verify(self, account: Account, password: str) -> bool:
        """Whether that is the account's password.

        Raises Refusal: TRY_LATER while no controller answers, PASSWORD_EXPIRED to who knows the old one.
        """
        # a bind without a password succeeds for everybody (RFC 4513 5.1.2)
        if not password or "\0" in password:
            return False
        link = await self._directory.source_link(account.id)
        if link is None or link.source != self.source.name:
            return False
        try:
            async with asyncio.timeout(WAIT_S), self._slots:
                return await self._checked(account, link, password)
        except TimeoutError as late:
            raise Refusal(Reason.TRY_LATER, f"{self.source.name} does not answer in time") from late
        except SourceFailure as failure:
            raise Refusal(Reason.TRY_LATER, f"{self.source.name}: {failure}") from failure

    def close(self) -> None:
        """Say goodbye to all controllers."""
        while self._idle:
            self._idle.pop()[0].close()

    async def _checked(self, account: Account, link: SourceLink, password: str) -> bool:
        result = await self._bind(link.dn, password)
        if result.code in {Code.INVALID_CREDENTIALS, Code.NO_SUCH_OBJECT}:
            # the entry may have moved since it was read
            dn = await self._present_dn(link.anchor)
            if dn and names.key(dn) != names.key(link.dn):
                result = await self._bind(dn, password)
        return self._verdict(account, result)

    def _verdict(self, account: Account, result: Result) -> bool:
        if result.ok:
            return True
        if result.code == Code.INVALID_CREDENTIALS:
            found = _DATA.search(result.diagnostic)
            cause = found[1].lower() if found is not None else ""
            _log.info("%s refuses %s: %s", self.source.name, account.address, CAUSES.get(cause, result.name))
            if cause in _KNOWS_BUT:
                raise Refusal(_KNOWS_BUT[cause], f"{account.address}: {CAUSES[cause]}")
            return False
        if result.code in {Code.NO_SUCH_OBJECT, Code.INAPPROPRIATE_AUTHENTICATION, Code.INVALID_DN_SYNTAX}:
            _log.info("%s refuses %s: %s", self.source.name, account.address, result.name)
            return False
        check(result, self.source.name)
        return False

    async def _bind(self, name: str, password: str) -> Result:
        """On a connection that waits, or a new one; on the next controller if one breaks off."""
        broken: list[Controller] = []
        while True:
            async with self._borrowed(broken) as (connection, used_before):
                try:
                    result = await connection.bind(name, password)
                    if result.code not in {Code.BUSY, Code.UNAVAILABLE}:
                        return result
                    raise Unavailable(f"{connection.controller}: {result.name} {result.diagnostic}")
                except Unavailable as failure:
                    connection.close()
                    if used_before:
                        # a connection that waited may have ended for reasons of its own
                        continue
                    self._controllers.failed(connection.controller, str(failure))
                    broken.append(connection.controller)
                    known = await self._controllers.locate()
                    # one that failed before may be back, so only those that broke off here count
                    if len(broken) > len(known) or set(known).issubset(broken):
                        raise

    async def _present_dn(self, anchor: str) -> str:
        connection = await self._controllers.connect()
        try:
            entry = await connection.entry(self._by_anchor(anchor))
            return entry.dn if entry is not None else ""
        except SourceFailure:
            return ""
        finally:
            connection.close()

    def _by_anchor(self, anchor: str) -> SearchRequest:
        settings = self._controllers.settings
        base = settings.base or names.base_of(settings.domain)
        if self.source.kind == "ad":
            # MS-ADTS 3.1.1.3.1.2.4: a name that is good wherever the entry is
            return SearchRequest(f"<GUID={anchor}>", Scope.BASE, attributes=("1.1",))
        return SearchRequest(base, Scope.SUBTREE, Compare("entryUUID", "=", anchor.encode()), ("1.1",))

    @asynccontextmanager
    async def _borrowed(self, last: Collection[Controller]) -> AsyncIterator[tuple[Connection, bool]]:
        now = self._clock.monotonic()
        connection: Connection | None = None
        born = now
        while self._idle and connection is None:
            candidate, since = self._idle.pop()
            if candidate.closed or candidate.hung_up or now - since > MAX_AGE_S:
                candidate.close()
                continue
            connection, born = candidate, since
        used_before = connection is not None
        if connection is None:
            connection, born = await self._controllers.connect(sign_in=False, last=last), now
        try:
            yield connection, used_before
        except BaseException:
            # whatever it was in the middle of: nobody else may hear the answer
            connection.stream.abort()
            raise
        if not connection.closed and len(self._idle) < IDLE_KEPT:
            self._idle.append((connection, born))
        else:
            connection.close()


class PasswordSources:
    """The sources of a directory by name, as they are now: one may be joined or left at any time."""

    def __init__(self, directory: Links, resolver: Services, clock: Clock, entropy: Entropy) -> None:
        self._directory = directory
        self._resolver = resolver
        self._clock = clock
        self._entropy = entropy
        self._known: dict[str, tuple[tuple[str, str], LdapPasswords]] = {}

    def get(self, name: str, /) -> Current | None:
        """The source of that name; whether there is one is found out when it is asked."""
        return Current(self, name)

    async def present(self, name: str) -> LdapPasswords:
        """With the settings of this moment. Raises Refusal(TRY_LATER)."""
        source = next((one for one in await self._directory.sources() if one.name == name), None)
        if source is None:
            raise Refusal(Reason.TRY_LATER, f"{name} is no source any more")
        facts = (source.kind, source.settings)
        known = self._known.get(name)
        if known is not None and known[0] == facts:
            return known[1]
        if known is not None:
            known[1].close()
        controllers = Controllers(for_passwords(read(source.settings)), self._resolver, self._clock, self._entropy)
        made = LdapPasswords(source, controllers, self._directory, self._clock)
        self._known[name] = (facts, made)
        return made

    def close(self) -> None:
        """Say goodbye to all controllers."""
        for _, passwords in self._known.values():
            passwords.close()
        self._known.clear()


class Current:
    """One source as it is when it is asked."""

    def __init__(self, sources: PasswordSources, name: str) -> None:
        self._sources = sources
        self._name = name

    async def verify(self, account: Account, password: str) -> bool:
        """Whether that is the account's password. Raises Refusal."""
        return await (await self._sources.present(self._name)).verify(account, password)


def for_passwords(settings: SourceSettings) -> SourceSettings:
    """How passwords travel: a seal belongs to who signed in, so another account's password needs TLS."""
    if settings.protection != "gssapi":
        return settings
    return msgspec.structs.replace(settings, protection="starttls")
