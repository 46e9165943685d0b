"""LIST with its extensions, LSUB, NAMESPACE, STATUS."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from postern.frontends.imap.acl import my_rights_of
from postern.frontends.imap.authenticate import enable_condstore
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.ports import Mailbox
from postern.frontends.imap.select import find, mailbox_id, refresh_others
from postern.frontends.imap.sites import OTHERS, PUBLIC, PUBLIC_KEY, Place, Site
from postern.frontends.imap.tree import FolderTree, Pattern, canonical
from postern.model.items import Columns, Flag, Folder
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap import render
from postern.protocols.imap.commands.folders import List, Status

_SLICE = 64
"""Names looked at between two chances for other connections."""


def _special(connection: Connection, site: Site, folder: Folder) -> bytes:
    """SPECIAL-USE attribute (RFC 6154), empty for other folders.

    And for other users': a program that looks for the folder of sent mail must not find a colleague's.
    """
    value = "" if site.prefix or not connection.offers(b"SPECIAL-USE") else folder.special.value
    return value.encode("ascii") if value.startswith("\\") else b""


def _pattern(arguments: List) -> Pattern:
    return Pattern(*(canonical(arguments.reference + pattern) for pattern in arguments.patterns))


async def _sites(connection: Connection, pattern: Pattern) -> list[Site]:
    """The mailboxes in which the pattern could match."""
    others = await refresh_others(connection)
    return [connection.own, *(site for site in others.values() if pattern.could_match_under(site.prefix))]


def _roots(connection: Connection) -> list[str]:
    """Names that only lead to other users' mailboxes and to public folders."""
    found = [site.prefix.removesuffix(render.DELIMITER) for site in connection.others.values()]
    return [OTHERS, *found] if any(name != PUBLIC for name in found) else found


