"""LIST patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.frontends.imap.tree import Pattern


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "a/b", True),
        ("%", "a/b", False),
        ("%", "ab", True),
        ("%/%", "a/b", True),
        ("a*", "a", True),
        ("a%b*", "axxb/c", True),
        ("", "", True),
        ("", "a", False),
        ("%*", "a/b/c", True),
        ("a", "b", False),
    ],
)
def test_pattern(pattern, name, matches):
    assert Pattern(pattern).matches(name) is matches


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=10))
def test_pattern_is_the_regular_expression(pattern, name):
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(c, re.escape(c)) for c in pattern)
    assert Pattern(pattern).matches(name) is bool(re.fullmatch(expression, name))


def test_pattern_takes_one_pass():
    assert not Pattern("*a" * 400 + "b").matches("a" * 1000)


PATTERNS = st.lists(st.text("ab/%*", max_size=6), min_size=1, max_size=5)


@given(PATTERNS, st.text("ab/", max_size=8))
def test_several_patterns_are_each_of_them(patterns, name):
    several = Pattern(*patterns)
    assert several.matches(name) is any(Pattern(one).matches(name) for one in patterns)
    assert several.could_match_under(name) is any(Pattern(one).could_match_under(name) for one in patterns)
