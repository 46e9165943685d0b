"""When a batch of deliveries goes: at once, or in company."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from postern.model.envelope import Envelope, Recipient
from postern.model.ids import BlobRef, MailboxId
from postern.services import local_delivery
from postern.services.accepted import Accepted, AcceptHeader
from postern.services.local_delivery import LocalDelivery
from postern.services.mailflow_settings import MailflowSettings
from postern.store.interface import Delivered
from postern.transport.outcomes import Deliver

LONG_S = 3600.0
MAILBOX = MailboxId("0" * 32)


class Rig:
    """A store that notes its batches, a journal that notes what is applied, a tracking log that forgets."""

    def __init__(self, linger_s: float) -> None:
        self.batches: list[int] = []
        self.applied_count = 0
        self.progress = asyncio.Event()
        self.delivery = LocalDelivery(self, self, MailflowSettings("localhost", linger_s=linger_s), self.unable)  # type: ignore[arg-type]
        self.number = 0

    async def deliver(self, batch):
        self.batches.append(len(batch))
        return [Delivered(None)] * len(batch)

    def applied(self, ref):
        self.applied_count += 1
        self.progress.set()

    def record(self, *_, **__):
        pass

    def unable(self, message, outcome, error):
        raise AssertionError(error)

    def put(self, count: int, content: bytes = b"Subject: x\r\n\r\n") -> None:
        for _ in range(count):
            self.number += 1
            recipient = Recipient("ann@example.org")
            header = AcceptHeader(Envelope("", (recipient,)), 0.0)
            message = Accepted(self, BlobRef(1, self.number), header, content, None)  # type: ignore[arg-type]
            message.left = 1
            self.delivery.put(message, [Deliver(recipient, "", MAILBOX)])

    async def until(self, count: int) -> None:
        async with asyncio.timeout(60):
            while self.applied_count < count:
                self.progress.clear()
                await self.progress.wait()


@asynccontextmanager
async def running(linger_s=LONG_S):
    rig = Rig(linger_s)
    task = asyncio.ensure_future(rig.delivery.run())
    try:
        yield rig
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def patient(monkeypatch):
    """A batch under load that waited for anything but its size would wait for ever."""
    monkeypatch.setattr(local_delivery, "BATCH_MESSAGES", 20)
    monkeypatch.setattr(local_delivery, "BATCH_BYTES", 1000)
    monkeypatch.setattr(local_delivery, "PAUSE_S", LONG_S)
    monkeypatch.setattr(local_delivery, "_BUSY_S", LONG_S)


async def test_without_load_everything_goes_at_once(patient):
    async with running() as rig:
        for count in range(1, 4):
            rig.put(1)
            await rig.until(count)
        assert rig.batches == [1, 1, 1]


async def test_under_load_a_batch_goes_when_it_is_full(patient):
    async with running() as rig:
        rig.put(10)
        await rig.until(10)
        rig.put(20)
        await rig.until(30)
        assert rig.batches == [10, 20]


async def test_under_load_a_batch_goes_when_it_is_large(patient):
    async with running() as rig:
        rig.put(10)
        await rig.until(10)
        rig.put(1, b"Subject: x\r\n\r\n" + b"x" * 1000)
        await rig.until(11)


async def test_under_load_a_batch_goes_when_nothing_more_comes(patient, monkeypatch):
    monkeypatch.setattr(local_delivery, "PAUSE_S", 0.001)
    async with running() as rig:
        rig.put(10)
        await rig.until(10)
        rig.put(3)
        await rig.until(13)
        assert rig.batches == [10, 3]


async def test_under_load_a_batch_goes_after_a_while(patient, monkeypatch):
    monkeypatch.setattr(local_delivery, "PAUSE_S", 0.001)
    async with running(linger_s=0.01) as rig:
        rig.put(10)
        await rig.until(10)
        ended = asyncio.Event()

        async def steadily():
            while not ended.is_set() and rig.number < 5000:
                rig.put(1, b"\r\n")
                await asyncio.sleep(0)

        monkeypatch.setattr(local_delivery, "BATCH_MESSAGES", 1 << 30)
        monkeypatch.setattr(local_delivery, "BATCH_BYTES", 1 << 30)
        task = asyncio.ensure_future(steadily())
        await rig.until(11)
        ended.set()
        await task


@pytest.mark.parametrize(("count", "per_s", "lingers"), [(64, 0.001, 4), (63, 0.001, 1), (64, 1e12, 1)])
async def test_a_flood_is_told_by_how_many_come_and_how_fast(patient, monkeypatch, count, per_s, lingers):
    """Slowly gathered, 64 are none: a longer wait would make its own flood."""
    monkeypatch.setattr(local_delivery, "_FLOOD_PER_S", per_s)
    monkeypatch.setattr(local_delivery, "BATCH_MESSAGES", 1000)
    waits: list[int] = []

    async def noted(_self: LocalDelivery, until: float) -> None:
        waits.append(round((until - asyncio.get_running_loop().time()) / LONG_S))

    monkeypatch.setattr(LocalDelivery, "_linger", noted)
    async with running() as rig:
        rig.put(count)
        await rig.until(count)
        assert not waits
        rig.put(1)
        await rig.until(count + 1)
        assert waits == [lingers]
