"""One HTTP connection: requests in, one after the other, each answered by the application it is meant for."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable
from typing import Any

from postern.frontends.http.asgi import Admission, Answer, Surroundings
from postern.frontends.http.body import Body
from postern.frontends.http.budget import Budgets, Turn
from postern.frontends.http.cycle import Cycle, scope_of
from postern.frontends.http.gate import Gate
from postern.frontends.http.hold import Hold
from postern.frontends.http.response import Writer
from postern.frontends.http.settings import HttpSettings
from postern.frontends.http.site import Mount, Site
from postern.frontends.http.statuses import RETRY_AFTER_S, STATUSES
from postern.frontends.ports import Stream
from postern.model.ports import Clock
from postern.model.refusal import Refusal
from postern.protocols.http.session import HttpViolation, Limits, RequestHead, Session

LINGER_S = 1.0
"""After an answer to a request whose body is not wanted: so long its octets are taken and dropped, because a reset
would take the answer away from the client."""
LINGER_BYTES = 4 * 1024 * 1024
WAIT_FOR_END_S = 86400.0
_AHEAD_BYTES = 65536
"""Octets of further requests taken while an application works."""
_UNSPOKEN = frozenset({"TRACE", "CONNECT"})
"""TRACE would show a page's script the cookies and credentials that it must not see."""


class Shared:
    """What all connections of a front end use."""

    def __init__(
        self,
        settings: HttpSettings,
        site: Site,
        gate: Gate | None,
        clock: Clock,
        log: Any,
        served: Callable[[str, str], Awaitable[bool]] | None = None,
        counted: Callable[[int], None] = lambda status: None,
    ) -> None:
        """Without a gate every mount lets anybody in.

        `served` says whether a host name is one of ours, given the address of ours that the connection came to; None:
        any is. `counted` is called with each answer's status.
        """
        self.settings = settings
        self.site = site
        self.gate = gate
        self.clock = clock
        self.log = log
        self.served = served
        self.counted = counted
        self.writer = Writer(settings.hsts_s)
        self.budgets = Budgets(settings.user_concurrency, settings.user_per_minute, clock.monotonic)
        self.limits = Limits(settings.head_bytes, settings.fields)


