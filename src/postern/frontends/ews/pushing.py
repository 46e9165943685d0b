"""Push notifications: requests that this server sends to whom a subscription names (MS-OXWSNTIF 3.1.4.3).

One process of the machine sends; when it ends, another takes over. What is to be sent lies in the mailboxes of the
subscribers, so nothing is forgotten: a notification whose answer was never seen is sent again after a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple, Protocol

from postern.frontends.ews import happening, subscribing
from postern.frontends.ews.call import Call, Services
from postern.frontends.ews.happening import Missed
from postern.frontends.ews.subscribing import Subscription
from postern.model.ids import MailboxId
from postern.model.refusal import Refusal
from postern.protocols.ews import notification_xml, push_xml, responses, watermarks
from postern.protocols.ews.message_facts import instant
from postern.protocols.ews.push_xml import MESSAGE, OK, UNSUBSCRIBE
from postern.protocols.ews.versions import Version
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.watermarks import Watermark
from postern.services.calendar.posting import LOCAL
from postern.services.push_register import PushRegister

LOOK_S = 1.0
"""How often the process that sends looks whether somebody has subscribed, and others whether it is still there."""
MINUTE_S = 60.0
FIRST_PAUSE_S = 30.0
"""After the first failure; doubled after each. What fails for longer than StatusFrequency is given up."""
SETTLE_S = 0.05
AT_ONCE = 20
"""Requests under way."""
AGAIN_S = 60.0
"""After a mistake of ours, or while a mailbox cannot be read."""
_ELECTION = MailboxId("0" * 32)


class Posting(Protocol):
    """net.posting.Poster."""

    async def post(self, url: str, body: bytes, fields: Mapping[str, str]) -> bytes:
        """The body of a good answer. Raises OSError."""
        ...


class Election(Protocol):
    """store.sqlite.claims.Claims: which process sends."""

    def take(self, mailbox: MailboxId) -> bool:
        """False if another one does."""
        ...

    def give(self, mailbox: MailboxId) -> None:
        """Let it go."""
        ...


class _Told(NamedTuple):
    """What a round has to send: nothing, or a request."""

    body: bytes | None
    mark: Watermark
    more: bool
    last: bool = False
    """Afterwards the subscription ends."""


class Pushing:
    """One a worker; only one of them sends."""

    def __init__(self, services: Services, register: PushRegister, election: Election, poster: Posting) -> None:
        self._services = services
        self._register = register
        self._election = election
        self._poster = poster
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._subscribers: dict[MailboxId, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """For ever; cancel it to stop."""
        while not self._election.take(_ELECTION):  # noqa: ASYNC110 - other processes hold it, no event tells
            await asyncio.sleep(LOOK_S)
        try:
            while True:
                for mailbox in await self._register.all():
                    known = self._subscribers.get(mailbox)
                    if known is None or known.done():
                        self._subscribers[mailbox] = asyncio.create_task(self._kept(partial(self._subscriber, mailbox)))
                await asyncio.sleep(LOOK_S)
        finally:
            await _end(self._subscribers.values())
            self._election.give(_ELECTION)

    async def _kept(self, work: Callable[[], Awaitable[None]]) -> None:
        """A mistake in one place stops no other."""
        try:
            await work()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._services.log.error("ews.push_failed", exc_info=error)
            await asyncio.sleep(AGAIN_S)

    async def _call(self, mailbox: MailboxId) -> Call | None:
        """As the subscriber; None: there is no such account, or it may do nothing now."""
        principal = await self._services.identities.principal(mailbox)
        return None if principal is None else Call(self._services, principal, Version.EXCHANGE_2013_SP1, LOCAL)

    async def _subscriber(self, mailbox: MailboxId) -> None:
        """All of one subscriber's subscriptions, until there is none any more."""
        call = await self._call(mailbox)
        if call is None:
            await self._absent(mailbox)
            return
        box = await call.box()
        woken = asyncio.Event()
        stop = box.access.subscribe_changes(woken.set)
        lines: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                woken.clear()
                known = await subscribing.pushed(box)
                await _end([lines.pop(key) for key in list(lines) if key not in known])
                for key, found in known.items():
                    if key not in lines or lines[key].done():
                        line = _Line(self, mailbox, key, found)
                        lines[key] = asyncio.create_task(self._kept(line.run))
                if not known:
                    await self._register.remove(mailbox)
                    if not await subscribing.pushed(box):
                        return
                    # somebody has subscribed in between
                    await self._register.add(mailbox)
                await _woken(woken, AGAIN_S)
                await asyncio.sleep(SETTLE_S)
        finally:
            stop()
            await _end(lines.values())

    async def _absent(self, mailbox: MailboxId) -> None:
        """An account that is disabled may come back, one that is gone does not."""
        try:
            await self._services.identities.owner(mailbox)
        except Refusal:
            await self._register.remove(mailbox)
        else:
            await asyncio.sleep(AGAIN_S)

    async def post(self, url: str, body: bytes) -> bytes:
        """Raises OSError."""
        async with self._slots:
            return await self._poster.post(url, body, push_xml.FIELDS)

    async def open(self, mailbox: MailboxId) -> Call | None:
        """For one round of a subscription."""
        return await self._call(mailbox)

    @property
    def services(self) -> Services:
        """What the worker has."""
        return self._services


