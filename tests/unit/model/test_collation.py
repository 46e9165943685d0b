"""Folding equals its plain definition; what finds what."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.model.collation import fold, fold_utf8, sort_key


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).upper().casefold())
    return " ".join(re.sub("[\ud800-\udfff]", "\ufffd", text).replace("\0", " ").split())


@given(
    st.text(
        alphabet=st.characters() | st.sampled_from("aZ \t\r\n\0ßİıſΣς\u0301\u0323éКй한会ǅ\u1680\ud800Ꭰꭰ"), max_size=30
    )
)
def test_fold_is_what_it_says(text: str) -> None:
    assert fold(text) == _plain(text)
    assert fold_utf8(text.encode("utf-8", "surrogatepass")).decode() == fold(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("STRASSE", "straße"), ("İSTANBUL", "istanbul"), ("ISPANAK", "ıspanak"), ("ÉTÉ", "e\u0301te\u0301"), ("ﬁn", "FIN"),
     ("отчЁт", "ОТЧёТ"), ("ΑΣ", "ας"), ("a \r\n b", "A B")],
)  # fmt: skip
def test_equal(text: str, wanted: str) -> None:
    one, other = fold(text).replace("\u0307", ""), fold(wanted).replace("\u0307", "")
    assert one == other


def test_order_is_titlecase_order() -> None:
    assert sorted(["_", "b", "A", "ä", "Z"], key=sort_key) == ["A", "ä", "b", "Z", "_"]
