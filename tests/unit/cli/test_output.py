from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postern.cli.output import parse_size, show_list, size


@pytest.mark.parametrize(
    ("text", "octets"),
    [
        ("2G", 2 << 30),
        ("500M", 500 << 20),
        ("1.5k", 1536),
        ("10", 10),
        ("3MiB", 3 << 20),
        ("7 KB", 7168),
        ("none", None),
    ],
)
def test_sizes(text, octets):
    assert parse_size(text) == octets


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_value_error(text):
    try:
        octets = parse_size(text)
    except ValueError:
        return
    assert octets is None or octets > 0


def test_sizes_for_people():
    assert [size(n) for n in (None, 0, 1023, 1536, 20 << 20, 3 << 40)] == [
        "-",
        "0 B",
        "1023 B",
        "1.5 KiB",
        "20 MiB",
        "3.0 TiB",
    ]


def test_wide_letters_keep_the_columns_straight(capsys):
    show_list([{"a": "冯", "b": "x"}, {"a": "anna", "b": None}], {"a": "A", "b": "B"}, json=False)
    assert capsys.readouterr().out.splitlines() == ["A     B", "冯    x", "anna  -"]
