"""Topologies as SVG: zones as areas, hosts with roles and edition, arrows coloured by encryption, ports as labels.

The file stands alone: no script, no font, no reference to the outside. Colours follow the reader's setting, light or
dark, where the viewer knows it (media query), and are the light ones elsewhere. Levels differ in dashes as well, for
paper and for eyes that do not tell the colours apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from postern.topology import cards
from postern.topology.geometry import Area, Drawing, Point, Route, Text
from postern.topology.layout import lay_out, texts
from postern.topology.model import Flow, Topology
from postern.topology.picture import LEVELS, Link, Picture, picture
from postern.topology.routing import MARGIN
from postern.topology.strokes import CORNER, length, strokes, towards
from postern.topology.textsize import width, wrap

FONT = '"Segoe UI", "Helvetica Neue", Roboto, "Noto Sans", "Liberation Sans", Arial, "DejaVu Sans", sans-serif'
LIGHT = {
    "page": "#ffffff", "ink": "#1b1f24", "muted": "#4d5661", "edge": "#9aa4af", "card": "#ffffff",
    "external": "#eef1f5", "perimeter": "#fdf3e1", "internal": "#e8f1fb", "mesh": "#d3e4f7",
    "required": "#0b6e3b", "optional": "#9a5b00", "none": "#c01f2e", "unknown": "#59636e",
}  # fmt: skip
DARK = {
    "page": "#14181d", "ink": "#eef2f6", "muted": "#b3bdc8", "edge": "#5c6773", "card": "#20262d",
    "external": "#1f242a", "perimeter": "#2c2619", "internal": "#182534", "mesh": "#21344a",
    "required": "#5fd08d", "optional": "#f0b04a", "none": "#ff7b7f", "unknown": "#a7b1bc",
}  # fmt: skip
DASHES = {"required": "", "optional": "7 4", "none": "2 4", "unknown": "10 3 2 3"}
LEGEND = {
    "required": "always encrypted",
    "optional": "encrypted if both sides agree (STARTTLS and the like)",
    "none": "not encrypted",
    "unknown": "encryption differs or is not stated",
}
HEAD, HALF = 9, 4.5
"""Length and half the breadth of an arrow's head."""
NARROWEST = 640
"""The legend needs this much."""


def draw(topology: Topology, flows: Iterable[Flow], language: str, *, involved_only: bool = False) -> str:
    """An SVG document. `involved_only` leaves out hosts that no flow touches."""
    return render(picture(topology, flows, involved_only=involved_only), language)


def render(shown: Picture, language: str) -> str:
    """A picture as an SVG document."""
    drawing = lay_out(shown, language)
    wide = max(drawing.width, NARROWEST)
    title = cards.say("Data paths: {organisation}", language, organisation=shown.topology.organisation or "-")
    legend, high = _legend(shown, drawing, language, wide)
    lines = strokes(drawing.routes)
    described = [describe(shown, link, language) for link in shown.links]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(wide)} {_n(high)}" width="{_n(wide)}"'
        f' height="{_n(high)}" class="pp" role="img" aria-labelledby="pp-title pp-desc" lang={quoteattr(language)}>',
        f'<title id="pp-title">{escape(title)}</title>',
        f'<desc id="pp-desc">{escape("; ".join(described) or _nothing(language))}</desc>',
        f"<style>{style()}</style>",
        f'<rect class="pp-page" width="{_n(wide)}" height="{_n(high)}"/>',
        *(_text(line) for line in texts([(title, "title")], MARGIN, 14)),
        *(_text(line) for line in texts([(_subtitle(shown, language), "subtitle")], MARGIN, 40)),
        *(_area(area) for area in drawing.areas),
        *(
            _route(shown.links[route.link], route, line, described[route.link], language)
            for route, line in zip(drawing.routes, lines, strict=True)
        ),
        *(f'<circle class="pp-dot-{kind}" cx="{_n(x)}" cy="{_n(y)}" r="3"/>' for (x, y), kind in drawing.dots),
        *legend,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def describe(shown: Picture, link: Link, language: str) -> str:
    """An arrow in words: `clients to ex1, ex2: 443 HTTPS (always encrypted)`."""
    names = [
        ", ".join(host.name for host in node.hosts) or node.zone
        for node in (shown.nodes[link.source], shown.nodes[link.destination])
    ]
    ports = ", ".join(cards.port_texts(link.ports)) or cards.say("all ports", language)
    arrow = " ↔ " if link.both else " → "
    return f"{arrow.join(names)}: {ports} ({cards.say(LEGEND[link.level], language)})"


def style() -> str:
    """The style sheet: constant, so that a page can allow it by its hash."""
    return f".pp text{{font-family:{FONT}}}{_colours(LIGHT)}@media (prefers-color-scheme:dark){{{_colours(DARK)}}}"


def _colours(shades: dict[str, str]) -> str:
    rules = [f".pp-page{{fill:{shades['page']}}}", f".pp text{{fill:{shades['ink']}}}"]
    rules += [f".pp .pp-{name}{{fill:{shades['muted']}}}" for name in ("detail", "subtitle")]
    rules += [
        f".pp-zone-{trust}{{fill:{shades[trust]};stroke:{shades['edge']}}}"
        for trust in ("external", "perimeter", "internal")
    ]
    rules += [f".pp-mesh{{fill:{shades['mesh']}}}", f".pp-card{{fill:{shades['card']};stroke:{shades['edge']}}}"]
    for level in LEVELS:
        dash = f";stroke-dasharray:{DASHES[level]}" if DASHES[level] else ""
        rules += [
            f".pp-line-{level}{{fill:none;stroke:{shades[level]};stroke-width:2{dash}}}",
            f".pp-head-{level},.pp-dot-{level},.pp .pp-label-{level}{{fill:{shades[level]}}}",
        ]
    return "".join(rules)


