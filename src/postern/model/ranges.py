"""Inclusive ranges of numbers such as UIDs."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence

MANY = 64
"""More numbers than this are first looked at as a whole: they often are one run."""


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ascending, disjoint, not adjacent; the ends of a range may come in any order."""
    out: list[tuple[int, int]] = []
    for low, high in sorted((a, b) if a <= b else (b, a) for a, b in ranges):
        if out and low <= out[-1][1] + 1:
            if high > out[-1][1]:
                out[-1] = (out[-1][0], high)
        else:
            out.append((low, high))
    return out


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of runs of successors, in the order given. `numbers`: 0 to 4294967295."""
    if len(numbers) > MANY and numbers[-1] - numbers[0] == len(numbers) - 1:
        first, last = numbers[0], numbers[-1]
        if array("I", numbers) == array("I", range(first, last + 1)):
            return [(first, last)]
    found: list[tuple[int, int]] = []
    start = last = -2
    for number in numbers:
        if number != last + 1:
            if start >= 0:
                found.append((start, last))
            start = number
        last = number
    if start >= 0:
        found.append((start, last))
    return found
