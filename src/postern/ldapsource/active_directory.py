"""Reading Active Directory: everything, or what has changed by DirSync or by its update sequence numbers.

Each controller counts by itself: what was read of one says nothing about another. The state therefore has a number (and
a cookie) for each controller's database (its invocation id); a controller that is new to us is read whole, which writes
nothing where nothing differs. DirSync (MS-ADTS 3.1.1.3.4.1.3) tells changes and deletions alike to an account that may
replicate; to others the numbers (MS-ADTS 3.1.1.1.9) tell changes, and tombstones what was deleted; where the account
may not see those either, it is looked from time to time for entries that are no more.
"""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Sequence

from postern.ldapsource import values
from postern.ldapsource.ad_mapping import AdMapping, DomainFacts
from postern.ldapsource.connection import Connection
from postern.ldapsource.failures import Refused, SourceFailure
from postern.ldapsource.reading import Batch, Completing, Memory, has, is_a, parse_filter
from postern.ldapsource.settings import SourceSettings, State, meaning_of
from postern.ldapsource.values import Attributes, folded, text, texts
from postern.protocols.ldap import controls, filters, names
from postern.protocols.ldap.filters import And, Compare, Extensible, Filter, Not, Or
from postern.protocols.ldap.operations import Scope, SearchEntry, SearchRequest

SWEEP_EVERY_S = 900.0
"""How often it is looked for what is gone where tombstones cannot be seen."""
CONTROLLERS_KEPT = 32
_log = logging.getLogger(__name__)
_BIT = "1.2.840.113556.1.4.803"
"""All bits of the value are set (MS-ADTS 3.1.1.3.4.4.1)."""
_ROOT = SearchRequest(
    "",
    Scope.BASE,
    attributes=(
        "defaultNamingContext", "rootDomainNamingContext", "configurationNamingContext", "dsServiceName",
        "highestCommittedUSN", "dnsHostName",
    ),
)  # fmt: skip


