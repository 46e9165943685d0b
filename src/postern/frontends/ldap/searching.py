"""One search: from the request to the entries, in pieces that keep neither the loop nor the memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from postern.frontends.ldap import schema
from postern.frontends.ldap.configuration import Configuration
from postern.frontends.ldap.entries import Wanted
from postern.frontends.ldap.ports import AddressBook, Search
from postern.frontends.ldap.settings import LdapSettings
from postern.frontends.ldap.translate import attribute_name, translate
from postern.frontends.ldap.tree import Container, Person, Tree, is_subschema
from postern.model.filters import And, Filter
from postern.model.ports import Clock
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import controls, dn
from postern.protocols.ldap.controls import SortKey, View
from postern.protocols.ldap.matching import matches
from postern.protocols.ldap.operations import Control, Scope, SearchEntry, SearchRequest
from postern.protocols.ldap.results import Code, Result
from postern.services.address_book import Position

if TYPE_CHECKING:
    from postern.services.authentication import Principal

SORTABLE = {"cn": "cn", "sn": "sn", "givenname": "givenname", "mail": "mail", "ou": "department", "title": "title",
            "o": "company", "l": "l"}  # fmt: skip
"""Attribute -> the service's word for it."""
SUPPORTED = (controls.PAGED_RESULTS, controls.SORT_REQUEST, controls.VIEW_REQUEST, controls.MANAGE_DSA_IT)
"""Controls of a search."""
VIEW_LIMIT = 1000
_NO_SUCH = Result(Code.NO_SUCH_OBJECT)


class Outcome(msgspec.Struct, frozen=True):
    """How a search ends."""

    result: Result = Result()
    controls: tuple[Control, ...] = ()


class _Stop(Exception):  # noqa: N818 - an answer
    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Asked:
    """A request's controls, understood. Raises ProtocolViolation."""

    def __init__(self, given: Sequence[Control]) -> None:
        self.page: tuple[int, bytes] | None = None
        self.passed = 0
        """Containers that earlier pages had."""
        self.position: Position | None = None
        """The last recipient that they had."""
        self.sort: tuple[SortKey, ...] = ()
        self.view: View | None = None
        self.sort_critical = False
        for control in given:
            match control.oid:
                case controls.PAGED_RESULTS:
                    self.page = controls.page_asked(control)
                    self._continue(self.page[1])
                case controls.SORT_REQUEST:
                    self.sort = controls.sort_asked(control)
                    self.sort_critical = control.critical
                case controls.VIEW_REQUEST:
                    self.view = controls.view_asked(control)
                case _:
                    pass  # a critical one that nobody knows was refused before
        if self.page is not None and self.view is not None:
            raise ProtocolViolation("a page and a view of one search")

    def _continue(self, cookie: bytes) -> None:
        """A cookie is a place and no more: it opens nothing, and nothing is kept for it."""
        if not cookie:
            return
        try:
            place = msgspec.json.decode(cookie, type=int | Position)
        except msgspec.MsgspecError as problem:
            raise ProtocolViolation("a cookie of somebody else") from problem
        if isinstance(place, int):
            self.passed = max(0, place)
        else:
            self.position = place


