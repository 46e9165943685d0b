"""One message, one mailbox, its rules: junk first, then the Sieve script, then inbox rules, then out of office."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec

from postern.formats.mime.scan import Scan
from postern.formats.sieve.evaluator import evaluate
from postern.formats.sieve.message import Message
from postern.formats.sieve.syntax import Program
from postern.formats.sieve.testing import MAX_DUPLICATE_SECONDS
from postern.model.actions import KEEP, Decision, Redirect, Store, Target
from postern.model.ids import DeliveryKey, FolderId
from postern.model.items import SpecialUse
from postern.services.rules import inbox_rules, stored
from postern.services.rules.junk import is_junk
from postern.services.rules.loading import MailboxRules
from postern.services.rules.placing import Folders
from postern.services.rules.stored import ConversationRule

THREAD_BYTES = 32_768
"""Scripts and rules look at a larger message in a thread."""
COMPARED_ON_THE_LOOP = 1_000_000
"""Octets of a message times the words that inbox rules look for in it: a millisecond."""


class Incoming(NamedTuple):
    """A message that is to be delivered."""

    content: bytes
    prefix: bytes
    """Our own header fields before it."""
    scan: Scan
    reverse_path: str
    """Of the envelope, before any group replaced it."""
    recipient: str
    received_at: float
    body: str = "7BIT"
    smtputf8: bool = False

    @property
    def header(self) -> bytes:
        """The header block without our prefix."""
        return self.content[: self.scan.header_end]


class Seen:
    """Ids met by other deliveries than this one: one that is tried again is no duplicate of itself."""

    def __init__(self, values: Mapping[str, bytes], delivery: DeliveryKey) -> None:
        """`values` as `stored.SEEN` has them."""
        self._values = values
        self._delivery = delivery

    def until(self, name: str, now: float) -> float:
        """When an id is forgotten; 0 for one that was not met."""
        value = self._values.get(name)
        if value is None:
            return 0.0
        memory = stored.decode_memory(value)
        if memory.until > now + MAX_DUPLICATE_SECONDS:  # noted while the clock was ahead
            return 0.0
        return 0.0 if (memory.segment, memory.record) == tuple(self._delivery) else float(memory.until)


class Surroundings:
    """formats.sieve.environment.Environment."""

    def __init__(self, rules: MailboxRules, incoming: Incoming, folders: Folders, seen: Seen, now: datetime) -> None:
        self.now = now
        self.reverse_path = incoming.reverse_path
        self.recipient = incoming.recipient
        self._rules = rules
        self._folders = folders
        self._seen = seen

    def folder_exists(self, name: str) -> bool:
        """By path."""
        return self._folders.named(name) is not None

    def special_use_exists(self, use: SpecialUse, name: str | None) -> bool:
        """By use."""
        found = self._folders.with_use(use)
        return found is not None and (name is None or self._folders.named(name) == found)

    def script(self, name: str) -> Program | None:
        """Of the same mailbox."""
        return self._rules.script(name)

    def seen(self, name: str) -> bool:
        """Until its time is over."""
        return self._seen.until(name, self.now.timestamp()) > self.now.timestamp()


async def decide(rules: MailboxRules, incoming: Incoming, folders: Folders, seen: Seen, now: datetime) -> Decision:
    """What the rules do."""
    message = Message(incoming.content, incoming.scan.parts, incoming.scan.header_end, incoming.prefix)
    if rules.junk is not None and is_junk(message, incoming.reverse_path, rules.junk):
        target = Target("Junk Email", SpecialUse.JUNK)
        return Decision((Store(target),), implicit=False, junk=True)
    large = len(incoming.content) > THREAD_BYTES
    loop = asyncio.get_running_loop()
    decision = KEEP
    if rules.problem:
        decision = Decision(problem=rules.problem)
    elif rules.program is not None:
        around = Surroundings(rules, incoming, folders, seen, now)
        if large:
            decision = await loop.run_in_executor(None, evaluate, rules.program, message, around)
        else:
            decision = evaluate(rules.program, message, around)
    if rules.rules and decision.implicit:
        facts = inbox_rules.Facts(
            message, incoming.header.decode("utf-8", "replace"), incoming.scan.has_attachment, incoming.received_at,
            rules.own,
        )  # fmt: skip
        if large or rules.words * len(incoming.content) > COMPARED_ON_THE_LOOP:
            said = await loop.run_in_executor(None, inbox_rules.evaluate, rules.rules, facts)
        else:
            said = inbox_rules.evaluate(rules.rules, facts)
        decision = _joined(decision, said)
    wanted = rules.conversations.get(incoming.scan.conversation)
    if wanted is not None:
        decision = _of_conversation(decision, wanted)
    return _without_self(decision, rules.own)


def _of_conversation(decision: Decision, wanted: ConversationRule) -> Decision:
    """What is kept goes where the conversation's items go."""
    target: Target | None = None
    if wanted.delete:
        target = Target("Deleted Items", SpecialUse.TRASH)
    elif wanted.folder:
        target = Target(folder=FolderId(wanted.folder))
    actions = tuple(
        msgspec.structs.replace(
            one, target=target or one.target, flags=tuple(dict.fromkeys((*one.flags, *wanted.keywords)))
        )
        if isinstance(one, Store)
        else one
        for one in decision.actions
    )
    return msgspec.structs.replace(decision, actions=actions)


def _joined(script: Decision, rules: Decision) -> Decision:
    """A script that only kept the message, and what inbox rules say: its flags stay, its other actions too."""
    if rules.implicit:
        return script
    kept = next((one for one in script.actions if isinstance(one, Store)), Store())
    moved = tuple(
        msgspec.structs.replace(one, flags=tuple(dict.fromkeys((*kept.flags, *one.flags))), header=kept.header)
        if isinstance(one, Store)
        else one
        for one in rules.actions
    )
    others = tuple(one for one in script.actions if not isinstance(one, Store))
    return msgspec.structs.replace(rules, actions=(*moved, *others), remember=script.remember, problem=script.problem)


def _without_self(decision: Decision, own: frozenset[str]) -> Decision:
    """A redirect to the mailbox itself is a keep."""
    to_self = [one for one in decision.actions if isinstance(one, Redirect) and one.address.lower() in own]
    if not to_self:
        return decision
    left = tuple(one for one in decision.actions if one not in to_self)
    if not any(isinstance(one, Store) for one in left):
        left = (Store(header=to_self[0].header), *left)
    return msgspec.structs.replace(decision, actions=left)
