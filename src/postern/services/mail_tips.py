"""What somebody who writes a message should know of a recipient before it is sent (MS-OXWSMTIP), as it really is.

Whoever is signed in may ask about anybody, as anybody may write to them and see: nothing is told that an answer to
such a message would not.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from postern.directory.interface import Account, Directory, DomainKind, Group
from postern.model.ids import MailboxId
from postern.model.items import SpecialUse
from postern.model.ports import Clock
from postern.model.refusal import Reason, Refusal
from postern.model.rules import Audience, Oof, OofState
from postern.services.rules import stored
from postern.services.rules.acquaintances import Acquaintances
from postern.services.rules.placing import Folders
from postern.store.interface import Mailbox, Store

LARGE_AUDIENCE = 25
"""From so many members on, programs warn."""
COUNTED = 10_000
"""Members that are counted at most."""
_SLICE = 256


class Away(NamedTuple):
    """What a sender is answered."""

    reply: str
    """Plain text, or HTML if it begins with a tag; empty: nothing."""
    starts_at: int = 0
    """Seconds since the epoch; 0: not said."""
    ends_at: int = 0


class Tips(NamedTuple):
    """Of one recipient. None: that does not go with such a recipient, or nobody here knows it."""

    away: Away | None = None
    full: bool | None = None
    members: int | None = None
    outside_members: int | None = None
    max_message_bytes: int | None = None
    restricted: bool | None = None
    invalid: bool = False


class MailTips:
    """One a worker."""

    def __init__(self, store: Store, directory: Directory, clock: Clock, max_message_bytes: int) -> None:
        self._store = store
        self._acquaintances = Acquaintances()
        self._directory = directory
        self._clock = clock
        self.max_message_bytes = max_message_bytes

    async def domains(self) -> list[str]:
        """Domains whose addresses belong to the organisation."""
        every = await self._directory.domains()
        return [domain.name for domain in every if domain.kind is not DomainKind.EXTERNAL_RELAY]

    async def of(self, recipient: str, sender: str) -> Tips:
        """About mail from one address to another. Raises the store's refusals that are temporary."""
        try:
            found = await self._directory.resolve(recipient)
        except Refusal as refusal:
            if refusal.reason.temporary:
                raise
            return Tips(invalid=True)
        limit = self.max_message_bytes
        if found.group is not None:
            total, outside = await self._count(found.group)
            restricted = found.group.authenticated_only and not await self._is_internal(sender)
            return Tips(None, None, total, outside, limit, restricted)
        if found.account is not None:
            return await self._mailbox(found.account, sender, limit)
        if found.known:
            return Tips(max_message_bytes=limit, restricted=False)
        # of who is elsewhere nothing is known; what is not even an address is nobody's
        local, _, domain = recipient.rpartition("@")
        return Tips(invalid=not (found.relay and local and domain))

    async def _mailbox(self, account: Account, sender: str, limit: int) -> Tips:
        kept = account.forward_keep or not account.forward_to
        if account.mailbox is None or not kept:
            return Tips(Away(""), False, None, None, limit, False, account.mailbox is None and kept)
        try:
            mailbox = await self._store.mailbox(account.mailbox)
            return Tips(await self._away(mailbox, sender), await self._full(mailbox), None, None, limit, False)
        except Refusal as refusal:
            if refusal.reason is not Reason.NO_SUCH_RECIPIENT:
                raise
            return Tips(Away(""), False, None, None, limit, False)

    async def _full(self, mailbox: Mailbox) -> bool:
        most = (await mailbox.quota()).no_receive_bytes
        return most is not None and await mailbox.used_bytes() >= most

    async def _away(self, mailbox: Mailbox, sender: str) -> Away:
        settings = await mailbox.settings(stored.OOF)
        oof = stored.decode_oof(settings[0].value) if settings else Oof()
        if not oof.active(self._clock.timestamp()) or await self._is_owner(mailbox.id, sender):
            return Away("")
        reply = oof.internal_reply if await self._is_internal(sender) else await self._external(mailbox, oof, sender)
        if not reply.strip():
            return Away("")
        return Away(reply, oof.starts_at, oof.ends_at) if oof.state is OofState.SCHEDULED else Away(reply)

    async def _external(self, mailbox: Mailbox, oof: Oof, sender: str) -> str:
        if oof.audience is Audience.NONE:
            return ""
        if oof.audience is Audience.KNOWN:
            contacts = Folders(await mailbox.folders()).folder_with_use(SpecialUse.CONTACTS)
            if not await self._acquaintances.knows(mailbox, contacts, sender):
                return ""
        return oof.external_reply

    async def _is_internal(self, sender: str) -> bool:
        # as services.rules.at_delivery sees it
        try:
            found = await self._directory.resolve(sender)
        except Refusal:
            return False
        return found.account is not None or found.group is not None or found.domain is not None

    async def _is_owner(self, mailbox: MailboxId, sender: str) -> bool:
        try:
            found = await self._directory.resolve(sender)
        except Refusal:
            return False
        return found.account is not None and found.account.mailbox == mailbox

    async def _count(self, group: Group) -> tuple[int, int]:
        """Members of a group and of the groups in it, each once: all of them, and those outside the organisation."""
        seen = {group.address.lower()}
        waiting = list(reversed(group.members))
        total = outside = steps = 0
        while waiting and total < COUNTED and steps < 2 * COUNTED:
            steps += 1
            if steps % _SLICE == 0:
                await asyncio.sleep(0)
            address = waiting.pop()
            try:
                found = await self._directory.resolve(address)
            except Refusal:
                continue
            held = found.account or found.group
            key = held.address.lower() if held is not None else found.address
            if key in seen:
                continue
            seen.add(key)
            if found.group is not None:
                waiting += reversed(found.group.members)
            elif found.targets:
                waiting += found.targets
            elif found.account is not None or found.relay:
                total += 1
                outside += found.account is None and found.domain is None
        return total, outside
