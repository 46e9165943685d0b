"""Ranges of numbers: what they hold is what was given, in as few pieces as can be."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from postern.model.ranges import MANY, merged, runs

NUMBERS = st.integers(0, 300)


@given(st.lists(st.tuples(NUMBERS, NUMBERS)))
def test_merged_holds_the_same_numbers(ranges: list[tuple[int, int]]) -> None:
    found = merged(ranges)
    held = [number for low, high in found for number in range(low, high + 1)]
    assert held == sorted({n for a, b in ranges for n in range(min(a, b), max(a, b) + 1)})
    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))


@given(st.lists(NUMBERS) | st.builds(lambda low, count: list(range(low, low + count)), NUMBERS, st.integers(0, 200)))
def test_runs_keep_the_order(numbers: list[int]) -> None:
    found = runs(numbers)
    assert [number for low, high in found for number in range(low, high + 1)] == numbers
    assert all(before[1] + 1 != after[0] for before, after in pairwise(found))


def test_many_that_only_begin_and_end_like_a_run() -> None:
    numbers = [0, *range(2, MANY + 1), 1, MANY + 1]
    assert runs(numbers) == [(0, 0), (2, MANY), (1, 1), (MANY + 1, MANY + 1)]
    assert runs(range(5, 5 + 2 * MANY)) == [(5, 4 + 2 * MANY)]
