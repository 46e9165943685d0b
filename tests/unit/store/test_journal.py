import asyncio
import contextlib
import errno
import os
import threading

import pytest
from store_world import ManualClock

from postern.model.ids import BlobRef
from postern.model.refusal import Reason, Refusal
from postern.store.blobs import SegmentBlobs
from postern.store.journal.files import Files, JournalFailedError
from postern.store.journal.layout import allocate_journal, segment_path, segments
from postern.store.journal.layout import bodies as spooled
from postern.store.journal.marks import orphans, read_mark
from postern.store.journal.records import Kind, journal_of
from postern.store.journal.writer import Journal


async def reread(path, refs):
    """Bodies as a process sees them that has just started."""
    with contextlib.closing(SegmentBlobs(path)) as blobs:
        return await blobs.read_many(refs)


def fail(error):
    raise AssertionError(error)


def make(path, **options):
    options.setdefault("on_failure", fail)
    return Journal(path, options.pop("journal", None) or allocate_journal(path), ManualClock(), **options)


async def test_records_are_read_back_from_active_and_sealed_segments(tmp_path):
    journal = make(tmp_path, segment_bytes=1 << 16)
    blobs = SegmentBlobs(tmp_path)
    bodies = [os.urandom(i * 37 % 5000) + b"x" for i in range(200)]
    refs = await asyncio.gather(*(journal.append(Kind.ACCEPT, b"header", body) for body in bodies))
    assert len(set(refs)) == len(refs)
    assert len(segments(tmp_path)) > 3
    assert await blobs.read_many(refs) == bodies
    assert await blobs.read_many(refs[::-1]) == bodies[::-1]
    assert await blobs.read(refs[7], 3, 10) == bodies[7][3:13]
    late = await journal.append(Kind.ACCEPT, b"", b"late")
    assert await blobs.read(late) == b"late"
    await journal.close()
    assert await blobs.read_many([*refs, late]) == [*bodies, b"late"]
    assert await reread(tmp_path, [*refs, late]) == [*bodies, b"late"]
    assert not list(tmp_path.glob("*.idx"))
    blobs.close()


async def test_one_sync_for_all_that_wait(tmp_path):
    journal = make(tmp_path)
    await asyncio.gather(*(journal.append(Kind.ACCEPT, b"", b"body") for _ in range(500)))
    assert journal.syncs <= 2
    await journal.close()


async def test_large_bodies_have_a_file_of_their_own(tmp_path):
    journal = make(tmp_path)
    big = os.urandom(3 << 20)
    ref = await journal.append(Kind.ACCEPT, b"h", big)
    small = await journal.append(Kind.ACCEPT, b"h", b"small")
    blobs = SegmentBlobs(tmp_path)
    assert await blobs.read_many([ref, small]) == [big, b"small"]
    assert await blobs.read(ref, 5, 7) == big[5:12]
    spool = journal.new_spool()
    spool.write(b"abc")
    spool.write(b"def")
    assert await blobs.read(await journal.append(Kind.ACCEPT, b"", spool)) == b"abcdef"
    await journal.close()
    assert await blobs.read(ref) == big
    blobs.close()
    assert not list(tmp_path.glob("*.tmp"))


async def test_what_is_large_is_for_the_administrator_to_say(tmp_path):
    journal = make(tmp_path, spool_bytes=65536)
    refs = [await journal.append(Kind.ACCEPT, b"h", b"x" * size) for size in (65536, 65537)]
    await journal.close()
    assert list(spooled(tmp_path)) == [refs[1]]


async def test_missing_bodies_are_refused(tmp_path):
    journal = make(tmp_path)
    ref = await journal.append(Kind.ACCEPT, b"", b"x")
    blobs = SegmentBlobs(tmp_path)
    for wrong in (BlobRef(ref.segment, 1), BlobRef(ref.segment + 1, 0)):
        with pytest.raises(Refusal) as caught:
            await blobs.read(wrong)
        assert caught.value.reason is Reason.CORRUPT
    blobs.close()
    await journal.close()


async def test_sidecar_lost_in_a_power_cut_is_rebuilt(tmp_path):
    journal = make(tmp_path)
    refs = [await journal.append(Kind.ACCEPT, b"h", b"%d" % i) for i in range(5)]
    next(tmp_path.glob("*.idx")).write_bytes(b"\0" * 48)
    assert await reread(tmp_path, refs) == [b"0", b"1", b"2", b"3", b"4"]
    await journal.close()


class BrokenFiles(Files):
    sync_errno = 0
    create_errno = 0
    write_errno = 0

    def sync(self, descriptor):
        if self.sync_errno:
            raise OSError(self.sync_errno, "sync")
        super().sync(descriptor)

    def create(self, path, size_bytes=0):
        if self.create_errno:
            raise OSError(self.create_errno, "create")
        return super().create(path, size_bytes)

    def write(self, descriptor, buffers, offset):
        if self.write_errno:
            super().write(descriptor, [bytes(buffers[0])[:20]], offset)
            raise OSError(self.write_errno, "write")
        return super().write(descriptor, buffers, offset)


