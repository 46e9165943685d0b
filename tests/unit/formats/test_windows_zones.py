"""Windows' time zones with the rules of a year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from postern.formats import windows_zones
from postern.formats.windows_zones import Change, Zone, names, zone


def test_rules_of_a_year() -> None:
    berlin = zone("W. Europe Standard Time", 2026)
    assert berlin[2:] == (3600, 7200, Change(3, 6, -1, 7200), Change(10, 6, -1, 10800))
    assert zone("Tokyo Standard Time", 2026)[2:] == (32400, None, None, None)
    adelaide = zone("Cen. Australia Standard Time", 2026)
    assert (adelaide.standard_s, adelaide.daylight_s) == (34200, 37800)
    with pytest.raises(KeyError):
        zone("Atlantis Standard Time", 2026)


@pytest.mark.parametrize("year", [1995, 2026])
def test_no_change_is_passed_over(year: int) -> None:
    """Against a look at each hour."""
    for name in ("Eastern Standard Time", "Iran Standard Time", "Lord Howe Standard Time", "Namibia Standard Time"):
        place = ZoneInfo(windows_zones._table()[name])
        begin, seen = datetime(year, 1, 1, tzinfo=UTC), []
        for hour in range((datetime(year + 1, 1, 1, tzinfo=UTC) - begin).days * 24):
            at = begin + timedelta(hours=hour)
            before, after = (
                int(moment.astimezone(place).utcoffset().total_seconds())  # type: ignore[union-attr]
                for moment in (at, at + timedelta(hours=1))
            )
            if before != after:
                seen.append((at, at + timedelta(hours=1), before, after))
        found = windows_zones._changes(place, year)
        assert [each[1:] for each in found] == [each[2:] for each in seen]
        assert all(low < at <= high for (at, _, _), (low, high, _, _) in zip(found, seen, strict=True))


def test_one_zone_costs_one_zone() -> None:
    zone.cache_clear()
    assert isinstance(zone("UTC", 2026), Zone)
    assert zone.cache_info().currsize == 1
    assert len(names()) > 130
