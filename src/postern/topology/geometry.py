"""A drawing as plain shapes, in pixels from the top left corner: what the router makes and the SVG writer prints."""

from __future__ import annotations

import msgspec

GRID = 20
"""Everything a line may touch lies on this grid; ends on a column's right side on it, on its left side half a step off.
So no two lines from opposite sides run over each other."""

Point = tuple[float, float]


class Box(msgspec.Struct, frozen=True):
    """A rectangle."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    def overlaps(self, other: Box) -> bool:
        """Whether the two share an area."""
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom

    def contains(self, other: Box) -> bool:
        """Whether the other lies in it."""
        return self.x <= other.x and other.right <= self.right and self.y <= other.y and other.bottom <= self.bottom


class Text(msgspec.Struct, frozen=True):
    """One line of text."""

    text: str
    style: str
    """Key of `cards.STYLES`."""
    x: float
    """Where it begins, or where it ends if `right`."""
    y: float
    """Its base line."""
    box: Box
    """What it covers at most."""
    right: bool = False
    """Whether it is set flush right."""


class Area(msgspec.Struct, frozen=True):
    """A filled rectangle with texts: a zone, a mesh, a card."""

    kind: str
    """`zone`, `mesh` or `card`."""
    style: str
    """A zone's trust, a card's edition."""
    box: Box
    texts: tuple[Text, ...]
    name: str = ""


class Route(msgspec.Struct, frozen=True):
    """A link's line: horizontal and vertical pieces from source to destination."""

    link: int
    """Index in the picture's links."""
    points: tuple[Point, ...]
    label: tuple[Text, ...]
    label_box: Box

    def pieces(self) -> list[Box]:
        """The line as rectangles without thickness."""
        return [
            Box(min(a[0], b[0]), min(a[1], b[1]), abs(a[0] - b[0]), abs(a[1] - b[1]))
            for a, b in zip(self.points, self.points[1:], strict=False)
        ]


class Drawing(msgspec.Struct, frozen=True):
    """Everything with its place."""

    width: float
    height: float
    areas: tuple[Area, ...]
    routes: tuple[Route, ...]
    dots: tuple[tuple[Point, str], ...]
    """Where a line branches, with its level."""


def up(value: float, step: int = GRID) -> int:
    """The next multiple of a step."""
    return int(-(-value // step)) * step
