"""LIST with its extensions, LSUB, NAMESPACE, STATUS."""

from __future__ import annotations

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import find
from postern.frontends.imap.tree import FolderTree, Pattern, canonical
from postern.model.items import Columns, Folder
from postern.protocols.imap import render
from postern.protocols.imap.commands.folders import List, Status


def _special(folder: Folder) -> bytes:
    """SPECIAL-USE attribute (RFC 6154), empty for other folders."""
    value = folder.special.value
    return value.encode("ascii") if value.startswith("\\") else b""


def _patterns(arguments: List) -> list[Pattern]:
    return [Pattern(canonical(arguments.reference + pattern)) for pattern in arguments.patterns]


async def list_(connection: Connection, arguments: List, _uid: bool) -> bytes:
    """RFC 9051 6.3.9."""
    if arguments.patterns == ("",) and not arguments.extended:
        connection.out.append(b'* LIST (\\Noselect) "/" ""\r\n')
        return b"OK LIST completed"
    tree = await connection.tree()
    patterns = _patterns(arguments)
    for name in tree.names():
        if not any(pattern.matches(name) for pattern in patterns):
            continue
        folder = tree.by_name[name]
        chosen = _chosen(folder, arguments.select)
        extended = b""
        if b"RECURSIVEMATCH" in arguments.select and _below(tree, name, arguments.select):
            extended = b' ("CHILDINFO" ("SUBSCRIBED"))'
        if not chosen and not extended:
            continue
        connection.out.append(render.list_response(b"LIST", _attributes(tree, name, folder, arguments), name, extended))
        if b"STATUS" in arguments.returns and chosen:
            connection.out.append(await _status(connection, name, folder, arguments.status))
    return b"OK LIST completed"


def _chosen(folder: Folder, options: frozenset[bytes]) -> bool:
    if b"SUBSCRIBED" in options and not folder.subscribed:
        return False
    return b"SPECIAL-USE" not in options or bool(_special(folder))


def _below(tree: FolderTree, name: str, options: frozenset[bytes]) -> bool:
    """Whether a descendant meets the selection (RFC 5258 3.5)."""
    head = name + render.DELIMITER
    return any(other.startswith(head) and _chosen(folder, options) for other, folder in tree.by_name.items())


def _attributes(tree: FolderTree, name: str, folder: Folder, arguments: List) -> list[bytes]:
    attributes = [b"\\HasChildren" if name in tree.parents else b"\\HasNoChildren"]
    special = _special(folder)
    if special:
        attributes.append(special)
    if folder.subscribed and (b"SUBSCRIBED" in arguments.returns or b"SUBSCRIBED" in arguments.select):
        attributes.append(b"\\Subscribed")
    return attributes


async def lsub(connection: Connection, arguments: List, _uid: bool) -> bytes:
    """RFC 3501 6.3.9: `%` shows a parent that is not subscribed itself as \\Noselect."""
    tree = await connection.tree()
    (pattern,) = _patterns(arguments)
    found: dict[str, list[bytes]] = {}
    for name in tree.names():
        if not tree.by_name[name].subscribed:
            continue
        if pattern.matches(name):
            found[name] = []
        elif "%" in arguments.patterns[0]:
            parent = name
            while render.DELIMITER in parent:
                parent = parent.rpartition(render.DELIMITER)[0]
                if pattern.matches(parent):
                    found.setdefault(parent, [b"\\Noselect"])
                    break
    for name, attributes in found.items():
        connection.out.append(render.list_response(b"LSUB", attributes, name))
    return b"OK LSUB completed"


async def namespace(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 2342: personal folders only; another owner's mailbox is opened by authorizing as it."""
    connection.out.append(b'* NAMESPACE (("" "/")) NIL NIL\r\n')
    return b"OK NAMESPACE completed"


async def status(connection: Connection, arguments: Status, _uid: bool) -> bytes:
    """RFC 9051 6.3.11."""
    folder = await find(connection, arguments.mailbox)
    connection.out.append(await _status(connection, arguments.mailbox, folder, arguments.items))
    return b"OK STATUS completed"


async def _status(connection: Connection, name: str, folder: Folder, items: tuple[bytes, ...]) -> bytes:
    """A STATUS response from the counters of a folder that was just read."""
    values = []
    for item in items:
        if item == b"RECENT":
            number = await _recent(connection, folder)
        else:
            number = _COUNTERS[item](folder)
        values.append(b"%b %d" % (item, number))
    return b"* STATUS %b (%b)\r\n" % (render.mailbox(name), b" ".join(values))


async def _recent(connection: Connection, folder: Folder) -> int:
    if folder.recent_from >= folder.uid_next or not folder.messages:
        return 0
    count = 0
    async for rows in connection.store.items(folder.id, Columns.UID, [(folder.recent_from, 0xFFFFFFFF)]):
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
