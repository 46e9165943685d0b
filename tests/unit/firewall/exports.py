"""What firewalls print when asked for their rules, made from flows, in the words of each program."""

from __future__ import annotations

import json

from postern.firewall.region import addresses, span
from postern.topology.model import Flow, Host


def _sides(flows, host: Host):
    for flow in flows:
        if flow.destination.host and flow.destination.name == host.name:
            yield flow, True, flow.source.of_version(4)
        elif flow.source.host and flow.source.name == host.name:
            yield flow, False, flow.destination.of_version(4)


def _ports(flow: Flow) -> str:
    return str(flow.first) if flow.first == flow.last else f"{flow.first}-{flow.last}"


def netsh_listing(flows, host, labels=None) -> str:
    """`netsh advfirewall firewall show rule name=all verbose`."""
    lines = [""]
    for flow, inbound, networks in _sides(flows, host):
        if not inbound:
            continue
        remote = ",".join(_windows(network) for network in networks)
        fields = [
            ("Rule Name", f"{flow.path_ids[0]} {flow.source.name}"),
            ("Enabled", "Yes"),
            ("Direction", "In"),
            ("Profiles", "Domain,Private,Public"),
            ("Grouping", ""),
            ("LocalIP", "Any"),
            ("RemoteIP", remote),
            ("Protocol", "Any" if flow.unfiltered else flow.transport.upper()),
            *([] if flow.unfiltered else [("LocalPort", _ports(flow)), ("RemotePort", "Any")]),
            ("Edge traversal", "No"),
            ("Program", "System"),
            ("InterfaceTypes", "Any"),
            ("Security", "NotRequired"),
            ("Rule source", "Local Setting"),
            ("Action", "Allow"),
        ]
        words = labels or {}
        made = [f"{words.get(label, label) + ':':<38}{words.get(value, value)}" for label, value in fields]
        lines += [made[0], "-" * 70, *made[1:], ""]
    return "\r\n".join([*lines, "Ok.", ""])


RUSSIAN = {
    "Rule Name": "Имя правила", "Enabled": "Включено", "Yes": "Да", "Direction": "Направление", "In": "Внутрь",
    "Profiles": "Профили", "Domain,Private,Public": "Доменный,Частный,Общий", "Grouping": "Группировка",
    "Any": "Любой", "Protocol": "Протокол", "Edge traversal": "Обход узлов", "No": "Нет", "Action": "Действие",
    "Allow": "Разрешить", "Program": "Программа", "InterfaceTypes": "Типы интерфейсов", "Security": "Безопасность",
    "Rule source": "Источник правила",
}  # fmt: skip


def _windows(network: str) -> str:
    part = span(network)
    whole = addresses((part.first, part.last), part.family)[0]
    return "Any" if network == "0.0.0.0/0" else whole if "/" in whole else f"{whole}/32"


def powershell_json(flows, host) -> str:
    """The export of docs/firewall-audit.md, as Windows PowerShell 5.1 writes it."""
    rules = []
    for flow, inbound, networks in _sides(flows, host):
        if inbound:
            rules.append(
                {
                    "Name": f"rule-{flow.path_ids[0]}-{flow.source.name}",
                    "DisplayName": f"{flow.path_ids[0]} {flow.source.name}",
                    "Enabled": "True",
                    "Direction": "Inbound",
                    "Action": "Allow",
                    "Profile": "Any",
                    "Protocol": "Any" if flow.unfiltered else flow.transport.upper(),
                    "LocalPort": {"value": ["Any" if flow.unfiltered else _ports(flow)], "Count": 1},
                    "RemotePort": ["Any"],
                    "LocalAddress": "Any",
                    "RemoteAddress": {"value": [_windows(n) for n in networks], "Count": len(networks)},
                    "Program": "System",
                    "InterfaceType": "Any",
                    "Authentication": "NotRequired",
                }
            )
    return "\ufeff" + json.dumps(rules, indent=4)


