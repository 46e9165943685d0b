"""SELECT, EXAMINE, NOOP, CHECK, CLOSE, UNSELECT."""

from __future__ import annotations

from postern.frontends.imap.authenticate import enable_condstore, modes
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.ports import Mailbox
from postern.frontends.imap.qresync import highest_modseq, missed
from postern.frontends.imap.selected import ALL_FLAGS, SelectedFolder
from postern.frontends.imap.sites import OTHERS, PUBLIC, PUBLIC_KEY, Place, Site, split
from postern.model.ids import FolderId
from postern.model.items import Flag, FolderView
from postern.model.refusal import ProtocolViolation, Reason, Refusal
from postern.model.rights import ROLES, FolderRight
from postern.protocols.imap import render
from postern.protocols.imap.commands.folders import Select
from postern.protocols.imap.render import DELIMITER
from postern.protocols.imap.session import State


async def site_of(connection: Connection, name: str) -> tuple[Site, str]:
    """The mailbox that a name leads into and the name there. Raises Refusal(NO_SUCH_FOLDER, NOT_PERMITTED)."""
    address, local = split(name)
    if not address:
        return connection.own, name
    if address not in connection.others:
        await refresh_others(connection)
    if address not in connection.others:
        if address == PUBLIC_KEY:
            return connection.own, name  # without public folders it is a name like others
        return await _open_to_all(connection, address, name), local
    return connection.others[address], local


async def _open_to_all(connection: Connection, address: str, name: str) -> Site:
    """A mailbox in which everybody has a right: found by who names it, and not listed. Raises Refusal."""
    assert connection.principal is not None
    found = await connection.shared.mailboxes.named(connection.principal, address)
    if found is None or found.mailbox == connection.own.mailbox.id:
        raise Refusal(Reason.NO_SUCH_FOLDER, name)
    site = connection.visited.get(address)
    if site is None or site.owner != found.mailbox:
        opened = await connection.shared.mailboxes.open(connection.principal, found.mailbox)
        site = Site(opened, DELIMITER.join((OTHERS, address, "")), found.mailbox, found.address)
        connection.visited[address] = site
    return site


async def refresh_others(connection: Connection) -> dict[str, Site]:
    """Other users' mailboxes in which the session has a right now, and the public folders."""
    assert connection.principal is not None
    mailboxes, known = connection.shared.mailboxes, connection.others
    found: dict[str, Site] = {}
    for address, owner in await mailboxes.others(connection.principal):
        site = known.get(address)
        if site is None or site.owner != owner:
            opened = await mailboxes.open(connection.principal, owner)
            site = Site(opened, DELIMITER.join((OTHERS, address, "")), owner, address)
        found[address] = site
    public = await mailboxes.public(connection.principal)
    if public is not None:
        site = known.get(PUBLIC_KEY)
        if site is None or site.owner != public.mailbox:
            opened = await mailboxes.open(connection.principal, public.mailbox)
            site = Site(opened, PUBLIC + DELIMITER, public.mailbox, public.address)
        found[PUBLIC_KEY] = site
    connection.others = found
    return found


async def find(connection: Connection, name: str) -> Place:
    """A folder by its IMAP name. Raises Refusal(NO_SUCH_FOLDER)."""
    site, local = await site_of(connection, name)
    folder = await site.folder(local)
    if folder is None:
        raise Refusal(Reason.NO_SUCH_FOLDER, name)
    return Place(site, folder)


async def find_target(connection: Connection, name: str) -> Place:
    """A folder to put something into; its counters may be old. Raises Refusal(NO_SUCH_FOLDER)."""
    site, local = await site_of(connection, name)
    folder = await site.target(local)
    if folder is None:
        raise Refusal(Reason.NO_SUCH_FOLDER, name)
    return Place(site, folder)


async def select(connection: Connection, arguments: Select, _uid: bool) -> bytes:
    """RFC 9051 6.3.2."""
    return await _open(connection, arguments, read_only=False)


async def examine(connection: Connection, arguments: Select, _uid: bool) -> bytes:
    """RFC 9051 6.3.3."""
    return await _open(connection, arguments, read_only=True)


