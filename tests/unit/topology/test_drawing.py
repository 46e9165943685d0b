"""Pictures of topologies: nothing lies over anything else, nothing is left out, nothing can break out of the markup."""

from __future__ import annotations

import random
import re
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.topology.organisations import Organisation, migration

from postern.topology import cards, drawing
from postern.topology.geometry import Box, Drawing
from postern.topology.layout import lay_out
from postern.topology.model import EVERYWHERE, Host, Topology, Zone
from postern.topology.picture import LEVELS, Picture, picture
from postern.topology.strokes import CORNER, strokes

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def organisations(draw) -> Organisation:
    """Up to twelve hosts, five zones and forty kinds of flow, with long names and long lists of ports."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    names = ("Internet", "Perimeter network", "Servers", "Clients of the whole company", "Филиал в Новосибирске")
    trusts = ("external", "perimeter", "internal", "internal", "internal")
    zones = [
        Zone(
            name, EVERYWHERE if trust == "external" else (f"10.{n}.0.0/16",), trust, ("outlook",) * chance.randint(0, 2)
        )
        for n, (name, trust) in enumerate(zip(names, trusts, strict=True))
    ][: draw(st.integers(1, 5))]
    roles = ("mailbox", "client-access", "hub-transport", "edge-transport", "domain-controller")
    hosts = []
    for number in range(draw(st.integers(0, 12))):
        place = chance.randrange(len(zones))
        edition = chance.choice(("2010", "2016", "postern", ""))
        name = chance.choice(("ex", "mail-server-with-a-long-name.department.example.com", "сервер")) + str(number)
        chosen = tuple(chance.sample(roles, chance.randint(1, 3)))
        hosts.append(Host(name, (f"10.{place}.0.{number + 1}",), zones[place].name, edition, chosen))
    made = Organisation(zones, hosts)
    ends = [host.name for host in hosts] + [zone.name for zone in zones]
    for _ in range(draw(st.integers(0, 40))):
        source, destination = chance.choice(ends), chance.choice(ends)
        level = chance.choice(LEVELS)
        if source != destination:
            for port in chance.sample(
                (25, 53, 80, 135, 389, 443, 993, 50636, "53/udp", "49152-65535"), chance.randint(1, 9)
            ):
                made.add(source, destination, str(port), level)
    servers = [host.name for host in hosts if chance.random() < 0.5]
    for one, other in combinations(servers, 2):
        made.add(one, other, "any", "unknown")
        made.add(other, one, "any", "unknown")
    return made


def check_geometry(shown: Picture, made: Drawing) -> None:
    """No two texts overlap, texts stay in their boxes, and lines cross each other only in the open."""
    whole = Box(0, 0, made.width, made.height)
    labels = [route.label_box for route in made.routes]
    areas = {kind: [area for area in made.areas if area.kind == kind] for kind in ("zone", "mesh", "card")}
    texts = [text.box for area in made.areas for text in area.texts]
    texts += [text.box for route in made.routes for text in route.label]
    for one, other in combinations(texts, 2):
        assert not one.overlaps(other)
    for area in made.areas:
        assert whole.contains(area.box)
        assert all(area.box.contains(text.box) for text in area.texts), area
    for kind in areas.values():
        for one, other in combinations(kind, 2):
            assert not one.box.overlaps(other.box), (one.name, other.name)
    for card in areas["card"]:
        assert any(zone.box.contains(card.box) for zone in areas["zone"])
    for route in made.routes:
        assert whole.contains(route.label_box)
        assert all(route.label_box.contains(text.box) for text in route.label)
        assert not any(route.label_box.overlaps(zone.box) for zone in areas["zone"]), "a label lies on a zone"
        for piece in route.pieces():
            thick = Box(piece.x - 0.5, piece.y - 0.5, piece.width + 1, piece.height + 1)
            assert whole.contains(thick)
            assert not any(thick.overlaps(label) for label in labels), "a line crosses a label"
            inner = [Box(c.box.x + 1, c.box.y + 1, c.box.width - 2, c.box.height - 2) for c in areas["card"]]
            assert not any(thick.overlaps(card) for card in inner), "a line crosses a card"
    for one, other in combinations(made.routes, 2):
        if not _same_line(shown, one.link, other.link):
            for a in one.pieces():
                assert not any(_runs_along(a, b) for b in other.pieces()), "a line runs along another one"


def check_strokes(made: Drawing) -> None:
    """What is drawn has every piece of every line, and next to nothing of it twice."""
    drawn = strokes(made.routes)
    for route in made.routes:
        mine = [line for line, other in zip(drawn, made.routes, strict=True) if other.points[0] == route.points[0]]
        for a, b in zip(route.points, route.points[1:], strict=False):
            for part in range(1, 5):
                x, y = a[0] + (b[0] - a[0]) * part / 5, a[1] + (b[1] - a[1]) * part / 5
                assert any(_on(x, y, one, other) for line in mine for one, other in pairwise(line))
    for first in {route.points[0] for route in made.routes}:
        lines = [line for line, route in zip(drawn, made.routes, strict=True) if route.points[0] == first]
        pieces = [piece for line in lines for piece in pairwise(line)]
        for (a, b), (c, d) in combinations(pieces, 2):
            assert _shared(a, b, c, d) <= CORNER, "a piece is drawn twice"


def _on(x: float, y: float, a: tuple[float, float], b: tuple[float, float]) -> bool:
    return min(a[0], b[0]) <= x <= max(a[0], b[0]) and min(a[1], b[1]) <= y <= max(a[1], b[1])


def _shared(a, b, c, d) -> float:
    if a[0] == b[0] == c[0] == d[0]:
        return min(max(a[1], b[1]), max(c[1], d[1])) - max(min(a[1], b[1]), min(c[1], d[1]))
    if a[1] == b[1] == c[1] == d[1]:
        return min(max(a[0], b[0]), max(c[0], d[0])) - max(min(a[0], b[0]), min(c[0], d[0]))
    return 0


def _same_line(shown: Picture, one: int, other: int) -> bool:
    a, b = shown.links[one], shown.links[other]
    return a.source == b.source and a.level == b.level and not a.both and not b.both


def _runs_along(a: Box, b: Box) -> bool:
    if a.height == b.height == 0:
        return abs(a.y - b.y) < 3 and a.x < b.right and b.x < a.right
    if a.width == b.width == 0:
        return abs(a.x - b.x) < 3 and a.y < b.bottom and b.y < a.bottom
    return False


def check_complete(made: Organisation, shown: Picture) -> None:
    """Every flow is in exactly one link or mesh, and no link says more than the flows."""
    told = set()
    for link in shown.links:
        for source in names(shown, link.source):
            for destination in names(shown, link.destination):
                for ports in link.ports or (("any", 0, 65535),):
                    told.add((source, destination, *ports, link.level))
                    if link.both:
                        told.add((destination, source, *ports, link.level))
    for mesh in shown.meshes:
        for source in mesh:
            for destination in mesh:
                for one in names(shown, source):
                    told |= {(one, o, "any", 0, 65535, "unknown") for o in names(shown, destination) if o != one}
    needed = {(f.source.name, f.destination.name, f.transport, f.first, f.last, f.encryption) for f in made.flows}
    assert needed <= told
    plain = {host.name for host in made.topology.hosts if not host.edition}
    assert all(one in plain and other in plain and kind == "any" for one, other, kind, *_ in told - needed)


def names(shown: Picture, node: int) -> tuple[str, ...]:
    return tuple(host.name for host in shown.nodes[node].hosts) or (shown.nodes[node].zone,)


@given(organisations(), st.sampled_from(("en", "ru")))
@settings(max_examples=150, deadline=None)
def test_nothing_lies_over_anything_else_and_nothing_is_left_out(made, language):
    shown = picture(made.topology, made.flows)
    check_complete(made, shown)
    placed = lay_out(shown, language)
    check_geometry(shown, placed)
    check_strokes(placed)
    ElementTree.fromstring(drawing.render(shown, language))


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_migration_of_twelve_hosts_is_readable(language):
    made = migration()
    shown = picture(made.topology, made.flows)
    check_complete(made, shown)
    placed = lay_out(shown, language)
    check_geometry(shown, placed)
    assert len(shown.nodes) == 9, "hosts that are alike share a box"
    assert [len(mesh) for mesh in shown.meshes] == [5]
    assert placed.width < 1900
    assert placed.height < 1400


def test_hosts_with_different_flows_are_not_drawn_as_one():
    made = migration()
    made.flow("Administration", "ex2", "22", "required")
    shown = picture(made.topology, made.flows)
    check_complete(made, shown)
    assert ("ex1",) in [names(shown, node) for node in range(len(shown.nodes))]


def test_pairs_that_speak_only_two_by_two_are_not_drawn_as_groups():
    made = migration()
    made.flow("edge1", "edge2", "8443", "required")
    check_complete(made, picture(made.topology, made.flows))


def test_the_same_topology_gives_the_same_file():
    made = migration()
    assert drawing.draw(made.topology, made.flows, "en") == drawing.draw(made.topology, made.flows, "en")


def test_names_cannot_break_out_of_the_markup():
    evil = '"/><script>alert(1)</script>'
    zones = [Zone(evil, EVERYWHERE, "external", (evil,)), Zone("in", ("10.0.0.0/8",), "internal")]
    made = Organisation(zones, [Host("h&<x>]]>'\"", ("10.0.0.1",), "in", "2016", ("mailbox", evil))])
    made.topology = Topology(evil, made.topology.zones, made.topology.hosts)
    made.add(evil, "h&<x>]]>'\"", "443", "required")
    tree = ElementTree.fromstring(drawing.draw(made.topology, made.flows, "en"))
    assert {element.tag for element in tree.iter()} <= {
        SVG + tag for tag in ["svg", "title", "desc", "style", "rect", "text", "path", "polygon", "circle", "g"]
    }
    assert not any(name.startswith("on") for element in tree.iter() for name in element.attrib)


def test_the_picture_says_in_words_what_it_shows():
    made = migration()
    tree = ElementTree.fromstring(drawing.draw(made.topology, made.flows, "ru"))
    assert tree.find(SVG + "title").text == "Пути передачи данных: Example Ltd"
    assert "Internet → ex1, ex2: 443 HTTPS (всегда шифруется)" in tree.find(SVG + "desc").text
    assert tree.get("role") == "img"
    assert tree.get("aria-labelledby") == "pp-title pp-desc"


def test_every_text_of_the_picture_is_there_in_both_languages():
    said = set(cards._WORDS["ru"])
    assert set(drawing.LEGEND.values()) <= said
    for text in said:
        assert set(re.findall(r"\{(\w+)\}", text)) == set(re.findall(r"\{(\w+)\}", cards._WORDS["ru"][text]))


def test_a_topology_without_a_flow_says_so():
    made = Organisation([Zone("in", ("10.0.0.0/8",), "internal")], [Host("a", ("10.0.0.1",), "in", "", ("rms",))])
    assert "No data path is needed" in drawing.draw(made.topology, (), "en")
    assert "No data path is needed" in drawing.draw(made.topology, (), "en", involved_only=True)


@pytest.mark.parametrize("shades", [drawing.LIGHT, drawing.DARK])
def test_every_colour_of_text_stands_out_from_what_it_lies_on(shades):
    grounds = {"page", "card", "external", "perimeter", "internal", "mesh"}
    for ink in ("ink", "muted"):
        for ground in grounds:
            assert contrast(shades[ink], shades[ground]) >= 4.5, (ink, ground)
    for level in LEVELS:
        assert contrast(shades[level], shades["page"]) >= 4.5, level


def contrast(one: str, other: str) -> float:
    """WCAG 2.1 1.4.3."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
