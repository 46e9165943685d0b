"""RFC 4515 filters: reading, writing, refusing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.model.filters import And, AtLeast, AtMost, Equal, Not, Or, Present, Substrings, escape, parse, render
from postern.model.refusal import Reason, Refusal

names = st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=12)
parts = st.lists(texts, max_size=3).map(tuple)
substrings = st.builds(Substrings, names, st.just("") | texts, parts, st.just("") | texts).filter(
    lambda s: s.initial or s.any or s.final
)
items = st.one_of(
    st.builds(Present, names),
    st.builds(Equal, names, texts),
    substrings,
    st.builds(AtLeast, names, texts),
    st.builds(AtMost, names, texts),
)
trees = st.recursive(
    items,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


@given(trees)
def test_what_is_written_is_read_again(tree):
    assert parse(render(tree)) == tree


@given(texts)
def test_an_escaped_value_cannot_end_the_filter(text):
    assert parse(f"(cn={escape(text)})") == Equal("cn", text)


@given(st.text(max_size=40))
def test_anything_is_read_or_refused(text):
    try:
        parse(text)
    except Refusal as refusal:
        assert refusal.reason is Reason.BAD_VALUE


def test_examples():
    assert parse("department=Sales") == Equal("department", "Sales")
    assert parse("(&(l=Ber*)(!(title=*)))") == And((Substrings("l", "Ber", (), ""), Not(Present("title"))))
    assert parse(r"(cn=a\2ab)") == Equal("cn", "a*b")
    assert parse(r"(cn=\d0\96)") == Equal("cn", "Ж")
    assert parse("(&)") == And(()) and parse("(|)") == Or(())


@pytest.mark.parametrize(
    "text", ["", "(", "(cn)", "(cn=a", "(cn=a))", "(!(a=b)(c=d))", r"(cn=\zz)", r"(cn=\ff)", "(&(a=b)c)", "(" * 2000]
)
def test_nonsense_is_refused(text):
    with pytest.raises(Refusal):
        parse(text)


def test_deep_and_wide_filters_are_refused():
    with pytest.raises(Refusal, match="too large"):
        parse("(!" * 100 + "(a=b)" + ")" * 100)
    with pytest.raises(Refusal, match="too large"):
        parse("(|" + "(a=b)" * 2000 + ")")
