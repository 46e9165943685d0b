from __future__ import annotations

from pathlib import Path

from transport_doubles import ManualClock

from postern.transport.tracking import TraceQuery, Tracker, prune, search


def fill(directory: Path, clock: ManualClock) -> None:
    for worker in ("1", "2"):
        tracker = Tracker(directory, clock, worker)
        tracker.record(
            "RECEIVE",
            f"P{worker}-1",
            message_id=f"m{worker}@x",
            sender="Anna@here.example",
            recipients=("b@far.example", "c@far.example"),
        )
        clock.time += 10
        tracker.record("SEND", f"P{worker}-1", recipients=("b@far.example",), text="250 ok")
        tracker.record("FAIL", f"P{worker}-1", recipients=("c@far.example",), text="550 no")
        tracker.close()


def test_search_gives_every_event_of_the_messages_found(tmp_path: Path, clock: ManualClock) -> None:
    fill(tmp_path, clock)
    found = search(tmp_path, TraceQuery(message_id="<M1@x>"))
    assert [e.event for e in found] == ["RECEIVE", "SEND", "FAIL"]
    assert {e.queue_id for e in found} == {"P1-1"}
    assert len(search(tmp_path, TraceQuery(sender="anna@HERE.example"))) == 6
    assert len(search(tmp_path, TraceQuery(recipient="c@far.example", sender="anna@here.example"))) == 6
    assert search(tmp_path, TraceQuery(recipient="nobody@far.example")) == []
    assert {e.queue_id for e in search(tmp_path, TraceQuery(limit=1))} == {"P2-1"}


def test_search_by_time(tmp_path: Path, clock: ManualClock) -> None:
    start = clock.time
    fill(tmp_path, clock)
    assert {e.queue_id for e in search(tmp_path, TraceQuery(since=start + 15))} == {"P2-1"}
    assert {e.queue_id for e in search(tmp_path, TraceQuery(until=start + 5))} == {"P1-1"}


def test_a_torn_line_is_skipped_and_days_rotate(tmp_path: Path, clock: ManualClock) -> None:
    tracker = Tracker(tmp_path, clock, "1")
    tracker.record("RECEIVE", "P1-1")
    tracker.flush()
    clock.time += 86400
    tracker.record("SEND", "P1-1")
    tracker.close()
    files = sorted(tmp_path.iterdir())
    assert len(files) == 2
    with files[0].open("ab") as torn:
        torn.write(b'{"at": 1.0, "ev')
    assert [e.event for e in search(tmp_path, TraceQuery(queue_id="p1-1"))] == ["RECEIVE", "SEND"]
    assert prune(tmp_path, clock.time, days=0) == 1
    assert sorted(tmp_path.iterdir()) == files[1:]


async def test_events_appear_without_being_flushed_by_hand(tmp_path: Path, clock: ManualClock, monkeypatch) -> None:
    import asyncio

    from postern.telemetry import daily

    monkeypatch.setattr(daily, "FLUSH_SECONDS", 0.01)
    tracker = Tracker(tmp_path, clock, "1")
    tracker.record("RECEIVE", "P1-1")
    await asyncio.sleep(0.05)
    assert [e.event for e in search(tmp_path, TraceQuery())] == ["RECEIVE"]
    tracker.close()


def test_a_full_disk_loses_events_only(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "file").write_text("in the way")
    tracker = Tracker(tmp_path / "file", clock, "1")
    tracker.record("RECEIVE", "P1-1")
    tracker.close()
    assert tracker.lost == 1


def test_a_clock_that_is_set_back_gets_the_file_of_its_day(tmp_path: Path, clock: ManualClock) -> None:
    """Lines went on into the file of a day next year: nobody looked there, and nothing pruned it."""
    tracker = Tracker(tmp_path, clock, "1")
    tracker.record("RECEIVE", "P1-1")
    tracker.flush()
    clock.time -= 365 * 86_400
    tracker.record("RECEIVE", "P1-2")
    tracker.close()
    assert len(list(tmp_path.iterdir())) == 2
    assert [event.queue_id for event in search(tmp_path, TraceQuery(until=clock.time + 60))] == ["P1-2"]
