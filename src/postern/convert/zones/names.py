"""Windows' and IANA's names of time zones, by CLDR, and what people and programs write instead of them."""

from __future__ import annotations

import re
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from postern.model.calendar.zones import UTC_ZONE, Zone, ZoneRule

MAX_NAME = 260
"""Longer than Windows' MAX_PATH is no name of a zone."""

_PREFIX = re.compile(
    r"^/?(?:[^/]+/)*?((?:Africa|America|Antarctica|Arctic|Asia|Atlantic|Australia|Europe|Indian|Pacific|Etc)/.+)$"
)
_OFFSET = re.compile(r"^\(?(?:UTC|GMT|Z)?\s*([+\-\u2212])\s*(\d{1,2})(?::?(\d{2}))?\)?(?:\s.*)?$", re.IGNORECASE)
_UTC_NAMES = frozenset(
    {"utc", "z", "gmt", "etc/utc", "etc/gmt", "tzone://microsoft/utc", "coordinated universal time", "(utc)", "zulu"}
)
_OLD = {
    # names that Windows gave up or that old clients write; CLDR has no row for them
    "kamchatka standard time": "Asia/Kamchatka",
    "mid-atlantic standard time": "Atlantic/South_Georgia",
    "mexico standard time": "America/Mexico_City",
    "mexico standard time 2": "America/Mazatlan",
    "us eastern standard time (indiana)": "America/Indiana/Indianapolis",
}


@cache
def _available() -> frozenset[str]:
    """All names of the zone database; finding them reads the whole directory tree."""
    return frozenset(available_timezones())


@cache
def _windows_to_iana() -> dict[str, tuple[str, str]]:
    """Lower case -> (Windows' spelling, IANA)."""
    from tzlocal.windows_tz import win_tz

    table = {windows.lower(): (windows, iana) for windows, iana in win_tz.items()}
    # the table still names zones that IANA renamed; a zone database without the old names is common
    there = _available()
    return {key: (windows, iana) for key, (windows, iana) in table.items() if iana in there}


@cache
def _iana_to_windows() -> dict[str, str]:
    from tzlocal.windows_tz import tz_win

    return {iana.lower(): windows for iana, windows in tz_win.items()}


@cache
def _iana_names() -> dict[str, str]:
    return {name.lower(): name for name in _available()}


@cache
def windows_names() -> tuple[str, ...]:
    """Every Windows zone that there is a definition for, sorted."""
    return tuple(sorted(windows for windows, _iana in _windows_to_iana().values()))


def windows_name(zone: Zone) -> str:
    """What Windows calls it; empty for a zone of its own making, or one that Windows does not have."""
    if zone.windows_id:
        return zone.windows_id
    if zone.rules:
        return zone.id if zone.id.lower() in _windows_to_iana() else ""
    return _iana_to_windows().get(zone.id.lower(), "")


def iana_name(zone: Zone) -> str:
    """What IANA calls it; empty for a zone of its own making and for a floating time."""
    if zone.rules:
        known = _windows_to_iana().get(zone.id.lower())
        return known[1] if known else ""
    return zone.id


def named_zone(name: str) -> Zone | None:
    """The zone somebody means: IANA's or Windows' name in any case, with a vendor's prefix, or an offset; else None."""
    name = name.strip().strip('"')
    if not name or len(name) > MAX_NAME:
        return None
    lower = name.lower()
    if lower in _UTC_NAMES:
        return UTC_ZONE
    windows = _windows_to_iana().get(lower)
    if windows is not None:
        return Zone(windows[1], windows_id=windows[0])
    iana = _iana_names().get(lower) or _OLD.get(lower)
    if iana is None:
        found = _PREFIX.match(name)
        iana = _iana_names().get(found[1].lower()) if found else None
    if iana is not None:
        return Zone(iana) if _exists(iana) else None
    return _by_offset(name)


@cache
def _exists(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _by_offset(name: str) -> Zone | None:
    """`GMT+03:00`, `(UTC+01:00) Amsterdam, Berlin` and the like: the offset is all that can be known."""
    found = _OFFSET.match(name)
    if found is None:
        return None
    hours, minutes = int(found[2]), int(found[3] or 0)
    if hours > 14 or minutes > 59:
        return None
    offset = (hours * 60 + minutes) * (1 if found[1] == "+" else -1)
    return Zone(name, (ZoneRule(1, offset),))


def display_name(windows: str, language: str = "en") -> str:
    """How a Windows zone is shown, as `(UTC+03:00) Moscow`, in English or Russian."""
    return _display_name(windows, "ru" if language == "ru" else "en")


@cache
def _display_name(windows: str, language: str) -> str:
    from babel import Locale

    from postern.convert.zones.rules import standard_offset

    known = _windows_to_iana().get(windows.lower())
    if known is None:
        return windows
    iana = known[1]
    minutes = standard_offset(iana)
    sign = "-" if minutes < 0 else "+"
    prefix = f"(UTC{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d})" if minutes else "(UTC)"
    place = Locale(language).time_zones.get(iana, {}).get("city") or iana.rpartition("/")[2].replace("_", " ")
    return f"{prefix} {place}"
