"""Out of office (MS-OXWOOF 3.1.4): what services.rules answers senders by."""

from __future__ import annotations

from datetime import UTC, datetime

from postern.frontends.ews import calendar_reading, codes
from postern.frontends.ews.call import Call
from postern.model.calendar.zones import UTC_ZONE
from postern.model.refusal import Reason, Refusal
from postern.model.rules import Audience, Oof, OofState
from postern.protocols.ews.names import DECLARED
from postern.protocols.ews.oof_requests import GetOof, SetOof
from postern.protocols.ews.violation import EwsViolation
from postern.protocols.soap.writing import text
from postern.services.rules.rulebook import RuleBook

_DONE = '<m:ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode></m:ResponseMessage>'
_DAY_S = 86_400


async def get_user_oof_settings(call: Call, request: GetOof) -> str:
    """GetUserOofSettings."""
    try:
        oof = await (await _book(call, request.address)).oof()
    except Refusal as refusal:
        return _whole("GetUserOofSettingsResponse", _refused(refusal))
    settings = _settings(oof, call.services.clock.timestamp())
    return _whole("GetUserOofSettingsResponse", f"{_DONE}{settings}<m:AllowExternalOof>All</m:AllowExternalOof>")


async def set_user_oof_settings(call: Call, request: SetOof) -> str:
    """SetUserOofSettings; durable."""
    state = OofState(request.state.lower())
    starts_at = ends_at = 0
    if request.start and request.end:
        zone = call.zone or UTC_ZONE
        starts_at = int(calendar_reading.moment(request.start, "StartTime", zone).timestamp())
        ends_at = int(calendar_reading.moment(request.end, "EndTime", zone).timestamp())
    elif state is OofState.SCHEDULED:
        raise EwsViolation("ErrorInvalidUserOofSettings", "A scheduled absence needs its Duration.")
    oof = Oof(
        state, Audience(request.audience.lower()), starts_at, ends_at, request.internal_reply, request.external_reply
    )
    try:
        await (await _book(call, request.address)).set_oof(oof)
    except Refusal as refusal:
        return _whole("SetUserOofSettingsResponse", _refused(refusal))
    return _whole("SetUserOofSettingsResponse", _DONE)


async def _book(call: Call, address: str) -> RuleBook:
    """Raises Refusal(NOT_PERMITTED) for a mailbox that the asker has not full access to."""
    box = await call.box_of(address)
    return await call.services.rules.open(call.principal, box.id)


def _settings(oof: Oof, now: float) -> str:
    # the duration is always told, as Exchange does: of what was never scheduled, it is the coming day
    start = oof.starts_at or int(now) // 3600 * 3600
    end = oof.ends_at or start + _DAY_S
    replies = "".join(
        f"<t:{name}><t:Message>{text(said)}</t:Message></t:{name}>"
        for name, said in (("InternalReply", oof.internal_reply), ("ExternalReply", oof.external_reply))
    )
    return (
        f"<t:OofSettings><t:OofState>{oof.state.value.title()}</t:OofState>"
        f"<t:ExternalAudience>{oof.audience.value.title()}</t:ExternalAudience>"
        f"<t:Duration><t:StartTime>{_moment(start)}</t:StartTime><t:EndTime>{_moment(end)}</t:EndTime></t:Duration>"
        f"{replies}</t:OofSettings>"
    )


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _refused(refusal: Refusal) -> str:
    code = "ErrorInvalidUserOofSettings" if refusal.reason is Reason.BAD_VALUE else codes.of(refusal).code
    said = text("The settings are not valid." if refusal.reason is Reason.BAD_VALUE else "That mailbox is not yours.")
    return (
        f'<m:ResponseMessage ResponseClass="Error"><m:MessageText>{said}</m:MessageText><m:ResponseCode>{code}'
        "</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey></m:ResponseMessage>"
    )


def _whole(name: str, content: str) -> str:
    return f"<m:{name} {DECLARED}>{content}</m:{name}>"