class Connection:
    """State of one connection."""

    __slots__ = ("_ahead", "_hold", "_loop", "_session", "_shared", "_stream")

    def __init__(self, shared: Shared, stream: Stream, correlation: str) -> None:
        self._shared = shared
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._session = Session(shared.limits)
        self._hold = None if shared.gate is None else Hold(shared.gate.authentication, stream)
        self._ahead = correlation

    async def run(self) -> None:
        """Until one side has enough. Raises TimeoutError, ConnectionError."""
        while True:
            try:
                head = await self._next_head()
                if head is None:
                    return
                going_on = await self._serve(head)
            except HttpViolation as violation:
                self._shared.log.info(
                    "http.violation", session=self._ahead, peer=self._stream.peer[0], reason=str(violation)
                )
                await self._last(violation.status)
                return
            if not going_on:
                return
            self._session.release()

    def release(self) -> None:
        """Forget who was signed in."""
        if self._hold is not None:
            self._hold.close()

    async def _next_head(self) -> RequestHead | None:
        """None at the end, or when nothing comes. A head that has begun has to be whole in time, octets or not."""
        settings, session, loop = self._shared.settings, self._session, self._loop
        deadline = loop.time() + settings.idle_timeout_s
        begun = False
        while True:
            event = session.next_event()
            if isinstance(event, RequestHead):
                return event
            if not begun and not session.idle:
                begun = True
                deadline = loop.time() + settings.head_timeout_s
            try:
                data = await self._stream.read(max(0.0, deadline - loop.time()))
            except TimeoutError:
                if begun:
                    await self._last(408)
                return None
            if not data:
                return None
            session.feed(data)

    async def _serve(self, head: RequestHead) -> bool:
        """Answer one request; whether the connection goes on."""
        shared, settings = self._shared, self._shared.settings
        mount, admission = await self._admit(head)
        limit = settings.body_bytes
        if isinstance(mount, Mount) and mount.access.body_bytes is not None:
            limit = mount.access.body_bytes
        body = Body(self._session, self._stream, head, settings, limit)
        cycle = self._cycle(head, body)
        if isinstance(mount, Answer):
            await cycle.run(mount, {}, [], close=mount.status in (400, 421))
        elif not isinstance(turn := self._turn(mount, admission), Turn):
            await cycle.run(turn, {}, admission.fields, close=False)
        else:
            surroundings = Surroundings(
                settings.listener, head.host, self._stream.peer, self._stream.local, self._stream.tls, self._ahead
            )
            state = {"admission": admission, "surroundings": surroundings, "turn": turn, "closing": cycle.closing}
            scope = scope_of(head, self._stream, mount.prefix, state)
            try:
                if not await self._run(cycle, mount, scope, admission):
                    return False
            finally:
                turn.release()
        shared.counted(cycle.status)
        if cycle.keeps and await body.discard():
            return True
        if not body.done:
            await self._linger()
        return False

    def _turn(self, mount: Mount, admission: Admission) -> Turn | Answer:
        """A place within the budget of whoever asks, or the answer that there is none."""
        principal = admission.principal
        if principal is None or not mount.access.budgeted:
            return Turn(None)
        turn = self._shared.budgets.enter(principal.account)
        if isinstance(turn, Turn):
            return turn
        self._shared.log.info("http.over_budget", session=self._ahead, user=principal.address, path=mount.prefix)
        if mount.busy is not None:
            return mount.busy(turn)
        # RFC 9110 10.2.3: whole seconds
        return Answer(503, b"Too many requests.\n", fields=((b"retry-after", b"%d" % math.ceil(turn)),))

    def _cycle(self, head: RequestHead, body: Body) -> Cycle:
        now = self._shared.clock.timestamp()
        timeout_s = self._shared.settings.write_timeout_s
        return Cycle(head, body, self._stream, self._shared.writer, self._until_gone, now, timeout_s)

    async def _admit(self, head: RequestHead) -> tuple[Mount | Answer, Admission]:
        """Who answers, and to whom."""
        shared, nobody = self._shared, Admission()
        if head.method in _UNSPOKEN:
            return Answer(405, fields=((b"allow", b"GET, HEAD, POST, OPTIONS"),)), nobody
        if shared.served is not None and head.host and not await shared.served(head.host, self._stream.local[0]):
            shared.log.info("http.unknown_host", session=self._ahead, peer=self._stream.peer[0], host=head.host)
            return Answer(421, b"This server is not asked by that name.\n"), nobody
        mount = shared.site.find(head.target.path)
        if mount is None:
            return Answer(404, b"Nothing is here.\n"), nobody
        if shared.gate is None or self._hold is None:
            return mount, nobody
        admitted = await shared.gate.admit(head, self._stream, self._hold, mount.access, self._ahead)
        return (admitted, nobody) if isinstance(admitted, Answer) else (mount, admitted)

    async def _run(self, cycle: Cycle, mount: Mount, scope: Any, admission: Admission) -> bool:
        """Let the application answer; False if the connection cannot go on. An application's error is an answer."""
        shared = self._shared
        try:
            await cycle.run(mount.application, scope, admission.fields, close=False)
        except Refusal as refusal:
            status = STATUSES[refusal.reason]
            shared.log.info("http.refused", session=self._ahead, path=scope["path"], reason=str(refusal))
        except (ConnectionError, TimeoutError, HttpViolation):
            raise
        except Exception as error:
            shared.log.error("http.failed", session=self._ahead, path=scope["path"], exc_info=error)
            status = 500
        else:
            return True
        shared.counted(status)
        if cycle.status:
            self._stream.abort()  # half an answer must not look like a whole one
        else:
            await self._last(status)
        return False

    async def _last(self, status: int) -> None:
        """An answer of our own, after which the connection ends."""
        shared = self._shared
        text = b"" if status == 401 else b"The request cannot be served.\n"
        fields = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(text))]
        if status in (429, 503):
            fields.append((b"retry-after", b"%d" % RETRY_AFTER_S))
        secure, now = self._stream.tls is not None, shared.clock.timestamp()
        self._stream.write(shared.writer.head(status, fields, secure=secure, close=True, now=now) + text)
        with contextlib.suppress(ConnectionError, TimeoutError):
            await self._stream.drain(shared.settings.write_timeout_s)
        await self._linger()

    async def _linger(self) -> None:
        """Take what still comes for a moment."""
        end, size = self._loop.time() + LINGER_S, 0
        with contextlib.suppress(ConnectionError, TimeoutError):
            while size < LINGER_BYTES and (data := await self._stream.read(max(0.0, end - self._loop.time()))):
                size += len(data)

    async def _until_gone(self) -> None:
        """Until the client closes the connection or is signed out; a little of what it sends meanwhile is kept."""
        ahead = 0
        self._session.release()  # it may be a long time
        try:
            while ahead < _AHEAD_BYTES and (data := await self._stream.read(WAIT_FOR_END_S)):
                ahead += len(data)
                self._session.feed(data)
            if ahead >= _AHEAD_BYTES:
                await asyncio.Event().wait()
        except ConnectionError:
            return
