"""GetStreamingEvents (MS-OXWSNTIF 3.1.4.2): one answer of many envelopes, each written when something has happened."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from postern.frontends.ews import happening, subscribing
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.frontends.ews.happening import Missed
from postern.frontends.ews.subscribing import Subscription
from postern.frontends.http.asgi import Receive, Scope, Send
from postern.model.ids import ChangeNumber
from postern.model.refusal import Refusal
from postern.protocols.ews import notification_xml, responses, watermarks
from postern.protocols.ews.message_facts import instant
from postern.protocols.ews.notification_requests import GetStreamingEvents
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.ews.watermarks import Watermark
from postern.protocols.soap.writing import attribute

BEAT_S = 30.0
"""A sign of life for clients and what lies between; the places of streams are written down as often."""
MINUTE_S = 60.0
SETTLE_S = 0.05
"""What happens within it is told together."""
Kinds = TypeVar("Kinds", frozenset[str], frozenset[int] | None)
_MESSAGE = "GetStreamingEventsResponseMessage"
_FIELDS = ((b"content-type", b"text/xml; charset=utf-8"),)


@lru_cache(maxsize=1024)
def _same(one: Kinds) -> Kinds:
    """Something equal; of thousands of subscriptions most are to the same folders and events."""
    return one


class _Line:
    """One subscription of a stream."""

    def __init__(self, id_: str, key: str, found: Subscription, box: Box) -> None:
        self.id = id_
        self.key = key
        self.found = msgspec.structs.replace(found, folders=_same(found.folders), events=_same(found.events))
        self.box = box
        self.mark: Watermark = watermarks.unpack(found.mark)
        self.seen: ChangeNumber | None = None
        """Of the mailbox, when everything up to it had been told."""
        self.told = False
        """Something, since its place was written down."""


class Stream:
    """An answer that goes on; an application by itself."""

    def __init__(self, call: Call, lines: Sequence[_Line], seconds: float) -> None:
        self._call = call
        self._lines = lines
        self._seconds = seconds
        self._stirred = False
        """Something may have happened since anybody looked."""
        self._waiter: asyncio.Future[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Returns at the end of the time, or when the client is gone."""
        turn = scope["state"].get("turn")
        if turn is not None:
            turn.release()  # waiting is no work
        # there are thousands of streams, and they last: none keeps more than it needs, a password least of all
        scope["headers"].clear()
        await send({"type": "http.response.start", "status": 200, "headers": list(_FIELDS)})
        closing = scope["state"].get("closing")
        gone: asyncio.Future[Any] = asyncio.ensure_future(receive()) if closing is None else closing()
        gone.add_done_callback(self._go_on)
        unwatch = [box.access.subscribe_changes(self._stir) for box in {one.box for one in self._lines}]
        try:
            with contextlib.suppress(ConnectionError):  # the client is gone: its next connection goes on from here
                await self._tell(send, gone)
                await send({"type": "http.response.body", "body": b""})
        finally:
            for stop in unwatch:
                stop()
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await gone
        with contextlib.suppress(Refusal):
            await self._remember()

    def _stir(self) -> None:
        self._stirred = True
        self._go_on()

    def _go_on(self, _: object = None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _tell(self, send: Send, gone: asyncio.Future[Any]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        beat = loop.time() + BEAT_S
        await _write(send, _status("OK"))
        while True:
            self._stirred = False
            try:
                told = await self._news()
            except Missed:
                code = "ErrorMissedNotificationEvents"
                await _write(send, responses.error(_MESSAGE, code, "Some events are lost. Synchronise, and subscribe."))
                return
            except Refusal:
                await _write(send, responses.error(_MESSAGE, "ErrorAccessDenied", "The mailbox cannot be read now."))
                return
            now = loop.time()
            if told:
                await _write(send, responses.success(_MESSAGE, f"<m:Notifications>{told}</m:Notifications>"))
            elif now >= end:
                await _write(send, _status("Closed"))
                return
            elif now >= beat:
                beat = now + BEAT_S
                await _write(send, self._sign_of_life())
                await self._remember()
            told = ""
            if not await self._pause(gone, min(beat, end) - now):
                return

    def _sign_of_life(self) -> str:
        idle = "".join(notification_xml.notification(one.id, notification_xml.status("")) for one in self._lines)
        return responses.success(_MESSAGE, f"<m:Notifications>{idle}</m:Notifications>")

    async def _pause(self, gone: asyncio.Future[Any], seconds: float) -> bool:
        """Until something happens, or it is time; False: the client is gone."""
        if not self._stirred and not gone.done():
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_later(max(0.0, seconds), self._go_on)
            try:
                await self._waiter
            finally:
                self._waiter = None
                timer.cancel()
        if gone.done():
            return False
        if self._stirred:
            await asyncio.sleep(SETTLE_S)
        return True

    async def _news(self) -> str:
        at = instant(int(self._call.services.clock.timestamp()))
        told = []
        for line in self._lines:
            # shared memory tells it: a sign of life has to open no mailbox
            number = await line.box.access.change_number()
            if number == line.seen:
                continue
            happened = await happening.since(line.box, line.mark, line.found.folders, line.found.events)
            line.box.forget()
            line.mark = happened.mark
            line.seen = None if happened.more else number
            if happened.more:
                self._stirred = True
            if happened.events:
                line.told = True
                rows = "".join(notification_xml.event(one, "", at) for one in happened.events)
                told.append(notification_xml.notification(line.id, rows))
        return "".join(told)

    async def _remember(self) -> None:
        for line in self._lines:
            place = watermarks.pack(line.mark)
            line.found = await subscribing.used(self._call, line.key, line.found, place, told=line.told)
            line.told = False


async def get_streaming_events(call: Call, request: GetStreamingEvents) -> str | Stream:
    """GetStreamingEvents: a stream, or the error of the subscriptions that are none."""
    lines: list[_Line] = []
    bad: list[str] = []
    why: EwsViolation | None = None
    for id_ in request.subscriptions:
        try:
            key, found = await subscribing.find(call, id_, "streaming")
            lines.append(_Line(id_, key, found, await subscribing.watched(call, found)))
        except EwsViolation as violation:
            bad.append(id_)
            why = why or violation
    if why is not None:
        named = "".join(f"<m:SubscriptionId>{attribute(one)}</m:SubscriptionId>" for one in bad if one)
        listed = f"<m:ErrorSubscriptionIds>{named}</m:ErrorSubscriptionIds>" if named else ""
        error = responses.error(_MESSAGE, why.code, why.text, listed)
        return responses.response("GetStreamingEvents", error)
    return Stream(call, lines, request.minutes * MINUTE_S)


def _status(word: str) -> str:
    return responses.success(_MESSAGE, f"<m:ConnectionStatus>{word}</m:ConnectionStatus>")


async def _write(send: Send, message: str) -> None:
    envelope = responses.envelope(responses.response("GetStreamingEvents", message))
    await send({"type": "http.response.body", "body": envelope, "more_body": True})