async def _open(connection: Connection, arguments: Select, *, read_only: bool) -> bytes:
    out = connection.out
    if arguments.known is not None and not connection.qresync:
        raise ProtocolViolation("QRESYNC comes after ENABLE QRESYNC")  # RFC 7162 3.2.5
    if connection.selected is not None:
        connection.deselect()  # even if the new one cannot be opened
        out.append(b"* OK [CLOSED] Previous mailbox closed\r\n")  # RFC 7162 3.2.11
    place = await find(connection, arguments.mailbox)
    mailbox = place.mailbox
    number = await mailbox.change_number()
    view = await _view(mailbox, place.folder.id, claim_recent=not read_only)
    selected = SelectedFolder(mailbox, view, number, read_only=read_only)
    if arguments.condstore:
        enable_condstore(connection)
    modes(connection, selected)
    news = [] if arguments.known is None else await missed(connection, selected, arguments.known)
    folder = view.folder
    held = await _rights(connection, place)
    if not read_only:
        selected.permanent = _permanent(held, public=place.site.prefix.startswith(PUBLIC))
    out.append(
        b"* FLAGS (%b)\r\n* OK [PERMANENTFLAGS (%b)] %b\r\n* %d EXISTS\r\n"
        % (
            selected.texts.defined(),
            selected.texts.permanent(selected.permanent),
            b"Flags permitted" if selected.permanent else b"Read-only mailbox",
            len(selected.uids),
        )
    )
    if connection.rev2:
        await _described(connection, place, arguments.mailbox)
    else:
        out.append(b"* %d RECENT\r\n" % selected.recent())
    if view.first_unseen is not None and not connection.rev2 and not connection.uid_only:
        first = selected.number(view.first_unseen)
        if first:
            out.append(b"* OK [UNSEEN %d] First unseen\r\n" % first)
    out.append(
        b"* OK [UIDVALIDITY %d] UIDs valid\r\n* OK [UIDNEXT %d] Predicted next UID\r\n"
        % (folder.uid_validity, folder.uid_next)
    )
    if connection.offers(b"CONDSTORE"):
        out.append(b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % max(1, folder.changed))
    if connection.offers(b"OBJECTID"):
        out.append(b"* OK [MAILBOXID (%b)] Ok\r\n" % mailbox_id(place))
    connection.selected = selected
    connection.session.state = State.SELECTED
    if connection.watch is not None:
        connection.watch.selected(connection)
    out += filter(None, news)
    if read_only:
        return b"OK [READ-ONLY] EXAMINE completed"
    changeable = selected.permanent or held & FolderRight.CREATE
    return b"OK [READ-WRITE] SELECT completed" if changeable else b"OK [READ-ONLY] SELECT completed"


async def _rights(connection: Connection, place: Place) -> FolderRight:
    if not place.site.prefix:
        return ROLES["owner"]
    assert connection.principal is not None
    return await connection.shared.mailboxes.folder_rights(connection.principal, place.mailbox.id, place.folder.id)


def _permanent(held: FolderRight, *, public: bool) -> int:
    """Bits of the flags that rights let somebody change (RFC 4314 5.2). `public`: \\Seen is each reader's own."""
    bits = int(Flag.SEEN) if public else 0
    if held & (FolderRight.EDIT_ANY | FolderRight.EDIT_OWNED):
        bits |= ALL_FLAGS & ~int(Flag.DELETED)
    return bits | int(Flag.DELETED) if held & (FolderRight.DELETE_ANY | FolderRight.DELETE_OWNED) else bits


def mailbox_id(place: Place) -> bytes:
    """MAILBOXID (RFC 8474 4): stays with a folder as long as it is."""
    return b"F%b-%d" % (place.site.mailbox.id.encode("ascii"), place.folder.id)


async def _described(connection: Connection, place: Place, asked: str) -> None:
    """The LIST response of SELECT (RFC 9051 6.3.2); OLDNAME if the folder has another name than was asked for."""
    tree = await place.site.tree()
    local = tree.by_id.get(place.folder.id, place.folder.name)
    name = place.site.prefix + local
    old = b"" if name == asked else b' ("OLDNAME" (%b))' % connection.name(asked)
    attributes = [b"\\HasChildren" if local in tree.parents else b"\\HasNoChildren"]
    connection.out.append(render.list_response(b"LIST", attributes, name, old, utf8=connection.utf8))


async def _view(mailbox: Mailbox, folder: FolderId, *, claim_recent: bool) -> FolderView:
    """A full or read-only disk keeps nobody from reading: then nothing is claimed."""
    try:
        return await mailbox.view(folder, claim_recent=claim_recent)
    except Refusal as refusal:
        if not claim_recent or refusal.reason not in (Reason.DISK_FULL, Reason.READ_ONLY):
            raise
    return await mailbox.view(folder)


async def noop(_connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 9051 6.1.2; what is new is told after every command."""
    return b"OK NOOP completed"


async def check(_connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 3501 6.4.1: everything answered with OK is durable anyway."""
    return b"OK CHECK completed"


async def close(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 9051 6.4.1: removes what is \\Deleted without telling; where that is not allowed, it stays."""
    selected = connection.view
    connection.deselect()
    if not selected.read_only and not selected.gone:
        try:
            removed = await selected.mailbox.expunge(selected.folder, None)
        except Refusal as refusal:
            if refusal.reason not in (Reason.NOT_PERMITTED, Reason.NO_SUCH_FOLDER):
                raise
            return b"OK CLOSE completed"
        connection.changed(selected.mailbox)
        if removed and connection.qresync:  # RFC 7162 3.2.8
            number = await highest_modseq(selected.mailbox, selected.folder)
            return b"OK [HIGHESTMODSEQ %d] CLOSE completed" % number
    return b"OK CLOSE completed"


async def unselect(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 9051 6.4.2."""
    connection.deselect()
    return b"OK UNSELECT completed"
