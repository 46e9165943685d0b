"""Replay of any journals in any order is exactly-once, with garbage collection in between."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crash.organisation import MAILBOXES, Worker, content, inventory
from postern.model.items import SpecialUse
from postern.store.interface import FlagChange
from postern.store.journal.collect import Collector
from postern.store.journal.layout import journal_directory
from postern.store.journal.marks import orphans
from postern.transport.queue_rows import Work

ANNA, BORIS, CHEN = MAILBOXES
TO = {
    "one": [ANNA],
    "two": [ANNA, BORIS],
    "doubled": [ANNA, ANNA, BORIS],
    "group": ["all@example.org"],
    "group and member": [BORIS, "all@example.org", CHEN],
    "elsewhere": ["x@y.example"],
    "both": [CHEN, "x@y.example"],
}
REACHES = {
    "one": [ANNA],
    "two": [ANNA, BORIS],
    "doubled": [ANNA, BORIS],
    "group": [ANNA, BORIS],
    "group and member": [ANNA, BORIS, CHEN],
    "elsewhere": [],
    "both": [CHEN],
}

_LIFE = st.fixed_dictionaries(
    {
        "applies": st.booleans(),
        "mark": st.booleans(),
        "messages": st.lists(st.sampled_from(sorted(TO)), max_size=12),
        "after_mark": st.lists(st.sampled_from(sorted(TO)), max_size=4),
        "deletes": st.booleans(),
    }
)


class History:
    """What was promised: by mailbox the numbers that must be there once, and what was deleted since."""

    def __init__(self) -> None:
        self.next = 0
        self.promised: dict[str, Counter[int]] = {address: Counter() for address in MAILBOXES}
        self.relayed = 0

    async def send(self, worker: Worker, kind: str) -> None:
        number = self.next
        self.next += 1
        await worker.submit(number, TO[kind], size=900)
        for address in REACHES[kind]:
            self.promised[address][number] += 1
        self.relayed += kind in ("elsewhere", "both")

    async def delete_half(self, worker: Worker) -> None:
        """Expunge and purge every second message that Anna has, so that there is something to collect."""
        box = await worker.store.mailbox(MAILBOXES[ANNA])
        inbox = (await box.special(SpecialUse.INBOX)).id
        found = await inventory(worker, ANNA)
        doomed = sorted(found)[::2]
        for uid in doomed:
            self.promised[ANNA][found[uid][0]] -= 1
        ranges = [(uid, uid) for uid in doomed]
        await box.set_flags(inbox, ranges, FlagChange(add=8))
        await box.expunge(inbox, ranges)
        await box.purge_recoverable(worker.clock.timestamp() + 10)
        await box.durable()

    async def check(self, worker: Worker) -> None:
        for address, promised in self.promised.items():
            there = Counter(number for number, *_ in (await inventory(worker, address)).values())
            assert there == +promised


async def collect(worker: Worker) -> None:
    await Collector(journal_directory(worker.data), [worker.store.live, worker.queue_live], dead_share=0).collect()
    worker.blobs.trim()


async def live(data: Path, lives: list[dict], order: list[int]) -> None:
    history = History()
    dead: list[Worker] = []
    async with contextlib.AsyncExitStack() as stack:
        for number, life in enumerate(lives):
            worker = Worker(data, segment_bytes=4096)
            stack.push_async_callback(worker.die)
            if not number:
                await worker.create()
            if life["applies"]:
                worker.flow.start()
            for kind in life["messages"]:
                await history.send(worker, kind)
            if life["applies"]:
                await worker.settled()
                if life["deletes"]:
                    await history.delete_half(worker)
                if life["mark"]:
                    await worker.flow.advance_mark()
            for kind in life["after_mark"]:
                await history.send(worker, kind)
            await collect(worker)
            dead.append(worker)
    journals = journal_directory(data)
    waiting = sorted(orphans(journals), key=lambda journal: order[journal % len(order)])
    last = Worker(data, epoch=2, segment_bytes=4096)
    if all(life["applies"] and not life["after_mark"] for life in lives):
        last.directory.members = (CHEN,)  # what was decided before must not be decided again
    try:
        last.flow.start()
        for journal in waiting:
            await last.flow.replay(journal)
            await collect(last)
        for journal in waiting:  # once more is not once too often
            with contextlib.suppress(FileNotFoundError):  # collected
                await last.flow.replay(journal)
        await last.settled()
        await history.check(last)
        await last.flow.advance_mark()
        await collect(last)
        await history.check(last)
        claims = await last.queue.claim("test", 1000)
        relays = [waiting for claim in claims for waiting in claim.recipients if waiting.work is not Work.MAILBOX]
        assert len(relays) == history.relayed
        for claim in claims:
            assert content(0, 0).split(b"\r\n")[0] in await last.blobs.read(claim.content.blob)
        assert orphans(journals) == []
    finally:
        await last.close()
    assert last.failures == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(_LIFE, min_size=1, max_size=4), st.permutations(range(5)))
def test_replay_is_exactly_once_in_any_order(lives, order):
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(live(Path(name), lives, order))