def _subtitle(shown: Picture, language: str) -> str:
    if not shown.links and not shown.meshes:
        return _nothing(language)
    if any(len(node.hosts) > 1 for node in shown.nodes):
        return cards.say("Hosts that are alike share a box.", language)
    return ""


def _nothing(language: str) -> str:
    return cards.say("No data path is needed between these hosts.", language)


def _n(value: float) -> str:
    """A coordinate without needless digits."""
    return f"{value:.1f}".removesuffix(".0")


def _text(line: Text, level: str = "") -> str:
    look = cards.STYLES[line.style]
    weight = ' font-weight="bold"' if look.bold else ""
    kind = f"{line.style}-{level}" if level else line.style
    weight += ' text-anchor="end"' if line.right else ""
    place = f'x="{_n(line.x)}" y="{_n(line.y)}" font-size="{look.size}"'
    return f'<text class="pp-{kind}" {place}{weight}>{escape(line.text)}</text>'


def _area(area: Area) -> str:
    box = area.box
    kind = f"pp-zone-{area.style}" if area.kind == "zone" else f"pp-{area.kind}"
    rounded = {"zone": 10, "mesh": 8, "card": 6}[area.kind]
    rect = (
        f'<rect class="{kind}" x="{_n(box.x)}" y="{_n(box.y)}" width="{_n(box.width)}" height="{_n(box.height)}"'
        f' rx="{rounded}"/>'
    )
    return f"<g data-{area.kind}={quoteattr(area.name)}>{rect}{''.join(_text(line) for line in area.texts)}</g>"


def _route(link: Link, route: Route, points: list[Point], described: str, language: str) -> str:
    """An arrow; hovering over it tells what it is for."""
    told = "\n".join([described, *dict.fromkeys(purpose.of(language) for purpose in link.purposes)])
    heads = head(route.points[-2], route.points[-1])
    points[-1] = _shorten(points[-2], points[-1])
    found = f'<polygon class="pp-head-{link.level}" points="{heads}"/>'
    if link.both:
        found += f'<polygon class="pp-head-{link.level}" points="{head(route.points[1], route.points[0])}"/>'
        points[0] = _shorten(points[1], points[0])
    labels = "".join(_text(line, link.level) for line in route.label)
    line = f'<path class="pp-line-{link.level}" d="{bends(points)}"/>'
    return f"<g><title>{escape(told)}</title>{line}{found}{labels}</g>"


def _shorten(before: Point, end: Point) -> Point:
    """An end moved back so that the line does not show beside its head's point."""
    return (end[0] - (HEAD - 1) * (1 if end[0] > before[0] else -1), end[1])


def head(before: Point, end: Point) -> str:
    """The corners of an arrow's head; the last piece of every line is horizontal."""
    x, y = end
    back = x - HEAD * (1 if x > before[0] else -1)
    return f"{_n(x)},{_n(y)} {_n(back)},{_n(y - HALF)} {_n(back)},{_n(y + HALF)}"


def bends(points: list[Point]) -> str:
    """A path with rounded corners."""
    text = f"M{_n(points[0][0])} {_n(points[0][1])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(CORNER, length([before, corner]) / 2, length([corner, after]) / 2)
        start, end = towards(corner, before, radius), towards(corner, after, radius)
        text += f"L{_n(start[0])} {_n(start[1])}Q{_n(corner[0])} {_n(corner[1])} {_n(end[0])} {_n(end[1])}"
    return text + f"L{_n(points[-1][0])} {_n(points[-1][1])}"


def _legend(shown: Picture, drawing: Drawing, language: str, wide: float) -> tuple[list[str], float]:
    """What the arrows mean, under the drawing, and the whole height."""
    how = "An arrow points at the computer that listens; the numbers are its ports (TCP where nothing else is said)."
    y = drawing.height + 24
    parts = []
    if shown.links:
        lines = [(line, "legend") for line in wrap(cards.say(how, language), 12, wide - 2 * MARGIN)]
        parts += [_text(line) for line in texts(lines, MARGIN, y)]
        y += cards.block_size(lines)[1] + 8
    x: float = MARGIN
    entries = [(level, LEGEND[level], False) for level in LEVELS if any(link.level == level for link in shown.links)]
    entries += [("unknown", "either side connects", True)] if any(link.both for link in shown.links) else []
    for level, text, both in entries:
        said = cards.say(text, language)
        need = 56 + width(said, cards.STYLES["legend"].size)
        if x > MARGIN and x + need > wide - MARGIN:
            x, y = MARGIN, y + 22
        line = [(x + (HEAD - 1 if both else 0), y + 6), (x + 40 - HEAD + 1, y + 6)]
        parts.append(f'<path class="pp-line-{level}" d="{bends(line)}"/>')
        ends = [(line[0], (x + 40, y + 6))] + ([(line[1], (x, y + 6))] if both else [])
        parts += [f'<polygon class="pp-head-{level}" points="{head(*end)}"/>' for end in ends]
        parts += [_text(one) for one in texts([(said, "legend")], x + 48, y - 4)]
        x += need + 20
    return parts, y + (30 if entries else 0)
