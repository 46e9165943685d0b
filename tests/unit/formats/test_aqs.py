"""Query strings as Outlook and EWS clients write them."""

from __future__ import annotations

from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.formats.aqs import MAX_LENGTH, BadQueryError, parse
from postern.model.items import Flag
from postern.model.query import (
    All,
    And,
    BodyContains,
    HasFlags,
    HeaderContains,
    Not,
    Or,
    Query,
    ReceivedBetween,
    SizeAbove,
    SizeBelow,
    TextContains,
)

TODAY = date(2024, 3, 15)
DAY = 86400
MARCH_15 = 1_710_460_800


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", All()),
        ("report", TextContains("report")),
        ("quarterly report", And((TextContains("quarterly"), TextContains("report")))),
        ('"quarterly report"', TextContains("quarterly report")),
        ("rep*", TextContains("rep")),
        ("subject:отчёт", HeaderContains("subject", "отчёт")),
        ('Subject: "a b"', HeaderContains("subject", "a b")),
        ("from:anna AND to:boris", And((HeaderContains("from", "anna"), HeaderContains("to", "boris")))),
        ("from:(anna OR boris)", Or((HeaderContains("from", "anna"), HeaderContains("from", "boris")))),
        ("a b OR c", Or((And((TextContains("a"), TextContains("b"))), TextContains("c")))),
        ("a (b OR c)", And((TextContains("a"), Or((TextContains("b"), TextContains("c")))))),
        ("NOT body:x", Not(BodyContains("x"))),
        ("a -b", And((TextContains("a"), Not(TextContains("b"))))),
        ("body:x", BodyContains("x")),
        ("attachment:plan", BodyContains("plan")),
        ("isread:no", Not(HasFlags(Flag.SEEN.value))),
        ("received:today", ReceivedBetween(MARCH_15, MARCH_15 + DAY)),
        ("received:>=2024-03-15", ReceivedBetween(MARCH_15, None)),
        ("received:3/14/2024..3/15/2024", ReceivedBetween(MARCH_15 - DAY, MARCH_15 + DAY)),
        ('received:"this week"', ReceivedBetween(MARCH_15 - 4 * DAY, MARCH_15 + 3 * DAY)),
        ("received:lastmonth", ReceivedBetween(1_706_745_600, 1_709_251_200)),
        ("received:nonsense", Not(All())),
        ("size:>10KB", SizeAbove(10240)),
        ("size:1MB..2MB", And((SizeAbove(1048575), SizeBelow(2097153)))),
        ("size:giant", SizeAbove(1 << 20)),
        ("kind:email x", TextContains("x")),
        ("colour:red", And((TextContains("colour"), TextContains("red")))),
        ("http://a", And((TextContains("http"), TextContains("//a")))),
        ("((a", TextContains("a")),
        ("a) b", And((TextContains("a"), TextContains("b")))),
        ("AND OR", Or((All(), All()))),
    ],
)
def test_meaning(text: str, query: Query) -> None:
    assert parse(text, TODAY) == query


@given(st.text(alphabet=st.sampled_from('ab ():"-*<>=.AND OR NOT:subjectreceivedsize0123456789/'), max_size=60))
def test_anything_is_a_query_or_refused(text: str) -> None:
    with suppress(BadQueryError):
        assert isinstance(parse(text, TODAY), Query)


@pytest.mark.parametrize("text", ["x" * (MAX_LENGTH + 1), "(" * 2000, "a " * 2000, "-" * 2000 + "a", "a:" * 2000])
def test_bombs_are_refused(text: str) -> None:
    with pytest.raises(BadQueryError):
        parse(text, TODAY)


@pytest.mark.parametrize(
    "text",
    ["(a", "a)", '"a', "a AND", "OR a", "a OR", "NOT", "subject:", "received:nonsense", "size:big one..", "kind:",
     "from:(a OR b", "received:>2024-13-45", "a (b OR)", '"'],
)  # fmt: skip
def test_what_is_half_written_is_refused_if_asked(text: str) -> None:
    with pytest.raises(BadQueryError):
        parse(text, TODAY, strict=True)


@pytest.mark.parametrize(
    "text", ["", "a", "a -b", '"a b"', "from:(anna OR boris)", "size:>10KB", "received:2024-03-01..2024-03-15", "x:y"]
)
def test_what_is_well_written_is_the_same_either_way(text: str) -> None:
    assert parse(text, TODAY, strict=True) == parse(text, TODAY)
