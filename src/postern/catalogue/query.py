"""Questions to the catalogue."""

from __future__ import annotations

from collections.abc import Iterable

from postern.catalogue.load import all_rows
from postern.catalogue.roles import EDITIONS, effective_roles
from postern.catalogue.roles import edition as edition_id
from postern.catalogue.roles import role as role_of
from postern.catalogue.schema import DataPath, Level, Port

ALL = "all"
INWARD, OUTWARD = "in", "out"


def rows(  # noqa: PLR0913 - every filter is one, by name
    edition: str = ALL,
    *,
    role: str = "",
    source: str = "",
    destination: str = "",
    direction: str = "",
    port: int = 0,
    transport: str = "",
    protocol: str = "",
    encryption: Level | None = None,
) -> tuple[DataPath, ...]:
    """Rows that answer to every filter given, in the catalogue's order.

    `edition` is `all` or editions separated by commas. Roles may be any word that `roles.role` knows; a server of
    2013 and later answers for all roles it plays. `direction` is `in`, `out` or empty and is seen from `role`.
    `port` is met by `named_ports`, `encryption` by any of a row's ports. Raises UnknownNameError.
    """
    wanted = editions_of(edition)
    found = [path for path in all_rows() if wanted & set(path.editions)]
    if role:
        here = role_of(role).id
        found = [path for path in found if _touches(path, here, direction, wanted)]
    if source:
        found = from_role(found, role_of(source).id, wanted)
    if destination:
        found = to_role(found, role_of(destination).id, wanted)
    if port:
        found = [path for path in found if named_ports(path, port, transport)]
    if protocol:
        plain = protocol.lower()
        found = [path for path in found if any(plain in protocol_words(one) for one in path.protocols)]
    if encryption is not None:
        found = [path for path in found if encryption in levels(path)]
    return tuple(found)


def between(first: str, second: str, edition: str = ALL) -> tuple[DataPath, ...]:
    """Rows that lead from one role to another, either way, where a connection is made. Raises UnknownNameError."""
    one, other, wanted = role_of(first).id, role_of(second).id, editions_of(edition)
    found = [path for path in all_rows() if wanted & set(path.editions) and not path.none]
    there = to_role(from_role(found, one, wanted), other, wanted)
    back = to_role(from_role(found, other, wanted), one, wanted)
    return tuple(path for path in found if path in there or path in back)


def explain(port: int, transport: str = "") -> tuple[DataPath, ...]:
    """Rows that name a port: first those that name it alone, then those with a range that somebody chose.

    Dynamic RPC and rows that name every port are left out; `in_dynamic_range` has the former.
    """
    named = [
        (min(one.last - one.first for one in hits), place, path)
        for place, path in enumerate(all_rows())
        if (hits := named_ports(path, port, transport))
    ]
    return tuple(path for _, _, path in sorted(named, key=lambda item: item[:2]))


def in_dynamic_range(port: int) -> tuple[str, ...]:
    """Editions whose servers may be handed this TCP port by the RPC endpoint mapper."""
    hits = {
        edition
        for path in all_rows()
        for one in path.ports
        if one.dynamic and one.covers(port)
        for edition in path.editions
    }
    return tuple(edition for edition in EDITIONS if edition in hits)


def matrix() -> tuple[tuple[str, ...], dict[tuple[str, str], DataPath]]:
    """The mixed organisation of Exchange 2003 and 2007: its members in order, and a row by (server, peer).

    Traffic goes from the peer to the server.
    """
    found = [path for path in all_rows() if path.table == "matrix"]
    members = tuple(dict.fromkeys(path.section for path in found))
    return members, {(path.section, path.id.rpartition(".")[2]): path for path in found}


def levels(path: DataPath) -> frozenset[Level]:
    """Every level of encryption that a row's ports have."""
    return frozenset(path.level_of(port) for port in path.ports) or frozenset({path.level})


def from_role(
    found: Iterable[DataPath], role_id: str, editions: frozenset[str] = frozenset(EDITIONS)
) -> list[DataPath]:
    """Rows that a role opens."""
    return [path for path in found if _plays(path, role_id, editions, source=True)]


def to_role(found: Iterable[DataPath], role_id: str, editions: frozenset[str] = frozenset(EDITIONS)) -> list[DataPath]:
    """Rows that a role listens for."""
    return [path for path in found if _plays(path, role_id, editions, source=False)]


def editions_of(words: str) -> frozenset[str]:
    """Ids of editions: `all`, or words separated by commas. Raises UnknownNameError."""
    if words.strip().lower() == ALL:
        return frozenset(EDITIONS)
    return frozenset(edition_id(word) for word in words.split(","))


def protocol_words(protocol: str) -> set[str]:
    """What a protocol answers to: `IMAP4` to imap4 and imap, `RPC netlogon` to rpc."""
    plain = protocol.lower()
    return {plain, plain.rstrip("0123456789"), *plain.split()}


def _plays(path: DataPath, role_id: str, editions: frozenset[str], *, source: bool) -> bool:
    """Whether a role is at an end of a row; an end that is everybody's (firewall rules) is nobody's in particular."""
    ends = (path.source_roles, path.destination_roles)
    mine = [ends[0] if source else ends[1], *([ends[1] if source else ends[0]] if path.both_ways else [])]
    played = frozenset({role_id}).union(
        *(effective_roles(edition, (role_id,)) for edition in path.editions if edition in editions)
    )
    return any(played & set(roles) for roles in mine)


def _touches(path: DataPath, role_id: str, direction: str, editions: frozenset[str]) -> bool:
    inward = _plays(path, role_id, editions, source=False)
    outward = _plays(path, role_id, editions, source=True)
    return {INWARD: inward, OUTWARD: outward}.get(direction, inward or outward)


def named_ports(path: DataPath, port: int, transport: str = "") -> list[Port]:
    """A row's ports and ranges that contain a port; dynamic RPC and "any port" name none."""
    return [
        one
        for one in path.ports
        if one.covers(port) and not one.dynamic and not one.any and transport in {"", one.transport}
    ]
