"""GetServerTimeZones (MS-OXWSGTZ 3.1.4.1): Windows' zones, with what IANA's data says of the present year."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from postern.formats.windows_zones import Zone, names, zone
from postern.frontends.ews.call import Call
from postern.protocols.ews import responses
from postern.protocols.ews.lookup_requests import GetServerTimeZones
from postern.protocols.soap.writing import attribute

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


async def get_server_time_zones(call: Call, request: GetServerTimeZones) -> str:
    """GetServerTimeZones."""
    year = call.services.clock.now().year
    every = await asyncio.to_thread(names)  # the first time, a module of tables is loaded
    wanted = every if request.ids is None else request.ids

    async def one(wanted: list[str]) -> str:
        rows = []
        for name in wanted:
            with suppress(KeyError):
                rows.append(definition(zone(name, year), full=request.full))
            await asyncio.sleep(0)  # the first time, a zone's data are read and its rules looked for
        return f"<m:TimeZoneDefinitions>{''.join(rows)}</m:TimeZoneDefinitions>"

    message = "GetServerTimeZonesResponseMessage"
    return responses.response("GetServerTimeZones", await call.each(message, [list(wanted)], one))


def definition(found: Zone, *, full: bool) -> str:
    """A TimeZoneDefinition (MS-OXWSGTZ 2.2.4.10)."""
    head = f'Id="{attribute(found.name)}" Name="{attribute(found.shown)}"'
    if not full:
        return f"<t:TimeZoneDefinition {head}/>"
    standard = f"trule:Microsoft/Registry/{found.name}/1-Standard"
    daylight = f"trule:Microsoft/Registry/{found.name}/1-Daylight"
    periods = _period(found.standard_s, "Standard", standard)
    inner = f'<t:Transition><t:To Kind="Period">{attribute(standard)}</t:To></t:Transition>'
    if found.daylight_s is not None:
        periods += _period(found.daylight_s, "Daylight", daylight)
        inner = "".join(
            f'<t:RecurringDayTransition><t:To Kind="Period">{attribute(to)}</t:To><t:TimeOffset>'
            f"{duration(change.at_s)}</t:TimeOffset><t:Month>{change.month}</t:Month><t:DayOfWeek>"
            f"{_DAYS[change.weekday]}</t:DayOfWeek><t:Occurrence>{change.occurrence}</t:Occurrence>"
            "</t:RecurringDayTransition>"
            for to, change in ((daylight, found.to_daylight), (standard, found.to_standard))
            if change is not None
        )
    return (
        f"<t:TimeZoneDefinition {head}><t:Periods>{periods}</t:Periods><t:TransitionsGroups>"
        f'<t:TransitionsGroup Id="0">{inner}</t:TransitionsGroup></t:TransitionsGroups><t:Transitions>'
        '<t:Transition><t:To Kind="Group">0</t:To></t:Transition></t:Transitions></t:TimeZoneDefinition>'
    )


def _period(offset_s: int, name: str, id_: str) -> str:
    return f'<t:Period Bias="{duration(-offset_s)}" Name="{name}" Id="{attribute(id_)}"/>'


def duration(seconds: int) -> str:
    """xs:duration in hours and minutes."""
    sign = "-" if seconds < 0 else ""
    hours, minutes = divmod(abs(seconds) // 60, 60)
    return f"{sign}PT{hours}H{minutes}M" if minutes else f"{sign}PT{hours}H"
