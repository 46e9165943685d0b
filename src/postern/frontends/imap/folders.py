"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE."""

from __future__ import annotations

import unicodedata

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import find, mailbox_id, site_of
from postern.frontends.imap.sites import OTHERS, Place, Site
from postern.frontends.imap.tree import INBOX
from postern.model.ids import FolderId
from postern.model.items import SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap import render
from postern.protocols.imap.commands.folders import Create, Rename
from postern.protocols.imap.declined import Declined
from postern.protocols.imap.render import DELIMITER

MAX_DEPTH = 30
"""Levels of a folder's name."""


def _elements(name: str) -> list[str]:
    """The levels of a name that is to be made. Raises Refusal(BAD_NAME)."""
    elements = unicodedata.normalize("NFC", name).split(DELIMITER)
    if not all(elements) or len(elements) > MAX_DEPTH or any(not e.isprintable() for e in elements):
        raise Refusal(Reason.BAD_NAME, name)
    return elements


async def _parent(connection: Connection, site: Site, elements: list[str]) -> FolderId | None:
    """The folder that holds the last element; made if it is missing (RFC 9051 6.3.4)."""
    tree = await site.tree()
    parent: FolderId | None = None
    for depth in range(1, len(elements)):
        known = tree.by_name.get(DELIMITER.join(elements[:depth]))
        if known is None:
            known = await site.mailbox.create_folder(parent, elements[depth - 1])
            _done(connection, site)
        parent = known.id
    return parent


def _done(connection: Connection, site: Site) -> None:
    connection.changed(site.mailbox)
    site.forget()


async def _new(connection: Connection, name: str) -> tuple[Site, list[str]]:
    """Where a folder that is not there yet shall be. Raises Refusal(ALREADY_EXISTS, BAD_NAME, NOT_PERMITTED)."""
    name = name.removesuffix(DELIMITER)
    if name == OTHERS:
        raise Refusal(Reason.NOT_PERMITTED, "the namespace of other users")
    site, local = await site_of(connection, name)
    if site.prefix and not local:
        raise Refusal(Reason.ALREADY_EXISTS, "the namespace of public folders")
    elements = _elements(local)
    if DELIMITER.join(elements) in (await site.tree()).by_name:
        raise Refusal(Reason.ALREADY_EXISTS, name)
    return site, elements


async def create(connection: Connection, arguments: Create, _uid: bool) -> bytes:
    """RFC 9051 6.3.4; a delimiter at the end announces children, which need no announcing here."""
    special = SpecialUse.NONE
    if arguments.uses:
        special = _use(arguments.uses)
    site, elements = await _new(connection, arguments.mailbox)
    if special is not SpecialUse.NONE and any(f.special is special for f in (await site.tree()).by_name.values()):
        raise Declined(b"NO [USEATTR] Another mailbox has this use already")
    parent = await _parent(connection, site, elements)
    made = await site.mailbox.create_folder(parent, elements[-1], special=special)
    _done(connection, site)
    _renamed(connection, site.prefix + DELIMITER.join(elements), arguments.mailbox.removesuffix(DELIMITER))
    if not connection.offers(b"OBJECTID"):
        return b"OK CREATE completed"
    return b"OK [MAILBOXID (%b)] CREATE completed" % mailbox_id(Place(site, made))


_USES = {use.value.upper().encode("ascii"): use for use in SpecialUse if use.value.startswith("\\")}


def _use(names: tuple[bytes, ...]) -> SpecialUse:
    """RFC 6154 3. Raises Declined (USEATTR)."""
    if len(names) > 1:
        raise Declined(b"NO [USEATTR] A mailbox has one use here")
    use = _USES.get(names[0].upper())
    if use is None:
        raise Declined(b"NO [USEATTR] There is no mailbox with this use here")
    return use


def _renamed(connection: Connection, name: str, old: str) -> None:
    """Tell an IMAP4rev2 client under which name it finds what it called `old` (RFC 9051 6.3.9.7)."""
    if connection.rev2 and name != old:
        extended = b' ("OLDNAME" (%b))' % connection.name(old)
        connection.out.append(render.list_response(b"LIST", [], name, extended, utf8=True))


async def delete(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 9051 6.3.5."""
    if name == INBOX:
        raise Refusal(Reason.NOT_PERMITTED, "INBOX stays")
    site, folder = await find(connection, name)
    tree = await site.tree()
    if tree.by_id[folder.id] in tree.parents:
        raise Refusal(Reason.HAS_CHILDREN, name)
    await site.mailbox.delete_folder(folder.id)
    _done(connection, site)
    return b"OK DELETE completed"


async def rename(connection: Connection, arguments: Rename, _uid: bool) -> bytes:
    """RFC 9051 6.3.6. Renaming INBOX moves its messages and leaves it empty, with its children where they are."""
    source, folder = await find(connection, arguments.source)
    site, elements = await _new(connection, arguments.target)
    if site is not source:
        raise Refusal(Reason.NOT_SUPPORTED, "a folder cannot move to another mailbox")
    name = (await site.tree()).by_id[folder.id]
    if DELIMITER.join(elements).startswith(name + DELIMITER) and name != INBOX:
        raise Refusal(Reason.BAD_NAME, "into its own child")
    parent = await _parent(connection, site, elements)
    if name == INBOX:
        made = await site.mailbox.create_folder(parent, elements[-1])
        await site.mailbox.move(folder.id, [(1, 0xFFFFFFFF)], made.id)
    else:
        await site.mailbox.rename_folder(folder.id, parent, elements[-1])
    _done(connection, site)
    _renamed(connection, site.prefix + DELIMITER.join(elements), arguments.source)
    return b"OK RENAME completed"


async def subscribe(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 9051 6.3.7."""
    site, folder = await find(connection, name)
    await site.mailbox.subscribe(folder.id, True)
    _done(connection, site)
    return b"OK SUBSCRIBE completed"


async def unsubscribe(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 9051 6.3.8; a name that is not there has no subscription left."""
    site, local = await site_of(connection, name)
    folder = (await site.tree()).by_name.get(local)
    if folder is not None:
        await site.mailbox.subscribe(folder.id, False)
        _done(connection, site)
    return b"OK UNSUBSCRIBE completed"
