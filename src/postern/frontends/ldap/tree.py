"""The tree that clients see, made of address lists.

    dc=example,dc=org                          everybody the user may see
      mail=anna@example.org
      ou=All Rooms                             an address list
        mail=room1@example.org
      ou=Departments
        ou=Sales                               its part
          mail=anna@example.org

A recipient has a name beneath every list it is in, so that each answer lies beneath the base it was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from postern.frontends.ldap.ports import AddressBook
from postern.frontends.ldap.schema import SUBSCHEMA
from postern.model.filters import And, Equal, Filter, Or
from postern.model.refusal import ProtocolViolation
from postern.protocols.ldap import dn

if TYPE_CHECKING:
    from postern.services.address_book import BookList
    from postern.services.authentication import Principal

DEFAULT_BASE = (("o", "postern"),)
"""Of an organisation without a domain."""


class Container(msgspec.Struct, frozen=True):
    """The base of the tree, or a list."""

    dn: str
    filter: Filter
    lists: tuple[BookList, ...]
    """Beneath it."""
    attributes: dict[str, tuple[bytes, ...]]
    parts_of: BookList | None = None
    """Beneath it are this list's parts, too many to be looked up for nothing."""


class Person(msgspec.Struct, frozen=True):
    """A recipient by its name; whether it is there, only a search tells."""

    parent: str
    filter: Filter


def base_parts(domain: str) -> tuple[dn.Part, ...]:
    """`dc=example,dc=org`."""
    return tuple(("dc", label) for label in domain.split(".")) if domain else DEFAULT_BASE


def written(parts: tuple[dn.Part, ...]) -> str:
    """As text."""
    return ",".join(dn.part(attribute, value) for attribute, value in parts)


def is_subschema(base: str) -> bool:
    """Whether a search is for the schema."""
    return base.strip().casefold() == SUBSCHEMA.casefold()


class Tree:
    """What one user sees of it, as long as one request takes."""

    def __init__(self, book: AddressBook, domain: str, lists: list[BookList]) -> None:
        self._book = book
        self._base = base_parts(domain)
        self.lists = lists

    @classmethod
    async def of(cls, book: AddressBook, principal: Principal) -> Tree:
        """The tree of somebody who is signed in."""
        return cls(book, await book.organisation(), await book.lists(principal))

    @property
    def base(self) -> Container:
        """Its base."""
        kind, value = self._base[0]
        own = b"domain" if kind == "dc" else b"organization"
        return Container(
            written(self._base),
            Or(tuple(one.filter for one in self.lists)),
            tuple(self.lists),
            {"objectClass": (b"top", own), kind: (value.encode(),)},
        )

    def container(self, of: BookList) -> Container:
        """A list's place."""
        parts = tuple(("ou", value) for value in reversed(of.path))
        return Container(
            written((*parts, *self._base)),
            of.filter,
            (),
            {
                "objectClass": (b"top", b"organizationalUnit"),
                "ou": (of.path[-1].encode(),),
                "cn": (of.path[-1].encode(),),
            },
            of if of.by else None,
        )

    async def find(self, name: str) -> Container | Person | None:
        """What a name names; the empty one is the base. Raises ProtocolViolation for what is no name."""
        parts = dn.parse(name)
        if not parts:
            return self.base
        depth = len(parts) - len(self._base)
        if depth < 0 or not dn.same(parts[depth:], self._base):
            return None
        inner = parts[:depth]
        address = ""
        if inner and inner[0][0] == "mail":
            address, inner = inner[0][1], inner[1:]
        parent = await self._container(tuple(value for _, value in reversed(inner))) if _units(inner) else None
        if parent is None or not address:
            return parent
        return Person(parent.dn, And((parent.filter, Equal("mail", address))))

    async def _container(self, path: tuple[str, ...]) -> Container | None:
        if not path:
            return self.base
        folded = tuple(value.casefold() for value in path)
        for one in self.lists:
            if tuple(value.casefold() for value in one.path) == folded:
                return self.container(one)
        for one in self.lists:
            if one.by and len(path) == 2 and one.path[0].casefold() == folded[0]:
                found = await self._book.part(one, path[1])
                return None if found is None else self.container(found)
        return None

    async def children(self, of: Container) -> list[Container]:
        """The containers beneath one."""
        found = list(of.lists)
        if of.parts_of is not None:
            found += await self._book.parts(of.parts_of)
        return [self.container(one) for one in found]


def _units(parts: tuple[dn.Part, ...]) -> bool:
    return all(attribute == "ou" for attribute, _ in parts)


def address_of(name: str) -> str:
    """Who signs in by a name: an address or login name as it is, or the one in an entry's name.

    Raises ProtocolViolation.
    """
    if "=" not in name:
        return name
    parts = dn.parse(name)
    if parts and parts[0][0] in {"mail", "uid", "cn"}:
        return parts[0][1]
    raise ProtocolViolation("a name of nobody")
