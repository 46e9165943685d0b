"""Restrictions on texts."""

from __future__ import annotations

import time

import pytest

from postern.frontends.ews.matching import fits
from postern.protocols.ews.paths import Field
from postern.protocols.ews.restrictions import Contains

BODY = Field("item:Body")


def contains(text: str, wanted: str) -> bool:
    return fits(Contains(BODY, wanted, "PrefixOnWords", "IgnoreCase"), lambda _: text)


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        ("The quick brown fox", "QUI", True),
        ("The quick brown fox", "fo the", True),
        ("The quick brown fox", "ox", False),
        ("The quick brown fox", "foxes", False),
        ("The quick brown fox", "qui zebra", False),
        ("", "a", False),
        ("text", "", False),
    ],
)
def test_words_begin_so(text, wanted, found):
    assert contains(text, wanted) is found


def test_many_words_in_a_long_text_cost_no_product():
    text = " ".join(f"b{number}" for number in range(20_000))
    began = time.process_time()
    assert contains(text, " ".join(f"b1999{number % 10}" for number in range(20_000)))
    assert time.process_time() - began < 1.5  # each word was compared with all of them: half a minute
