"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE."""

from __future__ import annotations

import unicodedata

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import find
from postern.frontends.imap.tree import INBOX
from postern.model.ids import FolderId
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap.commands.folders import Rename
from postern.protocols.imap.render import DELIMITER

MAX_DEPTH = 30
"""Levels of a folder's name."""


def _elements(name: str) -> list[str]:
    """The levels of a name that is to be made. Raises Refusal(BAD_NAME)."""
    elements = unicodedata.normalize("NFC", name).split(DELIMITER)
    if not all(elements) or len(elements) > MAX_DEPTH or any(not e.isprintable() for e in elements):
        raise Refusal(Reason.BAD_NAME, name)
    return elements


async def _parent(connection: Connection, elements: list[str]) -> FolderId | None:
    """The folder that holds the last element; made if it is missing (RFC 9051 6.3.4)."""
    tree = await connection.tree()
    parent: FolderId | None = None
    for depth in range(1, len(elements)):
        known = tree.by_name.get(DELIMITER.join(elements[:depth]))
        if known is None:
            known = await connection.store.create_folder(parent, elements[depth - 1])
            connection.dirty = True
        parent = known.id
    return parent


async def create(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 9051 6.3.4; a delimiter at the end announces children, which need no announcing here."""
    elements = _elements(name.removesuffix(DELIMITER))
    tree = await connection.tree()
    if DELIMITER.join(elements) in tree.by_name:
        raise Refusal(Reason.ALREADY_EXISTS, name)
    parent = await _parent(connection, elements)
    await connection.store.create_folder(parent, elements[-1])
    connection.dirty = True
    connection.forget_tree()
    return b"OK CREATE completed"


async def delete(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 9051 6.3.5."""
    if name == INBOX:
        raise Refusal(Reason.NOT_PERMITTED, "INBOX stays")
    folder = await find(connection, name)
    if name in (await connection.tree()).parents:
        raise Refusal(Reason.HAS_CHILDREN, name)
    await connection.store.delete_folder(folder.id)
    connection.dirty = True
    connection.forget_tree()
    return b"OK DELETE completed"


async def rename(connection: Connection, arguments: Rename, _uid: bool) -> bytes:
    """RFC 9051 6.3.6. Renaming INBOX moves its messages and leaves it empty, with its children where they are."""
    source = await find(connection, arguments.source)
    elements = _elements(arguments.target.removesuffix(DELIMITER))
    target = DELIMITER.join(elements)
    if target in (await connection.tree()).by_name:
        raise Refusal(Reason.ALREADY_EXISTS, target)
    if target.startswith(arguments.source + DELIMITER) and arguments.source != INBOX:
        raise Refusal(Reason.BAD_NAME, "into its own child")
    parent = await _parent(connection, elements)
    connection.dirty = True
    connection.forget_tree()
    if arguments.source == INBOX:
        made = await connection.store.create_folder(parent, elements[-1])
        await connection.store.move(source.id, [(1, 0xFFFFFFFF)], made.id)
    else:
        await connection.store.rename_folder(source.id, parent, elements[-1])
    return b"OK RENAME completed"


async def subscribe(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 9051 6.3.7."""
    await connection.store.subscribe((await find(connection, name)).id, True)
    connection.dirty = True
    connection.forget_tree()
    return b"OK SUBSCRIBE completed"


async def unsubscribe(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 9051 6.3.8; a name that is not there has no subscription left."""
    folder = (await connection.tree()).by_name.get(name)
    if folder is not None:
        await connection.store.subscribe(folder.id, False)
        connection.dirty = True
        connection.forget_tree()
    return b"OK UNSUBSCRIBE completed"
