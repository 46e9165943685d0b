"""Reads network security groups: `az network nsg list`/`show`, and the ARM template that Postern writes.

Rules are decided by priority, the lowest number first. The default rules that Azure adds come last; they are written
with service tags, which have no addresses in the file, and count only where no rule before them decides everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from postern.firewall.readers.aws import NO_HOST, Hosts
from postern.firewall.readers.packets import (
    SOURCE_PORT,
    UNKNOWN_ADDRESS,
    UNKNOWN_WORD,
    NotUnderstoodError,
    port_ranges,
    shortened,
    spans,
    transports,
)
from postern.firewall.readers.positions import Object, parse
from postern.firewall.readers.ruleset import ALLOW, DENY, IN, OUT, Filter, Reading, Remark, Rule, RulesetError
from postern.firewall.region import boxes

RESOURCE = "microsoft.network/networksecuritygroups"
TAG = "postern:host"
PREFIX = "postern-"
_DIRECTIONS = {"inbound": IN, "outbound": OUT}
_ACTIONS = {"allow": ALLOW, "deny": DENY}


def read(text: str, hosts: Hosts) -> Reading:
    """Every group as two filters of its host. Raises RulesetError."""
    groups = list(_groups(parse(text)))
    remarks: list[Remark] = []
    filters: list[Filter] = []
    for group in groups:
        host = _host_of(group, hosts, len(groups))
        name = str(group.get("name", ""))
        if not host:
            remarks.append(Remark(group.line, name, NO_HOST, name))
            continue
        for direction in (IN, OUT):
            rules = _rules(group, direction, remarks)
            filters.append(Filter(direction, f"NSG {name}", rules, DENY, host=host, line=group.line))
    return Reading("azure", tuple(filters), tuple(remarks))


def _groups(document: object) -> Iterator[Object]:
    match document:
        case {"resources": [*items]}:
            found = [item for item in items if isinstance(item, Object) and _is_group(item)]
        case list():
            found = [item for item in document if isinstance(item, Object) and "securityRules" in _held(item)]
        case Object() if "securityRules" in _held(document):
            found = [document]
        case _:
            found = []
    if not found:
        raise RulesetError("line 1: neither the output of `az network nsg list` nor an ARM template with an NSG")
    yield from found


def _is_group(item: Object) -> bool:
    return str(item.get("type", "")).lower() == RESOURCE


def _held(item: Object) -> Object:
    """Where the fields are: the command line flattens `properties`, templates do not."""
    properties = item.get("properties")
    return properties if isinstance(properties, Object) else item


def _host_of(group: Object, hosts: Hosts, number: int) -> str:
    tags = group.get("tags")
    tagged = str(tags.get(TAG, "")) if isinstance(tags, Object) else ""
    by_name = {name.lower(): name for name in hosts.addresses}
    name = str(group.get("name", ""))
    for word in (tagged, name.removeprefix(PREFIX), name):
        if word.lower() in by_name:
            return by_name[word.lower()]
    return hosts.only if number == 1 else ""


def _rules(group: Object, direction: str, remarks: list[Remark]) -> tuple[Rule, ...]:
    """The rules of a direction in their order; nothing after the one that decides everything."""
    held = _held(group)
    ordered: list[tuple[int, Object]] = []
    for key in ("securityRules", "defaultSecurityRules"):
        items = held.get(key)
        for item in items if isinstance(items, list) else []:
            if isinstance(item, Object) and _DIRECTIONS.get(str(_held(item).get("direction", "")).lower()) == direction:
                priority = _held(item).get("priority")
                ordered.append((priority if isinstance(priority, int) else 65536, item))
    found: list[Rule] = []
    for _priority, item in sorted(ordered, key=lambda pair: pair[0]):
        try:
            rule = _rule(item)
        except NotUnderstoodError as problem:
            source = shortened(json.dumps(item, ensure_ascii=False))
            remarks.append(Remark(item.line, source, problem.reason, problem.detail))
            continue
        found.append(rule)
        if rule.verdict == DENY and set(boxes(None, None)) <= set(rule.packets):
            break
    return tuple(found)


def _rule(item: Object) -> Rule:
    """One rule. Raises NotUnderstoodError."""
    held = _held(item)
    verdict = _ACTIONS.get(str(held.get("access", "")).lower())
    if verdict is None:
        raise NotUnderstoodError(UNKNOWN_WORD, held.get("access"))
    for key in ("sourceApplicationSecurityGroups", "destinationApplicationSecurityGroups"):
        if held.get(key):
            raise NotUnderstoodError(UNKNOWN_ADDRESS, key)
    sources, destinations = _words(held, "sourceAddressPrefix"), _words(held, "destinationAddressPrefix")
    if set(_words(held, "sourcePortRange")) - {"*", "0-65535"}:
        raise NotUnderstoodError(SOURCE_PORT, ", ".join(_words(held, "sourcePortRange")))
    protocol = str(held.get("protocol", "*"))
    made = boxes(
        spans(sources or ["*"]),
        spans(destinations or ["*"]),
        transports(protocol),
        port_ranges(_words(held, "destinationPortRange") or ["*"]),
    )
    name = str(held.get("description") or item.get("name") or "")
    return Rule(tuple(made), verdict, item.line, name)


def _words(held: Object, key: str) -> list[str]:
    """A value that may be under the singular or the plural name."""
    plural = key.replace("Prefix", "Prefixes") if "Prefix" in key else f"{key}s"
    found = held.get(plural)
    if isinstance(found, list) and found:
        return [str(word) for word in found]
    single = held.get(key)
    return [str(single)] if single else []