async def list_(connection: Connection, arguments: List, _uid: bool) -> bytes:
    """RFC 9051 6.3.9."""
    if arguments.patterns == ("",) and not arguments.extended:
        connection.out.append(b'* LIST (\\Noselect) "/" ""\r\n')
        return b"OK LIST completed"
    pattern = _pattern(arguments)
    for site in await _sites(connection, pattern):
        tree = await site.tree(fresh=True)
        recursive = b"RECURSIVEMATCH" in arguments.select
        above = _above_chosen(connection, site, tree, arguments.select) if recursive else set()
        for number, local in enumerate(tree.names(), 1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            if pattern.matches(site.prefix + local):
                await _list_one(connection, arguments, Listed(site, tree, local, local in above))
    if not arguments.select:
        for name in _roots(connection):
            if pattern.matches(name):
                attributes = [b"\\Noselect", b"\\HasChildren"]
                connection.out.append(render.list_response(b"LIST", attributes, name, utf8=connection.utf8))
    return b"OK LIST completed"


class Listed(NamedTuple):
    """A folder whose name matches."""

    site: Site
    tree: FolderTree
    local: str
    below: bool
    """RECURSIVEMATCH was asked for, and a folder below meets the selection (RFC 5258 3.5)."""


async def _list_one(connection: Connection, arguments: List, listed: Listed) -> None:
    site, tree, local, below = listed
    folder = tree.by_name[local]
    name = site.prefix + local
    chosen = _chosen(connection, site, folder, arguments.select)
    extended = b""
    if below:
        extended = b' ("CHILDINFO" ("SUBSCRIBED"))'
    if not chosen and not extended:
        return
    attributes = _attributes(connection, listed, folder, arguments)
    connection.out.append(render.list_response(b"LIST", attributes, name, extended, utf8=connection.utf8))
    if b"MYRIGHTS" in arguments.returns and chosen:
        connection.out.append(await my_rights_of(connection, Place(site, folder), name))
    if b"STATUS" in arguments.returns and chosen and await readable(site, folder):
        connection.out.append(await status_of(connection, Place(site, folder), name, arguments.status))


async def readable(site: Site, folder: Folder) -> bool:
    """Whether STATUS may be told of a folder in another's mailbox that one sees (RFC 4314 4)."""
    if not site.prefix:
        return True
    try:
        await site.mailbox.folder(folder.id)
    except Refusal as refusal:
        if refusal.reason is Reason.NOT_PERMITTED:
            return False
        raise
    return True


def _chosen(connection: Connection, site: Site, folder: Folder, options: frozenset[bytes]) -> bool:
    if b"SUBSCRIBED" in options and not folder.subscribed:
        return False
    return b"SPECIAL-USE" not in options or bool(_special(connection, site, folder))


def _above_chosen(connection: Connection, site: Site, tree: FolderTree, options: frozenset[bytes]) -> set[str]:
    """The names above folders that meet the selection."""
    found: set[str] = set()
    for name, folder in tree.by_name.items():
        if _chosen(connection, site, folder, options):
            above = name.rpartition(render.DELIMITER)[0]
            while above and above not in found:
                found.add(above)
                above = above.rpartition(render.DELIMITER)[0]
    return found


def _attributes(connection: Connection, listed: Listed, folder: Folder, arguments: List) -> list[bytes]:
    attributes = [b"\\HasChildren" if listed.local in listed.tree.parents else b"\\HasNoChildren"]
    special = _special(connection, listed.site, folder)
    if special:
        attributes.append(special)
    if folder.subscribed and (b"SUBSCRIBED" in arguments.returns or b"SUBSCRIBED" in arguments.select):
        attributes.append(b"\\Subscribed")
    return attributes


async def lsub(connection: Connection, arguments: List, _uid: bool) -> bytes:
    """RFC 3501 6.3.9: `%` shows a parent that is not subscribed itself as \\Noselect."""
    pattern = _pattern(arguments)
    found: dict[str, list[bytes]] = {}
    for site in await _sites(connection, pattern):
        tree = await site.tree(fresh=True)
        for number, local in enumerate(tree.names(), 1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            if not tree.by_name[local].subscribed:
                continue
            name = site.prefix + local
            if pattern.matches(name):
                found[name] = []
            elif "%" in arguments.patterns[0]:
                parent = _matching_parent(pattern, name)
                if parent:
                    found.setdefault(parent, [b"\\Noselect"])
    for name, attributes in found.items():
        connection.out.append(render.list_response(b"LSUB", attributes, name, utf8=connection.utf8))
    return b"OK LSUB completed"


def _matching_parent(pattern: Pattern, name: str) -> str:
    """The nearest level above a name that the pattern matches, or empty."""
    while render.DELIMITER in name:
        name = name.rpartition(render.DELIMITER)[0]
        if pattern.matches(name):
            return name
    return ""


async def namespace(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 2342: one's own folders, those of others in which one has rights, and public ones if there are any."""
    others = b'(("%b/" "/"))' % OTHERS.encode("ascii")
    public = b'(("%b/" "/"))' % PUBLIC.encode("ascii") if PUBLIC_KEY in await refresh_others(connection) else b"NIL"
    connection.out.append(b'* NAMESPACE (("" "/")) %b %b\r\n' % (others, public))
    return b"OK NAMESPACE completed"


async def status(connection: Connection, arguments: Status, _uid: bool) -> bytes:
    """RFC 9051 6.3.11."""
    site, folder = await find(connection, arguments.mailbox)
    if site.prefix:
        # RFC 4314 4: STATUS needs the right to read, which in another's mailbox one may lack on a folder one sees
        folder = await site.mailbox.folder(folder.id)
    if b"HIGHESTMODSEQ" in arguments.items:
        enable_condstore(connection)  # RFC 7162 3.1
    connection.out.append(await status_of(connection, Place(site, folder), arguments.mailbox, arguments.items))
    return b"OK STATUS completed"


async def status_of(connection: Connection, place: Place, name: str, items: tuple[bytes, ...]) -> bytes:
    """A STATUS response from the counters of a folder that was just read."""
    values = []
    folder = place.folder
    for item in items:
        if item == b"MAILBOXID":
            values.append(b"MAILBOXID (%b)" % mailbox_id(place))
            continue
        if item == b"APPENDLIMIT":
            number = connection.shared.limits.append_bytes
        elif item == b"RECENT":
            number = await _recent(place.mailbox, folder)
        elif item == b"DELETED-STORAGE":
            number = await _deleted_bytes(place.mailbox, folder)
        else:
            number = _COUNTERS[item](folder)
        values.append(b"%b %d" % (item, number))
    return b"* STATUS %b (%b)\r\n" % (connection.name(name), b" ".join(values))


async def _deleted_bytes(mailbox: Mailbox, folder: Folder) -> int:
    """Octets that EXPUNGE would free (RFC 9208 4.1.4)."""
    total = 0
    if folder.deleted:
        async for rows in mailbox.items(folder.id, Columns.UID | Columns.FLAGS | Columns.SIZE):
            total += sum(size for _, flags, size in rows if flags & Flag.DELETED.value)
    return total


async def _recent(mailbox: Mailbox, folder: Folder) -> int:
    if folder.recent_from >= folder.uid_next or not folder.messages:
        return 0
    count = 0
    async for rows in mailbox.items(folder.id, Columns.UID, [(folder.recent_from, 0xFFFFFFFF)]):
        count += len(rows)
    return count


_COUNTERS = {
    b"MESSAGES": lambda folder: folder.messages,
    b"UIDNEXT": lambda folder: folder.uid_next,
    b"UIDVALIDITY": lambda folder: folder.uid_validity,
    b"UNSEEN": lambda folder: folder.unseen,
    b"DELETED": lambda folder: folder.deleted,
    b"SIZE": lambda folder: folder.size_bytes,
    b"HIGHESTMODSEQ": lambda folder: max(1, folder.changed),
}