async def test_a_failed_sync_is_never_retried(tmp_path):
    files, failures = BrokenFiles(), []
    journal = make(tmp_path, files=files, on_failure=failures.append)
    good = await journal.append(Kind.ACCEPT, b"", b"good")
    files.sync_errno = errno.EIO
    with pytest.raises(JournalFailedError):
        await journal.append(Kind.ACCEPT, b"", b"lost")
    files.sync_errno = 0
    with pytest.raises(JournalFailedError):
        await journal.append(Kind.ACCEPT, b"", b"later")
    assert len(failures) == 1
    assert journal.low_water()[:2] == good
    await journal.close()


@pytest.mark.parametrize("where", ["create_errno", "write_errno"])
async def test_a_full_disk_refuses_and_recovers(tmp_path, where):
    files = BrokenFiles()
    journal = make(tmp_path, files=files, segment_bytes=4096)
    refs = [await journal.append(Kind.ACCEPT, b"", b"x" * 900) for _ in range(4)]
    setattr(files, where, errno.ENOSPC)
    outcomes = await asyncio.gather(
        *(journal.append(Kind.ACCEPT, b"", b"y" * 900) for _ in range(3)), return_exceptions=True
    )
    assert [outcome.reason for outcome in outcomes] == [Reason.DISK_FULL] * 3
    setattr(files, where, 0)
    refs.append(await journal.append(Kind.ACCEPT, b"", b"x" * 900))
    await journal.close()
    assert await reread(tmp_path, refs) == [b"x" * 900] * 5


async def test_low_water_waits_for_the_oldest(tmp_path):
    journal = make(tmp_path)
    refs = [await journal.append(Kind.ACCEPT, b"", b"x") for _ in range(3)]
    journal.applied(refs[1])
    assert journal.low_water()[:2] == refs[0]
    journal.applied(refs[0])
    assert journal.low_water()[:2] == refs[2]
    journal.applied(refs[2])
    state = journal.low_water()
    assert state[:2] == (refs[2].segment, 3)
    await journal.advance(state)
    assert read_mark(tmp_path, journal.id) == state
    assert orphans(tmp_path) == []
    await journal.close()
    assert orphans(tmp_path) == [journal.id]


async def test_journal_numbers_are_never_given_twice(tmp_path):
    numbers = [allocate_journal(tmp_path) for _ in range(3)]
    journal = make(tmp_path, journal=numbers[-1] + 5)
    await journal.append(Kind.ACCEPT, b"", b"x")
    await journal.close()
    assert journal_of(segments(tmp_path)[0]) == numbers[-1] + 5
    (tmp_path / "next").unlink()
    assert allocate_journal(tmp_path) == numbers[-1] + 6


async def test_senders_that_come_again_share_syncs(tmp_path):
    journal = make(tmp_path)

    async def sender(pause_s):
        for _ in range(30):
            await journal.append(Kind.ACCEPT, b"", b"body")
            await asyncio.sleep(pause_s)

    await asyncio.gather(*(sender(number * 0.00005) for number in range(10)))
    assert journal.records_written == 300
    assert journal.syncs < 100, "ten senders wait for one sync, not for one each"
    await journal.close()


async def test_senders_that_take_turns_come_to_share_syncs(tmp_path):
    journal = make(tmp_path)
    rounds = 40

    async def sender(group):
        if group:
            while not journal.syncs:  # these come while the others' first record is being synced
                await asyncio.sleep(0)
        for _ in range(rounds):
            await journal.append(Kind.ACCEPT, b"", b"body")
            await asyncio.sleep(0.0003)

    await asyncio.gather(*(sender(number % 2) for number in range(10)))
    assert journal.records_written == 10 * rounds
    assert journal.syncs < 1.5 * rounds, "the two groups have not become one"
    await journal.close()


async def test_who_sends_alone_waits_for_nobody(tmp_path):
    journal = make(tmp_path)
    await asyncio.gather(*(journal.append(Kind.ACCEPT, b"", b"body") for _ in range(5)))
    for _ in range(3):  # the five were shared; after two records of one sender they are not expected again
        await journal.append(Kind.ACCEPT, b"", b"alone")
    handed = journal.append(Kind.ACCEPT, b"", b"alone")
    await asyncio.sleep(0)
    assert journal._gathering is None
    await handed
    await journal.close()


