"""Filters over the address book as SQL conditions; SQL's NULL is LDAP's Undefined (RFC 4511 4.5.1.7)."""

from __future__ import annotations

from typing import Any

from postern.model.filters import And, AtLeast, AtMost, Equal, Filter, Not, Or, Present, Substrings
from postern.model.refusal import Reason, Refusal

BOOK = (
    "SELECT o.id, o.address, o.display_name, o.hidden, o.source, o.kind AS object_kind, a.removed_at,"
    " CASE o.kind WHEN 'account' THEN a.kind WHEN 'contact' THEN 'contact'"
    "   ELSE iif(g.filter = '', 'group', 'dynamic_group') END AS recipient_kind,"
    " c.target, d.given_name, d.surname, d.initials, d.title, d.department, d.company, d.office, d.phone, d.mobile,"
    " d.home_phone, d.fax, d.street, d.city, d.state, d.postal_code, d.country, d.manager, d.notes, d.web_page,"
    " d.capacity, d.custom"
    " FROM objects o LEFT JOIN accounts a USING (id) LEFT JOIN groups g USING (id) LEFT JOIN contacts c USING (id)"
    " LEFT JOIN details d USING (id)"
)
"""The address book as one table; queries call it `book`."""

COLUMNS = {
    "mail": "address",
    "displayname": "display_name",
    "cn": "display_name",
    "name": "display_name",
    "givenname": "given_name",
    "sn": "surname",
    "initials": "initials",
    "title": "title",
    "department": "department",
    "ou": "department",
    "company": "company",
    "o": "company",
    "physicaldeliveryofficename": "office",
    "telephonenumber": "phone",
    "mobile": "mobile",
    "homephone": "home_phone",
    "facsimiletelephonenumber": "fax",
    "streetaddress": "street",
    "street": "street",
    "l": "city",
    "st": "state",
    "postalcode": "postal_code",
    "co": "country",
    "c": "country",
    "manager": "manager",
    "info": "notes",
    "description": "notes",
    "wwwhomepage": "web_page",
    "msexchresourcecapacity": "capacity",
    "targetaddress": "target",
    "recipienttype": "recipient_kind",
    "uid": "substr(address, 1, instr(address, '@') - 1)",
    **{f"extensionattribute{n}": f"(custom ->> '$.\"{n}\"')" for n in range(1, 16)},
}
"""LDAP attribute -> column or expression of BOOK."""

_CLASSES = {
    "top": "1",
    "person": "object_kind <> 'group'",
    "organizationalperson": "object_kind <> 'group'",
    "inetorgperson": "object_kind <> 'group'",
    "user": "object_kind = 'account'",
    "contact": "object_kind = 'contact'",
    "group": "object_kind = 'group'",
    "groupofnames": "object_kind = 'group'",
}

_PROXIES = "(SELECT p.address FROM proxies p WHERE p.object = book.id UNION ALL SELECT book.address)"
_UNDEFINED = "NULL"
MAX_PARTS = 500
"""SQLite's limit of an expression's depth is 1000."""


def known(attribute: str) -> bool:
    """Whether filters over that attribute can be true."""
    return attribute.lower() in COLUMNS or attribute.lower() in {"objectclass", "proxyaddresses", "memberof"}


def check(wanted: Filter) -> Filter:
    """A filter about to be stored. Raises Refusal(BAD_VALUE) for attributes nobody has, with those that there are."""
    pending = [wanted]
    while pending:
        node = pending.pop()
        if isinstance(node, And | Or):
            pending.extend(node.parts)
        elif isinstance(node, Not):
            pending.append(node.part)
        elif not known(node.attribute):
            names = ", ".join(sorted({*COLUMNS, "objectclass", "proxyaddresses", "memberof"}))
            raise Refusal(Reason.BAD_VALUE, f"no such attribute: {node.attribute}; known: {names}")
    return wanted


def compile_filter(wanted: Filter) -> tuple[str, list[Any]]:
    """A condition over BOOK and its bindings. Raises Refusal(BAD_VALUE) for too large a filter."""
    bindings: list[Any] = []
    left = MAX_PARTS

    def build(node: Filter, negated: bool = False) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            raise Refusal(Reason.BAD_VALUE, f"a filter has at most {MAX_PARTS} parts")
        match node:
            case And(parts):
                return f"({' AND '.join(build(part, negated) for part in parts)})" if parts else "1"
            case Or(parts):
                return f"({' OR '.join(build(part, negated) for part in parts)})" if parts else "0"
            case Not(part):
                return f"(NOT {build(part, True)})"
        condition = _leaf(node, bindings)
        # who lacks an attribute does not have that value: only an attribute that nobody knows is undefined
        return f"ifnull({condition}, 0)" if negated and condition != _UNDEFINED else condition

    return build(wanted), bindings


_Item = Present | Equal | Substrings | AtLeast | AtMost


def _leaf(node: _Item, bindings: list[Any]) -> str:
    attribute = node.attribute.lower()
    if attribute == "objectclass":
        if isinstance(node, Equal):
            return f"({_CLASSES.get(node.value.lower(), '0')})"
        return "1" if isinstance(node, Present) else _UNDEFINED
    if attribute == "memberof":
        return _member_of(node, bindings)
    if attribute == "proxyaddresses":
        condition = _compare("address", _without_type(node), bindings)
        return f"EXISTS (SELECT 1 FROM {_PROXIES} WHERE {condition})"  # noqa: S608 - values are bound
    column = COLUMNS.get(attribute)
    return _compare(column, node, bindings) if column else _UNDEFINED


def _without_type(node: _Item) -> _Item:
    """`smtp:a@b` is stored as `a@b`."""
    if isinstance(node, Equal) and node.value.lower().startswith("smtp:"):
        return Equal(node.attribute, node.value[5:])
    if isinstance(node, Substrings) and node.initial.lower().startswith("smtp:"):
        return node._replace(initial=node.initial[5:])
    return node


def _compare(column: str, node: _Item, bindings: list[Any]) -> str:
    present = f"ifnull({column}, '') <> ''"
    match node:
        case Present():
            return f"({present})"
        case Equal(_, value):
            bindings.append(value)
            return f"({column} = ? COLLATE NOCASE)" if value.isascii() else f"(casefold({column}) = casefold(?))"
        case Substrings(_, initial, middle, final):
            bindings.append(_like(initial, middle, final))
            folded = all(part.isascii() for part in (initial, *middle, final))
            return f"({column} LIKE ? ESCAPE '\\')" if folded else f"(casefold({column}) LIKE casefold(?) ESCAPE '\\')"
        case AtLeast(_, value):
            bindings.append(value)
            return f"({present} AND {column} >= ? COLLATE NOCASE)"
        case AtMost(_, value):
            bindings.append(value)
            return f"({present} AND {column} <= ? COLLATE NOCASE)"


def _like(initial: str, middle: tuple[str, ...], final: str) -> str:
    return "%".join(
        part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for part in (initial, *middle, final)
    )


def _member_of(node: _Item, bindings: list[Any]) -> str:
    own = (
        "SELECT 1 FROM members m JOIN objects og ON og.id = m.grp WHERE (m.address = book.address"
        " OR m.address IN (SELECT p.address FROM proxies p WHERE p.object = book.id))"
    )
    if isinstance(node, Present):
        return f"EXISTS ({own})"
    if isinstance(node, Equal):
        bindings.append(node.value.lower())
        return f"EXISTS ({own} AND og.address = ?)"
    return _UNDEFINED
