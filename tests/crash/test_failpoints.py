"""Every failpoint kills a real process, again and again, on the same data: nothing promised is lost or doubled.

Each life is a forked process that replays what the one before left, checks all promises, then works until the failpoint
kills it with SIGKILL. What it was promised goes to the parent over a pipe, before and after each operation.
"""

import asyncio
import os
import pickle
import random
import signal
import struct

import pytest

from crash.model import Promises, Traffic
from crash.organisation import TickingClock, Worker
from postern.store import failpoints
from postern.store.journal.collect import Collector
from postern.store.journal.layout import journal_directory
from postern.store.journal.marks import orphans

HITS = int(os.environ.get("POSTERN_FAILPOINT_HITS", "20"))
HITS_ON_DATA = 7
LATEST = dict.fromkeys(("gc.copied", "gc.replaced", "gc.removed", "mark.forgotten"), 2)
"""At which hit of a life it dies at the latest, where hits are dear; else at the fourth."""
ROUNDS = 100
"""Rounds of traffic in which a failpoint has to be hit once."""
HELD_ROUNDS = 15
"""The same where mail for elsewhere holds segments, and a failpoint that needs them free is seldom hit at all."""


def die_at(name, hit, log):
    """Actions for `failpoints.configure`: SIGKILL at the n-th hit."""
    left = [hit]

    def action():
        left[0] -= 1
        if left[0] <= 0:
            log("hit", None, None)
            os.kill(os.getpid(), signal.SIGKILL)

    return {name: action}


async def live(data, promises, rng, name, log):
    worker = Worker(data, segment_bytes=1 << 14)
    worker.flow.start()
    journals = journal_directory(data)
    for journal in orphans(journals):
        if journal != worker.journal.id:
            await worker.flow.replay(journal)
    await worker.settled()
    await worker.drain_queue()
    await promises.check(worker)
    outside = rng.random() < 0.3
    traffic = Traffic(worker, promises, rng, lambda: True, outside=outside)
    collector = Collector(journals, [worker.store.live, worker.queue_live], dead_share=0.01)
    # what happens only then is met sooner, before mailboxes are full of mail that all has to be looked at
    freeing = name.startswith(("gc", "mark"))
    often = 0.8 if freeing else 0.3
    for number in range(HELD_ROUNDS if freeing and outside else ROUNDS):
        if name.startswith("replay") and number > 2:
            # it is hit at the start or not at all: leave something for the next one
            await asyncio.wait_for(traffic.run(20), rng.random() / 100)
        await traffic.run(rng.randint(1, 12))
        if rng.random() < often:
            await worker.settled()
            await worker.flow.advance_mark()
            await collector.collect()


def one_life(data, promises, rng, name):
    """Run a process until it dies; whether it met the failpoint."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)

            def log(*event):
                text = pickle.dumps(event)
                os.write(writing, struct.pack("<I", len(text)) + text)

            promises.log = log
            latest = 1 if name.startswith("replay") else LATEST.get(name, 4)
            failpoints.configure(die_at(name, rng.randint(1, latest), log))
            asyncio.run(live(data, promises, rng, name, log))
        except TimeoutError:
            os.kill(os.getpid(), signal.SIGKILL)
        except BaseException:
            import traceback

            log("trouble", None, traceback.format_exc())
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    hit = False
    while len(told) >= 4:
        (length,) = struct.unpack_from("<I", told)
        field, key, value = pickle.loads(told[4 : 4 + length])
        told = told[4 + length :]
        if field == "trouble":
            pytest.fail(f"{name}: {value}")
        elif field == "hit":
            hit = True
        else:
            promises.note(field, key, value)
    return hit


def one_data(room, rng, seed, name, wanted):
    """Lives on the same data until the failpoint was met so often; then somebody who lives checks the last promises.

    How many messages were accepted: by chance none where each life ends before its first sync.
    """
    promises = Promises()

    async def create():
        worker = Worker(room)
        await worker.create()
        await worker.close()

    asyncio.run(create())
    hits = life = 0
    while hits < wanted:
        assert life < 3 * wanted + 10, f"{name} was hit {hits} times in {life} lives"
        TickingClock.seconds += 1000
        rng.seed(seed + life)
        hits += one_life(room, promises, rng, name)
        life += 1
    failpoints.configure({})

    async def finish():
        worker = Worker(room)
        worker.flow.start()
        for journal in orphans(journal_directory(room)):
            if journal != worker.journal.id:
                await worker.flow.replay(journal)
        await worker.settled()
        await worker.drain_queue()
        await promises.check(worker)
        await worker.close()

    TickingClock.seconds += 1000
    asyncio.run(finish())
    return len(promises.accepted)


@pytest.mark.crash
@pytest.mark.slow(2)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", failpoints.NAMES)
def test_dying_there_loses_nothing_and_doubles_nothing(name, room):
    seed = int(os.environ.get("POSTERN_SEED", "0")) or random.randrange(1 << 32)
    print(f"POSTERN_SEED={seed}")
    rng = random.Random(seed)
    left = HITS
    accepted = 0
    while left > 0:
        # each life looks at all that was promised before: twice as many hits on the same data cost four times as much
        data = room / str(left)
        data.mkdir()
        accepted += one_data(data, rng, seed + left * 1000, name, min(left, HITS_ON_DATA))
        left -= HITS_ON_DATA
    assert accepted