async def test_a_record_that_nobody_joins_is_written_all_the_same(tmp_path):
    journal = make(tmp_path)
    await asyncio.gather(*(journal.append(Kind.ACCEPT, b"", b"body") for _ in range(50)))
    async with asyncio.timeout(60):
        await journal.append(Kind.ACCEPT, b"", b"alone")
    waiting = journal.append(Kind.ACCEPT, b"", b"closing")
    await journal.close()
    assert waiting.done()
    assert journal.records_written == 52


async def test_a_sidecar_left_by_a_crash_is_no_obstacle(tmp_path):
    journal = make(tmp_path)
    (tmp_path / f"{journal.id << 20:016x}.idx").write_bytes(b"of an empty segment that replay removed")
    ref = await journal.append(Kind.ACCEPT, b"", b"body")
    assert await reread(tmp_path, [ref]) == [b"body"]
    await journal.close()


class ThreadsOfFiles(Files):
    """Notes which thread writes and which one syncs."""

    def __init__(self):
        self.calls = []

    def write(self, descriptor, buffers, offset):
        self.calls.append(("write", threading.current_thread().name))
        return super().write(descriptor, buffers, offset)

    def sync(self, descriptor):
        self.calls.append(("sync", threading.current_thread().name))
        super().sync(descriptor)


async def test_the_loop_writes_small_batches_and_the_thread_syncs(tmp_path):
    files = ThreadsOfFiles()
    journal = make(tmp_path, files=files)
    files.calls.clear()
    await journal.append(Kind.ACCEPT, b"", b"the segment is made in the thread")
    here = threading.current_thread().name
    assert ("write", here) not in files.calls
    files.calls.clear()
    small = await journal.append(Kind.ACCEPT, b"", b"small")
    assert {name for what, name in files.calls if what == "write"} == {here}
    files.calls.clear()
    large = await asyncio.gather(*(journal.append(Kind.ACCEPT, b"", b"x" * 200_000) for _ in range(4)))
    assert ("write", here) not in files.calls
    assert all(name != here for what, name in files.calls if what == "sync")
    await journal.close()
    assert await reread(tmp_path, [small, *large]) == [b"small", *[b"x" * 200_000] * 4]


async def test_a_full_disk_met_by_the_loop_refuses_and_goes_on(tmp_path):
    class FullOnce(Files):
        full = False

        def write(self, descriptor, buffers, offset):
            if self.full:
                self.full = False
                raise OSError(errno.ENOSPC, "no space")
            return super().write(descriptor, buffers, offset)

    files = FullOnce()
    journal = make(tmp_path, files=files)
    first = await journal.append(Kind.ACCEPT, b"", b"first")
    files.full = True
    with pytest.raises(Refusal) as refused:
        await journal.append(Kind.ACCEPT, b"", b"refused")
    assert refused.value.reason is Reason.DISK_FULL
    second = await journal.append(Kind.ACCEPT, b"", b"second")
    await journal.close()
    assert await reread(tmp_path, [first, second]) == [b"first", b"second"]


class Fills(Files):
    """Notes where zeros were written, and refuses them if told to."""

    def __init__(self, refuse=False):
        self.refuse = refuse
        self.filled = []

    def write(self, descriptor, buffers, offset):
        if len(buffers) == 1 and len(buffers[0]) > 1000 and not any(buffers[0]):
            if self.refuse:
                raise OSError(errno.ENOSPC, "no space")
            self.filled.append((offset, offset + len(buffers[0])))
        return super().write(descriptor, buffers, offset)


async def test_zeros_lie_behind_small_records_and_never_over_any(tmp_path):
    files = Fills()
    journal = make(tmp_path, files=files, segment_bytes=1 << 20)
    bodies = [os.urandom(20_000) for _ in range(120)]
    refs = []
    for number, body in enumerate(bodies):
        refs.append(await journal.append(Kind.ACCEPT, b"", body))
        with segment_path(tmp_path, journal._writer.number).open("rb") as file:
            file.seek(journal._writer.end)
            assert not any(file.read()), number
    assert len(files.filled) >= 8
    assert all(high <= 1 << 20 for _, high in files.filled)
    assert await reread(tmp_path, refs) == bodies
    await journal.abandon()
    ahead = len(files.filled)
    again = make(tmp_path, files=files, segment_bytes=8 << 20)
    refs += await asyncio.gather(*(again.append(Kind.ACCEPT, b"", body) for body in bodies))
    assert len(files.filled) == ahead, "behind a large batch zeros would only be written twice"
    await again.close()
    assert await reread(tmp_path, refs) == [*bodies, *bodies]


async def test_records_do_without_zeros_where_they_do_not_fit(tmp_path):
    journal = make(tmp_path, files=Fills(refuse=True))
    refs = [await journal.append(Kind.ACCEPT, b"", b"x" * size) for size in (10, 2000, 10)]
    await journal.close()
    assert await reread(tmp_path, refs) == [b"x" * 10, b"x" * 2000, b"x" * 10]
