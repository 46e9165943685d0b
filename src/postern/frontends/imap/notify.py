"""NOTIFY (RFC 5465): news of the selected and of other mailboxes, told while the client says nothing.

The session's own folders, those of others and public ones that are asked for are watched by comparing their counters
with those last told; nothing is kept for sessions that do not ask, and nothing is looked at before a mailbox's change
number moves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from postern.frontends.imap import fetch, metadata
from postern.frontends.imap.connection import Connection
from postern.frontends.imap.listing import readable, status_of
from postern.frontends.imap.mailboxes import leads_outside, means, reaches
from postern.frontends.imap.select import refresh_others
from postern.frontends.imap.selected import SelectedWatch
from postern.frontends.imap.sites import Place, Site
from postern.frontends.imap.tree import FolderTree
from postern.model.ids import ChangeNumber, FolderId
from postern.model.items import Folder, SpecialUse
from postern.model.ranges import merged
from postern.model.refusal import Reason, Refusal
from postern.protocols.imap import render
from postern.protocols.imap.commands.notify import Group, Notify
from postern.services.annotations import WHOLE

MAX_FOLDERS = 5000
"""A session watches; of more it is told that it watches none any more (RFC 5465 5.8)."""
_MESSAGES = frozenset({b"MessageNew", b"MessageExpunge"})
_METADATA = frozenset({b"MailboxMetadataChange", b"ServerMetadataChange"})


class _Known(NamedTuple):
    """A folder as the client was last told of it."""

    name: str
    """With the prefix of its mailbox."""
    subscribed: bool
    messages: int
    uid_next: int
    changed: int
    events: frozenset[bytes]


async def notify(connection: Connection, arguments: Notify, _uid: bool) -> bytes:
    """RFC 5465 3.1."""
    if connection.watch is not None:
        connection.watch.end(connection)
    if not arguments.groups:
        return b"OK NOTIFY completed"
    watch = Watch(connection, arguments.groups)
    await watch.begin(connection, status=arguments.status)
    return b"OK NOTIFY completed"


class _Watched:
    """One mailbox, and its folders as the client was last told of them."""

    __slots__ = ("known", "number", "site", "unsubscribe")

    def __init__(self, site: Site, unsubscribe: Callable[[], None]) -> None:
        self.site = site
        self.unsubscribe = unsubscribe
        self.known: dict[FolderId, _Known] = {}
        self.number = ChangeNumber(-1)

    async def look(self) -> FolderTree | None:
        """The folders, if anything has been committed since the last look."""
        number = await self.site.mailbox.change_number()
        if number == self.number:
            return None
        self.number = number
        try:
            return await self.site.tree(fresh=True)
        except Refusal as refusal:
            if not self.site.prefix or refusal.reason not in (Reason.NO_SUCH_RECIPIENT, Reason.NOT_PERMITTED):
                raise
            return FolderTree(())


class Watch:
    """What one session wants to know."""

    __slots__ = ("_annotated", "_annotations", "_groups", "_meant", "_own", "_watched")

    def __init__(self, connection: Connection, groups: tuple[Group, ...]) -> None:
        self._own = next((group for group in groups if group.mailboxes.kind.startswith(b"SELECTED")), None)
        self._groups = [group for group in groups if group is not self._own]
        self._watched: list[_Watched] = []
        self._meant: dict[tuple[str, SpecialUse, bool], frozenset[bytes]] = {}
        """Events by all that the groups ask of a folder: each change has all folders looked at again."""
        self._annotated = frozenset(event for group in self._groups for event in group.events) & _METADATA
        self._annotations: dict[FolderId, dict[str, bytes]] = {}

    async def begin(self, connection: Connection, *, status: bool) -> None:
        """Look at everything once; with `status` tell it (RFC 5465 3.1)."""
        sites = [connection.own]
        if any(leads_outside(group.mailboxes) for group in self._groups):
            others = await refresh_others(connection)
            sites += [s for s in others.values() if any(reaches(group.mailboxes, s) for group in self._groups)]
        self._watched = [_Watched(s, s.mailbox.subscribe_changes(connection.stream.nudge)) for s in sites]
        connection.watch = self
        self.selected(connection)
        for watched in self._watched:
            tree = await watched.look()
            if tree is not None:
                watched.known = self._seen(connection, watched.site, tree)
                for identity, known in watched.known.items() if status else ():
                    if known.events & _MESSAGES and not self._is_selected(connection, watched.site, identity):
                        await self._status(connection, watched.site, tree, identity, known.events)
        await self._annotation_news(connection, tell=False)
        self._ended(connection)

    def _ended(self, connection: Connection) -> bool:
        """Of too many folders the client is told that it has no news, so that it does not wait for them."""
        if sum(len(watched.known) for watched in self._watched) <= MAX_FOLDERS:
            return False
        connection.out.append(b"* OK [NOTIFICATIONOVERFLOW] Too many mailboxes for news of them\r\n")
        self.end(connection)
        return True

    def selected(self, connection: Connection) -> None:
        """A folder is selected, or was when NOTIFY came: from now on it tells what was asked for."""
        selected = connection.selected
        if selected is None or self._own is None:
            return
        watching = SelectedWatch(self._own.events)
        if self._own.attributes or self._own.sections:
            watching.describe = self._describing(connection, self._own)
        selected.watch(watching)

    def end(self, connection: Connection) -> None:
        """No more news."""
        for watched in self._watched:
            watched.unsubscribe()
        connection.watch = None
        if connection.selected is not None:
            connection.selected.watch(None)

    async def input(self, connection: Connection) -> bytes:
        """What the client says next; until then news are told. Raises TimeoutError, ConnectionError."""
        while True:
            connection.stream.calm()
            await self.tell(connection)
            await connection.flush()
            data = await connection.stream.read_unless_nudged(connection.timeout_s)
            if data is not None:
                return data

    async def tell(self, connection: Connection) -> None:
        """All that has happened since the last time."""
        selected, own = connection.selected, self._own
        if selected is not None and own is not None and not selected.gone:
            await selected.sync(connection.out, expunge=own.mailboxes.kind == b"SELECTED")
        if not self._groups:
            return
        for watched in self._watched:
            tree = await watched.look()
            if tree is None:
                continue
            before, watched.known = watched.known, self._seen(connection, watched.site, tree)
            for identity in before.keys() | watched.known.keys():
                old, new = before.get(identity), watched.known.get(identity)
                await self._compare(connection, watched.site, tree, identity, old, new)
            if watched.site is connection.own:
                await self._annotation_news(connection, tell=True)
            if self._ended(connection):
                return

    async def _annotation_news(self, connection: Connection, *, tell: bool) -> None:
        """Entries that have changed, of folders for which somebody asked, and of the server (RFC 5465 5.6, 5.7)."""
        if not self._annotated:
            return
        assert connection.principal is not None
        before, self._annotations = (
            self._annotations,
            await connection.own.mailbox.every_annotation(connection.principal.account),
        )
        known_here = self._watched[0].known
        for identity in sorted(before.keys() | self._annotations.keys()) if tell else ():
            known = known_here.get(identity)
            if identity == WHOLE and b"ServerMetadataChange" in self._annotated:
                name = ""
            elif known is not None and b"MailboxMetadataChange" in known.events:
                name = known.name
            else:
                continue
            metadata.news(connection, name, before.get(identity, {}), self._annotations.get(identity, {}))

    # --- folders
    def _is_selected(self, connection: Connection, site: Site, identity: FolderId) -> bool:
        selected = connection.selected
        return selected is not None and selected.mailbox is site.mailbox and selected.folder == identity

    def _seen(self, connection: Connection, site: Site, tree: FolderTree) -> dict[FolderId, _Known]:
        found: dict[FolderId, _Known] = {}
        for local, folder in tree.by_name.items():
            events = self._events(connection, site, tree, local)
            if events and len(found) <= MAX_FOLDERS:
                found[folder.id] = _Known(
                    site.prefix + local, folder.subscribed, folder.messages, folder.uid_next, folder.changed, events
                )
        return found

    def _events(self, connection: Connection, site: Site, tree: FolderTree, local: str) -> frozenset[bytes]:
        """Of the first group that means a folder (RFC 5465 3.1)."""
        folder = tree.by_name[local]
        asked = (site.prefix + local, folder.special, folder.subscribed)
        found = self._meant.get(asked)
        if found is None:
            meant = (g.events for g in self._groups if means(connection, g.mailboxes, site, tree, local))
            if len(self._meant) >= 2 * MAX_FOLDERS:
                self._meant.clear()
            found = self._meant[asked] = next(meant, frozenset())
        return found

    async def _compare(
        self,
        connection: Connection,
        site: Site,
        tree: FolderTree,
        identity: FolderId,
        old: _Known | None,
        new: _Known | None,
    ) -> None:
        if new is None:
            if old is not None and b"MailboxName" in old.events and identity not in tree.by_id:
                self._list(connection, [b"\\NonExistent"], old.name)
            return
        local = tree.by_id[identity]
        folder = tree.by_name[local]
        if b"MailboxName" in new.events and (old is None or old.name != new.name):
            extended = b"" if old is None else b' ("OLDNAME" (%b))' % connection.name(old.name)
            self._list(connection, _attributes(tree, folder, local), new.name, extended)
        elif b"SubscriptionChange" in new.events and old is not None and old.subscribed != new.subscribed:
            self._list(connection, _attributes(tree, folder, local), new.name)
        if old is None or self._is_selected(connection, site, identity):
            return
        moved = (old.messages, old.uid_next) != (new.messages, new.uid_next)
        if (new.events & _MESSAGES and moved) or (b"FlagChange" in new.events and old.changed != new.changed):
            await self._status(connection, site, tree, identity, new.events)

    def _list(self, connection: Connection, attributes: list[bytes], name: str, extended: bytes = b"") -> None:
        connection.out.append(render.list_response(b"LIST", attributes, name, extended, utf8=connection.utf8))

    async def _status(
        self, connection: Connection, site: Site, tree: FolderTree, identity: FolderId, events: frozenset[bytes]
    ) -> None:
        """RFC 5465 5.2 to 5.4: counters, and HIGHESTMODSEQ for flags or who has enabled CONDSTORE."""
        local = tree.by_id[identity]
        folder = tree.by_name[local]
        if not await readable(site, folder):
            return
        items = [b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"]
        if b"FlagChange" in events or connection.condstore:
            items += [b"UNSEEN", b"HIGHESTMODSEQ"]
        connection.out.append(await status_of(connection, Place(site, folder), site.prefix + local, tuple(items)))

    # --- the selected folder
    def _describing(self, connection: Connection, group: Group) -> Callable[[list[int]], Awaitable[None]]:
        attributes = group.attributes if b"UID" in group.attributes else (b"UID", *group.attributes)

        async def describe(uids: list[int]) -> None:
            selected = connection.selected
            if selected is None:
                return
            if selected.uid_only:
                plan = fetch.plan_for(tuple(a for a in attributes if a != b"UID"), group.sections, b"UIDFETCH")
            else:
                plan = fetch.plan_for(attributes, group.sections)
            await fetch.write(connection, plan, merged((uid, uid) for uid in uids))

        return describe


def _attributes(tree: FolderTree, folder: Folder, name: str) -> list[bytes]:
    attributes = [b"\\HasChildren" if name in tree.parents else b"\\HasNoChildren"]
    return [*attributes, b"\\Subscribed"] if folder.subscribed else attributes