class Searching:
    """Carries out the searches of one connection's user."""

    def __init__(self, settings: LdapSettings, book: AddressBook, clock: Clock, principal: Principal) -> None:
        self._settings = settings
        self._book = book
        self._clock = clock
        self._principal = principal

    async def run(
        self, request: SearchRequest, given: Sequence[Control]
    ) -> AsyncGenerator[list[SearchEntry] | Outcome, None]:
        """Entries in small lists, then an Outcome."""
        try:
            async for entries in self._run(request, Asked(given)):
                yield entries
        except _Stop as stop:
            yield stop.outcome

    async def _run(self, request: SearchRequest, asked: Asked) -> AsyncIterator[list[SearchEntry]]:
        wanted = Wanted(request.attributes, types_only=request.types_only)
        if is_subschema(request.base):
            own = schema.entry()
            if request.scope is not Scope.ONE_LEVEL and matches(request.filter, own):
                yield [wanted.pick(schema.SUBSCHEMA, own, schema.OPERATIONAL)]
            raise _Stop(Outcome())
        tree = await Tree.of(self._book, self._principal)
        own_part = Configuration(self._settings.autodiscover, self._settings.server_name, tree.base.dn)
        if own_part.holds(request.base):
            yield list(own_part.search(request, wanted))
            raise _Stop(Outcome())
        try:
            node = await tree.find(request.base)
        except ProtocolViolation as problem:
            raise _Stop(Outcome(Result(Code.INVALID_DN_SYNTAX, diagnostic=str(problem)))) from problem
        match node:
            case None:
                raise _Stop(Outcome(Result(Code.NO_SUCH_OBJECT, matched_dn=tree.base.dn)))
            case Person():
                async for entries in self._person(request, node, wanted):
                    yield entries
            case Container():
                async for entries in self._container(request, asked, tree, node, wanted):
                    yield entries

    async def _person(self, request: SearchRequest, node: Person, wanted: Wanted) -> AsyncIterator[list[SearchEntry]]:
        there = await self._book.search(node.filter)
        found = [entry async for piece in there.pieces() for _, entry in piece]
        if not found:
            raise _Stop(Outcome(_NO_SUCH))
        if request.scope is not Scope.ONE_LEVEL:
            search = await self._book.search(And((node.filter, translate(request.filter))))
            async for entries in self._entries(search, node.parent, wanted):
                yield [entry for _, entry in entries]
        raise _Stop(Outcome())

    async def _container(
        self, request: SearchRequest, asked: Asked, tree: Tree, node: Container, wanted: Wanted
    ) -> AsyncIterator[list[SearchEntry]]:
        own = [node] if request.scope is not Scope.ONE_LEVEL else []
        if request.scope is Scope.BASE:
            yield [_shown(one, wanted) for one in own if matches(request.filter, one.attributes)]
            raise _Stop(Outcome())
        shown: list[SearchEntry] = []
        if asked.view is None and asked.position is None:
            own += await tree.children(node)
            shown = [_shown(one, wanted) for one in own if matches(request.filter, one.attributes)]
        recipients = And((node.filter, translate(request.filter)))
        if asked.view is not None:
            run = self._view(asked, asked.view, recipients, node, wanted)
        else:
            run = self._listed(request, asked, recipients, node, wanted, shown)
        async for entries in run:
            yield entries

    # --- all of them, or a page

    async def _listed(
        self,
        request: SearchRequest,
        asked: Asked,
        recipients: Filter,
        node: Container,
        wanted: Wanted,
        shown: list[SearchEntry],
    ) -> AsyncIterator[list[SearchEntry]]:
        limit = min(request.size_limit or self._settings.max_entries, self._settings.max_entries)
        end = self._deadline(request)
        search, sorted_by, answers = await self._sorted(asked, recipients)
        start, paged = 0, False
        if asked.page is not None:
            size = asked.page[0]
            if size == 0:  # how many there are, or: no more of them (RFC 2696 3)
                raise _Stop(Outcome(controls=(*answers, controls.page_given(b"", len(search.ranks)))))
            paged = size <= limit or not request.size_limit
            limit = min(size, limit)
            if asked.position is not None:
                start = search.after(asked.position, reverse=sorted_by.reverse)
        here = shown[asked.passed : asked.passed + limit]
        sent = len(here)
        yield here
        passed = asked.passed + sent
        if passed < len(shown):
            raise _Stop(self._more(msgspec.json.encode(passed), answers, paged=paged))
        last = -1
        async for entries in self._entries(search, node.dn, wanted, start):
            kept = entries[: limit - sent]
            if kept:
                last = kept[-1][0]
                sent += len(kept)
                yield [entry for _, entry in kept]
            if len(kept) < len(entries):
                cookie = msgspec.json.encode(search.position(last) if last >= 0 else passed)
                raise _Stop(self._more(cookie, answers, paged=paged))
            if self._clock.monotonic() > end:
                raise _Stop(Outcome(Result(Code.TIME_LIMIT_EXCEEDED), tuple(answers)))
        if asked.page is not None:
            answers = [*answers, controls.page_given(b"")]
        raise _Stop(Outcome(controls=tuple(answers)))

    def _more(self, cookie: bytes, answers: Sequence[Control], *, paged: bool) -> Outcome:
        """There are more than fit."""
        if not paged:
            return Outcome(Result(Code.SIZE_LIMIT_EXCEEDED), tuple(answers))
        return Outcome(controls=(*answers, controls.page_given(cookie)))

    async def _sorted(self, asked: Asked, recipients: Filter) -> tuple[Search, SortKey, list[Control]]:
        """The search in the order asked for. A second key is of no use: the first one is followed by the number."""
        if not asked.sort:
            return await self._book.search(recipients), SortKey("cn"), []
        key = asked.sort[0]
        field = SORTABLE.get(attribute_name(key.attribute))
        if field is None:
            refused = [controls.sort_given(Code.NO_SUCH_ATTRIBUTE, key.attribute)]
            if asked.sort_critical or asked.view is not None:
                raise _Stop(Outcome(Result(Code.UNAVAILABLE_CRITICAL_EXTENSION), tuple(refused)))
            return await self._book.search(recipients), SortKey("cn"), refused
        search = await self._book.search(recipients, field)
        if key.reverse:
            search.reverse()
        return search, SortKey(field, key.reverse), [controls.sort_given(Code.SUCCESS)]

    # --- a window

    async def _view(
        self, asked: Asked, view: View, recipients: Filter, node: Container, wanted: Wanted
    ) -> AsyncIterator[list[SearchEntry]]:
        if not asked.sort:
            missing = controls.view_given(0, 0, Code.SORT_CONTROL_MISSING)
            raise _Stop(Outcome(Result(Code.SORT_CONTROL_MISSING), (missing,)))
        search, sorted_by, answers = await self._sorted(asked, recipients)
        await search.settle()
        count = len(search.ranks)
        if view.value is not None:
            place = search.not_before(view.value.decode("utf-8", "replace"), reverse=sorted_by.reverse)
        else:
            place = _place(view, count)
        after = min(view.after, VIEW_LIMIT, self._settings.max_entries)
        before = min(view.before, VIEW_LIMIT, self._settings.max_entries - after)
        async for entries in self._entries(search, node.dn, wanted, max(0, place - before), place + after + 1):
            yield [entry for _, entry in entries]
        raise _Stop(Outcome(controls=(*answers, controls.view_given(min(place + 1, count + 1), count))))

    # --- shared

    def _deadline(self, request: SearchRequest) -> float:
        limit = self._settings.time_limit_s
        return self._clock.monotonic() + (min(request.time_limit_s, limit) if request.time_limit_s > 0 else limit)

    async def _entries(
        self, search: Search, parent: str, wanted: Wanted, start: int = 0, end: int | None = None
    ) -> AsyncIterator[list[tuple[int, SearchEntry]]]:
        async for piece in search.pieces(start, end):
            found = []
            for rank, entry in piece:
                photo = await self._book.photo(entry.id) if wanted.photos and entry.photo else None
                found.append((rank, wanted.of(f"{dn.part('mail', entry.address)},{parent}", entry, photo)))
                if photo:  # some at a time: they are large
                    yield found
                    found = []
            yield found


def _shown(one: Container, wanted: Wanted) -> SearchEntry:
    return wanted.pick(one.dn, one.attributes, frozenset())


def _place(view: View, count: int) -> int:
    """From 0. A client that believes in another count means the proportion (draft-ietf-ldapext-ldapv3-vlv-09 6)."""
    if view.offset <= 1 or not count:
        return 0
    if view.offset >= view.total > 0:
        return count - 1
    if view.total in {0, count}:
        return min(view.offset, count) - 1
    return min(count - 1, (view.offset - 1) * count // view.total)
