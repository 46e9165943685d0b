import asyncio
import contextlib

import apsw
import pytest

from crash.organisation import MAILBOXES, PEER, Worker, content, inventory
from postern.model.envelope import Envelope, Recipient
from postern.model.ids import DeliveryKey
from postern.model.items import Flag, Quota, SpecialUse
from postern.model.refusal import Reason, Refusal
from postern.services.accepted import AppendHeader, Beside, encode
from postern.store import failpoints
from postern.store.journal.marks import orphans
from postern.store.journal.records import Kind

ANNA, BORIS, CHEN = MAILBOXES


@pytest.fixture
async def worker(tmp_path):
    worker = Worker(tmp_path)
    await worker.create()
    worker.flow.start()
    yield worker
    if worker.flow is not None:
        await worker.close()
    assert worker.failures == []


async def numbers(worker, address):
    return sorted(number for number, *_ in (await inventory(worker, address)).values())


async def test_a_message_goes_to_each_mailbox_once(worker):
    await worker.submit(1, [ANNA, BORIS])
    await worker.submit(2, [ANNA, ANNA])
    await worker.settled()
    assert await numbers(worker, ANNA) == [1, 2]
    assert await numbers(worker, BORIS) == [1]
    assert sorted(event for event, _, _ in worker.tracker.events) == ["DELIVER"] * 3 + ["RECEIVE"] * 2


async def test_trace_fields_come_before_the_body(worker):
    queue_id = await worker.submit(1, [ANNA])
    await worker.settled()
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    (uid,) = await inventory(worker, ANNA)
    whole = await mailbox.read(inbox.id, uid)
    assert whole.startswith(b"Return-Path: <sender@example.net>\r\nReceived: from client.example.net ")
    assert queue_id.encode() in whole
    assert b"for <anna@example.org>" in whole
    assert whole.endswith(content(1))


async def test_many_messages_are_batched_and_all_arrive(worker):
    await asyncio.gather(*(worker.submit(i, [ANNA, BORIS, CHEN]) for i in range(300)))
    await worker.settled()
    for address in MAILBOXES:
        assert await numbers(worker, address) == list(range(300))
    assert worker.journal.syncs < 150


async def test_groups_and_outside_recipients(worker):
    await worker.submit(1, ["all@example.org", BORIS, "someone@elsewhere.example"])
    await worker.settled()
    assert await numbers(worker, ANNA) == await numbers(worker, BORIS) == [1]
    (claim,) = await worker.queue.claim("w", 10)
    assert [waiting.target for waiting in claim.recipients] == ["elsewhere.example"]
    assert claim.content.prefix.startswith(b"Received:")


async def test_unknown_and_outside_recipients_are_refused(worker):
    with pytest.raises(Refusal) as caught:
        await worker.flow.check_recipient("nobody@example.org", None, PEER, 0)
    assert caught.value.reason is Reason.NO_SUCH_RECIPIENT
    with pytest.raises(Refusal) as caught:
        await worker.flow.check_recipient("x@elsewhere.example", None, PEER, 0)
    assert caught.value.reason is Reason.RELAY_DENIED


async def test_quota_is_answered_at_rcpt_and_fails_at_delivery(worker):
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    await mailbox.set_quota(Quota(None, None, 1000))
    with pytest.raises(Refusal) as caught:
        await worker.flow.check_recipient(ANNA, None, PEER, 5000)
    assert caught.value.reason is Reason.OVER_QUOTA
    await worker.submit(1, [ANNA, BORIS], size=5000)
    await worker.settled()
    assert await numbers(worker, ANNA) == []
    assert await numbers(worker, BORIS) == [1]
    (owed,) = await worker.queue.claim_reports("w", 10)
    assert owed.report.to == "sender@example.net"
    assert owed.report.subjects[0].status == "5.2.2"


async def test_a_copy_that_owes_a_success_report_goes_by_way_of_the_queue(worker):
    await worker.submit(1, [ANNA], notify="SUCCESS")
    await worker.settled()
    (claim,) = await worker.queue.claim("w", 10)
    assert claim.recipients[0].target == MAILBOXES[ANNA]
    assert await numbers(worker, ANNA) == []


