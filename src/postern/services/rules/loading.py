"""The rules of mailboxes as deliveries need them: read once, kept until somebody changes any, or a minute has gone.

Whoever changes rules counts up a number in shared memory; each worker looks at it once a batch. A mailbox without
rules is a member of a set then, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from postern.directory.interface import Directory
from postern.formats.sieve.checker import compile_script
from postern.formats.sieve.syntax import Program, SieveError
from postern.model.ids import MailboxId
from postern.model.ports import Clock
from postern.model.rules import InboxRule, Junk, Oof, OofState
from postern.services.rules import stored
from postern.services.rules.stored import ConversationRule
from postern.store.interface import Mailbox, Store

KEPT_S = 60.0
"""A change that was never counted (its process died) counts after that at the latest."""
MAX_KEPT = 10_000


class Generation(Protocol):
    """roles.bus.SharedBus: one number for all processes of the machine."""

    @property
    def rules_number(self) -> int:
        """Grows with every change of anybody's rules."""
        ...

    def rules_changed(self) -> None:
        """Rules of some mailbox were changed, and the change is committed."""
        ...


class MailboxRules(msgspec.Struct):
    """All rules of one mailbox."""

    owner: str
    """Its address."""
    name: str
    own: frozenset[str]
    """All its addresses, lower case."""
    program: Program | None
    problem: str
    """What is wrong with the active script, if anything."""
    version: str
    """Digest of what rules there are: the owner is told of a problem once for each."""
    scripts: Mapping[str, bytes]
    rules: tuple[InboxRule, ...]
    oof: Oof | None
    oof_version: str
    junk: Junk | None
    conversations: Mapping[int, ConversationRule] = {}
    programs: dict[str, Program] = {}
    words: int = 0
    """That inbox rules look for."""

    @property
    def uses_duplicate(self) -> bool:
        """Whether any script may ask for ids that were met before."""
        return any(b"duplicate" in script for script in self.scripts.values())

    def script(self, name: str) -> Program | None:
        """For `include`. Raises SieveError."""
        found = self.programs.get(name)
        if found is None and name in self.scripts:
            found = self.programs[name] = compile_script(self.scripts[name])
        return found


class Loader:
    """One per worker."""

    def __init__(self, store: Store, directory: Directory, generation: Generation, clock: Clock) -> None:
        self._store = store
        self._directory = directory
        self._generation = generation
        self._clock = clock
        self._known: dict[MailboxId, MailboxRules] = {}
        self._number = -1
        self._until = 0.0
        self.without: set[MailboxId] = set()
        """Mailboxes that are known to have no rules."""

    def refresh(self) -> None:
        """Forget what may have changed. Cheap; before each batch."""
        number, now = self._generation.rules_number, self._clock.monotonic()
        if number != self._number or now > self._until or len(self._known) + len(self.without) > MAX_KEPT:
            self._number, self._until = number, now + KEPT_S
            self._known.clear()
            self.without.clear()

    async def load(self, mailbox: MailboxId) -> MailboxRules | None:
        """A mailbox's rules, None if it has none. Raises the store's refusals."""
        found = self._known.get(mailbox)
        if found is not None or mailbox in self.without:
            return found
        number = self._number
        rules = await read_rules(await self._store.mailbox(mailbox), self._directory)
        if number == self._number:
            if rules is None:
                self.without.add(mailbox)
            else:
                self._known[mailbox] = rules
        return rules


async def read_rules(mailbox: Mailbox, directory: Directory) -> MailboxRules | None:
    """As they are now."""
    active = await mailbox.settings(stored.ACTIVE)
    rules = await mailbox.settings(stored.RULES)
    oof = await mailbox.settings(stored.OOF)
    junk = await mailbox.settings(stored.JUNK)
    conversations = await mailbox.settings(stored.CONVERSATIONS)
    away = stored.decode_oof(oof[0].value) if oof else None
    if not (active or rules or junk or conversations or (away is not None and away.state is not OofState.DISABLED)):
        return None
    account = await directory.account_of(mailbox.id)
    if account is None:
        return None
    entry = await directory.entry(account.address)
    proxies = entry.proxies if entry is not None else ()
    scripts = {one.key: one.value for one in await mailbox.settings(stored.SCRIPTS)} if active else {}
    program, problem = None, ""
    name = active[0].value.decode() if active else ""
    if name:
        try:
            program = compile_script(scripts[name])
        except KeyError:
            problem = f"the active script {name!r} is not there any more"
        except SieveError as wrong:
            problem = f"{name}: {wrong.problems[0]}"
    changed = max(
        one.changed for one in (*active, *rules, *oof, *junk, *conversations, *await mailbox.settings(stored.SCRIPTS))
    )
    decoded = tuple(stored.decode_rule(one.value) for one in rules)
    return MailboxRules(
        owner=account.address,
        name=account.display_name,
        own=frozenset(address.lower() for address in (account.address, *proxies)),
        program=program,
        problem=problem,
        version=str(changed),
        scripts=scripts,
        rules=decoded,
        words=sum(len(rule.strings) for rule in decoded),
        oof=away,
        oof_version=str(oof[0].changed) if oof else "",
        junk=stored.decode_junk(junk[0].value) if junk else None,
        conversations={int(one.key): stored.decode_conversation(one.value) for one in conversations},
    )
