"""SELECT, EXAMINE, NOOP, CHECK, CLOSE, UNSELECT."""

from __future__ import annotations

from postern.frontends.imap.authenticate import enable_condstore
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.selected import SelectedFolder
from postern.model.items import Folder
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap.commands.folders import Select
from postern.protocols.imap.session import State


async def find(connection: Connection, name: str) -> Folder:
    """A folder by its IMAP name. Raises Refusal(NO_SUCH_FOLDER)."""
    folder = (await connection.tree()).by_name.get(name)
    if folder is None:
        raise Refusal(Reason.NO_SUCH_FOLDER, name)
    return folder


async def select(connection: Connection, arguments: Select, _uid: bool) -> bytes:
    """RFC 9051 6.3.2."""
    return await _open(connection, arguments, read_only=False)


async def examine(connection: Connection, arguments: Select, _uid: bool) -> bytes:
    """RFC 9051 6.3.3."""
    return await _open(connection, arguments, read_only=True)


async def _open(connection: Connection, arguments: Select, *, read_only: bool) -> bytes:
    out = connection.out
    if connection.selected is not None:
        connection.deselect()  # even if the new one cannot be opened
        out.append(b"* OK [CLOSED] Previous mailbox closed\r\n")  # RFC 7162 3.2.11
    mailbox = connection.store
    folder = await find(connection, arguments.mailbox)
    number = await mailbox.change_number()
    view = await mailbox.view(folder.id, claim_recent=not read_only)
    selected = SelectedFolder(mailbox, view, number, read_only=read_only)
    if arguments.condstore:
        enable_condstore(connection)
    selected.condstore = connection.condstore
    folder = view.folder
    defined = selected.texts.defined()
    out.append(
        b"* FLAGS (%b)\r\n* OK [PERMANENTFLAGS (%b)] %b\r\n* %d EXISTS\r\n* %d RECENT\r\n"
        % (
            defined,
            b"" if read_only else defined + b" \\*",
            b"Read-only mailbox" if read_only else b"Flags permitted",
            len(view.uids),
            selected.recent(),
        )
    )
    if view.first_unseen is not None:
        first = selected.number(view.first_unseen)
        if first:
            out.append(b"* OK [UNSEEN %d] First unseen\r\n" % first)
    out.append(
        b"* OK [UIDVALIDITY %d] UIDs valid\r\n* OK [UIDNEXT %d] Predicted next UID\r\n"
        b"* OK [HIGHESTMODSEQ %d] Highest\r\n" % (folder.uid_validity, folder.uid_next, max(1, folder.changed))
    )
    connection.selected = selected
    connection.session.state = State.SELECTED
    return b"OK [READ-ONLY] EXAMINE completed" if read_only else b"OK [READ-WRITE] SELECT completed"


async def noop(_connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 9051 6.1.2; what is new is told after every command."""
    return b"OK NOOP completed"


async def check(_connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 3501 6.4.1: everything answered with OK is durable anyway."""
    return b"OK CHECK completed"


async def close(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 9051 6.4.1: removes what is \\Deleted without telling."""
    selected = connection.view
    connection.deselect()
    if not selected.read_only and not selected.gone:
        await connection.store.expunge(selected.folder, None)
        connection.dirty = True
    return b"OK CLOSE completed"


async def unselect(connection: Connection, _arguments: None, _uid: bool) -> bytes:
    """RFC 9051 6.4.2."""
    connection.deselect()
    return b"OK UNSELECT completed"