async def test_append_says_where(worker):
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    places = await asyncio.gather(
        *(
            worker.flow.append(mailbox.id, inbox.id, content(i), int(Flag.SEEN), ("$Work",), 1_600_000_000)
            for i in range(20)
        )
    )
    found = await inventory(worker, ANNA)
    assert {place.uid: i for i, place in enumerate(places)} == {uid: number for uid, (number, *_) in found.items()}
    assert all(flags & Flag.SEEN for _, flags, _ in found.values())
    assert worker.flow.outstanding == 0


async def test_appends_that_come_together_share_commit_and_sync(worker):
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    await worker.flow.append(mailbox.id, inbox.id, content(0), 0, (), None)
    before, syncs = await mailbox.change_number(), worker.journal.syncs
    places = await asyncio.gather(
        *(worker.flow.append(mailbox.id, inbox.id, content(i), 0, (), None) for i in range(1, 31))
    )
    assert [place.uid for place in places] == sorted({place.uid for place in places})
    assert await numbers(worker, ANNA) == list(range(31))
    assert await mailbox.change_number() - before <= 2
    assert worker.journal.syncs - syncs <= 4
    assert worker.flow.outstanding == 0


async def test_appends_one_after_the_other_cost_a_sync_each(worker):
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    await worker.flow.append(mailbox.id, inbox.id, content(0), 0, (), None)
    syncs, records = worker.journal.syncs, worker.journal.records_written
    places = [await worker.flow.append(mailbox.id, inbox.id, content(i), 0, (), None) for i in range(1, 21)]
    assert (worker.journal.syncs - syncs, worker.journal.records_written - records) == (20, 20)
    assert [place.uid for place in places] == list(range(places[0].uid, places[0].uid + 20))
    assert worker.flow.outstanding == 0


async def test_an_append_behind_a_delivery_has_a_record_of_its_uid(worker, tmp_path):
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    told = {}
    for number in range(1, 9, 2):
        told[number] = (await worker.flow.append(mailbox.id, inbox.id, content(number), 0, (), None)).uid
        await worker.submit(number + 1, [ANNA])
        await worker.settled()
    assert list(told.values()) == sorted(told.values())
    lost = worker.store.path(mailbox.id)
    await worker.die()
    worker.failures.clear()
    for suffix in ("", "-wal", "-shm"):  # the mailbox as it was made: a power cut has undone all since
        lost.with_name(lost.name + suffix).unlink(missing_ok=True)
    again = Worker(tmp_path, epoch=2)
    await again.store.create_mailbox(mailbox.id, 1, Quota(None, None, None))
    db = again.store._host.database(lost)
    db.execute("UPDATE counters SET uid_next = 4097; UPDATE state SET id_safe = 9000, id_pending = 9000")
    again.flow.start()
    await again.flow.replay(worker.journal.id)
    await again.settled()
    there = {number: uid for uid, (number, *_) in (await inventory(again, ANNA)).items()}
    assert {number: there[number] for number in told} == told
    assert len(there) == 8
    await again.close()
    worker.flow = None


async def test_a_refused_append_fails_alone(worker):
    anna, boris = [await worker.store.mailbox(MAILBOXES[who]) for who in (ANNA, BORIS)]
    inbox = await anna.special(SpecialUse.INBOX)
    await anna.set_quota(Quota(None, None, await anna.used_bytes() + 4000))
    asked = [(anna, 1, 100), (anna, 2, 5000), (boris, 3, 5000), (anna, 4, 100)]
    outcomes = await asyncio.gather(
        *(worker.flow.append(box.id, inbox.id, content(i, size), 0, (), None) for box, i, size in asked),
        return_exceptions=True,
    )
    assert [isinstance(outcome, Refusal) and outcome.reason is Reason.OVER_QUOTA for outcome in outcomes] == [
        False,
        True,
        False,
        False,
    ]
    assert (await numbers(worker, ANNA), await numbers(worker, BORIS)) == ([1, 4], [3])
    assert worker.flow.outstanding == 0


