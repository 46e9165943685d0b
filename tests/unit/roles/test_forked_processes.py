"""Forked processes: what is asked of them at once, and what cannot be started now."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap
import time

import pytest

from postern.roles import children
from postern.roles.children import Child, Children, Role

ASKED_AT_ONCE = """
    import asyncio, os, signal, sys
    from postern.roles import process

    signal.signal(signal.SIGTERM, lambda *_: None)  # as the supervisor has it
    fork = os.fork

    def fork_and_ask():
        pid = fork()
        if not pid:
            os.kill(os.getpid(), signal.SIGTERM)
        return pid

    async def main(wishes, tell_ready):
        async with asyncio.timeout(60):
            await wishes.stop.wait()
        return 0

    process.os.fork = fork_and_ask
    pid, _ = process.fork(main, os.pipe())
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_process_that_is_asked_to_stop_at_its_birth_stops():
    """SIGTERM between fork and loop ran the supervisor's handler in the child: nobody heard it."""
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(ASKED_AT_ONCE)], capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr.decode()


ONE_HEAP = """
    import asyncio, ctypes, os, sys, threading
    from postern.roles import process

    C = ctypes.CDLL(None)
    C.malloc.restype = ctypes.c_void_p
    C.malloc.argtypes = [ctypes.c_size_t]

    def places(count):
        found = [C.malloc(50_000) for _ in range(count)]
        assert all(found)
        heap = [line.split()[0].split("-") for line in open("/proc/self/maps") if line.endswith("[heap]\\n")]
        return {any(int(low, 16) <= place < int(high, 16) for low, high in heap) for place in found}

    async def main(wishes, tell_ready):
        here = await asyncio.to_thread(places, 20)
        return 0 if here == {True} else 7

    pid, _ = process.fork(main, os.pipe())
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not the GNU C library")
def test_threads_allocate_where_the_loop_does():
    """A heap of its own keeps what a thread has freed from everybody else."""
    ended = subprocess.run([sys.executable, "-c", textwrap.dedent(ONE_HEAP)], capture_output=True, timeout=60)
    assert ended.returncode == 0, ended.stderr.decode()


class _Log:
    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, object]]] = []

    def info(self, event: str, **values: object) -> None:
        self.lines.append((event, values))

    error = info


class _Metrics:
    """Nothing is counted."""


def test_a_process_that_cannot_be_started_now_is_tried_again(monkeypatch):
    """A full disk has no room for a journal: the server's other processes must not end for that."""
    monkeypatch.setattr(children, "BACKOFF_MAX_S", 0.05)
    log, asked = _Log(), []

    def start(role: Role, process: int) -> Child:
        asked.append(role)
        if len(asked) < 3:
            raise OSError(28, "No space left on device")
        return Child(role, process, os.getpid(), -1, time.monotonic())

    family = Children(start, _Metrics(), log)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="No space left"):
        family.start(Role("worker", 0))
    family.replace_all([Role("worker", 0)], 60.0)
    assert not family.alive
    end = time.monotonic() + 10
    while not family.alive and time.monotonic() < end:
        family.restart_due()
    assert (family.alive, len(asked)) == (True, 3)
    assert [event for event, _ in log.lines] == ["process.not_started", "process.started"]
