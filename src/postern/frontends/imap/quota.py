"""QUOTA (RFC 9208): one root a mailbox, of storage and messages. Limits are the administrator's."""

from __future__ import annotations

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import find, refresh_others
from postern.frontends.imap.sites import Site
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap import render
from postern.protocols.imap.commands.quota import SetQuota
from postern.protocols.imap.declined import Declined

UNIT_BYTES = 1024


def _root(site: Site) -> bytes:
    """The name of a mailbox's root: empty for one's own, the address for another's."""
    return render.string(site.prefix.rstrip("/").rpartition("/")[2].encode("utf-8"))


async def _site(connection: Connection, root: str) -> Site:
    """Raises Declined for a root that there is not."""
    if not root:
        return connection.own
    site = (await refresh_others(connection)).get(root.lower())
    if site is None:
        raise Declined(b"NO [NONEXISTENT] No such quota root")
    return site


async def _quota(connection: Connection, site: Site) -> None:
    limits = await site.mailbox.quota()
    resources: list[bytes] = []
    if limits.no_receive_bytes is not None and connection.offers(b"QUOTA=RES-STORAGE"):
        used = -(-await site.mailbox.used_bytes() // UNIT_BYTES)
        resources.append(b"STORAGE %d %d" % (used, limits.no_receive_bytes // UNIT_BYTES))
    if limits.max_items is not None and connection.offers(b"QUOTA=RES-MESSAGE"):
        resources.append(b"MESSAGE %d %d" % (await site.mailbox.used_items(), limits.max_items))
    connection.out.append(b"* QUOTA %b (%b)\r\n" % (_root(site), b" ".join(resources)))


async def get_quota(connection: Connection, root: str, _uid: bool) -> bytes:
    """RFC 9208 4.1.1."""
    await _quota(connection, await _site(connection, root))
    return b"OK GETQUOTA completed"


async def get_quota_root(connection: Connection, name: str, _uid: bool) -> bytes:
    """RFC 9208 4.1.2."""
    place = await find(connection, name)
    connection.out.append(b"* QUOTAROOT %b %b\r\n" % (connection.name(name), _root(place.site)))
    await _quota(connection, place.site)
    return b"OK GETQUOTAROOT completed"


async def set_quota(connection: Connection, arguments: SetQuota, _uid: bool) -> bytes:
    """RFC 9208 4.1.3: nobody sets their own limits."""
    await _site(connection, arguments.root)
    raise Refusal(Reason.NOT_PERMITTED, "limits are the administrator's")
