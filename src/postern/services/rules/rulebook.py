"""The rules of one mailbox as people edit them: ManageSieve, the command line, EWS.

Every change is durable and counts for the next delivery on return.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from postern.formats.sieve.checker import bare_address, compile_script
from postern.formats.sieve.syntax import LIMITS, SieveError
from postern.model.ids import ChangeNumber, MailboxId
from postern.model.refusal import Reason, Refusal
from postern.model.rules import (
    MAX_LIST,
    MAX_REPLY_CHARACTERS,
    MAX_RULE_CHARACTERS,
    MAX_RULES,
    MAX_STRINGS,
    InboxRule,
    Junk,
    Oof,
    OofState,
)
from postern.model.sync import Setting
from postern.services.mailboxes import Mailboxes
from postern.services.principal import Principal
from postern.services.rules import stored
from postern.services.rules.loading import Generation
from postern.services.rules.stored import ConversationRule

MAX_SCRIPTS = 64
MAX_CONVERSATIONS = 1000
MAX_NAME_CHARACTERS = 128
_ACTIVE = "script"


class Script(NamedTuple):
    """One script of the list."""

    name: str
    active: bool
    octets: int


class Values(Protocol):
    """A mailbox's settings: store.interface.Mailbox, services.item_access.ItemAccess."""

    async def settings(self, kind: str) -> Sequence[Setting]:
        """All values of a kind."""
        ...

    async def set_settings(
        self, kind: str, values: Mapping[str, bytes | None], unchanged_since: ChangeNumber | None = None
    ) -> ChangeNumber:
        """Set and remove values."""
        ...

    async def durable(self) -> None:
        """Sync."""
        ...


