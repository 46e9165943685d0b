"""Mapped windows: what is sent from the page cache without having been read."""

import asyncio
import mmap
import os
import socket

import pytest
from store_world import ManualClock

from postern.store import windows
from postern.store.blobs import SegmentBlobs
from postern.store.journal.layout import allocate_journal, segment_path
from postern.store.journal.records import Kind
from postern.store.journal.writer import Journal
from postern.store.windows import Windows

PAGE = mmap.PAGESIZE
MIB = 1 << 20


@pytest.fixture
def file(tmp_path):
    """Descriptor and content of a file of two small windows and something."""
    content = os.urandom(64 * PAGE + 777)
    path = tmp_path / "file"
    path.write_bytes(content)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor, content
    os.close(descriptor)


@pytest.fixture
def small(monkeypatch):
    """Windows of 32 pages that reach 4 into the next."""
    monkeypatch.setattr(windows, "WINDOW_BYTES", 32 * PAGE)
    monkeypatch.setattr(windows, "OVERLAP_BYTES", 4 * PAGE)


def absent(monkeypatch, page):
    """mincore says that the page of this number, counted from the first it is asked for, is on disk."""
    real = windows._mincore

    def without(address, length, array):
        result = real(address, length, array)
        if page < -(-length // PAGE):
            array[page] = b"\0"
        return result

    monkeypatch.setattr(windows, "_mincore", without)


def test_views_show_the_file(file, small):
    descriptor, content = file
    shown = Windows()
    pieces = [(0, 1), (5, 3 * PAGE), (31 * PAGE, 35 * PAGE), (32 * PAGE - 1, 36 * PAGE), (33 * PAGE, 40 * PAGE)]
    for start, end in [*pieces, (64 * PAGE, len(content))]:
        view = shown.view(7, descriptor, start, end)
        assert view is not None
        assert view == content[start:end]
        assert view.readonly
    assert len(shown) == 3


def test_what_ends_outside_a_window_or_the_file_is_not_shown(file, small):
    descriptor, content = file
    shown = Windows()
    assert shown.view(7, descriptor, 3, 36 * PAGE + 1) is None
    assert shown.view(7, descriptor, 60 * PAGE, len(content) + 1) is None
    assert shown.view(7, descriptor, 400 * PAGE, 401 * PAGE) is None
    assert shown.view(7, descriptor, 5, 5) is None


def test_a_file_that_grows_is_mapped_anew(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"a" * 100)
    descriptor = os.open(path, os.O_RDONLY)
    shown = Windows()
    first = shown.view(1, descriptor, 0, 100)
    with path.open("ab") as more:
        more.write(b"b" * 3 * PAGE)
    assert shown.view(1, descriptor, 90, 100 + 3 * PAGE) == b"a" * 10 + b"b" * 3 * PAGE
    assert first == b"a" * 100
    assert len(shown) == 1
    os.close(descriptor)


@pytest.mark.parametrize("page", [0, 2, 4])
def test_a_page_on_disk_hides_the_whole(file, monkeypatch, page):
    descriptor, content = file
    absent(monkeypatch, page)
    shown = Windows()
    assert shown.view(7, descriptor, 10, 4 * PAGE + 10) is None
    assert shown.view(7, descriptor, 10, 11) == (None if page == 0 else content[10:11])


def test_there_are_only_so_many_and_views_outlive_them(file, small):
    descriptor, content = file
    shown = Windows(most=2)
    held = shown.view(1, descriptor, 0, 100)
    for number in range(2, 9):
        assert shown.view(number, descriptor, 0, 100) == content[:100]
        assert len(shown) <= 2
    assert held == content[:100]


def test_unused_windows_go(file):
    descriptor, content = file
    shown = Windows()
    held = shown.view(1, descriptor, 0, 100)
    shown.view(2, descriptor, 0, 100)
    shown.trim()
    assert len(shown) == 2
    shown.view(2, descriptor, 0, 100)
    shown.trim()
    assert len(shown) == 1
    shown.trim()
    assert len(shown) == 0
    assert held == content[:100]


def test_without_mincore_nothing_is_shown(file, monkeypatch):
    monkeypatch.setattr(windows, "_mincore", None)
    assert Windows().view(1, file[0], 0, 100) is None


async def filled(path, sizes):
    journal = Journal(path, allocate_journal(path), ManualClock(), on_failure=lambda error: pytest.fail(str(error)))
    bodies = [os.urandom(size) for size in sizes]
    refs = await asyncio.gather(*(journal.append(Kind.ACCEPT, b"header", body) for body in bodies))
    return journal, bodies, refs


@pytest.mark.parametrize("page", [0, 9, 10_000])
async def test_bodies_to_send_are_the_same_wherever_they_come_from(tmp_path, small, monkeypatch, page):
    sizes = [(n * 7919) % 30_000 + 1 for n in range(60)] + [2 * MIB, 5 * PAGE, 900_000, 1]
    journal, bodies, refs = await filled(tmp_path, sizes)
    blobs = SegmentBlobs(tmp_path)
    absent(monkeypatch, page)
    for order in (refs, refs[::-1], refs[::2]):
        expected = [bodies[refs.index(ref)] for ref in order]
        assert await blobs.read_views(order, to_send=True) == expected
        assert await blobs.read_views(order) == expected
    await journal.close()
    assert await blobs.read_views(refs, to_send=True) == bodies
    blobs.close()


async def test_segments_that_are_replaced_or_gone_are_let_go(tmp_path):
    journal, bodies, refs = await filled(tmp_path, [20_000] * 20)
    await journal.close()
    blobs = SegmentBlobs(tmp_path)
    held = await blobs.read_views(refs, to_send=True)
    path = segment_path(tmp_path, refs[0].segment)
    path.with_suffix(".new").write_bytes(path.read_bytes())
    path.with_suffix(".new").replace(path)
    blobs.trim()
    assert len(blobs._windows) == 0
    assert held == bodies
    assert await blobs.read_views(refs, to_send=True) == bodies
    blobs.close()
    assert len(blobs._windows) == 0
    assert held == bodies


async def test_a_segment_that_lost_its_end_costs_a_connection_and_no_process(tmp_path):
    journal, _, refs = await filled(tmp_path, [60_000] * 10)
    await journal.close()
    blobs = SegmentBlobs(tmp_path)
    views = await blobs.read_views(refs, to_send=True)
    os.truncate(segment_path(tmp_path, refs[0].segment), 200_000)
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        with pytest.raises(OSError, match="Bad address"):
            near.send(views[9])
    blobs.close()
