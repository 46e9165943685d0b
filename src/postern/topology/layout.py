"""From a picture's nodes and links to shapes with their places."""

from __future__ import annotations

from postern.topology import cards
from postern.topology.geometry import Area, Box, Drawing, Text
from postern.topology.picture import Picture
from postern.topology.placing import Plan
from postern.topology.routing import MARGIN, PAD, Router
from postern.topology.textsize import width


def lay_out(picture: Picture, language: str) -> Drawing:
    """Place everything; the same picture always gives the same drawing."""
    if not picture.nodes:
        return Drawing(2 * MARGIN, 2 * MARGIN, (), (), ())
    plan = Plan(picture, language)
    plan.improve()
    router = Router(plan)
    areas = _zones(plan, router) + _meshes(plan, router) + _cards(plan, router)
    return Drawing(router.width, router.frame.bottom, tuple(areas), tuple(router.routes()), tuple(router.dots()))


def _zones(plan: Plan, router: Router) -> list[Area]:
    found = []
    for column, zones in enumerate(plan.order):
        for name, _ in zones:
            zone = plan.picture.topology.zone(name)
            top, height = router.frame.zone[name]
            box = Box(router.columns[column], top, plan.width[column] + 2 * PAD, height)
            lines = cards.zone_lines(zone, plan.language, plan.width[column])
            found.append(Area("zone", zone.trust, box, texts(lines, box.x + PAD, top + 6), name))
    return found


def _meshes(plan: Plan, router: Router) -> list[Area]:
    found = []
    for column, zones in enumerate(plan.order):
        for name, _ in zones:
            for (zone, mesh), (top, height) in router.frame.mesh.items():
                if zone == name:
                    box = Box(router.columns[column] + PAD / 2, top, plan.width[column] + PAD, height)
                    lines = cards.mesh_lines(plan.other_zones(mesh, zone), plan.language, plan.width[column])
                    found.append(Area("mesh", "", box, texts(lines, box.x + PAD / 2, top + 4), zone))
    return found


def _cards(plan: Plan, router: Router) -> list[Area]:
    found = []
    for node, (top, height) in sorted(router.frame.card.items()):
        column = plan.column[node]
        box = Box(router.columns[column] + PAD, top, plan.width[column], height)
        high = cards.block_size(plan.texts[node])[1]
        lines = texts(plan.texts[node], box.x + 12, top + (height - high) / 2)
        hosts = plan.picture.nodes[node].hosts
        name = ", ".join(host.name for host in hosts) or plan.picture.nodes[node].zone
        found.append(Area("card", hosts[0].edition or "other" if hosts else "zone", box, lines, name))
    return found


def texts(lines: cards.Lines, x: float, y: float) -> tuple[Text, ...]:
    """Lines under each other, the first one's upper edge at `y`."""
    found = []
    for text, style in lines:
        look = cards.STYLES[style]
        box = Box(x, y, width(text, look.size, bold=look.bold), look.leading)
        y += look.leading
        found.append(Text(text, style, x, y - 4, box))
    return tuple(found)