def describe_security_groups(flows, host) -> str:
    """`aws ec2 describe-security-groups`."""
    permissions: dict[bool, list] = {True: [], False: []}
    for flow, inbound, networks in _sides(flows, host):
        permission = {
            "IpProtocol": "-1" if flow.unfiltered else flow.transport,
            "IpRanges": [{"CidrIp": network, "Description": flow.path_ids[0]} for network in networks],
            "Ipv6Ranges": [],
            "PrefixListIds": [],
            "UserIdGroupPairs": [],
        }
        if not flow.unfiltered:
            permission |= {"FromPort": flow.first, "ToPort": flow.last}
        permissions[inbound].append(permission)
    group = {
        "Description": "mail",
        "GroupName": "mail-server",
        "IpPermissions": permissions[True],
        "OwnerId": "123456789012",
        "GroupId": "sg-0123456789abcdef0",
        "IpPermissionsEgress": permissions[False],
        "Tags": [{"Key": "Name", "Value": "mail"}, {"Key": "postern:host", "Value": host.name}],
        "VpcId": "vpc-0a1b2c3d",
    }
    return json.dumps({"SecurityGroups": [group]}, indent=4)


def nsg_list(flows, host) -> str:
    """`az network nsg list`: flattened, with Azure's default rules."""
    rules, priority = [], 200
    for flow, inbound, networks in _sides(flows, host):
        many = {"sourceAddressPrefixes": [], "destinationAddressPrefixes": []}
        rule = {
            "access": "Allow",
            "description": None,
            "destinationAddressPrefix": "*",
            "destinationPortRange": "*" if flow.unfiltered else _ports(flow),
            "destinationPortRanges": [],
            "direction": "Inbound" if inbound else "Outbound",
            "name": f"{flow.path_ids[0]}-{flow.source.name}",
            "priority": priority,
            "protocol": "*" if flow.unfiltered else flow.transport.capitalize(),
            "provisioningState": "Succeeded",
            "sourceAddressPrefix": "*",
            "sourcePortRange": "*",
            "sourcePortRanges": [],
            **many,
        }
        side = "source" if inbound else "destination"
        rule[f"{side}AddressPrefix"] = networks[0] if len(networks) == 1 else ""
        rule[f"{side}AddressPrefixes"] = [] if len(networks) == 1 else list(networks)
        rules.append(rule)
        priority += 1
    rest = [_rest("DenyRest", 4000, direction, "Deny", "*") for direction in ("Inbound", "Outbound")]
    defaults = [
        _rest("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork"),
        _rest("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer"),
        _rest("DenyAllInBound", 65500, "Inbound", "Deny", "*"),
        _rest("AllowInternetOutBound", 65001, "Outbound", "Allow", "*"),
    ]
    group = {
        "name": f"postern-{host.name}",
        "securityRules": rules + rest,
        "defaultSecurityRules": defaults,
        "tags": {},
    }
    return json.dumps([group], indent=2)


def _rest(name, priority, direction, access, source) -> dict:
    return {
        "access": access,
        "destinationAddressPrefix": "*",
        "destinationPortRange": "*",
        "direction": direction,
        "name": name,
        "priority": priority,
        "protocol": "*",
        "sourceAddressPrefix": source,
        "sourcePortRange": "*",
    }


def iptables_save(flows, host) -> str:
    """`iptables-save` of rules in a chain of their own."""
    lines = [
        "# Generated by iptables-save v1.8.9 (nf_tables) on Mon Nov 23 12:00:00 2026",
        "*filter", ":INPUT DROP [12:720]", ":FORWARD DROP [0:0]", ":OUTPUT ACCEPT [3:180]", ":mail - [0:0]",
        "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
        "-A INPUT -i lo -j ACCEPT",
        "-A INPUT -p icmp -j ACCEPT",
        "-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m conntrack --ctstate NEW -j DROP",
        "-A INPUT -j mail",
    ]  # fmt: skip
    for flow, inbound, networks in _sides(flows, host):
        if inbound:
            ports = "" if flow.unfiltered else f"-p {flow.transport} -m {flow.transport} --dport {_ports(flow)} "
            for network in networks:
                source = "" if network == "0.0.0.0/0" else f"-s {network} "
                lines.append(f'-A mail {source}{ports}-m comment '
                             f'--comment "{flow.path_ids[0]} {flow.source.name}" -j ACCEPT')  # fmt: skip
    return "\n".join([*lines, "-A mail -j RETURN", "COMMIT", "# Completed", ""])


EXPORTS = {
    "iptables-save": iptables_save,
    "netsh": netsh_listing,
    "netsh-russian": lambda flows, host: netsh_listing(flows, host, RUSSIAN),
    "powershell": powershell_json,
    "aws": describe_security_groups,
    "azure": nsg_list,
}
