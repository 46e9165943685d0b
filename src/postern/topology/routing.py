"""Lines between cards: horizontal and vertical, each label above the end of its arrow where nothing else passes.

Between two columns lies a channel of three strips: labels of arrows that end on the left, tracks, labels of arrows that
end on the right. Lines turn in tracks only, so they cross each other there and never cross a label.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from postern.topology import cards
from postern.topology.geometry import GRID, Box, Point, Route, Text
from postern.topology.placing import LEFT, RIGHT, Frame, Net, Plan, centres
from postern.topology.textsize import width

MARGIN = 20
TRACK = 14
"""From one track to the next."""
PAD = 20
"""From a zone's edge to its cards."""
EMPTY_CHANNEL = 60


@dataclass
class Turn:
    """A net's vertical piece in one channel."""

    net: int
    left: set[float] = field(default_factory=set)
    """Heights at which it is joined from the left strip."""
    right: set[float] = field(default_factory=set)

    @property
    def heights(self) -> set[float]:
        """All heights at which it is joined."""
        return self.left | self.right


class Router:
    """Pins, tracks and the lines that follow from them."""

    def __init__(self, plan: Plan) -> None:
        """Everything but the horizontal places is settled by the plan."""
        self.plan = plan
        self.frame: Frame = plan.place()
        self.source: dict[int, float] = {}
        """Net: height at which it leaves its source."""
        self.target: dict[int, float] = {}
        """Link: height at which it arrives."""
        self.lane: dict[tuple[int, int], float] = {}
        """Net and column: height of its passage."""
        self._lanes()
        self._pins()
        self.turns: list[dict[int, Turn]] = [{} for _ in range(len(plan.order) + 1)]
        for number, net in enumerate(plan.nets):
            self._turns(number, net)
        self.tracks = [arrange(list(turns.values())) for turns in self.turns]
        self.columns: list[float] = []
        self.strips: list[tuple[float, float, float]] = []
        """Channel: its left end, where its tracks begin and where they end."""
        self._widths()

    def _lanes(self) -> None:
        for (column, gap), nets in self.plan.lanes.items():
            start = self.frame.gap[column, gap] + (15 if column % 2 == 0 else 25)
            for place, number in enumerate(nets):
                self.lane[number, column] = start + GRID * place

    def _pins(self) -> None:
        """Arrows at each side of a card in the order in which their other ends lie."""
        centre = centres(self.frame)
        ends: dict[tuple[int, str], list[tuple[float, int, int | None]]] = defaultdict(list)
        for number, net in enumerate(self.plan.nets):
            there = [centre[self.plan.picture.links[link].destination] for link in net.links]
            first = next(iter(self.plan.passes(net)), None)
            aim = sum(there) / len(there) if first is None else self.lane[number, first]
            ends[net.source, net.side].append((aim, number, None))
            for link in net.links:
                node, side = self.plan.arrival(net, link)
                passed = self._last_pass(number, net, node)
                aim = centre[net.source] if passed is None else self.lane[number, passed]
                ends[node, side].append((aim, number, link))
        for (node, side), pins in ends.items():
            top, height = self.frame.card[node]
            used = self.plan.pins[node, side]
            y = top + (height - used) // 2 // GRID * GRID
            for _, number, arriving in sorted(pins, key=lambda pin: (pin[0], pin[1], -1 if pin[2] is None else pin[2])):
                y += GRID if arriving is None else self.plan.label_space(arriving)
                place = y - (0 if side == RIGHT else GRID / 2)
                if arriving is None:
                    self.source[number] = place
                else:
                    self.target[arriving] = place

    def _last_pass(self, number: int, net: Net, node: int) -> int | None:
        column = self.plan.column[node] + (-1 if net.side == RIGHT else 1)
        return column if (number, column) in self.lane else None

    def _turns(self, number: int, net: Net) -> None:
        plan = self.plan
        here = plan.column[net.source]
        rightward = net.side == RIGHT
        first = here + 1 if rightward else here
        self._join(first, number, LEFT if rightward else RIGHT, self.source[number])
        for column in plan.passes(net):
            self._join(
                column if rightward else column + 1, number, RIGHT if rightward else LEFT, self.lane[number, column]
            )
            self._join(
                column + 1 if rightward else column, number, LEFT if rightward else RIGHT, self.lane[number, column]
            )
        for link in net.links:
            node, side = plan.arrival(net, link)
            channel = plan.column[node] + (1 if side == RIGHT else 0)
            self._join(channel, number, LEFT if side == RIGHT else RIGHT, self.target[link])

    def _join(self, channel: int, number: int, side: str, height: float) -> None:
        turn = self.turns[channel].setdefault(number, Turn(number))
        (turn.left if side == LEFT else turn.right).add(height)

    def _widths(self) -> None:
        strips: dict[tuple[int, str], float] = defaultdict(lambda: 14.0)
        for net in self.plan.nets:
            for link in net.links:
                node, side = self.plan.arrival(net, link)
                channel = self.plan.column[node] + (1 if side == RIGHT else 0)
                key = (channel, LEFT if side == RIGHT else RIGHT)
                strips[key] = max(strips[key], cards.block_size(self.plan.labels[link])[0] + 16)
        x: float = MARGIN
        for channel, tracks in enumerate(self.tracks):
            start = x
            used = max(tracks.values(), default=-1) + 1
            if used:
                x += strips[channel, LEFT]
                self.strips.append((start, x, x + (used + 1) * TRACK))
                x += (used + 1) * TRACK + strips[channel, RIGHT]
            else:
                x += EMPTY_CHANNEL if 0 < channel < len(self.tracks) - 1 else 0
                self.strips.append((start, x, x))
            if channel < len(self.plan.order):
                self.columns.append(x)
                x += self.plan.width[channel] + 2 * PAD
        self.width = x + MARGIN

    def track_x(self, channel: int, number: int) -> float:
        """Where a net turns in a channel."""
        return self.strips[channel][1] + (self.tracks[channel][number] + 1) * TRACK

    def side_x(self, node: int, side: str) -> float:
        """The edge of a card."""
        column = self.plan.column[node]
        return self.columns[column] + PAD + (self.plan.width[column] if side == RIGHT else 0)

    def routes(self) -> list[Route]:
        """A line for each link, in the links' order."""
        found = [self._route(number, net, link) for number, net in enumerate(self.plan.nets) for link in net.links]
        return sorted(found, key=lambda route: route.link)

    def _route(self, number: int, net: Net, link: int) -> Route:
        plan = self.plan
        node, side = plan.arrival(net, link)
        here, there = plan.column[net.source], plan.column[node]
        points: list[Point] = [(self.side_x(net.source, net.side), self.source[number])]
        rightward = net.side == RIGHT
        between = range(here + 1, there) if rightward else range(here - 1, there, -1)
        for column in between:
            x = self.track_x(column if rightward else column + 1, number)
            points += [(x, points[-1][1]), (x, self.lane[number, column])]
        x = self.track_x(there + (1 if side == RIGHT else 0), number)
        points += [(x, points[-1][1]), (x, self.target[link]), (self.side_x(node, side), self.target[link])]
        return Route(link, tuple(points), *self._label(link, node, side))

    def _label(self, link: int, node: int, side: str) -> tuple[tuple[Text, ...], Box]:
        lines = self.plan.labels[link]
        wide, high = cards.block_size(lines)
        column = self.plan.column[node]
        if side == LEFT:
            left = self.columns[column] - 6 - wide
        else:
            left = self.columns[column] + 2 * PAD + self.plan.width[column] + 6
        y = self.target[link] - 4 - high
        box = Box(left, y, wide, high)
        texts = []
        for text, style in lines:
            leading = cards.STYLES[style].leading
            own = width(text, cards.STYLES[style].size, bold=cards.STYLES[style].bold)
            x = left + wide - own if side == LEFT else left
            y += leading
            anchor = left + wide if side == LEFT else left
            texts.append(Text(text, style, anchor, y - 4, Box(x, y - leading, own, leading), side == LEFT))
        return tuple(texts), box

    def dots(self) -> list[tuple[Point, str]]:
        """Where a line branches."""
        found: list[tuple[Point, str]] = []
        for channel, turns in enumerate(self.turns):
            for number, turn in turns.items():
                x = self.track_x(channel, number)
                inner = sorted(turn.heights)[1:-1]
                found += [((x, y), self.plan.nets[number].level) for y in inner]
        return found


def arrange(turns: Sequence[Turn]) -> dict[int, int]:
    """A track for each net of a channel, counted from the left, with few crossings."""
    order = list(turns)
    cost = {(a.net, b.net): crossings(a, b) for a in turns for b in turns if a is not b}
    for _ in range(len(order) * 2):
        moved = False
        for place in range(len(order) - 1):
            one, other = order[place], order[place + 1]
            if cost[other.net, one.net] < cost[one.net, other.net]:
                order[place], order[place + 1] = other, one
                moved = True
        if not moved:
            break
    tracks: dict[int, int] = {}
    for place, turn in enumerate(order):
        low, high = min(turn.heights) - GRID, max(turn.heights) + GRID
        near = [o for o in order[:place] if min(o.heights) < high and max(o.heights) > low]
        tracks[turn.net] = max((tracks[o.net] for o in near), default=-1) + 1
    return tracks


def crossings(a: Turn, b: Turn) -> int:
    """How often two nets cross when the first one's track lies left of the other's."""
    low, high = min(a.heights), max(a.heights)
    found = sum(low < y < high for y in b.left)
    low, high = min(b.heights), max(b.heights)
    return found + sum(low < y < high for y in a.right)