class ActiveDirectory:
    """Implements `reading.Reader`."""

    def __init__(
        self,
        connection: Connection,
        completing: Completing,
        memory: Memory,
        base: str,
        top: str,
        controller: tuple[str, int, str],
    ) -> None:
        """`base` is what is read, `top` the whole; `controller`: invocation id, highest committed USN, name."""
        self._completing = completing
        self._connection = connection
        self._settings = completing.settings
        self._memory = memory
        self._base = base
        self._top = top
        self._invocation, self._highest, self._name = controller
        self._since = memory.state.usn.get(self._invocation)
        overdue = memory.now - memory.state.full_at >= self._settings.full_every_s
        # a database that was set back counts anew under another invocation id; a smaller number must never be trusted
        self._cookie = b64decode(memory.state.dirsync.get(self._invocation, ""))
        self.by_dirsync = False
        """Whether that told what has changed."""
        self.full = memory.full or overdue or self._since is None or self._since > self._highest
        self._swept_at = memory.now if self.full else memory.state.swept_at

    @classmethod
    async def begin(
        cls, connection: Connection, side: Connection, settings: SourceSettings, memory: Memory
    ) -> ActiveDirectory:
        """Ask a controller who it is. Raises SourceFailure."""
        root = await connection.entry(_ROOT)
        facts: Attributes = folded(root) if root is not None else {}
        top = text(facts, "defaultnamingcontext")
        highest = values.number(facts, "highestcommittedusn")
        if not top or highest is None:
            raise SourceFailure(
                f"{connection.controller} is no Active Directory controller; for others use --kind ldap"
            )
        if settings.global_catalog:
            # all domains of the forest: those below its root and those of other trees
            top = ""
        service = text(facts, "dsservicename")
        own = await connection.entry(SearchRequest(service, Scope.BASE, attributes=("invocationId",)))
        invocation = values.guid(values.first(folded(own), "invocationid")) if own is not None else ""
        mapping = AdMapping(
            await _domains(connection, text(facts, "configurationnamingcontext")),
            mail_domain=settings.mail_domain,
            all_groups=settings.groups == "all",
            lockout_s=await _lockout(connection, text(facts, "defaultnamingcontext")),
            now=memory.now,
        )
        name = text(facts, "dnshostname").lower() or connection.controller.host
        return cls(
            connection,
            Completing(side, settings, mapping),
            memory,
            settings.base or top,
            top,
            (invocation or service.lower(), highest, name),
        )

    def after(self) -> State:
        """Every number that was known, and this controller's new one."""
        state = self._memory.state
        usn = {**state.usn}
        usn.pop(self._invocation, None)
        usn = dict([*usn.items(), (self._invocation, self._highest)][-CONTROLLERS_KEPT:])
        cookies = {**state.dirsync}
        cookies.pop(self._invocation, None)
        if self._cookie:
            cookies[self._invocation] = b64encode(self._cookie).decode()
        if self.full:
            # others may know of changes that this controller has yet to hear of: their numbers stay
            locked = self._completing.locked
        else:
            waiting = {anchor: until for anchor, until in state.locked.items() if until > self._memory.now}
            locked = {**waiting, **self._completing.locked}
        return State(
            meaning=meaning_of(self._settings),
            usn=usn,
            dirsync=dict([*cookies.items()][-CONTROLLERS_KEPT:]),
            locked=locked,
            swept_at=self._swept_at,
            full_at=self._memory.now if self.full else state.full_at,
            run=state.run + 1 if self.full else state.run,
            controller=self._name,
            tried_at=self._memory.now,
        )

    async def batches(self) -> AsyncIterator[Batch]:
        """All entries; or those that changed, then those that fit no more, are deleted, or unlocked by time."""
        had, changed = bool(self._cookie), await self._by_dirsync()
        if self.full:
            async for batch in self._entries(wanted(self._settings), self._base):
                yield batch
            return
        assert self._since is not None
        # the first answer tells everything there is, and is only good for its cookie
        self.by_dirsync = had and changed is not None
        fitting: set[str] = set()
        if self.by_dirsync and changed is not None:
            async for batch in self._of(sorted(changed)):
                fitting.update(entry.anchor for entry in batch.entries)
                yield batch
            yield Batch([], sorted((changed & set(self._memory.known)) - fitting))
        elif self._since < self._highest:
            newer = Compare("uSNChanged", ">=", str(self._since + 1).encode())
            # before those that fit: what changes in between (a sign-in is enough) would seem to fit no more
            touched = await self._changed(newer)
            async for batch in self._entries(And((newer, wanted(self._settings))), self._base):
                fitting.update(entry.anchor for entry in batch.entries)
                yield batch
            yield Batch([], sorted(touched - fitting))
        seen = self.by_dirsync or await self._sees_tombstones()
        if not seen and self._memory.now - self._memory.state.swept_at >= SWEEP_EVERY_S:
            self._swept_at = self._memory.now
            yield Batch([], sorted(set(self._memory.known) - await self._anchors(wanted(self._settings), self._base)))
        async for batch in self._of(
            [anchor for anchor, until in self._memory.state.locked.items() if until <= self._memory.now]
        ):
            yield batch

    async def _of(self, anchors: Sequence[str]) -> AsyncIterator[Batch]:
        """Those of some entries that fit."""
        for start in range(0, len(anchors), 100):
            few = anchors[start : start + 100]
            some = Or(tuple(Compare("objectGUID", "=", values.guid_octets(one)) for one in few))
            async for batch in self._entries(And((some, wanted(self._settings))), self._base):
                yield batch

    async def _by_dirsync(self) -> set[str] | None:
        """Anchors of what has changed or is deleted since the cookie, which is a new one then; None: it cannot be told.

        It is for whole naming contexts: what is outside the base is in it too, and not in the global catalogue.
        """
        if not self._settings.dirsync or not self._top:
            self._cookie = b""
            return None
        # only what changes one of the attributes is told; a name and a place are what a base and members go by
        asked = dict.fromkeys((*self._completing.mapping.attributes, "name", "parentGUID", "isDeleted"))
        request = SearchRequest(self._top, Scope.SUBTREE, is_a("user", "group", "contact"), tuple(asked))
        found: set[str] = set()
        try:
            async for entries, cookie in self._connection.changes(request, self._cookie):
                found.update(self._completing.mapping.anchor(folded(entry)) for entry in entries)
                self._cookie = cookie
        except Refused as refused:
            # not the right, not the control, or a cookie of a database that was set back
            if self._cookie:
                _log.warning("%s: DirSync is refused: %s", self._settings.domain or self._top, refused)
            self._cookie = b""
            return None
        return found - {""}

    async def _entries(self, fitting: Filter, base: str) -> AsyncIterator[Batch]:
        request = SearchRequest(base, Scope.SUBTREE, fitting, self._completing.mapping.attributes)
        async for page in self._connection.pages(request, self._settings.page_size, (controls.DOMAIN_SCOPE,)):
            yield await self._completing.batch(page)

    async def _changed(self, newer: Filter) -> set[str]:
        """Anchors of everything that changed, deleted or not, whether it is anything here or not."""
        alive = is_a("user", "group", "contact")
        found = await self._anchors(And((newer, alive)), self._top)
        try:
            found |= await self._anchors(And((newer, Compare("isDeleted", "=", b"TRUE"))), self._top, deleted=True)
        except Refused:
            # the same as if there were none: `_sees_tombstones` says so
            return found
        return found & set(self._memory.known)

    async def _anchors(self, fitting: Filter, base: str, *, deleted: bool = False) -> set[str]:
        request = SearchRequest(base, Scope.SUBTREE, fitting, ("objectGUID",))
        given = (controls.DOMAIN_SCOPE, controls.SHOW_DELETED) if deleted else (controls.DOMAIN_SCOPE,)
        found: set[str] = set()
        async for page in self._connection.pages(request, max(self._settings.page_size, 1000), given):
            found.update(self._completing.mapping.anchor(folded(entry)) for entry in page)
        return found - {""}

    async def _sees_tombstones(self) -> bool:
        """Whether deleted entries are shown to the service account: by default only administrators see them."""
        if not self._top:
            return False
        # the container is one itself, and shown to everybody by some
        container = names.key(f"CN=Deleted Objects,{self._top}")
        request = SearchRequest(container, Scope.SUBTREE, Compare("isDeleted", "=", b"TRUE"), ("1.1",), size_limit=2)
        found = 0
        async for message in self._connection.answers(request, (controls.SHOW_DELETED,)):
            if isinstance(message.operation, SearchEntry):
                found += names.key(message.operation.dn) != container
        return found > 0