async def test_an_append_does_not_wait_for_anothers_busy_mailbox(worker):
    anna, boris = [await worker.store.mailbox(MAILBOXES[who]) for who in (ANNA, BORIS)]
    inbox = await anna.special(SpecialUse.INBOX)
    with contextlib.closing(apsw.Connection(str(worker.store.path(anna.id)))) as elsewhere:
        elsewhere.execute("BEGIN IMMEDIATE")
        waiting, placed = (
            asyncio.create_task(worker.flow.append(box.id, inbox.id, content(i), 0, (), None))
            for i, box in enumerate((anna, boris))
        )
        await asyncio.wait_for(placed, 60)
        assert not waiting.done()
        elsewhere.execute("ROLLBACK")
    await asyncio.wait_for(waiting, 60)


async def test_a_large_message_is_appended_beside_small_ones(worker):
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    sizes = [100, 2 << 20, 100]
    await asyncio.gather(
        *(worker.flow.append(mailbox.id, inbox.id, content(i, size), 0, (), None) for i, size in enumerate(sizes))
    )
    assert await numbers(worker, ANNA) == [0, 1, 2]


async def test_an_append_whose_client_goes_away_is_placed(worker):
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    asking = asyncio.create_task(worker.flow.append(mailbox.id, inbox.id, content(1), 0, (), None))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert asking.cancelled()
    await worker.settled()
    assert await numbers(worker, ANNA) == [1]
    assert worker.flow.outstanding == 0


async def test_a_refused_append_is_not_tried_again(worker, tmp_path):
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    await mailbox.set_quota(Quota(None, None, 100))
    with pytest.raises(Refusal) as caught:
        await worker.flow.append(mailbox.id, inbox.id, content(1, 5000), 0, (), None)
    assert caught.value.reason is Reason.OVER_QUOTA
    await mailbox.set_quota(Quota(None, None, None))
    await worker.die()
    again = Worker(tmp_path, epoch=2)
    again.flow.start()
    assert await again.flow.replay(worker.journal.id) == 1
    assert await numbers(again, ANNA) == []
    await again.close()
    worker.flow = None


async def test_internal_messages_are_submitted_once(worker):
    envelope = Envelope("", (Recipient(ANNA),))
    for _ in range(3):
        await worker.flow.submit_internal(DeliveryKey(-5, 1), envelope, content(7))
    await worker.settled()
    assert await numbers(worker, ANNA) == [7]


async def test_a_sender_that_goes_away_does_not_block_the_mark(worker):
    task = asyncio.create_task(worker.submit(1, [ANNA]))
    while not worker.journal.outstanding:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    await worker.settled()
    assert await numbers(worker, ANNA) == [1]


@pytest.mark.parametrize("place", ["journal.written", "append.applied", "append.assigned"])
async def test_a_replacement_in_a_full_mailbox_is_replayed_to_the_same_result(worker, tmp_path, place):
    """RFC 8508: wherever the crash comes, one message is there and the other gone."""
    mailbox = await worker.store.mailbox(MAILBOXES[ANNA])
    inbox = await mailbox.special(SpecialUse.INBOX)
    old = await worker.flow.append(mailbox.id, inbox.id, content(1, 5000), 0, (), None)
    await mailbox.set_quota(Quota(None, None, await mailbox.used_bytes()))
    beside = Beside(supersedes=(inbox.id, old.uid))

    def stop():
        raise Stop

    if place == "journal.written":
        header = AppendHeader(mailbox.id, inbox.id, 0, (), 0, beside)
        await worker.journal.append(Kind.APPEND, encode(header), content(2, 5000))
        assert await numbers(worker, ANNA) == [1]
    else:
        failpoints.configure({place: stop})
        try:
            with pytest.raises(Stop):
                await worker.flow.append(mailbox.id, inbox.id, content(2, 5000), 0, (), None, beside)
        finally:
            failpoints.configure({})
        assert await numbers(worker, ANNA) == [2]
    await worker.die()
    worker.failures.clear()
    again = Worker(tmp_path, epoch=2)
    again.flow.start()
    assert await again.flow.replay(worker.journal.id) >= 1
    assert await numbers(again, ANNA) == [2]
    kept = await (await again.store.mailbox(mailbox.id)).special(SpecialUse.RECOVERABLE)
    assert kept.messages == 1
    await again.close()
    worker.flow = None


