from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from pathlib import Path

import apsw
import pytest
from transport_doubles import FixedEntropy, ManualClock

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import BlobRef, DeliveryKey, MailboxId
from postern.model.refusal import Reason, Refusal
from postern.model.transfer import Fate, Result, StoredContent
from postern.transport import dsn
from postern.transport.outcomes import Defer, Deliver, Expand, Fail, Relay
from postern.transport.queue import QueueStore
from postern.transport.queue_admin import QueueAdmin, Selection
from postern.transport.queue_rows import NewEntry, Work
from postern.transport.runner import RENEW_SECONDS
from postern.transport.running_time import CLAIM_SECONDS, STEP_SECONDS

SENDER = "sender@here.example"
DEFERRED = Result(Fate.DEFERRED, "4.4.1", "no answer")


def relay(address: str, notify: str = "", reverse_path: str = SENDER) -> Relay:
    return Relay(Recipient(address, notify), reverse_path, address.rpartition("@")[2])


def entry(*outcomes, record: int = 1, at: float = 1_700_000_000.0, **parameters) -> NewEntry:
    return NewEntry(
        DeliveryKey(5, record),
        Envelope(SENDER, (), **parameters),
        StoredContent(BlobRef(5, record), 1000, b"Received: x\r\n"),
        outcomes,
        at,
        "id@here.example",
    )


@pytest.fixture
async def queue(tmp_path: Path, clock: ManualClock, entropy: FixedEntropy):
    store = QueueStore(tmp_path / "queue.db", clock, entropy)
    yield store
    await store.close()


async def test_claim_gives_back_what_was_put_in(queue: QueueStore) -> None:
    mailbox = Deliver(Recipient("anna@here.example"), SENDER, MailboxId("0" * 32), "a@here.example")
    later = Defer(Recipient("b@here.example"), SENDER, "busy")
    new = entry(relay("x@far.example", "FAILURE"), mailbox, later, envid="E1", body="8BITMIME")
    assert await queue.add([new]) == 3
    (claim,) = await queue.claim("w1", 10)
    assert (claim.key, claim.content, claim.envelope) == (new.key, new.content, new.envelope)
    assert [(w.work, w.target, w.recipient.notify) for w in claim.recipients] == [
        (Work.RELAY, "far.example", "FAILURE"),
        (Work.MAILBOX, "0" * 32, ""),
        (Work.CATEGORIZE, "", ""),
    ]
    assert claim.recipients[1].asked == "a@here.example"
    assert await queue.claim("w2", 10) == []


async def test_replay_puts_nothing_in_twice_even_after_it_was_sent(queue: QueueStore) -> None:
    new = entry(relay("x@far.example"), Fail(Recipient("no@here.example"), SENDER, "5.1.1", "no"))
    await queue.add([new])
    assert await queue.add([new, new]) == 0
    (claim,) = await queue.claim("w", 10)
    await queue.settle(claim, {claim.recipients[0].id: Result(Fate.RELAYED, "2.0.0", "250 ok")})
    assert await queue.length() == 0
    assert await queue.add([new]) == 0
    assert await queue.claim("w", 10) == []
    assert len(await queue.claim_reports("w", 10)) == 1
    await queue.forget_applied([5])
    assert await queue.add([new]) == 1


async def test_leftovers_of_local_delivery_join_their_message(queue: QueueStore) -> None:
    await queue.add([entry(relay("x@far.example"))])
    await queue.add([entry(Deliver(Recipient("a@here.example"), SENDER, MailboxId("1" * 32)))])
    (claim,) = await queue.claim("w", 10)
    assert len(claim.recipients) == 2


async def test_deferral_grows_warns_once_and_expires_with_one_dsn(queue: QueueStore, clock: ManualClock) -> None:
    await queue.add([entry(relay("x@far.example"))])
    start, pauses, warnings, attempts = clock.time, [], 0, 0
    while True:
        claims = await queue.claim("w", 10)
        if claims:
            attempts += 1
            ((_, result),) = await queue.settle(claims[0], {claims[0].recipients[0].id: DEFERRED})
            reports = await queue.claim_reports("w", 10)
            for owed in reports:
                await queue.reported(owed.id)
            if result.fate is Fate.FAILED:
                break
            warnings += sum(r.report.subjects[0].action == "delayed" for r in reports)
            pauses.append(clock.time)
        await go_on(queue, clock, 60)
        assert clock.time < start + 6 * 86400
    assert [r.report.subjects[0].status for r in reports] == ["5.4.7"]
    assert warnings == 1
    gaps = [b - a for a, b in itertools.pairwise(pauses)]
    assert gaps[0] < gaps[3] < gaps[-1] <= 7200 * 1.2
    assert 5 * 86400 <= clock.time - start <= 5 * 86400 + 7300
    assert await queue.length() == 0