def wanted(settings: SourceSettings) -> Filter:
    """Who is read: people who fit, contacts and groups."""
    addressed = has("mail", "proxyAddresses")
    fits = parse_filter(settings.filter)
    # krbtgt and its like are nobody's correspondents, unless somebody gave them an address
    somebody = Not(Compare("isCriticalSystemObject", "=", b"TRUE"))
    mailed: Filter = Or((addressed, somebody)) if settings.mail_domain else addressed
    people = And((Compare("objectCategory", "=", b"person"), Compare("objectClass", "=", b"user"), fits, mailed))
    contacts = And((Compare("objectClass", "=", b"contact"), addressed))
    group = Compare("objectClass", "=", b"group")
    # a machine's own groups (BUILTIN) stand for nobody here
    groups = And((group, addressed if settings.groups == "mail" else Not(Extensible("groupType", _BIT, b"1", False))))
    return Or((people, contacts, groups))


async def _domains(connection: Connection, configuration: str) -> list[DomainFacts]:
    """The domains of the forest (MS-ADTS 6.1.1.2.1.1), by their short names too."""
    request = SearchRequest(
        f"CN=Partitions,{configuration}",
        Scope.ONE_LEVEL,
        And((Compare("objectClass", "=", b"crossRef"), filters.Present("nETBIOSName"))),
        ("nCName", "dnsRoot", "nETBIOSName"),
    )
    found = []
    try:
        async for page in connection.pages(request, 500):
            for entry in page:
                facts = folded(entry)
                base = text(facts, "ncname")
                dns = [one.lower() for one in texts(facts, "dnsroot")]
                found.append(DomainFacts(base, dns[0] if dns else names.domain_of(base), text(facts, "netbiosname")))
    except Refused:
        return []
    return found


async def _lockout(connection: Connection, domain: str) -> float | None:
    """How long an account stays locked; None: until somebody unlocks it."""
    entry = await connection.entry(SearchRequest(domain, Scope.BASE, attributes=("lockoutDuration",)))
    return values.interval(values.number(folded(entry), "lockoutduration")) if entry is not None else None
