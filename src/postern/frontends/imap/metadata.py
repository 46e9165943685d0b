"""METADATA (RFC 5464): annotations of folders, and of the server for oneself."""

from __future__ import annotations

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import find
from postern.frontends.imap.sites import Site
from postern.model.ids import FolderId
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap import render
from postern.protocols.imap.commands.metadata import GetMetadata, SetMetadata
from postern.protocols.imap.declined import Declined
from postern.services.annotations import MAX_VALUE_BYTES, SHARED, WHOLE


async def _place(connection: Connection, name: str) -> tuple[Site, FolderId]:
    """Raises Refusal(NO_SUCH_FOLDER)."""
    if not name:
        return connection.own, WHOLE
    place = await find(connection, name)
    return place.site, place.folder.id


def _named(connection: Connection, name: str) -> bytes:
    return connection.name(name) if name else b'""'


def _value(raw: bytes | None) -> bytes:
    if raw is None:
        return b"NIL"
    return b"~{%d}\r\n%b" % (len(raw), raw) if b"\0" in raw else render.string(raw)


def _wanted(asked: GetMetadata, held: dict[str, bytes]) -> dict[str, bytes | None]:
    """Entries asked for and those below them; one asked for by itself that is not there is NIL."""
    found: dict[str, bytes | None] = {}
    for entry in asked.entries:
        if entry in held or asked.depth == 0:
            found[entry] = held.get(entry)
        if asked.depth == 0:
            continue
        for name, value in held.items():
            if name.startswith(entry + "/") and (asked.depth is None or "/" not in name[len(entry) + 1 :]):
                found[name] = value
    return found


async def get_metadata(connection: Connection, arguments: GetMetadata, _uid: bool) -> bytes:
    """RFC 5464 4.2."""
    assert connection.principal is not None
    site, folder = await _place(connection, arguments.mailbox)
    held = await site.mailbox.annotations(connection.principal.account, folder)
    found = _wanted(arguments, held)
    too_long = 0
    if arguments.largest is not None:
        too_long = max((len(value) for value in found.values() if value and len(value) > arguments.largest), default=0)
        found = {name: value for name, value in found.items() if value is None or len(value) <= arguments.largest}
    if found:
        values = b" ".join(b"%b %b" % (name.encode("ascii"), _value(value)) for name, value in sorted(found.items()))
        connection.out.append(b"* METADATA %b (%b)\r\n" % (_named(connection, arguments.mailbox), values))
    if too_long:
        return b"OK [METADATA LONGENTRIES %d] GETMETADATA completed" % too_long
    return b"OK GETMETADATA completed"


async def set_metadata(connection: Connection, arguments: SetMetadata, _uid: bool) -> bytes:
    """RFC 5464 4.3."""
    assert connection.principal is not None
    site, folder = await _place(connection, arguments.mailbox)
    if folder == WHOLE and any(name.startswith(SHARED) for name in arguments.values):
        raise Refusal(Reason.NOT_PERMITTED, "what the server tells everybody is the administrator's")
    try:
        await site.mailbox.annotate(connection.principal.account, folder, arguments.values)
    except Refusal as refusal:
        if refusal.reason is Reason.TOO_LARGE:
            raise Declined(b"NO [METADATA MAXSIZE %d] The value is too long" % MAX_VALUE_BYTES) from refusal
        if refusal.reason is Reason.TOO_MANY:
            raise Declined(b"NO [METADATA TOOMANY] There are too many entries") from refusal
        raise
    connection.changed(site.mailbox)
    return b"OK SETMETADATA completed"


def news(connection: Connection, name: str, old: dict[str, bytes], new: dict[str, bytes]) -> None:
    """Tell which entries have changed (RFC 5464 4.4.2, RFC 5465 5.6)."""
    changed = sorted(entry for entry in old.keys() | new.keys() if old.get(entry) != new.get(entry))
    if changed:
        entries = " ".join(changed).encode("ascii")
        connection.out.append(b"* METADATA %b %b\r\n" % (_named(connection, name), entries))