async def go_on(queue: QueueStore, clock: ManualClock, seconds: float) -> None:
    """Time in which a worker runs."""
    while seconds > 0:
        clock.time += min(seconds, RENEW_SECONDS)
        seconds -= RENEW_SECONDS
        await queue.renew("w")


async def attempt(queue: QueueStore) -> tuple[Fate, list[str]]:
    """A failed attempt of the only recipient, tried at once: what became of it, and what its sender is told."""
    await QueueAdmin(queue.file, queue._clock).retry(Selection())
    (claim,) = await queue.claim("w", 10)
    ((_, result),) = await queue.settle(claim, {claim.recipients[0].id: DEFERRED})
    reports = await queue.claim_reports("w", 10)
    for owed in reports:
        await queue.reported(owed.id)
    return result.fate, [report.report.subjects[0].action for report in reports]


@pytest.mark.parametrize("days", [31, -31], ids=["ahead", "back"])
async def test_a_leap_of_the_clock_makes_no_mail_older_or_younger(
    queue: QueueStore, clock: ManualClock, days: int
) -> None:
    """Mail queued a moment ago is tried for five days that the server runs, not once; nor is it kept for a month."""
    await queue.add([entry(relay("x@far.example"), at=clock.time)])
    assert await attempt(queue) == (Fate.DEFERRED, [])
    clock.time += days * 86400
    assert (await attempt(queue))[0] is Fate.DEFERRED
    await go_on(queue, clock, 4.9 * 86400)
    assert (await attempt(queue))[0] is Fate.DEFERRED
    await go_on(queue, clock, 0.2 * 86400)
    assert await attempt(queue) == (Fate.FAILED, ["failed"])


async def test_what_nobody_tried_is_not_given_up_after_one_attempt(
    tmp_path: Path, clock: ManualClock, entropy: FixedEntropy
) -> None:
    """A server that was off for a week tries its mail for the rest of its time, and says that it is late."""
    before = QueueStore(tmp_path / "queue.db", clock, entropy)
    await before.add([entry(relay("x@far.example"), at=clock.time)])
    await go_on(before, clock, 2 * 86400)
    await before.close()
    clock.time += 7 * 86400
    queue = QueueStore(tmp_path / "queue.db", clock, entropy)
    assert await attempt(queue) == (Fate.DEFERRED, ["delayed"])
    await go_on(queue, clock, 2.9 * 86400)
    assert await attempt(queue) == (Fate.DEFERRED, [])
    await go_on(queue, clock, 0.2 * 86400)
    assert await attempt(queue) == (Fate.FAILED, ["failed"])
    await queue.close()


async def test_a_file_of_layout_1_goes_on(tmp_path: Path, clock: ManualClock, entropy: FixedEntropy) -> None:
    """Mail has its age by the clock until then."""
    old = QueueStore(tmp_path / "queue.db", clock, entropy)
    await old.add([entry(relay("x@far.example"), at=clock.time - 4 * 86400)])
    await old.close()
    with contextlib.closing(apsw.Connection(str(tmp_path / "queue.db"))) as db:
        db.execute("ALTER TABLE message DROP COLUMN came_at; DROP TABLE running; PRAGMA user_version=1")
    queue = QueueStore(tmp_path / "queue.db", clock, entropy)
    assert await attempt(queue) == (Fate.DEFERRED, ["delayed"])
    await queue.add([entry(relay("y@far.example"), record=2, at=clock.time)])
    await go_on(queue, clock, 1.1 * 86400)
    fates = {}
    for claim in await queue.claim("w", 10):
        ((waiting, result),) = await queue.settle(claim, {w.id: DEFERRED for w in claim.recipients})
        fates[waiting.recipient.address] = result.fate
    assert fates == {"x@far.example": Fate.FAILED, "y@far.example": Fate.DEFERRED}
    await queue.close()


