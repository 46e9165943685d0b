"""A snapshot of an organisation at work is whole: everything acknowledged before it is there, exactly once."""

import asyncio
import random

import apsw
import pytest
from backup_world import MAILBOXES, World, numbers, started

from crash.organisation import content
from postern.backup.crypt import Secret
from postern.backup.repository import RepositoryError
from postern.model.items import Flag, SpecialUse
from postern.roles.instance import DataDirectory, StartError
from postern.store.journal.layout import journal_directory, pins_directory

ANNA, BORIS, CHEN = MAILBOXES


async def traffic(world, acknowledged, stop, seed=1):
    """Messages to one, two and three, one after the other; what was acknowledged, by recipient."""
    chance = random.Random(seed)
    number = seed * 1_000_000
    while not stop.is_set():
        number += 1
        recipients = chance.sample(list(MAILBOXES), chance.randint(1, 3))
        size = 2 << 20 if chance.random() < 0.01 else chance.randint(100, 20_000)
        await world.worker.submit(number, recipients, size=size)
        for recipient in recipients:
            acknowledged[recipient].append(number)
        if chance.random() < 0.05:
            await world.worker.flow.advance_mark()


async def test_under_load_everything_that_was_acknowledged_is_there_once(world):
    acknowledged = {address: [] for address in MAILBOXES}
    stop = asyncio.Event()
    senders = [asyncio.create_task(traffic(world, acknowledged, stop, seed)) for seed in (1, 2)]
    for _ in range(3):
        await asyncio.sleep(0.3)
        before = {address: list(sent) for address, sent in acknowledged.items()}
        taken = await asyncio.to_thread(world.take)
        assert taken.trouble == ()
    stop.set()
    await asyncio.gather(*senders)
    assert taken.references > 10
    restored = await asyncio.to_thread(world.restore)
    assert restored.trouble == ()
    assert restored.mailboxes == 3
    async with started(world.path / "restored") as worker:
        for address in MAILBOXES:
            found = await numbers(worker, address)
            assert len(found) == len(set(found))
            assert set(before[address]) <= set(found) <= set(acknowledged[address])


async def test_clients_do_not_take_a_restored_mailbox_for_the_one_they_knew(world):
    await world.worker.submit(1, [ANNA])
    await world.worker.settled()
    mailbox = await world.worker.store.mailbox(MAILBOXES[ANNA])
    old = await mailbox.special(SpecialUse.INBOX)
    await asyncio.to_thread(world.take)
    await asyncio.to_thread(world.restore)
    async with started(world.path / "restored") as worker:
        again = await worker.store.mailbox(MAILBOXES[ANNA])
        new = await again.special(SpecialUse.INBOX)
        assert new.id == old.id
        assert new.uid_validity > old.uid_validity
        assert new.uid_next > old.uid_next
        validities = [folder.uid_validity for folder in await again.folders()]
        assert len(set(validities)) == len(validities)
        assert (await again.create_folder(None, "Later")).uid_validity > max(validities)
        assert await again.change_number() > await mailbox.change_number()


async def test_a_second_backup_reads_what_has_changed_only(world, monkeypatch):
    monkeypatch.setattr("postern.backup.taking._SETTLED_NS", -(10**15))
    for number in range(30):
        await world.worker.submit(number, [ANNA, BORIS], size=100_000)
    await world.worker.settled()
    first = await asyncio.to_thread(world.take)
    mailbox = await world.worker.store.mailbox(MAILBOXES[BORIS])
    inbox = await mailbox.special(SpecialUse.INBOX)
    await mailbox.expunge(inbox.id, [(1, 2**31)], only_deleted=False)
    second = await asyncio.to_thread(world.take)
    assert second.trouble == ()
    assert second.read_bytes < first.read_bytes / 2
    assert second.new_bytes < first.new_bytes / 4
    third = await asyncio.to_thread(world.take)
    assert third.new_bytes < 200_000
    assert third.read_bytes < second.read_bytes


async def test_keys_are_not_forgotten_while_a_backup_runs(world):
    """A mark moves on during a backup: the replay over the copies still has to know what was applied."""
    from postern.store.journal.collect import held

    journals = journal_directory(world.data)

    def applied():
        db = apsw.Connection(str(world.worker.store.path(MAILBOXES[ANNA])))
        return db.execute("SELECT count(*) FROM applied").get

    worker = world.worker
    await worker.submit(0, [ANNA])
    await worker.settled()
    with held(journals, "test"):
        for number in range(1, 20):
            await worker.submit(number, [ANNA], size=10_000)
            await worker.settled()
            await worker.flow._marks.advance(worker.journal)
        assert worker.journal.mark.state.segment > 1 << 20
        assert applied() == 20
    await worker.submit(20, [ANNA], size=10_000)
    await worker.settled()
    await worker.flow._marks.advance(worker.journal)
    await worker.submit(21, [ANNA])
    await worker.settled()
    assert applied() < 12
    assert list(pins_directory(journals).iterdir()) == []


