"""The runner of outboxes: nothing waits for what has nothing to do with it."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from postern.model.refusal import Reason, Refusal
from postern.services.assistants import runner
from postern.services.assistants.runner import OutboxRunner
from postern.store.interface import OutboxEntry


class Boxes:
    """Store and claims: each mailbox has entries by number."""

    def __init__(self, **entries: int) -> None:
        self.entries = {name: list(range(count)) for name, count in entries.items()}
        self.claimed: set[str] = set()

    async def mailbox(self, name):
        return Box(self, name)

    def take(self, name) -> bool:
        return name not in self.claimed

    def give(self, name) -> None:
        """Nothing is kept."""


class Box:
    def __init__(self, boxes, name):
        self.id, self._boxes = name, boxes

    async def outbox(self, limit):
        return [OutboxEntry(number, "work", b"", 0, 0, b"", 0) for number in self._boxes.entries[self.id]]

    async def settle(self, numbers):
        self._boxes.entries[self.id] = [one for one in self._boxes.entries[self.id] if one not in numbers]


@pytest.fixture
async def started():
    tasks = []

    def start(boxes, handler):
        made = OutboxRunner(boxes, boxes)
        made.register("work", handler)
        tasks.append(made.start())
        return made

    yield start
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_is_woken_during_work_is_done_right_after_it(started):
    boxes, done = Boxes(anna=1, boris=1), asyncio.Event()

    async def work(mailbox, entry):
        if mailbox.id == "anna":
            made.wake("boris")
            await asyncio.sleep(0.01)
        else:
            done.set()

    made = started(boxes, work)
    made.wake("anna")
    await asyncio.wait_for(done.wait(), runner.RETRY_S / 3)


async def test_nothing_waits_for_a_mailbox_that_fails(started, monkeypatch):
    boxes, done, tried = Boxes(anna=1, boris=1), asyncio.Event(), []

    async def work(mailbox, entry):
        if mailbox.id == "anna":
            tried.append(mailbox.id)
            raise Refusal(Reason.DISK_FULL)
        done.set()

    made = started(boxes, work)
    made.wake("anna")
    while not tried:
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.01)
    made.wake("boris")
    await asyncio.wait_for(done.wait(), runner.RETRY_S / 3)
    assert tried == ["anna"], "it is not tried again with everything else"


async def test_a_claimed_mailbox_and_one_that_failed_are_tried_again(started, monkeypatch):
    monkeypatch.setattr(runner, "RETRY_S", 0.02)
    boxes, done, tried = Boxes(anna=1, boris=1), asyncio.Event(), []
    boxes.claimed.add("boris")

    async def work(mailbox, entry):
        tried.append(mailbox.id)
        if mailbox.id == "anna" and len(tried) < 3:
            raise Refusal(Reason.TRY_LATER)
        if mailbox.id == "boris":
            done.set()

    made = started(boxes, work)
    made.wake("boris")
    made.wake("anna")
    while len(tried) < 3:
        await asyncio.sleep(0.005)
    boxes.claimed.clear()
    await asyncio.wait_for(done.wait(), 60)
    assert boxes.entries["anna"] == []