class RuleBook:
    """One mailbox's."""

    def __init__(self, values: Values, generation: Generation) -> None:
        self._values = values
        self._generation = generation

    # --- scripts

    async def scripts(self) -> list[Script]:
        """By name."""
        active = await self.active()
        return [
            Script(one.key, one.key == active, len(one.value)) for one in await self._values.settings(stored.SCRIPTS)
        ]

    async def active(self) -> str:
        """Name of the active script; empty for none."""
        found = await self._values.settings(stored.ACTIVE)
        return found[0].value.decode() if found else ""

    async def script(self, name: str) -> bytes:
        """Raises Refusal(NO_SUCH_ITEM)."""
        for one in await self._values.settings(stored.SCRIPTS):
            if one.key == name:
                return one.value
        raise Refusal(Reason.NO_SUCH_ITEM, f"there is no script {name!r}")

    async def check_space(self, name: str, octets: int) -> None:
        """Whether a script of that size may be put. Raises Refusal(TOO_LARGE, TOO_MANY, BAD_NAME)."""
        check_name(name)
        if octets > LIMITS.script_bytes:
            raise Refusal(Reason.TOO_LARGE, f"a script may have {LIMITS.script_bytes} octets")
        present = {one.key for one in await self._values.settings(stored.SCRIPTS)}
        if name not in present and len(present) >= MAX_SCRIPTS:
            raise Refusal(Reason.TOO_MANY, f"a mailbox may have {MAX_SCRIPTS} scripts")

    async def put(self, name: str, content: bytes) -> None:
        """Keep a script that is valid. Raises Refusal(BAD_VALUE) with what is wrong, and as `check_space`."""
        await self.check_space(name, len(content))
        check(content)
        await self._set(stored.SCRIPTS, {name: content})

    async def activate(self, name: str) -> None:
        """Make a script the active one; an empty name: none is. Raises Refusal(NO_SUCH_ITEM, BAD_VALUE)."""
        if name:
            check(await self.script(name))
        await self._set(stored.ACTIVE, {_ACTIVE: name.encode() if name else None})

    async def remove(self, name: str) -> None:
        """Raises Refusal(NO_SUCH_ITEM, IN_USE for the active one)."""
        await self.script(name)
        if name == await self.active():
            raise Refusal(Reason.CONFLICT, f"the script {name!r} is active")
        await self._set(stored.SCRIPTS, {name: None})

    async def rename(self, name: str, new: str) -> None:
        """The active one stays so. Raises Refusal(NO_SUCH_ITEM, ALREADY_EXISTS, BAD_NAME)."""
        check_name(new)
        content = await self.script(name)
        if any(one.key == new for one in await self._values.settings(stored.SCRIPTS)):
            raise Refusal(Reason.ALREADY_EXISTS, f"there is a script {new!r} already")
        # a crash in between leaves the script under both names, never under none
        await self._set(stored.SCRIPTS, {new: content})
        if name == await self.active():
            await self._set(stored.ACTIVE, {_ACTIVE: new.encode()})
        await self._set(stored.SCRIPTS, {name: None})

    # --- inbox rules

    async def rules(self) -> dict[str, InboxRule]:
        """By id, in their order."""
        return (await self.rules_as_of())[0]

    async def rules_as_of(self) -> tuple[dict[str, InboxRule], ChangeNumber]:
        """The same, and the change number to be given to `change_rules` by who wants none changed in between."""
        settings = await self._values.settings(stored.RULES)
        found = {one.key: stored.decode_rule(one.value) for one in settings}
        last = ChangeNumber(max((one.changed for one in settings), default=0))
        return dict(sorted(found.items(), key=lambda item: (item[1].priority, item[0]))), last

    async def change_rules(
        self, values: Mapping[str, InboxRule | None], unchanged_since: ChangeNumber | None = None
    ) -> ChangeNumber:
        """Set and remove rules, all or none. Raises Refusal(BAD_VALUE, TOO_MANY, CONFLICT)."""
        for rule in values.values():
            if rule is not None:
                check_rule(rule)
        before = await self.rules()
        kept = {name: rule for name, rule in {**before, **values}.items() if rule is not None}
        if len(kept) > MAX_RULES:
            raise Refusal(Reason.TOO_MANY, f"a mailbox may have {MAX_RULES} rules")
        characters = _characters(kept.values())
        if characters > max(MAX_RULE_CHARACTERS, _characters(before.values())):
            raise Refusal(Reason.TOO_MANY, f"the rules of a mailbox may have {MAX_RULE_CHARACTERS} characters in all")
        packed = {name: None if rule is None else stored.encode(rule) for name, rule in values.items()}
        return await self._set(stored.RULES, packed, unchanged_since)

    # --- conversations

    async def conversation(self, number: int) -> ConversationRule:
        """What becomes of new items of a conversation."""
        for one in await self._values.settings(stored.CONVERSATIONS):
            if one.key == str(number):
                return stored.decode_conversation(one.value)
        return ConversationRule()

    async def set_conversation(self, number: int, rule: ConversationRule) -> None:
        """Raises Refusal(TOO_MANY)."""
        known = {one.key for one in await self._values.settings(stored.CONVERSATIONS)}
        if rule != ConversationRule() and str(number) not in known and len(known) >= MAX_CONVERSATIONS:
            raise Refusal(Reason.TOO_MANY, f"{MAX_CONVERSATIONS} conversations may have actions")
        value = None if rule == ConversationRule() else stored.encode(rule)
        if value is not None or str(number) in known:
            await self._set(stored.CONVERSATIONS, {str(number): value})

    # --- out of office and junk

    async def oof(self) -> Oof:
        """As it was set last."""
        found = await self._values.settings(stored.OOF)
        return stored.decode_oof(found[0].value) if found else Oof()

    async def set_oof(self, oof: Oof) -> None:
        """Every sender is told anew from then on. Raises Refusal(BAD_VALUE)."""
        if oof.state is OofState.SCHEDULED and not oof.starts_at < oof.ends_at:
            raise Refusal(Reason.BAD_VALUE, "the end has to be after the start")
        if max(len(oof.internal_reply), len(oof.external_reply)) > MAX_REPLY_CHARACTERS:
            raise Refusal(Reason.BAD_VALUE, f"a reply may have {MAX_REPLY_CHARACTERS} characters")
        # switched off it costs deliveries nothing, but its texts are kept
        await self._set(stored.OOF, {stored.ONE: stored.encode(oof)})

    async def junk(self) -> Junk | None:
        """None: nothing is sorted out."""
        found = await self._values.settings(stored.JUNK)
        return stored.decode_junk(found[0].value) if found else None

    async def set_junk(self, junk: Junk | None) -> None:
        """Raises Refusal(TOO_MANY)."""
        if junk is not None:
            for entries in (junk.safe_senders, junk.safe_recipients, junk.blocked_senders):
                if len(entries) > MAX_LIST:
                    raise Refusal(Reason.TOO_MANY, f"a list may have {MAX_LIST} entries")
        await self._set(stored.JUNK, {stored.ONE: None if junk is None else stored.encode(junk)})

    async def block(self, addresses: Sequence[str], *, blocked: bool) -> None:
        """Put senders on the list of blocked ones, or take them off it; a full list loses its oldest entries.

        From the first one on, junk is sorted out. Who is blocked is not safe any more.
        """
        junk = await self.junk()
        if not addresses or (junk is None and not blocked):
            return
        old = junk or Junk()
        named = {address.lower() for address in addresses}
        kept = tuple(entry for entry in old.blocked_senders if entry.lower() not in named)
        safe = old.safe_senders
        if blocked:
            kept = (*kept, *dict.fromkeys(address.lower() for address in addresses))[-MAX_LIST:]
            safe = tuple(entry for entry in safe if entry.lower() not in named)
        new = msgspec.structs.replace(old, blocked_senders=kept, safe_senders=safe)
        if new != junk:
            await self.set_junk(new)

    async def _set(
        self, kind: str, values: Mapping[str, bytes | None], unchanged_since: ChangeNumber | None = None
    ) -> ChangeNumber:
        number = await self._values.set_settings(kind, values, unchanged_since)
        await self._values.durable()
        self._generation.rules_changed()
        return number


