"""Reading other LDAP servers: by content synchronisation (RFC 4533) where they have it, else by modifyTimestamp.

With a cookie a server says what changed and what is gone. Without that extension the newest modifyTimestamp is kept,
and it is looked from time to time for entries that are no more: no server of that kind tells.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator

from postern.ldapsource.connection import Connection
from postern.ldapsource.failures import Refused, SourceFailure, check
from postern.ldapsource.ldap_mapping import GROUPS, PEOPLE, LdapMapping
from postern.ldapsource.reading import Batch, Completing, Memory, has, is_a, parse_filter
from postern.ldapsource.settings import SourceSettings, State, meaning_of
from postern.ldapsource.values import folded, text, texts
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import content_sync, names
from postern.protocols.ldap.filters import And, Compare, Filter, Or
from postern.protocols.ldap.operations import Scope, SearchDone, SearchEntry, SearchReference, SearchRequest
from postern.protocols.ldap.results import Code

SWEEP_EVERY_S = 900.0
_ROOT = SearchRequest("", Scope.BASE, attributes=("namingContexts", "supportedControl"))
_STALE = frozenset({content_sync.REFRESH_REQUIRED, Code.UNWILLING_TO_PERFORM})
"""The server can do nothing with the cookie: its own state is older, or it has forgotten too much."""


class OtherLdap:
    """Implements `reading.Reader`."""

    def __init__(
        self, connection: Connection, completing: Completing, memory: Memory, base: str, *, synchronising: bool
    ) -> None:
        self._completing = completing
        self._connection = connection
        self._settings = completing.settings
        self._memory = memory
        self._base = base
        self._synchronising = synchronising
        state = memory.state
        overdue = memory.now - state.full_at >= self._settings.full_every_s
        self._cookie = _cookie(state.cookie) if synchronising else b""
        self._since = "" if synchronising else state.since
        self.by_dirsync = False
        self.full = memory.full or overdue or not (self._cookie if synchronising else self._since)
        if self.full:
            self._cookie, self._since = b"", ""
        self._swept_at = memory.now if self.full else state.swept_at

    @classmethod
    async def begin(
        cls, connection: Connection, side: Connection, settings: SourceSettings, memory: Memory
    ) -> OtherLdap:
        """Ask a server what it has. Raises SourceFailure."""
        root = await connection.entry(_ROOT)
        facts = folded(root) if root is not None else {}
        contexts = texts(facts, "namingcontexts")
        base = settings.base or names.base_of(settings.domain) or (contexts[0] if contexts else "")
        if not base:
            raise SourceFailure(f"{connection.controller} does not say what it holds: give --base")
        mapping = LdapMapping(mail_domain=settings.mail_domain, all_groups=settings.groups == "all")
        completing = Completing(side, settings, mapping)
        synchronising = content_sync.SYNC_REQUEST in texts(facts, "supportedcontrol")
        reader = cls(connection, completing, memory, base, synchronising=synchronising)
        if reader._cookie:
            await reader._try_cookie()
        return reader

    def after(self) -> State:
        """Cookie or newest change."""
        state = self._memory.state
        return State(
            meaning=meaning_of(self._settings),
            cookie=base64.b64encode(self._cookie).decode(),
            since=self._since,
            swept_at=self._swept_at,
            full_at=self._memory.now if self.full else state.full_at,
            run=state.run + 1 if self.full else state.run,
            controller=self._connection.controller.host,
            tried_at=self._memory.now,
        )

    async def batches(self) -> AsyncIterator[Batch]:
        """Everything, or what has changed."""
        if self._synchronising:
            async for batch in self._refresh():
                yield batch
            return
        async for batch in self._by_time():
            yield batch

    # --- RFC 4533
    async def _try_cookie(self) -> None:
        """A cookie that the server does not take means that everything is read."""
        request = SearchRequest(self._base, Scope.BASE, attributes=("1.1",))
        async for message in self._connection.answers(request, (content_sync.refresh(self._cookie),)):
            if isinstance(message.operation, SearchDone) and message.operation.result.code in _STALE:
                self.full, self._cookie = True, b""

    async def _refresh(self) -> AsyncIterator[Batch]:
        known = set(self._memory.known)
        present: set[str] = set()
        gone: set[str] = set()
        page: list[SearchEntry] = []
        end = content_sync.End()
        try:
            async for message in self._connection.answers(self._request(), (content_sync.refresh(self._cookie),)):
                operation = message.operation
                if isinstance(operation, SearchEntry):
                    found = content_sync.entry_state(message.controls)
                    if found.state is content_sync.State.DELETE:
                        gone.add(found.uuid)
                        continue
                    present.add(found.uuid)
                    if found.state is not content_sync.State.PRESENT:
                        page.append(operation)
                elif isinstance(operation, SearchDone):
                    self._check(operation)
                    end = content_sync.end(message.controls)
                elif isinstance(operation, SearchReference):
                    self._connection.references += 1
                elif (info := content_sync.info(operation)) is not None:
                    (gone if info.deleted else present).update(info.uuids)
                if len(page) >= self._settings.page_size:
                    waiting, page = page, []
                    yield await self._completing.batch(waiting)
        except ProtocolViolation as violation:
            raise SourceFailure(f"{self._connection.controller}: {violation}") from violation
        if page:
            yield await self._completing.batch(page)
        if not self.full:
            if not end.deletes:
                gone |= known - present
            yield Batch([], sorted(gone & known))
        self._cookie = end.cookie or self._cookie  # none is sent where nothing has changed

    # --- without it
    async def _by_time(self) -> AsyncIterator[Batch]:
        newest = self._since
        fitting = wanted(self._settings)
        changed: Filter = fitting
        if self._since:
            # the same second again: it may not have been over
            changed = Compare("modifyTimestamp", ">=", self._since.encode())
        request = SearchRequest(self._base, Scope.SUBTREE, And((fitting, changed)), self._completing.mapping.attributes)
        async for page in self._pages(request):
            newest = max([newest, *(text(folded(entry), "modifytimestamp") for entry in page)])
            yield await self._completing.batch(page)
        if not self.full and self._memory.now - self._memory.state.swept_at >= SWEEP_EVERY_S:
            self._swept_at = self._memory.now
            request = SearchRequest(self._base, Scope.SUBTREE, fitting, ("entryUUID",))
            left = set(self._memory.known)
            async for page in self._pages(request):
                left -= {self._completing.mapping.anchor(folded(entry)) for entry in page}
            yield Batch([], sorted(left))
        self._since = newest

    async def _pages(self, request: SearchRequest) -> AsyncIterator[list[SearchEntry]]:
        try:
            async for page in self._connection.pages(request, self._settings.page_size):
                yield page
        except Refused as refused:
            raise _explained(refused, self._settings) from refused

    def _request(self) -> SearchRequest:
        return SearchRequest(self._base, Scope.SUBTREE, wanted(self._settings), self._completing.mapping.attributes)

    def _check(self, done: SearchDone) -> None:
        try:
            check(done.result, str(self._connection.controller))
        except Refused as refused:
            raise _explained(refused, self._settings) from refused


def wanted(settings: SourceSettings) -> Filter:
    """Who is read: people who fit, and groups."""
    people: list[Filter] = [is_a(*(name.decode() for name in sorted(PEOPLE))), parse_filter(settings.filter)]
    addressed = has("mail", "mailLocalAddress")
    if not settings.mail_domain:
        people.append(addressed)
    groups: list[Filter] = [is_a(*(name.decode() for name in sorted(GROUPS)))]
    if settings.groups == "mail":
        groups.append(addressed)
    return Or((And(tuple(people)), And(tuple(groups))))


def _explained(refused: Refused, settings: SourceSettings) -> SourceFailure:
    if refused.result.code == Code.SIZE_LIMIT_EXCEEDED:
        return SourceFailure(
            f"{refused}: the server lets {settings.user or 'anonymous readers'} read only part of it; raise its limit"
            f' (OpenLDAP: olcLimits: dn.exact="{settings.user}" size=unlimited)'
        )
    return refused


def _cookie(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
