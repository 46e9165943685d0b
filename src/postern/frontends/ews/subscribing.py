"""Subscribe and Unsubscribe (MS-OXWSNTIF 3.1.4.4, 3.1.4.5).

A subscription is a setting of the subscriber's own mailbox, so that every worker knows it and it survives a restart.
It holds where a stream has got to; a pull subscription's place is the watermark that the client brings.
"""

from __future__ import annotations

import msgspec

from postern.frontends.ews import happening, places, search_folders
from postern.frontends.ews.box import Box
from postern.frontends.ews.call import Call
from postern.model.ids import MailboxId
from postern.protocols.ews import responses, watermarks
from postern.protocols.ews.ids import ROOT, TOP
from postern.protocols.ews.notification_requests import Subscribe, Unsubscribe
from postern.protocols.ews.violation import EwsViolation

SETTING = "ews.subscription"
MAX_SUBSCRIPTIONS = 1000
"""Of one mailbox's owner."""
MAX_PUSHED = 50
"""Push subscriptions among them."""
FOR_EVER_S = 100 * 366 * 86_400
"""A push subscription ends when nobody answers any more."""
STREAM_S = 35 * 60
"""How long a streaming subscription waits for a connection: a little longer than the longest one lasts."""


class Subscription(msgspec.Struct, frozen=True, array_like=True):
    """As it is stored."""

    kind: str
    mailbox: str
    """Whose events."""
    folders: frozenset[int] | None
    """None: all."""
    events: frozenset[str]
    seconds: int
    """Without a question it ends after so many."""
    until: int
    """Seconds since the epoch."""
    mark: str
    """Where a stream or push has got to."""
    url: str = ""
    """Where push notifications are sent."""
    minutes: int = 0
    """Of push: StatusFrequency."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Subscription).decode


async def subscribe(call: Call, request: Subscribe) -> str:
    """Subscribe."""

    async def one(asked: Subscribe) -> str:
        if asked.kind == "push" and not call.services.push.may(asked.url):
            said = "This server may not call that URL. Pull, or use a stream."
            raise EwsViolation("ErrorInvalidPushSubscriptionUrl", said)
        box, folders = await _where(call, asked)
        mark = asked.watermark
        if mark:
            watermarks.unpack(mark)
        else:
            mark = watermarks.pack(await happening.now(box, folders))
        own = await call.box()
        key = call.services.entropy.token(watermarks.KEY_BYTES).hex()
        at = int(call.services.clock.timestamp())
        push = asked.kind == "push"
        seconds = FOR_EVER_S if push else asked.minutes * 60 or STREAM_S
        made = Subscription(
            asked.kind, box.id, folders, asked.events, seconds, at + seconds, mark, asked.url, asked.minutes
        )
        await _room(own, at, push=push)
        await own.items.set_settings(SETTING, {key: _encode(made)})
        own.wrote()
        if push:
            await own.items.durable()
            await call.services.push.subscribed(own.id)
        told = "" if asked.kind == "streaming" else f"<m:Watermark>{mark}</m:Watermark>"
        return f"<m:SubscriptionId>{watermarks.subscription_id(own.id, key)}</m:SubscriptionId>{told}"

    return responses.response("Subscribe", await call.each("SubscribeResponseMessage", [request], one))


async def _where(call: Call, asked: Subscribe) -> tuple[Box, frozenset[int] | None]:
    if asked.folders is None:
        return await call.box(), None
    found = [await places.folder(call, ref) for ref in asked.folders]
    for place in found:
        if place.folder not in (ROOT, TOP):
            await search_folders.search_in(place.box, place.folder)  # one that does not know what to look for yet
    if len({place.box.id for place in found}) > 1:
        raise EwsViolation("ErrorInvalidSubscriptionRequest", "A subscription is to folders of one mailbox.")
    return found[0].box, frozenset(place.folder for place in found)


async def _room(own: Box, at: int, *, push: bool) -> None:
    """Forget what has ended. Raises EwsViolation(ErrorExceededSubscriptionCount)."""
    known = await own.items.settings(SETTING)
    over: dict[str, bytes | None] = {one.key: None for one in known if _decode(one.value).until < at}
    if over:
        await own.items.set_settings(SETTING, over)
    full = push and sum(_decode(one.value).kind == "push" for one in known) >= MAX_PUSHED
    if full or len(known) - len(over) >= MAX_SUBSCRIPTIONS:
        raise EwsViolation("ErrorExceededSubscriptionCount", "Too many subscriptions: end some, or let them expire.")


async def unsubscribe(call: Call, request: Unsubscribe) -> str:
    """Unsubscribe."""

    async def one(id_: str) -> str:
        key, _ = await find(call, id_)
        own = await call.box()
        await own.items.set_settings(SETTING, {key: None})
        own.wrote()
        return ""

    message = "UnsubscribeResponseMessage"
    return responses.response("Unsubscribe", await call.each(message, [request.subscription], one))


async def find(call: Call, id_: str, kind: str = "") -> tuple[str, Subscription]:
    """A subscription of whoever asks, and its key. Raises EwsViolation."""
    subscriber, key = watermarks.read_subscription(id_)
    own = await call.box()
    if subscriber != own.id:
        raise EwsViolation("ErrorSubscriptionAccessDenied", "The subscription is somebody else's.")
    stored = next((one for one in await own.items.settings(SETTING) if one.key == key), None)
    if stored is None:
        raise EwsViolation("ErrorSubscriptionNotFound", "There is no such subscription, or it has ended.")
    found = _decode(stored.value)
    if found.until < call.services.clock.timestamp():
        await own.items.set_settings(SETTING, {key: None})
        raise EwsViolation("ErrorSubscriptionNotFound", "The subscription was not used for too long, and has ended.")
    if kind and found.kind != kind:
        code = "ErrorInvalidPullSubscriptionId" if kind == "pull" else "ErrorInvalidSubscription"
        raise EwsViolation(code, f"The subscription is no {kind} subscription.")
    return key, found


async def used(
    call: Call, key: str, found: Subscription, mark: str | None = None, *, told: bool = True
) -> Subscription:
    """It is in use: let it go on, and remember where a stream has got to; as it is stored now.

    Written only if that says something new: if nothing was told on the way to a place, the one before is as good. The
    write is a change of the mailbox itself, after which a stream is at another place.
    """
    at = int(call.services.clock.timestamp())
    place = found.mark if mark is None else mark
    if (place == found.mark or not told) and found.until - at > found.seconds * 3 // 4:
        return found
    again = msgspec.structs.replace(found, until=at + found.seconds, mark=place)
    await (await call.box()).items.set_settings(SETTING, {key: _encode(again)})
    return again


async def pushed(own: Box) -> dict[str, Subscription]:
    """The push subscriptions of a mailbox's owner, by key. Raises Refusal."""
    known = {one.key: _decode(one.value) for one in await own.items.settings(SETTING)}
    return {key: found for key, found in known.items() if found.kind == "push"}


async def reached(call: Call, key: str, mark: str) -> None:
    """Remember where push notifications have got to, if the subscription is still there."""
    own = await call.box()
    found = (await pushed(own)).get(key)
    if found is not None and found.mark != mark:
        await own.items.set_settings(SETTING, {key: _encode(msgspec.structs.replace(found, mark=mark))})


async def forget(call: Call, key: str) -> None:
    """End a subscription of whoever asks; durable on return."""
    own = await call.box()
    await own.items.set_settings(SETTING, {key: None})
    await own.items.durable()


async def watched(call: Call, found: Subscription) -> Box:
    """The mailbox it is about; rights may have gone since. Raises Refusal."""
    return await call.box(MailboxId(found.mailbox))