async def test_null_sender_and_notify_never_get_no_report(queue: QueueStore) -> None:
    await queue.add(
        [
            entry(
                Fail(Recipient("a@here.example"), "", "5.1.1", "no"),
                Fail(Recipient("b@here.example", "NEVER"), SENDER, "5.1.1", "no"),
                Expand(Recipient("c@here.example", "SUCCESS"), SENDER, 3, True),
            )
        ]
    )
    (owed,) = await queue.claim_reports("w", 10)
    assert [s.action for s in owed.report.subjects] == ["expanded"]


async def test_success_is_reported_where_nobody_else_will(queue: QueueStore) -> None:
    await queue.add([entry(relay("a@far.example", "SUCCESS"), relay("b@far.example", "SUCCESS"))])
    (claim,) = await queue.claim("w", 10)
    one, two = claim.recipients
    await queue.settle(
        claim, {one.id: Result(Fate.RELAYED, "2.0.0"), two.id: Result(Fate.RELAYED_BLIND, "2.0.0", remote="mx")}
    )
    (owed,) = await queue.claim_reports("w", 10)
    assert [(s.recipient.address, s.action, s.remote) for s in owed.report.subjects] == [
        ("b@far.example", "relayed", "mx")
    ]


async def test_claims_run_out_and_are_released(queue: QueueStore, clock: ManualClock) -> None:
    await queue.add([entry(relay("x@far.example"))])
    assert await queue.claim("w1", 10)
    clock.time += CLAIM_SECONDS - 1
    await queue.renew("w1")
    clock.time += CLAIM_SECONDS - 1
    assert await queue.claim("w2", 10) == []
    assert await queue.release("w1") == 1
    assert await queue.claim("w2", 10)
    await go_on(queue, clock, CLAIM_SECONDS + 1)
    assert await queue.claim("w3", 10)


@pytest.mark.parametrize("leap", [STEP_SECONDS + 1, 365 * 86400, -365 * 86400])
async def test_a_leap_of_the_clock_ends_no_claim(queue: QueueStore, clock: ManualClock, leap: float) -> None:
    """What one worker is sending is not sent by another as well; if the first is gone, it is after a while."""
    await queue.add([entry(relay("x@far.example"), relay("y@far.example", "SUCCESS"))])
    (claim,) = await queue.claim("w1", 10)
    await queue.settle(claim, {claim.recipients[1].id: Result(Fate.RELAYED_BLIND, "2.0.0", remote="mx")})
    assert await queue.claim_reports("w1", 10)
    clock.time += leap
    assert await queue.claim_reports("w2", 10) == []
    assert await queue.claim("w2", 10) == []
    await go_on(queue, clock, 2 * CLAIM_SECONDS)
    assert await queue.claim("w2", 10)
    assert await queue.claim_reports("w2", 10)


async def test_a_clock_that_was_ahead_keeps_no_mail(queue: QueueStore, clock: ManualClock) -> None:
    """A machine that began in a wrong year tries its mail again when it knows better; what is claimed stays claimed."""
    clock.time += 365 * 86400
    await queue.add([entry(relay("a@far.example"), relay("b@far.example"), at=clock.time)])
    (claim,) = await queue.claim("w", 10)
    await queue.settle(claim, {claim.recipients[0].id: DEFERRED})
    clock.time -= 365 * 86400
    assert await queue.claim("w", 10) == []
    assert await queue.pull_back() == 1
    assert await queue.pull_back() == 0
    (again,) = await queue.claim("w2", 10)
    assert [w.recipient.address for w in again.recipients] == ["a@far.example"]
    await queue.settle(again, {w.id: DEFERRED for w in again.recipients})
    assert await queue.pull_back() == 0, "an ordinary pause is no mistake"


async def test_avoided_targets_stay(queue: QueueStore) -> None:
    await queue.add([entry(relay("x@far.example"), relay("y@near.example"))])
    (claim,) = await queue.claim("w", 10, avoid=["far.example"])
    assert [w.target for w in claim.recipients] == ["near.example"]


async def test_untried_claims_go_back_without_counting(queue: QueueStore, clock: ManualClock) -> None:
    await queue.add([entry(relay("x@far.example"))])
    (claim,) = await queue.claim("w", 10)
    await queue.put_back([claim.recipients[0].id], 30)
    assert await queue.claim("w", 10) == []
    clock.time += 31
    (claim,) = await queue.claim("w", 10)
    assert claim.recipients[0].attempts == 0


