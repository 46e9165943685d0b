"""FindPeople and GetPersona (MS-OXWSPERS 3.1.4): over the address book and the contacts of a mailbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from functools import partial

from postern.frontends.ews import matching, places, slices
from postern.frontends.ews.box import Box, shown_name
from postern.frontends.ews.call import Call
from postern.frontends.ews.loading import Loader, Wanted
from postern.frontends.ews.personas import of_contact, of_entry
from postern.model.filters import And, Equal, Filter, Or, Substrings
from postern.model.ids import AccountId, FolderId
from postern.model.items import FolderClass, SpecialUse
from postern.protocols.ews import ids, responses
from postern.protocols.ews.ids import NOBODYS
from postern.protocols.ews.paths import Field, Path
from postern.protocols.ews.people_requests import FindPeople, GetPersona
from postern.protocols.ews.persona_xml import Persona, is_known, persona_xml, value
from postern.protocols.ews.places import DistinguishedRef, ItemRef
from postern.protocols.ews.restrictions import Restriction
from postern.protocols.ews.violation import EwsViolation

LOOKED_AT = 20_000
"""People that one question goes through, of each source."""
MAX_PAGE = 1000
_NAMES = ("cn", "mail", "givenname", "sn")
_EVERYBODY: Filter = And(())
_GATHERED = frozenset({"contacts", "mycontacts", "peopleconnect", "favorites", "quickcontacts", "recipientcache"})
"""Folders that gather people from elsewhere; here all people of a mailbox are in its contact folders."""
_SORTS = {
    "persona:DisplayName": "cn",
    "persona:GivenName": "givenname",
    "persona:Surname": "sn",
    "persona:EmailAddress": "mail",
    "persona:Department": "department",
    "persona:Title": "title",
    "persona:CompanyName": "company",
}


async def find_people(call: Call, request: FindPeople) -> str:
    """FindPeople."""

    async def one(asked: FindPeople) -> str:
        if asked.restriction is not None and not all(map(is_known, matching.paths_of(asked.restriction))):
            raise EwsViolation("ErrorUnsupportedPathForQuery", "A condition is on a property that people do not have.")
        in_book = asked.folder is None or _is_book(asked)
        paged = await _book_page(call, asked) if in_book and asked.folder is not None else None
        start, total, found = paged if paged is not None else await _gathered(call, asked, book=in_book)
        rows = "".join(await slices.each(found, lambda each: persona_xml(each, asked.base, asked.additional)))
        return (
            f"<m:People>{rows}</m:People><m:TotalNumberOfPeopleInView>{total}</m:TotalNumberOfPeopleInView>"
            f"<m:FirstMatchingRowIndex>0</m:FirstMatchingRowIndex><m:FirstLoadedRowIndex>{start}</m:FirstLoadedRowIndex>"
        )

    return responses.alone(await call.each("FindPeopleResponse", [request], one))


def _is_book(request: FindPeople) -> bool:
    return isinstance(request.folder, DistinguishedRef) and request.folder.name == "directory"


def _limit(request: FindPeople) -> int:
    return min(request.page.limit or MAX_PAGE, MAX_PAGE)


async def _book_page(call: Call, request: FindPeople) -> tuple[int, int, list[Persona]] | None:
    """A page of the address book in an order that its index has; None: it has to be gathered."""
    sort = "cn"
    if request.order:
        first = request.order[0]
        sort = _SORTS.get(first.path.uri, "") if isinstance(first.path, Field) else ""
    if request.restriction is not None or len(request.order) > 1 or not sort:
        return None
    search = await call.services.address_book.search(_wanted(request.query), sort)
    await search.settle()
    if request.order and request.order[0].descending:
        search.reverse()
    total = len(search.ranks)
    start, end = _window(request, total)
    found = [of_entry(entry) async for piece in search.pieces(start, end) for _, entry in piece]
    return start, total, found


def _window(request: FindPeople, total: int) -> tuple[int, int]:
    if request.page.from_end:
        end = max(total - request.page.start(total), 0)
        return max(end - _limit(request), 0), end
    start = request.page.start(total)
    return start, min(start + _limit(request), total)


async def _gathered(call: Call, request: FindPeople, *, book: bool) -> tuple[int, int, list[Persona]]:
    """All that fit, ordered here."""
    wanted = request.restriction
    found: list[Persona] = []
    if request.folder is None or not book:
        found += [each async for each in _contacts(call, request) if _fits(wanted, each)]
    if book:
        found += [each async for each in _from_book(call, request.query) if _fits(wanted, each)]
    orders = [(one.path, one.descending) for one in request.order] or [(Field("persona:DisplayName"), False)]
    if len(found) > slices.ITEMS:
        await asyncio.to_thread(_sort, found, orders)
    else:
        _sort(found, orders)
    start, end = _window(request, len(found))
    return start, len(found), found[start:end]


def _fits(wanted: Restriction | None, persona: Persona) -> bool:
    return wanted is None or matching.fits(wanted, partial(value, persona))


def _sort(found: list[Persona], orders: Sequence[tuple[Path, bool]]) -> None:
    for path, descending in reversed(orders):
        found.sort(key=partial(_place, path), reverse=descending)


def _place(path: Path, persona: Persona) -> str:
    return (value(persona, path) or "").casefold()


def _wanted(query: str) -> Filter:
    """Whose name or address begins so; of several words each has to."""
    words = query.split()[:5]
    if not words:
        return _EVERYBODY
    return And(tuple(Or(tuple(Substrings(name, word, (), "") for name in _NAMES)) for word in words))


async def _from_book(call: Call, query: str) -> AsyncIterator[Persona]:
    search = await call.services.address_book.search(_wanted(query))
    count = 0
    async for piece in search.pieces():
        for _, entry in piece:
            yield of_entry(entry)
        count += len(piece)
        if count >= LOOKED_AT:
            break


async def _contacts(call: Call, request: FindPeople) -> AsyncIterator[Persona]:
    """People in a contact folder, or in all of them. Raises EwsViolation, Refusal."""
    folders: list[FolderId]
    ref = request.folder
    if ref is None or (isinstance(ref, DistinguishedRef) and ref.name in _GATHERED - {"contacts"}):
        box = await call.box_of("" if ref is None or not isinstance(ref, DistinguishedRef) else ref.mailbox)
        folders = await _contact_folders(box)
    else:
        place = await places.stored(call, ref)
        box, folders = place.box, [place.folder]
    words = request.query.casefold().split()[:5]
    count = 0
    for folder in folders:
        name = shown_name(await box.folder(folder))
        loader = await Loader.open(box, folder, Wanted())
        async for _, facts in loader.all():
            count += 1
            if count % slices.ITEMS == 0:
                await asyncio.sleep(0)
            if count > LOOKED_AT:
                return
            persona = of_contact(facts, name)
            if persona is not None and _begins(persona, words):
                yield persona


async def _contact_folders(box: Box) -> list[FolderId]:
    hidden = (SpecialUse.TRASH, SpecialUse.RECOVERABLE)
    every = await box.folders()
    return [
        one.id
        for one in every.values()
        if one.folder_class is FolderClass.CONTACTS and not one.hidden and one.special not in hidden
    ]


def _begins(persona: Persona, words: Sequence[str]) -> bool:
    if not words:
        return True
    said = [persona.name, persona.given, persona.surname, persona.nickname, persona.company, persona.file_as]
    said += [address for _, address in persona.addresses]
    texts = [part for each in said for part in (each.casefold(), *each.casefold().split())]
    return all(any(text.startswith(word) for text in texts) for word in words)


async def get_persona(call: Call, request: GetPersona) -> str:
    """GetPersona."""

    async def one(asked: GetPersona) -> str:
        found = await _by_id(call, asked.id) if asked.id else await _by_address(call, asked.address)
        if found is None:
            raise EwsViolation("ErrorItemNotFound", "There is no such person.")
        return persona_xml(found, "AllProperties", asked.additional, "m:Persona")

    empty = '<m:Persona><t:PersonaId Id=""/></m:Persona>'
    return responses.alone(await call.each("GetPersonaResponseMessage", [request], one, empty=empty))


async def _by_id(call: Call, id_: str) -> Persona | None:
    key = ids.read_persona(id_)
    if key.mailbox == NOBODYS:
        entry = await call.services.address_book.entry(AccountId(int(key.item)))
        return None if entry is None else of_entry(entry)
    place = await places.item(call, ItemRef(ids.item_id(key)))
    loader = await Loader.open(place.box, place.folder, Wanted())
    facts = (await loader.by_uid([place.uid])).get(place.uid)
    name = shown_name(await place.box.folder(place.folder))
    return None if facts is None else of_contact(facts, name)


async def _by_address(call: Call, address: str) -> Persona | None:
    search = await call.services.address_book.search(Equal("mail", address))
    async for piece in search.pieces():
        for _, entry in piece:
            return of_entry(entry)
    wanted = address.casefold()
    box = await call.box()
    for folder in await _contact_folders(box):
        name = shown_name(await box.folder(folder))
        loader = await Loader.open(box, folder, Wanted())
        count = 0
        async for _, facts in loader.all():
            count += 1
            if count % slices.ITEMS == 0:
                await asyncio.sleep(0)
            if count > LOOKED_AT:
                break
            persona = of_contact(facts, name)
            if persona is not None and any(found.casefold() == wanted for _, found in persona.addresses):
                return persona
    return None
