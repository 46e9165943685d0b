"""What is drawn of each line: the way that branches share is drawn once; twice would look heavier and mean nothing."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence

from postern.topology.geometry import Point, Route

CORNER = 6
"""Radius of a bend."""


def strokes(routes: Iterable[Route]) -> list[list[Point]]:
    """For each route the points from where it leaves the ones before it."""
    drawn: dict[Point, list[Sequence[Point]]] = defaultdict(list)
    found = []
    for route in routes:
        others = drawn[route.points[0]]
        found.append(_own_part(route.points, others))
        others.append(route.points)
    return found


def _own_part(points: Sequence[Point], others: Sequence[Sequence[Point]]) -> list[Point]:
    """The points without what one of the others already has."""
    best = list(points)
    for other in others:
        shared = 0
        while shared < min(len(points), len(other)) and points[shared] == other[shared]:
            shared += 1
        # both turn at the last shared point and go on in a straight line, the same way or apart
        here, end, other_end = points[shared - 1], points[shared], other[shared]
        if shared < 2 or here[0] != end[0] or here[0] != other_end[0] or (end[1] > here[1]) != (other_end[1] > here[1]):
            rest = [here, *points[shared:]]
        elif abs(end[1] - here[1]) <= abs(other_end[1] - here[1]):
            rest = list(points[shared:])
        else:
            rest = [towards(other_end, here, CORNER), *points[shared:]]
        if length(rest) < length(best):
            best = rest
    return best


def towards(a: Point, b: Point, distance: float) -> Point:
    """A point on the way from one point to another, which lie on a horizontal or vertical line."""
    whole = abs(a[0] - b[0]) + abs(a[1] - b[1]) or 1.0
    return a[0] + (b[0] - a[0]) * distance / whole, a[1] + (b[1] - a[1]) * distance / whole


def length(points: Sequence[Point]) -> float:
    """Of a line of horizontal and vertical pieces."""
    return sum(abs(a[0] - b[0]) + abs(a[1] - b[1]) for a, b in itertools.pairwise(points))
