"""Who gets a message: recipients are followed through aliases, groups and forwarding to mailboxes and next hops.

Pure over the directory. One copy per mailbox and per outside address, however many ways lead there. DSN parameters
change on the way as RFC 3461 5.2.7 says: a single-target alias passes them on, anything wider ends a success request.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol

from postern.directory.interface import Account, Resolution, Via
from postern.model.envelope import Envelope, Recipient
from postern.model.ids import MailboxId
from postern.model.refusal import Refusal
from postern.transport.outcomes import AnyOutcome, Defer, Deliver, Expand, Fail, Relay

MAX_DEPTH = 30
"""Steps from the address that was written to the final one."""
MAX_STEPS = 100_000
"""Addresses looked at for one message."""
_SLICE = 256
"""Addresses between two chances for other connections."""


class Recipients(Protocol):
    """The one question that is asked of the directory."""

    async def resolve(self, address: str) -> Resolution:
        """What an address is. A Refusal means: ask again later."""
        ...


class _Step(NamedTuple):
    address: str
    asked: Recipient
    notify: str
    original: str
    reverse_path: str
    path: tuple[str, ...]

    @property
    def recipient(self) -> Recipient:
        if self.address == self.asked.address:
            return self.asked
        return Recipient(self.address, self.notify, self.original)

    @property
    def written(self) -> str:
        return "" if self.address == self.asked.address else self.asked.address


def plain_delivery(recipient: Recipient, resolution: Resolution, reverse_path: str) -> Deliver | None:
    """The outcome if the address is simply somebody's mailbox, without forwarding; the hot path."""
    account = resolution.account
    if account is None or account.forward_to or account.mailbox is None:
        return None
    asked = recipient.address if resolution.via is not Via.EXACT else ""
    return Deliver(recipient, reverse_path, account.mailbox, asked, resolution.tag)


async def categorize(envelope: Envelope, directory: Recipients, *, authenticated: bool = False) -> list[AnyOutcome]:
    """Outcomes for all recipients of an envelope. Never raises a Refusal: each is an outcome."""
    walk = _Walk(envelope, directory, authenticated)
    for recipient in envelope.recipients:
        await walk.follow(recipient)
    return walk.outcomes


class _Walk:
    """The state of categorizing one message."""

    def __init__(self, envelope: Envelope, directory: Recipients, authenticated: bool) -> None:
        self.outcomes: list[AnyOutcome] = []
        self._sender = envelope.reverse_path
        self._directory = directory
        self._authenticated = authenticated
        self._mailboxes: set[MailboxId] = set()
        self._outside: set[str] = set()
        self._visited: set[str] = set()
        self._circular: set[str] = set()
        self._steps = 0

    async def follow(self, recipient: Recipient) -> None:
        """Add the outcomes of one RCPT."""
        self._reached = False
        looped = False
        self._fresh: set[str] = set()
        original = recipient.original or f"{_address_type(recipient.address)};{recipient.address}"
        stack = [_Step(recipient.address, recipient, recipient.notify, original, self._sender, ())]
        while stack:
            step = stack.pop()
            self._steps += 1
            if self._steps % _SLICE == 0:
                await asyncio.sleep(0)
            if self._steps > MAX_STEPS:
                self._fail(step, "5.5.3", "too many members in its groups")
                break
            if len(step.path) > MAX_DEPTH:
                self._fail(step, "5.4.6", "too many levels of groups, aliases and forwarding")
                continue
            try:
                resolution = await self._directory.resolve(step.address)
            except Refusal as refusal:
                if refusal.reason.temporary:
                    self.outcomes.append(Defer(step.recipient, step.reverse_path, str(refusal), step.written))
                    self._reached = True
                else:
                    self._fail(step, "5.1.3", "not an address")
                continue
            if resolution.address in step.path or resolution.address in self._circular:
                looped = True
                continue
            stack.extend(reversed(self._settle(step, resolution)))
        if looped and not self._reached:
            self._circular |= self._fresh
            step = _Step(recipient.address, recipient, recipient.notify, original, self._sender, ())
            self._fail(step, "5.4.6", "its aliases, groups or forwarding lead back to itself")

    def _settle(self, step: _Step, resolution: Resolution) -> list[_Step]:
        """One address: an outcome, or the addresses that it stands for."""
        if resolution.account is not None:
            return self._account(step, resolution, resolution.account)
        if resolution.group is not None:
            group = resolution.group
            if group.authenticated_only and not self._authenticated and not step.path:
                self._fail(step, "5.7.1", "only authenticated senders may write to this group")
                return []
            # a null reverse-path stays one: bounces of a bounce go nowhere, not to a group's owner
            owner = group.owner if group.owner and self._sender else ""
            return self._expand(step, resolution, group.members, owner)
        if resolution.targets:
            return self._expand(step, resolution, resolution.targets, "")
        if resolution.relay:
            self._relay(step, resolution)
        else:
            self._fail(step, "5.1.1", "no such recipient here")
        return []

    def _account(self, step: _Step, resolution: Resolution, account: Account) -> list[_Step]:
        forwards = account.forward_to
        keep = account.forward_keep or not forwards
        if keep and account.mailbox is not None:
            self._reached = True
            if account.mailbox not in self._mailboxes:
                self._mailboxes.add(account.mailbox)
                asked = step.asked.address if resolution.via is not Via.EXACT or step.path else ""
                self.outcomes.append(Deliver(step.recipient, step.reverse_path, account.mailbox, asked, resolution.tag))
        elif keep:
            self._fail(step, "5.2.1", "the account has no mailbox")
        if not forwards:
            return []
        return self._expand(step, resolution, forwards, "", kept=keep and account.mailbox is not None)

    def _expand(
        self, step: _Step, resolution: Resolution, members: tuple[str, ...], owner: str, *, kept: bool = False
    ) -> list[_Step]:
        key = resolution.address
        if key in self._visited:
            # seen before: its members have their copies, unless it is what this very walk still tries to resolve
            self._reached = self._reached or key not in self._fresh
            return []
        self._visited.add(key)
        self._fresh.add(key)
        one_for_one = len(members) == 1 and resolution.group is None and not kept
        final = not one_for_one and not kept and "SUCCESS" in step.notify
        self.outcomes.append(Expand(step.recipient, step.reverse_path, len(members), final))
        if not members:
            self._reached = True
        if one_for_one:
            notify = step.notify
        elif owner:
            notify = ""
        else:
            notify = _without_success(step.notify)
        reverse_path = owner or step.reverse_path
        path = (*step.path, key)
        return [_Step(member, step.asked, notify, step.original, reverse_path, path) for member in members]

    def _relay(self, step: _Step, resolution: Resolution) -> None:
        domain = resolution.address.rpartition("@")[2]
        if not domain:
            self._fail(step, "5.1.3", "an address outside needs a domain")
            return
        self._reached = True
        if resolution.address not in self._outside:
            self._outside.add(resolution.address)
            self.outcomes.append(Relay(step.recipient, step.reverse_path, domain, step.written))

    def _fail(self, step: _Step, status: str, text: str) -> None:
        self._reached = True
        self.outcomes.append(Fail(step.recipient, step.reverse_path, status, text, step.written))


def _without_success(notify: str) -> str:
    """NOTIFY for those that an address was expanded into (RFC 3461 5.2.7.3)."""
    if "SUCCESS" not in notify:
        return notify
    return ",".join(n for n in notify.split(",") if n != "SUCCESS") or "NEVER"


def _address_type(address: str) -> str:
    """`rfc822`, or `utf-8` for an internationalised address (RFC 6533 3)."""
    return "rfc822" if address.isascii() else "utf-8"
