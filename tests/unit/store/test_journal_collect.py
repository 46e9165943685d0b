"""Garbage collection never frees what anything refers to, and frees the rest."""

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_world import ManualClock

from postern.model.ids import BlobRef
from postern.model.refusal import Reason, Refusal
from postern.store.blobs import SegmentBlobs
from postern.store.journal.collect import Collector, collectable, is_pinned, pin
from postern.store.journal.layout import allocate_journal, bodies, segment_path, segments
from postern.store.journal.marks import orphans
from postern.store.journal.records import Kind
from postern.store.journal.writer import Journal


async def reread(path, refs):
    """Bodies as a process sees them that has just started."""
    with contextlib.closing(SegmentBlobs(path)) as blobs:
        return await blobs.read_many(refs)


async def written(path, contents, close=True):
    journal = Journal(path, allocate_journal(path), ManualClock(), print, segment_bytes=4096)
    refs = {}
    for number, size in enumerate(contents):
        body = b"%d:" % number + b"x" * size
        refs[await journal.append(Kind.ACCEPT, b"header", body)] = body
    if close:
        for ref in refs:
            journal.applied(ref)
        await journal.close(journal.low_water()._replace(closed=True))
    return journal, refs


def answers(*sets):
    """What successive rounds of asking say."""
    rounds = list(sets)

    async def live(numbers):
        current = rounds.pop(0) if len(rounds) > 1 else rounds[0]
        found = {}
        for segment, record in current:
            found.setdefault(segment, set()).add(record)
        return found

    return live


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 1800), min_size=1, max_size=25), st.data())
def test_what_lives_stays_and_what_is_dead_goes(sizes, data):
    async def run():
        with tempfile.TemporaryDirectory() as name:
            path = Path(name)
            _, refs = await written(path, sizes)
            blobs = SegmentBlobs(path)
            before = await blobs.read_many(list(refs))
            living = set(refs)
            for _ in range(3):
                living = {ref for ref in living if data.draw(st.booleans())}
                await Collector(path, [answers(living)], dead_share=0).collect()
                there = [refs[ref] for ref in sorted(living)]
                assert await blobs.read_many(sorted(living)) == there
                assert await reread(path, sorted(living)) == there
                blobs.trim()
                for ref in refs.keys() - living:
                    with pytest.raises(Refusal):
                        await reread(path, [ref])
                assert set(segments(path)) == {ref.segment for ref in living}
                assert set(bodies(path)) <= living
            assert before == list(refs.values())
            blobs.close()

    asyncio.run(run())


async def test_few_dead_bodies_go_when_their_segment_has_rested_long_enough(tmp_path):
    _, refs = await written(tmp_path, [1000, 1000, 5])
    living = set(list(refs)[:2])
    (segment,) = segments(tmp_path)
    (dead,) = refs.keys() - living
    os.utime(segment_path(tmp_path, segment), (5000, 5000))
    assert (await Collector(tmp_path, [answers(living)]).collect()).rewritten == 0
    assert (await Collector(tmp_path, [answers(living)], rested_before=5000).collect()).rewritten == 0
    assert (await Collector(tmp_path, [answers(living)], rested_before=5001).collect()).rewritten == 1
    assert await reread(tmp_path, sorted(living)) == [refs[ref] for ref in sorted(living)]
    with pytest.raises(Refusal):
        await reread(tmp_path, [dead])
    # rewritten is written: the next few bodies wait again
    assert segment_path(tmp_path, segment).stat().st_mtime > 5001
    os.utime(segment_path(tmp_path, segment), (5000, 5000))
    assert (await Collector(tmp_path, [answers(living)], rested_before=5001).collect()).rewritten == 0


async def test_a_reference_that_wanders_is_found_in_the_second_round(tmp_path):
    _, refs = await written(tmp_path, [500] * 3)
    (first, *_) = refs
    await Collector(tmp_path, [answers(set(), {first})], dead_share=0).collect()
    assert await reread(tmp_path, [first]) == [refs[first]]


async def test_everybody_is_asked(tmp_path):
    _, refs = await written(tmp_path, [100, 1500, 100])
    one, two, _ = refs
    await Collector(tmp_path, [answers({one}), answers({two})], dead_share=0).collect()
    assert await reread(tmp_path, [one, two]) == [refs[one], refs[two]]


async def test_who_cannot_be_asked_stops_it(tmp_path):
    _, refs = await written(tmp_path, [500] * 3)

    async def unable(numbers):
        raise Refusal(Reason.CORRUPT)

    with pytest.raises(Refusal):
        await Collector(tmp_path, [answers(set()), unable]).collect()
    assert await reread(tmp_path, list(refs)) == list(refs.values())


async def test_nothing_above_the_mark_is_collected(tmp_path):
    journal, refs = await written(tmp_path, [900] * 20, close=False)
    assert collectable(tmp_path) == []
    for ref in list(refs)[:-1]:
        journal.applied(ref)
    await journal.advance(journal.low_water())
    last = list(refs)[-1]
    assert collectable(tmp_path) == [n for n in segments(tmp_path) if n < last.segment]
    await Collector(tmp_path, [answers(set())]).collect()
    assert await reread(tmp_path, [last]) == [refs[last]]
    assert segments(tmp_path) == [last.segment]
    await journal.close()
    assert orphans(tmp_path) == [journal.id]


async def test_a_pin_holds_it_off(tmp_path):
    _, refs = await written(tmp_path, [500] * 3)
    async with pin(tmp_path, "backup"):
        assert is_pinned(tmp_path)
        await Collector(tmp_path, [answers(set())]).collect()
        assert await reread(tmp_path, list(refs)) == list(refs.values())
    (tmp_path / "pins" / "of-a-dead-process").touch()
    assert not is_pinned(tmp_path)
    collected = await Collector(tmp_path, [answers(set())]).collect()
    assert collected.freed_bytes > 1500
    assert segments(tmp_path) == []


async def test_an_unsealed_segment_of_a_closed_journal_is_left_alone(tmp_path):
    _, refs = await written(tmp_path, [500] * 3)
    (number,) = {ref.segment for ref in refs}
    path = tmp_path / f"{number:016x}.seg"
    path.write_bytes(path.read_bytes()[:-10])
    await Collector(tmp_path, [answers({BlobRef(number, 1)})], dead_share=0).collect()
    assert (await reread(tmp_path, [BlobRef(number, 1)]))[0].startswith(b"1:")
