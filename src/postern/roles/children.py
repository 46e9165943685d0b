"""The supervisor's processes: started, watched, restarted with growing pauses, replaced, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from postern.roles.bus import PROCESSES
from postern.roles.gauges import ServerMetrics
from postern.roles.process import READY, Wishes, fork

BACKOFF_FIRST_S = 0.05
BACKOFF_MAX_S = 10.0
STABLE_S = 10.0
"""A process that lived this long did not crash because of its start: it is started again at once."""
START_ATTEMPTS = 5
"""Crashes in a row before a server that was never ready gives up."""

Main = Callable[[Wishes, Callable[[], None]], Awaitable[int]]


class Role(NamedTuple):
    """What a process is."""

    kind: str
    number: int

    @property
    def label(self) -> str:
        """In logs."""
        return self.kind if self.kind == "background" else f"{self.kind}-{self.number}"


BACKGROUND = Role("background", 0)


class Child(msgspec.Struct):
    """A living process."""

    role: Role
    process: int
    pid: int
    ready_pipe: int
    started: float
    is_ready: bool = False
    retired: bool = False
    """A successor took its role over; nobody starts it again."""
    stop_at: float = 0.0
    """Retired: when it is asked to end its last connections."""


class Children:
    """All processes of a server."""

    def __init__(self, start: Callable[[Role, int], Child], metrics: ServerMetrics, log: Any) -> None:
        self._start = start
        self._metrics = metrics
        self._log = log
        self._alive: dict[int, Child] = {}
        self._roles: dict[Role, int] = {}
        """Wanted roles and their crashes in a row."""
        self._due: dict[Role, float] = {}
        self._life = os.pipe()
        self._stopping = False
        self.clean = True
        """No process died but by our wish."""
        self.failed_start = ""

    @property
    def alive(self) -> bool:
        """Whether any process is left."""
        return bool(self._alive)

    @property
    def all_ready(self) -> bool:
        """Whether every wanted role is served."""
        ready = {child.role for child in self._alive.values() if child.is_ready and not child.retired}
        return ready >= set(self._roles)

    def fork(self, role: Role, process: int, main: Main, prepare: Callable[[], None]) -> Child:
        """Fork; `prepare` runs in the child before its loop."""
        foreign = [child.ready_pipe for child in self._alive.values() if not child.is_ready]

        def in_child(wishes: Wishes, tell_ready: Callable[[], None]) -> Awaitable[int]:
            for descriptor in foreign:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
            prepare()
            self._metrics.registry.activate(process)
            return main(wishes, tell_ready)

        pid, pipe = fork(in_child, self._life)
        return Child(role, process, pid, pipe, time.monotonic())

    def start(self, role: Role) -> None:
        """Start a role's process now. Raises OSError: there is no room for its journal, or no memory for a fork."""
        self._roles.setdefault(role, 0)
        self._due.pop(role, None)
        used = {child.process for child in self._alive.values()}
        process = next(number for number in range(1, PROCESSES) if number not in used)
        child = self._start(role, process)
        self._alive[child.pid] = child
        self._log.info("process.started", role=role.label, pid=child.pid)

    def ready_pipes(self) -> list[int]:
        """Descriptors that become readable when a process is ready or gone."""
        return [child.ready_pipe for child in self._alive.values() if child.ready_pipe >= 0]

    def note_ready(self, descriptor: int) -> None:
        """A ready pipe is readable."""
        for child in self._alive.values():
            if child.ready_pipe == descriptor:
                child.is_ready = os.read(descriptor, 1) == READY
                os.close(descriptor)
                child.ready_pipe = -1
                if child.is_ready:
                    self._retire_predecessors(child)

    def _retire_predecessors(self, successor: Child) -> None:
        for child in self._alive.values():
            if child.role == successor.role and child.pid != successor.pid and child.retired and child.stop_at < 0:
                self._retire(child, -child.stop_at)

    def _retire(self, child: Child, linger_s: float) -> None:
        child.stop_at = time.monotonic() + linger_s
        self._signal(child, signal.SIGUSR1)

    def reap(self) -> None:
        """Bury what has ended, plan restarts."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            child = self._alive.pop(pid, None)
            if child is None:
                continue
            if child.ready_pipe >= 0:
                os.close(child.ready_pipe)
            self._metrics.registry.forget(child.process)
            self._bury(child, status)

    def _bury(self, child: Child, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        expected = code == 0 and (self._stopping or child.retired)
        if expected:
            self._log.info("process.ended", role=child.role.label, pid=child.pid)
            return
        self.clean = False
        self._log.error("process.died", role=child.role.label, pid=child.pid, status=code)
        for other in self._alive.values():
            self._signal(other, signal.SIGUSR2)
        if self._stopping or child.retired or child.role not in self._roles:
            return
        lived = time.monotonic() - child.started
        crashes = self._roles[child.role] = 1 if child.is_ready and lived > STABLE_S else self._roles[child.role] + 1
        if not child.is_ready and crashes >= START_ATTEMPTS:
            self.failed_start = child.role.label
        pause = 0.0 if crashes == 1 else min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** (crashes - 2))
        self._due[child.role] = time.monotonic() + pause
        self._metrics.restarts.add()

    def restart_due(self) -> None:
        """Start what is due; end the last connections of retired processes whose time is over."""
        now = time.monotonic()
        for role, due in list(self._due.items()):
            if due <= now:
                self._start_or_wait(role)
        for child in self._alive.values():
            if child.retired and 0 < child.stop_at <= now:
                child.stop_at = now + 3600
                self._signal(child, signal.SIGTERM)

    def replace_all(self, roles: Sequence[Role], linger_s: float) -> None:
        """After a reload: a successor for each role; what it replaces retires when it is ready."""
        for child in self._alive.values():
            if child.retired:
                continue
            child.retired = True
            child.stop_at = -linger_s
        gone = set(self._roles) - set(roles)
        self._roles = dict.fromkeys(roles, 0)
        self._due.clear()
        for child in self._alive.values():
            if child.role in gone and child.stop_at < 0:
                self._retire(child, linger_s)
        for role in roles:
            self._start_or_wait(role)

    def _start_or_wait(self, role: Role) -> None:
        """On a full disk the others go on serving: what cannot be started now is tried again."""
        try:
            self.start(role)
        except OSError as error:
            self._log.error("process.not_started", role=role.label, reason=str(error), again_in_s=BACKOFF_MAX_S)
            self._due[role] = time.monotonic() + BACKOFF_MAX_S

    def stop_all(self) -> None:
        """Ask all processes to finish and end."""
        self._stopping = True
        self._due.clear()
        for child in self._alive.values():
            self._signal(child, signal.SIGTERM)

    def kill_all(self) -> None:
        """Their grace is over."""
        for child in self._alive.values():
            self._log.warning("process.killed", role=child.role.label, pid=child.pid)
            self._signal(child, signal.SIGKILL)

    def _signal(self, child: Child, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, number)
