"""Reads what PowerShell says of Windows Firewall: JSON of the rules in force, and scripts of New-NetFirewallRule.

docs/firewall-audit.md has the export. Values of enumerations may be names or numbers, and a list may be wrapped in
`{"value": [...], "Count": n}`, as Windows PowerShell 5.1 does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from postern.firewall.readers.packets import UNKNOWN_WORD, NotUnderstoodError, shortened
from postern.firewall.readers.positions import Object, parse
from postern.firewall.readers.ruleset import ALLOW, DENY, IN, OUT, Reading, Remark, Rule, RulesetError
from postern.firewall.readers.windows import DOMAIN, RPC, Defaults, Entry, choose, filters, profiles
from postern.firewall.region import Interval

_DIRECTIONS = {"inbound": IN, "1": IN, "outbound": OUT, "2": OUT}
_ACTIONS = {"allow": ALLOW, "2": ALLOW, "block": DENY, "4": DENY}
_ENABLED = {"true": True, "1": True, "$true": True, "false": False, "2": False, "$false": False}
_PROFILE_BITS = {1: "domain", 2: "private", 4: "public"}
_IDLE = {
    "name", "displayname", "description", "group", "program", "service", "package", "policystore",
    "edgetraversalpolicy", "erroraction", "whatif", "confirm", "icmptype", "displaygroup", "gposession", "instanceid",
}  # fmt: skip
_KNOWN = {
    "direction", "action", "enabled", "profile", "protocol", "localport", "remoteport", "localaddress",
    "remoteaddress", "interfacetype", "interfacealias", "authentication",
}  # fmt: skip
_WORD = re.compile(
    r"""\s*(?:(?P<name>-[A-Za-z]+(?=[\s:]|$))|'(?P<single>(?:[^']|'')*)'|"(?P<double>[^"]*)"
    |(?P<comma>,)|(?P<mark>@\(|[()|;])|(?P<plain>[^\s,()'"|;]+))""",
    re.X,
)
_CREATE = re.compile(r"\bNew-NetFirewallRule\b(?P<rest>.*)$", re.I)
_POLICY = re.compile(r"\bSet-NetFirewallProfile\b(?P<rest>.*)$", re.I)


def read(text: str, profile: str = DOMAIN, rpc: Interval = RPC) -> Reading:
    """The rules in force in a profile. Raises RulesetError."""
    defaults, remarks = Defaults(), list[Remark]()
    found: list[tuple[str, Rule]] = []
    exported = text.lstrip("\ufeff \t\r\n")[:1] in "[{"
    for line, source, fields in _exported(text) if exported else _script(text, defaults):
        try:
            entry = _entry(line, fields)
            if entry.holds(profile):
                found.append((entry.direction, entry.rule(rpc)))
        except NotUnderstoodError as problem:
            remarks.append(Remark(line, shortened(source), problem.reason, problem.detail))
    if not exported and "netfirewall" not in text.lower():
        raise RulesetError("line 1: no rule of Windows Firewall is in this file; docs/firewall-audit.md has the export")
    return Reading("powershell", filters(found, defaults), tuple(remarks))


def _exported(text: str) -> Iterator[tuple[int, str, dict[str, list[str]]]]:
    document = parse(text)
    for item in document if isinstance(document, list) else [document]:
        if not isinstance(item, Object) or not {"Direction", "Action"} <= set(item):
            raise RulesetError(
                f"line {getattr(item, 'line', 1)}: a rule with Direction and Action is expected; "
                "docs/firewall-audit.md has the export"
            )
        fields = {key.lower(): _texts(value) for key, value in item.items()}
        name = next((fields[key][0] for key in ("displayname", "name") if fields.get(key)), "")
        yield item.line, name, fields


def _texts(value: object) -> list[str]:
    match value:
        case {"value": [*items]}:
            return [str(item) for item in items]
        case list():
            return [str(item) for item in value]
        case None:
            return []
    return [str(value)]


def _script(text: str, defaults: Defaults) -> Iterator[tuple[int, str, dict[str, list[str]]]]:
    for number, line in _joined(text):
        code = line.strip()
        if code.startswith("#"):
            continue
        policy = _POLICY.search(code)
        if policy is not None:
            chosen = _arguments(policy["rest"])
            defaults.inbound = _ACTIONS.get("".join(chosen.get("defaultinboundaction", [])).lower(), defaults.inbound)
            defaults.outbound = _ACTIONS.get(
                "".join(chosen.get("defaultoutboundaction", [])).lower(), defaults.outbound
            )
        command = _CREATE.search(code)
        if command is not None:
            yield number, code, _arguments(command["rest"])


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines, with those put together that end in a backtick."""
    start, held = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        start = start or number
        if line.rstrip().endswith("`"):
            held += line.rstrip()[:-1] + " "
            continue
        yield start, held + line
        start, held = 0, ""
    if held:
        yield start, held


def _arguments(text: str) -> dict[str, list[str]]:
    """`-Name value, value` as lists. Commands after `|` or `;` are not part of it."""
    found: dict[str, list[str]] = {}
    name, at, depth = "", 0, 0
    while at < len(text):
        word = _WORD.match(text, at)
        if word is None:
            break
        at = word.end()
        if word["mark"]:
            depth += {"@(": 1, "(": 1, ")": -1}.get(word["mark"], 0)
            if word["mark"] in "|;" or depth < 0:
                break
        elif word["name"]:
            name = word["name"][1:].lower()
            found.setdefault(name, [])
        elif not word["comma"] and name:
            single = word["single"]
            plain = word["double"] if word["double"] is not None else word["plain"]
            found[name].append(plain if single is None else single.replace("''", "'"))
    return found


def _entry(line: int, fields: dict[str, list[str]]) -> Entry:
    """The fields as an entry. Raises NotUnderstoodError."""
    unknown = sorted(key for key in fields if key not in _KNOWN | _IDLE)
    if unknown:
        raise NotUnderstoodError(UNKNOWN_WORD, unknown[0])
    return Entry(
        line=line,
        name=_first(fields, "displayname", _first(fields, "name", "")),
        direction=choose(_DIRECTIONS, _first(fields, "direction", "inbound")),
        action=choose(_ACTIONS, _first(fields, "action", "allow")),
        enabled=choose(_ENABLED, _first(fields, "enabled", "true")),
        profiles=_profiles(fields.get("profile", [])),
        protocol=_first(fields, "protocol", "any"),
        local_ports=tuple(fields.get("localport", ())),
        remote_ports=tuple(fields.get("remoteport", ())),
        local_addresses=tuple(fields.get("localaddress", ())),
        remote_addresses=tuple(fields.get("remoteaddress", ())),
        interfaces=_first(fields, "interfacealias", _first(fields, "interfacetype", "any")),
        secured=_first(fields, "authentication", "notrequired").lower() not in ("notrequired", "0"),
    )


def _profiles(values: list[str]) -> tuple[str, ...]:
    if len(values) == 1 and values[0].isdigit():
        bits = int(values[0])
        return tuple(name for bit, name in _PROFILE_BITS.items() if bits & bit)
    return profiles(",".join(values) or "any")


def _first(fields: dict[str, list[str]], key: str, default: str) -> str:
    values = fields.get(key)
    return values[0] if values else default