async def test_into_an_empty_directory_only(world):
    await asyncio.to_thread(world.take)
    (world.path / "restored").mkdir()
    (world.path / "restored" / "mine").touch()
    with pytest.raises(RepositoryError, match="not empty"):
        await asyncio.to_thread(world.restore)


async def test_no_server_starts_in_half_an_organisation(world, monkeypatch):
    from postern.store import failpoints

    await asyncio.to_thread(world.take)
    hits = iter(range(10))

    def cut():
        if next(hits) == 2:
            raise OSError("cut off")

    failpoints.configure({"restore.file": cut})
    try:
        with pytest.raises(OSError, match="cut off"):
            await asyncio.to_thread(world.restore)
    finally:
        failpoints.configure({})
    with pytest.raises(StartError, match="begin it again"):
        DataDirectory(world.path / "restored")
    assert (await asyncio.to_thread(world.restore)).trouble == ()
    DataDirectory(world.path / "restored").release()


async def test_inside_of_the_data_directory_there_is_no_repository(world):
    (world.path / "repository").symlink_to(world.data / "deep")
    (world.data / "deep").mkdir()
    with pytest.raises(RepositoryError, match="inside"):
        await asyncio.to_thread(world.take)


async def test_encrypted_nothing_can_be_read_in_the_repository(tmp_path):
    world = World(tmp_path, Secret("file", b"k" * 64))
    await world.start()
    try:
        await world.worker.submit(77, [ANNA], size=5000)
        await world.worker.settled()
        await asyncio.to_thread(world.take)
        known = content(77, 5000)[-1000:]
        files = [path for path in (tmp_path / "repository").rglob("*") if path.is_file()]
        assert any(known in path.read_bytes() for path in world.data.rglob("*.seg"))
        for path in files:
            data = path.read_bytes()
            assert known not in data and b"message 77" not in data and b"mailboxes/" not in data
            assert b"SQLite format" not in data, path
        assert not (world.data / "backup.work").exists()
        await asyncio.to_thread(world.restore)
    finally:
        await world.stop()
    async with started(tmp_path / "restored") as worker:
        assert await numbers(worker, ANNA) == [77]


async def test_a_damaged_repository_gives_back_what_is_whole(world):
    for number in range(40):
        await world.worker.submit(number, [ANNA, BORIS], size=200_000)
    await world.worker.settled()
    await asyncio.to_thread(world.take)
    (pack,) = (world.path / "repository" / "packs").glob("*.pack")
    data = bytearray(pack.read_bytes())
    # in the middle of the journals' chunks: mailboxes come first
    for position in (len(data) // 2, len(data) * 3 // 4):
        data[position] ^= 1
    pack.write_bytes(data)
    restored = await asyncio.to_thread(world.restore)
    assert any("damaged" in one for one in restored.trouble)
    async with started(world.path / "restored") as worker:
        mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
        inbox = await mailbox.special(SpecialUse.INBOX)
        assert inbox.messages == 40
        from postern.model.items import Columns
        from postern.model.refusal import Refusal

        sound = 0
        async for rows in mailbox.items(inbox.id, Columns.UID):
            for (uid,) in rows:
                try:
                    whole = await mailbox.read(inbox.id, uid)
                except Refusal:
                    continue
                sound += 1
                assert b"message" in whole
        assert 30 <= sound < 40


async def test_a_damaged_mailbox_in_the_repository_is_put_together_anew(world):
    worker = world.worker
    for number in range(300):
        await worker.submit(number, [ANNA], size=300)
    await worker.settled()
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    from postern.store.interface import FlagChange

    await mailbox.set_flags(inbox.id, [(1, 2**31)], FlagChange(add=int(Flag.FLAGGED)))
    await asyncio.to_thread(world.take)
    repository = world.repository()
    with repository.locked(alone=False):
        repository.load()
        manifest = repository.read_snapshot(repository.snapshots()[-1])
        entry = manifest.entry(f"mailboxes/{MAILBOXES[ANNA][:2]}/{MAILBOXES[ANNA]}.db")
        pack, place = repository._index[entry.chunks[-1]]
    path = world.path / "repository" / "packs" / f"{pack}.pack"
    data = bytearray(path.read_bytes())
    data[place.offset + 100] ^= 0xFF
    path.write_bytes(data)
    restored = await asyncio.to_thread(world.restore)
    assert restored.trouble
    async with started(world.path / "restored") as other:
        again = await other.store.mailbox(MAILBOXES[ANNA])
        folder = await again.special(SpecialUse.INBOX)
        found = await numbers(other, ANNA)
        assert 0 < len(found) == folder.messages
