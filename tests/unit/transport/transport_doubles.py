from __future__ import annotations

from datetime import UTC, datetime

from postern.directory.interface import Account, Domain, DomainKind, Group, Resolution, Via
from postern.model.ids import AccountId, MailboxId
from postern.model.items import Quota
from postern.model.refusal import Reason, Refusal


class ManualClock:
    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.time = start

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time, UTC)

    def timestamp(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time


class FixedEntropy:
    def __init__(self, value: int = 0) -> None:
        self.value = value

    def token(self, size_bytes: int) -> bytes:
        return bytes(size_bytes)

    def below(self, limit: int) -> int:
        return min(self.value, limit - 1)


class TinyDirectory:
    """An organisation `here.example` made of dictionaries."""

    def __init__(self) -> None:
        self.domain = Domain("here.example", DomainKind.AUTHORITATIVE)
        self.accounts: dict[str, Account] = {}
        self.groups: dict[str, Group] = {}
        self.aliases: dict[str, tuple[str, ...]] = {}
        self.broken: set[str] = set()
        self.asked = 0

    def account(self, name: str, forward_to: tuple[str, ...] = (), keep: bool = True, mailbox: bool = True) -> None:
        address = f"{name}@here.example"
        number = len(self.accounts) + 1
        self.accounts[address] = Account(
            AccountId(number),
            address,
            name,
            MailboxId(f"{number:032x}") if mailbox else None,
            number,
            Quota(None, None, None),
            forward_to=forward_to,
            forward_keep=keep,
        )

    def group(self, name: str, *members: str, owner: str = "", authenticated_only: bool = False) -> None:
        address = f"{name}@here.example"
        self.groups[address] = Group(AccountId(1000), address, name, members, authenticated_only, owner)

    async def resolve(self, address: str) -> Resolution:
        self.asked += 1
        key = address.lower()
        if key in self.broken:
            raise Refusal(Reason.TRY_LATER, "directory busy")
        local, _, domain = key.partition("@")
        if domain != "here.example":
            return Resolution(key, None)
        if key in self.accounts:
            return Resolution(key, self.domain, account=self.accounts[key])
        if key in self.groups:
            return Resolution(key, self.domain, group=self.groups[key])
        if key in self.aliases:
            return Resolution(key, self.domain, targets=self.aliases[key], via=Via.ALIAS)
        base, plus, tag = local.partition("+")
        if plus and f"{base}@{domain}" in self.accounts:
            return Resolution(key, self.domain, account=self.accounts[f"{base}@{domain}"], via=Via.PLUS, tag=tag)
        return Resolution(key, self.domain)