class RuleBooks:
    """One a worker: rule books for those who are signed in."""

    def __init__(self, mailboxes: Mailboxes, generation: Generation) -> None:
        self._mailboxes = mailboxes
        self._generation = generation

    async def open(self, principal: Principal, owner: MailboxId | None = None) -> RuleBook:
        """Of the principal's mailbox or one it has full access to. Raises Refusal(NOT_PERMITTED, NO_SUCH_RECIPIENT)."""
        return RuleBook(await self._mailboxes.items(principal, owner), self._generation)


def check(content: bytes) -> None:
    """Raises Refusal(BAD_VALUE) with all that is wrong with a script, a line for each."""
    try:
        compile_script(content)
    except SieveError as wrong:
        raise Refusal(Reason.BAD_VALUE, str(wrong)) from wrong


def check_name(name: str) -> None:
    """RFC 5804 1.6. Raises Refusal(BAD_NAME)."""
    if not name or len(name) > MAX_NAME_CHARACTERS or not name.isprintable() or "/" in name:
        raise Refusal(Reason.BAD_NAME, "a script's name has 1 to 128 printable characters, and no `/`")


def _characters(rules: Iterable[InboxRule]) -> int:
    return sum(len(word) for rule in rules for word in rule.strings)


def check_rule(rule: InboxRule) -> None:
    """Raises Refusal(BAD_VALUE)."""
    for asked in (rule.conditions, rule.exceptions):
        for field in asked.__struct_fields__:
            value = getattr(asked, field)
            if isinstance(value, tuple) and (len(value) > MAX_STRINGS or any(not one for one in value)):
                raise Refusal(Reason.BAD_VALUE, f"{field}: no empty strings, and {MAX_STRINGS} at most")
    actions = rule.actions
    addresses = (*actions.redirect_to, *actions.forward_to, *actions.forward_as_attachment_to)
    if len(addresses) > LIMITS.actions:
        raise Refusal(Reason.BAD_VALUE, f"a rule may send a message to {LIMITS.actions} addresses")
    for address in addresses:
        if bare_address(address) != address:
            raise Refusal(Reason.BAD_VALUE, f"{address!r} is not an address")
