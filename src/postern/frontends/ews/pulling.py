"""GetEvents (MS-OXWSNTIF 3.1.4.1)."""

from __future__ import annotations

from postern.frontends.ews import happening, subscribing
from postern.frontends.ews.call import Call
from postern.frontends.ews.happening import Missed
from postern.protocols.ews import notification_xml, responses, watermarks
from postern.protocols.ews.message_facts import instant
from postern.protocols.ews.notification_requests import GetEvents
from postern.protocols.ews.violation import EwsViolation


async def get_events(call: Call, request: GetEvents) -> str:
    """GetEvents."""

    async def one(asked: GetEvents) -> str:
        mark = watermarks.unpack(asked.watermark)
        key, found = await subscribing.find(call, asked.subscription, "pull")
        box = await subscribing.watched(call, found)
        try:
            happened = await happening.since(box, mark, found.folders, found.events)
        except Missed:
            raise EwsViolation("ErrorInvalidWatermark", "The watermark is too old. Subscribe anew.") from None
        await subscribing.used(call, key, found)
        after = watermarks.pack(happened.mark)
        at = instant(int(call.services.clock.timestamp()))
        # whoever stops in the middle goes on from the beginning: an event twice is better than none
        marks = [asked.watermark] * (len(happened.events) - 1) + [after]
        rows = [notification_xml.event(one, place, at) for one, place in zip(happened.events, marks, strict=False)]
        return notification_xml.notification(
            asked.subscription,
            "".join(rows) or notification_xml.status(after),
            asked.watermark,
            more=happened.more,
        )

    return responses.response("GetEvents", await call.each("GetEventsResponseMessage", [request], one))
