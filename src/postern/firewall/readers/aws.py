"""Reads security groups: `aws ec2 describe-security-groups`, and the CloudFormation template that Postern writes.

Security groups only allow; what no rule allows is closed. A group belongs to the host that its tag `postern:host` or
its name says; a rule may name another group instead of addresses, which then stands for that group's host.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec

from postern.catalogue.schema import Names
from postern.firewall.readers.packets import (
    UNKNOWN_ADDRESS,
    UNKNOWN_WORD,
    NotUnderstoodError,
    interval,
    shortened,
    spans,
    transports,
)
from postern.firewall.readers.positions import Object, parse
from postern.firewall.readers.ruleset import ALLOW, DENY, IN, OUT, Filter, Reading, Remark, Rule, RulesetError
from postern.firewall.region import ALL_PORTS, Span, boxes

TAG = "postern:host"
PREFIX = "postern-"
TEMPLATE_TYPE = "AWS::EC2::SecurityGroup"
NO_HOST = Names(
    "this security group belongs to no host of the topology: tag it postern:host, or give --host",
    "группа безопасности не относится ни к одному узлу топологии: поставьте метку postern:host или задайте --host",
)
NOTHING_OUT = "127.0.0.1/32"
"""CloudFormation adds a rule that lets everything out unless one is written; this one lets nothing out."""


class _Group(msgspec.Struct):
    id: str
    name: str
    host: str
    line: int
    ingress: list[Object]
    egress: list[Object]
    egress_known: bool


class Hosts(msgspec.Struct, frozen=True):
    """What the topology knows: addresses by host, and the one host that the ruleset is asked about, if any."""

    addresses: dict[str, tuple[str, ...]]
    only: str = ""


def read(text: str, hosts: Hosts) -> Reading:
    """Every group as two filters of its host. Raises RulesetError."""
    groups = list(_groups(parse(text)))
    remarks: list[Remark] = []
    for group in groups:
        group.host = _host_of(group, hosts, len(groups))
        if not group.host:
            remarks.append(Remark(group.line, group.name or group.id, NO_HOST, group.name or group.id))
    made: dict[tuple[str, str], Filter] = {}
    for group in groups:
        if not group.host:
            continue
        for direction, permissions in ((IN, group.ingress), (OUT, group.egress)):
            rules = tuple(_rules(group, direction, permissions, groups, hosts, remarks))
            default = ALLOW if direction == OUT and not group.egress_known else DENY
            before = made.get((group.host, direction))
            if before is not None:  # several groups of one host: what one allows is open
                rules, default = (*before.rules, *rules), ALLOW if ALLOW in (before.default, default) else DENY
            made[group.host, direction] = Filter(
                direction, f"security group {group.name or group.id}", rules, default, host=group.host, line=group.line
            )
    return Reading("aws", tuple(made.values()), tuple(remarks))


def _groups(document: object) -> Iterator[_Group]:
    match document:
        case {"SecurityGroups": [*items]}:
            yield from (_described(item) for item in items if isinstance(item, Object))
        case {"Resources": Object() as resources}:
            for logical, item in resources.items():
                if isinstance(item, Object) and item.get("Type") == TEMPLATE_TYPE:
                    yield _templated(logical, item)
        case _:
            raise RulesetError(
                "line 1: neither the output of `aws ec2 describe-security-groups` nor a CloudFormation template"
            )


def _described(item: Object) -> _Group:
    return _Group(
        id=str(item.get("GroupId", "")),
        name=str(item.get("GroupName", "")),
        host=_tagged(item),
        line=item.line,
        ingress=_objects(item.get("IpPermissions")),
        egress=_objects(item.get("IpPermissionsEgress")),
        egress_known="IpPermissionsEgress" in item,
    )


def _templated(logical: str, item: Object) -> _Group:
    properties = item.get("Properties")
    held = properties if isinstance(properties, Object) else Object()
    return _Group(
        id=logical,
        name=str(held.get("GroupName", logical)),
        host=_tagged(held),
        line=item.line,
        ingress=_objects(held.get("SecurityGroupIngress")),
        egress=_objects(held.get("SecurityGroupEgress")),
        egress_known="SecurityGroupEgress" in held,
    )


def _tagged(item: Object) -> str:
    for tag in _objects(item.get("Tags")):
        if tag.get("Key") == TAG:
            return str(tag.get("Value", ""))
    return ""


def _host_of(group: _Group, hosts: Hosts, number: int) -> str:
    by_name = {name.lower(): name for name in hosts.addresses}
    for word in (group.host, group.name.removeprefix(PREFIX), group.name):
        if word.lower() in by_name:
            return by_name[word.lower()]
    return hosts.only if number == 1 else ""


def _rules(
    group: _Group,
    direction: str,
    permissions: list[Object],
    groups: list[_Group],
    hosts: Hosts,
    remarks: list[Remark],
) -> Iterator[Rule]:
    for permission in permissions:
        line = permission.line or group.line
        try:
            protocols = transports(str(permission.get("IpProtocol", "-1")))
            ports = ALL_PORTS
            if str(permission.get("IpProtocol")) not in ("-1", "all") and "FromPort" in permission:
                first, last = permission["FromPort"], permission.get("ToPort", permission["FromPort"])
                ports = ALL_PORTS if str(first) == "-1" else (interval(first, last),)
        except NotUnderstoodError as problem:
            remarks.append(Remark(line, _source(permission), problem.reason, problem.detail))
            continue
        for entry, peers in _peers(permission, groups, hosts, line, remarks):
            described = entry.get("Description") or permission.get("Description")
            name = str(described or f"{group.name or group.id}")
            packets = boxes(peers, None, protocols, ports) if direction == IN else boxes(None, peers, protocols, ports)
            yield Rule(tuple(packets), ALLOW, entry.line or line, name)


def _peers(
    permission: Object, groups: list[_Group], hosts: Hosts, line: int, remarks: list[Remark]
) -> Iterator[tuple[Object, list[Span] | None]]:
    """The other side of a permission, each with the object that names it."""
    named: list[tuple[Object, list[str]]] = []
    for key, field in (("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")):
        named += [(entry, [str(entry.get(field))]) for entry in _objects(permission.get(key))]
    named += [(permission, [str(permission[key])]) for key in ("CidrIp", "CidrIpv6") if key in permission]
    pairs = [(entry, entry.get("GroupId")) for entry in _objects(permission.get("UserIdGroupPairs"))]
    for key in ("SourceSecurityGroupId", "DestinationSecurityGroupId"):
        if key in permission:
            pairs.append((permission, permission[key]))
    for entry, wanted in pairs:
        if isinstance(wanted, Object):  # {"Ref": name} or {"Fn::GetAtt": [name, "GroupId"]}
            wanted = next((v[0] if isinstance(v, list) and v else v for v in wanted.values()), "")
        host = next((group.host for group in groups if wanted in (group.id, group.name) and group.host), "")
        if host in hosts.addresses:
            named.append((entry, list(hosts.addresses[host])))
        else:
            remarks.append(Remark(entry.line or line, _source(permission), UNKNOWN_ADDRESS, str(wanted)))
    for entry in _objects(permission.get("PrefixListIds")):
        remarks.append(Remark(entry.line or line, _source(permission), UNKNOWN_ADDRESS, str(entry.get("PrefixListId"))))
    known = {"IpProtocol", "FromPort", "ToPort", "IpRanges", "Ipv6Ranges", "UserIdGroupPairs", "PrefixListIds"}
    known |= {"CidrIp", "CidrIpv6", "Description", "SourceSecurityGroupId", "DestinationSecurityGroupId"}
    for key in permission:
        if key not in known:
            remarks.append(Remark(line, _source(permission), UNKNOWN_WORD, key))
    for entry, words in named:
        try:
            yield entry, spans(words)
        except NotUnderstoodError as problem:
            remarks.append(Remark(entry.line or line, _source(permission), problem.reason, problem.detail))


def _objects(value: object) -> list[Object]:
    return [item for item in value if isinstance(item, Object)] if isinstance(value, list) else []


def _source(value: Object) -> str:
    return shortened(json.dumps(value, ensure_ascii=False))
