from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from transport_doubles import FixedEntropy, ManualClock, TinyDirectory

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import BlobRef, DeliveryKey, MailboxId
from postern.model.ports import MxHost
from postern.model.refusal import Reason, Refusal
from postern.model.transfer import Fate, LocalCopy, NextHop, Outgoing, Result, StoredContent
from postern.transport.outcomes import Defer, Deliver, Fail, Relay
from postern.transport.queue import QueueStore
from postern.transport.queue_admin import QueueAdmin, Selection
from postern.transport.queue_rows import NewEntry
from postern.transport.routing import Router, SendConnector, SmartHost
from postern.transport.runner import Parts, QueueRunner, RunnerSettings
from postern.transport.tracking import TraceQuery, Tracker, search

SENDER = "anna@here.example"
BODY = b"From: anna@here.example\r\nSubject: x\r\n\r\nHello\r\n"


class Post:
    """Agents, contents, resolver and submission in one: the world around the runner."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Outgoing]] = []
        self.copies: list[LocalCopy] = []
        self.submitted: list[tuple[DeliveryKey, Envelope, bytes]] = []
        self.answer: Callable[[str], Result] = lambda address: Result(Fate.RELAYED, "2.0.0", "250 ok", "mx")
        self.local = Result(Fate.DELIVERED, "2.1.5")
        self.submit_refusal: Refusal | None = None
        self.running = self.most = 0
        self.pause = 0.0
        self.closed = False

    async def send(self, next_hop: NextHop, message: Outgoing) -> list[Result]:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(self.pause)
        self.running -= 1
        self.sent.append((next_hop.name, message))
        return [self.answer(r.address) for r in message.envelope.recipients]

    async def close(self) -> None:
        self.closed = True

    async def deliver(self, copy: LocalCopy) -> Result:
        self.copies.append(copy)
        return self.local

    async def read(self, ref: BlobRef, offset: int = 0, length: int | None = None) -> bytes:
        if ref.record == 6666:
            raise OSError(5, "broken disk")
        return BODY

    async def submit(self, key: DeliveryKey, envelope: Envelope, content: bytes) -> None:
        if self.submit_refusal is not None:
            raise self.submit_refusal
        self.submitted.append((key, envelope, content))

    async def mx(self, domain: str):
        return [MxHost(10, f"mx.{domain}")]

    async def addresses(self, name: str):
        return ["192.0.2.1"]

    async def reverse(self, address: str):
        return None


class World:
    def __init__(self, data: Path, clock: ManualClock, directory: TinyDirectory) -> None:
        self.post = Post()
        self.clock = clock
        self.directory = directory
        self.data = data
        self.queue = QueueStore(data / "queue.db", clock, FixedEntropy())
        self.tracker = Tracker(data / "tracking", clock, "w")
        self.connectors: tuple[SendConnector, ...] = ()
        self.settings = RunnerSettings("mail.here.example")
        self._runner: QueueRunner | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> QueueRunner:
        post = self.post
        router = Router(self.connectors, post, FixedEntropy(), ["mail.here.example"])
        self._runner = QueueRunner(
            "w",
            Parts(
                self.queue,
                router,
                post,
                post,
                post,
                self.directory,
                post.submit,
                self.tracker,
                self.clock,
                FixedEntropy(),
            ),
            self.settings,
        )
        self._task = asyncio.create_task(self._runner.run())
        return self._runner

    async def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(3000):
            if condition():
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not happen")

    async def drained(self) -> None:
        for _ in range(3000):
            if not await self.queue.length() and not await self.queue.live(5):
                return
            if self._runner:
                self._runner.wake()
            await asyncio.sleep(0.01)
        raise AssertionError("the queue is not empty")

    async def stop(self) -> None:
        if self._runner is not None and self._task is not None:
            await self._runner.stop(1.0)
            await self._task
        await self.queue.close()
        self.tracker.close()

    def events(self) -> list[tuple[str, tuple[str, ...]]]:
        self.tracker.flush()
        return [(e.event, e.recipients) for e in search(self.data / "tracking", TraceQuery())]


@pytest.fixture
async def world(tmp_path: Path, clock: ManualClock, directory: TinyDirectory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("postern.transport.runner.POLL_SECONDS", 0.02)
    made = World(tmp_path, clock, directory)
    yield made
    await made.stop()


def relay(address: str, notify: str = "", reverse_path: str = SENDER) -> Relay:
    return Relay(Recipient(address, notify), reverse_path, address.rpartition("@")[2])


def entry(*outcomes, record: int = 1, principal: str = SENDER) -> NewEntry:
    return NewEntry(
        DeliveryKey(5, record),
        Envelope(SENDER, (), envid="E1"),
        StoredContent(BlobRef(5, record), len(BODY), b"Received: here\r\n"),
        outcomes,
        1_700_000_000.0,
        "id@here.example",
        principal,
    )


async def test_recipients_of_one_next_hop_share_a_transfer(world: World) -> None:
    await world.queue.add([entry(relay("a@far.example"), relay("b@far.example"), relay("c@near.example"))])
    world.start()
    await world.drained()
    sent = {hop: [r.address for r in m.envelope.recipients] for hop, m in world.post.sent}
    assert sent == {"far.example": ["a@far.example", "b@far.example"], "near.example": ["c@near.example"]}
    message = world.post.sent[0][1]
    assert message.content == b"Received: here\r\n" + BODY
    assert message.ours
    await world.until(lambda: ("SEND", ("a@far.example",)) in world.events())
    assert not world.post.submitted


async def test_a_smart_host_takes_all_domains_at_once(world: World) -> None:
    world.connectors = (SendConnector("smart", ("*",), (SmartHost("h"),)),)
    await world.queue.add([entry(relay("a@far.example"), relay("c@near.example"), principal="")])
    world.start()
    await world.drained()
    ((hop, message),) = world.post.sent
    assert (hop, len(message.envelope.recipients), message.ours) == ("smart", 2, False)


async def test_recipients_with_different_bounce_addresses_do_not_share(world: World) -> None:
    await world.queue.add([entry(relay("a@far.example"), relay("b@far.example", reverse_path="owner@here.example"))])
    world.start()
    await world.drained()
    assert {m.envelope.reverse_path for _, m in world.post.sent} == {SENDER, "owner@here.example"}


async def test_a_failure_gives_one_dsn_with_the_servers_words(world: World) -> None:
    world.post.answer = lambda address: (
        Result(Fate.FAILED, "5.1.1", "550 5.1.1 unknown user", "mx.far.example")
        if address.startswith("no")
        else Result(Fate.RELAYED, "2.0.0")
    )
    await world.queue.add([entry(relay("no@far.example"), relay("no2@far.example"), relay("yes@far.example"))])
    world.start()
    await world.drained()
    ((key, envelope, content),) = world.post.submitted
    assert key.segment < 0
    assert (envelope.reverse_path, [r.address for r in envelope.recipients]) == ("", [SENDER])
    for part in (b"no@far.example", b"no2@far.example", b"550 5.1.1 unknown user", b"Action: failed", b"E1"):
        assert part in content
    assert b"yes@far.example" not in content
    await world.until(lambda: [e for e, _ in world.events()].count("DSN") == 1)


async def test_a_dsn_that_cannot_be_submitted_waits_and_keeps_its_key(world: World) -> None:
    await world.queue.add([entry(Fail(Recipient("no@here.example"), SENDER, "5.1.1", "no"))])
    world.post.submit_refusal = Refusal(Reason.DISK_FULL)
    runner = world.start()
    await asyncio.sleep(0.1)
    assert await world.queue.live(5) == {1}
    world.post.submit_refusal = None
    world.clock.time += 60
    runner.wake()
    await world.drained()
    assert len(world.post.submitted) == 1


async def test_a_next_hop_that_is_down_is_tried_once_for_all_its_mail(world: World) -> None:
    world.post.answer = lambda address: Result(Fate.DEFERRED, "4.4.1", "no answer", "mx", unreachable=True)
    world.post.pause = 0.02
    world.settings = RunnerSettings("mail.here.example", transfers_per_hop=1)
    await world.queue.add([entry(relay(f"x{n}@far.example"), record=n) for n in range(1, 20)])
    world.start()
    await world.until(lambda: [e for e, _ in world.events()].count("DEFER") == 19)
    assert len(world.post.sent) == 1
    assert await world.queue.length() == 19


async def test_an_administrator_who_says_retry_need_not_wait_for_a_hop_that_was_down(world: World) -> None:
    world.post.answer = lambda address: Result(Fate.DEFERRED, "4.4.1", "no answer", "mx", unreachable=True)
    await world.queue.add([entry(relay("x@far.example"))])
    runner = world.start()
    await world.until(lambda: [e for e, _ in world.events()].count("DEFER") == 1)
    world.post.answer = lambda address: Result(Fate.RELAYED, "2.0.0", "250 ok", "mx")
    assert await QueueAdmin(world.queue.file, world.clock).retry(Selection()) == 1
    runner.wake()
    await world.drained()
    assert len(world.post.sent) == 2


async def test_concurrency_to_one_next_hop_is_limited_and_nothing_is_left(world: World) -> None:
    world.post.pause = 0.005
    world.settings = RunnerSettings("mail.here.example", transfers_per_hop=3)
    await world.queue.add([entry(relay(f"x{n}@far.example"), record=n) for n in range(30)])
    world.start()
    await world.drained()
    assert len(world.post.sent) == 30
    assert world.post.most == 3


async def test_mailbox_copies_are_delivered_and_reported(world: World) -> None:
    box = MailboxId("0" * 32)
    await world.queue.add([entry(Deliver(Recipient("anna@here.example", "SUCCESS"), "x@far.example", box))])
    world.start()
    await world.drained()
    (copy,) = world.post.copies
    assert (copy.mailbox, copy.key) == (box, DeliveryKey(5, 1))
    ((_, envelope, content),) = world.post.submitted
    assert envelope.recipients[0].address == "x@far.example"
    assert b"Action: delivered" in content


async def test_the_directory_is_asked_again(world: World) -> None:
    world.directory.group("list", "a@far.example", "anna@here.example")
    world.directory.account("anna")
    world.directory.broken.add("list@here.example")
    await world.queue.add([entry(Defer(Recipient("list@here.example"), SENDER, "busy"))])
    runner = world.start()
    await world.until(lambda: ("DEFER", ("list@here.example",)) in world.events() or world.directory.asked > 0)
    assert not world.post.sent
    world.directory.broken.clear()
    world.clock.time += 200
    runner.wake()
    await world.drained()
    assert [m.envelope.recipients[0].address for _, m in world.post.sent] == ["a@far.example"]
    assert [c.recipient.address for c in world.post.copies] == ["anna@here.example"]


async def test_a_body_that_cannot_be_read_now_is_not_lost(world: World) -> None:
    await world.queue.add([entry(relay("x@far.example"), record=6666)])
    world.start()
    await world.until(lambda: ("DEFER", ("x@far.example",)) in world.events())
    assert await world.queue.length() == 1
    assert not world.post.sent


async def test_an_attempt_that_tls_failed_for_is_known_at_the_next_and_no_later(world: World) -> None:
    answers = iter(["4.7.5", "4.4.1", "4.7.5", "2.0.0"])

    def answer(address: str) -> Result:
        status = next(answers)
        return Result(Fate.RELAYED if status == "2.0.0" else Fate.DEFERRED, status, "x")

    world.post.answer = answer
    await world.queue.add([entry(relay("a@far.example"))])
    world.start()

    def four() -> bool:
        world.clock.time += 100
        return len(world.post.sent) == 4

    await world.until(four)
    await world.drained()
    assert [m.tls_failed for _, m in world.post.sent] == [False, True, False, True]


async def test_a_slow_next_hop_does_not_stand_in_the_others_way(world: World) -> None:
    slow = [entry(relay(f"x{n}@slow.example"), record=n) for n in range(600)]
    await world.queue.add([*slow, entry(relay("a@far.example"), record=700)])
    release = asyncio.Event()
    send = world.post.send

    async def held(next_hop: NextHop, message: Outgoing) -> list[Result]:
        if next_hop.name == "slow.example":
            await release.wait()
        return await send(next_hop, message)

    world.post.send = held  # type: ignore[method-assign]
    world.start()
    await world.until(lambda: any(hop == "far.example" for hop, _ in world.post.sent))
    release.set()
    await world.drained()
    assert len(world.post.sent) == 601


async def test_what_waits_for_a_place_can_still_be_removed_or_suspended(world: World) -> None:
    world.post.pause = 0.1
    world.settings = RunnerSettings("mail.here.example", transfers_per_hop=1)
    await world.queue.add([entry(relay(f"x{n}@far.example"), record=n) for n in range(3)])
    world.start()
    await world.until(lambda: world.post.running == 1)
    admin = QueueAdmin(world.queue.file, world.clock)
    await admin.remove(Selection(recipient="x1@far.example"), notify=False)
    await admin.suspend(Selection(recipient="x2@far.example"))
    await world.until(lambda: len(world.post.sent) == 1)
    await asyncio.sleep(0.3)
    assert len(world.post.sent) == 1
    ((left,),) = [m.recipients for m in await admin.messages(Selection())]
    assert (left.address, left.state, left.attempts) == ("x2@far.example", "suspended", 0)
    await admin.resume(Selection())
    await world.drained()
    assert [m.envelope.recipients[0].address for _, m in world.post.sent] == ["x0@far.example", "x2@far.example"]


async def test_stop_gives_claims_back(world: World) -> None:
    world.post.pause = 60
    await world.queue.add([entry(relay("x@far.example"))])
    runner = world.start()
    await world.until(lambda: world.post.running == 1)
    await runner.stop(0.05)
    assert world.post.closed
    assert len(await world.queue.claim("other", 10)) == 1


async def test_a_predecessor_of_the_same_name_leaves_nothing_behind(world: World) -> None:
    await world.queue.add([entry(relay("x@far.example"))])
    assert await world.queue.claim("w", 10)
    world.start()
    await world.drained()
    assert len(world.post.sent) == 1


async def test_a_failing_sync_ends_the_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken() -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(world.queue, "durable", broken)
    await world.queue.add([entry(relay("x@far.example"))])
    world.start()
    assert world._task is not None
    with pytest.raises(OSError, match="Input/output"):
        await asyncio.wait_for(world._task, 60)
    world._runner = None
