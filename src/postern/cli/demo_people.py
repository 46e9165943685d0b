"""Who is in the demonstration's organisation, and the mail they have."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from postern.config.settings import Settings
from postern.directory.interface import Account, Alias, Domain, NewAccount, RecipientKind
from postern.directory.passwords import HashCost, new_credentials
from postern.formats.ntlm.keys import nt_hash
from postern.formats.sample import samples
from postern.model.items import Flag, Quota, SpecialUse
from postern.model.rights import ROLES, MailboxRight
from postern.net.clock import SystemClock, SystemEntropy
from postern.roles.context import accepting, open_organisation
from postern.roles.parts import Parts
from postern.services.mailflow import Mailflow

DOMAINS = ("example.org", "example.net")
PEOPLE = (
    ("anna@example.org", "Anna Berzina"),
    ("bert@example.org", "Bert Smith"),
    ("clara@example.org", "Clara Dubois"),
    ("dmitri@example.org", "Дмитрий Орлов"),
    ("elena@example.org", "Елена Соколова"),
    ("feng@example.net", "冯 小明"),
    ("greta@example.net", "Greta Müller"),
    ("hugo@example.net", "Hugo Lindqvist"),
    ("irina@example.net", "Ирина Белова"),
    ("jan@example.net", "Jan Novák"),
)
NTLM = ("bert@example.org", "greta@example.net")
"""The directory keeps their NT hashes, so that clients by NTLM can be tried."""
SHARED = ("sales@example.org", "Sales")
PASSWORDS = "demo-{}"
"""Of a throw-away organisation on loopback: easy to type."""
MESSAGES = 300
ALIASES = (
    ("info@example.org", ("anna@example.org",)),
    ("a.berzina@example.org", ("anna@example.org",)),
    ("support@example.net", ("greta@example.net", "hugo@example.net")),
)
GROUPS = (
    ("managers@example.org", "Managers", ("anna@example.org", "feng@example.net")),
    ("team@example.org", "The whole team", ("managers@example.org", "bert@example.org", "clara@example.org")),
)
COST = HashCost(1, 1024, 4096)
"""Its passwords are known to everybody: no work is worth protecting them."""


def users() -> list[dict[str, str]]:
    """What is printed: addresses and passwords."""
    return [{"address": address, "password": PASSWORDS.format(address.split("@")[0])} for address, _ in PEOPLE]


async def populate(settings: Settings) -> None:
    """Fill an empty data directory."""
    async with open_organisation(settings) as organisation:
        accounts = await _people(organisation)
        await _recipients(organisation, accounts)
        async with accepting(organisation) as mailflow:
            await _mail(organisation, mailflow, accounts)


async def _people(organisation: Parts) -> Sequence[Account]:
    for name in DOMAINS:
        await organisation.directory.put_domain(Domain(name))
    entropy = SystemEntropy()
    with ThreadPoolExecutor(2) as threads:
        hashed = list(threads.map(lambda user: new_credentials(user["password"], entropy, COST), users()))
    new = [
        NewAccount(address, name, password_hash=stored, scram=keys, admin=number == 0, quota=_QUOTA)
        for number, ((address, name), (stored, keys)) in enumerate(zip(PEOPLE, hashed, strict=True))
    ]
    accounts = await organisation.directory.create_accounts([*new, NewAccount(*SHARED, kind=RecipientKind.SHARED)])
    for account in accounts:
        assert account.mailbox
        await organisation.store.create_mailbox(account.mailbox, account.slot, account.quota)
        if account.address in NTLM:
            password = PASSWORDS.format(account.address.split("@")[0])
            await organisation.directory.put_derived_keys(account.id, {"nt": nt_hash(password)})
    return accounts


_QUOTA = Quota(900 << 20, 950 << 20, 1000 << 20)


async def _recipients(organisation: Parts, accounts: Sequence[Account]) -> None:
    directory = organisation.directory
    for address, targets in ALIASES:
        await directory.put_alias(Alias(address, targets))
    for address, name, members in GROUPS:
        await directory.put_group(address, display_name=name)
        await directory.set_members(address, add=members)
    sales = accounts[-1].mailbox
    assert sales
    for member in ("anna@example.org", "bert@example.org"):
        await directory.grant(sales, member, MailboxRight.FULL_ACCESS)
        await directory.grant(sales, member, MailboxRight.SEND_AS)
    await directory.set_folder_rights(sales, 0, "clara@example.org", ROLES["reviewer"])


async def _mail(organisation: Parts, mail: Mailflow, accounts: Sequence[Account]) -> None:
    """Most for the first user; every few messages somebody else's, some of them read, some sent."""
    now = SystemClock().now()
    boxes = []
    for account in accounts:
        assert account.mailbox
        mailbox = await organisation.store.mailbox(account.mailbox)
        inbox, sent = await mailbox.special(SpecialUse.INBOX), await mailbox.special(SpecialUse.SENT)
        boxes.append((account.mailbox, inbox.id, sent.id))
    waiting = []
    contents = list(samples(MESSAGES, [address for address, _ in PEOPLE], now))
    for number, content in enumerate(reversed(contents)):
        owner, inbox_id, sent_id = boxes[0 if number % 3 else number // 3 % len(boxes)]
        folder = sent_id if number % 17 == 0 else inbox_id
        flags = Flag.SEEN if number < MESSAGES * 2 // 3 or folder == sent_id else Flag(0)
        if number % 13 == 0:
            flags |= Flag.FLAGGED
        received = int(now.timestamp()) - (MESSAGES - number) * 3607
        waiting.append(mail.append(owner, folder, content, int(flags), (), received))
        if len(waiting) == 100:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