class _Line:
    """One subscription."""

    def __init__(self, pushing: Pushing, mailbox: MailboxId, key: str, found: Subscription) -> None:
        self._pushing = pushing
        self._mailbox = mailbox
        self._key = key
        self._found = found
        self._mark = watermarks.unpack(found.mark)
        self._said = self._mark
        """The last one that the client knows; rounds without an event get past it."""
        self._id = watermarks.subscription_id(mailbox, key)
        self._woken = asyncio.Event()
        self._stop: Callable[[], None] | None = None

    async def run(self) -> None:
        """Until it ends."""
        try:
            await self._run()
        finally:
            if self._stop is not None:
                self._stop()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()  # the first sign of life at once: it shows whether anybody is there
        while True:
            self._woken.clear()
            call = await self._pushing.open(self._mailbox)
            if call is None or not self._pushing.services.push.may(self._found.url):
                return
            try:
                told = await self._news(call, idle=loop.time() >= due)
            except (Refusal, EwsViolation) as problem:
                # a right that is gone ends it; what is only so for now does not
                if isinstance(problem, Refusal) and problem.reason.temporary:
                    await asyncio.sleep(AGAIN_S)
                    continue
                await self._ended(call, str(problem))
                return
            if told.body is not None:
                said = await self._delivered(told.body)
                if said != OK or told.last:
                    await self._ended(call, said or "no answer")
                    return
                due = loop.time() + self._found.minutes * MINUTE_S
                self._said = told.mark
                await subscribing.reached(call, self._key, watermarks.pack(told.mark))
            self._mark = told.mark
            if not told.more:
                await _woken(self._woken, due - loop.time())
                await asyncio.sleep(SETTLE_S)

    async def _news(self, call: Call, *, idle: bool) -> _Told:
        found = self._found
        box = await subscribing.watched(call, found)
        if self._stop is None:
            self._stop = box.access.subscribe_changes(self._woken.set)
        before = watermarks.pack(self._said)
        try:
            happened = await happening.since(box, self._mark, found.folders, found.events)
        except Missed:
            lost = notification_xml.notification(self._id, notification_xml.status(before), before, more=False)
            said = "Some events are lost. Synchronise, and subscribe."
            message = responses.error(MESSAGE, "ErrorMissedNotificationEvents", said, lost)
            return _Told(push_xml.send_notification(message), self._mark, False, last=True)
        if not happened.events and not idle:
            return _Told(None, happened.mark, happened.more)
        after = watermarks.pack(happened.mark)
        at = instant(int(call.services.clock.timestamp()))
        rows = "".join(notification_xml.event(one, after, at) for one in happened.events)
        told = notification_xml.notification(
            self._id, rows or notification_xml.status(after), before, more=happened.more
        )
        body = push_xml.send_notification(responses.success(MESSAGE, told))
        return _Told(body, happened.mark, happened.more)

    async def _delivered(self, body: bytes) -> str:
        """OK, Unsubscribe; empty: nobody has answered for as long as was agreed."""
        pause, waited = FIRST_PAUSE_S, 0.0
        while True:
            try:
                return push_xml.result(await self._pushing.post(self._found.url, body))
            except (OSError, EwsViolation) as problem:
                self._log("ews.push_unanswered", reason=str(problem)[:200])
            if waited + pause > self._found.minutes * MINUTE_S:
                return ""
            await asyncio.sleep(pause)
            waited += pause
            pause *= 2

    async def _ended(self, call: Call, reason: str) -> None:
        self._log("ews.push_ended", reason="asked to" if reason == UNSUBSCRIBE else reason)
        await subscribing.forget(call, self._key)

    def _log(self, event: str, reason: str) -> None:
        self._pushing.services.log.info(event, mailbox=self._mailbox, url=self._found.url, reason=reason)


async def _woken(event: asyncio.Event, seconds: float) -> None:
    # not wait_for: in Python 3.11 it may lose a cancellation that comes with the event
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(seconds, 0.0)):
            await event.wait()


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    ended = list(tasks)
    for task in ended:
        task.cancel()
    await asyncio.gather(*ended, return_exceptions=True)
