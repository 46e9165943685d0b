"""A forked process: how it begins, tells that it is ready, and is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable

import msgspec
import uvloop

from postern.store.sqlite import connection
from postern.telemetry import log

READY = b"R"
EXIT_JOURNAL_FAILED = 75
"""The journal's disk failed: the process ended on purpose, so that its journal is replayed."""


class Wishes:
    """What the supervisor (or its death) asks of a process."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        """Finish commands in flight and end."""
        self.linger = False
        """Set before `stop`: a successor serves new connections; let open ones end by themselves for a while."""
        self.orphaned = False
        """The supervisor died: a new one may wait for us to go."""
        self.peer_died: Callable[[], None] = lambda: None
        """Called when another process died: it may have committed without telling anybody."""
        self.hurry = asyncio.Event()
        """While lingering: asked to stop once more."""

    async def second_stop(self, busy: Callable[[], bool]) -> None:
        """While lingering: until nothing is busy any more, or somebody asks again."""
        while busy() and not self.hurry.is_set():
            with contextlib.suppress(TimeoutError):
                # not wait_for: in Python 3.11 it may lose a cancellation that comes with the event
                async with asyncio.timeout(0.2):
                    await self.hurry.wait()


class Slot(msgspec.Struct):
    """What a process is given at its fork."""

    name: str
    """`worker-0`, `background`: in logs."""
    process: int
    """Number among living processes: bit on the bus, row of the metrics."""
    journal: int
    """Id of the journal that belongs to this start."""


class Pipes(msgspec.Struct):
    """Pipes between the supervisor and one process."""

    ready: int
    """Written to by the process."""
    life: int
    """Read by the process: its end is the supervisor's end."""


_M_ARENA_MAX = -8
"""malloc.h."""
_WISHES = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals by which a process is asked something."""


def fork(main: Callable[[Wishes, Callable[[], None]], Awaitable[int]], life: tuple[int, int]) -> tuple[int, int]:
    """Start a process that runs `main(wishes, tell_ready)`; its id and the reading end of its ready pipe.

    Raises OSError.
    """
    ready_read, ready_write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # what is asked of the process before its loop listens waits until it does
    signal.pthread_sigmask(signal.SIG_BLOCK, _WISHES)
    try:
        pid = os.fork()
    except OSError:
        os.close(ready_read)
        os.close(ready_write)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WISHES)
        raise
    if pid:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WISHES)
        os.close(ready_write)
        return pid, ready_read
    code = 70
    try:
        os.close(ready_read)
        os.close(life[1])
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor tells us
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _use_one_heap()
        connection.configure()
        code = _run(main, Pipes(ready_write, life[0]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _use_one_heap() -> None:
    """Have threads allocate where the loop does; before the first of them starts.

    The GNU C library gives each thread a heap of its own otherwise, and what one thread has freed no other takes: after
    work on large folders that was 10 to 15 MB a process. Threads hardly ever allocate at the same time, because of the
    interpreter's lock. Other C libraries have no such call.
    """
    set_option: Callable[[int, int], int] | None = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, 1)


def _run(main: Callable[[Wishes, Callable[[], None]], Awaitable[int]], pipes: Pipes) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_main(main, pipes))


async def _main(main: Callable[[Wishes, Callable[[], None]], Awaitable[int]], pipes: Pipes) -> int:
    loop = asyncio.get_running_loop()
    wishes = Wishes()

    def orphaned() -> None:
        loop.remove_reader(pipes.life)
        wishes.orphaned = True
        stop()

    def stop() -> None:
        wishes.hurry.set()
        wishes.stop.set()

    def linger() -> None:
        wishes.linger = True
        wishes.stop.set()

    def tell_ready() -> None:
        gc.collect()
        gc.freeze()
        os.write(pipes.ready, READY)
        os.close(pipes.ready)

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGUSR1, linger)
    loop.add_signal_handler(signal.SIGUSR2, lambda: wishes.peer_died())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _WISHES)
    loop.add_reader(pipes.life, orphaned)
    loop.set_exception_handler(_report)
    return await main(wishes, tell_ready)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    error = context.get("exception")
    text = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else None
    log.logger().error("loop.exception", message=str(context.get("message")), exception=text)
