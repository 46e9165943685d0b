from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats.mime import date


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Mon, 23 Nov 2026 11:12:34 +0000", (1795432354, 0)),
        (b"23 Nov 2026 11:12 +0530", (1795432320 - 19800, 19800)),
        (b" Monday, 23-Nov-26 06:12:34 EST (comment)", (1795432354, -18000)),
        (b"Tue, 1 Jan 99 00:00:00 GMT", (915148800, 0)),
        (b"Tue, 1 Jan 099 00:00:00 Z", (915148800, 0)),
        (b"31 Dec 1969 23:59:59 -0000", (-1, 0)),
        (b"30 Feb 2020 00:00:00 +0000", None),
        (b"1 Foo 2020 00:00:00 +0000", None),
        (b"1 Jan 2020 25:00:00 +0000", None),
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_parse(value: bytes, expected: tuple[int, int] | None) -> None:
    assert date.parse(value) == expected


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(9000, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_render_is_read_back_by_us_and_by_the_email_package(when: datetime, offset_minutes: int) -> None:
    aware = when.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=offset_minutes)))
    rendered = date.render(aware)
    assert parsedate_to_datetime(rendered) == aware
    assert date.parse(rendered.encode()) == (int(aware.timestamp()), offset_minutes * 60)
