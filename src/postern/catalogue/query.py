"""Questions to the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from postern.catalogue.load import all_rows, load
from postern.catalogue.roles import edition as edition_id
from postern.catalogue.roles import role as role_of
from postern.catalogue.schema import DataPath, Level


def rows(
    edition: str = "all",
    *,
    role: str = "",
    source: str = "",
    destination: str = "",
    direction: str = "",
    port: int = 0,
    protocol: str = "",
    encryption: Level | None = None,
) -> tuple[DataPath, ...]:
    """Rows that answer to every filter given, in the catalogue's order.

    Roles may be any word that `roles.role` knows. `direction` is `in`, `out` or empty and is seen from `role`.
    Raises UnknownNameError.
    """
    found: Iterable[DataPath] = all_rows() if edition == "all" else load(edition).paths
    if role:
        wanted = role_of(role).id
        found = [path for path in found if _touches(path, wanted, direction)]
    if source:
        found = from_role(found, role_of(source).id)
    if destination:
        found = to_role(found, role_of(destination).id)
    if port:
        found = [path for path in found if any(one.covers(port) for one in path.ports)]
    if protocol:
        plain = protocol.lower()
        found = [path for path in found if any(plain in _words(one) for one in path.protocols)]
    if encryption is not None:
        found = [path for path in found if path.level is encryption]
    return tuple(found)


def between(first: str, second: str, edition: str = "all") -> tuple[DataPath, ...]:
    """Rows that lead from one role to another, either way, where a connection is made. Raises UnknownNameError."""
    one, other = role_of(first).id, role_of(second).id
    found = load(edition).paths if edition_id_or_all(edition) != "all" else all_rows()
    there = to_role(from_role(found, one), other)
    back = to_role(from_role(found, other), one)
    return tuple(path for path in found if not path.none and (path in there or path in back))


def explain(port: int, transport: str = "") -> tuple[DataPath, ...]:
    """Rows that name a port, alone or in a range that somebody chose; dynamic and any-port rows are left out."""
    return tuple(
        path
        for path in all_rows()
        if any(
            one.covers(port) and not one.dynamic and not one.any and transport in {"", one.transport}
            for one in path.ports
        )
    )


def from_role(found: Iterable[DataPath], role_id: str) -> list[DataPath]:
    """Rows that a role opens."""
    return [p for p in found if role_id in p.source_roles or (p.both_ways and role_id in p.destination_roles)]


def to_role(found: Iterable[DataPath], role_id: str) -> list[DataPath]:
    """Rows that a role listens for."""
    return [p for p in found if role_id in p.destination_roles or (p.both_ways and role_id in p.source_roles)]


def edition_id_or_all(word: str) -> str:
    """`all`, or an edition's id. Raises UnknownNameError."""
    return word if word == "all" else edition_id(word)


def _touches(path: DataPath, role_id: str, direction: str) -> bool:
    inward = bool(to_role([path], role_id))
    outward = bool(from_role([path], role_id))
    return {"in": inward, "out": outward}.get(direction, inward or outward)


def _words(protocol: str) -> set[str]:
    """`IMAP4` answers to imap4 and imap."""
    plain = protocol.lower()
    return {plain, plain.rstrip("0123456789"), *plain.split()}
