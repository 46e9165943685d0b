"""Mailboxes that are made when they are first used, by whichever process comes first."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from postern.config.settings import Server, Settings
from postern.directory.interface import Domain, NewAccount, RecipientKind, Source, SourceEntry
from postern.model.items import Quota
from postern.model.refusal import Reason, Refusal
from postern.roles.parts import Parts
from postern.store.sqlite import upkeep
from postern.store.sqlite.connection import connect
from postern.store.sqlite.mailbox import SqliteMailbox


@pytest.fixture
async def two(tmp_path):
    settings = Settings(server=Server(data=str(tmp_path)))
    parts = [Parts.open(settings, f"test-{n}", None, 0) for n in range(2)]
    await parts[0].directory.put_domain(Domain("example.org"))
    yield parts
    for one in parts:
        await one.close()


async def test_a_mirrored_accounts_mailbox_is_made_once(two):
    first = two[0]
    await first.directory.put_source(Source("elsewhere", "ldap"))
    entries = [SourceEntry(f"a{n}", RecipientKind.USER, f"u{n}@example.org") for n in range(8)]
    accounts = (await first.directory.mirror("elsewhere", entries)).added
    assert not any(first.store.path(account.mailbox).exists() for account in accounts)
    for account in accounts:
        opened = await asyncio.gather(*(parts.store.mailbox(account.mailbox) for parts in two for _ in range(3)))
        folders = [tuple(folder.name for folder in await box.folders()) for box in opened]
        assert len(set(folders)) == 1
    assert not list(first.store.path(accounts[0].mailbox).parent.glob(".*"))  # nothing is left of whoever was later


async def test_a_mailbox_that_another_process_makes_between_two_looks_is_there(two, monkeypatch):
    first, second = two
    await first.directory.put_source(Source("elsewhere", "ldap"))
    entry = SourceEntry("a", RecipientKind.USER, "u@example.org")
    (account,) = (await first.directory.mirror("elsewhere", [entry])).added
    look, missed = SqliteMailbox.begin_use, []

    async def begin_use(mailbox):
        try:
            await look(mailbox)
        except Refusal as refused:
            if mailbox._host is first.store._host and not missed:
                missed.append(refused.reason)
                await second.store.mailbox(account.mailbox)
            raise

    monkeypatch.setattr(SqliteMailbox, "begin_use", begin_use)
    assert await (await first.store.mailbox(account.mailbox)).folders()
    assert missed == [Reason.NO_SUCH_RECIPIENT]


async def test_a_mailbox_of_our_own_that_is_lost_is_not_made_anew(two):
    (account,) = await two[0].directory.create_accounts([NewAccount("anna@example.org")])
    for parts in two:
        with pytest.raises(Refusal) as refused:
            await parts.store.mailbox(account.mailbox)
        assert refused.value.reason is Reason.NO_SUCH_RECIPIENT


def make(path):
    """In a process of its own."""
    try:
        upkeep.create(path, path.stem, 1, Quota(None, None, None), 1, 1)
    except FileExistsError:
        return 0
    return 1


def test_two_processes_make_each_mailbox_once(tmp_path):
    paths = [tmp_path / "00" / "m" / f"{n:032x}.db" for n in range(20)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as processes:
        made = list(processes.map(make, [path for path in paths for _ in range(2)]))
    assert [made[n] + made[n + 1] for n in range(0, 40, 2)] == [1] * 20
    for path in paths:
        db = connect(path)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        db.close()
    assert not list(paths[0].parent.glob(".*"))
