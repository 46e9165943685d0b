"""Which mailboxes a filter means (RFC 5465 6, RFC 7377 2.2)."""

from __future__ import annotations

from postern.frontends.imap.connection import Connection
from postern.frontends.imap.select import refresh_others
from postern.frontends.imap.sites import Place, Site
from postern.frontends.imap.tree import INBOX, FolderTree
from postern.model.items import SpecialUse
from postern.protocols.imap.commands.mailboxes import Filter, Mailboxes
from postern.protocols.imap.render import DELIMITER


async def matching(connection: Connection, filters: Mailboxes) -> list[tuple[str, Place]]:
    """(name, folder) of every mailbox that one of the filters means, each once."""
    sites = [connection.own]
    if any(leads_outside(each) for each in filters):
        sites += (await refresh_others(connection)).values()
    found: list[tuple[str, Place]] = []
    for site in sites:
        tree = await site.tree(fresh=True)
        for local in tree.names():
            if any(means(connection, each, site, tree, local) for each in filters):
                found.append((site.prefix + local, Place(site, tree.by_name[local])))
    return found


def leads_outside(each: Filter) -> bool:
    """Whether a filter may mean folders in other mailboxes than the session's own."""
    return bool(each.names) or each.kind == b"SUBSCRIBED"


def reaches(each: Filter, site: Site) -> bool:
    """Whether a filter may mean folders of a mailbox, now or once they are made."""
    if not site.prefix or each.kind == b"SUBSCRIBED":
        return True
    below = (name + DELIMITER for name in each.names)
    return any(name.startswith(site.prefix) or site.prefix.startswith(name) for name in below)


def means(connection: Connection, each: Filter, site: Site, tree: FolderTree, local: str) -> bool:
    """Whether a filter means a folder."""
    kind, folder = each.kind, tree.by_name[local]
    if kind.startswith(b"SELECTED"):
        selected = connection.selected
        return selected is not None and selected.mailbox is site.mailbox and selected.folder == folder.id
    if kind == b"PERSONAL":
        return not site.prefix
    if kind == b"INBOXES":  # what mail is delivered to: INBOX, and Junk Email instead of it
        return not site.prefix and (local == INBOX or folder.special is SpecialUse.JUNK)
    if kind == b"SUBSCRIBED":
        return folder.subscribed
    name = site.prefix + local
    if kind == b"MAILBOXES":
        return name in each.names
    if name in each.names:
        return True
    above = name.rpartition(DELIMITER)[0]
    while above:
        if above in each.names:
            return True
        above = above.rpartition(DELIMITER)[0] if kind == b"SUBTREE" else ""
    return False
