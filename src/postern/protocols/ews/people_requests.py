"""FindPeople, GetPersona, GetRoomLists, GetRooms, SetUserPhoto (MS-OXWSPERS 3.1.4, MS-OXWSGTRM 3.1.4, MS-OXWSCONT)."""

from __future__ import annotations

import msgspec
from lxml.etree import _Element as Element

from postern.protocols.ews import paths, places
from postern.protocols.ews.find_requests import MAX_SORT, Order
from postern.protocols.ews.folder_requests import Page, page
from postern.protocols.ews.paths import Field, Path
from postern.protocols.ews.persona_xml import is_known
from postern.protocols.ews.places import AnyFolder, limited, listed
from postern.protocols.ews.reading import attribute, base64_of, child, children, choice, need, only, text, text_of
from postern.protocols.ews.restrictions import And, Compare, Not, Or, Restriction, restriction
from postern.protocols.ews.shapes import BASE
from postern.protocols.ews.violation import EwsViolation, SchemaViolation

MAX_QUERY = 250


class FindPeople(msgspec.Struct, frozen=True):
    """FindPeople (MS-OXWSPERS 3.1.4.1)."""

    base: str
    additional: tuple[Path, ...]
    page: Page
    restriction: Restriction | None
    order: tuple[Order, ...]
    folder: AnyFolder | None
    """None: everywhere; the folder `directory` is the address book."""
    query: str


class GetPersona(msgspec.Struct, frozen=True):
    """GetPersona (MS-OXWSPERS 3.1.4.2)."""

    id: str
    address: str
    """Without an id."""
    additional: tuple[Path, ...]


class SetUserPhoto(msgspec.Struct, frozen=True):
    """SetUserPhoto (MS-OXWSCONT 3.1.4)."""

    address: str
    picture: bytes


def find_people(element: Element) -> FindPeople:
    """Raises EwsViolation, as all of these."""
    shape = child(element, "PersonaShape")
    base = "Default" if shape is None else choice(text(need(shape, "BaseShape")), BASE, "BaseShape")
    additional = () if shape is None else _additional(shape)
    view = page(need(element, "IndexedPageItemView"))
    assert view is not None
    conditions = [child(element, name) for name in ("Restriction", "AggregationRestriction")]
    if conditions[1] is not None:
        raise EwsViolation("ErrorUnsupportedQueryFilter", "AggregationRestriction is not supported; use Restriction.")
    orders = tuple(_order(one) for one in listed(element, "SortOrder"))
    if len(orders) > MAX_SORT:
        said = f"Up to {MAX_SORT} properties can be sorted by."
        raise EwsViolation("ErrorUnsupportedPathForSortGroup", said)
    query = text_of(element, "QueryString").strip()
    if len(query) > MAX_QUERY:
        raise EwsViolation("ErrorInvalidRequest", f"A query has {MAX_QUERY} characters at most.")
    folder = _folder(child(element, "ParentFolderId"))
    if folder is None and not query:
        raise EwsViolation("ErrorInvalidRequest", "People are looked for in a folder, or by a QueryString.")
    wanted = None if conditions[0] is None else _about_people(restriction(conditions[0]))
    return FindPeople(base, additional, view, wanted, orders, folder, query)


def _about_people(node: Restriction) -> Restriction:
    """Conditions on `contacts:DisplayName` are on the person's: exchangelib writes them so."""
    if isinstance(node, And | Or):
        return msgspec.structs.replace(node, of=tuple(_about_people(one) for one in node.of))
    if isinstance(node, Not):
        return Not(_about_people(node.of))
    if isinstance(node, Compare) and node.other is not None:
        node = msgspec.structs.replace(node, other=_persona(node.other))
    return msgspec.structs.replace(node, path=_persona(node.path))


def _persona(path: Path) -> Path:
    if isinstance(path, Field) and path.uri.startswith("contacts:"):
        return Field("persona:" + path.uri.partition(":")[2])
    return path


def _folder(element: Element | None) -> AnyFolder | None:
    if element is None:
        return None
    name, one = only(element)
    # an address list of its own is the address book: there is one
    return places.DistinguishedRef("directory") if name == "AddressListId" else places.folder(one)


def _additional(element: Element) -> tuple[Path, ...]:
    found = child(element, "AdditionalProperties")
    return () if found is None else tuple(paths.path(one) for _, one in limited(list(children(found))))


def _order(element: Element) -> Order:
    direction = choice(attribute(element, "Order"), ("Ascending", "Descending"), "Order")
    for name, one in children(element):
        if name in paths.PATH_ELEMENTS:
            path = paths.path(one)
            if not is_known(path):
                said = "People are not sorted by that."
                raise EwsViolation("ErrorUnsupportedPathForSortGroup", said)
            return Order(path, direction == "Descending")
    raise SchemaViolation("FieldOrder names no property.")


def get_persona(element: Element) -> GetPersona:
    """GetPersona."""
    named = child(element, "PersonaId")
    box = child(element, "EmailAddress")
    id_ = "" if named is None else attribute(named, "Id")
    address = "" if box is None else text_of(box, "EmailAddress").strip()
    if not id_ and not address:
        raise EwsViolation("ErrorInvalidIdEmpty", "Whose persona it is, is not said.")
    return GetPersona(id_, address, _additional(element))


def get_room_lists(element: Element) -> None:
    """GetRoomLists: nothing is said."""


def get_rooms(element: Element) -> str:
    """GetRooms: the address of a room list."""
    return text_of(need(element, "RoomList"), "EmailAddress").strip()


def set_user_photo(element: Element) -> SetUserPhoto:
    """SetUserPhoto."""
    choice(text_of(element, "TypeRequested", "UserPhoto"), ("UserPhoto", "ProfileHeaderPhoto"), "TypeRequested")
    return SetUserPhoto(text(need(element, "Email")).strip(), base64_of(text(need(element, "Content")), "Content"))