async def test_bodies_of_waiting_mail_and_owed_reports_are_live(queue: QueueStore) -> None:
    await queue.add(
        [
            entry(relay("x@far.example"), record=1),
            entry(Fail(Recipient("n@here.example"), SENDER, "5.1.1", "no"), record=2),
        ]
    )
    assert await queue.live(5) == {1, 2}
    assert await queue.live(6) == set()
    (claim,) = await queue.claim("w", 10)
    await queue.settle(claim, {claim.recipients[0].id: Result(Fate.RELAYED, "2.0.0")})
    (owed,) = await queue.claim_reports("w", 10)
    await queue.reported(owed.id)
    assert await queue.live(5) == set()


async def test_recategorized_recipients_are_replaced(queue: QueueStore) -> None:
    await queue.add([entry(Defer(Recipient("list@here.example"), SENDER, "busy"))])
    (claim,) = await queue.claim("w", 10)
    await queue.recategorized(claim, claim.recipients, [relay("x@far.example"), relay("y@far.example")])
    (claim,) = await queue.claim("w", 10)
    assert [w.target for w in claim.recipients] == ["far.example", "far.example"]


async def test_two_workers_never_claim_the_same(tmp_path: Path, clock: ManualClock, entropy: FixedEntropy) -> None:
    stores = [QueueStore(tmp_path / "queue.db", clock, entropy) for _ in range(4)]
    await stores[0].add([entry(relay(f"x{n}@far.example"), record=n) for n in range(200)])

    async def take(store: QueueStore, name: str) -> list[int]:
        got: list[int] = []
        while claims := await store.claim(name, 7):
            got += [w.id for c in claims for w in c.recipients]
        return got

    found = await asyncio.gather(*(take(s, f"w{n}") for n, s in enumerate(stores)))
    everything = [i for part in found for i in part]
    assert len(everything) == len(set(everything)) == 200
    for store in stores:
        await store.close()


async def test_a_writer_elsewhere_is_waited_for_without_blocking(queue: QueueStore, tmp_path: Path) -> None:
    await queue.add([entry(relay("x@far.example"))])
    other = apsw.Connection(str(tmp_path / "queue.db"))
    other.execute("BEGIN IMMEDIATE")
    adding = asyncio.create_task(queue.add([entry(relay("y@far.example"), record=2)]))
    await asyncio.sleep(0.05)
    assert not adding.done()
    other.execute("COMMIT")
    assert await adding == 1
    other.close()


async def test_durable_is_shared_and_follows_the_commit(queue: QueueStore, monkeypatch: pytest.MonkeyPatch) -> None:
    import postern.transport.queue_file as module

    syncs = 0
    real = module._sync_wal

    def counted(path: Path) -> None:
        nonlocal syncs
        syncs += 1
        time.sleep(0.02)
        real(path)

    monkeypatch.setattr(module, "_sync_wal", counted)
    await queue.durable()
    assert syncs == 0
    await queue.add([entry(relay("x@far.example"))])
    await asyncio.gather(*(queue.durable() for _ in range(10)))
    assert syncs == 1
    await queue.add([entry(relay("y@far.example"), record=2)])
    running = asyncio.create_task(queue.durable())
    await asyncio.sleep(0.01)
    await queue.add([entry(relay("z@far.example"), record=3)])
    await asyncio.gather(running, *(queue.durable() for _ in range(5)))
    assert syncs == 3


async def test_a_damaged_file_is_said_so(tmp_path: Path, clock: ManualClock, entropy: FixedEntropy) -> None:
    (tmp_path / "queue.db").write_bytes(b"not a database at all" * 500)
    store = QueueStore(tmp_path / "queue.db", clock, entropy)
    with pytest.raises(Refusal) as caught:
        await store.length()
    assert caught.value.reason is Reason.CORRUPT


def test_ret_and_size_decide_what_is_returned() -> None:
    def report(action: str, ret: str, size: int) -> dsn.Report:
        return dsn.Report(
            SENDER,
            "P1-1",
            "",
            ret,
            False,
            0.0,
            StoredContent(BlobRef(1, 1), size),
            (dsn.Subject(Recipient("x@far.example"), action, "5.0.0"),),
        )

    assert dsn.returns_full(report("failed", "", 1000))
    assert dsn.returns_full(report("failed", "FULL", 10_000_000))
    assert not dsn.returns_full(report("failed", "", 10_000_000))
    assert not dsn.returns_full(report("failed", "HDRS", 1000))
    assert not dsn.returns_full(report("delayed", "FULL", 1000))
