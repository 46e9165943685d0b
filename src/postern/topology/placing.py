"""Which column every zone and node stands in, in what order, and how far down.

The outside stands left, the perimeter beside it, the servers right of that, and networks of clients at the far right,
so that what an administrator calls "from outside in" is read from left to right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from postern.topology import cards
from postern.topology.geometry import GRID, up
from postern.topology.model import EXTERNAL, PERIMETER
from postern.topology.picture import Picture

TOP = 80
"""Where columns begin; the title is above."""
LEFT, RIGHT = "left", "right"

Block = tuple[int | None, list[int]]
"""A mesh (or None) and nodes that stand together."""


@dataclass
class Net:
    """A line that leaves a node once and branches to every destination with the same encryption."""

    source: int
    side: str
    level: str
    links: list[int] = field(default_factory=list)
    both: bool = False


@dataclass
class Frame:
    """Vertical places, from which everything else follows."""

    card: dict[int, tuple[int, int]] = field(default_factory=dict)
    """Node: top and height."""
    zone: dict[str, tuple[int, int]] = field(default_factory=dict)
    mesh: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    gap: dict[tuple[int, int], int] = field(default_factory=dict)
    """Column and gap between zones: where the gap begins."""
    bottom: int = 0


class Plan:
    """The order of zones and nodes in columns, and what is known about sizes."""

    def __init__(self, picture: Picture, language: str) -> None:
        """Put zones into columns; `order` is improved by `improve`."""
        self.picture = picture
        self.language = language
        self.texts = {
            index: cards.card_lines(node, picture.topology.zone(node.zone), language)
            for index, node in enumerate(picture.nodes)
        }
        self.labels = [cards.label_lines(link, language) for link in picture.links]
        self.mesh_of = {node: number for number, mesh in enumerate(picture.meshes) for node in mesh}
        self.order = self._columns()
        self.column = {
            node: c for c, zones in enumerate(self.order) for _, blocks in zones for _, b in blocks for node in b
        }
        self.width = [self._card_width(c) for c in range(len(self.order))]
        self.nets = self._nets()
        self.pins = self._pin_space()
        self.heights = {node: self._card_height(node) for node in self.column}
        self.heads: dict[str, int] = {}
        self.mesh_heads: dict[tuple[str, int], int] = {}
        self._measure_heads()
        self.lanes: dict[tuple[int, int], list[int]] = {}
        """Column and gap: nets that pass there, from above."""

    def _columns(self) -> list[list[tuple[str, list[Block]]]]:
        found: dict[int, list[tuple[str, list[Block]]]] = defaultdict(list)
        for zone in self.picture.topology.zones:
            nodes = [index for index, node in enumerate(self.picture.nodes) if node.zone == zone.name]
            if not nodes:
                continue
            with_hosts = any(self.picture.nodes[node].hosts for node in nodes)
            place = 0 if zone.trust == EXTERNAL else 1 if zone.trust == PERIMETER else 2 if with_hosts else 3
            blocks: list[Block] = []
            for number in sorted({self.mesh_of[node] for node in nodes if node in self.mesh_of}):
                blocks.append((number, [node for node in nodes if self.mesh_of.get(node) == number]))
            blocks += [(None, [node]) for node in nodes if node not in self.mesh_of]
            found[place].append((zone.name, blocks))
        return [found[place] for place in sorted(found)]

    def _card_width(self, column: int) -> int:
        nodes = [node for node, place in self.column.items() if place == column]
        widest = max(cards.block_size(self.texts[node])[0] for node in nodes)
        return max(160, up(widest + 24, 10))

    def _nets(self) -> list[Net]:
        """Links as nets: one for each source, direction and level; a link with two heads is alone."""
        nets: dict[object, Net] = {}
        for index, link in enumerate(self.picture.links):
            here, there = self.column[link.source], self.column[link.destination]
            side = RIGHT if there > here or (there == here == 0) else LEFT
            key = index if link.both else (link.source, side, link.level)
            nets.setdefault(key, Net(link.source, side, link.level, both=link.both)).links.append(index)
        return list(nets.values())

    def passes(self, net: Net) -> Iterator[int]:
        """Columns that a net must go through without a stop."""
        here = self.column[net.source]
        there = [self.column[self.picture.links[link].destination] for link in net.links]
        yield from range(here + 1, max(there)) if net.side == RIGHT else range(here - 1, min(there), -1)

    def arrival(self, net: Net, link: int) -> tuple[int, str]:
        """Node and side at which a branch ends."""
        node = self.picture.links[link].destination
        if self.column[node] == self.column[net.source]:
            return node, net.side
        return node, LEFT if net.side == RIGHT else RIGHT

    def label_space(self, link: int) -> int:
        """Height that an arriving arrow needs with its label above it."""
        return up(cards.block_size(self.labels[link])[1] + 8)

    def _pin_space(self) -> dict[tuple[int, str], int]:
        space: dict[tuple[int, str], int] = defaultdict(int)
        for net in self.nets:
            space[net.source, net.side] += GRID
            for link in net.links:
                space[self.arrival(net, link)] += self.label_space(link)
        return space

    def _measure_heads(self) -> None:
        for column, zones in enumerate(self.order):
            for name, blocks in zones:
                zone, inner = self.picture.topology.zone(name), self.width[column]
                self.heads[name] = up(cards.block_size(cards.zone_lines(zone, self.language, inner))[1] + 14)
                for mesh, _ in blocks:
                    if mesh is not None:
                        lines = cards.mesh_lines(self.other_zones(mesh, name), self.language, inner)
                        self.mesh_heads[name, mesh] = up(cards.block_size(lines)[1] + 10)

    def _card_height(self, node: int) -> int:
        """A card's height: its text, or the arrows on its fuller side."""
        text = cards.block_size(self.texts[node])[1] + 16
        return up(max(text, *(self.pins.get((node, side), 0) + GRID for side in (LEFT, RIGHT))))

    def place(self) -> Frame:
        """Vertical places for the order at hand; shorter columns are centred."""
        frames = [self._place_column(number, TOP) for number in range(len(self.order))]
        bottom = max(frame.bottom for frame in frames)
        whole = Frame(bottom=bottom)
        for number, frame in enumerate(frames):
            shifted = self._place_column(number, TOP + (bottom - frame.bottom) // 2 // GRID * GRID)
            for name in ("card", "zone", "mesh", "gap"):
                getattr(whole, name).update(getattr(shifted, name))
        return whole

    def _place_column(self, column: int, top: int) -> Frame:
        frame = Frame()
        y = top
        for position, (zone, blocks) in enumerate(self.order[column]):
            frame.gap[column, position] = y
            lanes = len(self.lanes.get((column, position), ()))
            y += GRID * (lanes + 1 if lanes or position else 0)
            start = y
            y += self.heads[zone]
            for mesh, nodes in blocks:
                mesh_start = y
                if mesh is not None:
                    y += self.mesh_heads[zone, mesh]
                for node in nodes:
                    frame.card[node] = (y, self.heights[node])
                    y += self.heights[node] + GRID
                if mesh is not None:
                    frame.mesh[zone, mesh] = (mesh_start, y - mesh_start - 5)
                    y += GRID // 2 + 10
            frame.zone[zone] = (start, y - start)
        frame.gap[column, len(self.order[column])] = y
        lanes = len(self.lanes.get((column, len(self.order[column])), ()))
        frame.bottom = y + GRID * (lanes + 1 if lanes else 0)
        return frame

    def other_zones(self, mesh: int, zone: str) -> list[str]:
        """Where else a mesh has servers."""
        return sorted({self.picture.nodes[node].zone for node in self.picture.meshes[mesh]} - {zone})

    def improve(self) -> None:
        """Order zones, blocks and nodes so that arrows are short: swap while that makes them shorter."""
        best = self._cost()
        for _ in range(8):
            before = best
            for items in list(self._swappable()):
                for one, other in combinations(range(len(items)), 2):
                    items[one], items[other] = items[other], items[one]
                    cost = self._cost()
                    if cost < best:
                        best = cost
                    else:
                        items[one], items[other] = items[other], items[one]
            if best == before:
                break
        self._choose_lanes()

    def _swappable(self) -> Iterator[list[object]]:
        for zones in self.order:
            yield zones  # type: ignore[misc]
            for _, blocks in zones:
                yield blocks  # type: ignore[misc]
                for _, nodes in blocks:
                    yield nodes  # type: ignore[misc]

    def _cost(self) -> float:
        centre = centres(self.place())
        return sum(abs(centre[link.source] - centre[link.destination]) for link in self.picture.links)

    def _choose_lanes(self) -> None:
        """For each column that a net passes, the gap that lies best between its ends."""
        frame = self.place()
        centre = centres(frame)
        aim: dict[int, float] = {}
        for number, net in enumerate(self.nets):
            ends = [centre[self.picture.links[link].destination] for link in net.links]
            aim[number] = sum(ends, centre[net.source]) / (len(ends) + 1)
            for column in self.passes(net):
                gaps = [gap for place, gap in frame.gap if place == column]
                best = min(gaps, key=lambda gap: (abs(frame.gap[column, gap] - aim[number]), gap))
                self.lanes.setdefault((column, best), []).append(number)
        for nets in self.lanes.values():
            nets.sort(key=lambda number: (aim[number], number))


def centres(frame: Frame) -> Mapping[int, float]:
    """The middle of each node's card."""
    return {node: top + height / 2 for node, (top, height) in frame.card.items()}