async def test_a_clean_end_needs_no_replay(tmp_path):
    worker = Worker(tmp_path)
    await worker.create()
    worker.flow.start()
    await asyncio.gather(*(worker.submit(i, [ANNA]) for i in range(10)))
    await worker.close()
    assert orphans(tmp_path / "journal") == []


class Stop(Exception):
    pass


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_journals_are_replayed_in_any_order(tmp_path, order):
    """Three workers stop at different points; whoever replays, in whatever order, nothing is lost or doubled."""
    first = Worker(tmp_path)
    await first.create()
    dead = [first, Worker(tmp_path), Worker(tmp_path)]
    number = 0
    for worker in dead:
        if worker is not dead[1]:
            worker.flow.start()
        for _ in range(20):
            # without `start` nothing is delivered: the second one's messages are in its journal only
            await worker.submit(number, [[ANNA], [ANNA, BORIS], ["all@example.org"], ["x@y.example"]][number % 4])
            number += 1
    await dead[0].settled()
    await dead[0].flow.advance_mark()
    for worker in dead:
        await worker.die()
    assert sorted(orphans(tmp_path / "journal")) == sorted(worker.journal.id for worker in dead)
    last = Worker(tmp_path, epoch=2)
    last.directory.members = (CHEN,)  # what was decided before must not be decided again
    last.flow.start()
    replayed = [await last.flow.replay(dead[i].journal.id) for i in order]
    assert sum(replayed) >= 20
    assert replayed[order.index(0)] == 0
    to_anna = [i for i in range(60) if i % 4 in (0, 1, 2)]
    assert await numbers(last, ANNA) == to_anna
    assert await numbers(last, BORIS) == [i for i in range(60) if i % 4 in (1, 2)]
    assert await numbers(last, CHEN) == []
    claims = await last.queue.claim("w", 1000)
    assert len(claims) == 15
    assert orphans(tmp_path / "journal") == []
    await last.close()


async def test_an_interrupted_replay_is_begun_again(tmp_path):
    worker = Worker(tmp_path)
    await worker.create()
    for i in range(30):
        await worker.submit(i, [ANNA, "all@example.org"])
    await worker.die()
    count = 0

    def stop():
        nonlocal count
        count += 1
        if count == 11:
            raise Stop

    again = Worker(tmp_path, epoch=2)
    again.flow.start()
    failpoints.configure({"replay.applied": stop})
    try:
        with pytest.raises(Stop):
            await again.flow.replay(worker.journal.id)
    finally:
        failpoints.configure({})
    await asyncio.sleep(0.05)
    await again.die()
    again.directory.members = (CHEN,)
    last = Worker(tmp_path, epoch=3)
    last.flow.start()
    for journal in orphans(tmp_path / "journal"):
        if journal != last.journal.id:
            await last.flow.replay(journal)
    assert await numbers(last, ANNA) == list(range(30))
    assert await numbers(last, BORIS) == list(range(30))
    await last.close()


async def test_marks_move_one_at_a_time(worker, monkeypatch):
    """A second caller finds nothing dirty while the first one still syncs: it must not write its mark before."""
    release = asyncio.Event()
    dirty = {"mailbox"}
    synced = set()

    async def sync_dirty():
        mine = set(dirty)
        dirty.clear()
        if mine:
            await release.wait()
        synced.update(mine)

    monkeypatch.setattr(worker.store, "sync_dirty", sync_dirty)
    await worker.submit(1, [ANNA])
    await worker.settled()
    first = asyncio.create_task(worker.flow.advance_mark())
    await asyncio.sleep(0.01)
    await worker.submit(2, [ANNA])
    await worker.settled()
    second = asyncio.create_task(worker.flow.advance_mark())
    await asyncio.sleep(0.05)
    assert worker.journal.mark.state.segment == 0
    release.set()
    await asyncio.gather(first, second)
    assert synced
    assert worker.journal.mark.state == worker.journal.low_water()
